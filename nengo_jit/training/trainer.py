"""Train the parameters of a network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from nengo import Network, Probe
from nengo.exceptions import ValidationError

from nengo_jit.engines.jax.compilation import as_given, keep_compiled
from nengo_jit.engines.jax.lowering import State
from nengo_jit.persistence.checkpoint import DAMAGED, read_archive, write_archive
from nengo_jit.persistence.files import replace_file
from nengo_jit.persistence.tree import flatten
from nengo_jit.training.arguments import functions_of, remat_of, seed_of, whole_number
from nengo_jit.training.data import Data, X, Y, check_targets, checked, pair_of, shared_inputs
from nengo_jit.training.epochs import batches, loss_values, run_batch
from nengo_jit.training.fit import Fit, named_losses, on_device
from nengo_jit.training.history import Callback, History
from nengo_jit.training.losses import Loss, Losses, Penalty
from nengo_jit.training.metrics import Metric, Metrics, metrics_of
from nengo_jit.training.optimizers import optimizer_of
from nengo_jit.training.parameters import Selection
from nengo_jit.training.program import Arrays, Program
from nengo_jit.training.stacks import Params, Stacked
from nengo_jit.training.surrogates import Surrogate, surrogate_of

FORMAT = 1
Step = Callable[[Params, State, Arrays], tuple[State, Arrays]]


class Trainer:
    """Trains the parameters of a network, by gradients through all its steps.

    Parameters
    ----------
    net : nengo.Network
        The network. Only `freeze_params` changes it.
    dt : float
        Length of a step (seconds).
    batch : int
        Number of samples that are run at once.
    trainable : iterable of object or type, callable, or None
        What is trained: objects, networks, types of objects, or a function of object and name of
        an attribute (``"bias"``, ``"encoders"``, ``"decoders"``, ``"transform"``, ``"gain"``,
        ``"log_tau"``). None trains all but gains and time constants.
    surrogate : str, callable or None
        The derivative of a spike: "fast_sigmoid" (the default), "arctan", "triangle", or a
        function of the distance to the threshold, in thresholds.
    seed : int, optional
        Seed of the order of samples, and of the network if it has none.
    remat : "auto", int or None
        Number of steps whose values are kept at a time for the gradient. The others are computed
        again, which takes less memory and up to half more time. "auto" is the square root of the
        number of steps from 128 steps on, None keeps all.
    keep_state : bool
        Whether the state carries over from a batch to the next one, which then continues its
        samples. Samples are not shuffled, and gradients end at the start of a batch.

    Attributes
    ----------
    history : History
        What `fit` has done.

    Raises
    ------
    ImportError
        If JAX or optax is not installed.
    BuildError
        If a part of the network cannot be trained.
    ValidationError
        If an argument is invalid.
    """

    def __init__(
        self,
        net: Network,
        dt: float = 0.001,
        *,
        batch: int = 64,
        trainable: Selection = None,
        surrogate: str | Surrogate | None = None,
        seed: int | None = None,
        remat: str | int | None = "auto",
        keep_state: bool = False,
    ):
        if not isinstance(net, Network):
            raise ValidationError(f"Must be a nengo.Network (got {net!r})", attr="net")
        self._batch, self._remat = whole_number(batch, 1, "batch"), remat_of(remat)
        seed, self._keep_state = seed_of(seed), keep_state
        keep_compiled()
        self._program = Program(net, dt, seed, surrogate_of(surrogate), trainable)
        self._rng = np.random.RandomState(seed)
        self._params = self._on_device(self._program.parameters.initial)
        self._predict = jax.jit(
            lambda params, shared, inputs: run_batch(self._program, params, None, shared, inputs)[1]
        )
        self.history = History()

    @property
    def params(self) -> dict[str, np.ndarray]:
        """Dict of (str, numpy.ndarray): all parameters by name; copies. May be set."""
        stacks = {name: np.array(each) for name, each in self._params.items()}
        return self._program.stacks.by_name(stacks)

    @params.setter
    def params(self, values: Mapping[str, np.ndarray]) -> None:
        initial = self._program.parameters.initial
        if set(values) != set(initial):
            name = min(set(values) ^ set(initial))
            raise ValidationError(f"'{name}' is not in both of them", attr="params")
        for name, old in initial.items():
            if np.shape(values[name]) != old.shape:
                raise ValidationError(
                    f"'{name}' has the shape {old.shape}, not {np.shape(values[name])}",
                    attr="params",
                )
        self._params = self._on_device(values)

    def _on_device(self, params: Mapping[str, np.ndarray]) -> Stacked:
        """Return the stacks of all parameters by name, in the program's precision."""
        stacks = self._program.stacks.stacked(params, np)
        with as_given():
            return {name: jnp.asarray(each, self._program.dtype) for name, each in stacks.items()}

    @property
    def trained(self) -> list[str]:
        """List of str: names of the parameters that are trained."""
        return sorted(self._program.trained)

    def fit(
        self,
        x: X | Iterable[tuple[X, Y]],
        y: Y | None = None,
        *,
        loss: Losses = "mse",
        penalty: Penalty | None = None,
        metrics: Metrics | None = None,
        optimizer: str | optax.GradientTransformation = "adam",
        epochs: int = 10,
        validation: tuple[X, Y] | None = None,
        callbacks: Sequence[Callback] = (),
        progress_bar: bool = True,
    ) -> History:
        """Train.

        Parameters
        ----------
        x : mapping of (nengo.Node, (samples, steps, size_out) array_like), or iterable of pairs
            What nodes output; nodes that are not given run as in a simulation. Or any iterable of
            batches ``(x, y)``, once for each epoch.
        y : mapping of (nengo.Probe, (samples, ...) array_like)
            Targets, of any shape and type that the loss takes.
        loss : str, callable, or mapping of (nengo.Probe, str or callable)
            "mse", "cross_entropy_last", "cross_entropy_mean", or a function of output ``(batch,
            samples, size)`` and target. The losses of all probes are added.
        penalty : callable, optional
            A function of the parameters that are trained, by name, whose result is added to the
            loss, such as `nengo_jit.training.weight_penalty` returns.
        metrics : mapping of (str, (nengo.Probe, callable)), optional
            More values for the history: a function like a loss of a probe's output and target. The
            accuracy is always there if the loss has labels.
        optimizer : str or optax.GradientTransformation
            "adam", "adamw", "rmsprop", "sgd", with a learning rate of 0.001, or one of optax's.
        epochs : int
            How often all samples are used.
        validation : tuple of mapping, optional
            Data like x and y that are evaluated after each epoch.
        callbacks : sequence of callable
            Called after each epoch with trainer and history; if one returns True, training ends.
            If they have a method ``at_end``, it is called with the trainer after the last epoch.
        progress_bar : bool
            Whether to show epoch and losses on the standard error stream.

        Returns
        -------
        History
            Losses and metrics of these epochs. Ctrl-C ends training and keeps what was learned.

        Raises
        ------
        ValidationError
            If data, loss or optimizer are invalid. The message names the object.
        SimulationError
            If a loss or parameter is not finite. The message names it, epoch and batch; what was
            learned in earlier epochs is kept.
        """
        n_epochs, called = whole_number(epochs, 0, "epochs"), functions_of(callbacks, "callbacks")
        chosen, held_out = optimizer_of(optimizer), None
        if validation is not None:
            pair = pair_of(validation, "validation")
            held_out = self._judged(*pair, loss, metrics, " in the validation")
        history = self.history = History()
        with as_given():
            resident = self._resident(x, y)
            fit = Fit(
                *(self._program, self._params, loss, penalty, metrics),
                *(chosen, self._remat, self._keep_state),
            )
            try:
                for number in range(1, n_epochs + 1):
                    began = perf_counter()
                    found = fit.epoch(number, self._rounds(resident, x, number))
                    self._params = fit.params
                    found["seconds"] = perf_counter() - began
                    if held_out is not None:
                        results = self._evaluated(*held_out)
                        found |= {f"validation_{key}": each for key, each in results.items()}
                    history.epochs.append(found)
                    if progress_bar:
                        _show(number, n_epochs, found)
                    answers = [each(self, history) for each in called]  # all are called
                    if any(answers):
                        break
            except KeyboardInterrupt:
                history.interrupted = True
        for each in called:
            at_end = getattr(each, "at_end", None)
            if at_end is not None:
                at_end(self)
        return history

    def _resident(self, x: object, y: Y | None) -> Data | None:
        """Return data on the device; None if there is an iterable of batches instead."""
        if isinstance(x, Mapping):
            return on_device(checked(self._program, x, y))
        if y is not None or not isinstance(x, Iterable):
            raise ValidationError(
                "Give dictionaries as x and y, or an iterable of pairs of them", attr="x"
            )
        return None

    def _rounds(
        self, resident: Data | None, x: Any, epoch: int
    ) -> Iterator[tuple[Data, np.ndarray]]:
        """Yield data and the samples of batches in them, for an epoch."""
        if resident is None:
            for number, each in enumerate(x, start=1):
                place = f" in epoch {epoch}, batch {number}"
                data = checked(self._program, *pair_of(each, "x", place), place)
                yield data, np.arange(data.n).reshape(1, -1)
            return
        order = np.arange(resident.n) if self._keep_state else self._rng.permutation(resident.n)
        for part in batches(order, self._batch):
            yield resident, part

    def predict(self, x: X) -> dict[Probe, np.ndarray]:
        """Return the samples of all probes.

        Parameters
        ----------
        x : mapping of (nengo.Node, (samples, steps, size_out) array_like)
            What nodes output.

        Returns
        -------
        dict of (nengo.Probe, (samples, times, size) numpy.ndarray)
        """
        outputs = self._outputs(checked(self._program, x))
        return {probe: outputs[name] for name, probe in self._program.probes.items()}

    def _outputs(self, data: Data) -> dict[str, np.ndarray]:
        size, found = min(self._batch, data.n), []
        with as_given():
            shared = shared_inputs(self._program, data)
            for start in range(0, data.n, size):
                rows = np.minimum(np.arange(start, start + size), data.n - 1)
                inputs = {name: each[rows] for name, each in data.inputs.items()}
                found.append(self._predict(self._params, shared, inputs))
        return {
            name: np.concatenate([np.asarray(each[name]) for each in found])[: data.n]
            for name in self._program.probes
        }

    def evaluate(
        self, x: X, y: Y, loss: Losses = "mse", metrics: Metrics | None = None
    ) -> dict[str, float]:
        """Return ``loss``, and metrics, such as ``accuracy`` if the loss of a probe has labels.

        For parameters and errors see `fit`. With several such probes, the accuracy is their mean.
        """
        return self._evaluated(*self._judged(x, y, loss, metrics))

    def _judged(
        self, x: X, y: Y, loss: Losses, metrics: Metrics | None, place: str = ""
    ) -> tuple[Data, dict[str, Loss], dict[str, Metric]]:
        """Return data, losses and metrics that fit each other."""
        data = checked(self._program, x, y, place)
        losses = named_losses(self._program, loss, data)
        check_targets(self._program, data, losses, place)
        return data, losses, metrics_of(self._program, losses, metrics)

    def _evaluated(
        self, data: Data, losses: Mapping[str, Loss], metrics: Mapping[str, Metric]
    ) -> dict[str, float]:
        outputs = self._outputs(data)
        with as_given():
            arrays = jax.device_put((outputs, data.targets))
            total = sum(map(float, loss_values(self._program, losses, *arrays).values()))
            found = {name: float(each(*arrays)) for name, each in metrics.items()}
        return {"loss": total, **found}

    def freeze_params(self, net: Network | None = None) -> None:
        """Write all parameters into a network, whose simulations then are what was trained.

        Parameters
        ----------
        net : nengo.Network, optional
            A network with the same objects in the same order; neuron types and synapses may be
            others. By default, the network that the trainer was made from.

        Raises
        ------
        ValidationError
            If the objects are others.

        Notes
        -----
        Sets gains, biases, encoders, transforms, and decoders (as `nengo.solvers.NoSolver`) of
        all objects, trained or not, and their seeds, since initial states are drawn.
        """
        self._program.parameters.freeze(self.params, net)

    def function(self) -> tuple[Step, Params, State]:
        """Return the network as a pure function, for training loops of your own.

        Returns
        -------
        step : callable
            ``step(params, state, inputs) -> state, outputs``, with inputs by name of a node, each
            of shape ``(size_out,)``, and outputs by name of a probe. It works with `jax.jit`,
            `jax.grad`, `jax.vmap` and `jax.lax.scan`. In float64, turn on ``jax_enable_x64``.
        params : dict of (str, jax.Array)
            All parameters, with their present values.
        state : tuple of jax.Array
            The state before the first step.
        """
        program = self._program

        def step(params: Params, state: State, inputs: Arrays) -> tuple[State, Arrays]:
            return program.step(program.bind(program.stacks.stacked(params)), state, inputs)

        with as_given():
            params = program.stacks.by_name(self._params)
            return step, params, program.initial_state(self._params)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the parameters to a file that `load` and `numpy.load` read."""
        content = {"training": FORMAT, "params": self.params}
        structure, arrays = flatten(content)
        replace_file(Path(path), lambda file: write_archive(file, structure, arrays), None)

    def load(self, path: str | PathLike[str]) -> None:
        """Read parameters from a file that `save` has written.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValidationError
            If it has no parameters of this network; the message names the first difference.
        """
        with open(path, "rb") as file:
            try:
                content = read_archive(file)
                number, params = content["training"], content["params"]
            except DAMAGED as error:
                reason = f"'{path}' has no parameters of a network, or it is damaged: {error}"
                raise ValidationError(reason, attr="path") from error
        if number != FORMAT:
            raise ValidationError(f"'{path}' has the unknown format {number}", attr="path")
        self.params = params


def _show(number: int, epochs: int, found: Mapping[str, float]) -> None:
    """Show an epoch on the standard error stream, over the one before on a terminal."""
    values = [f"{name.replace('_', ' ')} {each:.4g}" for name, each in found.items()]
    is_over = sys.stderr.isatty() and number < epochs
    print(
        f"Epoch {number}/{epochs}: {', '.join(values)}",
        end="\r" if is_over else "\n",
        file=sys.stderr,
    )
