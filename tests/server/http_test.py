#!/usr/bin/env python3
"""HTTP itself: methods, limits, codings, slow and rude clients, many connections, hanging up, ending under load."""
import gzip
import json
import os
import resource
import signal
import socket
import struct
import threading
import time
import unittest
import zlib

from silex_server import Server

MB = 1 << 20
# Seconds of work, whatever the machine: nested subqueries, each read anew.
SLOW = " or ".join(f"max_over_time(max_over_time(rate(slow[5m] offset {i}s)[1h:1s])[1d:1s])" for i in range(60))


def load_slow(server):
    now = int(time.time())
    for i in range(20):
        server.write_text("".join(f'slow{{x="{x}"}} {i * x % 17} {(now - 300 + i * 15) * 1000}\n' for x in range(200)))


class Raw:
    """A socket that speaks whatever it is told."""

    def __init__(self, server, timeout=20):
        self.s = socket.create_connection(("127.0.0.1", server.port), timeout)
        self.buffer = b""

    def send(self, data):
        self.s.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def answer(self, head=False):
        """(status, headers, body) of the next answer; None at the end of the connection."""
        while b"\r\n\r\n" not in self.buffer:
            more = self.s.recv(65536)
            if not more:
                return None
            self.buffer += more
        header, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = header.decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        n = 0 if head else int(headers.get("content-length", 0))
        while len(self.buffer) < n:
            self.buffer += self.s.recv(65536)
        body, self.buffer = self.buffer[:n], self.buffer[n:]
        return int(lines[0].split()[1]), headers, body

    def at_end(self):
        """Whether the server closes within the time-out."""
        try:
            while self.s.recv(65536):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def close(self, reset=False):
        if reset:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()


def metric(server, name):
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    return None


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


class Http(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--set", "http.body_max=1MB", "--set", "http.header_timeout=2s", "--set", "http.upload_memory=64MB").start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def test_methods(self):
        get = self.server.get("/-/ready")
        self.assertEqual(get.status, 200)
        head = self.server.request("HEAD", "/-/ready")
        self.assertEqual((head.status, head.body, head.headers["Content-Length"]), (200, b"", get.headers["Content-Length"]))
        wrong = self.server.request("POST", "/-/ready")
        self.assertEqual((wrong.status, wrong.headers["Allow"]), (405, "GET, HEAD, OPTIONS"))
        self.assertEqual(wrong.headers["Content-Type"], "application/problem+json")
        self.assertEqual(json.loads(wrong.body)["status"], 405)
        options = self.server.request("OPTIONS", "/api/v1/query", headers={"Origin": "http://dash", "Access-Control-Request-Method": "POST"})
        self.assertEqual((options.status, options.headers["Access-Control-Allow-Origin"]), (204, "*"))
        self.assertIn("POST", options.headers["Access-Control-Allow-Methods"])
        self.assertEqual(self.server.get("/nothing/here").status, 404)
        self.assertEqual(self.server.request("BREW", "/-/ready").status, 405)
        self.assertIsNone(get.headers["Access-Control-Allow-Origin"])
        self.assertEqual(self.server.get("/-/ready", headers={"Origin": "http://dash"}).headers["Access-Control-Allow-Origin"], "*")

    def test_parameters(self):
        for query in ("query=1%2B1", "query=1%2b1", "query=1%2B1&query=3", "x=&&query=1%2B1&=y"):
            r = self.server.request("GET", "/api/v1/query?" + query)
            self.assertEqual((r.status, r.data()["result"][1]), (200, "2"), query)
        self.assertEqual(self.server.request("GET", "/api/v1/query?query=%zz").status, 400)
        self.assertEqual(self.server.request("GET", "/api/v1/query?query=1%2").status, 400)
        self.assertEqual(self.server.post_form("/api/v1/query", query="1 + 1").data()["result"][1], "2")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        self.assertEqual(self.server.request("POST", "/api/v1/query", b"query=%q1", form).status, 400)
        self.assertEqual(self.server.request("POST", "/api/v1/query", b"&".join([b"a=1"] * 20000), form).status, 400)
        self.assertEqual(self.server.request("GET", "/api/v1/label/__name%5f_/values").status, 200)
        self.assertEqual(self.server.request("GET", "/%2e%2e/%00").status, 400)

    def test_tenants(self):
        self.server.write_text("t 1\n", tenant="one")
        self.assertEqual(len(self.server.get("/api/v1/query", {"X-Scope-OrgID": "one"}, query="t").data()["result"]), 1)
        self.assertEqual(len(self.server.get("/api/v1/query", query="t").data()["result"]), 0)
        for bad in ("a b", "..", "a" * 151, "ä".encode().decode("latin-1"), ""):
            self.assertEqual(self.server.get("/api/v1/query", {"X-Scope-OrgID": bad}, query="t").status, 400, bad)

    def test_request_ids(self):
        self.assertEqual(self.server.get("/nothing", {"X-Request-Id": "abc-1.2_3"}).headers["X-Request-Id"], "abc-1.2_3")
        self.assertRegex(self.server.get("/nothing", {"X-Request-Id": "a b\"c"}).headers["X-Request-Id"], "^[0-9a-f]{16}$")

    def test_body_codings(self):
        text = b"".join(b'coded{n="%d"} 1\n' % i for i in range(100))
        raw = zlib.compressobj(wbits=-15)
        for name, body in (("gzip", gzip.compress(text)), ("deflate", zlib.compress(text)), ("deflate", raw.compress(text) + raw.flush()),
                           ("x-gzip", gzip.compress(text[:700]) + gzip.compress(text[700:])), ("identity", text)):
            r = self.server.request("POST", "/api/v1/import/prometheus", body, {"Content-Encoding": name})
            self.assertIn(r.status, (200, 204), (name, r.body))
        self.assertEqual(self.server.get("/api/v1/query", query="count(coded)").data()["result"][0]["value"][1], "100")
        for name, body in (("gzip", b"no gzip at all"), ("gzip", gzip.compress(text)[:-20]), ("deflate", b"\xff" * 50), ("zstd", b"(\xb5/\xfd"),
                           ("zstd", b"nothing"), ("gzip", gzip.compress(text) + b"x")):
            self.assertEqual(self.server.request("POST", "/api/v1/import/prometheus", body, {"Content-Encoding": name}).status, 400, (name, body[:10]))
        r = self.server.request("POST", "/api/v1/import/prometheus", b"x", {"Content-Encoding": "br"})
        self.assertEqual(r.status, 415)

    def test_bodies_over_the_limit(self):
        post = lambda body, headers=None: self.server.request("POST", "/api/v1/query", body, headers or {})
        self.assertEqual(post(b"x" * (MB + 1)).status, 413)
        bomb = gzip.compress(b"\0" * (64 * MB))
        self.assertLess(len(bomb), MB)
        before = rss(self.server.process.pid)
        for _ in range(5):
            self.assertEqual(post(bomb, {"Content-Encoding": "gzip"}).status, 413)
        self.assertLess(rss(self.server.process.pid), before + 32 * MB)
        # Told before it is sent, and with no length at all.
        c = Raw(self.server).send(f"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: {10 ** 12}\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(c.answer()[0], 413)
        c.close()
        c = Raw(self.server).send("POST /api/v1/query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(64):
                c.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            c.send("0\r\n\r\n")
        except (ConnectionResetError, BrokenPipeError):
            pass
        try:
            answer = c.answer()
            self.assertTrue(answer is None or answer[0] == 413)
        except ConnectionResetError:
            pass
        c.close()
        self.assertTrue(wait_for(lambda: metric(self.server, "silex_http_upload_bytes") == 0))

    def test_expect_continue(self):
        c = Raw(self.server).send("POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n"
                                  "Expect: 100-continue\r\n\r\n")
        self.assertEqual(c.answer()[0], 100)
        self.assertEqual(c.send("query=1").answer()[0], 200)
        c.close()

    def test_answer_codings(self):
        plain = self.server.get("/metrics")
        self.assertEqual((plain.headers["Content-Encoding"], plain.headers["Vary"]), (None, "Accept-Encoding"))
        r = self.server.get("/metrics", {"Accept-Encoding": "gzip"})
        self.assertEqual(r.headers["Content-Encoding"], "gzip")
        self.assertIn(b"silex_build_info", gzip.decompress(r.body))
        self.assertEqual(self.server.get("/metrics", {"Accept-Encoding": "gzip, deflate, br, zstd"}).headers["Content-Encoding"], "zstd")
        self.assertEqual(self.server.get("/metrics", {"Accept-Encoding": "zstd;q=0.1, gzip;q=0.9"}).headers["Content-Encoding"], "gzip")
        self.assertIsNone(self.server.get("/metrics", {"Accept-Encoding": "gzip;q=0, br"}).headers["Content-Encoding"])
        self.assertIsNone(self.server.get("/-/ready", {"Accept-Encoding": "gzip"}).headers["Content-Encoding"])

    def test_pipelining_and_old_http(self):
        c = Raw(self.server)
        c.send("".join(f"GET /api/v1/query?query={i} HTTP/1.1\r\nHost: x\r\n\r\n" for i in range(50)))
        for i in range(50):
            self.assertEqual(json.loads(c.answer()[2])["data"]["result"][1], str(i))
        c.close()
        c = Raw(self.server).send("GET /-/ready HTTP/1.0\r\n\r\n")
        self.assertEqual(c.answer()[0], 200)
        self.assertTrue(c.at_end())
        c = Raw(self.server).send("GET http://host/-/ready?x HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(c.answer()[0], 200)
        c.close()

    def test_bad_requests(self):
        for text in ("\0\1\2\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", "GET /" + "x" * 100000 + " HTTP/1.1\r\n\r\n",
                     "GET / HTTP/1.1\r\nHost: x\r\n" + "A: b\r\n" * 10000 + "\r\n", "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                     "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "\x16\x03\x01\x02\0\1\0\1\xfc\3\3"):
            c = Raw(self.server, 5)
            try:
                c.send(text)
                c.s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            try:
                a = c.answer()
                self.assertTrue(a is None or a[0] >= 400, (text[:40], a))
            except (ConnectionResetError, TimeoutError, ValueError):
                pass
            c.close()
        self.assertEqual(self.server.get("/-/ready").status, 200)

    def test_slow_loris(self):
        """Clients that send a byte now and then are cut; others do not notice."""
        slow = [Raw(self.server) for _ in range(50)]
        for c in slow:
            c.send("GET /-/ready HTTP/1.1\r\nHost: x\r\n")
        end = time.monotonic() + 20
        alive = len(slow)
        while alive and time.monotonic() < end:
            self.assertEqual(self.server.get("/-/ready").status, 200)
            for c in list(slow):
                try:
                    c.send("X: y\r\n")
                except OSError:
                    slow.remove(c)
            alive = len(slow)
            time.sleep(0.2)
        self.assertEqual(alive, 0)

    def test_hanging_up_in_the_middle(self):
        for text in ("GET /metrics HTTP/1.1\r\n", "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nquery",
                     "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
            for reset in (False, True):
                for _ in range(20):
                    Raw(self.server).send(text).close(reset)
        self.assertEqual(self.server.get("/-/ready").status, 200)
        self.assertTrue(wait_for(lambda: metric(self.server, "silex_http_connections") <= 1))
        self.assertTrue(wait_for(lambda: metric(self.server, "silex_http_upload_bytes") == 0))

    def test_many_idle_connections(self):
        """10,000 where the limit of files allows it, each used once: other clients are served, memory stays small."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        n = 10000 if hard >= 11000 and not os.environ.get("SLX_QUICK") else min(500, hard // 2)
        self.assertTrue(wait_for(lambda: metric(self.server, "silex_http_connections") <= 1))
        idle = []
        for _ in range(n):
            idle.append(Raw(self.server))
        for c in idle:
            c.send("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n")
        for c in idle:
            self.assertEqual(c.answer()[0], 200)
        self.assertEqual(metric(self.server, "silex_http_connections"), n + 1)
        used = rss(self.server.process.pid)
        print(f"{n} idle connections: {used / MB:.1f} MB RSS")
        if "asan" not in os.environ.get("SLX_BUILD_DIR", ""):
            self.assertLess(used, 150 * MB)
        began = time.monotonic()
        for _ in range(100):
            self.assertEqual(self.server.get("/api/v1/query", query="1").status, 200)
        print(f"a request meanwhile: {(time.monotonic() - began) * 10:.2f} ms")
        for c in idle:
            c.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertTrue(wait_for(lambda: metric(self.server, "silex_http_connections") <= 1))


class Long(unittest.TestCase):
    """Long queries: hanging up, admission, readers that stop, the end under load."""

    def start(self, *words):
        server = Server("--set", "promql.samples_max=1000000000000", *words).start()
        self.addCleanup(server.__exit__)
        load_slow(server)
        return server

    def running(self, server):
        return metric(server, "silex_http_requests_running")

    def ask(self, server):
        return Raw(server, 60).send("POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                                    f"Content-Length: {len(SLOW.replace(' ', '+')) + 6}\r\n\r\nquery={SLOW.replace(' ', '+')}")

    def test_hanging_up_cancels(self):
        server = self.start()
        for reset in (False, True):
            c = self.ask(server)
            self.assertTrue(wait_for(lambda: self.running(server) == 2), "the query runs, and the question for metrics")
            time.sleep(0.2)
            c.close(reset)
            began = time.monotonic()
            self.assertTrue(wait_for(lambda: self.running(server) == 1, 10), "it does not run any more")
            print(f"canceled {(time.monotonic() - began) * 1000:.0f} ms after hanging up")

    def test_others_are_served(self):
        """A tenant that has too many gets 503; writes, other tenants and the health check go on."""
        server = self.start("--set", "http.read_workers=8", "--set", "http.reads_max=4")
        busy = [self.ask(server) for _ in range(4)]
        self.assertTrue(wait_for(lambda: self.running(server) == 5))
        r = server.get("/api/v1/query", query="1")
        self.assertEqual((r.status, r.headers["Retry-After"]), (503, "1"))
        self.assertEqual(server.get("/-/healthy").status, 200)
        server.write_text("others 1\n")
        self.assertEqual(server.get("/api/v1/query", {"X-Scope-OrgID": "other"}, query="1").status, 200)
        for c in busy:
            c.close()
        self.assertTrue(wait_for(lambda: self.running(server) == 1))
        self.assertEqual(server.get("/api/v1/query", query="1").status, 200)

    def test_end_under_load(self):
        server = self.start("--set", "http.drain_timeout=1s")
        busy = [self.ask(server) for _ in range(50)]
        self.assertTrue(wait_for(lambda: self.running(server) == 51))
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        answers = [c.answer() for c in busy]
        self.assertEqual(server.stop(), 0)
        print(f"ended {time.monotonic() - began:.2f} s after SIGTERM with 50 queries; answers: {sorted(a[0] if a else 0 for a in answers)}")
        self.assertLess(time.monotonic() - began, 15)
        self.assertTrue(all(a for a in answers), "each was answered")

    def test_a_reader_that_stops(self):
        """An answer that nobody reads is cut; the server goes on."""
        server = self.start("--set", "http.stall_timeout=2s")
        for i in range(20):
            server.write_text("".join(f'big{{x="{x}",text="{"y" * 200}"}} 1\n' for x in range(i * 1000, i * 1000 + 1000)))
        c = Raw(server)
        c.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        began = time.monotonic()
        c.send("GET /api/v1/query?query=big HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(wait_for(lambda: metric(server, "silex_http_connections") == 1, 60), "it was cut")
        print(f"a client that reads nothing was cut after {time.monotonic() - began:.1f} s")
        self.assertEqual(server.get("/-/ready").status, 200)

    def test_many_at_once(self):
        """Threads that ask, write and hang up, all mixed: answers are right."""
        server = self.start()
        failed = []

        def client(k):
            for i in range(40):
                try:
                    if (i + k) % 7 == 0:
                        c = self.ask(server)
                        time.sleep(0.002 * (i % 5))
                        c.close(i % 2 == 0)
                    elif (i + k) % 3 == 0:
                        server.write_text(f'mixed{{k="{k}"}} {i}\n')
                    else:
                        r = server.get("/api/v1/query", query=f"{k} + {i}", timeout=60)
                        if r.status != 503 and r.data()["result"][1] != str(k + i):
                            failed.append(r.body)
                except OSError as e:
                    failed.append(e)

        threads = [threading.Thread(target=client, args=(k,)) for k in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(failed, [])
        self.assertTrue(wait_for(lambda: self.running(server) == 1, 60))
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
