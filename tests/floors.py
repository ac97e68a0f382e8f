#!/usr/bin/env python3
"""Checks that every #include obeys the floors of src/FLOORS: a room sees itself and rooms below, never a neighbour.

Public headers see only public headers, examples only what an installed Silex gives. Tests in a room are bound like the
room. --self-test plants violations in a copy and expects each to be found."""
import os
import re
import shutil
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def read_floors(root):
    """{room: (floor, rooms it is restricted to or None)}"""
    rooms = {}
    with open(os.path.join(root, "src/FLOORS")) as f:
        for line in f:
            words = line.split()
            if words and not line.startswith("#"):
                rooms[words[1]] = (int(words[0]), words[3:] if words[2:3] == ["only"] else None)
    return rooms


def room_of(path, rooms):
    """The longest room name that path lies in; None outside of every room."""
    return max((r for r in rooms if path.startswith(r + "/")), key=len, default=None)


def sources(root, folder):
    for where, folders, files in os.walk(os.path.join(root, folder)):
        folders.sort()
        for name in sorted(files):
            if name.endswith((".c", ".h", ".inc")):
                yield os.path.relpath(os.path.join(where, name), root)


def includes(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        text = f.read()
    for m in INCLUDE.finditer(text):
        yield text.count("\n", 0, m.start(2)) + 1, m.group(1), m.group(2)


def fault_in_room(room, mark, target, rooms, root):
    """Why `room` must not include `target`, or None."""
    if mark == "<":
        if target.startswith("silex/") and not os.path.exists(os.path.join(root, "include", target)):
            return "no such public header"
        return None
    other = room_of(target, rooms)
    if other is None:
        return "is no path from src/ into a room of src/FLOORS"
    if other == room:
        return None
    floor, only = rooms[room]
    if only is not None and other not in only:
        return f"{room} may include only {', '.join(only)} and include/silex"
    if rooms[other][0] > floor:
        return f"{other} (floor {rooms[other][0]}) is above {room} (floor {floor})"
    if rooms[other][0] == floor:
        return f"{other} is a neighbour of {room} on floor {floor}"
    return None


def check(root):
    """The list of violations and the number of files read."""
    rooms = read_floors(root)
    faults, count = [], 0
    for path in sources(root, "src"):
        count += 1
        room = room_of(path[len("src/"):], rooms)
        if room is None:
            faults.append(f"{path}: its folder is not in src/FLOORS")
            continue
        for line, mark, target in includes(root, path):
            why = fault_in_room(room, mark, target, rooms, root)
            if why:
                faults.append(f'{path}:{line}: "{target}": {why}')
    for folder in ("include", "examples"):
        for path in sources(root, folder):
            count += 1
            for line, mark, target in includes(root, path):
                if mark == '"' or room_of(target, rooms):
                    faults.append(f'{path}:{line}: "{target}": {folder}/ may include only <silex/...> and system headers')
    return faults, count


PLANTED = [
    ("src/base/up.c", '#include "model/labels.h"\n', "is above base"),
    ("src/model/aside.c", '#include "codec/codec.h"\n', "neighbour"),
    ("src/model/aside_test.c", '#  include "codec/codec.h"\n', "neighbour"),
    ("src/storage/chunk/aside.c", '#include "storage/index/index.h"\n', "neighbour"),
    ("src/app/deep.c", '#include "engine/engine.h"\n', "may include only"),
    ("src/base/relative.c", '#include "buf.h"\n', "no path from src/"),
    ("src/base/dots.c", '#include "../model/labels.h"\n', "no path from src/"),
    ("src/base/typo.c", "#include <silex/statu.h>\n", "no such public header"),
    ("src/nowhere/x.c", "int x;\n", "not in src/FLOORS"),
    ("include/silex/inner.h", '#include "base/buf.h"\n', "only <silex/...>"),
    ("examples/deep.c", '#include <engine/engine.h>\n', "only <silex/...>"),
]
FINE = [
    ("src/base/a.c", '#include "base/buf.h"\n#include <silex/status.h>\n#include <stdio.h>\n'),
    ("src/storage/chunk/a.c", '#include "codec/codec.h"\n#include "storage/chunk/chunk.h"\n'),
    ("src/app/a.c", '#include "formats/formats.h"\n#include "base/buf.h"\n'),
]


def self_test(root):
    failures = 0
    with tempfile.TemporaryDirectory() as tree:
        def fresh(files):
            shutil.rmtree(tree)
            for path, text in [("include/silex/status.h", "")] + files:
                os.makedirs(os.path.dirname(os.path.join(tree, path)), exist_ok=True)
                with open(os.path.join(tree, path), "w") as f:
                    f.write(text)
            os.makedirs(os.path.join(tree, "src"), exist_ok=True)
            shutil.copy(os.path.join(root, "src/FLOORS"), os.path.join(tree, "src/FLOORS"))
            return check(tree)[0]

        for path, text, expected in PLANTED:
            found = fresh(FINE + [(path, text)])
            if len(found) != 1 or not found[0].startswith(path) or expected not in found[0]:
                print(f"planted {path}: expected one fault with '{expected}', found {found}")
                failures += 1
        found = fresh(FINE)
        if found:
            print(f"a clean tree: found {found}")
            failures += 1
        os.makedirs(tree, exist_ok=True)
    print(f"{len(PLANTED)} violations planted, {failures} failures")
    return failures


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if sys.argv[1:] == ["--self-test"]:
        return 1 if self_test(root) else 0
    faults, count = check(root)
    print("\n".join(faults + [f"{count} files, {len(faults)} violations of src/FLOORS"]))
    return 1 if faults or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
