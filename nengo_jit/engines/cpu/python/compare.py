"""The kernel that compares a path through a tape with Python.

Python makes the call, and its results stay in memory whatever the comparison finds. The tape's
stores go to a shadow: a copy of the memory, made before the call.
"""

# Numba infers the types of helpers, which have no annotations.
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
from nengo_jit.engines.cpu.python.call import (
    CALL,
    DIFFERS,
    LENGTH,
    PATH,
    PERFORM,
    TAPE,
    call_briefly,
    copy,
    restore,
)
from nengo_jit.engines.cpu.python.instructions import WIDTH, Field, GroupHead, Head, Opcode
from nengo_jit.engines.cpu.python.tape_vm import DONE, IN_PYTHON, carry_out_store, is_right


@helper()
def copy_spans(spans):
    """Copy spans of memory to their shadows."""
    for i in range(0, spans.size, 3):
        copy(spans[i], spans[i + 1], spans[i + 2])


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
def store_in_shadows(address, head):
    """Execute the groups and stores at an address, on the shadows of their destinations.

    Returns a status, see `perform`.
    """
    word = int64s(address, WIDTH)
    while word[Field.OPCODE] != Opcode.RETURN:
        if word[Field.OPCODE] == Opcode.GROUP:
            group = int64s(word[Field.GROUP], 1)
            group[GroupHead.IN_SHADOW] = 1
            status = call(head[Head.PERFORM_GROUP], word[Field.GROUP])
            group[GroupHead.IN_SHADOW] = 0
            if status != DONE:
                return status
        else:
            carry_out_store(word, word[Field.SHADOW])
        address += 8 * WIDTH
        word = int64s(address, WIDTH)
    return DONE


@routine(exact=True)
def compare(memory: Memory, address: Address) -> int:
    """Have Python carry out the task at an address, and compare the tape's path with the results.

    The caller holds the GIL. If Python raises or is interrupted, this does not count as a
    comparison: the path is compared the next time that it is taken.
    """
    task = int64s(address, LENGTH)
    path, head = call(task[PERFORM], task[TAPE]), int64s(task[TAPE], WIDTH)
    if path == IN_PYTHON:  # another thread has changed what the tape reads
        return call(task[CALL], address)
    if path <= OUT_OF_BOUNDS:
        return path
    task[PATH] = path
    commit = int64s(path, WIDTH)
    spans = int64s(commit[Field.SPANS], 3 * commit[Field.N_SPANS])
    copy_spans(spans)
    status = store_in_shadows(path + 8 * WIDTH, head)
    if status == DONE:
        status = call(task[CALL], address)
    if status != 0:
        return status
    if not (is_right(head) and are_equal(spans)):
        status = call_briefly(address, DIFFERS)
        if status != 0:
            restore(task)
        return status
    task[PATH] = 0
    commit[Field.N_EQUAL] += 1
    is_proven = commit[Field.N_EQUAL] >= head[Head.N_PROOFS]
    commit[Field.COUNTDOWN] = head[Head.INTERVAL] - 1 if is_proven else 0
    head[Head.N_LEFT] = head[Head.INTERVAL] - 1
    return 0
