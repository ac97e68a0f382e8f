#!/usr/bin/env python3
"""Retention and room on disk, end to end: rules in the configuration, refusals in each protocol's shape, holds, the command line on a
server and on its directory, a disk that fills up."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from silex_server import SILEX, Server

DAY = 86400
RULES = """
retention:
  rules:
    - {selector: evidence, hold: court order 12/26}
    - {selector: debug, keep: 1h}
    - {keep: 30d}
"""


def silex(*words, status=0):
    p = subprocess.run([SILEX, *words], capture_output=True, text=True, timeout=60)
    assert p.returncode == status, f"{words}: {p.returncode}\n{p.stdout}{p.stderr}"
    return p.stdout if status == 0 else p.stderr


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="silex-retention-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def config(self, text):
        path = os.path.join(self.dir, "silex.yml")
        with open(path, "w") as f:
            f.write(text)
        return path

    def count(self, server, selector):
        rows = server.get("/api/silex/v1/query", selector=selector, agg="count", group="true", start="2020-01-01T00:00:00Z").json()
        return sum(int(v or 0) for s in rows["series"] for _, v in s["samples"])

    def metric(self, server, name):
        for line in server.get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        self.fail(f"no metric {name}")


def line(server, text):
    return server.request("POST", "/write?precision=s", text)


class Retention(Case):
    def test_rules_of_the_configuration(self):
        now = int(time.time())
        with Server("--config", self.config("http: {lifecycle: true}\n")) as s:
            self.assertEqual(line(s, "".join(f"debug value={i} {now - 7200 + i}\nevidence value={i} {now - 40 * DAY + i}\n"
                                             f"hr value={i} {now - 40 * DAY + i}\n" for i in range(1000))).status, 204)
            self.assertEqual(self.count(s, "{}"), 3000)
            self.assertEqual(s.get("/api/silex/v1/retention").json(), {"origin": None, "size_max": 0, "rules": [], "dedup": []})
            self.config("http: {lifecycle: true}\n" + RULES)
            self.assertEqual(s.request("POST", "/-/reload").status, 200)
            rules = s.get("/api/silex/v1/retention").json()
            self.assertEqual((rules["origin"], len(rules["rules"]), rules["rules"][1]["keep_ms"]), ("configuration", 3, 3600000))
            self.assertEqual((self.count(s, "debug"), self.count(s, "hr"), self.count(s, "evidence")), (0, 0, 1000))
            # what would go, here and by the command line; then it goes
            s.request("POST", "/api/silex/v1/checkpoint")
            told = s.request("POST", "/api/silex/v1/retention/apply", '{"dry_run":true}').json()
            self.assertTrue(told["dry_run"])
            out = json.loads(silex("retention", "apply", "--dry-run", "--url", s.url, "-f", "json"))
            self.assertEqual(sum(r["points"] for r in out), sum(r["points"] for r in told["expired"]))
            table = silex("retention", "--url", s.url)
            self.assertIn("court order 12/26", table)
            self.assertIn("held", table)
            silex("retention", "apply", "--url", s.url)
            self.assertEqual(self.metric(s, 'silex_points{tier="blocks"}'), 1000)
            self.assertEqual(s.request("POST", "/api/silex/v1/retention/apply", '{"dry_run":true}').json()["expired"], [])
            # a hold wins over deletes, in each shape
            refused = s.request("POST", "/api/silex/v1/delete", '{"selector":"evidence"}')
            self.assertEqual(refused.status, 403)
            self.assertIn("court order 12/26", refused.json()["detail"])
            err = silex("delete", "--drop-tenant", "--tenant", "default", "--yes", "--url", s.url, status=1)
            self.assertIn("court order 12/26", err)
            # a bad reload leaves the rules; without the section they go
            self.config("http: {lifecycle: true}\nretention: {rules: [{selector: 'a{', keep: 1d}]}\n")
            self.assertEqual(s.request("POST", "/-/reload").status, 500)
            self.assertEqual(len(s.get("/api/silex/v1/retention").json()["rules"]), 3)
            self.config("http: {lifecycle: true}\n")
            self.assertEqual(s.request("POST", "/-/reload").status, 200)
            self.assertEqual(s.get("/api/silex/v1/retention").json()["rules"], [])

    def test_bad_configuration(self):
        for text, words in (("{rules: [{keep: soon}]}", "silex.yml:1"), ("{rules: [{hold: x, keep: 1d}]}", "one of them"), ("{rules: 7}", "expected a list"),
                            ("{rules: [{tenent: x, keep: 1d}]}", "tenant"), ("{rules: [{tenant: 'a/b', keep: 1d}]}", "tenant name"),
                            ("{rules: [{selector: 'a{', keep: 1d}]}", "column")):
            err = silex("serve", "--check-config", "--config", self.config("retention: " + text), status=2)
            self.assertIn(words, err)

    def test_writes_that_are_too_old(self):
        """Each protocol's permanent error; the rest of the batch goes on."""
        now = int(time.time())
        with Server("--config", self.config(RULES)) as s:
            a = line(s, f"hr value=1 {now - 40 * DAY}\nhr value=2 {now}\n")
            self.assertEqual(a.status, 400)
            self.assertIn("older than the retention", a.body.decode())
            a = s.request("POST", "/api/silex/v1/insert", json.dumps({"metric": "debug", "value": 1, "time": now - 4000, "unit": "s"}))
            self.assertEqual(a.status, 400)
            self.assertEqual(self.count(s, "{}"), 1)
            self.assertEqual(self.metric(s, "silex_points_too_old_total"), 2)

    def test_dedup(self):
        """A pair of agents: PromQL and the native query see the later of each interval, before and after compaction."""
        config = self.config("retention: {dedup: [{tenant: default, interval: 15s}]}\n")
        base = 1700000011 # an interval of 15 s begins
        with Server("--config", config) as s:
            for replica in range(2):
                self.assertEqual(line(s, "".join(f"up value={i * 10 + replica} {base + i * 15 + replica * 7}\n" for i in range(400))).status, 204)
                s.request("POST", "/api/silex/v1/checkpoint")
            for again in range(2):
                self.assertEqual(self.count(s, "up"), 400)
                r = s.get("/api/v1/query", query="count_over_time(up[10m]) + 1000 * sum_over_time(up[10m])", time=str(base + 399 * 15 + 8)).data()["result"]
                want = [i * 10 + 1 for i in range(400) if i * 15 + 7 > 399 * 15 + 8 - 600]
                self.assertEqual(float(r[0]["value"][1]), len(want) + 1000 * sum(want))
                self.assertEqual(s.stop(), 0)
                silex("compact", "--full", "-d", s.data)
                s.start()
            self.assertEqual(self.metric(s, 'silex_points{tier="blocks"}'), 400)

    def test_directory(self):
        data = os.path.join(self.dir, "data")
        path = os.path.join(self.dir, "hr.csv")
        now = int(time.time())
        with open(path, "w") as f:
            f.write("time,hr\n" + "".join(f"{now - 3 * DAY + i * 600 + 300},{i % 90}\n" for i in range(400)))
        silex("import", "-d", data, path)
        self.assertIn("everything is kept", silex("retention", "-d", data))
        silex("retention", "add", "-d", data, "--keep", "1d")
        silex("retention", "add", "-d", data, "{study=\"A\"}", "--hold", "case 7", "--at", "1")
        out = silex("retention", "show", "-d", data)
        self.assertLess(out.index("case 7"), out.index("1d"))
        told = json.loads(silex("retention", "apply", "--dry-run", "-d", data, "-f", "json"))
        self.assertEqual(len(told), 1)
        self.assertEqual(told[0]["points"], sum(now - 3 * DAY + i * 600 + 300 < now - DAY for i in range(400)))
        silex("retention", "apply", "-d", data)
        self.assertEqual(json.loads(silex("retention", "apply", "--dry-run", "-d", data, "-f", "json")), [])
        silex("retention", "remove", "1", "-d", data)
        self.assertNotIn("case 7", silex("retention", "-d", data))
        self.assertIn("no rule 9", silex("retention", "remove", "9", "-d", data, status=1))
        self.assertIn("--keep", silex("retention", "add", "hr", "-d", data, status=2))


class Disk(Case):
    """A file system of its own, which a ballast fills."""

    def setUp(self):
        super().setUp()
        self.mount = os.path.join(self.dir, "disk")
        os.mkdir(self.mount)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", self.mount], capture_output=True).returncode:
            self.skipTest("only root may mount a small disk")
        self.addCleanup(subprocess.run, ["umount", "-l", self.mount])
        self.ballast = os.path.join(self.mount, "ballast")

    def fill(self, leave):
        """Until so many bytes are free."""
        while True:
            s = os.statvfs(self.mount)
            n = s.f_bavail * s.f_frsize - leave
            if n <= 0:
                return
            try:
                with open(self.ballast, "ab", buffering=0) as f:
                    f.write(b"x" * min(n, 1 << 20))
            except OSError:
                return

    def wait(self, what, seconds=20):
        end = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def health(self, s):
        return s.get("/api/silex/v1/health").json()["health"]

    def test_little_room(self):
        with Server(data=os.path.join(self.mount, "data")) as s:
            self.assertEqual(line(s, "hr value=1 1700000000\n").status, 204)
            self.fill(8 << 20)
            self.wait(lambda: "writes will be refused below 6 MB" in self.health(s))
            self.assertEqual(line(s, "hr value=2 1700000001\n").status, 204)
            self.fill(4 << 20)
            self.wait(lambda: "writes are refused" in self.health(s))
            for path, body, kind in (("/write?precision=s", "hr value=3 1700000002\n", None), ("/api/silex/v1/insert", '{"metric":"x","value":1}', None),
                                     ("/api/v1/import/prometheus", "x 1\n", None), ("/v1/metrics", "{}", "application/json")):
                a = s.request("POST", path, body, {"Content-Type": kind} if kind else {})
                if path != "/v1/metrics": # an empty request has nothing to refuse
                    self.assertEqual((path, a.status), (path, 503))
                    self.assertTrue(a.headers["Retry-After"])
            self.assertEqual(self.metric(s, "silex_writes_refused"), 1)
            self.assertLess(self.metric(s, 'silex_disk_bytes{what="free"}'), 5 << 20)
            self.assertEqual(self.count(s, "hr"), 2)
            self.assertEqual(s.request("POST", "/api/silex/v1/delete", '{"selector":"hr","end":"2023-11-14T22:13:20Z"}').json()["deleted"], 1)
            self.assertEqual(s.request("POST", "/api/silex/v1/checkpoint").status, 200)
            self.assertEqual(s.get("/-/ready").status, 200)
            os.unlink(self.ballast)
            self.wait(lambda: self.health(s) == "ok")
            self.assertEqual(line(s, "hr value=3 1700000002\n").status, 204)
            log = s.text_of_log()
            self.assertIn("writes will be refused", log)
            self.assertIn("writes are refused", log)
            self.assertIn("there is room again", log)

    def test_full(self):
        """No byte left in the middle of writing: what was acknowledged stays, the server goes on, and no one is told 429."""
        with Server("--set", "storage.free_min=1", "--set", "storage.free_min_percent=1", data=os.path.join(self.mount, "data")) as s:
            acknowledged, seen, stop = [], set(), threading.Event()

            def write(worker):
                k = 0
                while not stop.is_set():
                    try:
                        status = line(s, "".join(f'full,w={worker},k={k} value={i} {1700000000 + i}\n' for i in range(2000))).status
                    except OSError:
                        continue
                    seen.add(status)
                    if status == 204:
                        acknowledged.append((worker, k))
                    k += 1

            workers = [threading.Thread(target=write, args=(w,)) for w in range(3)]
            for w in workers:
                w.start()
            self.wait(lambda: len(acknowledged) > 10)
            for _ in range(20):
                self.fill(0)
                time.sleep(0.05)
            self.wait(lambda: 503 in seen)
            s.request("POST", "/api/silex/v1/checkpoint") # a flush without room fails, or finds some
            self.assertGreater(self.count(s, "full"), 0)
            os.unlink(self.ballast)
            before = len(acknowledged)
            self.wait(lambda: len(acknowledged) > before + 5)
            stop.set()
            for w in workers:
                w.join()
            self.assertEqual(seen, {204, 503})
            self.wait(lambda: s.request("POST", "/api/silex/v1/checkpoint").status == 200)
            for again in range(2):
                for worker, k in acknowledged:
                    self.assertEqual(self.count(s, f'{{__name__=~"full.*",w="{worker}",k="{k}"}}'), 2000)
                if again == 0:
                    s.process.send_signal(signal.SIGKILL)
                    s.process.wait()
                    s.log.close()
                    s.start()


if __name__ == "__main__":
    unittest.main()
