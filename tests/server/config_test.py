#!/usr/bin/env python3
"""Configuration: where values come from, what is said of bad ones, reloading."""
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest

from silex_server import ROOT, SILEX, Server


class Checks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = folder.name

    def serve(self, *words, text=None, env=None):
        """(exit status, stdout, stderr) of a `silex serve` that ends by itself."""
        words = list(words)
        if text is not None:
            path = os.path.join(self.dir, "silex.yml")
            with open(path, "w") as f:
                f.write(text)
            words += ["--config", path]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SILEX_")}
        p = subprocess.run([SILEX, "serve", *words], capture_output=True, text=True, timeout=20, env={**clean, **(env or {})})
        return p.returncode, p.stdout, p.stderr

    def bad(self, text, *expected):
        status, _, err = self.serve("--check-config", text=text)
        self.assertEqual(status, 2, err)
        for e in expected:
            self.assertIn(e, err)

    def value(self, key, **how):
        status, out, err = self.serve("--print-config", *how.pop("words", ()), **how)
        self.assertEqual(status, 0, err)
        section, _, name = key.rpartition(".")
        inside = not section
        for line in out.splitlines():
            if section and not line.startswith(" "):
                inside = line == section + ":"
            m = re.match(r"\s*([a-z_]+): (.*)$", line)
            if inside and m and m[1] == name and line.startswith(" ") == bool(section):
                return json.loads(m[2]) if m[2].startswith('"') else m[2]
        return None

    def test_good(self):
        status, out, _ = self.serve("--check-config", text="data: /x\nhttp:\n  route_prefix: /silex\n")
        self.assertEqual((status, out.startswith("the configuration is good")), (0, True))
        self.assertEqual(self.serve("--check-config")[0], 0)
        self.assertEqual(self.serve("--check-config", text="")[0], 0)
        self.assertEqual(self.serve("--check-config", text="# nothing\n---\n")[0], 0)

    def test_unknown_keys(self):
        self.bad("data: x\nhttp:\n  rout_prefix: /x\n", "silex.yml:3", 'unknown key "http.rout_prefix"', 'did you mean "http.route_prefix"')
        self.bad("\n\nlisen: :1\n", "silex.yml:3", 'did you mean "listen"')
        self.bad("storage:\n  lookback: 5m\n", "silex.yml:2", 'did you mean "promql.lookback"')
        self.bad("qqqqqqqqqqqqqqqqqqq: 1\n", "silex.yml:1", "unknown key")

    def test_bad_values(self):
        self.bad("storage:\n  sync: sometimes\n", "silex.yml:2", "storage.sync", "always interval never")
        self.bad("storage: {memory_limit: lots}\n", "silex.yml:1", "storage.memory_limit", '"lots"')
        self.bad("promql:\n  timeout: 5 parsecs\n", "silex.yml:2", "promql.timeout", "duration")
        self.bad("promql:\n  experimental: maybe\n", "true or false")
        self.bad("http:\n  connections_max: 1\n", "silex.yml:2", "16 to 1000000")
        self.bad("log:\n  level: loud\n", "debug info warn error")
        self.bad("http: {route_prefix: silex}\n", "expected a path like /silex")
        self.bad("http: {external_url: silex}\n", "http:// or https://")
        self.bad("http: {tls_cert: x}\n", "only one of them")
        self.bad("tenants: {default: 'a b'}\n", "tenants.default")
        self.bad("tenants:\n  limits:\n    ward:\n      serie_max: 1\n", "silex.yml:4", 'did you mean "series_max"')
        self.bad("http: 5\n", "expected keys with values")
        self.bad("data: [a]\n", "silex.yml:1", "expected one value")

    def test_stores(self):
        def store(text):
            return "stores:\n  - name: archive\n" + "".join(f"    {line}\n" for line in text.split("|"))
        self.assertEqual(self.serve("--check-config", text=store("url: s3://bucket/x|access_key: a|secret_key: b"))[0], 0)
        self.assertNotIn("topsecret", self.serve("--print-config", text=store("url: /tmp|secret_key: topsecret"))[1])
        self.bad(store("uri: /tmp"), "silex.yml:3", 'did you mean "url"')
        self.bad(store("access_key: a"), "silex.yml:2", "no url")
        self.bad(store("url: s3://bucket?sse=x|access_key: a|secret_key: b"), "silex.yml:2", "store archive: sse=x")
        self.bad(store("url: s3://a:b@bucket"), "silex.yml:2", "keys do not belong into a url")
        self.bad(store("url: ftp://x"), "silex.yml:2", "no kind of store")
        self.bad(store("url: /tmp|secret_key_file: /none/such"), "silex.yml:4", "/none/such")
        self.bad(store("url: /tmp") + "  - {name: archive, url: /}\n", "silex.yml:4", "two stores")
        self.bad("stores: {archive: /tmp}\n", "silex.yml:1", "expected a list")

    def test_bad_yaml(self):
        self.bad("data: x\n\tlisten: y\n", "silex.yml:2")
        self.bad("data: x\ndata: y\n", "silex.yml:2", 'key "data" was given on line 1')
        self.bad("a: &x [1]\nb: *x\n", "anchors")
        self.bad("--- 1\n--- 2\n", "document")
        self.bad("global: " + "[" * 100 + "\n", "silex.yml:1")
        self.bad("- a\n", "expected keys with values")
        status, _, err = self.serve("--check-config", "--config", os.path.join(self.dir, "none.yml"))
        self.assertEqual((status, "none.yml" in err), (2, True))

    def test_who_wins(self):
        text = "promql:\n  lookback: 1m\n"
        self.assertEqual(self.value("promql.lookback"), "5m")
        self.assertEqual(self.value("promql.lookback", text=text), "1m")
        self.assertEqual(self.value("promql.lookback", text=text, env={"SILEX_PROMQL_LOOKBACK": "2m"}), "2m")
        self.assertEqual(self.value("promql.lookback", text=text, env={"SILEX_PROMQL_LOOKBACK": "2m"}, words=["--promql-lookback", "3m"]), "3m")
        self.assertEqual(self.value("promql.lookback", words=["--set", "promql.lookback=4m"]), "4m")
        self.assertEqual(self.value("data", env={"SILEX_DATA": "/from/env"}), "/from/env")
        self.assertEqual(self.value("http.external_url", words=["--external-url", "http://h/x/"]), "http://h/x/")

    def test_where_it_came_from(self):
        status, _, err = self.serve("--check-config", env={"SILEX_STORAGE_SYNC": "now"})
        self.assertEqual((status, "SILEX_STORAGE_SYNC" in err), (2, True), err)
        status, _, err = self.serve("--check-config", "--sync", "now")
        self.assertEqual((status, "--sync" in err), (2, True), err)
        status, _, err = self.serve("--check-config", "--set", "storage.synk=now")
        self.assertEqual((status, 'did you mean "storage.sync"' in err), (2, True), err)

    def test_trees(self):
        text = ("scrape_configs:\n  - job_name: node\n    basic_auth: {username: u, password: hidden}\n    static_configs:\n"
                "      - targets: [\"a:1\", 'b: 2']\n")
        status, out, err = self.serve("--print-config", text=text)
        self.assertEqual(status, 0, err)
        self.assertIn("job_name: node", out)
        self.assertIn('"b: 2"', out)
        self.assertNotIn("hidden", out)
        status, out, err = self.serve("--print-config", env={"SILEX_SCRAPE_CONFIGS": "[{job_name: e}]"})
        self.assertIn("job_name: e", out)

    def test_every_key_is_documented(self):
        with open(os.path.join(ROOT, "docs/configuration.md")) as f:
            doc = f.read()
        status, out, _ = self.serve("--print-keys")
        self.assertEqual(status, 0)
        self.assertGreater(out.count("\n"), 50)
        self.assertTrue(doc.endswith(out), "docs/configuration.md ends with what --print-keys says")


class Reload(unittest.TestCase):
    def write(self, text):
        with open(self.path, "w") as f:
            f.write(text)

    def metric(self):
        for line in self.server.get("/metrics").body.decode().splitlines():
            if line.startswith("silex_config_last_reload_successful "):
                return line.split()[1]

    def until(self, what):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if what():
                return True
            time.sleep(0.02)
        return False

    def test_reload(self):
        with tempfile.TemporaryDirectory() as folder:
            self.path = os.path.join(folder, "silex.yml")
            self.write("promql: {lookback: 1m}\nhttp: {lifecycle: true}\n")
            with Server("--config", self.path) as self.server:
                now = int(time.time())
                self.server.write_text(f"old 1 {(now - 120) * 1000}\n")
                rows = lambda: len(self.server.get("/api/v1/query", query="old", time=now).data()["result"])
                self.assertEqual((self.metric(), rows()), ("1", 0))
                self.write("promql: {lookback: 5m}\nhttp: {lifecycle: true}\n")
                self.server.process.send_signal(signal.SIGHUP)
                self.assertTrue(self.until(lambda: rows() == 1))
                # A bad file keeps the old one.
                self.write("promql: {lookback: 5 lightyears}\n")
                self.server.process.send_signal(signal.SIGHUP)
                self.assertTrue(self.until(lambda: self.metric() == "0"))
                self.assertEqual(rows(), 1)
                r = self.server.request("POST", "/-/reload")
                self.assertEqual((r.status, "silex.yml:1" in r.json()["detail"]), (500, True), r.body)
                # And a good one again, with a key that has to wait.
                self.write("promql: {lookback: 1m}\nhttp: {lifecycle: true}\ngraphite: {listen: ':1'}\n")
                self.assertEqual(self.server.request("POST", "/-/reload").status, 200)
                self.assertEqual((self.metric(), rows()), ("1", 0))
                self.assertIn("graphite.listen", self.server.text_of_log())
                for _ in range(50):
                    self.assertEqual(self.server.request("POST", "/-/reload").status, 200)

    def test_reload_is_off(self):
        with Server() as self.server:
            self.assertEqual(self.server.request("POST", "/-/reload").status, 403)
            self.assertEqual(self.server.request("POST", "/-/quit").status, 403)
            self.assertEqual(self.server.get("/-/reload").status, 405)
            self.assertEqual(self.server.get("/-/ready").status, 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
