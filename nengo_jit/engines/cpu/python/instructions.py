"""The layout of tapes in memory: opcodes, the fields of an instruction, and the head.

The writer of tapes (`nengo_jit.engines.cpu.python.tracing.tape`) and the kernels that execute and
compare them (`tape_vm`, `compare`) share these names. The module imports nothing else, because the
processes that compile kernels import it.
"""

from enum import IntEnum, auto


class Opcode(IntEnum):
    """What an instruction does with its operands a, b and c.

    The order matters: kernels dispatch on ranges of opcodes.
    """

    RETURN = 0
    REDO = auto()  # call the function in Python
    BRANCH = auto()  # jump to a target if a is zero
    COMMIT = auto()  # the path is complete: only stores follow
    FUNCTION = auto()  # a C function of a
    FUNCTION_OF_TWO = auto()  # a C function of a and b
    LOOP = auto()  # the inner loop of a NumPy ufunc
    LOOP_SHORT = auto()  # one that computes with packed float32
    CALL = auto()  # an object of Python
    POSITIONS = auto()  # where a is not zero, and how many these are
    PUT = auto()  # a, with elements b at positions c
    PACK = auto()  # registers to float32, side by side
    UNPACK = auto()  # packed float32 to registers
    LOAD = auto()  # from memory: float64
    LOAD_SHORT = auto()  # float32
    LOAD_INTEGERS = auto()  # int64
    LOAD_BOOLEANS = auto()
    STORE = auto()  # to memory: float64
    STORE_SHORT = auto()  # float32
    STORE_INTEGERS = auto()  # int64
    STORE_BOOLEANS = auto()
    GATHER = auto()  # n registers from anywhere
    LOOKUP = auto()  # row b of a table a
    ROLL = auto()  # a, shifted cyclically by b elements
    FIND = auto()  # the index of the first element of a that equals b
    TAKE = auto()  # the elements of a at positions b
    LARGEST = auto()  # the largest size of b numbers
    GROUP = auto()  # a list of parts that are executed together, block by block
    SPREAD = auto()  # a matrix with any strides; in groups only
    CHECK = auto()  # nothing, but the result must be finite; in groups only
    MOVE = auto()  # from here on, one element at a time
    ADD = auto()
    SUBTRACT = auto()
    MULTIPLY = auto()
    DIVIDE = auto()
    REMAINDER = auto()
    FLOOR_DIVIDE = auto()
    NEGATIVE = auto()
    ABSOLUTE = auto()
    SQRT = auto()
    FLOOR = auto()
    CEIL = auto()
    TRUNC = auto()
    RINT = auto()
    INTEGER = auto()  # a as an integer, which has no negative zero
    LESS = auto()
    LESS_EQUAL = auto()
    EQUAL = auto()
    NOT_EQUAL = auto()
    AND = auto()
    OR = auto()
    NOT = auto()
    SELECT = auto()  # a if c else b
    SHORT = auto()  # a, rounded to single precision
    AT_LEAST = auto()  # b if a < b else a
    AT_MOST = auto()  # b if b < a else a


class Field(IntEnum):
    """The 64-bit integers of an instruction: addresses, strides (elements) and counts."""

    OPCODE = 0
    N = 1  # elements of the result
    RESULT = 2  # address
    A = 3  # address
    A_STRIDE = 4
    B = 5
    B_STRIDE = 6
    C = 7
    C_STRIDE = 8
    LIMIT = 9  # address of a register with the most elements that are computed; zero for N

    # BRANCH
    TARGET = B  # index of an instruction
    # FUNCTION and FUNCTION_OF_TWO
    FUNCTION = B  # address of the C function
    FUNCTION_OF_TWO = C
    # LOOP: what a ufunc's inner loop takes, all addresses
    LOOP = A
    ARGUMENTS = A_STRIDE
    SIZES = B
    STEPS = B_STRIDE
    DATA = C
    # CALL
    OBJECT = A  # address of the object
    EXPECTED = B  # address of the object that it returns unless it fails
    # PUT
    POSITIONS = C  # address of integers
    N_POSITIONS = C_STRIDE  # address of a register
    # FIND
    SIZE = C
    # STORE and the like
    SHADOW = B  # address to write to in place of the result while the path is compared
    INDEX = C  # address of a register with the index of a row; zero for none
    ROW_SIZE = C_STRIDE  # bytes
    STORED_AT = B_STRIDE  # address of integers: where to store elements, if there is a `LIMIT`
    # GATHER
    SOURCES = A  # address of a list of addresses
    # LOOKUP
    N_ROWS = C
    TYPE = C_STRIDE  # opcode that loads from memory; zero for registers
    ITEM_SIZE = A_STRIDE  # bytes
    # LARGEST
    COUNT = B
    # GROUP
    GROUP = A  # address of its head
    # COMMIT
    COUNTDOWN = N  # how often the path may be taken before it is compared
    N_EQUAL = A  # how often it has been compared
    N_SPANS = B  # how many spans of memory are compared
    SPANS = C  # address of a list: for each span its address, its shadow's, and the size (bytes)


class Head(IntEnum):
    """What precedes the instructions, in as many integers as one of them has."""

    N_GUARDS = 0  # how many integers must have the values that they had during tracing
    GUARDED = 1  # address of a list of their addresses
    VALUES = 2  # address of a list of those values
    HAS_CHANGED = 3  # address of an integer that is set to 1 if a value differs
    N_LEFT = 4  # how many calls may pass before one is compared
    N_PROOFS = 5  # how often a path is compared before its results are used
    INTERVAL = 6  # one of this many calls is compared after that
    PERFORM_GROUP = 7  # address of the kernel for groups


WIDTH = len(Field)


class GroupHead(IntEnum):
    """What precedes the parts of a group.

    The elements are a matrix in the order of its rows. A block is a number of rows, or some columns
    of one row.
    """

    IN_SHADOW = 0  # 1 while the path is compared: memory is not written to, but its shadow
    N_FIRST = 1  # how many parts are executed once, before the first block
    N_PARTS = 2  # how many are executed for each block
    ROWS = 3
    COLUMNS = 4
    ROWS_AT_ONCE = 5
    COLUMNS_AT_ONCE = 6


class Part(IntEnum):
    """The 64-bit integers of a part: an elementwise instruction in a group."""

    OPCODE = 0
    OPERATION = 1  # an `Operation`; negative if the instruction is none
    IS_CHECKED = 2  # whether all results must be finite
    RESULT = 3  # address, of the first block
    SHADOW = 4  # address to write to in place of the result while the path is compared
    RESULT_MODE = 5
    A = 6
    A_MODE = 7
    B = 8
    B_MODE = 9
    C = 10
    C_MODE = 11

    # SPREAD: a matrix with a number of columns, and steps (elements)
    STEP = 12
    STEP_OF_ROWS = 13
    COLUMNS = 14
    # POSITIONS
    SIZE = 12  # how many positions there may be; the register after them has their number
    # LOOP and LOOP_SHORT: a ufunc's inner loop and its data, and steps (bytes)
    STEP_OF_A = 12
    STEP_OF_B = 13
    STEP_OF_C = 14
    STEP_OF_RESULT = 15
    N_INPUTS = 16
    FUNCTION = 17
    DATA = 18

    IS_BY_ROWS = 19  # whether the rows of a block are computed one after the other


class Mode(IntEnum):
    """What is added to an operand's address for a block; the last two are of single numbers."""

    FIXED = 0  # nothing
    ELEMENTS = 1  # 8 bytes for each element before the block
    SHORT_ELEMENTS = 2  # 4 bytes
    BYTES = 3  # one byte
    COLUMNS = 4  # 8 bytes for each column
    NUMBER = 5  # nothing
    ROWS = 6  # 8 bytes for each row


PART_WIDTH = 1 + max(Part)
