"""What the end-to-end tests of the server share: a server on a free port of loopback, requests, writes."""
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def binary():
    """The program under test: the first argument, taken off so that unittest does not see it."""
    if len(sys.argv) > 1 and os.path.basename(sys.argv[1]) == "silex":
        return sys.argv.pop(1)
    return os.path.join(os.environ.get("SLX_BUILD_DIR", os.path.join(ROOT, "build")), "silex")


SILEX = binary()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    def json(self):
        return json.loads(self.body)

    def data(self):
        doc = self.json()
        assert self.status == 200 and doc["status"] == "success", self.body[:500]
        return doc["data"]


class Server:
    """`silex serve` in a directory of its own; a context manager."""

    def __init__(self, *words, env=None, data=None):
        self.dir = tempfile.mkdtemp(prefix="silex-server-")
        self.data = data or os.path.join(self.dir, "data")
        self.words, self.env, self.process = list(words), env or {}, None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self, wait=True):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        command = [SILEX, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", *self.words]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env={**os.environ, **self.env})
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                if self.get("/-/ready").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"the server did not get ready:\n{self.text_of_log()}")

    def text_of_log(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()[-4000:]

    def stop(self, how=signal.SIGTERM, seconds=30):
        """The exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self.process = None
        self.log.close()
        return status

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    # ---- requests ----

    def request(self, method, path, body=None, headers=None, timeout=30):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return Answer(r, r.read())
        finally:
            c.close()

    def get(self, path, headers=None, **params):
        return self.request("GET", path + query_string(params), headers=headers)

    def post_form(self, path, headers=None, **params):
        form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self.request("POST", path, query_string(params)[1:], form)

    # ---- writes ----

    def write_text(self, text, tenant=None):
        """Text exposition format; times in ms."""
        headers = {"X-Scope-OrgID": tenant} if tenant else {}
        r = self.request("POST", "/api/v1/import/prometheus", text.encode(), headers)
        assert r.status in (200, 204), (r.status, r.body)

    def remote_write(self, series, metadata=(), headers=None):
        r = self.request("POST", "/api/v1/write", snappy(write_request(series, metadata)), {
            "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0", **(headers or {})})
        assert r.status in (200, 204), (r.status, r.body)


def query_string(params):
    """?a=1&match[]=x for {"a": 1, "match": ["x"]}: lists repeat, `match` stands for match[]."""
    pairs = []
    for key, value in params.items():
        key = "match[]" if key == "match" else key
        pairs += [(key, v) for v in value] if isinstance(value, (list, tuple)) else [(key, value)]
    return "?" + urllib.parse.urlencode(pairs) if pairs else ""


# ---- remote write 1.0: protobuf, and snappy made of literals ----


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, value):
    """Length-delimited for bytes and str, fixed64 for float, varint for int."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def labels_field(labels):
    return b"".join(field(1, field(1, k) + field(2, v)) for k, v in sorted(labels.items()))


def zigzag(n):
    return n << 1 ^ n >> 63


def histogram(h):
    """A float histogram: {"t", "count", "sum", "schema", "zero_threshold", "zero_count", "spans": [(offset, length)], "counts": [...]}."""
    out = field(2, float(h["count"])) + field(3, float(h["sum"])) + field(4, zigzag(h["schema"]))
    out += field(5, float(h.get("zero_threshold", 0))) + field(7, float(h.get("zero_count", 0)))
    for offset, length in h["spans"]:
        out += field(11, field(1, zigzag(offset)) + field(2, length))
    out += field(13, b"".join(struct.pack("<d", c) for c in h["counts"]))
    return out + field(15, h["t"])


def write_request(series, metadata=()):
    """series: dicts of labels, samples [(ms, value)], exemplars [(ms, value, labels)], histograms.
    metadata: (metric, type number, help, unit)."""
    out = b""
    for s in series:
        body = labels_field(s["labels"])
        for t, v in s.get("samples", ()):
            body += field(2, field(1, float(v)) + field(2, t))
        for t, v, labels in s.get("exemplars", ()):
            body += field(3, labels_field(labels) + field(2, float(v)) + field(3, t))
        for h in s.get("histograms", ()):
            body += field(4, histogram(h))
        out += field(1, body)
    for name, kind, text, unit in metadata:
        out += field(3, field(1, kind) + field(2, name) + field(4, text) + field(5, unit))
    return out


def snappy(data):
    out = varint(len(data))
    for i in range(0, len(data), 65536):
        piece = data[i:i + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return out
