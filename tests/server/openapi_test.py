"""docs/openapi.yaml against the server: every path and method answers as described, good and bad requests, and nothing else is there."""
import os
import json
import shutil
import tempfile
import unittest
import urllib.parse

import small_yaml
from json_schema import Checker
from silex_server import ROOT, Server

with open(os.path.join(ROOT, "docs/openapi.yaml"), encoding="utf-8") as f:
    TEXT = f.read()
DOC = small_yaml.load(TEXT)
CHECKER = Checker(DOC)
HR = 'hr{p="1"}'
HR_INFO = {"series": HR}
# operationId -> good requests: parameters or a body
GOOD = {
    "insert": [{"metric": "hr", "labels": {"p": "1"}, "time": "2026-11-21T08:00:00Z", "value": 72}, {"labels": {"__name__": "x"}, "value": None},
               {"metric": "door", "kind": "enum", "time": 1795000000, "unit": "s", "value": "open"}],
    "batch": [{"unit": "ms", "rows": [{"metric": "hr", "labels": {"p": "2"}, "time": 1795000000250, "value": 70.5}, {"metric": "b", "value": True}],
               "series": [{"metric": "n", "kind": "int64", "times": [1, 2], "values": [9007199254740993, None]},
                          {"metric": "f", "times": [1, 2, 3], "values": ["NaN", "+Inf", -1e300]}]}],
    "query": [{"selector": "{}"}, {"selector": "hr", "agg": "mean", "step": "1h", "fill": "null", "times": "s", "order": "desc", "limit": "5"}],
    "queryByBody": [{"selector": ["hr", "door"], "start": 1700000000, "unit": "s", "times": "ns"}, {"selector": "hr", "agg": "p99", "group_by": ["p"]}],
    "latest": [{"selector": "hr"}], "latestByBody": [{"selector": ["{}"], "times": "ms"}],
    "listSeries": [{}, {"selector": "hr", "limit": 1}], "listSeriesByBody": [{"selector": "hr", "start": "2020-01-01T00:00:00Z"}],
    "seriesInfo": [HR_INFO], "seriesInfoByBody": [HR_INFO, {"series": "door"}],
    "labelNames": [{}, {"selector": "hr"}], "labelNamesByBody": [{"selector": "hr"}],
    "labelValues": [{}], "labelValuesByBody": [{"limit": 1}],
    "tenants": [{}], "metrics": [{}], "stats": [{}], "health": [{}], "healthAlias": [{}], "openapi": [{}], "checkpoint": [None],
    "retention": [{}], "applyRetention": [{"dry_run": True}, {}], "rollups": [{}], "rebuildRollups": [{"start": "2026-01-01T00:00:00Z"}, {}],
    "export": [{"match[]": "hr"}], "exportCsv": [{"match[]": "hr", "format": "__name__,p,__value__,__timestamp__:rfc3339"}],
    "exportByBody": [{"match[]": ["hr"], "max_rows_per_line": 1}], "exportCsvByBody": [{"match[]": "hr"}],
    "delete": [{"selector": 'hr{p="2"}', "start": "2026-01-01T00:00:00Z"}, {"before": "1971-01-01T00:00:00Z"}],
    "listAlerts": [{}, {"state": "all", "selector": '{severity="page"}', "limit": 5}], "listAlertsByBody": [{"selector": ["{}"], "state": "firing"}],
    "alertHistory": [{}, {"start": "now-1h", "limit": 1}], "alertHistoryByBody": [{"selector": "{a=\"b\"}", "start": 1700000000, "unit": "s"}],
    "acknowledge": [{"author": "nurse", "duration": "1h"}], "unacknowledge": [None],
    "tierMove": [{}, {"after": "30d", "remove_now": True}],
    "putSilence": [{"match": '{alertname="Nothing"}', "author": "nurse", "comment": "round", "duration": "1h"},
                   {"match": '{ward=~"icu.*"}', "author": "nurse", "ends_at": "now+2h"}],
    "listSilences": [{}, {"state": "all"}], "endSilence": [None],
    "registerRule": [{"name": "high", "selector": "hr", "condition": ">", "limit": 120, "leave": 110, "delay_on": "10s", "labels": {"severity": "page"}},
                     {"name": "odd", "selector": 'hr{p=~".+"}', "input": "avg", "window": "1m", "condition": "outside", "low": 50, "high": 120.5, "leave_low": 55,
                      "missing": "fire", "missing_after": "2m", "max_lateness": "1m", "series_max": 10, "annotations": {"summary": "look"}},
                     {"name": "down", "expr": "up == 0", "for": "1m", "keep_firing_for": "2m", "labels": {"severity": "page"}, "annotations": {"summary": "{{ $value }}"}},
                     {"record": "job:up:sum", "expr": "sum by (job) (up)", "interval": "30s"}],
    "backfillRules": [{"from": "now-1h", "to": "now", "file": "r.yml", "rules": "groups: [{name: g, rules: [{record: ones, expr: vector(1)}]}]"}],
    "listRules": [{}], "rule": [{}], "removeRule": [None],
    "makeSnapshot": [{"name": "monday"}, {"skip_head": True}], "snapshotFile": [{}, {"skip_head": "true"}],
    "makeBackup": [{}, {"full": True}], "listBackups": [{}], "restoreTenant": [{"tenant_from": "default"}],
    "stream": [],
}
NOT_THERE = ["acknowledge", "unacknowledge", "endSilence", "rule", "removeRule"]  # what is named in the path is not there: 404
LAST = ["delete"]  # what the others need is still there


def operations():
    for path, item in DOC["paths"].items():
        for method, op in item.items():
            yield path, method, op


class OpenApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = tempfile.mkdtemp(prefix="silex-target-")
        config = os.path.join(cls.target, "silex.yml")
        with open(config, "w") as f:
            f.write(f"stores:\n  - name: archive\n    url: {cls.target}/archive\nstorage:\n  cold_store: archive\n")
        cls.server = Server("--config", config, "--enable-admin", "--set", f"backup.target={cls.target}/backup", "--set", "backup.interval=0").start()
        for body in GOOD["insert"] + GOOD["batch"]:
            path = "insert" if "value" in body else "batch"
            cls.server.request("POST", f"/api/silex/v1/{path}", json.dumps(body), {"Content-Type": "application/json"})

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0
        shutil.rmtree(cls.target)

    def ask(self, path, method, request, headers=None):
        path = path.replace("/rules/{id}", "/rules/77").replace("{name}", "p").replace("{fingerprint}", "0" * 32).replace("{id}", "0" * 32)
        if method == "delete":
            return self.server.request("DELETE", path, headers=headers)
        if method == "get":
            return self.server.request("GET", path + ("?" + urllib.parse.urlencode(request, doseq=True) if request else ""), headers=headers)
        body = None if request is None else json.dumps(request)
        return self.server.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    def check(self, op, answer):
        described = op["responses"].get(str(answer.status), op["responses"]["default"])
        content = CHECKER.follow(described)["content"]
        kind = answer.headers["Content-Type"].split(";")[0]
        self.assertIn(kind, content, (op["operationId"], answer.status, answer.body[:300]))
        if kind.endswith("json") and kind != "application/stream+json":
            self.assertEqual(CHECKER.faults(answer.json(), content[kind]["schema"]), [], (op["operationId"], answer.body[:300]))

    def test_every_operation_answers_as_described(self):
        self.assertEqual({op["operationId"] for _, _, op in operations()}, set(GOOD))
        for path, method, op in sorted(operations(), key=lambda o: o[2]["operationId"] in LAST):
            for request in GOOD[op["operationId"]]:
                with self.subTest(path=path, method=method, request=request):
                    if method == "post" and request is not None:
                        self.assertEqual(CHECKER.faults(request, op["requestBody"]["content"]["application/json"]["schema"]), [])
                    answer = self.ask(path, method, request)
                    self.assertEqual(answer.status, 404 if op["operationId"] in NOT_THERE else 200, answer.body[:500])
                    self.check(op, answer)

    def test_unknown_members_are_refused_by_name(self):
        for path, method, op in operations():
            if method != "post" or "requestBody" not in op:
                continue
            request = {**(GOOD[op["operationId"]][0] or {}), "colour": "blue"}
            schema = op["requestBody"]["content"]["application/json"]["schema"]
            with self.subTest(path=path):
                self.assertEqual(CHECKER.faults(request, schema), ["$.colour: not described"])
                answer = self.ask(path, method, request)
                self.assertEqual(answer.status, 400, answer.body)
                self.check(op, answer)
                self.assertEqual(answer.json()["field"], "colour")
                self.assertTrue(answer.json()["expected"])

    def test_members_of_a_wrong_type_are_refused_by_name(self):
        wrong = {"string": 1, "integer": "many", "boolean": "maybe", "array": 7, "number": "many", "object": 7}
        for path, method, op in operations():
            if method != "post" or "requestBody" not in op or op["operationId"] in ("insert", "batch"):
                continue
            schema = CHECKER.follow(op["requestBody"]["content"]["application/json"]["schema"])
            for name, member in schema["properties"].items():
                member = CHECKER.follow(member)
                kind = member.get("type", "array")
                bad = {"deep": []} if isinstance(kind, list) else wrong[kind]
                request = {**GOOD[op["operationId"]][0], name: bad}
                with self.subTest(path=path, member=name):
                    self.assertNotEqual(CHECKER.faults(request, schema), [])
                    answer = self.ask(path, method, request)
                    self.assertEqual(answer.status, 400, answer.body)
                    self.check(op, answer)
                    self.assertEqual(answer.json()["field"], name)

    def test_errors_before_the_handler_are_problems_too(self):
        for path, method, op in operations():
            answer = self.server.request("PATCH", path.replace("{name}", "p"))
            with self.subTest(path=path):
                self.assertEqual(answer.status, 405)
                self.check(op, answer)
                allowed = set(answer.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"}
                self.assertEqual(allowed, {m.upper() for m in DOC["paths"][path]})
            if any("Tenant" in p.get("$ref", "") for p in op.get("parameters", ())) and op["operationId"] != "stream":
                self.check(op, self.ask(path, method, (GOOD[op["operationId"]] or [None])[0], {"X-Scope-OrgID": "no/tenant"}))

    def test_the_description_is_served(self):
        answer = self.server.get("/api/silex/v1/openapi.yaml")
        self.assertEqual((answer.status, answer.body.decode()), (200, TEXT))
        self.assertEqual(DOC["openapi"], "3.1.0")

    def test_every_reference_leads_somewhere(self):
        def walk(node):
            if isinstance(node, dict):
                CHECKER.follow(node)
                for child in node.values():
                    walk(child)
            elif isinstance(node, list):
                for child in node:
                    walk(child)
        walk(DOC)


if __name__ == "__main__":
    unittest.main()
