"""Debian's Prometheus writes to us: over a minute of 503 it loses nothing, past a 400 it goes on; exemplars and native
histograms arrive; what it reads back by remote read is what it sent.

Between the two stands a relay that answers 503 when told to. SLX_OUTAGE_SECONDS shortens the minute."""
import http.client
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

from silex_server import Server, field, free_port, varint, zigzag

OUTAGE = float(os.environ.get("SLX_OUTAGE_SECONDS", "60"))
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

if not shutil.which("prometheus"):
    sys.exit(77)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for k, v in dict(headers).items():
            self.send_header(k, v)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(handler):
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    s.daemon_threads = True
    threading.Thread(target=s.serve_forever, daemon=True).start()
    return s


def native_histogram(n):
    """One family of the protobuf exposition: 3n observations in two buckets."""
    h = field(1, 3 * n) + field(2, 1.5 * n) + field(5, zigzag(1)) + field(6, 1e-128) + field(7, 0)
    h += field(12, field(1, zigzag(2)) + field(2, 2)) + field(13, zigzag(n)) + field(13, zigzag(n))
    body = field(1, "native_seconds") + field(3, 4) + field(4, field(7, h))
    return varint(len(body)) + body


class Targets(Handler):
    """What is scraped: values that count the scrapes."""
    scrapes = 0
    bad = False

    def do_GET(self):
        Targets.scrapes += 1
        n = Targets.scrapes
        if self.path == "/native":
            return self.answer(200, native_histogram(n), {"Content-Type": PROTOBUF})
        text = "# TYPE work counter\n# HELP work What was done.\n"
        text += "".join(f'work_total{{part="{i}"}} {n * i} # {{trace_id="t{n}"}} {n}\n' for i in range(20))
        if Targets.bad:
            text += '# TYPE long gauge\nlong{value="' + "x" * 9000 + '"} 1\n'
        self.answer(200, (text + "# EOF\n").encode(), {"Content-Type": OPENMETRICS})


class Relay(Handler):
    port = None
    down = False
    answers = {}

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if Relay.down:
            status, text, headers = 503, b"not now\n", {"Retry-After": "1"}
        else:
            c = http.client.HTTPConnection("127.0.0.1", Relay.port, timeout=30)
            c.request("POST", self.path, body, {k: v for k, v in self.headers.items() if k.startswith(("Content-", "X-"))})
            r = c.getresponse()
            status, text = r.status, r.read()
            headers = {k: v for k, v in r.headers.items() if k in ("Content-Type", "Content-Encoding")}
            c.close()
        Relay.answers[status] = Relay.answers.get(status, 0) + 1
        self.answer(status, text, headers)


CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - {{job_name: text, metrics_path: /text, static_configs: [{{targets: ["127.0.0.1:{target}"]}}]}}
  - {{job_name: native, metrics_path: /native, static_configs: [{{targets: ["127.0.0.1:{target}"]}}]}}
remote_write:
  - url: http://127.0.0.1:{relay}/api/v1/write
    send_exemplars: true
    send_native_histograms: true
    metadata_config: {{send_interval: 2s}}
"""


class Prometheus:
    def __init__(self, config, *flags):
        self.dir = tempfile.mkdtemp(prefix="silex-prometheus-")
        self.port = free_port()
        with open(os.path.join(self.dir, "p.yml"), "w") as f:
            f.write(config)
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.process = subprocess.Popen(["prometheus", f"--config.file={self.dir}/p.yml", f"--storage.tsdb.path={self.dir}/data",
            f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn", *flags], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def query(self, query, at):
        return query_at(self.port, query, at)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def query_at(port, query, at):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    c.request("GET", "/api/v1/query?" + urllib.parse.urlencode({"query": query, "time": f"{at:.3f}"}))
    doc = json.loads(c.getresponse().read())
    c.close()
    assert doc["status"] == "success", doc
    return {json.dumps(r["metric"], sort_keys=True): r.get("values") or r.get("value") for r in doc["data"]["result"]}


class Sender(unittest.TestCase):
    maxDiff = 3000

    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()
        Relay.port = cls.server.port
        cls.targets, cls.relay = serve(Targets), serve(Relay)
        cls.prometheus = Prometheus(CONFIG.format(target=cls.targets.server_port, relay=cls.relay.server_port),
            "--enable-feature=native-histograms,exemplar-storage")
        cls.eventually(lambda: query_at(cls.server.port, "work_total", time.time()), 60)

    @classmethod
    def tearDownClass(cls):
        cls.prometheus.stop()
        for s in (cls.targets, cls.relay):
            s.shutdown()
            s.server_close()
        assert cls.server.stop() == 0, cls.server.text_of_log()

    @staticmethod
    def eventually(what, seconds=90):
        end = time.monotonic() + seconds
        while True:
            try:
                found = what()
            except (OSError, AssertionError, ValueError):
                found = None
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError("it did not come to pass")
            time.sleep(0.3)

    def arrived(self, until):
        """All that Prometheus has up to a time has come to us: the newest sample of every series is not older."""
        newest = query_at(self.server.port, 'min(timestamp(up))', until + 5)
        return newest and float(next(iter(newest.values()))[1]) >= until

    def same(self, query, until):
        theirs, ours = self.prometheus.query(query, until), query_at(self.server.port, query, until)
        self.assertTrue(theirs)
        self.assertEqual(sorted(theirs), sorted(ours))
        for series, values in theirs.items():
            self.assertEqual(values, ours[series], series)
        return theirs

    def test_1_a_minute_of_503(self):
        begin = time.time()
        Relay.down = True
        time.sleep(OUTAGE)
        Relay.down = False
        self.assertGreater(Relay.answers.get(503, 0), 3)
        until = time.time()
        self.eventually(lambda: self.arrived(until))
        window = int(until - begin) + 2
        found = self.same(f"work_total[{window}s]", until)
        self.assertEqual(len(found), 20)
        self.assertGreater(min(len(v) for v in found.values()), OUTAGE)
        self.same(f'up[{window}s]', until)
        count = self.prometheus.query("sum(count_over_time(native_seconds[5m]))", until)
        self.assertEqual(count, query_at(self.server.port, "sum(count_over_time(native_seconds[5m]))", until))

    def test_2_past_a_400(self):
        Targets.bad = True
        self.eventually(lambda: Relay.answers.get(400))
        time.sleep(2)
        Targets.bad = False
        until = time.time() + 2
        time.sleep(2)
        self.eventually(lambda: self.arrived(until))
        self.same("work_total[30s]", until)
        self.assertEqual(query_at(self.server.port, "long", until), {})

    def test_3_what_goes_with_samples(self):
        now = time.time()
        found = self.eventually(lambda: query_at(self.server.port, "histogram_count(native_seconds) / histogram_sum(native_seconds)", now))
        self.assertEqual([v[1] for v in found.values()], ["2"])
        exemplars = self.eventually(lambda: self.server.get("/api/v1/query_exemplars", query="work_total", start=now - 60, end=now).data())
        self.assertRegex(exemplars[0]["exemplars"][0]["labels"]["trace_id"], r"^t\d+$")
        metadata = self.eventually(lambda: self.server.get("/api/v1/metadata", metric="work").data().get("work") or
            self.server.get("/api/v1/metadata", metric="work_total").data().get("work_total"))
        self.assertEqual((metadata[0]["type"], metadata[0]["help"]), ("counter", "What was done."))

    def test_4_read_back(self):
        """Floats: 2.42 does not look at histograms in answers of type SAMPLES."""
        until = time.time()
        self.eventually(lambda: self.arrived(until))
        reader = Prometheus(f"remote_read: [{{url: 'http://127.0.0.1:{self.server.port}/api/v1/read', read_recent: true}}]", "--enable-feature=native-histograms")
        try:
            read = self.eventually(lambda: reader.query("work_total[20s]", until), 30)
            self.assertEqual(read, self.prometheus.query("work_total[20s]", until))
            self.assertEqual(reader.query('sum by (part) (rate(work_total{part=~"1.*"}[15s]))', until),
                self.prometheus.query('sum by (part) (rate(work_total{part=~"1.*"}[15s]))', until))
        finally:
            reader.stop()


if __name__ == "__main__":
    unittest.main()
