#!/usr/bin/env python3
"""Scraping: targets of a test's own exporter, discovery by file and HTTP, relabelling, limits, stale markers, reload, node_exporter."""
import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from silex_server import Server, free_port


class Exporter:
    """Answers /metrics with self.text; other paths with what self.pages holds."""

    def __init__(self):
        outer = self
        self.text, self.type, self.status, self.pages, self.seen, self.delay = "", "text/plain; version=0.0.4", 200, {}, [], 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.seen.append((self.path, dict(self.headers)))
                time.sleep(outer.delay)
                page = outer.pages.get(self.path.split("?")[0])
                body = (page if page is not None else outer.text).encode()
                try:
                    self.send_response(200 if page is not None else outer.status)
                    self.send_header("Content-Type", "application/json" if page is not None else outer.type)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def wait_for(what, seconds=15):
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.05)


class Scrape(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="silex-scrape-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.config = os.path.join(self.folder, "silex.yml")
        self.e = Exporter()
        self.addCleanup(self.e.close)

    def server(self, jobs):
        self.write(jobs)
        return Server("--config", self.config)

    def write(self, jobs):
        with open(self.config, "w") as f:
            json.dump({"global": {"scrape_interval": "300ms", "scrape_timeout": "200ms"}, "scrape_configs": jobs}, f)

    def vector(self, s, query):
        data = s.get("/api/v1/query", query=query).data()
        return {json.dumps(r["metric"], sort_keys=True): r["value"][1] for r in data["result"]}

    def static(self, **more):
        return {"job_name": "own", "static_configs": [{"targets": [self.e.address]}], **more}

    def test_samples_reports_and_metadata(self):
        self.e.text = '# HELP hits Hits so far.\n# TYPE hits counter\nhits{path="/",job="theirs"} 3\nhits{path="/a"} 4 1000\n'
        with self.server([self.static()]) as s:
            name = f'"instance": "{self.e.address}", "job": "own"'
            self.assertEqual(wait_for(lambda: self.vector(s, "hits")), {
                f'{{"__name__": "hits", "exported_job": "theirs", {name}, "path": "/"}}': "3"})
            self.assertEqual(self.vector(s, "up"), {f'{{"__name__": "up", {name}}}': "1"})
            self.assertEqual(list(self.vector(s, "scrape_samples_scraped").values()), ["2"])
            self.assertEqual(s.get("/api/v1/query", query='hits{path="/a"}', time=1).data()["result"][0]["value"], [1, "4"])  # its own time
            self.assertIn("openmetrics", self.e.seen[0][1]["Accept"])
            self.assertEqual(s.get("/api/v1/metadata").data()["hits"], [{"type": "counter", "help": "Hits so far.", "unit": ""}])
            target = s.get("/api/v1/targets").data()["activeTargets"][0]
            self.assertEqual((target["health"], target["scrapePool"], target["lastError"]), ("up", "own", ""))
            found = s.get("/api/v1/targets/metadata", match_target='{job="own"}', metric="hits").data()
            self.assertEqual((found[0]["type"], found[0]["help"]), ("counter", "Hits so far."))

    def test_series_and_targets_that_go_are_marked_stale(self):
        self.e.text = "a 1\nb 2\n"
        with self.server([self.static()]) as s:
            self.assertTrue(wait_for(lambda: self.vector(s, "b")))
            self.e.text = "a 1\n"
            self.assertTrue(wait_for(lambda: not self.vector(s, "b")))
            self.assertTrue(self.vector(s, "a"))
            self.e.status = 500
            self.assertTrue(wait_for(lambda: not self.vector(s, "a")))
            self.assertEqual(list(self.vector(s, "up").values()), ["0"])
            self.assertIn("500", s.get("/api/v1/targets").data()["activeTargets"][0]["lastError"])
            self.e.status = 200
            self.assertTrue(wait_for(lambda: self.vector(s, "a")))
            self.write([])
            s.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_for(lambda: not self.vector(s, "up") and not self.vector(s, "a")), "the target is gone, and so are its series")

    def test_a_reload_keeps_what_stays_and_refuses_what_is_bad(self):
        self.e.text = "a 1\n"
        with self.server([self.static()]) as s:
            self.assertTrue(wait_for(lambda: self.vector(s, "a")))
            with open(self.config, "w") as f:
                f.write("scrape_configs:\n  - job_nam: x\n")
            s.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_for(lambda: "silex_config_last_reload_successful 0" in s.get("/metrics").body.decode()))
            self.assertIn("job_name", s.text_of_log())
            self.assertTrue(self.vector(s, "a"))
            self.write([self.static(), self.static(job_name="second", metrics_path="/other")])
            s.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_for(lambda: len(self.vector(s, "up")) == 2))
            self.assertEqual(list(self.vector(s, 'changes(up{job="own"}[5m])').values()), ["0"])

    def test_relabelling(self):
        self.e.text = 'keep{a="1",tmp="x"} 1\ndrop_me 2\nhost{name="web-12"} 3\n'
        with self.server([self.static(
            relabel_configs=[{"source_labels": ["__address__"], "regex": "(.*):.*", "target_label": "node"}, {"action": "labeldrop", "regex": "instance"},
                             {"target_label": "instance", "replacement": "it"}],
            metric_relabel_configs=[{"source_labels": ["__name__"], "regex": "drop_.*", "action": "drop"}, {"regex": "tmp", "action": "labeldrop"},
                                    {"source_labels": ["name"], "regex": "(.*)-(\\d+)", "target_label": "number", "replacement": "$2"},
                                    {"source_labels": ["name"], "regex": ".+", "modulus": 4, "target_label": "shard", "action": "hashmod"}])]) as s:
            own = '"instance": "it", "job": "own"'
            self.assertTrue(wait_for(lambda: self.vector(s, "keep")))
            self.assertEqual(self.vector(s, "keep"), {f'{{"__name__": "keep", "a": "1", {own}, "node": "127.0.0.1", "shard": "2"}}': "1"})
            self.assertEqual(self.vector(s, "drop_me"), {})
            self.assertEqual(len(self.vector(s, 'host{number="12",name="web-12"}')), 1)
            self.assertEqual(list(self.vector(s, "scrape_samples_post_metric_relabeling").values()), ["2"])

    def test_limits_and_faults(self):
        self.e.text = "a 1\nb 2\nc 3\n"
        jobs = {"samples": {"sample_limit": 2}, "body": {"body_size_limit": 5}, "labels": {"label_limit": 2}, "fine": {}}
        with self.server([self.static(job_name=n, **x) for n, x in jobs.items()]) as s:
            self.assertTrue(wait_for(lambda: len(self.vector(s, "up")) == 4))
            self.assertEqual({json.loads(k)["job"]: v for k, v in self.vector(s, "up").items()}, {"samples": "0", "body": "0", "labels": "0", "fine": "1"})
            errors = {t["scrapePool"]: t["lastError"] for t in s.get("/api/v1/targets").data()["activeTargets"]}
            self.assertIn("sample_limit exceeded", errors["samples"])
            self.assertIn("body_size_limit exceeded", errors["body"])
            self.assertIn("label_limit exceeded", errors["labels"])
            self.assertEqual(len(self.vector(s, "a")), 1)
            self.e.text = "a 1\nnot{a line\n"
            self.assertTrue(wait_for(lambda: "line 2" in [t for t in s.get("/api/v1/targets").data()["activeTargets"] if t["scrapePool"] == "fine"][0]["lastError"]))
            self.e.text, self.e.delay = "a 1\n", 0.4
            self.assertTrue(wait_for(lambda: "scrape_timeout" in [t for t in s.get("/api/v1/targets").data()["activeTargets"] if t["scrapePool"] == "fine"][0]["lastError"]))

    def test_credentials_and_parameters(self):
        self.e.text = "a 1\n"
        secret = os.path.join(self.folder, "token")
        with open(secret, "w") as f:
            f.write("s3cret\n")
        with self.server([self.static(basic_auth={"username": "u", "password": "p"}, params={"module": ["m 1", "m2"]}),
                          self.static(job_name="token", authorization={"credentials_file": secret}, honor_labels=True)]) as s:
            self.assertTrue(wait_for(lambda: len(self.vector(s, "up")) == 2))
            self.assertTrue(wait_for(lambda: {h.get("Authorization") for _, h in self.e.seen} == {"Basic dTpw", "Bearer s3cret"}))
            self.assertIn("/metrics?module=m%201&module=m2", {p for p, _ in self.e.seen})

    def test_discovery(self):
        self.e.text = "a 1\n"
        path = os.path.join(self.folder, "targets.json")
        with open(path, "w") as f:
            json.dump([{"targets": [self.e.address], "labels": {"rack": "7"}}], f)
        self.e.pages["/sd"] = json.dumps([{"targets": [self.e.address], "labels": {"__metrics_path__": "/m2", "from": "http"}}])
        with self.server([{"job_name": "files", "file_sd_configs": [{"files": [os.path.join(self.folder, "*.json")], "refresh_interval": "200ms"}]},
                          {"job_name": "http", "http_sd_configs": [{"url": f"http://{self.e.address}/sd", "refresh_interval": "200ms"}]}]) as s:
            self.assertTrue(wait_for(lambda: len(self.vector(s, "a")) == 2))
            self.assertEqual({(json.loads(k)["job"], json.loads(k).get("rack"), json.loads(k).get("from")) for k in self.vector(s, "a")},
                             {("files", "7", None), ("http", None, "http")})
            with open(path, "w") as f:
                f.write("[")  # half written: what was there stays
            time.sleep(0.6)
            self.assertEqual(len(self.vector(s, "up")), 2)
            with open(path, "w") as f:
                f.write("[]")
            self.assertTrue(wait_for(lambda: len(self.vector(s, "up")) == 1))

    def test_bounds_are_spelled_one_way(self):
        self.e.text = ('# TYPE h histogram\nh_bucket{le="1"} 4\nh_bucket{le="0.50"} 3\nh_bucket{le="+Inf"} 5\nh_count 5\nh_sum 2\n'
                       '# TYPE s summary\ns{quantile="1"} 7\ns_count 1\ns_sum 7\n# TYPE g gauge\ng{le="1",quantile="1"} 1\n')
        with self.server([self.static()]) as s:
            wait_for(lambda: self.vector(s, "h_bucket"))
            found = s.get("/api/v1/query", query='{__name__=~"h_bucket|s|g"}').data()["result"]
            self.assertEqual(sorted((r["metric"]["__name__"], r["metric"].get("le"), r["metric"].get("quantile")) for r in found),
                             [("g", "1", "1"), ("h_bucket", "+Inf", None), ("h_bucket", "0.5", None), ("h_bucket", "1.0", None), ("s", None, "1.0")])

    def test_openmetrics(self):
        self.e.type = "application/openmetrics-text; version=1.0.0"
        self.e.text = '# TYPE h histogram\n# UNIT h seconds\nh_bucket{le="1.0"} 4 # {trace_id="t"} 0.5\nh_bucket{le="+Inf"} 5\nh_count 5\nh_sum 2\n# EOF\n'
        with self.server([self.static()]) as s:
            self.assertTrue(wait_for(lambda: self.vector(s, "h_count")))
            now = time.time()
            found = wait_for(lambda: s.get("/api/v1/query_exemplars", query="h_bucket", start=now - 60, end=now + 60).data())
            self.assertEqual(found[0]["exemplars"][0]["labels"], {"trace_id": "t"})
            self.assertEqual(s.get("/api/v1/metadata", metric="h").data()["h"][0]["unit"], "seconds")

    def test_node_exporter(self):
        program = shutil.which("prometheus-node-exporter")
        if not program:
            self.skipTest("prometheus-node-exporter is not installed")
        port = free_port()
        p = subprocess.Popen([program, f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (p.kill(), p.wait()))
        job = {"job_name": "node", "scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        with self.server([job]) as s:
            self.assertTrue(wait_for(lambda: self.vector(s, 'node_cpu_seconds_total{mode="idle"}'), 30), s.text_of_log())
            self.assertTrue(wait_for(lambda: self.vector(s, 'rate(node_cpu_seconds_total{mode="idle"}[1m])')))
            self.assertGreater(float(list(self.vector(s, "scrape_samples_scraped").values())[0]), 100)

    def test_check_config_names_the_line(self):
        self.write([{"job_name": "x", "static_config": []}])
        s = Server("--config", self.config)
        from silex_server import SILEX
        r = subprocess.run([SILEX, "serve", "--data", s.data, "--listen", "127.0.0.1:0", "--config", self.config, "--check-config"], capture_output=True, text=True)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("static_configs", r.stderr)
        shutil.rmtree(s.dir, True)


if __name__ == "__main__":
    unittest.main()
