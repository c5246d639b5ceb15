"""Kernels and their rows: a wrong row cannot be made, and annotations say all that is needed."""

import numpy as np
import pytest

from nengo_jit.engines.cpu.kernels import all_kernels
from nengo_jit.engines.cpu.language.columns import (
    BytesOf,
    Count,
    Distance,
    Factor,
    In,
    InOut,
    Out,
    Own,
    Role,
    RowsOf,
)
from nengo_jit.engines.cpu.language.kernel import Kernel, kernel, offset, start, table_of
from nengo_jit.engines.cpu.language.primitives import Address, Memory

ITEMSIZE = 8


@kernel()
def copying(memory: Memory, src: In, dst: Out, n: Count) -> None:
    pass


@kernel(cost=2.0, cost_of_row=5.0)
def multiplying(
    memory: Memory,
    distance: Distance,
    matrix: RowsOf,
    x: Address,
    m: Factor,
    n: Count,
    y: Out,
    state: InOut,
    flags: BytesOf,
) -> None:
    pass


@kernel()
def drawing(memory: Memory, generator: Address, y: Own, size: Factor) -> None:
    pass


RIGHT = {"src": 0, "dst": 800, "n": 10}


def copies(*rows):
    return [copying.row(src=src, dst=dst, n=n) for src, dst, n in rows]


class TestRow:
    def test_it_has_a_value_for_each_column(self):
        row = copying.row(n=10, dst=800, src=0)
        assert row.kernel is copying
        assert row.values == (0, 800, 10)
        assert [row[name] for name in ("src", "dst", "n")] == [0, 800, 10]
        assert repr(row) == "copying(src=0, dst=800, n=10)"

    @pytest.mark.parametrize("name", RIGHT)
    def test_a_missing_column_is_refused(self, name):
        columns = {key: value for key, value in RIGHT.items() if key != name}
        with pytest.raises(TypeError, match=rf"copying\.row\(\) missing .* '{name}'"):
            copying.row(**columns)

    def test_an_unknown_column_is_refused(self):
        with pytest.raises(TypeError, match=r"copying\.row\(\) .* 'm'"):
            copying.row(**RIGHT, m=1)

    def test_columns_without_names_are_refused(self):
        with pytest.raises(TypeError, match=r"copying\.row\(\) takes 0 positional arguments"):
            copying.row(0, 800, 10)

    @pytest.mark.parametrize("name", RIGHT)
    @pytest.mark.parametrize(
        "value",
        [1.0, None, True, "1", np.int64(1), np.float64(1), np.zeros(1, int), [1], (1,)],
        ids=lambda value: type(value).__name__,
    )
    def test_what_is_not_an_int_is_refused(self, name, value):
        kind = type(value).__name__
        with pytest.raises(TypeError, match=rf"copying\.row\(\) .* '{name}', not {kind}"):
            copying.row(**{**RIGHT, name: value})

    @pytest.mark.parametrize("name", ["bcm_factors", "wait_for_all", "lif", "run_neurons"])
    def test_rows_of_every_kind_of_kernel_are_checked(self, name):
        each = next(each for each, _ in all_kernels() if each.name == name)
        right = dict.fromkeys(each.columns.names, 8)
        assert each.row(**right).values == (8,) * len(right)
        for column in right:
            with pytest.raises(TypeError, match=f"{name}.* '{column}'"):
                each.row(**{**right, column: 8.0})

    def test_a_number_that_is_too_large_is_refused_by_the_table(self):
        with pytest.raises(OverflowError):
            table_of(copies((1 << 63, 0, 1)))

    def test_what_it_says_of_the_work(self):
        row = multiplying.row(distance=80, matrix=0, x=0, m=3, n=10, y=4000, state=5000, flags=6000)
        assert (row.target, row.size, row.work) == (4000, 10, 5.0 + 2.0 * 10 * 3)
        row = drawing.row(generator=64, y=128, size=7)
        assert (row.target, row.size, row.work) == (128, 1, 0.3 * 7)

    def test_a_part_of_it(self):
        row = multiplying.row(
            distance=80, matrix=10, x=20, m=3, n=10, y=4000, state=5000, flags=6000
        )
        assert row.part(4, 6, ITEMSIZE).values == (80, 330, 20, 3, 6, 4032, 5032, 6004)
        assert row.part(0, 2, 4).values == (80, 10, 20, 3, 2, 4000, 5000, 6000)
        assert row.part(4, 1, 4).values == (80, 330, 20, 3, 1, 4016, 5016, 6004)


class TestFuse:
    def test_rows_that_follow_each_other(self):
        rows = copies((0, 800, 10), (80, 880, 5), (200, 920, 1), (208, 1000, 1))
        fused = copying.fuse(rows, ITEMSIZE)
        assert fused == copies((0, 800, 15), (200, 920, 1), (208, 1000, 1))
        assert copying.fuse(fused, ITEMSIZE) == fused
        assert all(type(value) is int for row in fused for value in row.values)

    def test_bytes_and_rows_of_a_matrix_have_distances_of_their_own(self):
        def row(matrix, y, flags, distance=80, m=3, n=10):
            return multiplying.row(
                distance=distance, matrix=matrix, x=0, m=m, n=n, y=y, state=y + 9000, flags=flags
            )

        first, second = row(0, 4000, 6000), row(800, 4080, 6010)
        (fused,) = multiplying.fuse([first, second], ITEMSIZE)
        assert fused == row(0, 4000, 6000, n=20)
        for other in (
            row(808, 4080, 6010),
            row(800, 4088, 6010),
            row(800, 4080, 6011),
            row(800, 4080, 6010, distance=88),
            row(800, 4080, 6010, m=4),
        ):
            assert multiplying.fuse([first, other], ITEMSIZE) == [first, other]

    def test_rows_without_a_count_stay_apart(self):
        rows = [drawing.row(generator=0, y=8 * i, size=1) for i in range(2)]
        assert drawing.fuse(rows, ITEMSIZE) == rows


def test_a_table_begins_with_the_number_of_rows():
    assert table_of(copies((0, 800, 10), (80, 880, 5))).tolist() == [2, 0, 800, 10, 80, 880, 5]
    assert table_of([]).tolist() == [0]
    assert copying.index_in_table("dst") == 2


def test_a_table_of_rows_of_several_kernels_is_refused():
    rows = [*copies((0, 800, 10)), drawing.row(generator=0, y=8, size=1)]
    with pytest.raises(ValueError, match=r"one kernel, not of .*copying.*drawing"):
        table_of(rows)
    with pytest.raises(ValueError, match="one kernel"):
        table_of([rows[0], rows[0].for_kernel(copying.variant(stage=1))])


def test_addresses():
    array = np.zeros(4)
    assert offset(start(array), 16) == start(array[2:])


def test_a_kernel_with_other_options_is_the_same_one_for_the_same():
    later = copying.variant(stage=2, when="later")
    assert later is copying.variant(when="later", stage=2)
    assert (later.stage, later.when, later.function) == (2, "later", copying.function)
    assert later is not copying.variant(stage=2)
    (row,) = copies((0, 800, 10))
    assert (row.for_kernel(later).kernel, row.for_kernel(later).values) == (later, row.values)
    assert later.row(**RIGHT).kernel is later


def no_annotation(memory: Memory, x) -> None:
    pass


def another_type(memory: Memory, x: float) -> None:
    pass


def no_memory(x: Address) -> None:
    pass


def no_return(memory: Memory, x: Address):
    pass


def another_return(memory: Memory, x: Address) -> float:
    return 0.0


def a_default(memory: Memory, x: Address, n: Count = 1) -> None:
    pass


def any_number(memory: Memory, *x: Address) -> None:
    pass


def by_name_only(memory: Memory, *, x: Address) -> None:
    pass


def no_count(memory: Memory, x: In) -> None:
    pass


def two_counts(memory: Memory, x: In, n: Count, m: Count) -> None:
    pass


def two_factors(memory: Memory, x: In, n: Count, m: Factor, k: Factor) -> None:
    pass


def no_distance(memory: Memory, x: RowsOf, n: Count) -> None:
    pass


def no_rows(memory: Memory, x: In, n: Count, distance: Distance) -> None:
    pass


def no_columns(memory: Memory) -> None:
    pass


def nothing_at_all() -> None:
    pass


@pytest.mark.parametrize(
    "function, reason",
    [
        (no_annotation, "column x has no type"),
        (another_type, "column x has no type"),
        (no_memory, "must be Memory"),
        (no_return, "return None, or a status"),
        (another_return, "return None, or a status"),
        (a_default, "n: .* = 1 cannot be a column"),
        (any_number, "x: .* cannot be a column"),
        (by_name_only, "x: .* cannot be a column"),
        (no_count, "no Count"),
        (two_counts, "more than one Count"),
        (two_factors, "more than one Factor"),
        (no_distance, "rows of a matrix and Distance need each other"),
        (no_rows, "rows of a matrix and Distance need each other"),
        (no_columns, "no columns"),
        (nothing_at_all, "must be Memory"),
    ],
)
def test_what_cannot_be_a_kernel(function, reason):
    with pytest.raises(TypeError, match=f"'{function.__name__}' cannot be a kernel: .*{reason}"):
        kernel()(function)


LETTERS = {
    Role.IN: "a",
    Role.IN_OUT: "a",
    Role.OUT: "w",
    Role.BYTES: "b",
    Role.ROWS: "r",
    Role.OUT_ROWS: "o",
    Role.DISTANCE: "d",
    Role.COUNT: "n",
    Role.FACTOR: "m",
    Role.OWN: "p",
    Role.WHOLE: "h",
    Role.OTHER: "=",
}
# What the columns of each kernel mean; "a" goes on with n elements.
EXPECTED = {
    "advance_time": "====",
    "bcm_factors": "==pm=",
    "complete_step": "====",
    "correlate_filters": "aw=====nm=",
    "correlate_pixels": "aw=====nm=",
    "copy": "awn",
    "copy_bytes": "===",
    "copy_inc": "awn",
    "copy_strided": "=========",
    "dot_columns": "aa=wnm==",
    "dot_events": "aa=wnm==",
    "dot_learned_rows": "r=w=aanmd=",
    "dot_learned_rows_events": "r=w=aanmd==",
    "dot_nonzeros": "r====wnmd====",
    "dot_rows": "r=wnmd",
    "dot_rows_events": "r=wnm=d",
    "dot_rows_held": "r=awnmd=",
    "dot_strided": "==========",
    "fill": "w=n",
    "filter_any_order": "awa=nma=",
    "filter_first_order": "awa=n",
    "filtered_noise": "pm========",
    "flag_spikes": "wbn",
    "gather": "=====",
    "given": "pm===",
    "lead": "========",
    "lif": "aa======wwaab=n",
    "list_spikes": "=mp",
    "multiply_inc": "aawn",
    "multiply_strided": "===========",
    "noise": "pm====",
    "notice": "=p=m",
    "oja_factors": "=ppm=",
    "outer": "=aonmd",
    "outer_inc": "=aonmd",
    "outer_with_loss": "=aoarnmd",
    "outer_with_loss_inc": "=aoanmd",
    "perform_at_points": "=========",
    "pes_factors": "awn=",
    "piecewise": "pm===",
    "present_input": "pm===",
    "record": "========",
    "rls_begin": "=pppnm",
    "rls_factors": "=====pppn=",
    "rls_pass": "=====pn=m=",
    "run": "====",
    "run_functions": "=",
    "scale": "aw=n",
    "scale_inc": "=awn",
    "serve": "=",
    "show_spikes": "bw=n",
    "sparse_dot_events": "a=hnm============",
    "sparse_dot_rows": "ar===wnmd=",
    "sparse_dot_triplets": "======",
    "triangle": "=p====m=",
    "voja_factors": "=ppm===",
    "wait_for_all": "===",
    "white_signal": "pm===",
}


def letters(each):
    return "".join(LETTERS[role] for role in each.columns.roles)


def test_what_the_columns_of_each_kernel_mean():
    found = {each.name: letters(each) for each, _ in all_kernels() if isinstance(each, Kernel)}
    assert found.pop("compute_rates") == "======"
    assert found.pop("run_neurons")
    assert found == EXPECTED
    for each, _ in all_kernels():
        if isinstance(each, Kernel):
            kinds = letters(each)
            written = [i for i, kind in enumerate(kinds) if kind in "woph"]
            assert each.columns.target == (written[0] if written else None)
            assert each.columns.is_divisible == ("w" in kinds or "o" in kinds)
            assert each.columns.is_whole == ("h" in kinds)
            assert each.columns.count == (kinds.index("n") if "n" in kinds else None)
            assert each.columns.factor == (kinds.index("m") if "m" in kinds else None)
