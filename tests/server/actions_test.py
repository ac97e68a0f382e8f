"""What follows when a threshold is crossed in live data: the real Alertmanager, webhooks, the stream, commands; and outages of each."""
import hashlib
import hmac
import json
import os
import signal
import subprocess
import time
import unittest
import urllib.parse

import small_yaml
from json_schema import Checker
from receivers import ALERTMANAGER, Alertmanager, Receiver, until
from silex_server import ROOT, SILEX, Server
from websocket import WebSocket

JSON = {"Content-Type": "application/json"}
with open(os.path.join(ROOT, "docs/openapi.yaml"), encoding="utf-8") as f:
    CHECKER = Checker(small_yaml.load(f.read()))


class Actions(unittest.TestCase):
    def start(self, config, start=True):
        self.server = Server()
        path = os.path.join(self.server.dir, "silex.yml")
        with open(path, "w") as f:
            f.write(config)
        self.server.words += ["--config", path]
        self.addCleanup(self.server.__exit__)
        if start:
            self.server.start()

    def receiver(self, port=0):
        r = Receiver(port)
        self.addCleanup(r.stop)
        return r

    def api(self, method, path, body=None, status=200):
        answer = self.server.request(method, "/api/silex/v1/" + path, None if body is None else json.dumps(body), JSON)
        self.assertEqual(answer.status, status, answer.body)
        return answer.json()

    def rule(self, **members):
        body = {"name": "Tachycardia", "selector": "hr", "condition": ">", "limit": 120, "labels": {"severity": "page"},
                "annotations": {"summary": "heart rate high"}, **members}
        answer = self.server.request("POST", "/api/silex/v1/rules", json.dumps(body), JSON)
        self.assertIn(answer.status, (200, 201), answer.body)

    def write(self, bed, value):
        self.server.write_text(f'hr{{bed="{bed}"}} {value}\n')

    def follow(self):
        ws = WebSocket(self.server.port, "/api/silex/v1/stream")
        self.addCleanup(ws.close)
        ws.send({"id": 1, "type": "alerts"})
        self.assertEqual(ws.receive()["type"], "alerts")
        return ws

    def metric(self, name, receiver):
        for line in self.server.get("/metrics").body.decode().splitlines():
            if line.startswith(f"silex_notifications_{name}{{") and f'receiver="{receiver}"' in line:
                return float(line.split()[-1])
        return None

    @unittest.skipUnless(ALERTMANAGER, "prometheus-alertmanager is not installed")
    def test_everybody_is_told(self):
        am, hook = Alertmanager().start(), self.receiver()
        self.addCleanup(am.stop)
        self.start(f"""
global: {{external_labels: {{site: north}}}}
http: {{external_url: "https://silex.example/base"}}
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{am.port}"]}}]}}]}}
notify: {{webhooks: [{{name: pager, url: "{hook.url}/hook", secret: s3cret}}]}}
""")
        self.rule()
        ws = self.follow()
        self.write("1", 100)
        self.write("1", 131)
        event = ws.receive()["event"]
        self.assertEqual((event["type"], event["from"], event["alert"]["value"]), ("firing", "inactive", "131"))
        until(lambda: hook.got, what="the webhook")
        _, path, headers, body = hook.got[0]
        told = json.loads(body)
        self.assertEqual((path, told["id"], told["alert"]["labels"]), ("/hook", event["id"], {"alertname": "Tachycardia", "bed": "1", "severity": "page"}))
        self.assertEqual(headers["X-Silex-Event-Id"], event["id"])
        self.assertLess(told["age_seconds"], 10)
        signature = hmac.new(b"s3cret", headers["X-Silex-Timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
        self.assertEqual(headers["X-Silex-Signature"], "sha256=" + signature)
        alert = until(lambda: am.alerts().get(("Tachycardia", "1")), what="Alertmanager")
        self.assertEqual(alert["labels"], {"alertname": "Tachycardia", "bed": "1", "severity": "page", "site": "north"})
        self.assertEqual(alert["annotations"], {"summary": "heart rate high"})
        link = alert["generatorURL"]
        self.assertTrue(link.startswith("https://silex.example/base/#/explore?"), link)
        self.assertEqual(urllib.parse.parse_qs(link.split("?", 1)[1])["q"], ["hr > 120"])
        self.write("1", 90)
        self.assertEqual(ws.receive()["event"]["type"], "resolved")
        until(lambda: not am.alerts(), what="Alertmanager knows that it ended")
        until(lambda: len(hook.got) == 2)
        self.assertIn("alert resolved", self.server.text_of_log())
        until(lambda: self.metric("sent_total", "pager") == 2)

    @unittest.skipUnless(ALERTMANAGER, "prometheus-alertmanager is not installed")
    def test_alertmanager_is_killed_and_gets_the_current_state(self):
        am = Alertmanager().start()
        self.addCleanup(am.stop)
        self.start(f"""
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{am.port}"]}}]}}]}}
notify: {{resend_interval: 1s}}
""")
        self.rule()
        self.write("1", 130)
        until(lambda: ("Tachycardia", "1") in am.alerts())
        am.kill()
        for value in (131, 80, 132, 80):  # comes and goes meanwhile
            self.write("2", value)
        self.write("3", 140)
        time.sleep(1.5)
        am.start()
        until(lambda: {b for _, b in am.alerts()} == {"1", "3"}, what="the current state")
        ends = am.alerts()[("Tachycardia", "1")]["endsAt"]
        until(lambda: am.alerts()[("Tachycardia", "1")]["endsAt"] > ends, what="it is told again")

    def test_no_event_is_lost_when_the_server_is_killed(self):
        hook = self.receiver()
        hook.status = 500
        self.start(f'notify: {{webhooks: [{{name: pager, url: "{hook.url}/"}}]}}')
        self.rule()
        for bed in range(20):
            self.write(bed, 130)
            self.write(bed, 90)
            if bed % 7 == 3:
                self.server.stop(signal.SIGKILL)
                self.server.start()
        self.server.stop(signal.SIGKILL)
        hook.status = 200
        self.server.start()
        until(lambda: len({e["id"] for e in hook.events()}) == 40, 60, "all events")
        for bed in range(20):
            mine = [e["type"] for e in hook.events() if e["alert"]["labels"]["bed"] == str(bed)]
            self.assertEqual(mine, ["firing", "resolved"])
        until(lambda: self.metric("waiting", "pager") == 0)
        self.server.stop()
        self.server.start()
        self.write("last", 130)
        until(lambda: hook.events()[-1]["alert"]["labels"]["bed"] == "last")
        self.assertEqual(len(hook.got), 41)

    def test_silence_and_acknowledge(self):
        hook = self.receiver()
        self.start(f'notify: {{webhooks: [{{name: pager, url: "{hook.url}/"}}]}}')
        self.rule()
        ws = self.follow()
        silence = self.api("POST", "silences", {"match": '{bed="1"}', "author": "nurse", "comment": "being moved", "duration": "1h"})["id"]
        self.assertEqual(ws.receive()["type"], "alerts")
        self.write("1", 130)
        self.write("2", 130)
        until(lambda: len(hook.got) == 1)
        self.assertEqual(hook.events()[0]["alert"]["labels"]["bed"], "2")
        shown = {a["labels"]["bed"]: a for a in self.api("GET", "alerts")["alerts"]}
        self.assertEqual((shown["1"]["silenced"]["by"], shown["1"]["silenced"]["id"], shown["2"]["silenced"]), ("nurse", silence, None))
        self.api("POST", f"alerts/{shown['2']['fingerprint']}/acknowledge", {"author": "doctor"})
        self.server.stop(signal.SIGKILL)
        self.server.start()
        shown = {a["labels"]["bed"]: a for a in self.api("POST", "alerts", {"selector": '{bed=~"1|2"}', "state": "firing"})["alerts"]}
        self.assertEqual((shown["1"]["silenced"]["by"], shown["2"]["acknowledged"]), ("nurse", {"by": "doctor", "until": None}))
        self.api("DELETE", f"silences/{silence}")
        until(lambda: [e["alert"]["labels"]["bed"] for e in hook.events()] == ["2", "1"], what="the silence has ended")
        self.api("DELETE", f"silences/{silence}", status=404)
        self.api("DELETE", f"alerts/{shown['2']['fingerprint']}/acknowledge")
        self.write("2", 80)
        until(lambda: len(hook.got) == 3)
        history = self.api("GET", "alerts/history?selector=%7Bbed%3D%222%22%7D")
        self.assertEqual([e["type"] for e in history["events"]], ["resolved", "firing"])
        self.api("POST", "silences", {"match": '{bed="1"}', "author": "nurse", "duration": "1h"})
        alerts, silences = self.api("GET", "alerts?state=all"), self.api("GET", "silences?state=all")
        self.assertEqual((len(alerts["alerts"]), len(silences["silences"])), (2, 2))
        for answer, schema in ((alerts, "Alerts"), (history, "AlertEvents"), (silences, "Silences")):
            self.assertEqual(CHECKER.faults(answer, {"$ref": f"#/components/schemas/{schema}"}), [])

    def test_a_command_only_by_the_configuration_file(self):
        self.start("""
notify:
  commands:
    - {name: note, command: [/bin/sh, -c, "read -r line; echo got $line; echo warned >&2"]}
    - {name: slow, command: [/bin/sleep, "60"], timeout: 300ms}
""")
        self.rule()
        self.write("1", 130)
        until(lambda: self.metric("sent_total", "note") == 1 and self.metric("failed_total", "slow") == 1)
        log = self.server.text_of_log()
        self.assertIn("warned", log)
        self.assertIn("took too long and was killed", log)
        bad = subprocess.run([SILEX, "serve", "--set", "notify=x", "--check-config"], capture_output=True, text=True, timeout=20)
        self.assertNotEqual(bad.returncode, 0)

    def test_rules_of_files_are_told_too(self):
        hook = self.receiver()
        self.start(f'notify: {{webhooks: [{{name: pager, url: "{hook.url}/"}}]}}\nrule_files: [rules.yml]\n', start=False)
        with open(os.path.join(self.server.dir, "rules.yml"), "w") as f:
            f.write("""
groups:
  - name: ward
    interval: 1s
    rules:
      - alert: Tachycardia
        expr: hr > 120
        labels: {severity: page}
        annotations: {summary: "bed {{ $labels.bed }}: {{ $value }}"}
""")
        self.server.start()
        self.write("1", 130)
        until(lambda: hook.got)
        event = hook.events()[0]
        self.assertEqual((event["type"], event["alert"]["annotations"], event["alert"]["labels"]["severity"]), ("firing", {"summary": "bed 1: 130"}, "page"))
        self.assertEqual(urllib.parse.parse_qs(event["generator_url"].split("?", 1)[1])["q"], ["hr > 120"])
        self.write("1", 80)
        until(lambda: len(hook.got) == 2)
        self.assertEqual(hook.events()[1]["type"], "resolved")

    def test_bad_configuration_names_file_and_line(self):
        with Server() as s:
            path = os.path.join(s.dir, "bad.yml")
            with open(path, "w") as f:
                f.write("notify:\n  webhooks:\n    - name: a\n      urll: http://x\n")
            bad = subprocess.run([SILEX, "serve", "--config", path, "--check-config"], capture_output=True, text=True, timeout=20)
            self.assertNotEqual(bad.returncode, 0)
            self.assertIn(f'{path}:4: unknown key "urll" in webhooks; did you mean "url"?', bad.stderr)

    def test_reload(self):
        one, two = self.receiver(), self.receiver()
        self.start(f'notify: {{webhooks: [{{name: a, url: "{one.url}/"}}]}}')
        self.rule()
        self.write("1", 130)
        until(lambda: len(one.got) == 1)
        with open(self.server.words[-1], "w") as f:
            f.write(f'notify: {{webhooks: [{{name: b, url: "{two.url}/"}}]}}')
        self.server.process.send_signal(signal.SIGHUP)
        until(lambda: "configuration loaded" in self.server.text_of_log())
        until(lambda: self.metric("waiting", "b") is not None)
        self.write("2", 130)
        until(lambda: len(two.got) == 1)
        self.assertEqual((len(one.got), two.events()[0]["alert"]["labels"]["bed"]), (1, "2"))


if __name__ == "__main__":
    unittest.main()
