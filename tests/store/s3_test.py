#!/usr/bin/env python3
"""S3 against the small server of s3_server.py, which checks signatures: the store suite."""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))
import s3_server  # noqa: E402

SUITE = os.path.join(os.environ.get("SLX_BUILD_DIR", "build"), "tests/store/store_suite")
KEYS = {"AWS_ACCESS_KEY_ID": s3_server.KEY, "AWS_SECRET_ACCESS_KEY": s3_server.SECRET}


def run(*words, **environment):
    env = {**os.environ, **KEYS, **environment}
    return subprocess.run([SUITE, *words], env=env, capture_output=True, text=True, timeout=240)


class Suite(unittest.TestCase):
    def setUp(self):
        self.server = s3_server.Server().start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def test_suite(self):
        result = run(self.server.url(part_mb=5))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.server.uploads, {})
        self.assertEqual(self.server.buckets["silex"], {})


if __name__ == "__main__":
    unittest.main()
