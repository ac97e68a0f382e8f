#!/usr/bin/env python3
"""A server and the commands with a store in S3 (s3_server.py, which checks signatures), on a way that is not good (proxy.py): old blocks
move and are read back, the store goes away and comes again, backups are made, verified, restored."""
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER_TESTS = os.path.join(os.path.dirname(HERE), "server")
sys.path[:0] = [HERE, SERVER_TESTS]
import proxy  # noqa: E402
import s3_server  # noqa: E402
from silex_server import SILEX, Server  # noqa: E402

KEYS = {"AWS_ACCESS_KEY_ID": s3_server.KEY, "AWS_SECRET_ACCESS_KEY": s3_server.SECRET}
DAY = 86400


def metric(server, name):
    m = re.search(rf"^{re.escape(name)} (\S+)$", server.get("/metrics").body.decode(), re.M)
    return float(m.group(1)) if m else None


class Case(unittest.TestCase):
    def setUp(self):
        self.s3 = s3_server.Server().start()
        self.proxy = proxy.Proxy(self.s3.server_port).start()
        for s in (self.s3, self.proxy):
            self.addCleanup(s.server_close)
            self.addCleanup(s.shutdown)
        self.dir = tempfile.mkdtemp(prefix="silex-s3-life-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.url = self.s3.url(endpoint=f"http://127.0.0.1:{self.proxy.server_port}", retry="5s")

    def sometimes(self, *faults, chance=0.1):
        dice = random.Random(5)
        self.proxy.fault = lambda r: dice.choice(faults) if dice.random() < chance else None

    def silex(self, *words, status=0, **env):
        p = subprocess.run([SILEX, *words], capture_output=True, text=True, timeout=120, env={**os.environ, **KEYS, **env})
        self.assertEqual(p.returncode, status, f"silex {' '.join(words)}\n{p.stdout}\n{p.stderr}")
        self.assertNotIn(s3_server.SECRET, p.stdout + p.stderr)
        return p.stdout + p.stderr


class Tiers(Case):
    def test_life_of_tiers_over_a_bad_way(self):
        self.sometimes(503, "cut", "lost")
        env = {**os.environ, **KEYS, "SLX_TIER_URL": self.url}
        p = subprocess.run([sys.executable, os.path.join(SERVER_TESTS, "tier_test.py"), SILEX, "Tiers.test_life"], env=env, capture_output=True,
                           text=True, timeout=200)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.assertIn("OK", p.stderr)

    def test_store_away(self):
        config = os.path.join(self.dir, "silex.yml")
        with open(config, "w") as f:
            f.write(f"stores:\n  - name: archive\n    url: {self.url.replace('retry=5s', 'retry=300ms')}\n"
                    f"    access_key: {s3_server.KEY}\n    secret_key: {s3_server.SECRET}\n"
                    "storage:\n  cold_store: archive\n  cold_after: 20d\n")
        now = int(time.time())
        with Server("--config", config) as s:
            for d in (60, 40, 1):
                s.write_text("".join(f"m {d + i} {(now - d * DAY + i * 60) * 1000}\n" for i in range(600)))
                self.assertEqual(s.request("POST", "/api/silex/v1/checkpoint", "").status, 200)
            end = time.monotonic() + 30
            while not metric(s, "silex_cold_blocks") and time.monotonic() < end:
                time.sleep(0.1)
            self.assertTrue(self.s3.buckets["silex"])
            self.assertGreater(metric(s, 'silex_store_written_bytes_total{store="archive"}'), 0)
            self.assertEqual(metric(s, 'silex_store_errors_total{store="archive"}'), 0)

            def ask(days):
                return s.get("/api/v1/query", query=f"sum(sum_over_time(m[{days}d]))", time=now)
            all_of_it, recent = ask(61).data(), ask(2).data()
            self.assertEqual(s.stop(), 0)
            self.proxy.fault = lambda r: 503
            s.start()  # what is cached is forgotten; it opens while the store is away
            self.assertEqual(ask(2).data(), recent)
            answer = ask(61)
            self.assertEqual(answer.status, 503)
            self.assertIn("store archive: ", answer.json()["error"])
            self.assertNotIn(s3_server.SECRET, s.text_of_log() + answer.body.decode())
            self.assertGreater(metric(s, 'silex_store_errors_total{store="archive"}'), 0)
            s.write_text(f"other 1 {now * 1000}\n")
            self.proxy.fault = None
            self.assertEqual(ask(61).data(), all_of_it)


class Backups(Case):
    def test_there_and_back(self):
        rows = os.path.join(self.dir, "rows.csv")
        data, back = os.path.join(self.dir, "data"), os.path.join(self.dir, "back")
        with open(rows, "w") as f:
            f.write("time,host,load\n" + "".join(f"{1714521600 + i * 60},h{i % 7},{i % 100}\n" for i in range(20000)))
        target = self.url + "&part_mb=5"
        self.silex("import", rows, "--data", data)
        self.sometimes(503, "cut", "lost")
        self.silex("backup", "create", target, "--data", data)
        blocks = len(self.s3.buckets["silex"])
        self.silex("import", "-T", "second", rows, "--data", data)
        self.silex("backup", "create", target, "--data", data)
        self.assertGreater(len(self.s3.buckets["silex"]), blocks)
        self.silex("backup", "verify", target)
        self.silex("backup", "restore", target, "--data", back)
        self.assertEqual(self.silex("digest", "--data", back), self.silex("digest", "--data", data))
        self.silex("backup", "prune", target, "--keep", "1")
        self.silex("backup", "verify", target)

        largest = max(self.s3.buckets["silex"], key=lambda k: len(self.s3.buckets["silex"][k]))
        self.s3.buckets["silex"][largest] = proxy.flip(self.s3.buckets["silex"][largest])
        self.assertIn(largest.split("/")[-1], self.silex("backup", "verify", target, status=1))
        self.proxy.fault = None
        self.assertIn("AWS_SECRET_ACCESS_KEY", self.silex("backup", "create", target, "--data", data, status=1, AWS_SECRET_ACCESS_KEY="wrong"))
        del self.s3.buckets["silex"]
        self.assertIn("no bucket silex", self.silex("backup", "list", target, status=1))


if __name__ == "__main__":
    unittest.main()
