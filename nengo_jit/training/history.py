"""What training has done, epoch by epoch, and callbacks that look at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from nengo.exceptions import ValidationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Callback: TypeAlias = "Callable[[Trained, History], bool | None]"


class Trained(Protocol):
    """What callbacks use of a `Trainer`.

    Attributes
    ----------
    params : dict of (str, numpy.ndarray)
        All parameters by name; may be set.
    """

    params: dict[str, np.ndarray]


class History:
    """Losses and metrics of each epoch.

    Attributes
    ----------
    epochs : list of dict of (str, float)
        For each epoch, ``loss``, ``seconds``, and what the validation has found, such as
        ``validation_loss`` and ``validation_accuracy``.
    interrupted : bool
        Whether Ctrl-C has ended the training.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.interrupted = False

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, name: str) -> list[float]:
        """The values of a metric in all epochs; ValidationError if there is none of that name."""
        if self.epochs and name not in self.epochs[-1]:
            known = ", ".join(f"'{each}'" for each in self.epochs[-1])
            raise ValidationError(f"There is no metric '{name}', only {known}", attr="metric")
        return [each[name] for each in self.epochs]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw losses, and accuracies if there are any; returns the axes.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default, on new axes.
        """
        if ax is None:
            from matplotlib.figure import Figure

            ax = Figure(layout="constrained").subplots()
        numbers = range(1, len(self) + 1)
        names = [name for name in (self.epochs[0] if self.epochs else ()) if name != "seconds"]
        for name in names:
            ax.plot(numbers, self[name], label=name.replace("_", " "))
        ax.set_xlabel("epoch")
        ax.legend()
        return ax


class EarlyStopping:
    """Ends the training when a metric has not improved for some epochs.

    Parameters
    ----------
    metric : str
        Name of a metric of the history.
    patience : int
        Number of epochs.
    """

    def __init__(self, metric: str = "validation_loss", patience: int = 5):
        self.metric, self.patience = metric, patience

    def __call__(self, trainer: Trained, history: History) -> bool:
        """Return whether to stop."""
        return len(history) - 1 - _best(history, self.metric) >= self.patience


class BestWeights:
    """Keeps the parameters of the epoch with the best metric: they are the result of `fit`.

    Parameters
    ----------
    metric : str
        Name of a metric of the history. Losses should be small, all else large.
    """

    def __init__(self, metric: str = "validation_loss"):
        self.metric = metric
        self._kept: dict[str, np.ndarray] = {}

    def __call__(self, trainer: Trained, history: History) -> None:
        """Note the parameters if this epoch is the best one."""
        if _best(history, self.metric) == len(history) - 1:
            self._kept = trainer.params

    def at_end(self, trainer: Trained) -> None:
        """Give the best parameters to the trainer."""
        if self._kept:
            trainer.params = self._kept


def _best(history: History, metric: str) -> int:
    """The number of the first epoch with the best value."""
    values = np.array(history[metric])
    costs = values if metric.endswith("loss") else -values
    return int(np.argmin(np.where(np.isnan(costs), np.inf, costs)))
