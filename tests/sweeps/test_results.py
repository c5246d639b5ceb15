"""Results are the same in memory and in a store, in whatever order runs end."""

import contextlib
import json
import os
import random
import shutil
import signal
import warnings

import numpy as np
import pytest
import xarray
import zarr
from nengo.exceptions import ValidationError

from nengo_jit.persistence.variables import Axis, Variable
from nengo_jit.sweeps import stored
from nengo_jit.sweeps.arrays import InMemory
from nengo_jit.sweeps.design import Design
from nengo_jit.sweeps.results import Results
from nengo_jit.sweeps.stored import InStore
from nengo_jit.sweeps.worker import Outcome

N_STEPS = 4
GRID = {"n": [2, 3, 5, 1], "kind": ["a", "b"]}


def outcome(number, n, error="", every=1):
    axis = Axis("time" if every == 1 else "slow", every, 0.1)
    variable = Variable("x", (axis.name, "x.0"), (n,), np.dtype(float), {"units": "Hz"})
    samples = 100 * number + np.arange(N_STEPS // every * n).reshape(-1, n)
    return Outcome(number, 0.5, error, [] if error else [(variable, axis, samples / 2)])


def outcomes_of(design):
    return [outcome(number, design.run(number)[0]["n"]) for number in range(design.n_runs)]


def in_memory(design, path):
    return InMemory(len(design.dims), {"dt": 0.1})


def in_store(design, path):
    arrays = InStore(path, len(design.dims), {"dt": 0.1})
    arrays.begin({"what": "a test"})
    return arrays


@pytest.fixture(params=[in_memory, in_store])
def opened(request, tmp_path):
    return lambda design: request.param(design, tmp_path / "r.zarr")


@pytest.mark.parametrize("seed", range(3))
def test_samples_are_padded_with_nan_in_any_order(opened, seed):
    design = Design.of(GRID, [4, 8])
    arrays = opened(design)
    results = Results(design, N_STEPS, arrays)
    outcomes = outcomes_of(design)
    random.Random(seed).shuffle(outcomes)
    for i in range(0, len(outcomes), 3):
        results.add(outcomes[i : i + 3])
    arrays.close()
    ds = results.dataset()
    assert ds.x.dims == ("n", "kind", "seed", "time", "x.0")
    assert ds.x.attrs == {"units": "Hz"} and ds.seconds.attrs["units"] == "s"
    assert ds.attrs == {"dt": 0.1}
    np.testing.assert_allclose(ds.time, [0.1, 0.2, 0.3, 0.4])
    for number in range(design.n_runs):
        parameters, seed = design.run(number)
        run = ds.sel(seed=seed, **parameters)
        n = parameters["n"]
        assert run["x.0.size"] == n
        assert np.isnan(run.x[:, n:]).all()
        np.testing.assert_array_equal(run.x[:, :n], outcome(number, n).samples[0][2])
    assert results.missing == [] and (ds.error == "").all()


def test_failed_runs_are_missing_until_they_succeed(opened):
    design = Design.of({"n": [1, 1]}, None)
    results = Results(design, N_STEPS, arrays := opened(design))
    results.add([outcome(0, 1, "it failed")])
    assert results.missing == [0, 1] and results.n_failed == 1
    results.add([outcome(0, 1), outcome(1, 1)])
    assert results.missing == [] and results.n_failed == 0
    arrays.close()
    assert (results.dataset().error == "").all()
    assert "x.0.size" not in results.dataset()


def test_other_dimensions_are_an_error_of_the_run(opened):
    design = Design.of({"n": [1, 1]}, None)
    results = Results(design, N_STEPS, arrays := opened(design))
    results.add([outcome(0, 1), outcome(1, 1, every=2)])
    arrays.close()
    assert "'x' has the dimensions" in results.dataset().error.values[1]


def test_there_may_be_no_grid(opened):
    design = Design.of(None, None)
    results = Results(design, N_STEPS, arrays := opened(design))
    results.add([outcome(0, 2)])
    arrays.close()
    assert results.dataset().x.shape == (4, 2)
    assert results.dataset().seconds.item() == 0.5


def test_ctrl_c_waits_until_results_are_added(opened, monkeypatch):
    design = Design.of({"n": [1]}, None)
    results = Results(design, N_STEPS, arrays := opened(design))
    put = type(arrays).set_samples

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        put(*arguments)

    monkeypatch.setattr(type(arrays), "set_samples", interrupted)
    with pytest.raises(KeyboardInterrupt):
        results.add([outcome(0, 1)])
    assert results.missing == []


def test_a_store_continues(tmp_path):
    design = Design.of(GRID, None)
    outcomes = outcomes_of(design)
    arrays = in_store(design, tmp_path / "r.zarr")
    Results(design, N_STEPS, arrays).add(outcomes[:3])
    with pytest.raises(ValidationError, match="is being written"):
        InStore(tmp_path / "r.zarr", 2, {})
    arrays.close()
    again = InStore(tmp_path / "r.zarr", 2, {})
    assert again.described == {"what": "a test"}
    again.open()
    results = Results(design, N_STEPS, again)
    assert results.missing == [*range(3, 8)]
    results.add(outcomes[3:])
    again.close()
    whole = Results(design, N_STEPS, memory := InMemory(2, {"dt": 0.1}))
    whole.add(outcomes)
    xarray.testing.assert_identical(results.dataset().load().x, memory.dataset().x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = xarray.open_zarr(tmp_path / "r.zarr")
    assert shown.x.shape == (4, 2, 4, 5)


def test_arrays_that_were_left_empty_are_made_again(tmp_path):
    design = Design.of(GRID, None)
    arrays = in_store(design, tmp_path / "r.zarr")
    Results(design, N_STEPS, arrays).add(outcomes_of(design)[:3])
    arrays.close()
    for name in ("n", "kind", "time"):
        shutil.rmtree(tmp_path / "r.zarr" / name / "c")
    again = InStore(tmp_path / "r.zarr", 2, {})
    again.open()
    results = Results(design, N_STEPS, again)
    results.add(outcomes_of(design)[3:])
    again.close()
    ds = results.dataset()
    assert ds.n.values.tolist() == GRID["n"] and ds.kind.values.tolist() == GRID["kind"]
    np.testing.assert_allclose(ds.time, [0.1, 0.2, 0.3, 0.4])
    assert not np.isnan(ds.x[..., 0]).any()


def test_a_store_can_be_begun_anew_after_a_crash(tmp_path, monkeypatch):
    design = Design.of({"n": [1]}, None)
    in_store(design, tmp_path / "r.zarr").close()
    results = Results(design, N_STEPS, arrays := in_store(design, tmp_path / "r.zarr"))
    results.add([outcome(0, 1)])
    arrays.close()
    store = InStore(tmp_path / "r.zarr", 1, {})
    monkeypatch.setattr(zarr, "open_group", None)  # as if it had been killed before
    with pytest.raises(TypeError):
        store.begin({"what": "another test"})
    store.close()
    monkeypatch.undo()
    again = InStore(tmp_path / "r.zarr", 1, {})
    assert again.described == {"what": "a test"}
    again.begin({"what": "another test"})
    assert Results(design, N_STEPS, again).missing == [0]
    again.close()


def test_cases_have_coordinates_in_a_store(tmp_path):
    design = Design.of([{"n": 1}, {"n": 2}], None)
    arrays = InStore(tmp_path / "r.zarr", 1, {"coordinates": "n"})
    arrays.begin({})
    results = Results(design, N_STEPS, arrays)
    results.add(outcomes_of(design))
    arrays.close()
    assert results.dataset().coords["n"].values.tolist() == [1, 2]


@pytest.mark.parametrize("broken", range(1, 12))
def test_a_process_may_die_before_any_file_is_written(broken, tmp_path, monkeypatch):
    """Whatever the latest file is, the store can be continued, and nothing wrong counts."""
    design = Design.of({"n": [1, 3, 2]}, None)
    replace, count = stored.replace_file, iter(range(1000))

    def dying(*arguments, **options):
        if next(count) == broken:
            raise SystemExit
        replace(*arguments, **options)

    monkeypatch.setattr(stored, "replace_file", dying)
    arrays = in_store(design, tmp_path / "r.zarr")
    with contextlib.suppress(SystemExit):
        Results(design, N_STEPS, arrays).add(outcomes_of(design))
    arrays._lock.release()
    monkeypatch.undo()
    again = InStore(tmp_path / "r.zarr", 1, {})
    again.open()
    results = Results(design, N_STEPS, again)
    results.add([each for each in outcomes_of(design) if each.number in results.missing])
    again.close()
    for number, each in enumerate(outcomes_of(design)):
        expected = each.samples[0][2]
        np.testing.assert_array_equal(results.dataset().x[number, :, : expected.shape[1]], expected)


def test_only_stores_of_sweeps_are_deleted(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "zarr.json").write_text("{")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "zarr.json").write_text(json.dumps({"attributes": {}}))
    for name in ("other", "damaged", "file", "foreign"):
        with pytest.raises(ValidationError, match="is not the store of a sweep"):
            InStore(tmp_path / name, 1, {})
    (tmp_path / "empty").mkdir()
    store = InStore(tmp_path / "empty", 1, {})
    assert store.described is None
    store.close()
    with pytest.raises(OSError, match="No such file"):
        InStore(tmp_path / "nowhere" / "r.zarr", 1, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["other", "damaged", "file", "foreign", "empty"]
    )
