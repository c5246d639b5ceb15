"""Threads: results in order, errors where they belong, and linear algebra on one thread."""

import os
import subprocess
import sys
import threading

import pytest

from nengo_jit.parallel import n_cores, one_thread_in_blas, parallel_map, quota


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order(threads):
    is_done = [threading.Event() for _ in range(20)]

    def late_for_even(x):
        if x % 2 == 0 and threads > 1:
            is_done[x + 1].wait()
        is_done[x].set()
        return x**2

    assert list(parallel_map(late_for_even, range(20), threads)) == [x**2 for x in range(20)]
    assert list(parallel_map(late_for_even, [], threads)) == []


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_errors_come_in_their_place(threads):
    def invert(x):
        return 1 / x

    results = parallel_map(invert, [1, 2, 0, 4], threads)
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


def test_only_so_many_calls_are_made_ahead():
    before = threading.active_count()
    calls = []
    results = parallel_map(calls.append, range(100), 2)
    next(results)
    results.close()
    assert len(calls) <= 6
    assert threading.active_count() == before


def test_one_thread_in_blas():
    with one_thread_in_blas() as limited, one_thread_in_blas() as again:
        assert not again
    with one_thread_in_blas() as afterwards:
        assert afterwards == limited


LIMITS_SCIPY = """
import threadpoolctl
import nengo_jit
from nengo_jit.parallel import one_thread_in_blas

with one_thread_in_blas() as limited:
    import scipy.linalg.lapack

    libraries = threadpoolctl.ThreadpoolController().select(user_api="blas").info()
    assert not limited or {each["num_threads"] for each in libraries} == {1}, libraries
"""


def test_a_linear_algebra_library_that_scipy_loads_later_has_one_thread_too():
    subprocess.run([sys.executable, "-c", LIMITS_SCIPY], check=True)


def test_there_is_a_core():
    assert n_cores() >= 1


def groups(tmp_path, membership, files):
    """Files as cgroups(7) has them, for a process that is in some groups."""
    (tmp_path / "membership").write_text(membership)
    for name, content in files.items():
        path = tmp_path / "mounted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return quota(tmp_path / "membership", tmp_path / "mounted")


@pytest.mark.parametrize(
    "membership, files, cores",
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 2**31),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "300000 100000\n"}, 3.0),
        ("0::/elsewhere\n", {"cpu.max": "200000 100000\n"}, 2.0),
        (
            "3:cpu,cpuacct:/docker/1\n1:memory:/docker/1\n",
            {
                "cpu/docker/1/cpu.cfs_quota_us": "250000\n",
                "cpu/docker/1/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
        (
            "3:cpu,cpuacct:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            2**31,
        ),
        ("1:memory:/docker/1\n", {}, 2**31),
        ("", {}, 2**31),
    ],
)
def test_quotas_of_control_groups_are_known(tmp_path, membership, files, cores):
    assert groups(tmp_path, membership, files) == cores


def test_where_there_are_no_control_groups_all_cores_may_be_used(tmp_path):
    assert quota(tmp_path / "nothing", tmp_path) == 2**31
    assert 1 <= n_cores() <= (os.cpu_count() or 1)
