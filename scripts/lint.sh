#!/bin/bash
# lint.sh: what is cheap to see without running anything: the floors, the text of the sources, cppcheck.
set -u
cd "$(dirname "$0")/.." || exit 2
status=0
python3 tests/floors.py || status=1
python3 tests/tidy.py || status=1
mkdir -p build/cppcheck
cppcheck --quiet --error-exitcode=1 -j "$(nproc)" --cppcheck-build-dir=build/cppcheck --std=c11 --language=c \
	--enable=warning,portability --inline-suppr --suppressions-list=scripts/cppcheck.txt \
	-D_GNU_SOURCE -DSILEX_VERSION_STRING='"0"' -DSLX_SOURCE_DIR='"."' -U__AVX512F__ -Iinclude -Isrc \
	--template='{file}:{line}: {severity}: {message} [{id}]' src || status=1
[ $status = 0 ] && echo "lint: clean"
exit $status
