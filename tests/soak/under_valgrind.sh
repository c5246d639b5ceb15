#!/bin/sh
# Run a Python script under valgrind, which looks for memory that is read or written in error.
# It knows no AVX-512, so kernels are compiled for x86-64-v3: in a first run, at full speed.
# Values that are not defined are no errors here: NumPy's vector instructions compute with them.
set -e
if ! command -v valgrind > /dev/null; then
    echo "There is no valgrind here: left out"
    exit 0
fi
export NENGO_JIT_CHECK=1 NUMBA_CPU_NAME=x86-64-v3 OPENBLAS_NUM_THREADS=1
"$@" --seconds 1
PYTHONMALLOC=malloc exec valgrind --undef-value-errors=no --error-exitcode=9 \
    --suppressions="$(dirname "$0")/valgrind.supp" "$@"
