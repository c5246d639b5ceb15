"""Training needs JAX."""

import pytest

pytest.importorskip("jax")
