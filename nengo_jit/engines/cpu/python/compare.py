"""The kernel that compares a path through a tape with Python.

Python makes the call, so whatever comes of the comparison, what counts is what Python did. What
the tape would have written goes to a shadow of the memory: a copy that was made before the call.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from nengo_jit.engines.cpu.language.kernel import routine
from nengo_jit.engines.cpu.language.primitives import (
    OUT_OF_BOUNDS,
    Address,
    Memory,
    call,
    helper,
    int64s,
    uint8s,
)
from nengo_jit.engines.cpu.python import tape_vm as op
from nengo_jit.engines.cpu.python.call import (
    CALL,
    DIFFERS,
    LENGTH,
    PATH,
    PERFORM,
    TAPE,
    call_briefly,
)
from nengo_jit.engines.cpu.python.tape_vm import WIDTH, is_right, store


@helper()
def copy_spans(spans):
    """Make shadows of spans of memory."""
    for i in range(0, spans.size, 3):
        source, shadow = uint8s(spans[i], spans[i + 2]), uint8s(spans[i + 1], spans[i + 2])
        for j in range(source.size):
            shadow[j] = source[j]


@helper()
def are_equal(spans):
    """Whether spans of memory are equal to their shadows, bit by bit."""
    n_different = 0
    for i in range(0, spans.size, 3):
        memory, shadow = uint8s(spans[i], spans[i + 2]), uint8s(spans[i + 1], spans[i + 2])
        for j in range(memory.size):
            n_different += memory[j] != shadow[j]
    return n_different == 0


@helper()
def store_in_shadows(address):
    """Carry out the instructions that write to memory, from an address on, in its shadow."""
    word = int64s(address, WIDTH)
    while word[0] != op.RETURN:
        store(word[0], word[1], word[op.SHADOW], word[3], word[4])
        address += 8 * WIDTH
        word = int64s(address, WIDTH)


@routine(exact=True)
def compare(memory: Memory, address: Address) -> int:
    """Have Python carry out the task at an address, and compare the path with it.

    Whoever calls this has the lock. If Python raises, or is interrupted, this does not count as a
    comparison: the path is compared the next time that it is taken.
    """
    task = int64s(address, LENGTH)
    path, head = call(task[PERFORM], task[TAPE]), int64s(task[TAPE], WIDTH)
    if path == op.IN_PYTHON:  # which it would not have been a moment ago
        return call(task[CALL], address)
    if path <= OUT_OF_BOUNDS:
        return path
    task[PATH] = path
    commit = int64s(path, WIDTH)
    spans = int64s(commit[op.SPANS], 3 * commit[op.N_SPANS])
    copy_spans(spans)
    store_in_shadows(path + 8 * WIDTH)
    status = call(task[CALL], address)
    if status != 0:
        return status
    if not (is_right(head) and are_equal(spans)):
        return call_briefly(address, DIFFERS)
    task[PATH] = 0
    commit[op.N_EQUAL] += 1
    is_proven = commit[op.N_EQUAL] >= head[op.N_PROOFS]
    commit[op.COUNTDOWN] = head[op.INTERVAL] - 1 if is_proven else 0
    head[op.N_LEFT] = head[op.INTERVAL] - 1
    return 0
