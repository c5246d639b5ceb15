"""One call of `Trainer.fit`: what is learned, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from nengo.exceptions import SimulationError, ValidationError

from nengo_jit.training.data import Data, check_targets, shared_inputs
from nengo_jit.training.epochs import PENALTY, Epochs, Learned
from nengo_jit.training.losses import Loss, Losses, Penalty, losses_of
from nengo_jit.training.metrics import Metrics, metrics_of
from nengo_jit.training.optimizers import of_stacks
from nengo_jit.training.program import Arrays, Program
from nengo_jit.training.stacks import Stacked


class Fit:
    """Learns parameters, epoch by epoch.

    Parameters
    ----------
    program : Program
        The network.
    params : dict of (str, jax.Array)
        All parameters, in stacks.
    loss, penalty, metrics
        See `Trainer.fit`.
    optimizer : optax.GradientTransformationExtraArgs
        The optimizer.
    remat : "auto", int or None
        See `Trainer`.
    keep_state : bool
        Whether the state carries over from a batch to the next one.
    """

    def __init__(
        self,
        program: Program,
        params: Stacked,
        loss: Losses,
        penalty: Penalty | None,
        metrics: Metrics | None,
        optimizer: optax.GradientTransformationExtraArgs,
        remat: str | int | None,
        keep_state: bool,
    ):
        if penalty is not None and not callable(penalty):
            raise ValidationError(f"Must be a function (got {penalty!r})", attr="penalty")
        self._program, self._fixed = program, params
        self._chosen, self._remat = loss, remat
        self._penalty, self._metrics, self._keep_state = penalty, metrics, keep_state
        own = {name: params[name] for name in program.stacks.trained}
        self._optimizer = of_stacks(optimizer, program.stacks, own)
        self._learned = Learned(own, self._optimizer.init(own), None)
        self._losses: dict[str, Loss] = {}
        self._epochs: Epochs | None = None

    @property
    def params(self) -> Stacked:
        """Dict of (str, jax.Array): all parameters, in stacks."""
        return {**self._fixed, **self._learned.trained}

    def epoch(self, number: int, rounds: Iterable[tuple[Data, np.ndarray]]) -> dict[str, float]:
        """Train for an epoch.

        Parameters
        ----------
        number : int
            Number of the epoch, for messages.
        rounds : iterable of (Data, (batches, batch) numpy.ndarray of int)
            Samples, and which of them are in each batch.

        Returns
        -------
        dict of (str, float)
            ``loss`` and metrics, each the mean of all samples.

        Raises
        ------
        ValidationError
            If the data do not fit the losses, or there are none.
        SimulationError
            If a loss or parameter is not finite. The message names it, epoch and batch.
        """
        learned = self._learned._replace(state=None)
        totals: dict[str, float] = {}
        n_samples, n_batches = 0, 0
        for data, order in rounds:
            place = f" in epoch {number}, batch {n_batches + 1}"
            epochs = self._begun(data, place)
            learned = self._with_state(learned, order.shape[1], place)
            shared = shared_inputs(self._program, data)
            samples = data.inputs, data.targets
            learned, found = epochs.run(learned, self._fixed, shared, samples, order)
            sums = {name: float(np.sum(each)) for name, each in found.metrics.items()}
            sums["loss"] = self._checked(found.losses, learned, number, n_batches)
            for name, each in sums.items():
                totals[name] = totals.get(name, 0.0) + each * order.shape[1]
            n_samples += order.size
            n_batches += len(order)
        if not n_batches:
            raise ValidationError(f"There are no samples in epoch {number}", attr="x")
        self._learned = learned
        return {name: totals[name] / n_samples for name in ("loss", *found.metrics)}

    def _begun(self, data: Data, place: str) -> Epochs:
        """Compile for the losses that the first data need; check that data fit them."""
        if self._epochs is None:
            self._losses = named_losses(self._program, self._chosen, data)
            metrics = metrics_of(self._program, self._losses, self._metrics)
            self._epochs = Epochs(
                *(self._program, self._losses, self._penalty, metrics),
                *(self._optimizer, self._remat),
            )
        check_targets(self._program, data, self._losses, place)
        return self._epochs

    def _with_state(self, learned: Learned, size: int, place: str) -> Learned:
        """Give each member of a batch a state that carries over, if states do."""
        if not self._keep_state:
            return learned
        state = learned.state
        if state is None:
            initial = self._program.initial_state({**self._fixed, **learned.trained})
            state = tuple(jnp.tile(each, (size, 1)) for each in initial)
        if len(state[0]) < size:
            raise ValidationError(
                f"There are {size} samples, but states of only {len(state[0])}, which carry "
                f"over{place}",
                attr="x",
            )
        return learned._replace(state=tuple(each[:size] for each in state))

    def _checked(self, values: Arrays, learned: Learned, epoch: int, place: int) -> float:
        """Return the sum of the losses of batches; SimulationError if something is not finite."""
        losses = {name: np.asarray(each) for name, each in values.items()}
        n_batches = 0
        for name, each in losses.items():
            n_batches, bad = len(each), np.flatnonzero(~np.isfinite(each))
            if bad.size:
                is_penalty = name == PENALTY
                what = "penalty" if is_penalty else f"loss of {self._program.probes[name]}"
                raise SimulationError(
                    f"The {what} is {each[bad[0]]} in epoch {epoch}, batch {place + bad[0] + 1}"
                )
        for stack, value in learned.trained.items():
            is_finite = np.isfinite(value).reshape(len(value), -1).all(axis=1)
            if not is_finite.all():
                name = self._program.stacks.members[stack][is_finite.argmin()]
                raise SimulationError(
                    f"'{name}' is not finite after epoch {epoch}, batch {place + n_batches}"
                )
        return float(np.sum(list(losses.values())))


def on_device(data: Data) -> Data:
    """Return data that are on the device."""
    return Data(*jax.device_put((data.inputs, data.targets)))


def named_losses(program: Program, chosen: Losses, data: Data) -> dict[str, Loss]:
    """Return the loss of each probe by the probe's name; ValidationError as for `losses_of`."""
    names = {probe: name for name, probe in program.probes.items()}
    losses = losses_of(chosen, {program.probes[name]: None for name in data.targets})
    for probe in losses:
        if probe not in names:
            raise ValidationError(f"{probe} is no probe of the network", attr="loss")
    return {names[probe]: each for probe, each in losses.items()}
