import copy
import pickle

import nengo
import numpy as np
import pytest
import scipy.sparse
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nengo.exceptions import SignalError
from nengo.transforms import SparseMatrix
from random_signals import arrays, draw_index, lay_by_bytes, numbered, view_of

from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal

by_example = settings(max_examples=60, deadline=None, derandomize=True)


def lay_by_elements(view, memory):
    flat = memory.reshape(-1)
    values = np.empty(view.shape, view.dtype)
    for place in np.ndindex(*view.shape):
        distance = sum(i * stride for i, stride in zip(place, view.elemstrides))
        values[place] = flat[view.elemoffset + distance]
    return values


class TestLayout:
    @by_example
    @given(array=arrays)
    def test_a_signal_describes_its_array(self, array):
        signal = Signal(array)
        assert np.array_equal(signal.initial_value, array)
        assert signal.shape == array.shape
        assert signal.dtype == array.dtype
        assert signal.ndim == array.ndim
        assert signal.size == array.size
        assert signal.itemsize == array.itemsize
        assert signal.nbytes == array.nbytes
        assert signal.strides == array.strides
        assert signal.elemstrides == tuple(s // array.itemsize for s in array.strides)
        assert signal.offset == signal.elemoffset == 0
        assert signal.base is signal
        assert not signal.is_view
        assert not signal.sparse

    @pytest.mark.parametrize("value", [3.0, 3, True, np.float32(3), np.array(3)])
    def test_a_scalar_is_a_signal_without_dimensions(self, value):
        signal = Signal(value)
        assert signal.shape == signal.strides == signal.elemstrides == ()
        assert signal.initial_value == value
        assert signal.initial_value.dtype == np.asarray(value).dtype

    def test_lists_are_taken_as_arrays(self):
        signal = Signal([[1, 2], [3, 4]])
        assert signal.shape == (2, 2)
        assert signal.dtype == np.asarray([1]).dtype

    @pytest.mark.parametrize("array", [numbered((4, 3)).T, numbered((6, 4))[::2, ::-1]])
    def test_an_array_that_is_not_contiguous_is_laid_out_anew(self, array):
        signal = Signal(array)
        assert np.array_equal(signal.initial_value, array)
        assert signal.initial_value.flags.c_contiguous

    @pytest.mark.parametrize(
        "shape, expected",
        [(3, (3,)), ((), ()), ((2, 3), (2, 3)), ([2, 3], (2, 3)), (np.int64(3), (3,)), (0, (0,))],
    )
    def test_a_shape_alone_means_zeros_of_the_default_precision(self, shape, expected):
        signal = Signal(shape=shape)
        assert signal.shape == expected
        assert signal.dtype == nengo.rc.float_dtype
        assert not np.any(signal.initial_value)

    def test_the_default_precision_is_that_of_nengos_settings(self):
        nengo.rc.set("precision", "bits", "32")
        assert Signal(shape=2).dtype == np.float32

    def test_value_and_shape_may_be_given_together_if_they_agree(self):
        assert Signal(numbered((2, 3)), shape=(2, 3)).shape == (2, 3)
        assert Signal(numbered(3), shape=3).shape == (3,)

    @by_example
    @given(data=st.data(), array=arrays)
    def test_a_view_has_the_values_that_numpy_selects(self, data, array):
        base, view, selected = view_of(data, array)
        assert view.shape == selected.shape
        assert view.dtype == array.dtype
        assert view.size == selected.size
        assert view.nbytes == selected.nbytes
        assert np.array_equal(view.initial_value, selected)
        assert view.base is base

    @by_example
    @given(data=st.data(), array=arrays)
    def test_offset_and_strides_find_the_values_in_the_bases_memory(self, data, array):
        base, view, selected = view_of(data, array)
        memory = base.initial_value.copy()
        assert np.array_equal(lay_by_bytes(view, memory), selected)
        assert np.array_equal(lay_by_elements(view, memory), selected)
        assert view.offset == view.elemoffset * view.itemsize
        assert view.strides == tuple(s * view.itemsize for s in view.elemstrides)

    @by_example
    @given(data=st.data(), array=arrays)
    def test_rows_and_columns_are_views_of_the_same_elements(self, data, array):
        base, view, _ = view_of(data, array)
        vector = view if view.ndim == 1 else base.reshape(-1)
        values = vector.initial_value
        assert np.array_equal(vector.row().initial_value, values[np.newaxis, :])
        assert np.array_equal(vector.column().initial_value, values[:, np.newaxis])
        assert vector.row().base is vector.column().base is base

    @by_example
    @given(data=st.data(), array=arrays)
    def test_reshape_is_a_view_or_refused_where_numpy_would_copy(self, data, array):
        base, view, selected = view_of(data, array)
        shape = data.draw(
            st.sampled_from(
                [(-1,), selected.shape[::-1], (1, selected.size), (selected.size, 1, 1)]
            )
        )
        assume(selected.size > 0)
        expected = selected.reshape(shape)
        if np.shares_memory(expected, array):
            reshaped = view.reshape(shape)
            assert np.array_equal(reshaped.initial_value, expected)
            assert np.array_equal(lay_by_bytes(reshaped, base.initial_value.copy()), expected)
            assert reshaped.base is base
        else:
            with pytest.raises(SignalError, match="not contiguous"):
                view.reshape(shape)

    @by_example
    @given(data=st.data(), array=arrays)
    def test_signals_share_memory_as_numpy_says_of_their_live_arrays(self, data, array):
        base = Signal(array)
        one, other = (base[draw_index(data, array.shape)] for _ in range(2))
        signals = SignalDict([one, other])
        for a, b in [(one, other), (other, one), (one, base), (base, one)]:
            assert a.may_share_memory(b) == np.may_share_memory(signals[a], signals[b])

    def test_interleaved_views_may_share_memory_as_their_ranges_overlap(self):
        base = Signal(numbered(6))
        assert base[::2].may_share_memory(base[1::2])
        assert not base[:3].may_share_memory(base[3:])

    def test_a_signal_shares_memory_with_itself_even_if_it_has_none(self):
        empty = Signal(shape=0)
        assert empty.may_share_memory(empty)

    def test_signals_made_from_one_array_share_no_memory(self):
        array = numbered(4)
        assert not Signal(array).may_share_memory(Signal(array))
        assert not Signal(array)[:2].may_share_memory(Signal(array)[:2])


class TestSlicing:
    @pytest.mark.parametrize("item", [Ellipsis, slice(None)])
    def test_selecting_everything_gives_the_signal_itself(self, item):
        signal = Signal(numbered((2, 3)))
        assert signal[item] is signal

    @pytest.mark.parametrize("index", [0, 2, -1, -4, np.int32(1)])
    def test_an_integer_selects_a_slice_of_length_one(self, index):
        array = numbered(4)
        view = Signal(array)[index]
        assert view.shape == (1,)
        assert view.initial_value[0] == array[index]

    @pytest.mark.parametrize(
        "index, expected", [(1, [[4, 5, 6, 7]]), (-1, [[8, 9, 10, 11]]), ((2, -3), [9])]
    )
    def test_integers_into_a_matrix_keep_the_last_dimension_they_index(self, index, expected):
        view = Signal(numbered((3, 4)))[index]
        assert view.initial_value.tolist() == expected

    def test_a_slice_of_a_slice_counts_from_the_first_slice(self):
        base = Signal(numbered(20))
        view = base[2:18:3][::-2][1:]
        assert view.initial_value.tolist() == [11.0, 5.0]
        assert view.elemoffset == 11
        assert view.elemstrides == (-6,)
        assert view.base is base

    def test_an_empty_slice_is_a_view_of_no_elements(self):
        base = Signal(numbered(5))
        view = base[3:3]
        assert view.shape == (0,)
        assert view.nbytes == 0
        assert view.is_view
        assert view.base is base

    @pytest.mark.parametrize(
        "item", [[0, 1], np.array([0, 1]), 1.0, None, "0", ([0, 1], slice(None)), (0, Ellipsis)]
    )
    def test_only_integers_and_slices_can_index(self, item):
        with pytest.raises(SignalError, match="only be indexed by integers and slices"):
            Signal(numbered((2, 3)), name="target")[item]

    @pytest.mark.parametrize("item", [3, -4, (0, 4), (0, 0, 0), (slice(None), 4)])
    def test_an_index_out_of_range_names_the_signal(self, item):
        with pytest.raises(SignalError, match="target"):
            Signal(numbered((3, 4)), name="target")[item]

    @pytest.mark.parametrize("item", [(True, slice(0, 2)), (slice(0, 2), True)])
    def test_booleans_among_the_indices_make_no_view_of_other_memory(self, item):
        base = Signal(numbered((3, 4)))
        try:
            view = base[item]
        except SignalError:
            return
        assert np.array_equal(
            lay_by_bytes(view, base.initial_value.copy()), view.initial_value
        )  # NumPy would copy the elements

    def test_a_scalar_cannot_be_sliced(self):
        with pytest.raises(SignalError, match=r"shape \(\)"):
            Signal(1.0)[0]


class TestReshape:
    def test_the_shape_is_a_tuple_or_numbers(self):
        signal = Signal(numbered(6))
        expected = signal.initial_value.reshape(2, 3)
        assert np.array_equal(signal.reshape((2, 3)).initial_value, expected)
        assert np.array_equal(signal.reshape(2, 3).initial_value, expected)
        assert np.array_equal(signal.reshape(2, -1).initial_value, expected)

    def test_a_reshaped_view_of_part_of_a_signal_keeps_its_offset(self):
        view = Signal(numbered(12))[3:9].reshape((2, 3))
        assert view.elemoffset == 3
        assert view.initial_value.tolist() == [[3, 4, 5], [6, 7, 8]]

    def test_an_evenly_spaced_view_can_be_reshaped(self):
        view = Signal(numbered(12))[::2].reshape((2, 3))
        assert view.elemstrides == (6, 2)
        assert view.initial_value.tolist() == [[0, 2, 4], [6, 8, 10]]

    def test_a_scalar_can_become_a_vector_and_back(self):
        scalar = Signal(5.0)
        vector = scalar.reshape(1)
        assert vector.shape == (1,)
        assert vector.base is scalar
        assert vector.reshape(()).shape == ()

    @pytest.mark.parametrize("shape", [(5,), (2, 2), (-1, 4), (-1, -1)])
    def test_another_size_is_refused(self, shape):
        with pytest.raises(SignalError, match="target"):
            Signal(numbered(6), name="target").reshape(shape)

    @pytest.mark.parametrize("item", [(slice(None), slice(0, 2)), (slice(None, None, -1),)])
    def test_elements_in_another_order_cannot_be_reshaped(self, item):
        with pytest.raises(SignalError, match="not contiguous"):
            Signal(numbered((3, 4)))[item].reshape(-1)


class TestSparse:
    @staticmethod
    def matrices():
        dense = np.array([[0.0, 1.5, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]])
        csr = scipy.sparse.csr_matrix(dense)
        ours = SparseMatrix([[0, 1], [0, 3], [2, 0]], np.array([1.5, 2.0, 3.0]), (3, 4))
        return dense, [csr, csr.tocoo(), ours]

    @pytest.mark.parametrize("kind", [0, 1, 2])
    def test_a_sparse_signal_describes_its_matrix(self, kind):
        dense, matrices = self.matrices()
        signal = Signal(matrices[kind], name="sparse")
        assert signal.sparse
        assert np.array_equal(signal.initial_value.toarray(), dense)
        assert signal.shape == (3, 4)
        assert signal.ndim == 2
        assert signal.dtype == np.float64
        assert signal.size == 3
        assert signal.nbytes == 3 * 8
        assert signal.strides is None
        assert signal.elemstrides is None
        assert signal.offset == 0
        assert not signal.is_view

    @pytest.mark.parametrize("kind", [0, 1, 2])
    @pytest.mark.parametrize("item", [0, slice(0, 1), slice(None), Ellipsis, (0, 0)])
    def test_sparse_signals_cannot_be_sliced(self, kind, item):
        with pytest.raises(SignalError, match="sparse"):
            Signal(self.matrices()[1][kind])[item]

    @pytest.mark.parametrize("kind", [0, 1, 2])
    def test_sparse_signals_cannot_be_reshaped(self, kind):
        signal = Signal(self.matrices()[1][kind])
        for attempt in (signal.row, signal.column, lambda: signal.reshape(4, 3)):
            with pytest.raises(SignalError, match="sparse"):
                attempt()

    def test_a_sparse_signal_cannot_be_a_view(self):
        _, (csr, _, ours) = self.matrices()
        for matrix in (csr, ours):
            with pytest.raises(SignalError, match="cannot be a view"):
                Signal(matrix, base=Signal(numbered(3)))
            with pytest.raises(SignalError, match="cannot be a view"):
                Signal(matrix, offset=8)

    def test_sparse_values_must_be_numbers(self):
        indices = [[0, 0], [1, 1]]
        with pytest.raises(SignalError, match="NaN"):
            Signal(SparseMatrix(indices, [1.0, np.nan], (2, 2)))
        with pytest.raises(SignalError, match="NaN"):
            Signal(scipy.sparse.csr_matrix([[1.0, np.nan]]))
        with pytest.raises(SignalError, match="complex"):
            Signal(scipy.sparse.csr_matrix([[1.0, 1j]]))

    def test_the_values_of_a_scipy_matrix_cannot_be_written_to(self):
        signal = Signal(scipy.sparse.csr_matrix([[1.0, 2.0]]))
        with pytest.raises(ValueError, match="read-only"):
            signal.initial_value.data[0] = 5

    def test_shape_and_value_must_agree(self):
        matrix = scipy.sparse.csr_matrix([[1.0, 2.0]])
        assert Signal(matrix, shape=(1, 2)).sparse
        with pytest.raises(SignalError, match="shape"):
            Signal(matrix, shape=(2, 1))


class TestErrors:
    def test_neither_value_nor_shape(self):
        with pytest.raises(SignalError, match="value or a shape"):
            Signal(name="nothing")

    @pytest.mark.parametrize("value", [np.nan, [1.0, np.nan], np.full((2, 2), np.nan)])
    def test_nans_are_refused(self, value):
        with pytest.raises(SignalError, match=r"target.*NaN"):
            Signal(value, name="target")

    @pytest.mark.parametrize("value", [np.inf, [-np.inf, 1.0]])
    def test_infinities_are_accepted(self, value):
        assert np.array_equal(Signal(value).initial_value, value)

    @pytest.mark.parametrize(
        "value",
        [[object()], "text", ["a", "b"], 1j, np.zeros(2, complex), np.array(["2020"], "M8[Y]")],
    )
    def test_only_real_numbers_are_accepted(self, value):
        with pytest.raises(SignalError, match=r"target.*only real numbers"):
            Signal(value, name="target")

    @pytest.mark.parametrize("shape", [2, (3, 1), (1, 3), ()])
    def test_value_and_shape_that_disagree(self, shape):
        with pytest.raises(SignalError, match=r"target.*shape"):
            Signal(numbered(3), shape=shape, name="target")

    def test_a_view_must_lie_in_the_memory_of_its_base(self):
        base = Signal(numbered(4), name="base")
        with pytest.raises(SignalError, match="base"):
            Signal(numbered(4), base=base)

    def test_a_view_must_lie_where_its_offset_says(self):
        base = Signal(numbered(4), name="base")
        assert Signal(base.initial_value[1:], base=base, offset=8).elemoffset == 1
        with pytest.raises(SignalError, match="base"):
            Signal(base.initial_value[1:], base=base, offset=16)

    def test_a_view_must_not_reach_beyond_its_base(self):
        array = numbered(8)
        base = Signal(array[:4], name="base")
        with pytest.raises(SignalError, match="base"):
            Signal(array[2:6], base=base, offset=16)

    def test_the_base_of_a_view_cannot_be_a_view(self):
        view = Signal(numbered(4))[1:]
        with pytest.raises(SignalError, match="cannot be a view"):
            Signal(view.initial_value[1:], base=view, offset=8)


class TestProtection:
    def test_the_initial_value_cannot_be_replaced(self):
        signal = Signal(numbered(3))
        with pytest.raises(SignalError, match="Cannot change initial value"):
            signal.initial_value = numbered(3)

    def test_the_initial_value_cannot_be_written_to(self):
        signal = Signal(numbered(3))
        for array in (signal.initial_value, signal[1:].initial_value, signal.row().initial_value):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 1

    def test_the_array_that_was_given_stays_writeable(self):
        array = numbered(3)
        Signal(array)
        assert array.flags.writeable

    def test_signals_are_writeable_unless_said_otherwise(self):
        assert not Signal(1.0).readonly
        assert Signal(1.0, readonly=True).readonly

    def test_views_inherit_whether_they_are_readonly(self):
        signal = Signal(numbered((2, 3)), readonly=True)
        assert signal[0].readonly
        assert signal[:, 1:].readonly
        assert signal.reshape(6).readonly
        assert signal.row().readonly
        assert not Signal(numbered(3))[1:].readonly

    def test_readonly_can_be_changed(self):
        signal = Signal(1.0, readonly=True)
        signal.readonly = 0
        assert signal.readonly is False


class TestNames:
    def test_a_signal_without_a_name_is_called_by_its_id(self):
        signal = Signal(1.0)
        assert signal.name == hex(id(signal))

    def test_a_name_can_be_changed(self):
        signal = Signal(1.0, name="before")
        signal.name = "after"
        assert signal.name == "after"

    def test_str_and_repr_tell_name_and_shape(self):
        signal = Signal(numbered((2, 3)), name="activities")
        assert str(signal) == repr(signal) == "Signal(name=activities, shape=(2, 3))"

    def test_views_are_named_after_what_they_look_at(self):
        signal = Signal(numbered(6), name="activities")
        assert signal[1:3].name.startswith("activities[")
        assert signal.reshape(2, 3).name.startswith("activities.reshape(")

    def test_names_can_be_demanded(self, monkeypatch):
        monkeypatch.setattr(Signal, "assert_named_signals", True)
        assert Signal(1.0, name="named").name == "named"
        with pytest.raises(AssertionError):
            Signal(1.0)

    def test_nengo_takes_our_signals_for_its_own(self):
        signal = Signal(numbered(3))
        assert isinstance(signal, nengo.builder.Signal)
        assert isinstance(signal[1:], nengo.builder.Signal)

    def test_nothing_but_the_type_is_inherited_from_nengo(self):
        for name in vars(nengo.builder.Signal):
            assert name in vars(Signal) or name in ("__dict__", "__weakref__"), name


class TestPickling:
    @by_example
    @given(data=st.data(), array=arrays)
    def test_a_view_still_shares_memory_with_its_base(self, data, array):
        base, view, selected = view_of(data, array)
        assume(view is not base)
        new_base, new_view = pickle.loads(pickle.dumps((base, view)))
        assert new_view.base is new_base
        assert np.array_equal(new_base.initial_value, array)
        assert np.array_equal(new_view.initial_value, selected)
        assert (new_view.offset, new_view.strides) == (view.offset, view.strides)
        if selected.size:
            assert np.shares_memory(new_view.initial_value, new_base.initial_value)

    def test_the_order_of_view_and_base_does_not_matter(self):
        base = Signal(numbered(6))
        new_view, new_base = pickle.loads(pickle.dumps((base[1::2], base)))
        assert new_view.base is new_base
        assert new_view.may_share_memory(new_base)

    def test_a_view_brings_its_base_along(self):
        view = pickle.loads(pickle.dumps(Signal(numbered(6), name="base")[4:1:-1]))
        assert view.initial_value.tolist() == [4, 3, 2]
        assert view.base.initial_value.tolist() == [0, 1, 2, 3, 4, 5]
        assert view.base.name == "base"

    @pytest.mark.parametrize("clone", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
    def test_a_copy_is_protected_like_the_original(self, clone):
        signal = Signal(numbered(3), name="original", readonly=True)
        cloned = clone(signal)
        assert (cloned.name, cloned.readonly) == ("original", True)
        with pytest.raises(ValueError, match="read-only"):
            cloned.initial_value[0] = 1

    @pytest.mark.parametrize(
        "matrix",
        [scipy.sparse.csr_matrix([[0.0, 2.0]]), SparseMatrix([[0, 1]], np.array([2.0]), (1, 2))],
    )
    def test_sparse_signals_can_be_pickled(self, matrix):
        signal = pickle.loads(pickle.dumps(Signal(matrix, name="sparse")))
        assert signal.sparse
        assert signal.initial_value.toarray().tolist() == [[0.0, 2.0]]
