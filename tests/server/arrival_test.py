"""Rules on arrival over HTTP: registered, told, restarted, killed; what came before, or comes by every way in as backfill, pages nobody."""
import json
import signal
import subprocess
import tempfile
import time
import unittest

from silex_server import SILEX, Server, snappy, write_request

RULES = "/api/silex/v1/rules"
JSON = {"Content-Type": "application/json"}


def rule(**more):
    return {"name": "high", "selector": 'hr{bed="4"}', "condition": ">", "limit": 120, **more}


class Rules(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.server.start()
        self.addCleanup(self.server.__exit__)

    def post(self, path, body, headers=None):
        return self.server.request("POST", path, body if isinstance(body, (str, bytes)) else json.dumps(body), {**JSON, **(headers or {})})

    def register(self, **more):
        answer = self.post(RULES, rule(**more))
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()["id"]

    def write(self, value, t=None, query="", **labels):
        row = {"metric": "hr", "labels": {"bed": "4", **labels}, "value": value, "unit": "ns", "time": t if t is not None else time.time_ns()}
        answer = self.post("/api/silex/v1/insert" + query, row)
        self.assertEqual(answer.status, 200, answer.body)

    def alerts(self, state="active"):
        return self.server.get(f"/api/silex/v1/alerts?state={state}").json()["alerts"]

    def wait_alerts(self, n, state="active"):
        for _ in range(400):
            found = self.alerts(state)
            if len(found) == n:
                return found
            time.sleep(0.025)
        self.fail(f"{len(found)} alerts, {n} expected: {found}\n{self.server.text_of_log()}")

    def one(self, rule_id):
        return self.server.get(f"{RULES}/{rule_id}").json()

    def test_fires_and_ends(self):
        number = self.register(labels={"severity": "page"}, annotations={"summary": "look at bed 4"}, leave=110)
        self.write(100)
        self.write(125)
        alert = self.wait_alerts(1)[0]
        self.assertEqual(alert["labels"], {"alertname": "high", "bed": "4", "severity": "page"})
        self.assertEqual(alert["annotations"], {"summary": "look at bed 4"})
        self.write(115)
        self.assertEqual(self.one(number)["firing"], 1)
        self.write(110)
        self.wait_alerts(0)
        self.assertEqual(self.one(number)["text"], 'hr{bed="4"} > 120 until <= 110')

    def test_restart_and_kill(self):
        number = self.register()
        self.write(130)
        self.wait_alerts(1)
        self.server.stop(signal.SIGKILL)
        self.server.start()
        self.wait_alerts(1)
        self.assertEqual(self.one(number)["firing"], 1)
        self.write(1)
        self.wait_alerts(0)
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        self.assertEqual([r["id"] for r in self.server.get(RULES).json()["rules"]], [number])
        self.write(140)
        self.wait_alerts(1)
        self.assertEqual(self.server.request("DELETE", f"{RULES}/{number}").status, 200)
        self.wait_alerts(0)
        self.assertEqual(self.server.request("DELETE", f"{RULES}/{number}").status, 404)

    def test_the_past_pages_nobody(self):
        """A year by the native API, and now by every way in with backfill=1."""
        number = self.register(selector='{bed="4"}')
        now = time.time_ns()
        year = [now - i * 3600 * 10**9 for i in range(1, 366 * 24)]
        answer = self.post("/api/silex/v1/batch", {"unit": "ns", "series": [{"metric": "hr", "labels": {"bed": "4"}, "times": year, "values": [200] * len(year)}]})
        self.assertEqual(answer.status, 200, answer.body)
        self.write(200, query="?backfill=1")
        ms, s = now // 10**6, now // 10**9
        ways = [
            ("/write?backfill=1", f"hr,bed=4 value=200 {now}", "text/plain"),
            ("/api/v2/write?bucket=b&backfill=1", f"hr,bed=4 value=200 {now}", "text/plain"),
            ("/api/v1/import/prometheus?backfill=1", f'hr{{bed="4"}} 200 {ms}\n', "text/plain"),
            ("/api/v1/import?backfill=1", json.dumps({"metric": {"__name__": "hr", "bed": "4"}, "values": [200], "timestamps": [ms]}), "application/json"),
            ("/api/v1/import/csv?labels=bed&backfill=1", f"time,bed,hr\n{s},4,200\n", "text/csv"),
            ("/v1/metrics?backfill=1", json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "hr", "gauge": {"dataPoints": [
                {"asDouble": 200, "timeUnixNano": str(now), "attributes": [{"key": "bed", "value": {"stringValue": "4"}}]}]}}]}]}]}), "application/json"),
        ]
        for path, body, kind in ways:
            answer = self.server.request("POST", path, body, {"Content-Type": kind})
            self.assertLess(answer.status, 300, (path, answer.body))
        body = snappy(write_request([{"labels": {"__name__": "hr", "bed": "4"}, "samples": [(ms, 200.0)]}]))
        answer = self.server.request("POST", "/api/v1/write?backfill=1", body, {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})
        self.assertLess(answer.status, 300, answer.body)
        answer = self.server.request("POST", "/write?backfill=perhaps", f"hr,bed=4 value=200 {now}")
        self.assertEqual(answer.status, 400)
        self.assertIn(b"backfill", answer.body)
        self.assertEqual(self.alerts(), [])
        told = self.one(number)
        self.assertEqual((told["samples"], told["firing"]), (0, 0))
        self.assertGreaterEqual(told["ignored"], len(year) + 1 + len(ways) + 1)
        self.write(200)
        self.wait_alerts(1)

    def test_import_of_the_past_by_command(self):
        number = self.register()
        lines = "".join(f"hr,bed=4 value=200 {time.time_ns() + i}\n" for i in range(10))
        done = subprocess.run([SILEX, "import", "--url", self.server.url, "--backfill", "-f", "line", "-"], input=lines, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.alerts(), [])
        self.assertEqual(self.one(number)["ignored"], 10)

    def silex(self, *words, where=None):
        return subprocess.run([SILEX, "rules", *words, *(where or ("--url", self.server.url))], capture_output=True, text=True)

    def test_by_command(self):
        with tempfile.TemporaryDirectory() as data:
            for where in (None, ("--data", data)):
                added = self.silex("add", "fridge", 'temperature{room="1"}', "outside", "2", "8", "--leave", "3", "--on", "10s", "--missing", "fire",
                                   "--missing-after", "5m", "--rule-label", "severity=page", where=where)
                self.assertEqual((added.returncode, added.stdout), (0, "rule 1\n"), added.stderr)
                listed = self.silex("list", "--format", "jsonl", where=where)
                self.assertEqual(json.loads(listed.stdout), {
                    "id": 1, "name": "fridge", "series": 0, "pending": 0, "firing": 0, "late": 0, "ignored": 0, "refused": 0,
                    "rule": 'temperature{room="1"} outside 2 to 8 until inside 3 to 8, on after 10s, fires without samples for 5m'})
                for words, said in [(("add", "x", "hr{a=1}", ">", "1"), "column 6"), (("add", "x", "hr", "over", "1"), "expected > >="),
                                    (("add", "x", "hr", ">", "much"), "expected a number"), (("remove", "7"), "no rule 7"), (("remove", "x"), "the ID"),
                                    (("add", "x", "hr", ">", "1", "--leave", "2"), "not above limit")]:
                    bad = self.silex(*words, where=where)
                    self.assertNotEqual(bad.returncode, 0)
                    self.assertIn(said, bad.stderr)
                self.assertEqual(self.silex("remove", "1", where=where).returncode, 0)
                self.assertEqual(self.silex("list", "--format", "json", where=where).stdout.strip(), "[]")

    def test_silence_is_noticed(self):
        self.register(missing="fire", missing_after="1s", selector="hr")
        self.write(100)
        self.wait_alerts(1)
        self.write(100)
        self.wait_alerts(0)

    def test_bad_rules_are_refused_by_name(self):
        for i in range(20):
            self.write(1, bed=str(i))
        for more, field, words in [
            ({"selector": 'hr{bed=4}'}, "selector", "column 8"),
            ({"selector": None}, "selector", "selector"),
            ({"condition": "near"}, "condition", "one of"),
            ({"condition": None}, "condition", "one of"),
            ({"limit": None}, "limit", "a number"),
            ({"limit": "120"}, "limit", "a number"),
            ({"leave": 130}, "leave", "not above limit"),
            ({"condition": "outside"}, "limit", "low and high"),
            ({"window": "1m"}, "window", "no window"),
            ({"input": "avg"}, "window", "a window"),
            ({"delay_on": "long"}, "delay_on", "a duration"),
            ({"missing": "fire"}, "missing_after", "a duration"),
            ({"labels": {"a": 1}}, "labels", "a string"),
            ({"labels": {"": "x"}}, "labels", "name"),
            ({"series_max": 5, "selector": "hr"}, "selector", "selects 20 series"),
            ({"colour": "blue"}, "colour", "one of"),
        ]:
            with self.subTest(more=more):
                body = {k: v for k, v in rule(**more).items() if v is not None}
                answer = self.post(RULES, body)
                self.assertEqual(answer.status, 400, answer.body)
                self.assertEqual(answer.json()["field"], field, answer.body)
                self.assertIn(words, answer.json()["detail"])
        answer = self.post(RULES, '{"name": "x", "selector" }')
        self.assertEqual(answer.status, 400)
        self.assertIn("byte", answer.json()["detail"])
        self.assertEqual(self.server.get(RULES).json()["rules"], [])
        self.assertEqual(self.server.get(f"{RULES}/x").status, 400)
        self.assertEqual(self.server.get(f"{RULES}/9").status, 404)

    def test_in_promql(self):
        """The same call takes rules of rule files; they are evaluated, survive a kill, and go."""
        alert = self.post(RULES, {"name": "hot", "expr": 'temperature > 30', "interval": "1s", "labels": {"severity": "page"},
                                  "annotations": {"summary": "{{ $labels.room }} has {{ $value }}"}})
        self.assertEqual(alert.status, 200, alert.body)
        number = alert.json()["id"]
        record = self.post(RULES, {"record": "rooms:temperature:max", "expr": "max(temperature)", "interval": "1s"}).json()["id"]
        self.assertEqual(self.register(), record + 1)  # one sequence of numbers
        self.post("/api/silex/v1/insert", {"metric": "temperature", "labels": {"room": "1"}, "value": 35})
        found = self.wait_alerts(1)[0]
        self.assertEqual((found["labels"], found["annotations"]), ({"alertname": "hot", "room": "1", "severity": "page"}, {"summary": "1 has 35"}))
        self.server.stop(signal.SIGKILL)
        self.server.start()
        self.wait_alerts(1)
        listed = self.server.get(RULES).json()["promql"]
        self.assertEqual([x["id"] for x in listed], [number, record])
        self.assertEqual(listed[0]["group"]["rules"][0]["expr"], "temperature > 30")
        self.assertEqual(self.one(record), listed[1])
        files = {g["file"] for g in self.server.get("/api/v1/rules").data()["groups"]}
        self.assertEqual(files, {f"rules/{number}", f"rules/{record}"})
        for _ in range(400):
            answer = self.server.get("/api/v1/query", query="rooms:temperature:max").data()["result"]
            if answer:
                break
            time.sleep(0.025)
        self.assertEqual(answer[0]["value"][1], "35")
        for i in (number, record):
            self.assertEqual(self.server.request("DELETE", f"{RULES}/{i}").status, 200)
        self.wait_alerts(0)
        for body, field, words in [({"name": "x", "expr": "up =="}, "expr", "parse error"), ({"expr": "up"}, "name", "record"),
                                   ({"name": "x", "expr": "up", "limit": 3}, "limit", "together with expr"), (rule(**{"for": "1m"}), "for", "together with expr")]:
            answer = self.post(RULES, body)
            self.assertEqual((answer.status, answer.json().get("field")), (400, field), answer.body)
            self.assertIn(words, answer.json()["detail"])
        answer = self.post(RULES, {"name": "x", "expr": "up", "annotations": {"a": "{{ nothing 1 }}"}})
        self.assertEqual(answer.status, 400, answer.body)

    def test_tenants_are_apart(self):
        number = self.register()
        other = {"X-Scope-OrgID": "other"}
        self.assertEqual(self.server.request("GET", RULES, None, other).json()["rules"], [])
        self.assertEqual(self.server.request("DELETE", f"{RULES}/{number}", None, other).status, 404)
        self.post("/api/silex/v1/insert", {"metric": "hr", "labels": {"bed": "4"}, "value": 200}, other)
        self.assertEqual(self.one(number)["samples"], 0)


if __name__ == "__main__":
    unittest.main()
