#!/bin/bash
# An application's view: installs under a temporary prefix, compiles each examples/*.c through pkg-config against the
# shared and the static library, and runs it in an empty folder. An example takes no arguments and exits 0. The README's
# C program is one of them, and its command lines are run by the installed program.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$SLX_BUILD_DIR" --prefix "$work/usr" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
pc=$(dirname "$(find "$work/usr" -name silex.pc)")
libdir=$(dirname "$pc")
export PKG_CONFIG_PATH=$pc
cc=${CC:-cc}

# block LANGUAGE WORD: the first block of the README in LANGUAGE that contains WORD.
block() {
	awk -v start="^\`\`\`$1\$" -v word="$2" '
		$0 ~ start { inside = 1; text = ""; next }
		/^```/ && inside { inside = 0; if (index(text, word)) { printf "%s", text; exit } }
		inside { text = text $0 "\n" }' "$SLX_SOURCE_DIR/README.md"
}
block c silex_open >"$work/readme.c"
[ -s "$work/readme.c" ] || { echo "README.md has no C program"; exit 1; }

count=0
for source in "$work/readme.c" "$SLX_SOURCE_DIR"/examples/*.c; do
	[ -e "$source" ] || continue
	name=$(basename "$source" .c)
	# shellcheck disable=SC2046
	"$cc" -std=c17 -D_GNU_SOURCE -O1 -Wall -Wextra "$source" -o "$work/$name-shared" $(pkg-config --cflags --libs silex) -lm -pthread
	# shellcheck disable=SC2046
	"$cc" -std=c17 -D_GNU_SOURCE -O1 -Wall -Wextra "$source" -o "$work/$name-static" -static $(pkg-config --static --cflags --libs silex) -lm
	for kind in shared static; do
		mkdir "$work/run-$name-$kind"
		(cd "$work/run-$name-$kind" && LD_LIBRARY_PATH=$libdir timeout 120 "$work/$name-$kind" >"$work/out" 2>&1 </dev/null) ||
			{ echo "$name ($kind) failed:"; cat "$work/out"; exit 1; }
		count=$((count + 1))
	done
done
if [ -x "$work/usr/bin/silex" ]; then
	mkdir "$work/shell"
	cd "$work/shell"
	block sh 'silex import' >commands
	PATH=$work/usr/bin:$PATH LD_LIBRARY_PATH=$libdir bash -eu commands >"$work/out" 2>&1 </dev/null ||
		{ echo "the README's command lines failed:"; cat commands "$work/out"; exit 1; }
	PATH=$work/usr/bin:$PATH silex version
fi
echo "$count programs built against the installed library and run"
