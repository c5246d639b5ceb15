"""Built parameters of ensembles and connections, which draw evaluation points when they are read.

Evaluation points take more memory than all else of a small ensemble. Only its decoders depend on
them. So they are dropped once these are known, and drawn again, with equal bits, for those who ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import nengo.builder.connection as connection
import nengo.builder.ensemble as ensemble
import numpy as np
from nengo.dists import Distribution

from nengo_jit.builder.generators import generator
from nengo_jit.builder.sampling import sample


class Drawing(NamedTuple):
    """How evaluation points are drawn.

    Attributes
    ----------
    distribution : nengo.dists.Distribution
        The distribution, which `nengo_jit.builder.sampling.is_known`.
    n_points, dimensions : int
        Shape of the points.
    seed : int
        Seed of the generator, which has drawn nothing before.
    radius : float
        Factor of the samples.
    dtype : numpy.dtype
        Type of the points.
    """

    distribution: Distribution
    n_points: int
    dimensions: int
    seed: int
    radius: float
    dtype: np.dtype

    def points(self) -> np.ndarray:
        """Draw the points."""
        with generator(self.seed) as rng:
            samples = sample(self.distribution, self.n_points, self.dimensions, rng)
        points: np.ndarray = samples.astype(self.dtype, copy=False)
        points *= self.radius
        return points


class Points:
    """Evaluation points that can be dropped and drawn again.

    Parameters
    ----------
    drawing : Drawing
        How they are drawn.
    array : (n_points, dimensions) numpy.ndarray
        The points, as drawn.
    """

    __slots__ = ("_array", "_drawing", "_is_public")

    def __init__(self, drawing: Drawing, array: np.ndarray):
        self._drawing = drawing
        self._array: np.ndarray | None = array
        self._is_public = False

    @property
    def array(self) -> np.ndarray:
        """(n_points, dimensions) numpy.ndarray: the points; for the builder, which drops them."""
        if self._array is None:
            self._array = self._drawing.points()
        return self._array

    @property
    def public(self) -> np.ndarray:
        """(n_points, dimensions) numpy.ndarray: the points, which are kept from now on."""
        self._is_public = True  # others may hold the array, and change it
        return self.array

    def drop(self) -> None:
        """Free the memory of the points, unless others may have them."""
        if not self._is_public:
            self._array = None


def _as_kept(built: Any) -> tuple[Any, ...]:
    """Return built parameters as they are kept: the first is an array, `Points` or None."""
    return tuple(tuple.__iter__(built))


class _Built:
    """A named tuple whose first element, the evaluation points, may be `Points`."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]]
    _nengos: ClassVar[type[tuple[Any, ...]]]  # the class without this

    def __iter__(self) -> Iterator[Any]:
        yield self.eval_points
        yield from _as_kept(self)[1:]

    def __getitem__(self, index: Any) -> Any:
        return tuple(self)[index]

    def __reduce__(self) -> tuple[Any, ...]:
        return self._nengos, tuple(self)  # for those who have only nengo, with the points

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self))
        return f"{type(self).__name__}({values})"

    @property
    def eval_points(self) -> np.ndarray | None:
        """(n_eval_points, dimensions) numpy.ndarray or None: the evaluation points."""
        kept = _as_kept(self)[0]
        return kept.public if isinstance(kept, Points) else kept


class BuiltEnsemble(_Built, ensemble.BuiltEnsemble):
    """The parameters of an ensemble, see `nengo_jit.builder.ensemble.build_ensemble`."""

    __slots__ = ()
    _nengos = ensemble.BuiltEnsemble


class BuiltConnection(_Built, connection.BuiltConnection):
    """The parameters of a connection, see `nengo_jit.builder.connection.build_connection`.

    Evaluation points that belong to the connection's ensemble are a view that is read-only.
    """

    __slots__ = ()
    _nengos = connection.BuiltConnection

    @property
    def eval_points(self) -> np.ndarray | None:
        """(n_eval_points, dimensions) numpy.ndarray or None: the evaluation points."""
        kept = _as_kept(self)[0]
        return read_only(kept.public) if isinstance(kept, Points) else kept


def read_only(points: np.ndarray) -> np.ndarray:
    """Return a view of points that cannot be written to."""
    view = points.view()
    view.setflags(write=False)
    return view


def points_of(built: ensemble.BuiltEnsemble) -> np.ndarray:
    """Return the evaluation points of an ensemble, for use within the builder.

    Parameters
    ----------
    built : nengo.builder.ensemble.BuiltEnsemble
        The ensemble's parameters, of our class or nengo's.

    Returns
    -------
    (n_eval_points, dimensions) numpy.ndarray
        They must not be handed to code of the user's.
    """
    kept = _as_kept(built)[0]
    array: np.ndarray = kept.array if isinstance(kept, Points) else kept
    return array


def in_common(built: tuple[Any, ...]) -> Callable[[Any], Any]:
    """Return a function that replaces a view of an ensemble's points by its `Points`.

    Parameters
    ----------
    built : nengo.builder.ensemble.BuiltEnsemble
        The ensemble's parameters, of our class or nengo's.
    """
    kept = _as_kept(built)[0]
    if not isinstance(kept, Points):
        return lambda points: points
    array = kept.array
    return lambda points: kept if getattr(points, "base", None) is array else points


def drop_points(params: Mapping[object, Any], *objects: object) -> None:
    """Free the memory of the evaluation points of objects that have some.

    Parameters
    ----------
    params : mapping of (object, object)
        The built parameters of each object.
    *objects
        The objects.
    """
    for obj in objects:
        built = params.get(obj)
        if isinstance(built, _Built) and isinstance(_as_kept(built)[0], Points):
            _as_kept(built)[0].drop()
