#!/usr/bin/env python3
"""The life of a server: beginning, replaying, ending, what systemd hears, what the log says, TLS, prefixes."""
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

from silex_server import SILEX, Server, free_port


class Lifecycle(unittest.TestCase):
    def test_ends_well(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            with Server() as server:
                server.write_text("kept 1\n")
                self.assertEqual(server.stop(how), 0)
                log = server.text_of_log()
                self.assertIn(f"127.0.0.1:{server.port}", log)
                self.assertIn("info ready", log)
                self.assertIn("promise=", log)
                self.assertIn("info ended", log)
                server.start()
                self.assertEqual(len(server.get("/api/v1/query", query="kept").data()["result"]), 1)

    def test_killed(self):
        """kill -9 loses nothing that was acknowledged."""
        with Server() as server:
            for i in range(20):
                server.write_text("".join(f'k{{i="{i}",j="{j}"}} 1\n' for j in range(50)))
            server.process.kill()
            server.process.wait()
            server.start()
            self.assertEqual(server.get("/api/v1/query", query="count(k)").data()["result"][0]["value"][1], "1000")

    def test_quit(self):
        with Server("--enable-lifecycle") as server:
            self.assertEqual(server.request("POST", "/-/quit").status, 200)
            self.assertEqual(server.process.wait(20), 0)

    def test_data_in_use(self):
        with Server() as server:
            other = Server(data=server.data)
            other.start(wait=False)
            self.assertEqual(other.process.wait(20), 1)
            self.assertIn(f"in use by pid {server.process.pid}", other.text_of_log())
            other.stop()
            shutil.rmtree(other.dir)
            self.assertEqual(server.get("/-/ready").status, 200)

    def test_port_in_use(self):
        with Server() as server:
            other = Server()
            other.port = server.port
            other.start(wait=False)
            self.assertEqual(other.process.wait(20), 1)
            self.assertIn("Address already in use", other.text_of_log())
            other.stop()
            shutil.rmtree(other.dir)

    def test_bad_places(self):
        for words, text in (("--listen", "nonsense"), "host:port"), (("--listen", "127.0.0.1:99999"), "host:port"), (("--data", "/proc/silex"), "/proc/silex"):
            p = subprocess.run([SILEX, "serve", "--data", os.path.join(tempfile.gettempdir(), "silex-none"), *words], capture_output=True, text=True, timeout=20)
            self.assertEqual(p.returncode, 1, p.stderr)
            self.assertIn(text, p.stderr)
        shutil.rmtree(os.path.join(tempfile.gettempdir(), "silex-none"), ignore_errors=True)

    def test_replaying(self):
        """While the log is replayed only the health check is answered; then everything."""
        with Server("--set", "storage.checkpoint_interval=1d") as server:
            rows = "".join(f'r{{i="{i}"}} 1\n' for i in range(20000))
            for k in range(8):
                server.write_text(rows.replace("r{", f"r{k}{{"))
            server.process.kill()
            server.process.wait()
            server.start(wait=False)
            seen = set()
            end = time.monotonic() + 30
            while time.monotonic() < end and 200 not in seen:
                try:
                    ready = server.get("/-/ready").status
                    if ready == 503:
                        self.assertEqual(server.get("/-/healthy").status, 200)
                        r = server.get("/api/v1/query", query="1")
                        self.assertIn(r.status, (200, 503))
                        if r.status == 503:
                            self.assertIsNotNone(r.headers["Retry-After"])
                            self.assertEqual(r.json()["status"], "error")
                    seen.add(ready)
                except OSError:
                    pass
            self.assertIn(200, seen)
            self.assertEqual(server.get("/api/v1/query", query="count({__name__=~'r.'})").data()["result"][0]["value"][1], "160000")

    def test_ended_while_replaying(self):
        with Server() as server:
            rows = "".join(f'r{{i="{i}"}} 1\n' for i in range(20000))
            for k in range(4):
                server.write_text(rows.replace("r{", f"r{k}{{"))
            for wait in (0.01, 0.05, 0.1):
                server.process.kill()
                server.process.wait()
                server.start(wait=False)
                time.sleep(wait)
                self.assertIn(server.stop(), (0, -signal.SIGTERM))  # before it heard of signals
                server.start()
                self.assertEqual(server.get("/api/v1/query", query="count({__name__=~'r.'})").data()["result"][0]["value"][1], "80000")

    def test_running_requests_end(self):
        """What was begun is answered after SIGTERM; what comes later is refused, not lost."""
        with Server() as server:
            answers, stop = [], threading.Event()

            def writer(k):
                for i in range(100000):
                    if stop.is_set():
                        return
                    try:
                        r = server.request("POST", "/api/v1/import/prometheus", f'w{{k="{k}"}} {i} {1700000000000 + i}\n'.encode())
                        answers.append((k, i, r.status))
                    except OSError:
                        return

            threads = [threading.Thread(target=writer, args=(k,)) for k in range(8)]
            for t in threads:
                t.start()
            time.sleep(0.5)
            self.assertEqual(server.stop(), 0)
            stop.set()
            for t in threads:
                t.join()
            self.assertTrue(all(s in (200, 204, 503) for _, _, s in answers), {s for _, _, s in answers})
            acknowledged = [a for a in answers if a[2] != 503]
            server.start()
            r = server.get("/api/v1/query", query="sum(count_over_time(w[300d]))", time=1700000000 + 1000)
            self.assertGreaterEqual(int(r.data()["result"][0]["value"][1]), len(acknowledged))

    def test_systemd(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "notify")
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.bind(path)
            s.settimeout(20)
            with Server(env={"NOTIFY_SOCKET": path}) as server:
                self.assertEqual(s.recv(100), b"READY=1")
                server.stop()
                self.assertEqual(s.recv(100), b"STOPPING=1")
            s.close()

    def test_log_in_json(self):
        with Server("--log-format", "json", "--log-level", "debug") as server:
            server.get("/api/v1/query", {"X-Request-Id": "find-me", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, query='"ä\n"')
            server.stop()
            with open(os.path.join(server.dir, "log")) as f:
                lines = [json.loads(line) for line in f]
            found = [x for x in lines if x.get("request_id") == "find-me"]
            self.assertEqual([(x["trace_id"], x["level"]) for x in found], [("4bf92f3577b34da6a3ce929d0e0e4736", "debug")])
            self.assertTrue(any(x["message"] == "ready" for x in lines))

    def test_prefix(self):
        server = Server("--route-prefix", "/silex")
        self.addCleanup(server.__exit__)
        server.start(wait=False)
        end = time.monotonic() + 20
        while time.monotonic() < end and "info ready" not in server.text_of_log():
            time.sleep(0.02)
        self.assertEqual(server.get("/silex/-/ready").status, 200)
        self.assertEqual(server.get("/silex/api/v1/query", query="1").status, 200)
        self.assertEqual(server.get("/-/ready").status, 404)
        self.assertEqual(server.get("/silexx/-/ready").status, 404)

    def test_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
            made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                                   "-addext", "subjectAltName=IP:127.0.0.1"], capture_output=True)
            if made.returncode:
                self.skipTest("openssl cannot make a certificate here")
            server = Server("--set", f"http.tls_cert={cert}", "--set", f"http.tls_key={key}")
            self.addCleanup(server.__exit__)
            server.start(wait=False)
            context = ssl.create_default_context(cafile=cert)
            end = time.monotonic() + 20
            status = None
            while status != 200 and time.monotonic() < end:
                try:
                    with urllib.request.urlopen(f"https://127.0.0.1:{server.port}/-/ready", context=context, timeout=5) as r:
                        status = r.status
                except OSError:
                    time.sleep(0.05)
            self.assertEqual(status, 200)
            big = "".join(f'tls{{i="{i}"}} 1\n' for i in range(20000)).encode()
            with urllib.request.urlopen(f"https://127.0.0.1:{server.port}/api/v1/import/prometheus", big, context=context, timeout=20) as r:
                self.assertIn(r.status, (200, 204))
            with urllib.request.urlopen(f"https://127.0.0.1:{server.port}/api/v1/query?query=tls", context=context, timeout=20) as r:
                self.assertEqual(len(json.load(r)["data"]["result"]), 20000)
            bad = subprocess.run([SILEX, "serve", "--data", folder + "/d", "--listen", f"127.0.0.1:{free_port()}", "--set", f"http.tls_cert={key}", "--set",
                                  f"http.tls_key={cert}"], capture_output=True, text=True, timeout=20)
            self.assertEqual(bad.returncode, 1)
            self.assertIn("certificate", bad.stderr)

    def test_not_root(self):
        """As nobody, in a directory of its own; and with an error where it may not write."""
        if os.geteuid() != 0:
            self.skipTest("the other tests run without root already")
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            self.skipTest("there is no user nobody")
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        program = shutil.copy(SILEX, os.path.join(folder, "silex"))
        os.chmod(folder, 0o755)
        os.mkdir(os.path.join(folder, "own"))
        os.chown(os.path.join(folder, "own"), nobody.pw_uid, nobody.pw_gid)
        port = free_port()
        run = lambda data: subprocess.Popen([program, "serve", "--data", data, "--listen", f"127.0.0.1:{port}"], user=nobody.pw_uid, group=nobody.pw_gid,
                                            stderr=subprocess.PIPE, text=True, cwd=folder)
        p = run(os.path.join(folder, "own", "d"))
        try:
            while "ready" not in (line := p.stderr.readline()):
                self.assertTrue(line, "it ended")
            p.terminate()
            self.assertEqual(p.wait(20), 0)
        finally:
            p.kill()
            p.stderr.close()
        p = run(os.path.join(folder, "other"))
        _, err = p.communicate(timeout=20)
        self.assertEqual(p.returncode, 1)
        self.assertIn("Permission denied", err)

    def test_metrics_are_clean(self):
        with Server() as server:
            server.get("/api/v1/query", query="1")
            text = server.get("/metrics").body
            names = [line.split(b"{")[0].split(b" ")[0] for line in text.splitlines() if not line.startswith(b"#")]
            self.assertTrue(all(n.startswith((b"silex_", b"process_")) for n in names))
            if not shutil.which("promtool"):
                self.skipTest("promtool is not here")
            p = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
            self.assertEqual((p.returncode, p.stdout + p.stderr), (0, b""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
