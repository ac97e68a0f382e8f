"""The native API end to end (docs/protocols/native-api.md), and the command line with --url."""
import csv
import io
import json
import os
import subprocess
import tempfile
import unittest

from silex_server import SILEX, Server

V1 = "/api/silex/v1"


class Native(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0

    def post(self, path, body, tenant=None, **headers):
        headers = {"Content-Type": "application/json", **headers, **({"X-Scope-OrgID": tenant} if tenant else {})}
        return self.server.request("POST", V1 + path, body if isinstance(body, (str, bytes)) else json.dumps(body), headers)

    def stored(self, body, tenant):
        answer = self.post("/batch", body, tenant)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()["accepted"]

    def rows(self, tenant, **query):
        answer = self.post("/query", {"selector": "{}", "times": "ms", **query}, tenant)
        self.assertEqual(answer.status, 200, answer.body)
        return [(s["labels"], s["kind"], s["samples"]) for s in answer.json()["series"]]

    # ---- in ----

    def test_kinds_and_times_come_back_as_they_went_in(self):
        series = [("f", None, ["2026-11-21T08:00:00Z", 1795248000001, 1795248000.002], [1, -0.5, "NaN"], "float64", [1.0, -0.5, "NaN"]),
                  ("i", "int64", [1795248000000], [9007199254740993], "int64", [9007199254740993]),
                  ("big", None, [1795248000000], [9007199254740993], "int64", [9007199254740993]),
                  ("b", None, [1795248000000, 1795248000001], [True, False], "bool", [True, False]),
                  ("e", "enum", [1795248000000, 1795248000001], ["open", "shut"], "enum", ["open", "shut"])]
        body = {"series": [{"metric": n, **({"kind": k} if k else {}), "times": t, "values": v} for n, k, t, v, _, _ in series]}
        self.assertEqual(self.stored(body, "kinds"), 9)
        got = {labels["__name__"]: (kind, [v for _, v in samples], [t for t, _ in samples]) for labels, kind, samples in self.rows("kinds")}
        for name, _, _, _, kind, values in series:
            self.assertEqual(got[name][:2], (kind, values), name)
        self.assertEqual(got["f"][2], [1795248000000, 1795248000001, 1795248000002])

    def test_unit_of_the_row_wins_over_the_batch(self):
        self.stored({"unit": "s", "rows": [{"metric": "a", "time": 5, "value": 1}, {"metric": "a", "time": 7, "unit": "ms", "value": 2}]}, "units")
        self.assertEqual([t for t, _ in self.rows("units")[0][2]], [7, 5000])

    def test_a_request_of_a_wrong_shape_stores_nothing(self):
        good = {"metric": "a", "time": 1, "value": 1}
        cases = [({**good, "value": "x"}, "rows[1].value"), ({**good, "time": "soon"}, "rows[1].time"), ({**good, "labels": {"a": 1}}, "rows[1].labels.a"),
                 ({**good, "colour": 1}, "rows[1].colour"), ({"metric": "a", "time": 1}, "rows[1].value"), ({"time": 1, "value": 1}, "rows[1].metric"),
                 ({**good, "kind": "int64", "value": 1.5}, "rows[1].value"), ({**good, "kind": "text"}, "rows[1].kind"), ({**good, "unit": "h"}, "rows[1].unit"),
                 ({**good, "time": 10 ** 30}, "rows[1].time"), ({**good, "value": 1e999}, "rows[1].value")]
        for bad, field in cases:
            answer = self.post("/batch", json.dumps({"rows": [good, bad]}).replace("Infinity", "1e999"), "shape")
            self.assertEqual((answer.status, answer.json()["field"]), (400, field), answer.body)
        for columns, field in (({"times": [1, 2], "values": [1]}, "series[0].values"), ({"times": [1], "values": [[1]]}, "series[0].values"),
                               ({"times": 1, "values": [1]}, "series[0].times")):
            answer = self.post("/batch", {"rows": [good], "series": [{"metric": "a", **columns}]}, "shape")
            self.assertEqual((answer.status, answer.json()["field"]), (400, field), answer.body)
        for text in ("", "{", "[]", '{"rows":[', '{"rows":[]} x', '{"rows":[],"rows":[]}', "{" * 100, "\x00", '{"rows":[{"metric":"\\ud800","value":1}]}'):
            self.assertEqual(self.post("/batch", text, "shape").status, 400, text)
        self.assertEqual(self.rows("shape"), [])

    def test_samples_that_cannot_be_taken_are_counted(self):
        rows = [{"metric": "good", "time": 1, "value": 1}, {"metric": "bad", "labels": {"": "x"}, "time": 1, "value": 1},
                {"metric": "long", "labels": {"a": "x" * 9000}, "time": 1, "value": 1}]
        answer = self.post("/batch", {"rows": rows}, "refused")
        problem = answer.json()
        self.assertEqual((answer.status, problem["accepted"], problem["refused"]), (400, 1, 2))
        self.assertIn("bad", problem["first_series"])
        self.assertEqual(len(self.rows("refused")), 1)

    def test_null_is_no_sample_and_no_time_is_now(self):
        self.assertEqual(self.stored({"rows": [{"metric": "a", "value": None}, {"metric": "b", "value": 1}]}, "null"), 1)
        self.assertEqual([s[0]["__name__"] for s in self.rows("null", start="now-1m")], ["b"])

    def test_body_over_the_limit(self):
        with Server("--set", "http.body_max=64k") as small:
            answer = small.request("POST", V1 + "/batch", b" " * 100_000, {"Content-Type": "application/json"})
            self.assertEqual(answer.status, 413, answer.body)
            self.assertEqual(answer.headers["Content-Type"], "application/problem+json")

    # ---- out ----

    def test_aggregates_windows_and_groups(self):
        hosts = [{"metric": "cpu", "labels": {"host": h, "dc": d}, "times": [k * 1000 for k in range(10)], "values": [k * f for k in range(10)]}
                 for h, d, f in (("a", "x", 1), ("b", "x", 2), ("c", "y", 3))]
        self.stored({"unit": "ms", "series": hosts}, "agg")
        q = {"unit": "ms", "start": 0, "end": 9999}
        self.assertEqual([s[2] for s in self.rows("agg", agg="mean", **q)], [[[0, 4.5]], [[0, 9.0]], [[0, 13.5]]])
        self.assertEqual(self.rows("agg", agg="sum", step="5s", group_by=["dc"], **q),
                         [({"dc": "x"}, "float64", [[0, 30.0], [5000, 105.0]]), ({"dc": "y"}, "float64", [[0, 30.0], [5000, 105.0]])])
        self.assertEqual(self.rows("agg", agg="count", group=True, **q), [({}, "float64", [[0, 30.0]])])
        self.assertEqual(self.rows("agg", selector='cpu{host="a"}', agg="p50", **q)[0][2], [[0, 4.5]])
        self.assertEqual(self.rows("agg", selector='cpu{host="a"}', order="desc", limit=2)[0][2], [[9000, 9.0], [8000, 8.0]])
        gaps = self.rows("agg", selector='cpu{host="a"}', agg="max", step="500ms", fill="null", **{**q, "end": 1999})
        self.assertEqual(gaps[0][2], [[0, 0.0], [500, None], [1000, 1.0], [1500, None]])
        filled = self.rows("agg", selector='cpu{host="a"}', agg="max", step="500ms", fill="previous", **{**q, "end": 1999})
        self.assertEqual([v for _, v in filled[0][2]], [0.0, 0.0, 1.0, 1.0])
        self.assertEqual(len(self.rows("agg", selector=['cpu{host="a"}', 'cpu{host="c"}'])), 2)

    def test_formats(self):
        self.stored({"series": [{"metric": "a", "labels": {"q": 'x"y,z'}, "times": [1795248000001], "values": [1]}]}, "formats")
        csv_text = self.post("/query?format=csv", {"selector": "{}"}, "formats").body.decode()
        self.assertEqual(list(csv.reader(io.StringIO(csv_text))), [["time", "series", "value"], ["2026-11-21T08:00:00.001Z", 'a{q="x\\"y,z"}', "1"]])
        lines = self.post("/query", {"selector": "{}"}, "formats", Accept="application/x-ndjson")
        self.assertEqual(lines.headers["Content-Type"], "application/x-ndjson")
        self.assertEqual(json.loads(lines.body), {"name": "a", "labels": {"q": 'x"y,z'}, "time": "2026-11-21T08:00:00.001Z", "value": 1.0})
        for times, want in (("s", 1795248000.001), ("ms", 1795248000001), ("us", 1795248000001000), ("ns", 1795248000001000000)):
            self.assertEqual(self.rows("formats", times=times)[0][2][0][0], want)

    def test_large_answers_are_streamed_whole(self):
        n = 300_000
        for k in range(3):
            self.stored({"unit": "s", "series": [{"metric": "large", "labels": {"part": str(k)}, "times": list(range(n)), "values": list(range(n))}]}, "large")
        for form, count in (("json", lambda b: sum(len(s["samples"]) for s in json.loads(b)["series"])), ("jsonl", lambda b: b.count(b"\n")),
                            ("csv", lambda b: b.count(b"\n") - 1)):
            answer = self.post(f"/query?format={form}", {"selector": "large"}, "large")
            self.assertEqual(answer.status, 200)
            self.assertEqual(count(answer.body), 3 * n, form)

    def test_latest_series_labels_info(self):
        self.stored({"unit": "ms", "series": [{"metric": "l", "labels": {"h": h}, "times": [1, 2], "values": [1, v]} for h, v in (("a", 5), ("b", 6))]}, "list")
        get = lambda path, **p: self.server.get(V1 + path, {"X-Scope-OrgID": "list"}, **p)
        self.assertEqual([s["samples"] for s in get("/latest", selector="l", times="ms").json()["series"]], [[[2, 5.0]], [[2, 6.0]]])
        self.assertEqual(get("/series", selector='l{h="a"}').json(), {"series": [{"__name__": "l", "h": "a"}]})
        self.assertEqual(get("/series", start=3, unit="ms").json(), {"series": []})
        self.assertEqual(get("/labels").json(), {"labels": ["__name__", "h"]})
        self.assertEqual(get("/labels/h/values").json(), {"values": ["a", "b"]})
        info = get("/series/info", series='l{h="b"}').json()
        self.assertEqual((info["count"], info["min"], info["max"], info["last_time"]), (2, 1, 6, "1970-01-01T00:00:00.002Z"))
        self.assertEqual(get("/series/info", series="nobody").status, 404)
        self.assertIn("list", self.server.get(V1 + "/tenants").json()["tenants"])

    def test_delete(self):
        self.stored({"unit": "ms", "series": [{"metric": m, "times": [1, 2, 3], "values": [1, 2, 3]} for m in ("a", "b")]}, "del")
        self.assertEqual(self.post("/delete", {"selector": "a", "start": 2, "unit": "ms"}, "del").json(), {"deleted": 2})
        self.assertEqual(self.post("/delete", {"before": 2, "unit": "ms"}, "del").json(), {"deleted": 2})
        self.assertEqual([(s[0]["__name__"], len(s[2])) for s in self.rows("del")], [("b", 2)])
        for bad in ({}, {"selector": "a", "before": 1}, {"start": 1}, {"drop_tenant": True, "end": 1}):
            self.assertEqual(self.post("/delete", bad, "del").status, 400, bad)
        self.assertEqual(self.post("/delete", {"drop_tenant": True}, "del").status, 200)
        self.assertEqual(self.rows("del"), [])

    def test_metrics_count_what_happens(self):
        before = self.server.get("/api/v1/stats").json()
        self.stored({"rows": [{"metric": "m", "value": k} for k in range(3)]}, "metrics")
        self.rows("metrics")
        after = self.server.get(V1 + "/metrics").json()
        self.assertEqual(after["ingest"]["accepted"] - before["ingest"]["accepted"], 3)
        self.assertGreater(after["queries"]["count"], before["queries"]["count"])
        self.assertEqual((after["wal"]["mode"], after["wal"]["sync"], after["wal"]["interval_s"]), ("file", "interval", 1))
        self.assertEqual(self.post("/checkpoint", "").status, 200)
        self.assertGreater(self.server.get(V1 + "/metrics").json()["points"]["blocks"], 0)
        self.assertEqual(self.server.get("/api/v1/health").json()["status"], "ok")

    def test_export_reads_back(self):
        values = [1, 0.1, "NaN", "+Inf"]
        self.stored({"unit": "ms", "series": [{"metric": "ex", "labels": {"h": "a"}, "times": [1, 2, 3, 4], "values": values}]}, "out")
        answer = self.server.get("/api/v1/export", {"X-Scope-OrgID": "out"}, match="ex", max_rows_per_line=3)
        lines = [json.loads(line) for line in answer.body.splitlines()]
        self.assertEqual([x["timestamps"] for x in lines], [[1, 2, 3], [4]])
        self.assertEqual(lines[0]["metric"], {"__name__": "ex", "h": "a"})
        self.assertEqual(lines[0]["values"] + lines[1]["values"], values)
        self.assertEqual(self.server.request("POST", "/api/v1/import", answer.body, {"X-Scope-OrgID": "back"}).status, 204)
        self.assertEqual(self.rows("back")[0][2], self.rows("out")[0][2])
        table = self.server.get("/api/v1/export/csv", {"X-Scope-OrgID": "out"}, match="ex", format="h,__value__,__timestamp__:unix_ms", end="0.002")
        self.assertEqual(table.body, b"a,1,1\na,0.1,2\n")
        self.assertEqual(self.server.get("/api/v1/export").json()["field"], "match[]")

    # ---- the command line ----

    def silex(self, *words, status=0, stdin=None):
        env = {k: v for k, v in os.environ.items() if k != "SILEX_DATA"}
        p = subprocess.run([SILEX, *words], capture_output=True, text=True, input=stdin, env=env, timeout=60, check=False)
        self.assertEqual(p.returncode, status, (words, p.stdout, p.stderr))
        return p.stdout

    def test_command_line_with_url_does_what_it_does_with_data(self):
        text = "".join(f'{{"name":"{m}","labels":{{"h":"{h}"}},"time":"2026-11-21T08:00:{s:02}.000000007Z","value":{v}}}\n'
                       for m, h, v in (("cpu", "a", "1.5"), ("cpu", "b", "2"), ("up", "a", "true")) for s in range(5))
        with tempfile.TemporaryDirectory() as d:
            here, there = ["--data", os.path.join(d, "db")], ["--url", self.server.url, "--tenant", "cli"]
            for where in (here, there):
                self.assertIn("imported 15 points of 3 series", self.silex("import", *where, "-f", "jsonl", "-", stdin=text))
            for words in (["series"], ["series", "--count"], ["series", "--names"], ["labels"], ["labels", "h"], ["labels", "h", "--match", "up"], ["export"],
                          ["export", "-f", "csv"], ["export", "-f", "prom", "cpu"], ["query", "{}"], ["query", "cpu", "-f", "csv"], ["query", "{}", "-f", "jsonl"],
                          ["query", "cpu", "-f", "json", "-n", "3", "-r"], ["query", "cpu", "-a", "mean", "-w", "2s", "-f", "csv"], ["query", "cpu", "-a", "p90", "-g", "h"],
                          ["query", "cpu", "--latest"], ["query", "cpu", "-f", "chart"], ["delete", "cpu", "-s", "2026-11-21T08:00:03", "--yes"], ["export"]):
                with self.subTest(words=words):
                    self.assertEqual(self.silex(*words, *there), self.silex(*words, *here))
        self.assertIn('"health":"ok"', self.silex("stats", "--url", self.server.url, "-f", "json"))
        expr = ["query", *there, "--promql", "sum by (h) (cpu)"]
        self.assertEqual(self.silex(*expr, "-e", "2026-11-21T08:00:02", "-f", "csv").splitlines()[1:],
                         ['2026-11-21T08:00:02Z,"{h=""a""}",1.5', '2026-11-21T08:00:02Z,"{h=""b""}",2'])
        ranged = self.silex(*expr, "-s", "2026-11-21T08:00:01", "-e", "2026-11-21T08:00:02", "-w", "1s", "-f", "jsonl").splitlines()
        self.assertEqual([json.loads(line)["value"] for line in ranged], [1.5, 1.5, 2, 2])
        self.silex("query", *there, "--promql", "sum(", status=1)
        self.silex("query", "--promql", "1", status=2)
        self.silex("query", "--url", "http://127.0.0.1:1", "up", status=1)
        self.silex("query", "--url", self.server.url, "--data", "x", "up", status=2)


if __name__ == "__main__":
    unittest.main()
