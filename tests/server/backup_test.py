#!/usr/bin/env python3
"""Backups of a real server: taken under load, killed, wiped, restored, compared; by schedule, through a target that goes away; snapshots
by HTTP; the examples of docs/operations.md, "Backup and restore"."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from silex_server import ROOT, SILEX, Server

sys.path.insert(0, os.path.join(ROOT, "tests", "store"))
import s3_server  # noqa: E402

ENV = {**os.environ, "PATH": os.path.dirname(os.path.abspath(SILEX)) + os.pathsep + os.environ["PATH"]}


def wait_for(check, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        v = check()
        if v:
            return v
        time.sleep(0.05)
    raise AssertionError("it did not come")


def metric(s, name):
    m = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", s.get("/metrics").body.decode(), re.M)
    return float(m.group(1)) if m else None


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="silex-backup-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.target = os.environ.get("SLX_BACKUP_TARGET") or os.path.join(self.dir, "target")  # s3_real.py gives its own

    def path(self, name):
        return os.path.join(self.dir, name)

    def config(self, **backup):
        text = "http: {admin: true}\nbackup:\n  target: \"" + self.target + "\"\n" + "".join(f"  {k}: {v}\n" for k, v in backup.items())
        with open(self.path("silex.yml"), "w") as f:
            f.write(text)
        return ["--config", self.path("silex.yml")]

    def silex(self, *words, status=0):
        p = subprocess.run([SILEX, *words], capture_output=True, text=True, timeout=120, env={**ENV, "SILEX_DATA": self.path("none")})
        self.assertEqual(p.returncode, status, f"silex {' '.join(words)}\n{p.stdout}\n{p.stderr}")
        self.err = p.stderr
        return p.stdout

    def digest(self, *where):
        return self.silex("digest", *where)


class Load:
    """Writes without a pause until it is stopped; what `acknowledged` counts, the server has."""

    def __init__(self, server):
        self.server, self.acknowledged, self.running = server, 0, threading.Event()
        self.idle = threading.Event()
        self.end, self.failed = False, None
        self.running.set()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        n, t0 = 0, int(time.time() * 1000) - 3600000
        try:
            while not self.end:
                if not self.running.is_set():
                    self.idle.set()
                    self.running.wait(0.05)
                    continue
                self.idle.clear()
                self.server.write_text("".join(f'load{{host="h{k}"}} {n * 7 % 101 + k} {t0 + n * 10}\n' for k in range(20)),
                                       tenant="ward" if n % 5 == 0 else None)
                self.acknowledged += 20
                n += 1
        except Exception as e:  # the server is killed in the end; before that it is a fault
            self.failed = e

    def pause(self):
        self.running.clear()
        self.idle.wait(10)

    def go_on(self):
        self.idle.clear()
        self.running.set()

    def stop(self):
        self.pause()
        self.end = True
        self.thread.join(10)
        if self.failed:
            raise self.failed


class RunThrough(Case):
    def both(self, *where):
        return self.digest(*where), self.digest(*where, "-T", "ward")

    def extras(self, s):
        """What the digest does not see."""
        h = s.get("/api/v1/query", query="histogram_count(rpc)", time="1700000100").data()["result"]
        e = s.get("/api/v1/query_exemplars", query="traced", start="1700000000", end="1700001000").data()
        m = s.get("/api/v1/metadata", metric="traced").data()
        return json.dumps([h, e, m], sort_keys=True)

    def test_full_incremental_and_to_a_moment(self):
        words = self.config(interval=0, log_interval="1s")
        with Server(*words) as s:
            s.remote_write([
                {"labels": {"__name__": "rpc"}, "histograms": [{"t": 1700000090000, "count": 6, "sum": 10, "schema": 0, "spans": [(0, 2)], "counts": [2, 4]}]},
                {"labels": {"__name__": "traced"}, "samples": [(1700000090000, 1)], "exemplars": [(1700000090000, 1, {"trace": "abc"})]},
            ], [("traced", 1, "help of it", "")])
            load = Load(s)
            time.sleep(1)
            full = json.loads(self.silex("backup", "create", "--full", "--url", s.url, "-f", "json"))
            self.assertEqual(full["new_blocks"], full["blocks"])
            time.sleep(1)
            second = json.loads(self.silex("backup", "create", "--url", s.url, "-f", "json"))
            self.assertLess(second["new_bytes"], second["bytes"])
            time.sleep(0.5)
            load.pause()
            third = s.request("POST", "/api/silex/v1/backup", b"{}").json()
            at_backup = self.both("--url", s.url)
            time.sleep(0.05)
            load.go_on()
            time.sleep(1)
            load.pause()
            moment, at_moment = time.time(), self.both("--url", s.url)
            time.sleep(0.1)
            load.go_on()
            time.sleep(1)
            load.stop()
            at_end, extras, n = self.both("--url", s.url), self.extras(s), load.acknowledged
            ended = time.time()
            wait_for(lambda: metric(s, "silex_log_archive_bytes_total") and s.request("GET", "/-/ready").status == 200
                     and metric(s, "silex_log_archive_newest_timestamp_seconds") > ended - 2.5)
            time.sleep(2.5)  # two rounds of the archive
            s.stop(signal.SIGKILL)
            shutil.rmtree(s.data)

            data = self.path("back")
            self.assertIn("no faults", self.silex("backup", "verify", self.target))
            self.assertEqual([b["id"] for b in json.loads(self.silex("backup", "list", self.target, "-f", "json"))],
                             [full["id"], second["id"], third["id"]])
            self.assertIn("verified", self.silex("backup", "restore", self.target, "-d", data))
            self.assertEqual(self.both("-d", data), at_backup)
            self.silex("backup", "restore", self.target, "-d", data, status=1)
            self.assertIn("--force", self.err)
            self.silex("backup", "restore", self.target, "-d", data, "--force", "--until", f"{moment:.3f}")
            self.assertEqual(self.both("-d", data), at_moment)
            self.silex("backup", "restore", self.target, "-d", data, "--force", "--until", f"{moment:.3f}", "--backup", full["id"])
            self.assertEqual(self.both("-d", data), at_moment)
            self.silex("restore", self.target, "-d", data, "--force", "--until", "end")
            self.assertEqual(self.both("-d", data), at_end)
            self.assertEqual(sum(int(d.split()[1].replace(",", "")) for d in at_end), n + 1)
            self.silex("restore", self.target, "-d", data, "--until", "end", "--tenant-from", "ward", "--tenant-to", "ward2")
            self.assertEqual(self.digest("-d", data, "-T", "ward2"), at_end[1])
            self.assertIn("no faults", self.silex("verify", data))
            with Server(*self.config(interval=0, log_interval="1s"), data=data) as again:
                self.assertEqual(self.both("--url", again.url), at_end)
                self.assertEqual(self.extras(again), extras)
                r = again.request("POST", "/api/silex/v1/restore", json.dumps({"tenant_from": "ward"}).encode(), {"X-Scope-OrgID": "ward3"})
                self.assertEqual(r.status, 200, r.body)
                self.assertEqual(self.digest("--url", again.url, "-T", "ward3"), at_backup[1])
            self.assertIn("3 backups stay", self.silex("backup", "prune", self.target, "--keep", "3"))
            self.assertIn("1 backups stay", self.silex("backup", "prune", self.target, "--keep", "1"))
            self.silex("restore", self.target, "-d", self.path("pruned"))
            self.assertEqual(self.both("-d", self.path("pruned")), at_backup)


class RunThroughS3(RunThrough):
    """The same over S3, to a server that checks signatures."""

    def setUp(self):
        super().setUp()
        self.store = s3_server.Server().start()
        self.addCleanup(self.store.server_close)
        self.addCleanup(self.store.shutdown)
        self.target = self.store.url()
        for name, value in (("AWS_ACCESS_KEY_ID", s3_server.KEY), ("AWS_SECRET_ACCESS_KEY", s3_server.SECRET)):
            ENV[name] = os.environ[name] = value
            self.addCleanup(os.environ.pop, name)
            self.addCleanup(ENV.pop, name)


class Schedule(Case):
    def test_schedule_and_metrics(self):
        with Server(*self.config(interval="1s", keep=2, log_interval="1s")) as s:
            s.write_text("up 1 1700000000000\n")
            wait_for(lambda: metric(s, "silex_backups_total") >= 4)
            self.assertLess(time.time() - metric(s, "silex_backup_last_success_timestamp_seconds"), 30)
            self.assertGreater(metric(s, "silex_backup_last_size_bytes"), 0)
            self.assertEqual(metric(s, "silex_backup_failures_total"), 0, s.text_of_log())
            wait_for(lambda: len(json.loads(self.silex("backup", "list", self.target, "-f", "json"))) in (2, 3))
            self.assertIn("backup made", s.text_of_log())
            self.assertEqual(s.stop(), 0)

    def test_target_goes_away(self):
        with Server(*self.config(interval=0, log_interval="1s")) as s:
            s.write_text("up 1 1700000000000\n")
            wait_for(lambda: metric(s, "silex_log_archive_bytes_total") > 0)
            self.silex("backup", "create", "--url", s.url)
            away = self.path("away")
            os.rename(self.target, away)
            with open(self.target, "w") as f:
                f.write("in the way")
            s.write_text("up 2 1700000001000\n")
            s.request("POST", "/api/silex/v1/checkpoint", b"{}")
            wait_for(lambda: metric(s, "silex_log_archive_failures_total") > 0)
            r = s.request("POST", "/api/silex/v1/backup", b"{}")
            self.assertGreaterEqual(r.status, 400)
            self.assertIn(b"target", r.body)
            self.assertEqual(metric(s, "silex_backup_failures_total"), 1)
            s.write_text("up 3 1700000002000\n")
            self.assertEqual(len(s.get("/api/v1/query", query="up[10s]", time="1700000003").data()["result"][0]["values"]), 3)
            os.unlink(self.target)
            os.rename(away, self.target)
            shipped = metric(s, "silex_log_archive_bytes_total")
            wait_for(lambda: metric(s, "silex_log_archive_bytes_total") > shipped)
            self.assertEqual(metric(s, "silex_log_archive_lost_segments_total"), 0)
            time.sleep(1.5)
            s.stop(signal.SIGKILL)
        self.silex("restore", self.target, "-d", self.path("back"), "--until", "end")
        self.assertIn("3 points", self.digest("-d", self.path("back")))

    def test_not_configured(self):
        with Server("--enable-admin") as s:
            r = s.request("POST", "/api/silex/v1/backup", b"{}")
            self.assertEqual(r.status, 400)
            self.assertIn("backup.target", r.json()["detail"])
            self.assertFalse(os.path.exists(os.path.join(s.data, "wal", "archive")))


class Snapshots(Case):
    def test_by_http(self):
        with Server("--enable-admin") as s:
            s.write_text("".join(f"up {i} {1700000000000 + i * 1000}\n" for i in range(500)))
            want = self.digest("--url", s.url)
            name = s.request("POST", "/api/v1/admin/tsdb/snapshot").data()["name"]
            self.assertRegex(name, r"^\d{8}T\d{6}Z-[0-9a-f]{16}$")
            self.assertEqual(self.digest("-d", os.path.join(s.data, "snapshots", name)), want)
            self.assertEqual(s.request("POST", "/api/v1/admin/tsdb/snapshot?skip_head=maybe").status, 400)
            s.request("PUT", "/api/v1/admin/tsdb/snapshot?skip_head=true").data()
            r = s.request("POST", "/api/silex/v1/snapshot", b'{"name":"monday"}').json()
            self.assertEqual((r["name"], r["points"], r["linked"]), ("monday", 500, r["blocks"]))
            self.assertEqual(s.request("POST", "/api/silex/v1/snapshot", b'{"name":"monday"}').status, 409)
            self.assertEqual(s.request("POST", "/api/silex/v1/snapshot", b'{"name":"../up"}').status, 400)
            self.silex("snapshot", "--url", s.url, "tuesday")
            self.assertEqual(self.digest("-d", os.path.join(s.data, "snapshots", "tuesday")), want)
            self.silex("snapshot", "--url", s.url, "--one-file", self.path("one"))
            self.silex("restore", self.path("one"), "-d", self.path("elsewhere"))
            self.assertEqual(self.digest("-d", self.path("elsewhere")), want)
            # A database at work is neither replaced nor copied by its files.
            self.silex("restore", self.path("one"), "-d", s.data, "--force", status=1)
            self.assertIn("in use by pid", self.err)
            self.silex("restore", s.data, "-d", self.path("x"), status=1)
            self.assertIn("make a snapshot", self.err)

    def test_needs_admin(self):
        with Server() as s:
            self.assertEqual(s.request("POST", "/api/v1/admin/tsdb/snapshot").status, 503)
            self.assertEqual(s.request("POST", "/api/silex/v1/snapshot", b"{}").status, 403)
            self.assertEqual(s.get("/api/silex/v1/snapshot/file").status, 403)


class Messages(Case):
    """What goes wrong is said in words that help, and nothing is lost by it."""

    def test_bad_targets_and_files(self):
        db, store = self.path("db"), "usb=" + self.path("usb")
        with open(self.path("rows"), "w") as f:
            f.write("".join(f"up {i} {1700000000000 + i * 1000}\n" for i in range(1000)))
        self.silex("import", "-d", db, "-f", "prom", self.path("rows"))
        want = self.digest("-d", db)
        self.silex("backup", "create", "store:usb", "-d", db, "--store", store)
        self.silex("backup", "create", "store:other", "-d", db, "--store", store, status=1)
        self.assertIn('there is no store "other"', self.err)
        self.silex("backup", "list", self.path("nowhere"), status=1)
        self.assertIn("nowhere", self.err)
        self.silex("backup", "create", "gopher://x", "-d", db, status=1)
        self.assertIn("is no kind of store", self.err)
        self.silex("backup", "crate", self.target, status=2)
        self.assertIn("did you mean create", self.err)
        self.silex("backup", "prune", self.path("usb"), status=2)
        self.assertIn("--keep", self.err)
        self.silex("restore", "store:usb", "--store", store, "-d", db, status=1)
        self.assertIn("--force", self.err)
        manifest = next(n for n in os.listdir(self.path("usb")) if n.startswith("backup-"))
        block = next(n for n in os.listdir(self.path("usb")) if n.startswith("block-"))

        def changed(name, at, byte):
            with open(os.path.join(self.path("usb"), name), "r+b") as f:
                f.seek(at)
                old = f.read(1)
                f.seek(at)
                f.write(byte)
            return old

        old = changed(manifest, 8, b"\x07")
        self.silex("restore", self.path("usb"), "-d", db, "--force", status=1)
        self.assertIn("use a newer silex", self.err)
        self.silex("backup", "prune", self.path("usb"), "--keep", "1", status=1)
        self.assertIn("nothing was removed", self.err)
        changed(manifest, 8, old)
        old = changed(block, 100, b"\xfe")
        self.assertIn(block, self.silex("backup", "verify", self.path("usb"), status=1))
        self.silex("restore", self.path("usb"), "-d", db, "--force", status=1)
        self.assertIn(block, self.err)
        self.assertEqual(self.digest("-d", db), want)
        changed(block, 100, old)
        self.silex("snapshot", "-d", db, "-1", self.path("one"))
        with open(self.path("one"), "rb") as f:
            whole = f.read()
        with open(self.path("cut"), "wb") as f:
            f.write(whole[:-10])
        self.silex("restore", self.path("cut"), "-d", db, "--force", status=1)
        self.assertIn("not written or copied whole", self.err)
        self.silex("restore", self.path("usb"), "-d", db, "--force")
        self.assertEqual(self.digest("-d", db), want)
        self.silex("snapshot", "-d", db, "/dev/full/x", status=1)


class Cold(Case):
    """Blocks that lie in a store are part of every copy, which needs the store no more. A target may be that same store."""

    def test_cold_blocks(self):
        db, cold = self.path("db"), ["--store", "archive=" + self.path("cold"), "-O", "cold_store=archive"]
        with open(self.path("rows"), "w") as f:
            f.write("".join(f"up {i} {1700000000000 + i * 60000}\n" for i in range(2000)))
        self.silex("import", "-d", db, "-f", "prom", self.path("rows"))
        self.silex("checkpoint", "-d", db)
        want = self.digest("-d", db)
        self.assertIn("moved", self.silex("tier", "move", "-d", db, *cold, "--after", "1d"))
        for n in (1, 2):
            self.silex("backup", "create", "store:archive", "-d", db, *cold)
        self.assertIn("removed 1 backups, 0 blocks", self.silex("backup", "prune", "store:archive", *cold[:2], "--keep", "1"))
        self.assertEqual(self.digest("-d", db, *cold), want)
        self.silex("backup", "create", self.target, "-d", db, *cold)
        self.silex("snapshot", self.path("snap"), "-d", db, *cold)
        os.rename(self.path("cold"), self.path("gone"))
        self.silex("restore", self.target, "-d", self.path("back"))
        self.assertEqual(self.digest("-d", self.path("back")), want)
        self.assertEqual(self.digest("-d", self.path("snap")), want)


class Operations(Case):
    """The blocks of the section run one after the other in one directory."""

    def test_examples(self):
        with open(os.path.join(ROOT, "docs", "operations.md")) as f:
            text = f.read()
        section = re.search(r"^## Backup and restore\n(.*?)(?=^## |\Z)", text, re.M | re.S).group(1)
        yaml = re.search(r"^```yaml\n(.*?)^```", section, re.M | re.S).group(1)
        with open(self.path("silex.yml"), "w") as f:
            f.write(yaml.replace("/mnt/backup", self.target))
        blocks = re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)
        self.assertGreater(len(blocks), 3)
        with Server("--config", self.path("silex.yml"), "--enable-admin") as s:
            s.write_text("up 1 1700000000000\n")
            for block in blocks:
                script = block.replace("$ ", "").replace("localhost:9470", f"127.0.0.1:{s.port}").replace("/mnt/backup", self.path("mnt"))
                script = script.replace("2026-11-21T12:00:00Z", "2100-01-01T00:00:00Z").replace("/media/usb", self.dir).replace("/var/lib/", self.dir + "/")
                r = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60, cwd=self.dir, env=ENV)
                self.assertEqual(r.returncode, 0, f"{block}\n{r.stdout}{r.stderr}")


if __name__ == "__main__":
    unittest.main()
