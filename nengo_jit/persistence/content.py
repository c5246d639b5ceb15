"""Probe data in checkpoints: which probes there are, and their samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from nengo import Probe
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike

from nengo_jit.engines.recorder import Recorder
from nengo_jit.engines.samples import Samples
from nengo_jit.ir.signal import is_sparse
from nengo_jit.planner.plan import ProbePlan


def describe_probes(probes: Iterable[ProbePlan]) -> list[dict[str, Any]]:
    """Describe probes, to compare them with those of another model."""
    return [
        {
            "name": str(planned.probe),
            "shape": list(planned.signal.shape),
            "dtype": str(planned.signal.dtype),
            "period": planned.period,
        }
        for planned in probes
    ]


def check_probes(probes: Iterable[ProbePlan], saved: Sequence[Mapping[str, Any]]) -> None:
    """Raise a ValidationError if probes differ from those that `describe_probes` has described.

    The error names the first difference. Names may differ, since they may contain addresses.
    """
    ours = describe_probes(probes)
    for mine, other in zip(ours, saved):
        for key in ("shape", "dtype", "period"):
            if mine[key] != other[key]:
                raise ValidationError(
                    f"This is a checkpoint of another model: {mine['name']} has the {key} "
                    f"{mine[key]}, not {other[key]}",
                    attr="path",
                )
    if len(ours) != len(saved):
        raise ValidationError(
            f"This is a checkpoint of another model: the network has {len(ours)} probes, not "
            f"{len(saved)}",
            attr="path",
        )


def samples_of(probes: Iterable[ProbePlan], raw: Mapping[Any, Any]) -> list[np.ndarray | None]:
    """Return the samples of each probe as an array; None if a user's object has no numbers.

    Of sparse matrices, the array has the stored numbers.
    """
    return [_array_of(raw[each.probe]) if each.probe in raw else None for each in probes]


def load_samples(
    probes: Iterable[ProbePlan],
    recorders: Mapping[Probe, Recorder],
    raw: Mapping[Any, Any],
    saved: Sequence[np.ndarray | None],
) -> None:
    """Append saved samples to those of each probe."""
    for planned, rows in zip(probes, saved):
        if rows is not None:
            recorder = recorders.get(planned.probe)
            samples: Iterable[object] = rows
            if recorder is not None and recorder.is_sparse:
                samples = map(recorder.copy, rows)
            raw[planned.probe].extend(samples)


def _array_of(samples: Any) -> np.ndarray | None:
    if isinstance(samples, Samples):
        return samples.array
    if not isinstance(samples, Iterable):
        return None
    rows: list[ArrayLike] = [each.data if is_sparse(each) else each for each in samples]
    try:
        array = np.asarray(rows)
    except ValueError:  # they have different shapes
        return None
    return array if array.dtype.kind in "biufc" else None
