#!/bin/bash
# cmake.sh PRESET [-DOPTION=VALUE...] [--target NAME... | --tests LABEL]: configures the preset's build folder and builds all,
# the named targets, or the programs of the tests that carry LABEL (a test and its program have the same name).
set -eu
cd "$(dirname "$0")/.."
preset=$1
shift
options=()
while [ $# -gt 0 ] && [ "${1#-D}" != "$1" ]; do
	options+=("$1")
	shift
done
folder=build-$preset
[ "$preset" != release ] || folder=build
# The generator of a new build folder; an existing one keeps its own.
if [ ! -e "$folder/CMakeCache.txt" ] && command -v ninja >/dev/null; then export CMAKE_GENERATOR=Ninja; fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake --preset "$preset" "${options[@]}" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
if [ "${1:-}" = --tests ]; then
	cmake --build "$folder" --target help >"$log"
	targets=()
	for name in $(ctest --test-dir "$folder" -N -L "$2" | sed -n 's/^ *Test *#[0-9]*: //p'); do
		! grep -qE "^(\.\.\. )?$name(:.*)?$" "$log" || targets+=("$name")
	done
	[ ${#targets[@]} -gt 0 ] || { echo "cmake.sh: no test of $folder has the label $2" >&2; exit 1; }
	set -- --target "${targets[@]}"
fi
cmake --build "$folder" -j "${JOBS:-$(nproc)}" "$@"
