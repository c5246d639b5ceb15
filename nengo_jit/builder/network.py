"""Build a network: draw the seeds, then build the objects in their documented order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import numpy as np
from nengo import Connection, Ensemble, Network, Node, Probe
from nengo.base import NengoObject
from nengo.params import FrozenObject
from nengo.utils.numpy import maxint
from nengo.utils.progress import Progress

from nengo_jit.builder.builder import Builder, Model
from nengo_jit.builder.built import drop_points
from nengo_jit.builder.caching import seconds_of
from nengo_jit.builder.costs import build_cost, solve_cost
from nengo_jit.builder.generators import generator
from nengo_jit.builder.log import BuildLog
from nengo_jit.exceptions import add_context
from nengo_jit.ir.base import Rng
from nengo_jit.settings import settings_held

# The order in which seeds are drawn. Probes come last: adding one changes no other seed.
SEEDING_ORDER = (Connection, Ensemble, Network, Node, Probe)


@Builder.register(Network)
def build_network(model: Model, network: Network, progress: Progress | None = None) -> None:
    """Build a network into a model.

    Its objects are built in this order: ensembles (with their neurons) and nodes, subnetworks,
    connections (each with its learning rules), probes.

    Parameters
    ----------
    model : Model
        The model to build into. The first network that is built becomes its ``toplevel``, and
        draws the seeds of all objects inside.
    network : nengo.Network
        The network.
    progress : nengo.utils.progress.Progress, optional
        Advances with each object that has been built. Only the top-level network uses it.

    Notes
    -----
    Sets ``model.params[network]`` to None.
    """
    if model.toplevel is None:
        model.toplevel = network
        seed_network(network, seeds=model.seeds, seeded=model.seeded)
        if isinstance(model, Model):
            model.decoders.expect(network, model.seeds)
        if progress is not None:
            _report(model, network, progress)

    outer_config, model.config = model.config, network.config
    try:
        if model.toplevel is network:
            with settings_held(), model.decoder_cache, progress or contextlib.nullcontext():
                _build_objects(model, network)
                drop_points(model.params, *model.params)
                model.decoder_cache.shrink()
                if progress is not None:  # cached decoders have not been counted
                    progress.step(progress.max_steps - progress.n_steps)
        else:
            _build_objects(model, network)
    finally:
        model.config = outer_config
        if model.toplevel is network:
            model.build_callback = None
            if isinstance(model, Model):
                model.decoders.forget()
                model.decoders.solved = None
    model.params[network] = None


def _report(model: Model, network: Network, progress: Progress) -> None:
    """Advance progress with each object and each solution, by its estimated cost."""
    costs = {obj: build_cost(obj) for obj in network.all_objects}

    def count_built(obj: object) -> None:
        if not isinstance(obj, FrozenObject) and obj in costs:  # not a part of an object
            progress.step(costs[obj])

    progress.max_steps = sum(costs.values()) + 1
    model.build_callback = count_built
    if isinstance(model, Model):
        expected = model.decoders.expected
        solve_costs = {ensemble: solve_cost(ensemble) for ensemble in expected}
        progress.max_steps += sum(solve_costs[ensemble] for ensemble in expected)
        model.decoders.solved = lambda ensemble: progress.step(solve_costs[ensemble])


def _build_objects(model: Model, network: Network) -> None:
    _build_each(model, network.ensembles + network.nodes)
    for subnetwork in network.networks:
        model.build(subnetwork)
    # A connection is built together with its learning rules: later connections may lead to
    # these.
    _build_each(model, network.connections)
    _build_each(model, network.probes)


def _build_each(model: Model, objects: Iterable[NengoObject]) -> None:
    log = model.log if isinstance(model, Model) else BuildLog()
    log.note(None, len(model.operators), seconds_of(model.decoder_cache))
    for obj in objects:
        try:
            model.build(obj)
        except Exception as error:
            add_context(error, f"This happened while building {obj}.")
            raise
        log.note(obj, len(model.operators), seconds_of(model.decoder_cache))


def seed_network(
    network: Network,
    seeds: dict[object, int],
    seeded: dict[object, bool],
    base_rng: Rng = np.random,
) -> None:
    """Choose a seed for a network and for each object inside.

    A number is drawn for each object, even if it has a seed: so an object's seed does not change
    those of others. The seeds inside a subnetwork come from a generator of its own: so changes
    inside do not change seeds outside.

    Parameters
    ----------
    network : nengo.Network
        The outermost network.
    seeds : dict of (object, int)
        The seeds are added here. Seeds that it contains already are kept.
    seeded : dict of (object, bool)
        Whether the user chose the seed, on the object or on a network around it, is added here.
        Entries that it contains already are kept.
    base_rng : numpy.random.RandomState or module
        Source of the network's own seed.
    """
    _seed(network, base_rng, False, seeds, seeded)
    _seed_contents(network, seeds, seeded)


def _seed_contents(network: Network, seeds: dict[object, int], seeded: dict[object, bool]) -> None:
    _seed_objects(network, seeds, seeded)
    for subnetwork in network.networks:
        _seed_contents(subnetwork, seeds, seeded)


def _seed_objects(network: Network, seeds: dict[object, int], seeded: dict[object, bool]) -> None:
    with generator(seeds[network]) as rng:
        for object_type in SEEDING_ORDER:
            for obj in network.objects[object_type]:
                _seed(obj, rng, seeded[network], seeds, seeded)


def _seed(
    obj: object, rng: Rng, inherited: bool, seeds: dict[object, int], seeded: dict[object, bool]
) -> None:
    drawn = rng.randint(maxint)
    own = getattr(obj, "seed", None)
    seeds.setdefault(obj, drawn if own is None else own)
    seeded.setdefault(obj, own is not None or inherited)
