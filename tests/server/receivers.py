"""Who is told of alerts, for tests and benches: a server that remembers what it was sent, and the real Alertmanager."""
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request

from silex_server import free_port

ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def until(test, seconds=20, what=""):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = test()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what or test}")


class Receiver:
    """Remembers (monotonic time, path, headers, JSON) of every POST; answers `status`."""

    def __init__(self, port=0):
        self.status, self.got, self.told = 200, [], threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                at, status = time.monotonic(), outer.status
                with outer.told:
                    if status == 200:
                        outer.got.append((at, self.path, dict(self.headers), body))
                    outer.told.notify_all()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def events(self):
        with self.told:
            return [json.loads(body) for _, _, _, body in self.got]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Alertmanager:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="silex-am-")
        self.port = free_port()
        self.process = None
        with open(os.path.join(self.dir, "am.yml"), "w") as f:
            f.write("route: {receiver: none}\nreceivers: [{name: none}]\n")

    def start(self):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.process = subprocess.Popen([ALERTMANAGER, f"--config.file={self.dir}/am.yml", f"--storage.path={self.dir}/data", "--cluster.listen-address=",
                                         f"--web.listen-address=127.0.0.1:{self.port}"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        until(self.ready, what="Alertmanager is ready")
        return self

    def ready(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=2).status == 200
        except OSError:
            return False

    def alerts(self):
        """Those that are active, by alertname and bed."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v2/alerts?active=true", timeout=5) as r:
            return {(a["labels"]["alertname"], a["labels"].get("bed", "")): a for a in json.load(r)}

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.process = None

    def stop(self):
        if self.process:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)
