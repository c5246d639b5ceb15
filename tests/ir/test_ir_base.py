import importlib
import pickle
import re

import nengo
import nengo.builder.operator as reference
import numpy as np
import pytest
import scipy.sparse
from nengo.builder.signal import SignalDict as NengoSignalDict
from random_signals import random_signal

from nengo_jit.ir.base import Operator
from nengo_jit.ir.compute import computation
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.operator import Reset
from nengo_jit.ir.signal import Signal

ROLES = ("sets", "incs", "reads", "updates")

NENGOS_MODULES = ("operator", "neurons", "processes", "learning_rules", "transforms", "probe")
MODULES = ("base", "python", *NENGOS_MODULES)


def operators_in(package, names):
    """Every class of operators that is defined in the modules of a package, by name."""
    classes = {}
    for module in (importlib.import_module(f"{package}.{name}") for name in names):
        for name, value in vars(module).items():
            defined_here = getattr(value, "__module__", None) == module.__name__
            if defined_here and isinstance(value, type) and issubclass(value, reference.Operator):
                classes[name] = value
    return classes


OURS = operators_in("nengo_jit.ir", MODULES)
NENGOS = operators_in("nengo.builder", NENGOS_MODULES)


def roles(operator):
    return {role: getattr(operator, role) for role in ROLES}


def arguments(name):
    """Arguments to make an operator of a given name with, fit for our class and nengo's."""
    return {
        "Operator": {},
        "TimeUpdate": {"step": Signal(np.array(0), name="n"), "time": Signal(0.0, name="t")},
        "Reset": {"dst": random_signal(2), "value": 3},
        "Copy": {
            "src": random_signal(4),
            "dst": random_signal(5),
            "src_slice": [3, 0, 1],
            "dst_slice": [1, 1, -1],
            "inc": True,
        },
        "ElementwiseInc": {
            "A": random_signal(3),
            "X": random_signal(2, 3),
            "Y": Signal(shape=(2, 3), name="Y"),
        },
        "DotInc": {"A": random_signal(2, 3), "X": random_signal(3), "Y": random_signal(2)},
        "SparseDotInc": {
            "A": Signal(scipy.sparse.csr_matrix([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]]), name="A"),
            "X": random_signal(3),
            "Y": random_signal(2),
        },
        "SimPyFunc": {
            "output": random_signal(2),
            "fn": np.cumsum,
            "t": None,
            "x": random_signal(2, seed=1),
        },
        "SimNeurons": {
            "neurons": nengo.LIF(),
            "J": Signal([1.5, 50.0], name="J"),
            "output": Signal(shape=2, name="spikes"),
            "state": {"voltage": random_signal(2), "refractory_time": Signal(shape=2, name="r")},
        },
        "SimProcess": {
            "process": nengo.synapses.Lowpass(0.01),
            "input": random_signal(2),
            "output": Signal(shape=2, name="filtered"),
            "t": Signal(0.0, name="t"),
            "mode": "update",
            "state": {"X": Signal(shape=(1, 2), name="X")},
        },
        "SimPES": {
            "pre_filtered": random_signal(3),
            "error": random_signal(2),
            "delta": Signal(shape=(2, 3), name="delta"),
            "learning_rate": 0.5,
        },
        "SimBCM": {
            "pre_filtered": random_signal(3),
            "post_filtered": random_signal(2),
            "theta": random_signal(2, seed=1),
            "delta": Signal(shape=(2, 3), name="delta"),
            "learning_rate": 0.5,
        },
        "SimOja": {
            "pre_filtered": random_signal(3),
            "post_filtered": random_signal(2),
            "weights": random_signal(2, 3),
            "delta": Signal(shape=(2, 3), name="delta"),
            "learning_rate": 0.5,
            "beta": 0.7,
        },
        "SimVoja": {
            "pre_decoded": random_signal(2),
            "post_filtered": random_signal(3),
            "scaled_encoders": random_signal(3, 2),
            "delta": Signal(shape=(3, 2), name="delta"),
            "scale": np.array([1.0, 2.0, 3.0]),
            "learning_signal": Signal([0.5], name="learning"),
            "learning_rate": 0.5,
        },
        "SimRLS": {
            "pre_filtered": random_signal(3),
            "error": random_signal(2),
            "delta": Signal(shape=(2, 3), name="delta"),
            "inv_gamma": Signal(np.eye(3) * 0.1, name="P"),
        },
        "GeneralConvInc": {
            "W": random_signal(3, 2, 4),
            "X": random_signal(10),
            "Y": random_signal(12),
            "conv": nengo.Convolution(4, (5, 2), kernel_size=(3,), strides=(1,)),
        },
        "ConvInc": {
            "W": random_signal(3, 2, 4),
            "X": random_signal(10),
            "Y": random_signal(12),
            "conv": nengo.Convolution(4, (5, 2), kernel_size=(3,), strides=(1,)),
        },
        "ConvTransposeInc": {
            "W": random_signal(3, 2, 4),
            "X": random_signal(6),
            "Y": random_signal(20),
            "conv": nengo.ConvolutionTranspose(4, (3, 2), kernel_size=(3,), strides=(1,)),
        },
        "SimProbe": {"signal": random_signal(2)},
    }[name]


every_operator = pytest.mark.parametrize("name", sorted(OURS))


class TestEveryOperator:
    def test_there_is_one_for_each_of_nengos(self):
        # nengo's optimizer alone makes BsrDotInc
        assert set(OURS) == set(NENGOS) - {"BsrDotInc"}

    @every_operator
    def test_its_type_is_nengos(self, name):
        assert issubclass(OURS[name], NENGOS[name])

    @every_operator
    def test_it_inherits_nothing_but_the_type(self, name):
        special = {"__init__", "__str__", "__repr__"}
        for attribute in dir(OURS[name]):
            if attribute in special or not re.fullmatch("__.*__", attribute):
                owner = next(c for c in OURS[name].__mro__ if attribute in vars(c))
                assert owner.__module__.split(".")[0] == "nengo_jit", attribute

    @every_operator
    def test_it_has_the_attributes_of_nengos(self, name):
        given_arguments = arguments(name)
        ours = OURS[name](**given_arguments, tag="a tag")
        theirs = NENGOS[name](**given_arguments, tag="a tag")
        attributes = [a for a in dir(theirs) if not a.startswith("_") and a != "all_signals"]
        for attribute in attributes:
            value = getattr(theirs, attribute)
            if not callable(value) or attribute == "fn":
                own_value = getattr(ours, attribute)
                assert own_value is value or own_value == value, attribute

    @every_operator
    def test_it_knows_all_its_signals(self, name):
        operator = OURS[name](**arguments(name))
        if name == "Operator":
            operator.sets, operator.incs, operator.reads, operator.updates = [], [], [], []
        signals = set().union(*roles(operator).values())
        assert set(operator.all_signals) == signals
        memory = SignalDict()
        operator.init_signals(memory)
        assert signals <= set(memory)

    @every_operator
    def test_it_can_be_pickled(self, name):
        operator = OURS[name](**arguments(name), tag="a tag")
        loaded = pickle.loads(pickle.dumps(operator))
        assert type(loaded) is OURS[name]
        assert loaded.tag == "a tag"
        for role in ROLES:
            before, after = getattr(operator, role), getattr(loaded, role)
            assert [s.name for s in before or []] == [s.name for s in after or []]

    @every_operator
    def test_str_tells_operands_and_tag(self, name):
        given_arguments = arguments(name)
        for options, suffix in (({}, ""), ({"tag": "a tag"}, " 'a tag'")):
            text = str(OURS[name](**given_arguments, **options))
            assert text.startswith(f"{name}{{")
            assert text.endswith(f"{suffix}}}")
            if name != "SimProbe":  # nengo does not tell the signal
                assert text == str(NENGOS[name](**given_arguments, **options))

    @every_operator
    def test_repr_tells_tag_and_address(self, name):
        given_arguments = arguments(name)
        operator = OURS[name](**given_arguments, tag="a tag")
        assert repr(operator) == f"<{name} 'a tag' at {hex(id(operator))}>"
        operator = OURS[name](**given_arguments)
        assert repr(operator) == f"<{name} at {hex(id(operator))}>"

    @pytest.mark.parametrize("name", sorted(set(OURS) - {"Operator"}))
    def test_it_does_what_nengos_does(self, name):
        given_arguments = arguments(name)
        results = []
        for operators, memory in (
            (NENGOS, NengoSignalDict()),
            (OURS, SignalDict()),
        ):
            operator = operators[name](**given_arguments)
            operator.init_signals(memory)
            step = operator.make_step(memory, 0.002, np.random.RandomState(0))
            for _ in range(3):
                step()
            results.append(memory)
        theirs, ours = results
        for signal in theirs:
            if not signal.sparse:
                np.testing.assert_allclose(ours[signal], theirs[signal], rtol=1e-12, atol=1e-15)


class TestOperator:
    def test_it_states_no_roles_by_itself(self):
        assert roles(Operator()) == dict.fromkeys(ROLES)

    def test_it_computes_nothing_by_itself(self):
        with pytest.raises(NotImplementedError, match="make_step"):
            Operator(tag="nothing").make_step(SignalDict(), 0.001, None)

    def test_memory_that_is_there_already_is_kept(self):
        signal = Signal([1.0, 2.0])
        signals = SignalDict([signal])
        signals[signal] = 5
        Reset(signal).init_signals(signals)
        assert signals[signal].tolist() == [5, 5]

    def test_memory_may_be_a_dictionary_of_nengos(self):
        signal = Signal([1.0, 2.0])
        operator = Reset(signal, value=4)
        signals = NengoSignalDict()
        operator.init_signals(signals)
        operator.make_step(signals, 0.001, None)()
        assert signals[signal].tolist() == [4, 4]

    def test_a_subclass_may_assign_its_roles_as_attributes(self, run):
        class Double(Operator):
            def __init__(self, source, target, tag=None):
                super().__init__(tag=tag)
                self.sets = [target]
                self.incs = []
                self.reads = [source]
                self.updates = []

            def make_step(self, signals, dt, rng):
                source, target = signals[self.reads[0]], signals[self.sets[0]]

                def step():
                    target[...] = 2 * source

                return step

        source, target = Signal([1.0, 2.0]), Signal(shape=2)
        operator = Double(source, target, tag="twice")
        assert operator.all_signals == [source, target]
        assert str(operator) == "Double{ 'twice'}"
        assert run(operator)[target].tolist() == [2, 4]

    def test_roles_can_be_replaced(self, run):
        one, other = Signal(1.0), Signal(1.0)
        operator = Reset(one)
        operator.sets = [other]
        assert operator.dst is other
        assert run(operator)[other] == 0

    def test_a_subclass_may_say_what_it_computes(self, run):
        class SumAndProduct(Operator):
            """Set the sum, add the product, and keep the difference for the next step."""

            def __init__(self, a, b, total, product, difference):
                super().__init__(sets=[total], incs=[product], reads=[a, b], updates=[difference])

            def parameters(self, dt):
                return (dt,)

            @staticmethod
            def compute(xp, dt, a, b):
                return a + b, xp.where(a > b, a * b, 0.0), (a - b) / dt

        total, product, difference = (Signal(np.ones(2)) for _ in range(3))
        operator = SumAndProduct(Signal([1.0, 2.0]), Signal([3.0, 1.0]), total, product, difference)
        memory = run(operator, n_steps=2, dt=0.5)
        assert memory[total].tolist() == [4, 3]
        assert memory[product].tolist() == [1, 5]
        assert memory[difference].tolist() == [-4, 2]
        assert computation(operator, 0.5).parameters == (0.5,)

    def test_a_subclass_may_use_the_names_for_something_else(self):
        class Other(Operator):
            def __init__(self):
                super().__init__(sets=[], incs=[], reads=[], updates=[])
                self.inputs, self.outputs, self.place, self.parameters = 1, 2, 3, 4

            def make_step(self, signals, dt, rng):
                return lambda: None

        operator = Other()
        operator.make_step(SignalDict(), 0.001, None)()
        assert computation(operator, 0.001) is None
