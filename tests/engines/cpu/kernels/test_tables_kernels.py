import nengo
import pytest
from nengo.processes import WhiteSignal
from processes import Setup

from nengo_jit.engines.cpu.backend import CpuBackend


def test_errors_of_a_process_come_when_it_is_reset():
    setup = Setup(CpuBackend, WhiteSignal(1.0, high=1000))
    with pytest.raises(nengo.exceptions.ValidationError, match="Nyquist"):
        setup.engine.reset(0)
