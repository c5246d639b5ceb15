"""Probes as variables of a data set: their names, dimensions, units and descriptions."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from nengo import Connection, Probe
from nengo.connection import LearningRule
from nengo.ensemble import Neurons

from nengo_jit.planner.plan import ProbePlan

TIME = "time"
MEMBER = "member"  # name of the dimension of the members of a batch
METADATA = "zarr.json"  # the file in the folder of a group, and of an array
MOST_BYTES = 200  # of a name, which is also the name of a folder
UNITS = {
    "spikes": "Hz",
    "rates": "Hz",
    "refractory_time": "s",
}  # of what is probed; others have "1"
Item = TypeVar("Item")
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True)
class Variable:
    """A variable of a data set: the samples of a probe, or their times.

    Attributes
    ----------
    name : str
        Name of the variable.
    dims : tuple of str
        Names of the dimensions; the first is the time axis. For a batch, `MEMBER` is the second;
        in files and data sets it is the first.
    shape : tuple of int
        Shape of a sample, with the axis of the members.
    dtype : numpy.dtype
        Type of the numbers.
    attributes : dict of (str, str)
        Units and descriptions.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    attributes: dict[str, str]

    @property
    def time_axis(self) -> int:
        """int: the axis along which arrays in files and data sets grow."""
        return int(MEMBER in self.dims)

    @property
    def outer_dims(self) -> tuple[str, ...]:
        """Tuple of str: names of the dimensions in files and data sets."""
        return with_axis(self.dims[1:], self.time_axis, self.dims[0])


def with_axis(items: Sequence[Item], axis: int, item: Item) -> tuple[Item, ...]:
    """Insert what belongs to an axis."""
    return (*items[:axis], item, *items[axis:])


@dataclass(frozen=True)
class Axis:
    """A time axis: the times of the samples of all probes with one period.

    Attributes
    ----------
    name : str
        Name of the axis.
    period : float
        Steps between samples, see `ProbePlan`.
    dt : float
        Length of a step (seconds).
    """

    name: str
    period: float
    dt: float

    def times(self, first: int, last: int) -> np.ndarray:
        """Times of the samples in the steps ``first + 1`` to ``last`` (seconds)."""
        steps = np.arange(first + 1, last + 1)
        return steps[steps % self.period < 1] * self.dt

    @property
    def variable(self) -> Variable:
        """Variable: the coordinate of the axis."""
        attributes = {"units": "s", "long_name": "simulated time"}
        return Variable(self.name, (self.name,), (), np.dtype(np.float64), attributes)


def axis_of(planned: ProbePlan, dt: float) -> Axis:
    """Time axis of a probe; all probes that record in each step share one."""
    if planned.period <= 1:
        return Axis(TIME, 1.0, dt)
    seconds = planned.period * dt
    texts = (f"{seconds:.{digits}g}" for digits in (6, 12))
    exact = (each for each in texts if math.isclose(float(each), seconds, rel_tol=1e-14))
    text = next(exact, repr(seconds))  # so that different periods have different names
    return Axis(f"{TIME}_every_{text}_s", planned.period, dt)


def variables_of(
    probes: Iterable[ProbePlan],
    dt: float,
    labels: Mapping[Probe, str] | None = None,
    reserved: Collection[str] = (),
    n_members: int | None = None,
) -> list[Variable]:
    """Variables of probes, in the same order; their names and those of dimensions are distinct.

    Parameters
    ----------
    probes : iterable of ProbePlan
        The probes.
    dt : float
        Length of a step (seconds).
    labels : mapping of (nengo.Probe, str), optional
        Labels that take the place of those of the probes.
    reserved : collection of str
        Names that have another meaning.
    n_members : int, optional
        Number of members of a batch.
    """
    member_dims = [] if n_members is None else [MEMBER]
    sizes = () if n_members is None else (n_members,)
    reserved = {*reserved, *member_dims}
    made: list[Variable] = []
    taken = set(reserved)
    for number, planned in enumerate(probes):
        label = (labels or {}).get(planned.probe)
        name = base = (_name(planned.probe) if label is None else clean(label)) or f"probe_{number}"
        if base in (METADATA, TIME, *reserved) or base.startswith(f"{TIME}_"):  # as axes are called
            name = base = f"probe_{base}"
        shape = planned.signal.shape
        copy = 1
        while not taken.isdisjoint([name, *_dims(name, shape)]):
            copy += 1
            name = f"{base}_{copy}"
        dims = _dims(name, shape)
        taken.update([name, *dims])
        dtype = np.dtype(planned.signal.dtype)
        axis = axis_of(planned, dt).name
        all_dims = (axis, *member_dims, *dims)
        attributes = _attributes(planned.probe)
        made.append(Variable(name, all_dims, (*sizes, *shape), dtype, attributes))
    return made


def _dims(name: str, shape: tuple[int, ...]) -> list[str]:
    """Names of the dimensions of a sample."""
    return [f"{name}.{place}" for place in range(len(shape))]


def _name(probe: Probe) -> str:
    """Name for a probe from its label, or from the label of its target; may be empty."""
    label = probe.label
    if label is None:
        target = _label(probe.obj)
        label = f"{target}.{probe.attr}" if target else ""
    return clean(label)


def clean(label: str) -> str:
    """Make a name of a label, of letters that names of variables may have; may be empty."""
    name = re.sub(r"[^\w.-]+", "_", label).encode()[:MOST_BYTES].decode(errors="ignore")
    return name.strip("_.")


def _label(obj: Any) -> str:
    if isinstance(obj, Neurons):
        return _label(obj.ensemble)
    if isinstance(obj, LearningRule):
        return _label(obj.connection)
    if isinstance(obj, Connection) and obj.label is None:
        ends = _label(obj.pre_obj), _label(obj.post_obj)
        return "_to_".join(ends) if all(ends) else ""
    return getattr(obj, "label", None) or ""


def _attributes(probe: Probe) -> dict[str, str]:
    is_output = isinstance(probe.obj, Neurons) and probe.attr == "output"
    return {
        "units": "Hz" if is_output else UNITS.get(probe.attr, "1"),
        "long_name": probe.label or f"{probe.attr} of {_text(probe.target)}",
        "object": _text(probe.target),
        "attribute": str(probe.attr),
        "synapse": str(probe.synapse),
    }


def _text(value: object) -> str:
    return ADDRESS.sub("", str(value))


def same(ours: Sequence[Variable], theirs: Sequence[Variable]) -> str | None:
    """Return the first difference between variables, for an error; None if there is none."""
    for mine, other in zip(ours, theirs):
        for key in ("name", "dims", "shape", "dtype"):
            if getattr(mine, key) != getattr(other, key):
                return (
                    f"'{mine.name}' has the {key} {getattr(mine, key)}, not {getattr(other, key)}"
                )
    if len(ours) != len(theirs):
        return f"there are {len(ours)} variables, not {len(theirs)}"
    return None
