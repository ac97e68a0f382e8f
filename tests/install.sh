#!/bin/bash
# An application's view: installs under a temporary prefix, compiles each examples/*.c through pkg-config against the
# shared and the static library, and runs it in an empty folder. An example takes no arguments and exits 0.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$SLX_BUILD_DIR" --prefix "$work/usr" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
pc=$(dirname "$(find "$work/usr" -name silex.pc)")
libdir=$(dirname "$pc")
export PKG_CONFIG_PATH=$pc
cc=${CC:-cc}
# The installed silex.pc names the configured prefix; pkg-config moves it to where the file lies.
pkg() { pkg-config --define-variable=prefix="$work/usr" "$@" silex; }

cat >"$work/version.c" <<'END'
#include <silex/silex.h>
#include <stdio.h>
int main(void)
{
	printf("%s\n", silex_version());
	return 0;
}
END
count=0
for source in "$work/version.c" "$SLX_SOURCE_DIR"/examples/*.c; do
	[ -e "$source" ] || continue
	name=$(basename "$source" .c)
	# shellcheck disable=SC2046
	"$cc" -std=c17 -D_GNU_SOURCE -O1 -Wall -Wextra "$source" -o "$work/$name-shared" $(pkg --cflags --libs) -lm -pthread
	# shellcheck disable=SC2046
	"$cc" -std=c17 -D_GNU_SOURCE -O1 -Wall -Wextra "$source" -o "$work/$name-static" -static $(pkg --static --cflags --libs) -lm
	for kind in shared static; do
		mkdir "$work/run-$name-$kind"
		(cd "$work/run-$name-$kind" && LD_LIBRARY_PATH=$libdir timeout 120 "$work/$name-$kind" >"$work/out" 2>&1 </dev/null) ||
			{ echo "$name ($kind) failed:"; cat "$work/out"; exit 1; }
		count=$((count + 1))
	done
done
[ ! -e "$work/usr/bin/silex" ] || "$work/usr/bin/silex" version
echo "$count programs built against the installed library and run"
