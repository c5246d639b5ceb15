"""Expressions that users write in rules, neuron types, processes, synapses and nodes.

Each is the step of an operator on vectors, matrices and a ring buffer. All are compiled, except the
last few, and give Python's bits.
"""

import nengo
import numpy as np
import pytest
from compiling import compiled
from nengo.builder.signal import Signal

from nengo_jit.builder import Model
from nengo_jit.engines.cpu.python import tapes_in_use

N, N_STEPS = 30, 12
STEP = """
def make(v, w, out, J, W, H, n):
    ring, i = np.zeros((10, n), v.dtype), np.array([0])
    xs, ys = np.linspace(0, 1, 9), np.linspace(1, 2, 9)
    idxs, spk, dt = np.array([1, 2, 2]), np.array([4, 7]), 0.001
    F = np.asfortranarray(H * 2)
    V2 = np.repeat(H, 2, axis=1)[:, ::2]

    def step():
        m0 = v > 1
        moved = W > 0.1
        {}

    return step
"""
COMPILED = [
    "v[v > 1] = 0",
    "v[m0] += 0.1",
    "v[m0] = w[m0]",
    "v[m0] = np.exp(w[m0])",
    "v[m0] = (w[m0] - 1) / (out[m0] - 1)",
    "out[:] = m0 / dt",
    "out[...] = np.where(v > 1, 1 / dt, 0)",
    "v[~m0] *= 0.5",
    "v[m0 & (w > 0)] = 0",
    "v[np.logical_not(m0)] = 2",
    "idx = np.where(m0)[0]; v[idx] = 0",
    "idx = np.nonzero(m0)[0]; v[idx] += 1",
    "idx = np.flatnonzero(m0); out[idx] = 1 / dt",
    "n = np.sum(m0); out[:] = n",
    "out[:] = m0.sum()",
    "out[:] = np.count_nonzero(m0)",
    "if np.any(m0): v[m0] = 0",
    "if m0.any(): v[m0] = 0",
    "out[:] = v.max()",
    "out[:] = np.argmax(v)",
    "out[np.argmax(J)] = 1 / dt",
    "out[:] = np.linalg.norm(v)",
    "out[:] = v / np.linalg.norm(v)",
    "v[:] = v ** 3",
    "v[:] = v ** 2",
    "v[:] = np.power(v, 3)",
    "v[:] = v**2 * (1 - v)",
    "v[:] = np.clip(v, 0, None)",
    "v[:] = np.clip(v, None, 1)",
    "v[:] = v.clip(min=0)",
    "v[:] = v.clip(0, 1)",
    "np.clip(v, 0, 1, out=v)",
    "np.maximum(v, 0, out=v)",
    "np.multiply(v, 2, out=w)",
    "np.exp(v, out=w)",
    "np.add(v, w, out=v)",
    "W[...] += np.outer(v, J)",
    "np.outer(v, J, out=W)",
    "W[...] = 0.01 * np.outer(v, J)",
    "W[:] = W * 0.9 + np.outer(v, J)",
    "W[...] *= 0.99",
    "W[...] -= W * np.square(v)[:, None]",
    "W[W > 1] = 1",
    "W[W < 0] = 0",
    "W[m0] += 0.1",
    "W[m0, :] = 0",
    "W[:, J > 0] = 0",
    "W[moved] = np.tanh(H[moved]) * 1e-3",
    "W[...] += (v[:, np.newaxis] * J) * (W < 1)",
    "out[:] = W @ J",
    "out[:] = np.dot(W, J)",
    "out[:] = W.dot(J)",
    "out[:J.size] = v @ W",
    "out[:20] = np.dot(v, W)",
    "out[:] = W.sum(axis=1)",
    "out[:20] = W.sum(axis=0)",
    "out[:20] = np.sum(W, axis=0)",
    "out[:] = np.mean(W, axis=1)",
    "out[:] = W.mean()",
    "out[:] = W.sum()",
    "out[:] = np.std(v)",
    "out[:] = v.var()",
    "out[:] = np.linalg.norm(W, axis=1)",
    "W[...] /= np.linalg.norm(W, axis=1)[:, None]",
    "W[...] /= W.sum(axis=1, keepdims=True)",
    "out[:] = np.cumsum(v)",
    "out[:] = np.sort(v)",
    "out[:] = np.argsort(v)",
    "out[:] = np.median(v)",
    "out[:] = np.fft.fft(v).real",
    "out[:] = np.fft.ifft(np.fft.fft(v) * np.fft.fft(w)).real",
    "out[:] = np.fft.irfft(np.fft.rfft(v) * np.fft.rfft(w), n=30)",
    "out[:] = np.convolve(v, w[:3], 'same')",
    "out[:] = np.correlate(v, w[:3], 'same')",
    "out[:] = np.einsum('ij,j->i', W, J)",
    "out[:] = np.einsum('i,j->ij', v, J).sum()",
    "out[:] = np.interp(v, xs, ys)",
    "out[:] = np.diff(v, prepend=0)",
    "out[:] = np.gradient(v)",
    "out[:] = v[::-1]",
    "out[:] = np.tile(v[:3], 10)",
    "out[:] = np.round(v, 2)",
    "out[:] = np.rint(v)",
    "out[:] = np.floor(v * 10) / 10",
    "out[:] = np.invert(m0)",
    "out[:] = np.heaviside(v, 0)",
    "out[:] = np.sign(v)",
    "out[:] = 1 / (1 + np.exp(-v))",
    "out[:] = np.log1p(np.exp(v))",
    "out[:] = np.tanh(v)",
    "out[:] = np.exp(-v / 0.1)",
    "out[:] = np.expm1(-v / 0.1)",
    "out[:] = np.minimum(v, w)",
    "out[:] = np.abs(v - w)",
    "out[:] = v % 1.0",
    "out[:] = np.mod(v, 1.0)",
    "out[:] = np.logical_and(v > 0, w > 0)",
    "out[:] = (v > 0) & (w > 0)",
    "out[:] = (v > 0) * (w > 0)",
    "out[:] = (v > 0).astype(float)",
    "out[:] = np.array(v > 0, dtype=float)",
    "out[:] = np.select([v > 0, w > 0], [v, w], 0)",
    "out[:] = ring[i].ravel(); ring[i] = v; i[:] = (i + 1) % len(ring)",
    "ring[i[0]] = v; i[0] = (i[0] + 1) % 10",
    "ring[:-1] = ring[1:]; ring[-1] = v",
    "ring[:] = np.roll(ring, 1, axis=0)",
    "ring[...] = np.vstack([v, ring[:-1]])",
    "out[:] = ring.mean(axis=0)",
    "out[:] = np.zeros(30)",
    "out[:] = np.ones_like(v)",
    "out.fill(0)",
    "out[:] = np.full_like(v, 3)",
    "tmp = np.empty_like(v); tmp[:] = v; out[:] = tmp",
    "tmp = np.zeros((30, 20)); tmp[:] = J; out[:] = tmp.sum()",
    "out[:] = v[:, None].dot(np.ones((1, 1)))[:, 0]",
    "out[:] = (v * w).sum() / v.size",
    "out[:] = np.inner(v, w)",
    "out[:] = np.vdot(v, w)",
    "out[:] = v @ w",
    "out[:] = float(v @ w)",
    "out[:] = np.trace(W[:20, :20])",
    "out[:] = np.diag(W)[0]",
    "out[:] = np.kron(v[:3], w[:10])",
    "out[:] = v if v[0] > 0 else w",
    "out[:] = sum(v)",
    "out[:] = max(v)",
    "out[:] = np.max(np.abs(v))",
    "out[:] = np.all(v > 0)",
    "out[:] = v[m0].sum()",
    "out[:] = np.mean(v[m0])",
    "out[:] = np.dot(W.T, v)[0]",
    "W[:] = W.T.copy().T",
    "out[:20] = V2[0]",
    "out[:] = F[:, 1]",
    "F[0] = J",
    "if J.any() and v.max() > 0.5: out[:] = 1",
    "if (v > 1).sum() > 2: v[:] = 0",
    "for k in range(n): out[k] = v[k] * w[k]",
    "np.copyto(out, v)",
    "np.add.at(out, idxs, 1.0)",
    "np.subtract(v, w, out=out)",
    "np.putmask(v, m0, 0)",
    "np.place(v, m0, 0)",
    "np.fill_diagonal(W, 0)",
    "out[...] += dt * (J.sum() - out)",
    "out[spk] = 1",
    "dv = (J.sum() - v) * dt; v[...] += dv",
    "a, b = v.copy(), w.copy(); v[:], w[:] = b, a",
    "out[:] = np.einsum('ij,i->j', W, v)[0]",
    "out[:] = np.outer(v, v).sum()",
    "out[:] = np.nan_to_num(v)",
    "out[:] = np.isclose(v, w)",
    "out[:] = np.ptp(v)",
    "out[:] = np.matmul(W, J)",
    "out[:] = np.sqrt(v**2 + w**2)",
    "out[:] = np.hypot(v, w)",
    "out[:] = np.subtract.outer(v, J)[:, 0]",
    "out[:] = np.add.reduce(v)",
    "out[:] = np.square(v)",
    "W[:] = np.where(W > 0, W * 2, W)",
    "W[:] = np.where(m0[:, None], W, 0)",
    "W[m0[:, None] & (J > 0)] += 1",
    "np.add.at(out, idxs, 1.0); out[idxs] -= 0.5",
    "row = W[np.argmax(v)]; out[:20] = row * 2",
    "out[:] = v[np.argsort(w)]",
    "W[np.argmax(v), :] += 0.1 * J",
    "W[m0] += 0.1 * J",
    "W[:, J > 0] -= 0.01 * v[:, None]",
    "W[m0] = J",
    "W[:, J > 0] = v[:, None]",
    "W[np.nonzero(W > 0.3)] *= 0.5",
    "idx = np.where(m0)[0]; n_ = len(idx); out[:] = n_ / 30",
    "idx, = np.nonzero(m0); out[idx] = np.log1p(v[idx] - 0.9)",
    "chosen = v[m0]; chosen *= w[m0]; v[m0] = chosen - np.sqrt(chosen)",
    "v[m0] = np.where(w[m0] > 1, 0.5, w[m0])",
    "v[m0] = v[m0].astype(int)",
    "v[v > 1] -= np.floor(v[v > 1])",
    "v[m0] = np.clip(w[m0] * 3, 0, 2)",
]
IN_PYTHON = {
    "out[:] = np.piecewise(v, [v > 0], [1.0, 0.0])": "calls `piecewise`",
    "V2[:] = V2 * 2": "assigns to an array that is read-only, or not contiguous",
    "out[: len(v[m0])] = 1": "takes the length of elements that a condition selects",
    "out[:] = np.unique(v)[0]": "calls `unique`",
    "out[:] = np.random.rand(30)": "uses numpy.random",
    "W[m0] += np.outer(v[m0], J)": "",
}


class Step(nengo.builder.Operator):
    """An operator that executes a statement."""

    def __init__(self, text, arrays):
        super().__init__()
        self.text = text
        self.sets, self.incs, self.reads = [], [], arrays[3:4]
        self.updates = [*arrays[:3], *arrays[4:]]

    def make_step(self, signals, dt, rng):
        names = {"np": np}
        is_block = self.text.startswith(("for ", "if "))
        lines = [self.text] if is_block else self.text.split("; ")
        exec(STEP.format("\n        ".join(lines)), names)
        v, w, out, *others = (signals[each] for each in self.updates)
        return names["make"](v, w, out, signals[self.reads[0]], *others, N)


def run(text, dtype, backend, n_proofs, monkeypatch):
    """All arrays after each step, and the plan."""
    monkeypatch.setattr("nengo_jit.engines.cpu.python.tracing.tape.N_PROOFS", n_proofs)
    monkeypatch.setattr(tapes_in_use, "WORTH_CHECKING", 0)
    rng = np.random.RandomState(len(text))
    shapes = [N, N, N, 20, (N, 20), (N, 20)]
    arrays = [Signal(rng.uniform(0.1, 2, shape).astype(dtype)) for shape in shapes]
    bits = nengo.rc.get("precision", "bits")
    nengo.rc.set("precision", "bits", str(8 * np.dtype(dtype).itemsize))
    model = Model()
    nengo.rc.set("precision", "bits", bits)
    model.add_op(Step(text, arrays))
    engine = compiled(model, backend)
    engine.reset(1)
    plan = engine.explain()
    results = []
    for i in range(N_STEPS):
        engine.signals[arrays[3]] = np.zeros(20) if i == 3 else rng.uniform(-1, 1, 20)
        engine.signals[arrays[0]] = np.zeros(N) if i == 5 else rng.uniform(-0.5, 2.5, N)
        try:
            engine.run(1)
        except Exception as error:
            results.append((type(error), str(error)))
        else:
            results.append([engine.signals[each].tobytes() for each in arrays])
    assert not any(each.wrong for each in getattr(engine, "callbacks", ()))
    return results, plan


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("text", COMPILED)
@pytest.mark.filterwarnings("ignore")
def test_compiled(text, dtype, monkeypatch):
    expected, _ = run(text, dtype, "reference", 0, monkeypatch)
    for n_proofs in (0, 1 << 60):  # what tapes compute, and their own comparison
        results, plan = run(text, dtype, "cpu", n_proofs, monkeypatch)
        assert plan.compiled and not plan.compiled[0][1], plan
        assert results == expected


@pytest.mark.parametrize("text", IN_PYTHON)
def test_in_python(text, monkeypatch):
    _, plan = run(text, "float64", "cpu", 0, monkeypatch)
    assert IN_PYTHON[text] in plan.in_python[0][1]
