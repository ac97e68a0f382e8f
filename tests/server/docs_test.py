#!/usr/bin/env python3
"""The examples of the pages in docs/protocols, of docs/usage.md and docs/operations.md: every ```sh block that asks 127.0.0.1:9470 runs against a server, every ```yaml block is a good
configuration."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from silex_server import ROOT, SILEX, Server

BLOCK = re.compile(r"^```(sh|yaml)\n(.*?)^```", re.M | re.S)


def blocks(kind):
    for path in sorted(glob.glob(os.path.join(ROOT, "docs", "protocols", "*.md"))) + [os.path.join(ROOT, "docs", p) for p in ("usage.md", "operations.md")]:
        with open(path) as f:
            for m in BLOCK.finditer(f.read()):
                if m.group(1) == kind:
                    yield os.path.basename(path), m.group(2)


class Docs(unittest.TestCase):
    def test_examples_run(self):
        n = 0
        with Server() as s:
            for page, text in blocks("sh"):
                if "127.0.0.1:9470" not in text or "serve" in text:
                    continue
                n += 1
                script = text.replace("127.0.0.1:9470", f"127.0.0.1:{s.port}").replace("$ ", "")
                with self.subTest(page=page):
                    r = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60, cwd=s.dir,
                                       env={**os.environ, "PATH": os.path.dirname(SILEX) + os.pathsep + os.environ["PATH"]})
                    self.assertEqual(r.returncode, 0, f"{page}:\n{text}\n{r.stdout}{r.stderr}")
        self.assertGreater(n, 2)

    def test_configurations_are_good(self):
        n = 0
        for page, text in blocks("yaml"):
            n += 1
            folder = tempfile.mkdtemp(prefix="silex-docs-")
            path = os.path.join(folder, "silex.yml")
            with open(path, "w") as f:
                f.write(text)
            with self.subTest(page=page):
                r = subprocess.run([SILEX, "serve", "--data", folder, "--config", path, "--check-config"], capture_output=True, text=True)
                self.assertEqual(r.returncode, 0, f"{page}: {r.stderr}")
            shutil.rmtree(folder)
        self.assertGreater(n, 3)


if __name__ == "__main__":
    unittest.main()
