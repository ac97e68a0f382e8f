#!/usr/bin/env python3
"""Checks the text of the sources: UTF-8, no trailing blanks, tabs before spaces, a last newline, an include guard in
every header, no marker of unfinished work. Lines over 120 columns (a tab is 4) are counted, --columns lists them."""
import os
import re
import sys

COLUMNS_MAX, TAB = 120, 4
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def faults_in(path, text):
    code = path.endswith((".c", ".h", ".inc"))
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield number, "blanks at the end of the line"
        if code and line.startswith(" ") and re.match(r" +\t|  ", line) and not line.startswith(" *"):
            yield number, "indented with spaces (tabs, please)"
        if code and UNFINISHED.search(line):
            yield number, "a marker of unfinished work"
    if text and not text.endswith("\n"):
        yield text.count("\n") + 1, "no newline at the end of the file"
    if path.endswith(".h") and "#ifndef" not in text and "#pragma once" not in text:
        yield 1, "no include guard"


def wide_lines(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if path.endswith((".c", ".h")) and len(line.expandtabs(TAB)) > COLUMNS_MAX:
            yield f"{path}:{number}: {len(line.expandtabs(TAB))} columns"


def files(root):
    for folder in ("src", "include", "tests", "bench", "examples", "cmake", "scripts"):
        for where, folders, names in os.walk(os.path.join(root, folder)):
            folders[:] = sorted(f for f in folders if f not in ("corpus", "golden", "data", "__pycache__"))
            for name in sorted(names):
                if name.endswith((".c", ".h", ".inc", ".py", ".sh", ".cmake", "CMakeLists.txt")):
                    yield os.path.relpath(os.path.join(where, name), root)


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    count = faults = 0
    wide = []
    for path in files(root):
        count += 1
        try:
            with open(os.path.join(root, path), encoding="utf-8") as f:
                text = f.read()
        except UnicodeDecodeError:
            print(f"{path}:1: not UTF-8")
            faults += 1
            continue
        if path == "tests/tidy.py":
            continue
        wide += wide_lines(path, text)
        for number, why in faults_in(path, text):
            print(f"{path}:{number}: {why}")
            faults += 1
    if "--columns" in sys.argv:
        print("\n".join(wide))
    print(f"{count} files, {faults} faults; {len(wide)} lines wider than {COLUMNS_MAX} columns (--columns lists them)")
    return 1 if faults or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
