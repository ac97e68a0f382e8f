#!/usr/bin/env python3
"""The store suite and the faults against real servers of S3's protocol.

    s3_real.py s3rver      npm's s3rver of tests/clients (it does not check signatures)
    s3_real.py swift       Debian's Swift with s3api (it does): five small configuration files and rings in a folder of its own
"""
import datetime
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(__file__))
import proxy  # noqa: E402
import s3_server  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(os.environ.get("SLX_BUILD_DIR", os.path.join(ROOT, "build")), "tests/store")
PARTS = 11 << 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Processes:
    """Starts programs in the folder, ends them by their ids."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="silex-s3-")
        self.running = []

    def start(self, *command):
        with open(os.path.join(self.folder, f"log-{len(self.running)}.txt"), "w") as log:
            self.running.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def wait(self, port, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.2)
        for name in sorted(os.listdir(self.folder)):
            if name.startswith("log-"):
                with open(os.path.join(self.folder, name)) as f:
                    print(name, f.read()[-2000:], file=sys.stderr)
        raise SystemExit("the server does not answer")

    def end(self):
        for p in self.running:
            os.killpg(p.pid, signal.SIGTERM)
        for p in self.running:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class S3rver:
    keys = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER"}
    checks_signatures = False
    few = {}

    @staticmethod
    def start(p):
        port = free_port()
        command = ["node"]
        if subprocess.run(["node", "--openssl-legacy-provider", "-e", "0"], capture_output=True).returncode == 0:
            command.append("--openssl-legacy-provider")  # lists need it
        p.start(*command, os.path.join(ROOT, "tests/clients/node_modules/s3rver/bin/s3rver.js"), "-d", p.folder, "-a", "127.0.0.1", "-p", str(port),
                "-s", "--configure-bucket", "silex")
        p.wait(port)
        return port


class Swift:
    keys = {"AWS_ACCESS_KEY_ID": "test:tester", "AWS_SECRET_ACCESS_KEY": "testing"}
    checks_signatures = True
    few = {"SLX_STORE_FEW": "1"}

    PROXY = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {proxy}
swift_dir = {folder}
user = {user}
workers = 1
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin .reseller_admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
"""
    FILTER = "[filter:{0}]\nuse = egg:swift#{1}\n"
    BACK = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
user = {user}
workers = 1
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

    @classmethod
    def start(cls, p):
        ports = {k: free_port() for k in ("proxy", "account", "container", "object", "memcached")}
        user = subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
        filters = "".join(cls.FILTER.format(n, n if n != "proxy-logging" else "proxy_logging")
                          for n in ("catch_errors", "gatekeeper", "healthcheck", "proxy-logging", "listing_formats", "bulk", "slo", "dlo"))
        os.makedirs(os.path.join(p.folder, "devices/d1"))
        p.start("memcached", "-l", "127.0.0.1", "-p", str(ports["memcached"]), "-u", user)
        for kind in ("account", "container", "object"):
            builder = os.path.join(p.folder, f"{kind}.builder")
            for words in (("create", "4", "1", "1"), ("add", f"r1z1-127.0.0.1:{ports[kind]}/d1", "1"), ("rebalance",)):
                subprocess.run(["swift-ring-builder", builder, *words], check=True, capture_output=True)
            conf = p.write(f"{kind}.conf", cls.BACK.format(port=ports[kind], folder=p.folder, user=user, kind=kind))
            p.start(f"swift-{kind}-server", conf)
        p.start("swift-proxy-server", p.write("proxy.conf", cls.PROXY.format(folder=p.folder, user=user, **ports) + filters))
        p.wait(ports["proxy"])
        return ports["proxy"]


class Real(unittest.TestCase):
    kind = None

    @classmethod
    def setUpClass(cls):
        cls.processes = Processes()
        try:
            cls.port = cls.kind.start(cls.processes)
            cls.make_bucket()
        except BaseException:
            cls.processes.end()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.processes.end()

    def setUp(self):
        self.proxy = proxy.Proxy(self.port).start()
        self.addCleanup(self.proxy.server_close)
        self.addCleanup(self.proxy.shutdown)

    @classmethod
    def run_program(cls, program, *words, **environment):
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return subprocess.run([os.path.join(BUILD, program), *map(str, words)], env={**env, **cls.kind.keys, **environment}, capture_output=True,
                              text=True, timeout=600)

    @classmethod
    def make_bucket(cls):
        if cls.kind is S3rver:
            return
        time_text = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
        scope, empty = f"{time_text[:8]}/us-east-1/s3/aws4_request", hashlib.sha256(b"").hexdigest()
        headers = {"host": f"127.0.0.1:{cls.port}", "x-amz-content-sha256": empty, "x-amz-date": time_text}
        key, secret = cls.kind.keys["AWS_ACCESS_KEY_ID"], cls.kind.keys["AWS_SECRET_ACCESS_KEY"]
        signature = s3_server.signature(secret, "PUT", "/silex", "", headers, sorted(headers), empty, time_text, scope)
        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={key}/{scope},SignedHeaders={';'.join(sorted(headers))},Signature={signature}"
        request = urllib.request.Request(f"http://127.0.0.1:{cls.port}/silex", method="PUT", headers=headers)
        urllib.request.urlopen(request, timeout=30).read()

    def url(self, bucket="silex", **options):
        options = {"endpoint": f"http://127.0.0.1:{self.proxy.server_port}", "part_mb": 5, "retry": "20s", **options}
        return f"s3://{bucket}/here?" + "&".join(f"{k}={v}" for k, v in options.items())

    def do(self, *words, status="ok", url=None, **environment):
        result = self.run_program("store_tool", url or self.url(), *words, **environment)
        got, _, message = result.stdout.splitlines()[-1].partition(": ")
        self.assertEqual(got, status, result.stdout + result.stderr)
        return message

    def test_suite(self):
        result = self.run_program("store_suite", self.url(), **self.kind.few)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_backup_run_through(self):
        """Backups of a server under load, and back: tests/server/backup_test.py."""
        silex = os.path.join(os.path.dirname(os.path.dirname(BUILD)), "silex")
        target = self.url().replace("/here?", "/backups?")
        result = self.run_program(sys.executable, os.path.join(ROOT, "tests/server/backup_test.py"), silex, "RunThrough", SLX_BACKUP_TARGET=target)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_faults_that_pass(self):
        for fault in (503, "cut", "lost"):
            with self.subTest(fault):
                chance = random.Random(7)
                self.proxy.fault = lambda r, fault=fault, chance=chance: fault if chance.random() < 0.3 else None
                self.do("put", f"a-{fault}", 1000)
                self.do("put", f"b-{fault}", PARTS)
                self.assertEqual(self.do("get", f"b-{fault}", 3, PARTS - 3), "as put")
                self.do("remove", f"a-{fault}")
                self.do("remove", f"b-{fault}")

    def test_damaged_upload(self):
        hit = []
        self.proxy.fault = lambda r: "flip-up" if r.method == "PUT" and not hit.append(r) and len(hit) % 2 else None
        self.do("put", "damaged", 1000)
        self.assertEqual(len(hit), 2)
        self.assertEqual(self.do("get", "damaged", 0, 1000), "as put")
        self.do("remove", "damaged")

    def test_tiers(self):
        """A server whose old blocks move there: writes, late data, deletes, kill -9, verify: tests/server/tier_test.py."""
        silex = os.path.join(os.path.dirname(os.path.dirname(BUILD)), "silex")
        result = self.run_program(sys.executable, os.path.join(ROOT, "tests/server/tier_test.py"), silex, "Tiers.test_life", SLX_TIER_URL=self.url())
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_bucket_gone(self):
        for verb in (("put", "a", 1), ("get", "a", 0, 2), ("size", "a"), ("list",), ("remove", "a")):
            self.assertIn("has no bucket nosuch: create it", self.do(*verb, url=self.url("nosuch"), status="unavailable"))

    def test_wrong_keys(self):
        if not self.kind.checks_signatures:
            self.skipTest("this server does not check signatures")
        for verb in (("put", "a", 1), ("get", "a", 0, 2), ("list",)):
            self.assertIn("AWS_SECRET_ACCESS_KEY", self.do(*verb, status="permission denied", AWS_SECRET_ACCESS_KEY="wrong"))
        self.do("list", status="permission denied", AWS_ACCESS_KEY_ID="nobody")


if __name__ == "__main__":
    Real.kind = {"s3rver": S3rver, "swift": Swift}[sys.argv.pop(1)]
    unittest.main(verbosity=2)
