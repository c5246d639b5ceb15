"""The C function around the one that Numba makes of a kernel, in LLVM IR.

Numba's function returns its result through a pointer, and an error as a status. Its parameters
depend on the `Signature`. Most kernels are functions of one row: the loop over all rows of a table
is here, since each function that Numba compiles takes it 20 milliseconds. LLVM inlines Numba's
function, which is called in one place only.
"""

from __future__ import annotations

from nengo_jit.engines.cpu.language.primitives import OUT_OF_BOUNDS, STOPPED, Signature
from nengo_jit.regions import CHECKED, KERNEL, SYMBOL

ENTRY = "kernel"  # symbol that an object file exports

WRAPPER = """
define i64 @{entry}(ptr %memory, i64 %address) {attributes} {{
  %result = alloca i64
  %error = alloca ptr
  {before}
  %code = call i32 @"{function}"(ptr %result, ptr %error, ptr %memory, {arguments})
  %has_failed = icmp ne i32 %code, 0
  {note}
  %value = load i64, ptr %result
  %status = select i1 %has_failed, i64 {failed}, i64 %value
  {after}
}}
"""
RETURN = "ret i64 %status"

# Reads the head of the table at the address, see `nengo_jit.engines.cpu.language.kernel.table_of`
TABLE = """
  {check}
  br label %table
table:
  %head = inttoptr i64 %address to ptr
  %n = load i64, ptr %head
  %rows = getelementptr i64, ptr %head, i64 1
"""
# The rows as an array, as Numba passes it: owner, parent, size, row size, data, shape, strides
ARRAY = "ptr null, ptr null, i64 %n, i64 {n_bytes}, ptr %rows, i64 %n, i64 {n_bytes}"
# A loop over the rows, which ends after the first status that is not zero
BEGIN_ROW = """
  %n_bytes = mul i64 %n, {n_bytes}
  %end = getelementptr i8, ptr %rows, i64 %n_bytes
  %is_empty = icmp eq i64 %n, 0
  br i1 %is_empty, label %return, label %row
row:
  %place = phi ptr [ %rows, %table ], [ %next, %go_on ]
  {columns}
"""
COLUMN = """
  %place_{i} = getelementptr i64, ptr %place, i64 {i}
  %column_{i} = load i64, ptr %place_{i}
"""
END_ROW = """
  %is_stopped = icmp ne i64 %status, 0
  br i1 %is_stopped, label %return, label %go_on
go_on:
  %next = getelementptr i8, ptr %place, i64 {n_bytes}
  %is_over = icmp eq ptr %next, %end
  br i1 %is_over, label %return, label %row
return:
  %last = phi i64 [ 0, %table ], [ %status, %row ], [ 0, %go_on ]
  ret i64 %last
"""

# With bounds checks, the table is checked, and a failure is recorded; see `nengo_jit.regions`.
CHECK = """
  %code_of_check = call i32 @"{check}"(ptr %result, ptr %error, i64 %address, i64 {n_columns})
  %is_unknown = icmp ne i32 %code_of_check, 0
  call void @note(i1 %is_unknown)
  br i1 %is_unknown, label %refuse, label %accept
refuse:
  ret i64 {failed}
accept:
"""
NOTE = "call void @note(i1 %has_failed)"
NOTING = """
@{symbol} = external global i64
@name = private constant [{size} x i8] c"{name}\\00"
define void @note(i1 %failed) {{
  br i1 %failed, label %note, label %return
note:
  store ptr @name, ptr getelementptr (i64, ptr @{symbol}, i64 {field})
  br label %return
return:
  ret void
}}
"""


def wrapper(signature: Signature, function: str, attributes: str, check: str = "") -> str:
    """The definition of `ENTRY`.

    Parameters
    ----------
    signature : Signature
        Parameters and result of Numba's function.
    function : str
        Name of that function.
    attributes : str
        LLVM's attributes of both functions.
    check : str
        With bounds checks, the name of the compiled `checks.known_table`.
    """
    columns = signature.columns or ()
    n_bytes, failed = 8 * len(columns), OUT_OF_BOUNDS if CHECKED else STOPPED
    before, arguments, after = "", "i64 %address", RETURN
    if signature.columns is not None:
        names = {"check": check, "n_columns": len(columns), "failed": failed}
        before = TABLE.format(check=CHECK.format(**names) if CHECKED else "")
        arguments = ARRAY.format(n_bytes=n_bytes)
        if not signature.takes_all:
            loads = "".join(COLUMN.format(i=i) for i in range(len(columns)))
            before += BEGIN_ROW.format(n_bytes=n_bytes, columns=loads)
            arguments = ", ".join(f"i64 %column_{i}" for i in range(len(columns)))
            after = END_ROW.format(n_bytes=n_bytes)
    return WRAPPER.format(
        entry=ENTRY,
        attributes=attributes,
        before=before,
        function=function,
        arguments=arguments,
        note=NOTE if CHECKED else "",
        failed=failed,
        after=after,
    )


def noting(name: str) -> str:
    """Definition of the function that records that a kernel has failed a bounds check."""
    return NOTING.format(symbol=SYMBOL, field=KERNEL, name=name, size=len(name) + 1)
