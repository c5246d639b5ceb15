"""Names of a network's objects, for tables, pictures and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from nengo import Connection, Network, Probe
from nengo.base import NengoObject

ARROW = " → "
SEPARATOR = "."


class Labels:
    """Names of the objects of a network, and of the networks that they are in.

    An object without a label is named by its kind and its number in its network, such as
    "Ensemble 2"; a connection or probe without a label by the objects at its ends.

    Parameters
    ----------
    network : nengo.Network or None
        The outermost network. With None, no object is known.
    """

    def __init__(self, network: Network | None):
        self._names: dict[object, str] = {}
        self._places: dict[object, str] = {}
        if network is not None:
            self._add(network, "")

    def _add(self, network: Network, place: str) -> None:
        """Name the objects of a network; connections and probes last, by what they connect."""
        kinds = sorted(network.objects, key=lambda kind: issubclass(kind, Connection | Probe))
        for kind in kinds:
            for number, obj in enumerate(network.objects[kind], start=1):
                self._places[obj] = place
                self._names[obj] = str(obj.label or f"{kind.__name__} {number}")
                if isinstance(obj, Network):
                    self._add(obj, f"{place}{SEPARATOR}{self[obj]}" if place else self[obj])
        for connection in network.connections:
            if not connection.label:
                name = f"{self[connection.pre_obj]}{ARROW}{self[connection.post_obj]}"
                self._names[connection] = name
        for probe in network.probes:
            if not probe.label:
                self._names[probe] = f"{self[probe.obj]} {probe.attr}"

    def __getitem__(self, obj: object) -> str:
        """The name of an object, or of the one that it is a part of."""
        if obj not in self._names:
            whole = getattr(obj, "ensemble", None) or getattr(obj, "connection", None)
            if whole is not None:
                return f"{self[whole]}.{'neurons' if hasattr(obj, 'ensemble') else 'learning_rule'}"
            return str(getattr(obj, "label", None) or type(obj).__name__)
        return self._names[obj]

    def place_of(self, obj: object) -> str:
        """Names of the networks around an object, from the outside; empty for the outermost one."""
        return self._places.get(obj, "")

    def full(self, obj: object) -> str:
        """The name of an object after the names of its networks."""
        place = self.place_of(obj)
        return f"{place}{SEPARATOR}{self[obj]}" if place else self[obj]

    def unique(self, objects: Iterable[NengoObject]) -> dict[NengoObject, str]:
        """Full names that are all different: repeated ones get a number."""
        found: dict[NengoObject, str] = {}
        taken: set[str] = set()
        for obj in objects:
            name = full = self.full(obj)
            number = 2
            while name in taken:
                name, number = f"{full} ({number})", number + 1
            taken.add(name)
            found[obj] = name
        return found


def name_by_variables(network: Network, variables: Mapping[str, object]) -> None:
    """Label objects that have no label by the variables, or attributes of networks, that hold them.

    Parameters
    ----------
    network : nengo.Network
        The network.
    variables : mapping of (str, object)
        Variables by name, such as the globals of the module that made the network.
    """
    for names in (variables, *map(vars, [network, *network.all_networks])):
        for name, value in _named(names):
            if getattr(value, "label", "") is None and value is not network:
                value.label = name


def _named(variables: Mapping[str, object]) -> Iterator[tuple[str, NengoObject | Network]]:
    for name, value in list(variables.items()):
        if isinstance(value, NengoObject | Network) and not name.startswith("_"):
            yield name, value
