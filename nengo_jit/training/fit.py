"""One call of `Trainer.fit`: what is learned, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from nengo.exceptions import SimulationError, ValidationError

from nengo_jit.training.data import Data, check_targets, shared_inputs
from nengo_jit.training.epochs import Epochs, Learned
from nengo_jit.training.losses import Loss, Losses, losses_of
from nengo_jit.training.parameters import Params
from nengo_jit.training.program import Arrays, Program


class Fit:
    """Learns parameters, epoch by epoch.

    Parameters
    ----------
    program : Program
        The network.
    params : dict of (str, jax.Array)
        All parameters.
    trained : iterable of str
        Names of those that are trained.
    loss : str, callable or mapping
        See `Trainer.fit`.
    optimizer : optax.GradientTransformation
        The optimizer.
    remat : "auto", int or None
        See `Trainer`.
    keep_state : bool
        Whether the state carries over from a batch to the next one.
    """

    def __init__(
        self,
        program: Program,
        params: Params,
        trained: Iterable[str],
        loss: Losses,
        optimizer: optax.GradientTransformation,
        remat: str | int | None,
        keep_state: bool,
    ):
        self._program, self._fixed = program, params
        self._chosen, self._optimizer, self._remat = loss, optimizer, remat
        self._keep_state = keep_state
        own = {name: params[name] for name in trained}
        self._learned = Learned(own, optimizer.init(own), None)
        self._losses: dict[str, Loss] = {}
        self._epochs: Epochs | None = None

    @property
    def params(self) -> Params:
        """Dict of (str, jax.Array): all parameters."""
        return {**self._fixed, **self._learned.trained}

    def epoch(self, number: int, rounds: Iterable[tuple[Data, np.ndarray]]) -> float:
        """Train for an epoch.

        Parameters
        ----------
        number : int
            Number of the epoch, for messages.
        rounds : iterable of (Data, (batches, batch) numpy.ndarray of int)
            Samples, and which of them are in each batch.

        Returns
        -------
        float
            The mean loss of all samples.

        Raises
        ------
        ValidationError
            If the data do not fit the losses, or there are none.
        SimulationError
            If a loss or parameter is not finite. The message names it, epoch and batch.
        """
        learned = self._learned._replace(state=None)
        total, n_samples, n_batches = 0.0, 0, 0
        for data, order in rounds:
            epochs = self._begun(data)
            learned = self._with_state(learned, order.shape[1])
            shared = shared_inputs(self._program, data)
            samples = data.inputs, data.targets
            learned, values = epochs.run(learned, self._fixed, shared, samples, order)
            total += self._checked(values, learned, number, n_batches) * order.shape[1]
            n_samples += order.size
            n_batches += len(order)
        if not n_batches:
            raise ValidationError(f"There are no samples in epoch {number}", attr="x")
        self._learned = learned
        return total / n_samples

    def _begun(self, data: Data) -> Epochs:
        """Compile for the losses that the first data need; check that data fit them."""
        if self._epochs is None:
            self._losses = named_losses(self._program, self._chosen, data)
            self._epochs = Epochs(self._program, self._losses, self._optimizer, self._remat)
        check_targets(self._program, data.targets, self._losses)
        return self._epochs

    def _with_state(self, learned: Learned, size: int) -> Learned:
        """Give each member of a batch a state that carries over, if states do."""
        if not self._keep_state:
            return learned
        state = learned.state
        if state is None or len(state[0]) < size:
            initial = self._program.initial_state({**self._fixed, **learned.trained})
            state = tuple(jnp.tile(each, (size, 1)) for each in initial)
        return learned._replace(state=tuple(each[:size] for each in state))

    def _checked(self, values: Arrays, learned: Learned, epoch: int, place: int) -> float:
        """Return the sum of the losses of batches; SimulationError if something is not finite."""
        losses = {name: np.asarray(each) for name, each in values.items()}
        n_batches = 0
        for name, each in losses.items():
            n_batches, bad = len(each), np.flatnonzero(~np.isfinite(each))
            if bad.size:
                raise SimulationError(
                    f"The loss of {self._program.probes[name]} is {each[bad[0]]} in epoch "
                    f"{epoch}, batch {place + bad[0] + 1}"
                )
        for name, value in learned.trained.items():
            if not jnp.isfinite(value).all():
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
