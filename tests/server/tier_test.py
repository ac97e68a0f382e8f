#!/usr/bin/env python3
"""Old blocks move to a store and are read there, while it is away recent data answers, a kill -9 loses nothing. SLX_TIER_URL: the url of
another store (S3 over s3rver in the tests of clients); else a folder."""
import json
import os
import re
import subprocess
import time
import unittest

from silex_server import SILEX, Server

DAY = 86400
HOURS = 24 * 60


def config_of(server, url, extra=""):
    path = os.path.join(server.dir, "silex.yml")
    with open(path, "w") as f:
        f.write(f"stores:\n  - name: archive\n    url: {url}\n"
                f"storage:\n  cold_store: archive\n  cold_after: 20d\n  cold_remove_after: 1s\nhttp:\n  admin: true\n{extra}")
    return path


def metric(server, name):
    m = re.search(rf"^{re.escape(name)} (\S+)$", server.get("/metrics").body.decode(), re.M)
    return float(m.group(1)) if m else None


class Tiers(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.mount = os.path.join(self.server.dir, "mnt")
        self.folder = os.path.join(self.mount, "archive")
        os.mkdir(self.mount)
        self.url = os.environ.get("SLX_TIER_URL", self.folder)
        self.server.words = ["--config", config_of(self.server, self.url)]
        self.now = int(time.time())
        self.server.start()

    def tearDown(self):
        self.server.__exit__()

    def write(self, days, salt=0):
        """A sample an hour for each of four series over the days before now."""
        lines = []
        for h in days:
            for i in range(24):
                t = self.now - h * DAY + i * 3600
                lines += [f'm{{s="{s}"}} {(t // 3600 * 7 + s + salt) % 1000} {t * 1000}' for s in range(4)]
        self.server.write_text("\n".join(lines) + "\n")

    def write_all(self):
        """Sixty days in blocks of some days each."""
        for day in range(60, 0, -4):
            self.write(range(day, max(day - 4, 1), -1))
            self.checkpoint()

    def checkpoint(self):
        self.assertEqual(self.server.request("POST", "/api/silex/v1/checkpoint", "").status, 200)

    def settle(self):
        self.checkpoint()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if metric(self.server, "silex_cold_backlog_blocks") == 0 and metric(self.server, "silex_cold_garbage_objects") == 0:
                return
            time.sleep(0.1)
        self.fail("blocks did not move: " + self.server.text_of_log())

    def ask(self, days):
        return self.server.get("/api/v1/query", query=f"sum(sum_over_time(m[{days}d]))", time=self.now)

    def test_life(self):
        s = self.server
        self.write_all()
        want = self.ask(61).data()["result"][0]["value"][1]
        recent = self.ask(10).data()["result"][0]["value"][1]
        self.settle()
        self.assertGreater(metric(s, "silex_cold_blocks"), 0)
        self.assertGreater(metric(s, 'silex_storage_bytes{tier="cold"}'), 0)
        self.assertEqual(self.ask(61).data()["result"][0]["value"][1], want)
        doc = json.loads(s.get("/api/silex/v1/metrics").body)
        self.assertEqual(doc["cold"]["blocks"], metric(s, "silex_cold_blocks"))
        status = subprocess.run([SILEX, "tier", "status", "--url", s.url, "-f", "json"], capture_output=True, text=True)
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertIn('"cold"', status.stdout)

        # late data, a delete, and a kill in the middle
        self.write(range(55, 50, -1), salt=3)
        want = self.ask(61).data()["result"][0]["value"][1]
        self.settle()
        s.stop(how=9)
        s.start()
        self.assertEqual(self.ask(61).data()["result"][0]["value"][1], want)
        r = s.request("POST", "/api/silex/v1/delete", json.dumps({"selector": 'm{s="1"}', "start": self.now - 60 * DAY, "end": self.now - 30 * DAY, "unit": "s"}),
                      {"Content-Type": "application/json"})
        self.assertEqual(r.status, 200, r.body)
        self.assertGreater(json.loads(r.body)["deleted"], 0)
        want = self.ask(61).data()["result"][0]["value"][1]
        moved = subprocess.run([SILEX, "tier", "move", "--url", s.url, "--after", "5d", "--remove-now"], capture_output=True, text=True)
        self.assertEqual(moved.returncode, 0, moved.stderr)
        self.assertRegex(moved.stdout, r"[1-9]\d* blocks of")
        self.assertEqual(self.ask(61).data()["result"][0]["value"][1], want)
        s.stop(how=9)
        s.start()
        self.assertEqual(self.ask(61).data()["result"][0]["value"][1], want)
        self.assertEqual(self.ask(10).data()["result"][0]["value"][1], recent)
        self.assertEqual(s.stop(), 0)
        verify = [SILEX, "verify", s.data, "--cold", "--store", f"archive={self.url}"]
        self.assertEqual(subprocess.run(verify, capture_output=True).returncode, 0)
        inspect = subprocess.run([SILEX, "inspect", s.data], capture_output=True, text=True).stdout
        self.assertIn("in store archive", inspect)

    @unittest.skipIf("SLX_TIER_URL" in os.environ, "takes the folder away")
    def test_store_away(self):
        s = self.server
        self.write_all()
        want = self.ask(61).data()["result"][0]["value"][1]
        recent = self.ask(5).data()["result"][0]["value"][1]
        self.settle()
        self.assertEqual(s.stop(), 0)
        os.rename(self.mount, self.mount + ".away")
        os.symlink("/nothing/here", self.mount)
        s.start()
        self.assertEqual(self.ask(5).data()["result"][0]["value"][1], recent)
        r = self.ask(61)
        self.assertEqual(r.status, 503, r.body)
        self.assertIn("archive", r.json()["error"])
        r = s.get("/api/silex/v1/query", selector="m", start=self.now - 60 * DAY, end=self.now, unit="s")
        self.assertEqual(r.status, 503, r.body)
        self.write(range(40, 38, -1), salt=5)  # writes go on
        self.assertGreater(metric(s, "silex_cold_errors_total"), 0)
        os.remove(self.mount)
        os.rename(self.mount + ".away", self.mount)
        self.assertNotEqual(self.ask(61).data()["result"][0]["value"][1], want)
        self.settle()

    @unittest.skipIf("SLX_TIER_URL" in os.environ, "looks at files")
    def test_damage(self):
        """A bit that flips in the store is found, whatever else is read; verify names the block."""
        s = self.server
        self.write_all()
        self.settle()
        self.assertEqual(s.stop(), 0)
        for name in os.listdir(self.folder):
            with open(os.path.join(self.folder, name), "r+b") as f:
                f.seek(200)
                b = f.read(1)
                f.seek(200)
                f.write(bytes([b[0] ^ 1]))
        verify = subprocess.run([SILEX, "verify", s.data, "--cold", "--store", f"archive={self.folder}"], capture_output=True, text=True)
        self.assertEqual(verify.returncode, 1)
        self.assertIn("archive", verify.stdout)
        s.start()
        r = self.ask(61)
        self.assertIn(r.status, (200, 422, 500, 503))
        if r.status == 200:
            self.assertTrue(r.json().get("warnings"), r.body)


if __name__ == "__main__":
    unittest.main()
