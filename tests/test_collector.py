"""The garbage collector rests while objects are made, and afterwards it is as it was."""

import gc

import pytest

from nengo_jit.collector import collector_paused


@pytest.fixture(params=[True, False])
def enabled(request):
    """Whether the collector is on before."""
    before = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if before else gc.disable)()


def test_it_rests_within_the_context_only(enabled):
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled() == enabled


def test_it_is_as_before_after_an_error(enabled):
    with pytest.raises(ZeroDivisionError), collector_paused():
        raise ZeroDivisionError
    assert gc.isenabled() == enabled


def test_new_objects_are_old_afterwards_and_can_still_be_collected():
    with collector_paused():
        kept = [[]]
        kept.append(kept)  # a cycle
    assert any(each is kept for each in gc.get_objects(generation=2))
    assert gc.get_freeze_count() == 0
    del kept
    assert gc.collect() > 0


def test_objects_that_the_user_has_frozen_stay_frozen():
    gc.freeze()
    try:
        n_frozen = gc.get_freeze_count()
        with collector_paused():
            kept = [[] for _ in range(10)]
        assert gc.get_freeze_count() >= n_frozen - 100  # the context itself frees some
        assert len(kept) == 10
    finally:
        gc.unfreeze()
