import nengo.builder.operator as reference
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.builder.signal import SignalDict as NengoSignalDict
from nengo.exceptions import BuildError
from nengo.transforms import SparseMatrix
from random_signals import random_signal

from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.operator import (
    Copy,
    DotInc,
    ElementwiseInc,
    Reset,
    SparseDotInc,
    TimeUpdate,
)
from nengo_jit.ir.selection import has_repeats
from nengo_jit.ir.signal import Signal

by_example = settings(max_examples=60, deadline=None, derandomize=True)

ROLES = ("sets", "incs", "reads", "updates")


def roles(operator):
    return {role: getattr(operator, role) for role in ROLES}


class TestTimeUpdate:
    @staticmethod
    def operator():
        return TimeUpdate(Signal(np.array(0), name="step"), Signal(0.0, name="time"), tag="clock")

    def test_it_sets_step_and_time(self):
        operator = self.operator()
        step, time = operator.step, operator.time
        assert roles(operator) == {"sets": [step, time], "incs": [], "reads": [], "updates": []}

    def test_in_the_first_step_the_time_is_dt(self, run):
        operator = self.operator()
        signals = run(operator, dt=0.25)
        assert signals[operator.step] == 1
        assert signals[operator.time] == 0.25

    def test_time_does_not_accumulate_rounding_errors(self, run):
        operator = self.operator()
        signals = run(operator, dt=0.1, n_steps=1000)
        assert signals[operator.step] == 1000
        assert signals[operator.time] == 1000 * 0.1

    def test_time_follows_a_step_counter_that_was_changed(self, prepare):
        operator = self.operator()
        signals, step = prepare(operator, dt=0.5)
        signals[operator.step] = 9
        step()
        assert signals[operator.time] == 5


class TestReset:
    def test_it_sets_its_target(self):
        dst = Signal(shape=3)
        operator = Reset(dst)
        assert operator.dst is dst
        assert roles(operator) == {"sets": [dst], "incs": [], "reads": [], "updates": []}

    @pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
    @pytest.mark.parametrize("value", [0, 1, -2.5, np.inf])
    def test_every_element_becomes_the_value(self, run, shape, value):
        dst = Signal(np.full(shape, 7.0))
        assert np.array_equal(run(Reset(dst, value=value))[dst], np.full(shape, value))

    def test_the_value_is_zero_by_default(self, run):
        dst = Signal([1.0, 2.0])
        assert run(Reset(dst))[dst].tolist() == [0, 0]

    def test_the_value_is_a_float(self):
        assert isinstance(Reset(Signal(1.0), value=3).value, float)

    def test_only_the_part_that_a_view_sees_is_reset(self, run):
        base = Signal([1.0, 2.0, 3.0, 4.0])
        assert run(Reset(base[1::2]))[base].tolist() == [1, 0, 3, 0]


class TestCopy:
    @staticmethod
    def signals():
        return Signal([10.0, 20.0, 30.0, 40.0], name="src"), Signal([1.0, 2.0, 3.0], name="dst")

    def test_a_copy_sets_its_target(self):
        src, dst = self.signals()
        operator = Copy(src, dst)
        assert (operator.src, operator.dst, operator.inc) == (src, dst, False)
        assert roles(operator) == {"sets": [dst], "incs": [], "reads": [src], "updates": []}

    def test_an_incrementing_copy_increments_its_target(self):
        src, dst = self.signals()
        operator = Copy(src, dst, inc=True)
        assert (operator.src, operator.dst, operator.inc) == (src, dst, True)
        assert roles(operator) == {"sets": [], "incs": [dst], "reads": [src], "updates": []}

    def test_a_whole_signal_is_copied(self, run):
        src, dst = Signal([[1.0, 2.0], [3.0, 4.0]]), Signal(shape=(2, 2))
        signals = run(Copy(src, dst))
        assert np.array_equal(signals[dst], src.initial_value)
        assert not np.shares_memory(signals[dst], signals[src])

    def test_a_whole_signal_is_added(self, run):
        src, dst = Signal([1.0, 2.0]), Signal([10.0, 20.0])
        assert run(Copy(src, dst, inc=True), n_steps=3)[dst].tolist() == [13, 26]

    def test_one_element_is_copied_to_many(self, run):
        src, dst = Signal([5.0]), Signal(shape=3)
        assert run(Copy(src, dst))[dst].tolist() == [5, 5, 5]

    @pytest.mark.parametrize(
        "src_slice, dst_slice, copied, added",
        [
            (slice(0, 3), None, [10, 20, 30], [11, 22, 33]),
            (slice(None, None, -2), slice(0, 2), [40, 20, 3], [41, 22, 3]),
            (slice(1, 3), slice(None, None, 2), [20, 2, 30], [21, 2, 33]),
            ([3, 0, 0], None, [40, 10, 10], [41, 12, 13]),
            ([-1, -2], [-1, 0], [30, 2, 40], [31, 2, 43]),
            (slice(2, 4), [2, 1], [1, 40, 30], [1, 42, 33]),
            ([2], slice(1, 3), [1, 30, 30], [1, 32, 33]),
            ([True, False, False, True], [0, 1], [10, 40, 3], [11, 42, 3]),
            (slice(2), [True, False, True], [10, 2, 20], [11, 2, 23]),
            ([1], [False, True, True], [1, 20, 20], [1, 22, 23]),
        ],
    )
    def test_selected_elements_are_copied_or_added(self, run, src_slice, dst_slice, copied, added):
        for inc, expected in ((False, copied), (True, added)):
            src, dst = self.signals()
            operator = Copy(src, dst, src_slice=src_slice, dst_slice=dst_slice, inc=inc)
            assert run(operator)[dst].tolist() == expected

    @pytest.mark.parametrize("kind", [list, tuple, np.array])
    def test_indices_may_be_any_kind_of_sequence(self, run, kind):
        src, dst = self.signals()
        operator = Copy(src[:2], dst, dst_slice=kind([2, 0]))
        assert run(operator)[dst].tolist() == [20, 2, 10]

    def test_an_empty_list_selects_nothing(self, run):
        src, empty = Signal([1.0, 2.0]), Signal(shape=0)
        assert run(Copy(src, empty, src_slice=[]))[empty].tolist() == []

    def test_indices_select_rows_of_a_matrix(self, run):
        src, dst = Signal([[1.0, 2.0], [3.0, 4.0]]), Signal(np.zeros((3, 2)))
        operator = Copy(src, dst, src_slice=[1, 0, 1], dst_slice=[0, 2, 0], inc=True)
        assert run(operator)[dst].tolist() == [[6, 8], [0, 0], [1, 2]]

    def test_slices_become_views_of_the_operands(self):
        src, dst = self.signals()
        operator = Copy(src, dst, src_slice=slice(1, 4), dst_slice=slice(None, None, -1))
        assert operator.src_slice is operator.dst_slice is None
        assert operator.src.base is src
        assert operator.src.elemoffset == 1
        assert operator.dst.base is dst
        assert operator.dst.elemstrides == (-1,)

    def test_lists_stay_attributes(self):
        src, dst = self.signals()
        operator = Copy(src, dst, src_slice=[1, 2], dst_slice=[0, 1])
        assert (operator.src, operator.src_slice) == (src, [1, 2])
        assert (operator.dst, operator.dst_slice) == (dst, [0, 1])

    @by_example
    @given(
        places=st.lists(st.tuples(st.integers(-4, 3), st.integers(-3, 2)), min_size=1, max_size=8)
    )
    def test_a_repeated_index_adds_repeatedly(self, run, places):
        src, dst = self.signals()
        expected = [1.0, 2.0, 3.0]
        for source, target in places:
            expected[target] += src.initial_value[source]
        sources, targets = zip(*places)
        operator = Copy(src, dst, src_slice=list(sources), dst_slice=list(targets), inc=True)
        assert run(operator)[dst].tolist() == expected

    @pytest.mark.parametrize("dst_slice", [[1, 1], [0, -3], np.array([2, 0, -1])])
    def test_a_repeated_index_cannot_be_assigned_to(self, prepare, dst_slice):
        src, dst = self.signals()
        operator = Copy(src[: len(dst_slice)], dst, dst_slice=dst_slice, tag="culprit")
        with pytest.raises(BuildError, match=r"culprit.*repeated indices"):
            prepare(operator)

    @pytest.mark.parametrize(
        "indices, length, expected",
        [
            ([0, 1, 2], 3, False),
            ([0, 1, 0], 3, True),
            ([0, -3], 3, True),
            ([0, -2], 3, False),
            ([True, True], 2, False),
            ([], 2, False),
        ],
    )
    def test_has_repeats_counts_negative_indices_from_the_end(self, indices, length, expected):
        assert has_repeats(indices, length) == expected

    def test_str_tells_the_selections(self):
        src, dst = self.signals()
        text = str(Copy(src, dst, src_slice=[0, 1], dst_slice=[1, 2], inc=True))
        assert text == f"Copy{{{src}[[0, 1]] -> {dst}[[1, 2]], inc=True}}"


def outcome(operator_class, signal_dict, **operands):
    """What an operator's step leaves in Y, and its ``reshape``; None where it cannot work."""
    try:
        operator = operator_class(**operands)
        signals = signal_dict()
        operator.init_signals(signals)
        operator.make_step(signals, 0.001, None)()
    except (BuildError, ValueError):
        return None
    return signals[operands["Y"]].tolist(), getattr(operator, "reshape", None)


def agrees_with_nengo(our_class, nengo_class, a, x, y):
    operands = {"A": random_signal(*a), "X": random_signal(*x, seed=1), "Y": random_signal(*y)}
    expected = outcome(nengo_class, NengoSignalDict, **operands)
    assert outcome(our_class, SignalDict, **operands) == expected
    if expected is None:
        with pytest.raises(BuildError):
            our_class(**operands).make_step(SignalDict(operands.values()), 0.001, None)


class TestElementwiseInc:
    def test_it_increments_y_and_reads_the_factors(self):
        A, X, Y = (Signal(shape=2) for _ in range(3))
        operator = ElementwiseInc(A, X, Y)
        assert (operator.A, operator.X, operator.Y) == (A, X, Y)
        assert roles(operator) == {"sets": [], "incs": [Y], "reads": [A, X], "updates": []}

    @pytest.mark.parametrize(
        "a, x, y, expected",
        [
            (2.0, 3.0, 1.0, 7),
            (2.0, 3.0, [1.0], [7]),
            ([2.0], 3.0, [1.0], [7]),
            (2.0, [1.0, 2.0], [10.0, 20.0], [12, 24]),
            ([1.0, 2.0], 3.0, [10.0, 20.0], [13, 26]),
            ([1.0, 2.0], [3.0, 4.0], [10.0, 20.0], [13, 28]),
            ([2.0], [3.0, 4.0], [10.0, 20.0], [16, 28]),
            ([1.0, 2.0], [[3.0], [4.0]], np.zeros((2, 2)), [[3, 6], [4, 8]]),
            ([[1.0, 2.0], [3.0, 4.0]], [10.0, 100.0], np.zeros((2, 2)), [[10, 200], [30, 400]]),
            ([1.0, 2.0], [3.0, 4.0], np.zeros((1, 2)), [[3, 8]]),
        ],
    )
    def test_products_are_added_with_broadcasting(self, run, a, x, y, expected):
        Y = Signal(y)
        assert run(ElementwiseInc(Signal(a), Signal(x), Y))[Y].tolist() == expected

    def test_every_step_adds(self, run):
        Y = Signal([1.0])
        assert run(ElementwiseInc(Signal(2.0), Signal([3.0]), Y), n_steps=4)[Y] == 25

    def test_operands_may_be_views(self, run):
        numbers = Signal(np.arange(6.0))
        Y = Signal(np.zeros(6))
        signals = run(ElementwiseInc(numbers[::2], numbers[::-2], Y[1::2]))
        assert signals[Y].tolist() == [0, 0 * 5, 0, 2 * 3, 0, 4 * 1]

    @pytest.mark.parametrize(
        "a, x, y",
        [
            ((2,), (3,), (3,)),
            ((2,), (2,), (3,)),
            ((2,), (2,), (1,)),
            ((), (), (2,)),
            ((1,), (1,), ()),
            ((2, 1), (1, 3), (3, 2)),
            ((1, 3), (3,), (3,)),
            ((1,), (1,), (2, 2)),
        ],
    )
    def test_shapes_that_do_not_fit_are_refused(self, prepare, a, x, y):
        operator = ElementwiseInc(random_signal(*a), random_signal(*x), random_signal(*y), tag="it")
        with pytest.raises(BuildError, match=r"ElementwiseInc.*'it'.*Trying to do"):
            prepare(operator)

    shapes = st.lists(st.integers(1, 3), max_size=2).map(tuple)

    @by_example
    @given(a=shapes, x=shapes, y=shapes)
    def test_it_works_for_the_shapes_that_nengos_works_for(self, a, x, y):
        agrees_with_nengo(ElementwiseInc, reference.ElementwiseInc, a, x, y)


class TestDotInc:
    def test_it_increments_y_and_reads_the_factors(self):
        A, X, Y = Signal(shape=(2, 3)), Signal(shape=3), Signal(shape=2)
        operator = DotInc(A, X, Y)
        assert (operator.A, operator.X, operator.Y) == (A, X, Y)
        assert roles(operator) == {"sets": [], "incs": [Y], "reads": [A, X], "updates": []}

    @pytest.mark.parametrize(
        "a, x, y, expected",
        [
            ([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [10.0, 1.0], [0.5, 0.0, 0.0], [12.5, 34, 56]),
            ([[1.0, 2.0], [3.0, 4.0]], [[10.0], [1.0]], [[0.5], [0.0]], [[12.5], [34]]),
            (2.0, [1.0, 2.0], [10.0, 20.0], [12, 24]),
            ([1.0, 2.0], 3.0, [10.0, 20.0], [13, 26]),
            (2.0, 3.0, 1.0, 7),
            ([1.0, 2.0], [3.0, 4.0], 0.5, 11.5),
            ([1.0, 2.0], [3.0, 4.0], [0.5], [11.5]),
            ([1.0, 2.0], [3.0, 4.0], [[0.5]], [[11.5]]),
            (2.0, 3.0, [[1.0]], [[7]]),
            ([[2.0]], [3.0], [1.0], [7]),
            ([[1.0, 2.0]], [3.0, 4.0], [0.5], [11.5]),
            ([[1.0, 2.0]], [[3.0], [4.0]], [[0.5]], [[11.5]]),
            ([1.0, 2.0], [3.0, 4.0], [0.5, 1.0], [11.5, 12.0]),
        ],
    )
    def test_the_product_is_added(self, run, a, x, y, expected):
        Y = Signal(y)
        assert run(DotInc(Signal(a), Signal(x), Y))[Y].tolist() == expected

    def test_every_step_adds(self, run):
        Y = Signal([1.0])
        assert run(DotInc(Signal([[2.0]]), Signal([3.0]), Y), n_steps=4)[Y] == 25

    def test_operands_may_be_strided_views(self, run):
        A = Signal(np.arange(24.0).reshape(4, 6))
        X = Signal(np.arange(6.0))
        Y = Signal(np.zeros(5))
        signals = run(DotInc(A[::2, ::-2], X[::2], Y[3:0:-2]))
        # rows 0 and 2, columns 5, 3 and 1, times 0, 2 and 4, into places 3 and 1
        expected = [0, 15 * 2 + 13 * 4, 0, 3 * 2 + 1 * 4, 0]
        assert signals[Y].tolist() == expected

    def test_the_matrix_may_be_transposed(self, run):
        array = np.arange(6.0).reshape(2, 3)
        base = Signal(array)
        A = Signal(base.initial_value.T, base=base)
        Y = Signal(np.zeros(3))
        assert run(DotInc(A, Signal([1.0, 10.0]), Y))[Y].tolist() == [30, 41, 52]

    @pytest.mark.parametrize(
        "a, x, y, expected",
        [
            ((2, 3), (3,), (2,), False),
            ((1, 3), (3,), (1,), True),
            ((3,), (3,), (), True),
            ((3,), (3,), (1,), True),
            ((), (), (), True),
            ((3,), (3,), (2,), False),
        ],
    )
    def test_reshape_is_found_out(self, a, x, y, expected):
        operator = DotInc(random_signal(*a), random_signal(*x), random_signal(*y))
        assert operator.reshape == expected

    def test_reshape_can_be_chosen(self, run):
        A, X, Y = Signal([[1.0, 2.0]]), Signal([3.0, 4.0]), Signal(0.5)
        operator = DotInc(A, X, Y, reshape=True)
        assert operator.reshape is True
        assert run(operator)[Y] == 11.5
        assert DotInc(A, X, Y, reshape=False).reshape is False

    @pytest.mark.parametrize(
        "x, y, culprit", [((3, 2), (2,), "X"), ((3,), (2, 2), "Y"), ((3, 1), (2, 2), "Y")]
    )
    def test_only_the_first_factor_can_be_a_matrix(self, x, y, culprit):
        with pytest.raises(BuildError, match=rf"it.*{culprit} must be a column vector"):
            DotInc(random_signal(2, 3), random_signal(*x), random_signal(*y), tag="it")

    @pytest.mark.parametrize(
        "a, x, y",
        [
            ((2, 3), (2,), (2,)),
            ((2, 3), (3,), (3,)),
            ((2, 3), (3, 1), (2,)),
            ((2, 3), (3,), (2, 1)),
            ((2,), (3,), ()),
            ((1, 3), (3,), ()),
            ((), (3,), (2,)),
            ((2,), (), (3,)),
        ],
    )
    def test_shapes_that_do_not_fit_are_refused(self, a, x, y):
        with pytest.raises(BuildError, match="shape mismatch in it"):
            DotInc(random_signal(*a), random_signal(*x), random_signal(*y), tag="it")

    vectors = st.one_of(
        st.just(()), st.tuples(st.integers(1, 3)), st.tuples(st.integers(1, 3), st.just(1))
    )
    matrices = st.lists(st.integers(1, 3), max_size=2).map(tuple)

    @by_example
    @given(a=matrices, x=vectors, y=vectors)
    def test_it_works_for_the_shapes_that_nengos_works_for(self, a, x, y):
        agrees_with_nengo(DotInc, reference.DotInc, a, x, y)


class TestSparseDotInc:
    dense = np.array([[0.0, 2.0, 1.0], [0.0, 0.0, 0.0]])
    matrices = pytest.mark.parametrize(
        "matrix",
        [
            scipy.sparse.csr_matrix(dense),
            scipy.sparse.coo_matrix(dense),
            SparseMatrix([[0, 1], [0, 2]], np.array([2.0, 1.0]), (2, 3)),
        ],
        ids=["csr", "coo", "nengo"],
    )

    @matrices
    def test_it_increments_y_and_reads_the_factors(self, matrix):
        A, X, Y = Signal(matrix), Signal(shape=3), Signal(shape=2)
        operator = SparseDotInc(A, X, Y)
        assert isinstance(operator, DotInc)
        assert (operator.A, operator.X, operator.Y, operator.reshape) == (A, X, Y, False)
        assert roles(operator) == {"sets": [], "incs": [Y], "reads": [A, X], "updates": []}

    @matrices
    @pytest.mark.parametrize("n_steps", [1, 3])
    def test_the_product_is_added_in_every_step(self, run, matrix, n_steps):
        Y = Signal([0.5, 0.25])
        operator = SparseDotInc(Signal(matrix), Signal([5.0, 10.0, 100.0]), Y)
        assert run(operator, n_steps=n_steps)[Y].tolist() == [0.5 + 120 * n_steps, 0.25]

    @matrices
    def test_vectors_may_be_strided_views(self, run, matrix):
        X, Y = Signal(np.arange(6.0)), Signal(np.zeros(4))
        signals = run(SparseDotInc(Signal(matrix), X[::-2], Y[::2]))
        assert signals[Y].tolist() == [2 * 3 + 1 * 1, 0, 0, 0]

    def test_a_dense_matrix_is_refused(self):
        with pytest.raises(BuildError, match=r"it.*A must be a sparse Signal"):
            SparseDotInc(Signal(self.dense), Signal(shape=3), Signal(shape=2), tag="it")

    @matrices
    @pytest.mark.parametrize("x, y, culprit", [((3, 2), (2,), "X"), ((3,), (2, 2), "Y")])
    def test_only_the_first_factor_can_be_a_matrix(self, matrix, x, y, culprit):
        with pytest.raises(BuildError, match=f"{culprit} must be a column vector"):
            SparseDotInc(Signal(matrix), Signal(shape=x), Signal(shape=y))
