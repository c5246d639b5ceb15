"""Checkpoints of simulators in files, and probe data that stream to disk."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import nengo
from nengo.builder import Model
from nengo.exceptions import ValidationError

from nengo_jit.building import new_model
from nengo_jit.engines import backend_for
from nengo_jit.exceptions import add_context
from nengo_jit.lasting import Lasting
from nengo_jit.options import Options
from nengo_jit.persistence.checkpoint import Checkpoint
from nengo_jit.persistence.content import check_probes, describe_probes, load_samples, samples_of
from nengo_jit.persistence.periodic import Checkpoints, Schedule, Writer, previous_of
from nengo_jit.persistence.store import checkpoint_of, is_store
from nengo_jit.persistence.stream import Stream

PathLike: TypeAlias = str | os.PathLike[str]
Kind = TypeVar("Kind", bound="Checkpointed")
RECORDS_ITSELF = (
    "Probe data can stream to disk only if the engine records them, and no subclass or assignment "
    "replaces the methods that do it"
)
OPTIONS = {field.name for field in fields(Options)}


class Checkpointed(Lasting):
    """The methods that write checkpoints, continue from them, and let probe data stream."""

    close: Callable[[], None]
    _stream: Stream | None = None
    _checkpoints: Checkpoints | None = None
    _has_warned = False  # of objects whose state is not saved

    def save(self, path: PathLike, data: bool = True) -> None:
        """Write a checkpoint: a file with all that the following steps depend on.

        Parameters
        ----------
        path : str or os.PathLike
            The file. It is written to a temporary file beside it first, so that a file that is
            there already stays whole until the new one is complete.
        data : bool
            Whether probe data are in the file. Data that stream to a store stay there.

        Raises
        ------
        OSError
            If the file cannot be written.
        SimulationError
            If a function calls it within a step.
        SimulatorClosed
            If the simulator is closed.

        Warns
        -----
        UserWarning
            If functions of the model refer to objects whose state is not saved, once for each
            simulator. ``docs/checkpoints.md`` says how they can save it.
        """
        path = Path(path).absolute()
        self._turn.hold(lambda: self._take(path, data).write(path))

    def _take(self, path: Path, data: bool = True) -> Checkpoint:
        """Take a checkpoint that will be written to a path."""
        state = self._state()
        if state["hidden"] and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                "Checkpoints do not contain the state of the Python objects that these operators "
                f"use: {', '.join(state['hidden'])}. The objects can save their state by methods "
                "state() and load_state(state).",
                stacklevel=5,
            )
        samples = stream = None
        if self._stream is not None:
            place = os.path.relpath(self._stream.path, path.parent)
            stream = {"path": place, **self._stream.position()}
        elif data:
            samples = samples_of(self._probes, self.data.raw)
        probes = describe_probes(self._probes)
        return Checkpoint(state, _seed_of(self.model), probes, samples, stream)

    @classmethod
    def load(
        cls: type[Kind], path: PathLike, network: nengo.Network | None, **options: Any
    ) -> Kind:
        """Make a simulator that continues from a checkpoint, with the probe data that it contains.

        Parameters
        ----------
        path : str or os.PathLike
            File that `save` or a run has written.
        network : nengo.Network
            The network. If neither it nor the simulator that has been saved had a seed, the build
            uses the same random seed again.
        **options
            Arguments of the constructor, such as ``engine`` and ``threads``. The default of ``dt``
            is that of the checkpoint; another ``seed`` is an error. With ``record``, a new store
            begins with the probe data in the checkpoint.

        Returns
        -------
        Simulator

        Raises
        ------
        OSError
            If the file cannot be read.
        ValidationError
            If the file is no checkpoint or damaged, has an unknown format, or belongs to another
            model; the error names the first difference.
        """
        path = Path(path).absolute()
        return cls._made_from(Checkpoint.read(path), path, network, options)

    @classmethod
    def resume(
        cls: type[Kind], path: PathLike, network: nengo.Network | None, **options: Any
    ) -> Kind:
        """Make a simulator that continues a run from its newest whole checkpoint.

        Runs of this simulator can write their checkpoints to the same path.

        Parameters
        ----------
        path : str or os.PathLike
            As given to ``run(..., checkpoint=path)``. Where there is no checkpoint yet, the
            simulation begins anew, and a warning says so.
        network : nengo.Network
            The network, see `load`.
        **options
            Arguments of the constructor, see `load`. If probe data streamed, they go on to stream
            to the same store, after the samples that belong to the checkpoint. ``record`` says
            where the store is if it has been moved.

        Returns
        -------
        Simulator

        Raises
        ------
        ValidationError, OSError
            See `load`; also if another simulator writes to the path.
        """
        path = Path(path).absolute()
        checkpoints = Checkpoints(path)
        try:
            found = checkpoints.newest()
            if found is None:
                warnings.warn(
                    f"There is no checkpoint '{path}' yet: the simulation begins anew.",
                    stacklevel=2,
                )
                if options.get("record") is not None and is_without_checkpoint(
                    Path(options["record"])
                ):
                    options = {**options, "overwrite": True}
                sim = cls(network, **options)
            else:
                stream = found.stream
                if stream is not None:
                    store = Path(options.pop("record", None) or path.parent / stream["path"])
                    options.pop("overwrite", None)
                sim = cls._made_from(found, path, network, options)
                if stream is not None:
                    sim._connect(lambda made: made.resume(store, stream))
        except BaseException:
            checkpoints.release()
            raise
        sim._checkpoints = checkpoints
        return sim

    @classmethod
    def _made_from(
        cls: type[Kind],
        checkpoint: Checkpoint,
        path: Path,
        network: nengo.Network | None,
        options: dict[str, Any],
    ) -> Kind:
        """Make a simulator for a network, and let it continue from a checkpoint."""
        seed = checkpoint.state["seed"]
        if options.setdefault("seed", seed) != seed:
            raise ValidationError(
                f"The seed of the run that goes on is {seed}, not {options['seed']!r}. "
                "sim.reset(seed=...) begins another run",
                attr="seed",
            )
        if not isinstance(network, nengo.Network | None):
            raise ValidationError(f"Must be a Network (got {network!r})", attr="network")
        if options.get("model") is None and network is not None:
            chosen = {name: options[name] for name in options.keys() & OPTIONS}
            backend = backend_for(Options.chosen(**chosen))
            model = new_model(network, options.get("dt", checkpoint.dt), backend)
            if network.seed is None and checkpoint.network_seed is not None:
                model.seeds[network] = checkpoint.network_seed
            options = {**options, "model": model}
        sim = cls(network, **options)
        try:
            sim._turn.hold(sim._continue_from, checkpoint)
        except BaseException as error:
            sim.close()
            add_context(error, f"This happened while the checkpoint '{path}' was loaded.")
            raise
        return sim

    def _continue_from(self, checkpoint: Checkpoint) -> None:
        self._load_state(checkpoint.state)
        if checkpoint.samples is None:
            return
        check_probes(self._probes, checkpoint.probes)
        if self._stream is None:
            recorders = self._engine.recording.recorders
            load_samples(self._probes, recorders, self.data.raw, checkpoint.samples)
        else:
            rows = zip((each.probe for each in self._probes), checkpoint.samples)
            known = {probe: array for probe, array in rows if array is not None}
            self._stream.prepend(known, self.n_steps)

    def _writer(self, checkpoint: PathLike | None, every: int | str | None) -> Writer | None:
        """Get ready to write checkpoints of a run, if it should.

        Raises
        ------
        ValidationError
            If there is a checkpoint that this simulator has neither written nor continued from.
        """
        if checkpoint is None:
            if every is not None:
                raise ValidationError("Say where to: checkpoint='run.ckpt'", attr="every")
            return None
        path = Path(checkpoint).absolute()  # the process may change its folder
        schedule = Schedule(every, self.dt)
        if self._checkpoints is None or self._checkpoints.path != path:
            checkpoints = Checkpoints(path)
            if path.exists() or previous_of(path).exists():
                checkpoints.release()
                raise ValidationError(
                    f"'{path}' is the checkpoint of another simulation. Continue that one by "
                    "Simulator.resume, choose another path, or delete the file",
                    attr="checkpoint",
                )
            self._stop_writing()
            self._checkpoints = checkpoints
        return Writer(
            self._checkpoints, schedule, lambda: self._take(path), lambda: self._note_in_store(path)
        )

    def _note_in_store(self, path: Path) -> None:
        """Let the store say that there is a checkpoint, so that it is not begun anew."""
        if self._stream is not None:
            self._stream.note(checkpoint=str(path))

    def _steps_left(self, writer: Writer | None) -> int:
        """Maximum number of steps until `_keep_up` must be called."""
        keepers = (each for each in (writer, self._stream) if each is not None)
        return min((each.steps_left(self.n_steps) for each in keepers), default=sys.maxsize)

    def _keep_up(self, writer: Writer | None) -> None:
        """Write what is due, between two steps of a run."""
        if self._stream is not None:
            self._stream.after_piece()
        if writer is not None:
            writer.after(self.n_steps)

    def _finish(self, writer: Writer | None) -> None:
        """Write all samples, and a checkpoint, at the end of a run."""
        if self._stream is not None:
            self._stream.flush()
        if writer is not None:
            writer.write(self.n_steps)

    def _stop_writing(self) -> None:
        checkpoints, self._checkpoints = self._checkpoints, None
        if checkpoints is not None:
            checkpoints.release()

    def _connect(self, begin: Callable[[Stream], None]) -> None:
        """Let probe data stream to a store that ``begin`` makes or opens."""
        try:
            if self._records_itself:
                raise ValidationError(RECORDS_ITSELF, attr="record")
            stream = Stream(self._engine.recording, self._probes, self.dt, self.batch)
            begin(stream)
            self._stream = stream
            for planned in self._probes:
                self._sim_data.publish(planned.probe)
        except BaseException:
            self.close()
            raise

    def _begin_anew(self) -> None:
        super()._begin_anew()
        if self._stream is not None:
            self._stream.note(seed=None if self.seed is None else int(self.seed))

    def _check_records(self) -> None:
        if self._stream is not None:
            raise ValidationError(RECORDS_ITSELF, attr="record")


def is_without_checkpoint(path: Path) -> bool:
    """Whether there is a store, but no checkpoint of its run, so that it may be begun anew.

    Raises
    ------
    ValidationError
        If there is a checkpoint.
    """
    if not is_store(path):
        return False
    checkpoint = checkpoint_of(path)
    if checkpoint is not None:
        raise ValidationError(
            f"'{path}' has the probe data of a run whose checkpoints are '{checkpoint}'. Give that "
            "path, or choose another one for the data",
            attr="record",
        )
    return True


def _seed_of(model: Model) -> int | None:
    """Seed of the whole network that a model was built from, if it is known."""
    seed = model.seeds.get(model.toplevel)
    return None if seed is None else int(seed)
