import nengo
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.exceptions import SignalError
from nengo.transforms import SparseMatrix
from random_signals import DTYPES, arrays, lay_by_bytes, numbered, view_of

from nengo_jit.ir.memory import ALIGNMENT, SignalDict
from nengo_jit.ir.signal import Signal

by_example = settings(max_examples=60, deadline=None, derandomize=True)


class TestSignalDict:
    @by_example
    @given(data=st.data(), array=arrays)
    def test_views_read_and_write_the_memory_of_their_base(self, data, array):
        base, view, selected = view_of(data, array)
        signals = SignalDict([base])
        assert np.array_equal(signals[view], selected)
        signals[view] = 7
        expected = array.copy()
        lay_by_bytes(view, expected)[...] = 7
        assert np.array_equal(signals[base], expected)

    def test_a_new_dictionary_is_empty(self):
        signals = SignalDict()
        assert len(signals) == 0
        assert list(signals) == []

    def test_assignment_writes_through_into_the_memory(self):
        signal = Signal(numbered(3))
        signals = SignalDict([signal])
        array = signals[signal]
        signals[signal] = [5, 6, 7]
        assert signals[signal] is array
        assert array.tolist() == [5, 6, 7]
        signals[signal] = 1
        assert array.tolist() == [1, 1, 1]

    def test_the_initial_value_stays_as_it_is(self):
        signal = Signal(numbered(3))
        signals = SignalDict([signal])
        signals[signal] = 9
        assert signal.initial_value.tolist() == [0, 1, 2]

    def test_a_value_that_does_not_fit_is_refused(self):
        signal = Signal(numbered(3))
        with pytest.raises(ValueError, match="broadcast"):
            SignalDict([signal])[signal] = [1, 2]

    def test_arrays_keep_shape_and_type(self):
        scalar, integers = Signal(np.array(2, np.int32)), Signal(numbered((2, 2), np.uint8))
        signals = SignalDict([scalar, integers])
        assert signals[scalar].shape == ()
        assert signals[scalar].dtype == np.int32
        assert signals[scalar].item() == 2
        assert signals[integers].dtype == np.uint8
        assert signals[integers].tolist() == [[0, 1], [2, 3]]

    def test_a_view_of_a_known_base_is_made_when_it_is_asked_for(self):
        base = Signal(numbered(4))
        signals = SignalDict([base])
        view = base[1:3]
        assert view not in signals
        assert np.shares_memory(signals[view], signals[base])
        assert view in signals
        assert signals[view] is signals[view]

    def test_a_view_brings_memory_for_its_base(self):
        base = Signal(numbered(4))
        signals = SignalDict([base[1:3]])
        assert base in signals
        assert len(signals) == 2

    def test_an_unknown_signal_has_no_memory(self):
        known, unknown = Signal(1.0), Signal(numbered(3), name="stranger")
        signals = SignalDict([known])
        for signal in (unknown, unknown[1:]):
            assert signal not in signals
            with pytest.raises(KeyError, match="stranger"):
                signals[signal]
            with pytest.raises(KeyError, match="stranger"):
                signals[signal] = 1
        with pytest.raises(KeyError):
            signals["no signal at all"]

    def test_init_gives_memory_once(self):
        signal = Signal(numbered(3), name="twice")
        signals = SignalDict()
        signals.init(signal)
        assert signals[signal].tolist() == [0, 1, 2]
        with pytest.raises(SignalError, match="twice"):
            signals.init(signal)

    def test_init_of_a_view_gives_memory_to_its_base_first(self):
        base = Signal(numbered(3))
        signals = SignalDict()
        signals.init(base[1:])
        with pytest.raises(SignalError):
            signals.init(base)

    def test_it_lists_every_signal(self):
        one, other = Signal(1.0, name="one"), Signal([2.0], name="other")
        signals = SignalDict([one, other])
        assert len(signals) == 2
        assert list(signals) == [one, other]
        assert dict(signals.items()) == {one: 1.0, other: 2.0}
        text = str(signals)
        assert "one" in text
        assert "other" in text

    def test_nengos_signals_get_memory_too(self):
        signal = nengo.builder.Signal(numbered(4), name="theirs")
        signals = SignalDict([signal])
        signals[signal[1:3]] = 8
        assert signals[signal].tolist() == [0, 8, 8, 3]

    @pytest.mark.parametrize("readonly", [False, True])
    def test_reset_restores_what_can_be_written(self, readonly):
        signal = Signal(numbered(3), readonly=readonly)
        signals = SignalDict([signal])
        if not readonly:
            signals[signal] = 5
        signals.reset(signal)
        assert signals[signal].tolist() == [0, 1, 2]

    def test_reset_of_a_view_leaves_the_rest_of_its_base(self):
        base = Signal(numbered(4))
        signals = SignalDict([base])
        signals[base] = 9
        signals.reset(base[1:3])
        assert signals[base].tolist() == [9, 1, 2, 9]

    def test_reset_all_restores_what_can_be_written_except_what_is_spared(self):
        base, spared = Signal(np.arange(6.0), name="base"), Signal(np.ones(2), name="spared")
        constant = Signal(np.ones(3), name="constant", readonly=True)
        memory = SignalDict([base, base[1:3], spared, spared[:1], constant])
        memory[base], memory[spared] = 7.0, 7.0
        memory.reset_all([spared])
        np.testing.assert_array_equal(memory[base], np.arange(6.0))
        np.testing.assert_array_equal(memory[base[1:3]], [1.0, 2.0])
        np.testing.assert_array_equal(memory[spared], [7.0, 7.0])
        memory.reset_all()
        np.testing.assert_array_equal(memory[spared], [1.0, 1.0])

    def test_readonly_signals_refuse_to_be_written(self):
        signal = Signal(numbered((2, 2)), readonly=True)
        signals = SignalDict([signal])
        for target in (signal, signal[0], signal.reshape(4)):
            with pytest.raises(ValueError, match="read-only"):
                signals[target] = 1
            with pytest.raises(ValueError, match="read-only"):
                signals[target][...] = 1

    def test_a_readonly_view_of_writeable_memory_sees_every_change(self):
        base = Signal(numbered(3))
        view = Signal(base.initial_value, base=base, readonly=True)
        signals = SignalDict([base, view])
        signals[base] = 4
        assert signals[view].tolist() == [4, 4, 4]
        with pytest.raises(ValueError, match="read-only"):
            signals[view] = 1

    def test_save_and_restore_take_everything_back(self):
        one, other, view = Signal(numbered(3)), Signal(1.0), Signal(numbered(5))[::2]
        signals = SignalDict([one, other])
        signals.allocate([view])
        signals[one] = 10
        signals.save()
        for signal in (one, other, view):
            signals[signal] = 20
        signals.restore()
        assert signals[one].tolist() == [10, 10, 10]
        assert signals[other] == 1
        assert signals[view].tolist() == [0, 2, 4]

    def test_saving_again_replaces_what_was_saved(self):
        signal = Signal(1.0)
        signals = SignalDict([signal])
        for value in (2.0, 3.0):
            signals[signal] = value
            signals.save()
        signals[signal] = 4.0
        signals.restore()
        assert signals[signal] == 3.0

    def test_restore_can_be_repeated(self):
        signal = Signal(1.0)
        signals = SignalDict([signal])
        signals.save()
        for value in (2.0, 3.0):
            signals[signal] = value
            signals.restore()
            assert signals[signal] == 1.0

    @by_example
    @given(
        sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), dtype=st.sampled_from(DTYPES)
    )
    def test_every_signal_starts_on_a_cache_line_of_its_own(self, sizes, dtype):
        bases = [Signal(numbered(size, dtype)) for size in sizes]
        signals = SignalDict()
        signals.allocate(bases)
        starts = [signals[base].__array_interface__["data"][0] for base in bases]
        assert all(start % ALIGNMENT == 0 for start in starts)
        lines = [
            line
            for start, base in zip(starts, bases)
            for line in range(start // ALIGNMENT, (start + base.nbytes - 1) // ALIGNMENT + 1)
        ]
        assert len(lines) == len(set(lines))
        assert lines == list(range(lines[0], lines[0] + len(lines)))  # one block

    def test_cache_lines_have_64_bytes(self):
        assert ALIGNMENT == 64

    def test_allocate_leaves_alone_what_has_memory(self):
        known, new = Signal(numbered(2)), Signal(numbered(3))
        signals = SignalDict([known])
        array = signals[known]
        signals[known] = 5
        signals.allocate([known, new, known])
        assert signals[known] is array
        assert array.tolist() == [5, 5]
        assert signals[new].tolist() == [0, 1, 2]

    @pytest.mark.parametrize("shape", [0, (0, 3), (3, 0)])
    def test_signals_of_no_elements_have_an_array_of_no_elements(self, shape):
        signal = Signal(shape=shape)
        signals = SignalDict([signal, Signal(1.0)])
        assert signals[signal].shape == signal.shape
        signals[signal] = 3
        signals.reset(signal)
        signals.save()
        signals.restore()
        assert signals[signal].size == 0

    def test_an_empty_view_has_an_empty_array(self):
        base = Signal(numbered(3))
        signals = SignalDict([base, base[1:1]])
        assert signals[base[3:]].shape == (0,)
        assert signals[base[1:1]].shape == (0,)

    def test_without_scipy_a_dense_array_stands_in_for_a_sparse_matrix(self, monkeypatch):
        monkeypatch.setattr(nengo.transforms, "scipy_sparse", None)
        signal = Signal(SparseMatrix([[0, 1], [1, 0]], np.array([2.0, 3.0]), (2, 2)))
        with pytest.warns(UserWarning, match="Scipy"):
            signals = SignalDict([signal])
        assert isinstance(signals[signal], np.ndarray)
        assert signals[signal].tolist() == [[0, 2], [3, 0]]
        signals.save()
        signals[signal] = 5
        signals.restore()
        assert signals[signal].tolist() == [[0, 2], [3, 0]]
        signals[signal] = 5
        signals.reset(signal)
        assert signals[signal].tolist() == [[0, 2], [3, 0]]

    @pytest.mark.parametrize(
        "matrix",
        [
            scipy.sparse.csr_matrix([[0.0, 2.0], [3.0, 0.0]]),
            SparseMatrix([[0, 1], [1, 0]], np.array([2.0, 3.0]), (2, 2)),
        ],
        ids=["scipy", "nengo"],
    )
    class TestSparse:
        dense = np.array([[0.0, 2.0], [3.0, 0.0]])

        def test_memory_is_a_scipy_matrix(self, matrix):
            signal = Signal(matrix)
            live = SignalDict([signal])[signal]
            assert scipy.sparse.issparse(live)
            assert np.array_equal(live.toarray(), self.dense)

        def test_values_are_written_through(self, matrix):
            signal = Signal(matrix)
            signals = SignalDict([signal])
            live = signals[signal]
            signals[signal] = scipy.sparse.csr_matrix(10 * self.dense)
            assert signals[signal] is live
            assert np.array_equal(live.toarray(), 10 * self.dense)
            assert np.array_equal(signal.initial_value.toarray(), self.dense)

        def test_reset_writes_the_initial_values_back(self, matrix):
            signal = Signal(matrix)
            signals = SignalDict([signal])
            signals[signal] = 5
            signals.reset(signal)
            assert np.array_equal(signals[signal].toarray(), self.dense)

        def test_save_and_restore_include_sparse_values(self, matrix):
            signal = Signal(matrix)
            signals = SignalDict([signal])
            signals[signal] = 5
            signals.save()
            signals[signal] = 6
            signals.restore()
            assert np.array_equal(signals[signal].data, [5, 5])

        def test_readonly_matrices_refuse_to_be_written(self, matrix):
            signal = Signal(matrix, readonly=True)
            signals = SignalDict([signal])
            with pytest.raises(ValueError, match="read-only"):
                signals[signal] = 5
            signals.reset(signal)
            assert np.array_equal(signals[signal].toarray(), self.dense)
