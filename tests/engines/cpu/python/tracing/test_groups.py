"""Tapes over arrays of any size: instructions that are executed together, block by block.

Rules are operators as users write them, which change arrays of any size. They run on both engines
from the same values, and all memory must be equal bit by bit after each step.
"""

import ctypes
import warnings

import numpy as np
import pytest
from compiling import compiled
from numpy.testing import assert_array_equal

from nengo_jit.builder import Model, Operator
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.language.operations import Operation
from nengo_jit.engines.cpu.python import tapes_in_use
from nengo_jit.engines.cpu.python.blocks import N_HEAD
from nengo_jit.engines.cpu.python.instructions import PART_WIDTH, Field, Opcode, Part
from nengo_jit.engines.cpu.python.tracing import grouping, tape
from nengo_jit.engines.cpu.python.tracing.instruction import Instruction, Registers
from nengo_jit.engines.cpu.python.tracing.reads import Malformed
from nengo_jit.engines.reference import ReferenceBackend

N_STEPS = 12


@pytest.fixture(autouse=True)
def often_compared(monkeypatch):
    """Values are compared that tapes have written, and by the tapes themselves, too."""
    monkeypatch.setattr(tape, "N_PROOFS", 2)
    monkeypatch.setattr(tape, "INTERVAL", 5)
    monkeypatch.setattr(tapes_in_use, "WORTH_CHECKING", 0)


class Rule(Operator):
    """An operator of a user's that updates arrays by a function of them."""

    def __init__(self, function, signals):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [], [], [], list(signals)
        self.function = function

    def make_step(self, signals, dt, rng):
        arrays, function = tuple(signals[each] for each in self.updates), self.function

        def step():
            function(*arrays)

        return step


def run(function, arrays, n_steps=N_STEPS, change=None):
    """Run a rule on both engines; returns what the plan says, and the errors."""
    results = []
    for engine_class in (ReferenceBackend, CpuBackend):
        model = Model(dt=0.001)
        signals = [Signal(np.array(array)) for array in arrays]
        model.add_op(Rule(function, signals))
        engine = compiled(model, engine_class, threads=1)
        engine.reset(0)
        remark = engine.explain() if engine_class is CpuBackend else None
        states, errors = [], []
        for i in range(n_steps):
            if change is not None:
                change(i, [engine.signals[each] for each in signals])
            try:
                engine.run(1)
            except Exception as error:
                errors.append((i, type(error), str(error)))
            states.append([engine.signals[each].tobytes() for each in signals])
        results.append((states, errors))
    assert results[0][1] == results[1][1]
    for step, (right, actual) in enumerate(zip(results[0][0], results[1][0])):
        assert right == actual, step
    assert not any(each.wrong for each in engine.callbacks)
    return engine, remark, results[0][1]


def check(function, arrays, **options):
    """Run a rule that must be compiled on both engines; returns the engine, and the errors."""
    engine, remark, errors = run(function, arrays, **options)
    assert remark.compiled, remark.in_python
    assert "in Python" not in remark.compiled[0][1], remark.compiled
    return engine, errors


def numbers(*shape, dtype=np.float64, seed=0):
    return np.random.RandomState(seed).uniform(-2, 2, shape).astype(dtype)


SIZES = [1, 7, 16, 17, 255, 256, 257, 511, 512, 513, 1024, 100_003]
PRECISIONS = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def chain(x, y, state):
    state[...] += 0.1 * (x - state) * (y > 0.3)
    y[:] = np.abs(state) / 3 - x * y
    x[state > 1.0] = -0.5
    x[...] = np.clip(-x, -1.5, 1.5) + np.where(state < y, state, 0.25)


@PRECISIONS
@pytest.mark.parametrize("n", SIZES)
def test_chains_of_any_length(n, dtype):
    check(chain, [numbers(n, dtype=dtype, seed=i) for i in range(3)])


def everything(x, y, z):
    a, b = x <= y, x != z
    x[:] = np.sqrt(np.abs(x)) * -y + np.floor(x) - np.ceil(y) + np.rint(z) * np.trunc(y)
    y[:] = ((a & b) | ~a) * np.square(y) - (a == b) * z
    z[:] = np.tanh(z) + np.where(a, np.minimum(x, y), np.exp(-np.abs(z))) % 1.7 // 0.3


@PRECISIONS
@pytest.mark.parametrize("n", [20, 511, 1025])
def test_every_operation(n, dtype):
    check(everything, [numbers(n, dtype=dtype, seed=i) for i in range(3)])


def outer_rule(pre, post, weights, delta):
    pre *= 0.9
    post[...] += 0.05 * (1 - post)
    grow = np.outer(post, pre) * (weights < 0.3)
    shrink = post[:, None] * pre * (weights > -0.3)
    delta[...] = 0.01 * (grow - shrink)
    weights += delta


SHAPES = [(1, 1), (1, 40), (40, 1), (3, 5), (4, 5), (30, 7), (100, 100), (5, 511), (3, 512)]
SHAPES += [(7, 513), (2, 1601), (100, 784), (784, 100), (300, 1000), (20_000, 1)]


@PRECISIONS
@pytest.mark.parametrize("shape", SHAPES)
def test_rules_on_matrices(shape, dtype):
    made = numbers(shape[1], dtype=dtype), numbers(shape[0], dtype=dtype, seed=1)
    matrices = [0.2 * numbers(*shape, dtype=dtype, seed=i) for i in (2, 3)]
    check(outer_rule, [*made, *matrices], n_steps=8)


def masked_rule(pre, error, weights, hidden):
    if np.abs(error).max() > 1e-5:
        change = np.outer(-error, pre > 0)
        hidden[change > 0] += 1e-4
        hidden[change < 0] -= 1e-4
        weights[...] = np.where(change != 0, hidden * 2, weights)
    pre[...] = -pre[::-1]


@PRECISIONS
@pytest.mark.parametrize("shape", SHAPES[:-3])
def test_masks(shape, dtype):
    vectors = numbers(shape[1], dtype=dtype), numbers(shape[0], dtype=dtype, seed=1)
    check(masked_rule, [*vectors, *(numbers(*shape, dtype=dtype, seed=i) for i in (2, 3))])


def rows_and_columns(m, v):
    m[...] = m * m[:, :1] + m[3] - v


def transposed(m, v):
    m[...] = (m.T * 0.5).T + m[::-1] - m[:, ::-1] + v


def shifted(m, v):
    m[1:] = m[:-1] * 0.5 + v


def overlapping(m, v):
    flat = m.ravel()
    flat[1:] = flat[:-1] * 0.5
    v[:] = m[0]


def every_other(m, v):
    m[:, ::2] = m[:, 1::2] * 0.25 + v[:20]


def part(m, v):
    m[5:25, 3:20] = np.outer(v[5:25], v[3:20]) - m[5:25, 3:20]


def three_dimensions(m, v):
    whole = m.reshape(4, 10, 40)
    whole[...] = whole * v[:10, None] + whole[:, :1]


def repeated(m, v):
    m[...] = v
    v *= 0.5


def swapped(m, v):
    old = m.copy()
    m[...] = old.T + v
    v[:] = old[0]


@PRECISIONS
@pytest.mark.parametrize(
    "rule",
    [
        *(rows_and_columns, transposed, shifted, overlapping, every_other, part),
        *(three_dimensions, repeated, swapped),
    ],
)
def test_views(rule, dtype):
    check(rule, [0.5 * numbers(40, 40, dtype=dtype), numbers(40, dtype=dtype, seed=1)])


def test_two_arrays_that_change_places():
    def rule(a, b):
        old = a.copy()
        a[...] = b
        b[...] = old

    check(rule, [numbers(30_000), numbers(30_000, seed=1)])


def test_large_groups_write_to_memory_themselves():
    def rule(weights, delta, x):
        delta[...] = 0.5 * (delta - weights) * x
        weights += delta

    engine, _ = check(rule, [numbers(200, 300), numbers(200, 300, seed=1), numbers(300, seed=2)])
    opcodes = engine.callbacks[0].traced.tape.code[1:, 0].tolist()
    assert Opcode.STORE not in opcodes
    assert opcodes.index(Opcode.COMMIT) < opcodes.index(Opcode.GROUP)
    assert Opcode.LARGEST in opcodes[: opcodes.index(Opcode.COMMIT)]


def operations_of(engine):
    """What the groups of the first function do with each block."""
    found = set()
    for line in engine.callbacks[0].traced.tape.code[1:]:
        if line[Field.OPCODE] == Opcode.GROUP:
            start = int(line[Field.GROUP])
            head = (ctypes.c_int64 * N_HEAD).from_address(start)
            n = (head[1] + head[2]) * PART_WIDTH
            parts = np.array((ctypes.c_int64 * n).from_address(start + 8 * N_HEAD))
            found |= set(parts.reshape(-1, PART_WIDTH)[:, Part.OPERATION].tolist())
    return found


def difference_in_place(w, x):
    w[...] = (w - x) * w
    x[...] = 0.9 * (x - w)


def mask_in_place(w, x):
    w[...] = (w < x) * w - 0.1
    w[...] = x * (x <= w) + 0.5 * w * x


def read_before_and_after(w, x):
    change = (w - x) * 0.3
    w += change
    x[...] = change * (w - x)


def neighbours(w, x):
    w[1:] = (w[:-1] - w[1:]) * x[1:]
    x[:-1] = (x[1:] - w[:-1]) * 0.8


@PRECISIONS
@pytest.mark.parametrize("n", [400, 30_000])
@pytest.mark.parametrize(
    "rule", [difference_in_place, mask_in_place, read_before_and_after, neighbours]
)
def test_pairs_of_operations(rule, n, dtype):
    """Also in place, of overlapping views, and in steps that Python has to carry out."""

    def change(step, arrays):
        if step in (5, 9):
            arrays[step % 2][n // 2] = np.inf if step == 5 else 1e30
        if step in (6, 10):
            arrays[0][...], arrays[1][...] = numbers(n, dtype=dtype), 0.3

    made = [numbers(n, dtype=dtype, seed=i) for i in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        engine, _ = check(rule, made, change=change)
    pairs = {operation for operation in Operation if "_MULTIPLY" in operation.name}
    assert operations_of(engine) & pairs


@PRECISIONS
def test_a_large_group_reads_what_is_replaced_after_it(dtype):
    def rule(v, x, whole):
        w = v * 2
        whole[...] = 0.5 * whole + x[:, None] * w
        w[w > 0.5] = np.tanh(w[w > 0.5])
        v[:] = 0.4 * w

    vectors = numbers(300, dtype=dtype), numbers(100, dtype=dtype, seed=1)
    check(rule, [*vectors, numbers(100, 300, dtype=dtype, seed=2)])


@PRECISIONS
@pytest.mark.parametrize("n", [400, 512, 30_000])
@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, 3e38])
@pytest.mark.parametrize("place", [0, -1, 300])
def test_a_number_that_is_not_finite_in_the_middle(n, dtype, number, place):
    """Python is called in that step, as if the tape had not begun; it warns or raises."""

    def rule(x, y, z):
        y[:] = x * 2 + y
        x[:] = (x * x) * 0 + (y < 1) * x
        z[:] = y - z

    def change(step, arrays):
        if step in (4, 5, 8):
            arrays[0][place] = number

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(rule, [numbers(n, dtype=dtype, seed=i) for i in range(3)], change=change)


def test_an_error_in_the_middle_leaves_what_python_leaves():
    def rule(x, y, index):
        y[:] = x * 2.0
        x[:] = y - x[int(index[0])]

    def change(step, arrays):
        arrays[2][0] = 5 if step != 7 else 1_000_000

    arrays = [numbers(20_000), numbers(20_000, seed=1), np.zeros(1)]
    _, errors = check(rule, arrays, change=change)
    assert [step for step, *_ in errors] == [7]


def replaced_elements(v, w, m):
    change = np.outer(v, w > 0)
    m[change > 0.2] = np.tanh(m[change > 0.2]) * 0.5
    m[change < 0] = np.exp(m[change < 0])


def replaced_on_one_path(v, w, m):
    if v[0] > 0:
        m[m > 0.5] = np.sqrt(m[m > 0.5]) - 0.5
        m[m < 0] = np.exp(m[m < 0])
    else:
        m[m < 0] = np.exp(m[m < 0])
        w[:] = m[0]
    v *= -1


def replaced_and_read(v, w, m):
    m[m > 0.5] = np.sin(m[m > 0.5])
    w[:] = m[:, 0].sum() * 0.01
    v[v > 0] = -np.exp(v[v > 0])


@PRECISIONS
@pytest.mark.parametrize("shape", [(1, 3), (3, 5), (30, 30), (100, 100), (7, 700)])
@pytest.mark.parametrize("rule", [replaced_elements, replaced_on_one_path, replaced_and_read])
def test_only_elements_that_are_replaced_are_stored(rule, shape, dtype):
    """The others may be anything, unless they are read."""

    def change(step, arrays):
        if rule is replaced_elements and step == 5:
            arrays[1][0], arrays[2][0, 0] = -1, np.inf
        if step == 9:
            arrays[0][0], arrays[1][...], arrays[2][...] = 1, 1, numbers(*shape, dtype=dtype)

    rows, columns = shape
    vectors = numbers(rows, dtype=dtype), numbers(columns, dtype=dtype, seed=1)
    matrix = numbers(*shape, dtype=dtype, seed=2)
    engine, _ = check(rule, [*vectors, matrix], change=change)
    stores = {Opcode.STORE, Opcode.STORE_SHORT}
    words = [word for word in engine.callbacks[0].traced.tape.code[1:] if word[0] in stores]
    assert any(word[Field.LIMIT] for word in words)
    if rule is replaced_elements:
        assert all(word[Field.LIMIT] for word in words)
        opcodes = engine.callbacks[0].traced.tape.code[1:, Field.OPCODE]
        assert (Opcode.POSITIONS in opcodes) == (matrix.size < 20)  # groups list them


@PRECISIONS
def test_a_number_for_each_row(dtype):
    """Read once by an operation of blocks that are several rows, or by other instructions."""

    def rule(v, w, m):
        outer = np.outer(v, w)
        m[outer > 0.1] += 0.25
        m[outer < -0.1] *= 0.5
        m[...] = np.where(m > v[:, None], np.arctan2(m, v[:, None]), m % (2 + v[:, None] ** 2))

    for shape in ((40, 40), (100, 100), (10, 300), (300, 5)):
        vectors = numbers(shape[0], dtype=dtype), numbers(shape[1], dtype=dtype, seed=1)
        check(rule, [*vectors, numbers(*shape, dtype=dtype, seed=2)])


def test_values_that_users_change_are_seen():
    def change(step, arrays):
        arrays[step % 4][...] *= 0.5

    made = numbers(300), numbers(70, seed=1), numbers(70, 300, seed=2), numbers(70, 300, seed=3)
    check(outer_rule, made, change=change)


def test_paths_have_groups_of_their_own():
    def rule(x, y):
        z = x * 2 + 1
        if x[0] > 0.2:
            y[:] = z * y
        elif y[0] > 0:
            y[:] = -z
            z = z + y
        x[:] = -0.9 * x + 0 * z

    engine, _ = check(rule, [numbers(12_000), numbers(12_000, seed=1)], n_steps=30)
    assert list(engine.callbacks[0].traced.tape.code[1:, 0]).count(Opcode.COMMIT) == 3


def test_random_rules():
    """Random expressions of vectors, matrices and numbers, over shapes at the edges of blocks."""
    rng = np.random.RandomState(7)
    terms = {
        "m": ["a", "b", "np.outer(u, v)", "u[:, None] * v", "({m}) + ({m})", "({m}) * ({n})"],
        "v": ["v", "a[0]", "({v}) - ({n})", "({v}) * ({v})", "np.sum(a, axis=0) * 0 + v"][:4],
        "n": ["0.5", "-2.0", "u[0]", "v[-1]", "np.max(v)", "np.sum(u) * 1e-3"],
    }
    terms["m"] += [
        "({m}) - ({v})",
        "-({m})",
        "np.abs({m})",
        "({m}) * (({m}) > ({n}))",
        "({m}).copy()",
    ]
    terms["m"] += ["np.where(({m}) < ({m}), {m}, {v})", "np.minimum({m}, {n})", "np.tanh({m})"]
    terms["m"] += ["a[::-1]", "(a.T * 2).T", "({m}) / 3.0", "np.sqrt(np.abs({m}))", "({m}) ** 2"]

    def expression(kind, depth):
        text = terms[kind][rng.randint(len(terms[kind]) if depth else 2)]
        while "{" in text:
            at = text.index("{")
            text = text[:at] + expression(text[at + 1], max(depth - 1, 0)) + text[at + 3 :]
        return text

    n_compiled = 0
    for i in range(40):
        lines = ["def rule(a, b, u, v):"]
        for target in rng.choice(["a", "b", "u", "v", "mask"], 3):
            kind = {"u": "n", "mask": "n"}.get(target, "m" if target in "ab" else "v")
            right = f"np.clip({expression(kind, 3)}, -3, 3)"
            left = f"a[b > {expression('n', 1)}]" if target == "mask" else f"{target}[...]"
            lines.append(f"    {left} = {right}")
        names = {"np": np}
        exec("\n".join(lines), names)
        shape = SHAPES[rng.randint(len(SHAPES) - 4)]
        dtype = [np.float64, np.float32][i % 2]
        arrays = [
            numbers(*each, dtype=dtype, seed=i) for each in (shape, shape, shape[:1], shape[1:])
        ]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _, remark, _ = run(names["rule"], arrays, n_steps=7)
        except AssertionError:
            raise AssertionError("\n".join(lines)) from None
        n_compiled += bool(remark.compiled)
    assert n_compiled > 25


def test_results_that_nothing_else_reads_have_no_registers():
    def rule(x):
        x[...] = 0.5 * (x * 2 + 1) * (x > 0)

    engine, _ = check(rule, [numbers(50_000)])
    registers = engine.callbacks[0].traced.tape._kept[1][0][0]
    assert registers.size < 100


def test_reading_a_register_that_does_not_exist_is_refused():
    with pytest.raises(Malformed):
        grouping.grouped([Instruction(Opcode.ABSOLUTE, 20, 0, (Registers(0, 1),))], 0)


def test_numpy_compares_anything_without_a_warning():
    """Numbers that are only compared are not checked, see `parts`."""
    for dtype in (np.float64, np.float32):
        for n in (1, 3, 40):
            array = np.full(n, np.nan, dtype)
            array[::2] = np.inf
            with np.errstate(all="raise"):
                for compare in (np.less, np.less_equal, np.equal, np.not_equal, np.greater):
                    compare(array, dtype(1))
                    assert_array_equal(compare(array, array), compare(array.copy(), array))
