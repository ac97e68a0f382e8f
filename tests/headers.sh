#!/bin/bash
# Every header compiles by itself: the public ones as C17 pedantic, and as C++ where a C++ compiler is; those of the rooms
# as the rooms are compiled.
set -u
cd "$SLX_SOURCE_DIR" || exit 2
count=0 failed=0 unit="typedef int translation_unit;"
compile() { # HEADER COMMAND...
	local header=$1
	shift
	count=$((count + 1))
	"$@" || { echo "$header does not compile by itself: $*"; failed=$((failed + 1)); }
}
for h in include/silex/*.h; do
	compile "$h" "${CC:-cc}" -std=c17 -pedantic-errors -Wall -Wextra -Werror -Iinclude -fsyntax-only -include "$h" -x c - <<<"$unit"
	if command -v c++ >/dev/null; then
		compile "$h" c++ -std=c++17 -Wall -Wextra -Werror -Iinclude -fsyntax-only -include "$h" -x c++ - <<<"$unit"
	fi
done
while read -r h; do
	compile "$h" "${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -DSLX_SOURCE_DIR='"."' -Iinclude -Isrc -fsyntax-only -include "$h" -x c - <<<"$unit"
done < <(find src -name '*.h' | sort)
echo "$count compilations, $failed failed"
[ "$failed" = 0 ] && [ "$count" -gt 0 ]
