"""Rule files in the server: recording and alerting on an interval, ALERTS, lists and their filters, reload and kill keep state,
a bad file changes nothing, a second tenant, late samples, backfill, metrics."""
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from silex_server import SILEX, Server  # noqa: E402

RULES = """
groups:
- name: load
  interval: 1s
  rules:
  - record: job:load:max
    expr: max by (job) (load)
    labels: {kind: max}
  - alert: Loaded
    expr: job:load:max > 5
    labels: {severity: page}
    annotations: {summary: "{{ $labels.job }} at {{ $value | humanize }}", query: '{{ with query "sum(load)" }}{{ . | first | value }}{{ end }}'}
  - alert: Waits
    expr: load > 5
    for: 1h
    keep_firing_for: 5m
  - record: broken
    expr: load * on (job) group_left () load
"""


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got or time.monotonic() > end:
            return got
        time.sleep(0.05)


class Rules(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.rules = os.path.join(self.dir.name, "load.yml")
        self.config = os.path.join(self.dir.name, "silex.yml")
        self.write(self.rules, RULES)
        self.write(self.config, "global: {evaluation_interval: 1s, external_labels: {site: north}}\nrule_files: ['*load.yml']\n"
                   "rules: {tenants: {other: [other.yml]}}\n")
        self.write(os.path.join(self.dir.name, "other.yml"), "groups: [{name: o, rules: [{record: two, expr: '2'}]}]")

    def tearDown(self):
        self.dir.cleanup()

    def write(self, path, text):
        with open(path, "w") as f:
            f.write(text)

    def server(self):
        return Server("--config", self.config, "--enable-lifecycle")

    def feed(self, s, value):
        s.write_text(f'load{{job="a",host="1"}} {value}\nload{{job="a",host="2"}} 1\n')

    def value(self, s, query, tenant=None):
        r = s.get("/api/v1/query", query=query, headers={"X-Scope-OrgID": tenant} if tenant else None).data()["result"]
        return r[0]["value"][1] if r else None

    def alerts(self, s):
        return {a["labels"]["alertname"]: a for a in s.get("/api/v1/alerts").data()["alerts"]}

    def test_life(self):
        with self.server() as s:
            self.feed(s, 7)
            self.assertEqual(wait_for(lambda: self.value(s, 'job:load:max{kind="max"}')), "7")
            alerts = wait_for(lambda: len(self.alerts(s)) == 2 and self.alerts(s))
            loaded, waits = alerts["Loaded"], alerts["Waits"]
            self.assertEqual(loaded["state"], "firing")
            self.assertEqual(loaded["labels"], {"alertname": "Loaded", "job": "a", "kind": "max", "severity": "page"})
            self.assertEqual(loaded["annotations"], {"summary": "a at 7", "query": "8"})
            self.assertEqual(loaded["value"], "7e+00")
            self.assertEqual(waits["state"], "pending")
            self.assertEqual(wait_for(lambda: self.value(s, 'ALERTS{alertname="Loaded",alertstate="firing",severity="page"}')), "1")
            since = float(self.value(s, 'ALERTS_FOR_STATE{alertname="Waits"}'))
            self.assertLess(abs(since - time.time()), 20)
            self.assertEqual(wait_for(lambda: self.value(s, "two", "other")), "2")
            self.assertIsNone(self.value(s, "two"))
            self.lists(s)
            self.metrics(s)

            # what was pending since then is pending since then: after a reload that edits the file, and after kill -9
            at = waits["activeAt"]
            self.write(self.rules, RULES.replace("for: 1h", "for: 2h").replace("{kind: max}", "{kind: max, more: x}"))
            self.assertEqual(s.request("POST", "/-/reload").status, 200)
            wait_for(lambda: self.value(s, 'job:load:max{more="x"}'))
            self.assertEqual(self.alerts(s)["Waits"]["activeAt"], at)
            self.assertTrue(wait_for(lambda: self.value(s, 'job:load:max{more=""}') is None))  # the old series is stale
            s.stop(signal.SIGKILL)
            s.start()
            self.assertEqual(wait_for(lambda: self.alerts(s).get("Waits"))["activeAt"], at)
            self.assertEqual(self.alerts(s)["Loaded"]["state"], "firing")

            # it ends; stale at once
            self.feed(s, 2)
            self.assertTrue(wait_for(lambda: not self.alerts(s)))
            left = wait_for(lambda: not s.get("/api/v1/query", query="ALERTS").data()["result"])
            self.assertTrue(left, s.get("/api/v1/query", query="ALERTS").data())

    def lists(self, s):
        groups = s.get("/api/v1/rules").data()["groups"]
        self.assertEqual([g["name"] for g in groups], ["load"])
        g = groups[0]
        self.assertEqual((g["file"], g["interval"], g["limit"]), (self.rules, 1, 0))
        self.assertGreater(g["evaluationTime"], 0)
        record, loaded, waits, broken = g["rules"]
        self.assertEqual((record["type"], record["name"], record["query"], record["health"]), ("recording", "job:load:max", "max by (job) (load)", "ok"))
        self.assertEqual((loaded["type"], loaded["state"], loaded["duration"], len(loaded["alerts"])), ("alerting", "firing", 0, 1))
        self.assertEqual((waits["state"], waits["duration"], waits["keepFiringFor"]), ("pending", 3600, 300))
        self.assertEqual(broken["health"], "err")
        self.assertIn("many-to-many", broken["lastError"])

        def names(**params):
            return [r["name"] for g in s.get("/api/v1/rules", **params).data()["groups"] for r in g["rules"]]
        self.assertEqual(names(type="alert"), ["Loaded", "Waits"])
        self.assertEqual(names(type="record"), ["job:load:max", "broken"])
        self.assertEqual(names(**{"rule_name[]": "Waits"}), ["Waits"])
        self.assertEqual(names(**{"rule_group[]": "none"}), [])
        self.assertEqual(names(**{"file[]": self.rules, "match[]": '{severity="page"}'}), ["Loaded"])
        self.assertEqual(s.get("/api/v1/rules", exclude_alerts="true").data()["groups"][0]["rules"][1]["alerts"], [])
        self.assertEqual(s.get("/api/v1/rules", type="x").status, 400)

    def metrics(self, s):
        text = s.get("/metrics").body.decode()
        for name in ("silex_rule_groups 2", "silex_rule_group_rules 5", "silex_rules_failing 1", 'silex_alerts{state="firing"} 1'):
            self.assertIn(name, text)

    def test_bad_file(self):
        with self.server() as s:
            self.feed(s, 7)
            self.assertTrue(wait_for(lambda: self.value(s, "job:load:max")))
            self.write(self.rules, RULES.replace("max by (job) (load)", "max by (job (load)"))
            r = s.request("POST", "/-/reload")
            self.assertEqual(r.status, 500)
            self.assertIn(b"load.yml:7:11: could not parse expression: 1:13: parse error", r.body)
            self.assertEqual(len(s.get("/api/v1/rules").data()["groups"][0]["rules"]), 4)
            self.feed(s, 9)
            self.assertTrue(wait_for(lambda: self.value(s, "job:load:max") == "9"))
            s.stop()
            s.start(wait=False)
            self.assertEqual(s.process.wait(20), 2)
            self.assertIn("load.yml:7:11", s.text_of_log())
            s.process = None

    def test_late_samples(self):
        """What comes after its time is in the recorded series as if it had come in time."""
        self.write(self.rules, "groups: [{name: g, interval: 1s, rules: [{record: sum2, expr: 'sum(sum_over_time(load[2s]))'}, {alert: High, expr: sum2 > 5}]}]")
        with self.server() as s:
            self.assertTrue(wait_for(lambda: s.get("/api/v1/rules").data()["groups"][0]["rules"][0]["evaluationTime"] > 0))
            time.sleep(9)
            at = int(time.time()) - 7
            s.write_text(f"load 7 {at * 1000}\n")

            def recorded():
                r = s.get("/api/v1/query_range", query="sum2", start=at - 3, end=at + 1.9, step=0.1).data()["result"]
                return r and r[0]["values"]
            self.assertEqual({v for _, v in wait_for(recorded)}, {"7"})
            self.assertEqual(self.alerts(s), {})
            self.assertIn("silex_rule_group_corrections_total 1", s.get("/metrics").body.decode())

    def silex(self, *words):
        return subprocess.run([SILEX, *words], capture_output=True, text=True, timeout=60)

    def test_backfill(self):
        path = os.path.join(self.dir.name, "past.yml")
        self.write(path, "groups: [{name: g, interval: 1m, rules: [{record: twice, expr: load * 2}, {record: four, expr: twice * 2}, {alert: A, expr: load > 0}]}]")
        with self.server() as s:
            s.write_text("".join(f"load {i} {1700000000000 + i * 60000}\n" for i in range(2000)))
            r = self.silex("rules", "backfill", path, "--from", "2023-11-14T22:13:20Z", "--to", "2023-11-16T07:32:20Z", "--url", s.url)
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertRegex(r.stdout, r"^(4,00\d|3,99\d) samples\n$")
            at = 1700000000 + 1500 * 60 + 59
            self.assertEqual(s.get("/api/v1/query", query="four == 4 * load", time=at).data()["result"][0]["metric"]["__name__"], "four")
            self.assertEqual(s.get("/api/v1/query", query="ALERTS{alertname='A'}", time=at).data()["result"], [])
            self.write(path, "groups: [{name: g, rules: [{record: twice, expr: load *}]}]")
            r = self.silex("rules", "backfill", path, "--from", "now-1h", "--to", "now", "--url", s.url)
            self.assertEqual(r.returncode, 1)
            self.assertIn("past.yml:1:", r.stderr)
        data = os.path.join(self.dir.name, "data")
        self.write(path, "groups: [{name: g, rules: [{record: one, expr: vector(1)}]}]")
        self.write(os.path.join(self.dir.name, "other.txt"), "load 1 1700000000000\n")
        self.assertEqual(self.silex("import", "--data", data, "--format", "prom", os.path.join(self.dir.name, "other.txt")).returncode, 0)
        r = self.silex("rules", "backfill", path, "--from", "2023-11-14T22:00:00Z", "--to", "2023-11-14T22:59:59Z", "--data", data)
        self.assertEqual((r.returncode, r.stdout), (0, "60 samples\n"), r.stderr)

    def test_rule_goes(self):
        with self.server() as s:
            self.feed(s, 7)
            self.assertTrue(wait_for(lambda: len(self.alerts(s)) == 2))
            self.write(self.rules, "groups: []")
            self.assertEqual(s.request("POST", "/-/reload").status, 200)
            self.assertEqual(self.alerts(s), {})
            self.assertIsNone(self.value(s, "job:load:max"))
            self.assertIsNone(self.value(s, "ALERTS"))

    def test_rule_goes_while_down(self):
        with self.server() as s:
            self.feed(s, 7)
            self.assertTrue(wait_for(lambda: len(self.alerts(s)) == 2))
            s.stop(signal.SIGKILL)
            self.write(self.rules, "groups: []")
            s.start()
            self.assertEqual(self.alerts(s), {})


if __name__ == "__main__":
    unittest.main()
