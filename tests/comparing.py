"""Compare with nengo what is drawn, what is solved for, and what is computed from both.

What is drawn is nengo's bit for bit. So is what nengo's own solvers are called for. Decoders that
we solve for ourselves are nengo's up to `rounding`, since nengo takes whatever path through LAPACK
its version of SciPy takes. All else is arithmetic in nengo's order: it is equal bit for bit if the
decoders are, and `simulators` makes pairs that have the same ones.
"""

import nengo
import numpy as np

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.builder.sharing import key_of
from nengo_jit.parallel import one_thread_in_blas

PROMISED = 1e-9


def rounding(conn, dtype):
    """Largest difference between decoders of two good solvers, relative to their norm.

    Zero where nengo's own code is called. Otherwise the matrix is ``M = A.T A + m sigma**2 I``, for
    the rates A of n neurons at m points, and ``sigma = reg max(A)``. Cholesky factorisations are
    backward stable: the relative error of a solution is at most about ``n eps cond(M)`` (Higham,
    "Accuracy and Stability of Numerical Algorithms", chapter 10), and two solutions differ by up to
    twice as much. The eigenvalues of ``A.T A`` are below its trace, which is below
    ``m n max(A)**2``, and those of M are not below ``m sigma**2``. Whatever the rates are,
    ``cond(M)`` is thus at most ``n / reg**2 + 1``. (The solvers "nz" have a sigma for each neuron.
    That is as if columns of A were scaled, which Cholesky factorisations do not notice.) For many
    neurons that is much more than is ever seen: what the README promises holds for all.
    """
    if key_of(conn.pre_obj, conn.pre_slice, conn.eval_points, conn.solver) is None:
        return 0.0
    if not hasattr(conn.solver, "reg"):  # the system's condition is estimated when it is solved
        return PROMISED + np.finfo(dtype).eps
    n = conn.pre_obj.n_neurons
    condition = n / conn.solver.reg**2 + 1
    error = 2 * n * np.finfo(np.float64).eps * condition
    return min(error, PROMISED) + np.finfo(dtype).eps  # of the numbers that decoders are stored as


def assert_same_decoders(conn, ours, nengos):
    """Check decoders, or the weights that they are a factor of, for a connection."""
    assert ours.shape == nengos.shape
    assert ours.dtype == nengos.dtype
    tolerance = rounding(conn, nengos.dtype)
    if tolerance == 0:
        np.testing.assert_array_equal(ours, nengos, err_msg=str(conn))
    else:
        difference = np.linalg.norm(ours - nengos)
        assert difference <= tolerance * np.linalg.norm(nengos), (conn, difference)


def simulators(network, nengos_network=None):
    """Our reference engine and nengo's simulator, with the same decoders, of a seeded network.

    They are nengo's. Ours are solved for and compared, as are the systems that they solve.

    Parameters
    ----------
    network : nengo.Network
        What to simulate.
    nengos_network : nengo.Network, optional
        The same network once more, for nengo, if there are objects in it that keep state.
    """
    solved = []

    def keep(solve):
        def solve_and_keep(conn, *system, rng):
            solved.append((system, *solve(conn, *system, rng=rng)))
            return solved[-1][1:]

        return solve_and_keep

    def compare(solve):
        def solve_and_compare(conn, *system, rng):
            nengos_system, decoders, info = solved.pop(0)
            for array, nengos_array in zip(system, nengos_system, strict=True):
                np.testing.assert_array_equal(array, nengos_array, err_msg=str(conn))
            assert_same_decoders(conn, solve(conn, *system, rng=rng)[0], decoders)
            return decoders, info

        return solve_and_compare

    # As for our solvers: libraries for linear algebra may round differently on more threads.
    with one_thread_in_blas():
        nengos = nengo.Simulator(
            network if nengos_network is None else nengos_network,
            model=nengo.builder.Model(decoder_cache=SolverWrapper(keep)),
            optimize=False,
        )
        ours = nengo_jit.Simulator(
            network, model=Model(decoder_cache=SolverWrapper(compare)), engine="reference"
        )
    assert not solved
    return ours, nengos


class SolverWrapper:
    """What both builders take for a decoder cache.

    Parameters
    ----------
    wrap_solver : callable
        Returns what is called in place of a solver.
    """

    def __init__(self, wrap_solver):
        self.wrap_solver = wrap_solver

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def shrink(self):
        pass
