#!/usr/bin/env python3
"""libsilex.so exports exactly the functions that include/silex declares with SILEX_API; libsilex.a defines no global
name outside of silex_ and slx_."""
import os
import re
import subprocess
import sys


def symbols(*command):
    out = subprocess.run(["nm", "--defined-only", *command], check=True, capture_output=True, text=True).stdout
    return {line.split()[2] for line in out.splitlines() if len(line.split()) == 3}


def declared(folder):
    names = set()
    for header in sorted(os.listdir(folder)):
        with open(os.path.join(folder, header)) as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
        names |= set(re.findall(r"^SILEX_API\b[^;(]*?(silex_\w+)\s*[(;\[]", text, re.M))
    return names


def main():
    build, source = os.environ["SLX_BUILD_DIR"], os.environ["SLX_SOURCE_DIR"]
    exported = symbols("-D", os.path.join(build, "libsilex.so"))
    promised = declared(os.path.join(source, "include/silex"))
    bad = [f"{n}: declared with SILEX_API, not exported" for n in sorted(promised - exported)]
    exported.discard("silex_s3_store")  # with -DSILEX_LIBRARY_S3=ON, as silex/store.h says
    bad += [f"{n}: exported, not declared with SILEX_API in include/silex" for n in sorted(exported - promised)]
    bad += [f"{n}: a foreign name in libsilex.a" for n in sorted(symbols("-g", os.path.join(build, "libsilex.a")))
            if not n.startswith(("silex_", "slx_"))]
    print("\n".join(bad + [f"{len(exported)} exported, {len(promised)} declared"]))
    return 1 if bad or not promised else 0


if __name__ == "__main__":
    sys.exit(main())
