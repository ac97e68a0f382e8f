#!/bin/bash
# format.sh [--check] [FILE...]: clang-format (14, .clang-format) over the given or all C files. --check changes nothing,
# lists the files that would change with the number of lines, and exits 1 when there are any.
set -u
cd "$(dirname "$0")/.." || exit 2
check=0
[ "${1:-}" != --check ] || { check=1; shift; }
if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(git ls-files 'src/*.[ch]' 'include/*.h' 'tests/*.[ch]' 'bench/*.[ch]' 'examples/*.[ch]'); fi
if [ $check = 0 ]; then
	clang-format -i --style=file "${files[@]}"
	exit
fi
changed=0
for f in "${files[@]}"; do
	lines=$(clang-format --style=file "$f" | diff "$f" - | grep -c '^[<>]')
	[ "$lines" = 0 ] || { echo "$f: $lines lines differ"; changed=$((changed + 1)); }
done
echo "${#files[@]} files, $changed would change"
[ $changed = 0 ]
