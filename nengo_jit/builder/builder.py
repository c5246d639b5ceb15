"""The Model that a network is built into, and the Builder, which finds build functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import nengo.builder.builder as reference
from nengo import Config, Connection, Network
from nengo.cache import DecoderCache, NoDecoderCache
from nengo.exceptions import BuildError
from nengo.params import FrozenObject

from nengo_jit.builder.decoders import Decoders
from nengo_jit.builder.interop import third_party_build_function
from nengo_jit.builder.log import BuildLog
from nengo_jit.ir import model as ir
from nengo_jit.ir.signal import Order
from nengo_jit.neurons.rates import IN_NUMPY, RateBackend

BuildFunction = TypeVar("BuildFunction", bound=Callable[..., object])


class Model(ir.Model, reference.Model):
    """The signals and operators of a network, and the built parameters of its objects.

    Parameters
    ----------
    dt : float
        Length of a step (seconds).
    label : str, optional
        A name, for messages.
    decoder_cache : nengo.cache.DecoderCache, optional
        Keeps solved decoders between builds; no cache by default.
    builder : Builder, optional
        Finds the build functions.

    Attributes
    ----------
    build_callback : callable or None
        Called with each object after it has been built.
    config : nengo.Config or None
        The configuration of the network that is being built.
    decoders : Decoders
        Solves for the decoders of connections.
    log : BuildLog
        The objects in the order in which they were built, with their operators.
    order : str
        Memory order of the large matrix of weights that is built next, see `Signal`.
    params : dict
        The built parameters of each object: a `BuiltEnsemble`, a `BuiltConnection`, an empty
        list for a probe, None for others.
    reads_columns : callable or None
        Tells of a connection whether the engine reads its weights column by column if they are
        constant.
    seeded : dict of (object, bool)
        Whether the user chose the object's seed, on it or on a network around it.
    seeds : dict of (object, int)
        The seed of each object.
    toplevel : nengo.Network or None
        The outermost network.
    operators, probes, sig, step, time
        See `nengo_jit.ir.model.Model`.
    """

    def __init__(
        self,
        dt: float = 0.001,
        label: str | None = None,
        decoder_cache: DecoderCache | NoDecoderCache | None = None,
        builder: reference.Builder | None = None,
    ):
        self.label = label
        self.decoder_cache = NoDecoderCache() if decoder_cache is None else decoder_cache
        self.builder = Builder() if builder is None else builder
        self.build_callback: Callable[[object], None] | None = None
        self.decoders = Decoders()
        self.reads_columns: Callable[[Connection], bool] | None = None
        self.order: Order = "C"
        self.log = BuildLog()

        self.toplevel: Network | None = None
        self.config: Config | None = None
        self.params: dict[object, Any] = {}
        self.seeds: dict[object, int] = {}
        self.seeded: dict[object, bool] = {}
        ir.Model.__init__(self, dt)

    def __str__(self) -> str:
        return f"Model: {self.label}"

    def build(self, obj: object, *args: object, **kwargs: object) -> Any:
        """Build an object into this model.

        Parameters
        ----------
        obj : object
            A network, a nengo object, or a part of one such as a synapse.
        *args, **kwargs
            Passed on to the build function.

        Returns
        -------
        object
            The result of the build function.
        """
        built = self.builder.build(self, obj, *args, **kwargs)
        if self.build_callback is not None:
            self.build_callback(obj)
        return built

    def has_built(self, obj: object) -> bool:
        """Whether an object has an entry in ``params``.

        Objects without an entry, such as synapses, can be built any number of times.

        Parameters
        ----------
        obj : object
            The object to look for.
        """
        return obj in self.params


class Builder(reference.Builder):
    """Finds the build function for an object by its class.

    It searches the classes along the object's method resolution order. For each class, a function
    that third-party code registered with nengo's own ``nengo.builder.Builder`` comes first.

    Attributes
    ----------
    builders : dict of (type, callable)
        The functions registered here.
    """

    builders: ClassVar[dict[type, Callable[..., Any]]] = {}

    @classmethod
    def build(cls, model: Model, obj: object, *args: object, **kwargs: object) -> Any:
        """Build ``obj`` into ``model``; use `Model.build` in build functions.

        Parameters
        ----------
        model : Model
            The model to build into.
        obj : object
            The object. If it has been built already, only a warning is given.
        *args, **kwargs
            Passed on to the build function.

        Raises
        ------
        BuildError
            If no build function is known for the object's type.
        """
        # Frozen objects, such as synapses, have no entry, and are slow to hash.
        if not isinstance(obj, FrozenObject) and model.has_built(obj):
            warnings.warn(f"Object {obj} has already been built.", stacklevel=2)
            return None
        for obj_class in type(obj).__mro__:
            function = third_party_build_function(obj_class) or cls.builders.get(obj_class)
            if function is not None:
                return function(model, obj, *args, **kwargs)
        raise BuildError(
            f"Cannot build object of type '{type(obj).__name__}' ({obj}): no build function is "
            "registered for this type. Register one with Builder.register."
        )

    @classmethod
    def register(cls, nengo_class: type) -> Callable[[BuildFunction], BuildFunction]:
        """Register the decorated function as the build function of a class and its subclasses.

        Parameters
        ----------
        nengo_class : type
            The class. If it has a build function already, a warning is given and that is replaced.
        """

        def register_function(function: BuildFunction) -> BuildFunction:
            if nengo_class in cls.builders:
                warnings.warn(
                    f"Type '{nengo_class}' already has a builder. Overwriting.", stacklevel=2
                )
            cls.builders[nengo_class] = function
            return function

        return register_function


def method_of(model: reference.Model) -> RateBackend:
    """Return the rate backend of a model; NumPy's for a model of nengo's own class."""
    return model.decoders.method if isinstance(model, Model) else IN_NUMPY
