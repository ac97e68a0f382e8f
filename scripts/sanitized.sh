#!/bin/bash
# sanitized.sh FOLDER ctest-arguments...: runs tests of a sanitizer build so that the first report fails its test.
set -u
folder=$1
shift
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
# ThreadSanitizer of gcc 12 cannot live with the wider address randomisation of newer kernels.
run=()
case $folder in *tsan*) setarch -R true 2>/dev/null && run=(setarch -R) ;; esac
exec "${run[@]}" ctest --test-dir "$folder" -j "${JOBS:-$(nproc)}" --output-on-failure --no-tests=error "$@"
