import pytest
from commands import MODEL


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


@pytest.fixture(autouse=True)
def answers_to_ctrl_c(ctrl_c):
    """Commands inherit what the tests do about SIGINT, which a shell may have told to ignore it."""
