#!/usr/bin/env python3
"""Roll-ups end to end: policies in the configuration, building in the background, the same answers with and without them, stats=all,
samples that have gone, late samples and deletes, the command line on a server and on its directory."""
import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest

from silex_server import SILEX, Server

MINUTE, HOUR = 60, 3600
CONFIG = """
rollups:
  - {levels: [1m, 1h]}
retention:
  rules:
    - {selector: old, keep: 1h}
http: {admin: true, lifecycle: true}
"""


def silex(*words, status=0):
    p = subprocess.run([SILEX, *words], capture_output=True, text=True, timeout=60)
    assert p.returncode == status, f"{words}: {p.returncode}\n{p.stdout}{p.stderr}"
    return p.stdout if status == 0 else p.stderr


class Rollups(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="silex-rollup-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.end = int(time.time()) // HOUR * HOUR  # of the last whole hour

    def config(self, text):
        path = os.path.join(self.dir, "silex.yml")
        with open(path, "w") as f:
            f.write(text)
        return path

    def fill(self, server, name, hours):
        """One sample each 15 s; the value is its number."""
        times = range(self.end - hours * HOUR, self.end + 1, 15)
        rows = "".join(f"{name},host=a value={i}i {t}\n" for i, t in enumerate(times))
        a = server.request("POST", "/write?precision=s", rows)
        self.assertEqual(a.status, 204, a.body)

    def wait_built(self, server, until):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            rows = server.get("/api/silex/v1/rollups").json()["rollups"]
            if rows and all(r["built"] and r["late"] == 0 for r in rows) and \
                    all(time.mktime(time.strptime(r["built"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone >= until for r in rows):
                return rows
            time.sleep(0.2)
        self.fail(f"not built: {rows}")

    def range(self, server, query, hours, step, **more):
        a = server.get("/api/v1/query_range", query=query, start=self.end - hours * HOUR, end=self.end, step=step, stats="all", **more).json()
        self.assertEqual(a["status"], "success", a)
        return a

    def same(self, server, query, hours, step, level):
        a, b = (self.range(server, query, hours, step, rollups=r) for r in ("off", "exact"))
        self.assertEqual(a["data"]["stats"]["silex"]["rollups"], [])
        self.assertEqual(b["data"]["stats"]["silex"]["rollups"], [level])
        self.assertGreater(b["data"]["stats"]["silex"]["rollupBuckets"], 0)
        x, y = (r["data"]["result"] for r in (a, b))
        self.assertEqual(len(x), len(y))
        for s, r in zip(x, y):
            self.assertEqual(s["metric"], r["metric"])
            self.assertEqual([t for t, _ in s["values"]], [t for t, _ in r["values"]])
            for (_, v), (_, w) in zip(s["values"], r["values"]):
                self.assertAlmostEqual(float(v), float(w), delta=1e-9 * abs(float(v)))
        return y

    def test_same_answers(self):
        with Server("--config", self.config(CONFIG)) as s:
            self.fill(s, "hr", 6)
            self.wait_built(s, self.end - HOUR)
            for f in ("avg_over_time", "max_over_time", "rate", "increase", "stddev_over_time", "count_over_time"):
                self.same(s, f"{f}(hr[1h])", 5, HOUR, "1h")
            self.same(s, "sum(hr)", 5, HOUR, "1h")
            self.same(s, "rate(hr[5m])", 5, 5 * MINUTE, "1m")
            # 7 s fits nothing
            self.assertEqual(self.range(s, "rate(hr[5m])", 5, 7 * 61)["data"]["stats"]["silex"]["rollups"], [])
            self.assertEqual(s.get("/api/v1/query", query="hr", rollups="perhaps").status, 400)
            metrics = s.get("/metrics").body.decode()
            self.assertIn('silex_rollup_built_timestamp_seconds{tenant="default",selector="{}",level="1m"} ', metrics)
            self.assertIn('silex_rollup_late_windows{tenant="default",selector="{}",level="1h"} 0', metrics)

    def test_late_and_deleted(self):
        with Server("--config", self.config(CONFIG)) as s:
            self.fill(s, "hr", 6)
            self.wait_built(s, self.end - HOUR)
            count = "count_over_time(hr[1h])"
            self.assertEqual([v for _, v in self.same(s, count, 2, HOUR, "1h")[0]["values"]], ["240"] * 3)
            a = s.request("POST", "/write?precision=s", f"hr,host=a value=7i {self.end - HOUR - 8}\n")
            self.assertEqual(a.status, 204)
            self.assertEqual([v for _, v in self.same(s, count, 2, HOUR, "1h")[0]["values"]], ["240", "241", "240"])
            a = s.request("POST", f"/api/v1/admin/tsdb/delete_series?match[]=hr&start={self.end - 600}&end={self.end}")
            self.assertEqual(a.status, 204)
            self.assertEqual([v for _, v in self.same(s, count, 2, HOUR, "1h")[0]["values"]], ["240", "241", "199"])
            self.wait_built(s, self.end - HOUR)
            self.assertEqual([v for _, v in self.same(s, count, 2, HOUR, "1h")[0]["values"]], ["240", "241", "199"])

    def test_samples_that_have_gone(self):
        """`old` is kept for an hour by retention; its roll-ups for ever."""
        with Server("--config", self.config(CONFIG.replace("keep: 1h", "keep: 10d"))) as s:
            self.fill(s, "old", 6)
            self.wait_built(s, self.end - HOUR)
            self.config(CONFIG)
            self.assertEqual(s.request("POST", "/-/reload").status, 200)
            at = self.end - 3 * HOUR
            q = dict(query="old", time=at + 1800.5)
            a = s.get("/api/v1/query", **q).json()
            self.assertEqual([r["value"][1] for r in a["data"]["result"]], [str(3 * 240 + 120)])
            self.assertIn("roll-ups of 1m stand in", a["infos"][0])
            for word in ("exact", "off"):
                a = s.get("/api/v1/query", rollups=word, **q).json()
                self.assertEqual((a["data"]["result"], a.get("infos")), ([], None))
            a = s.get("/api/v1/query", query="max_over_time(old[1h])", time=at).json()
            self.assertEqual([r["value"][1] for r in a["data"]["result"]], [str(3 * 240)])
            self.assertNotIn("infos", a)

    def test_command_line(self):
        data = os.path.join(self.dir, "data")
        with Server("--config", self.config(CONFIG), data=data) as s:
            self.fill(s, "hr", 3)
            self.wait_built(s, self.end - HOUR)
            rows = json.loads(silex("rollup", "status", "--url", s.url, "-f", "json"))
            self.assertEqual([(r["tenant"], r["selector"], r["level"]) for r in rows], [("default", "{}", "1m"), ("default", "{}", "1h")])
            silex("rollup", "rebuild", "--from", "-2h", "--url", s.url)
            err = silex("rollup", "set", "--level", "1m", "--url", s.url, status=2)
            self.assertIn("rollups:", err)
        out = silex("rollup", "--data", data)
        self.assertIn("built until", out)
        self.assertIn("1h", out)
        silex("rollup", "rebuild", "--from", "-2h", "--data", data)
        silex("rollup", "set", '{host="a"}', "--level", "5m", "--data", data)
        silex("rollup", "build", "--data", data)
        rows = json.loads(silex("rollup", "--data", data, "-f", "json"))
        self.assertEqual([r["level"] for r in rows], ["1m", "1h", "5m"])
        silex("rollup", "remove", '{host="a"}', "--data", data)
        self.assertEqual(len(json.loads(silex("rollup", "--data", data, "-f", "json"))), 2)
        self.assertIn("level", silex("rollup", "set", "--level", "100ms", "--data", data, status=1))
        # what the configuration does not have goes with the next start
        with Server("--config", self.config("rollups: [{selector: hr, levels: [1h]}]"), data=data) as s:
            rows = s.get("/api/silex/v1/rollups").json()["rollups"]
            self.assertEqual([(r["selector"], r["level"]) for r in rows], [("hr", "1h")])

    def test_bad_configuration(self):
        for text, words in (("{}", "expected a list"), ("[{levels: []}]", "1 to 8"), ("[{levels: [1ms]}]", "silex.yml:1"),
                            ("[{levels: [1m, 60s]}]", "already"), ("[{selector: 'a{', levels: [1m]}]", "column"), ("[{level: [1m]}]", "levels"),
                            ("[{tenant: 'a/b', levels: [1m]}]", "tenant name")):
            err = silex("serve", "--check-config", "--config", self.config("rollups: " + text), status=2)
            self.assertIn(words, err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
