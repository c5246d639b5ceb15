"""Training: gradients through a network, and what was learned back into it."""

try:
    import jax as _jax  # noqa: F401
    import optax as _optax  # noqa: F401
except ImportError as error:
    raise ImportError('training needs JAX and optax: pip install "nengo-jit[jax]"') from error

from nengo_jit.training.history import BestWeights, EarlyStopping, History
from nengo_jit.training.losses import firing_rates, weight_penalty
from nengo_jit.training.swapping import to_spikes
from nengo_jit.training.trainer import Trainer

__all__ = [
    "BestWeights",
    "EarlyStopping",
    "History",
    "Trainer",
    "firing_rates",
    "to_spikes",
    "weight_penalty",
]
