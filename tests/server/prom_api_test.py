#!/usr/bin/env python3
"""Prometheus' HTTP API: every endpoint, its parameters, the shapes of answers and errors, Grafana's requests, promtool."""
import json
import math
import re
import shutil
import socket
import struct
import subprocess
import time
import unittest

from silex_server import Server, query_string

T0 = 1700000000  # seconds; samples every 15 s for 10 minutes
STEPS = 41


def fixture_text():
    lines = []
    for i in range(STEPS):
        t = (T0 + 15 * i) * 1000
        for host in ("a", "b"):
            lines.append(f'http_requests_total{{host="{host}",code="200"}} {10 * i + (host == "b")} {t}')
        lines.append(f'temperature{{room="kitchen, \\"upper\\""}} {20 + i / 10} {t}')
        lines.append(f'{{"gauge.with.dots","odd name"="grün"}} 1 {t}')
        for le, n in (("0.1", i), ("1", 2 * i), ("+Inf", 3 * i)):
            lines.append(f'latency_seconds_bucket{{le="{le}"}} {n} {t}')
    lines.append(f"special{{v=\"nan\"}} NaN {T0 * 1000}")
    lines.append(f"special{{v=\"inf\"}} +Inf {T0 * 1000}")
    lines.append(f"special{{v=\"minus\"}} -Inf {T0 * 1000}")
    lines.append(f"special{{v=\"small\"}} 1e-7 {T0 * 1000}")
    lines.append(f"special{{v=\"large\"}} 1e21 {T0 * 1000}")
    lines.append(f"special{{v=\"third\"}} 0.3333333333333333 {T0 * 1000}")
    lines.append(f"odd_time 1 {T0 * 1000 + 781}")
    return "\n".join(lines) + "\n"


class Case(unittest.TestCase):
    maxDiff = 4000
    words = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.words).start()
        try:
            cls.fill()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def fill(cls):
        cls.server.write_text(fixture_text())

    @classmethod
    def tearDownClass(cls):
        try:
            cls.server.stop()
        finally:
            shutil.rmtree(cls.server.dir, ignore_errors=True)

    def query(self, expr, t=T0 + 600, **more):
        return self.server.get("/api/v1/query", query=expr, time=t, **more).data()

    def query_range(self, expr, start=T0, end=T0 + 600, step=60, **more):
        data = self.server.get("/api/v1/query_range", query=expr, start=start, end=end, step=step, **more).data()
        self.assertEqual(data["resultType"], "matrix")
        return data["result"]

    def check_error(self, answer, status, kind, text):
        self.assertEqual(answer.status, status, answer.body[:300])
        doc = answer.json()
        self.assertEqual((doc["status"], doc["errorType"]), ("error", kind))
        if isinstance(text, re.Pattern):
            self.assertRegex(doc["error"], text)
        else:
            self.assertEqual(doc["error"], text)


class Query(Case):
    def test_scalar(self):
        self.assertEqual(self.query("1+1", 4), {"resultType": "scalar", "result": [4, "2"]})
        self.assertEqual(self.query("1/0", 1.5)["result"], [1.5, "+Inf"])
        self.assertEqual(self.query("NaN", "2015-07-01T20:10:51.781Z")["result"], [1435781451.781, "NaN"])

    def test_string(self):
        self.assertEqual(self.query('"a\\"ü"', 7), {"resultType": "string", "result": [7, 'a"ü']})

    def test_vector(self):
        data = self.query('http_requests_total{host="a"}')
        self.assertEqual(data, {"resultType": "vector", "result": [
            {"metric": {"__name__": "http_requests_total", "code": "200", "host": "a"}, "value": [T0 + 600, "400"]}]})

    def test_matrix_of_an_instant_query(self):
        data = self.query("odd_time[1h]", T0 + 10)
        self.assertEqual(data, {"resultType": "matrix", "result": [
            {"metric": {"__name__": "odd_time"}, "values": [[T0 + 0.781, "1"]]}]})

    def test_nothing(self):
        self.assertEqual(self.query("nothing"), {"resultType": "vector", "result": []})
        self.assertEqual(self.query_range("nothing"), [])

    def test_values_are_printed_as_go_does(self):
        got = {s["metric"]["v"]: s["value"][1] for s in self.query("special", T0)["result"]}
        self.assertEqual(got, {"nan": "NaN", "inf": "+Inf", "minus": "-Inf", "small": "1e-07", "large": "1e+21", "third": "0.3333333333333333"})

    def test_times_are_printed_as_prometheus_does(self):
        body = self.server.get("/api/v1/query", query="1", time="1435781451.781").body
        self.assertIn(b"[1435781451.781,", body)
        body = self.server.get("/api/v1/query", query="1", time="1435781451.1").body
        self.assertIn(b"[1435781451.100,", body)
        body = self.server.get("/api/v1/query", query="1", time="1435781451").body
        self.assertIn(b"[1435781451,", body)

    def test_range(self):
        got = self.query_range('http_requests_total{host="b"}', step="1m")
        self.assertEqual(got, [{"metric": {"__name__": "http_requests_total", "code": "200", "host": "b"},
                                "values": [[T0 + 60 * i, str(40 * i + 1)] for i in range(11)]}])

    def test_matrices_are_sorted(self):
        got = [s["metric"] for s in self.query_range('{__name__=~".+"}')]
        self.assertEqual(got, sorted(got, key=lambda m: sorted(m.items())))
        self.assertGreater(len(got), 5)

    def test_now_is_the_default_time(self):
        t = self.server.get("/api/v1/query", query="time()").data()["result"][0]
        self.assertLess(abs(t - time.time()), 60)

    def test_forms(self):
        self.assertEqual(self.server.post_form("/api/v1/query", query="1+1", time=4).data()["result"], [4, "2"])
        r = self.server.post_form("/api/v1/query_range", query="vector(1)", start=T0, end=T0 + 60, step=60)
        self.assertEqual(r.data()["result"], [{"metric": {}, "values": [[T0, "1"], [T0 + 60, "1"]]}])
        r = self.server.request("POST", "/api/v1/query?query=1%2B1&time=5", b"", {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(r.data()["result"], [5, "2"])

    def test_limit(self):
        r = self.server.get("/api/v1/query", query="special", time=T0, limit=2)
        doc = r.json()
        self.assertEqual(len(doc["data"]["result"]), 2)
        self.assertEqual(doc["warnings"], ["results truncated due to limit"])
        doc = self.server.get("/api/v1/query_range", query="special", start=T0, end=T0, step=1, limit=6).json()
        self.assertEqual(len(doc["data"]["result"]), 6)
        self.assertNotIn("warnings", doc)
        self.assertEqual(len(self.query("special", T0, limit=0)["result"]), 6)

    def test_lookback_delta(self):
        self.assertEqual(self.query("odd_time", T0 + 100, lookback_delta="1m")["result"], [])
        self.assertEqual(len(self.query("odd_time", T0 + 50, lookback_delta=60)["result"]), 1)
        self.assertEqual(len(self.query("odd_time", T0 + 1000, lookback_delta="1h")["result"]), 1)

    def test_annotations(self):
        doc = self.server.get("/api/v1/query", query="rate(temperature[5m])", time=T0 + 600).json()
        self.assertEqual(len(doc["infos"]), 1)
        self.assertIn("PromQL info: metric might not be a counter", doc["infos"][0])
        self.assertNotIn("warnings", doc)
        doc = self.server.get("/api/v1/query", query="quantile(7, temperature)", time=T0 + 600).json()
        self.assertIn("PromQL warning: quantile value should be between 0 and 1, got 7", doc["warnings"][0])

    def test_stats(self):
        self.assertNotIn("stats", self.query("temperature"))
        s = self.query("temperature", stats="all")["stats"]
        self.assertEqual(set(s), {"timings", "samples", "silex"})
        self.assertEqual(set(s["silex"]), {"bytesRead", "chunks", "rollupBuckets", "rollups"})
        self.assertEqual(set(s["timings"]), {"evalTotalTime", "resultSortTime", "queryPreparationTime", "innerEvalTime", "execQueueTime",
                                             "execTotalTime"})
        self.assertEqual(s["samples"]["totalQueryableSamples"], 1)
        self.assertGreaterEqual(s["samples"]["peakSamples"], 1)

    def test_nocache_and_unknown_parameters(self):
        self.assertEqual(self.query("1", 4, nocache=1, whatever="x")["result"], [4, "1"])

    def test_bad_queries(self):
        get = self.server.get
        self.check_error(get("/api/v1/query", query="up{", time=4), 400, "bad_data",
                         re.compile(r'^invalid parameter "query": 1:4: parse error: unexpected end of input inside braces$'))
        self.check_error(get("/api/v1/query"), 400, "bad_data",
                         'invalid parameter "query": unknown position: parse error: no expression found in input')
        self.check_error(get("/api/v1/query_range", query="up[5m]", start=0, end=1, step=1), 400, "bad_data",
                         'invalid parameter "query": invalid expression type "range vector" for range query, must be Scalar or instant Vector')
        self.check_error(get("/api/v1/query_range", query='"s"', start=0, end=1, step=1), 400, "bad_data",
                         'invalid parameter "query": invalid expression type "string" for range query, must be Scalar or instant Vector')
        self.check_error(get("/api/v1/query", query="info(up)", time=4), 400, "bad_data", re.compile("parse error"))

    def test_bad_parameters(self):
        def fails(path, text, **params):
            self.check_error(self.server.get(path, **params), 400, "bad_data", text)
        fails("/api/v1/query", 'invalid parameter "time": Invalid time value for \'time\': cannot parse "abc" to a valid timestamp',
              query="1", time="abc")
        fails("/api/v1/query", 'invalid parameter "timeout": cannot parse "x" to a valid duration', query="1", timeout="x")
        fails("/api/v1/query", 'invalid parameter "limit": limit must be non-negative', query="1", limit=-1)
        fails("/api/v1/query", 'error parsing lookback delta duration: cannot parse "x" to a valid duration', query="1", lookback_delta="x")
        fails("/api/v1/query_range", 'invalid parameter "start": cannot parse "" to a valid timestamp', query="1", end=1, step=1)
        fails("/api/v1/query_range", 'invalid parameter "end": cannot parse "" to a valid timestamp', query="1", start=1, step=1)
        fails("/api/v1/query_range", 'invalid parameter "step": cannot parse "" to a valid duration', query="1", start=1, end=2)
        fails("/api/v1/query_range", 'invalid parameter "end": end timestamp must not be before start time', query="1", start=2, end=1, step=1)
        for step in ("0", "-1"):
            fails("/api/v1/query_range", 'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
                  "Try a positive integer", query="1", start=1, end=2, step=step)
        fails("/api/v1/query_range", "exceeded maximum resolution of 11,000 points per timeseries. "
              "Try decreasing the query resolution (?step=XX)", query="1", start=0, end=11001, step=1)
        self.assertEqual(len(self.query_range("vector(1)", 0, 11000, 1)[0]["values"]), 11001)

    def test_execution_errors(self):
        r = self.server.get("/api/v1/query", query="http_requests_total * on(code) http_requests_total", time=T0)
        self.check_error(r, 422, "execution", re.compile(
            r'^found duplicate series for the match group \{code="200"\} on the right hand-side of the operation: '
            r'\[\{__name__="http_requests_total", code="200", host="."\}, \{__name__="http_requests_total", code="200", host="."\}\];'
            "many-to-many matching not allowed: matching labels must be unique on one side$"))
        r = self.server.get("/api/v1/query", query='label_replace(http_requests_total, "host", "x", "", "")', time=T0)
        self.check_error(r, 422, "execution", re.compile("vector cannot contain metrics with the same labelset"))

    def test_timeout(self):
        r = self.server.get("/api/v1/query", query="sum_over_time(temperature[10m:1ms])", time=T0 + 600, timeout="1ms")
        self.check_error(r, 503, "timeout", re.compile("^query timed out in"))

    def test_methods(self):
        r = self.server.request("DELETE", "/api/v1/query?query=1")
        self.assertEqual(r.status, 405)
        self.assertEqual({m.strip() for m in r.headers["Allow"].split(",")} & {"GET", "POST"}, {"GET", "POST"})
        for path in ("/api/v1/label/job/values", "/api/v1/metadata", "/api/v1/status/buildinfo", "/api/v1/rules", "/api/v1/targets"):
            self.assertEqual(self.server.post_form(path).status, 405, path)
        self.assertEqual(self.server.request("HEAD", "/api/v1/query?query=1").body, b"")
        self.assertEqual(self.server.request("OPTIONS", "/api/v1/query").status // 100, 2)
        self.assertEqual(self.server.get("/api/v1/nothing").status, 404)

    def test_large_answer(self):
        """Far over one piece: goes out in several."""
        expr = " or ".join(f'label_replace(vector({i}.123), "n", "{i}", "", "")' for i in range(12))
        got = self.query_range(expr, 0, 11000, 1)
        self.assertEqual(len(got), 12)
        self.assertEqual(sum(len(s["values"]) for s in got), 12 * 11001)

    def test_format_query(self):
        self.assertEqual(self.server.get("/api/v1/format_query", query="foo/bar").data(), "foo / bar")
        self.assertEqual(self.server.post_form("/api/v1/format_query", query="sum  by(a)(rate(foo[5m]))").data(), "sum by (a) (rate(foo[5m]))")
        self.check_error(self.server.get("/api/v1/format_query", query="foo/"), 400, "bad_data", re.compile('^invalid parameter "query": 1:5: parse error'))


class Names(Case):
    def test_labels(self):
        everything = ["__name__", "code", "host", "le", "odd name", "room", "v"]
        self.assertEqual(self.server.get("/api/v1/labels").data(), everything)
        self.assertEqual(self.server.post_form("/api/v1/labels", start=T0, end=T0 + 600).data(), everything)
        self.assertEqual(self.server.get("/api/v1/labels", match="http_requests_total").data(), ["__name__", "code", "host"])
        self.assertEqual(self.server.get("/api/v1/labels", match=["temperature", "special"]).data(), ["__name__", "room", "v"])
        self.assertEqual(self.server.get("/api/v1/labels", start=0, end=100).data(), [])
        doc = self.server.get("/api/v1/labels", limit=2).json()
        self.assertEqual((doc["data"], doc["warnings"]), (everything[:2], ["results truncated due to limit"]))
        self.assertNotIn("warnings", self.server.get("/api/v1/labels", limit=7).json())

    def test_label_values(self):
        get = self.server.get
        self.assertEqual(get("/api/v1/label/host/values").data(), ["a", "b"])
        self.assertEqual(get("/api/v1/label/__name__/values", match='{host="a"}').data(), ["http_requests_total"])
        self.assertEqual(get("/api/v1/label/host/values", match='{host=~"b|c"}', start=T0, end=T0 + 60).data(), ["b"])
        self.assertEqual(get("/api/v1/label/none/values").data(), [])
        self.assertEqual(get("/api/v1/label/U__odd_20_name/values").data(), ["grün"])
        self.assertEqual(get("/api/v1/label/odd%20name/values").data(), ["grün"])
        self.assertEqual(get("/api/v1/label/room/values").data(), ['kitchen, "upper"'])
        doc = get("/api/v1/label/v/values", limit=1).json()
        self.assertEqual((doc["data"], doc["warnings"]), (["inf"], ["results truncated due to limit"]))
        self.check_error(get("/api/v1/label/%ff/values"), 400, "bad_data", re.compile("^invalid label name"))

    def test_series(self):
        get = self.server.get
        self.assertEqual(get("/api/v1/series", match='http_requests_total{host="a"}').data(),
                         [{"__name__": "http_requests_total", "code": "200", "host": "a"}])
        got = self.server.post_form("/api/v1/series", match=["http_requests_total", '{host="a"}', "odd_time"], start=T0, end=T0 + 60).data()
        self.assertEqual([m["__name__"] for m in got], ["http_requests_total", "http_requests_total", "odd_time"])
        self.assertEqual(get("/api/v1/series", match="nothing").data(), [])
        self.assertEqual(get("/api/v1/series", match="odd_time", start=T0 + 100, end=T0 + 600).data(), [])
        doc = get("/api/v1/series", match="special", limit=3).json()
        self.assertEqual((len(doc["data"]), doc["warnings"]), (3, ["results truncated due to limit"]))
        self.assertEqual(get("/api/v1/series", match='{"gauge.with.dots"}').data(), [{"__name__": "gauge.with.dots", "odd name": "grün"}])

    def test_errors(self):
        get = self.server.get
        self.check_error(get("/api/v1/series"), 400, "bad_data", "no match[] parameter provided")
        self.check_error(get("/api/v1/series", match="up{"), 400, "bad_data", re.compile(r'^invalid parameter "match\[\]": 1:4: parse error'))
        self.check_error(get("/api/v1/labels", match="{}"), 400, "bad_data", "match[] must contain at least one non-empty matcher")
        self.check_error(get("/api/v1/label/a/values", match="up{"), 400, "bad_data", re.compile("^1:4: parse error"))
        self.check_error(get("/api/v1/labels", start="x"), 400, "bad_data",
                         'invalid parameter "start": Invalid time value for \'start\': cannot parse "x" to a valid timestamp')
        self.check_error(self.server.post_form("/api/v1/labels", match=["up"] * 1001), 400, "bad_data", "more than 1000 match[] parameters")
        self.check_error(get("/api/v1/label/a/values", limit="x"), 400, "bad_data", re.compile('^invalid parameter "limit"'))

    def test_tenants_do_not_see_each_other(self):
        self.server.write_text(f'other{{team="x"}} 1 {T0 * 1000}\n', tenant="other-team")
        self.assertEqual(self.server.get("/api/v1/labels", headers={"X-Scope-OrgID": "other-team"}).data(), ["__name__", "team"])
        self.assertNotIn("team", self.server.get("/api/v1/labels").data())
        self.assertEqual(self.server.get("/api/v1/query", headers={"X-Scope-OrgID": "other-team"}, query="special", time=T0).data()["result"], [])


class Grafana(Case):
    """The requests that Grafana's data source makes (grafana/pkg/promlib), in its order."""

    def test_save_and_test(self):
        r = self.server.post_form("/api/v1/query", query="1+1", time="4")
        self.assertEqual(r.headers["Content-Type"].split(";")[0], "application/json")
        self.assertEqual(r.body, b'{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}')
        info = self.server.get("/api/v1/status/buildinfo").data()
        self.assertTrue(info["version"].startswith("3."))
        self.assertIn("silexVersion", info)
        self.assertNotIn("features", info)

    def test_panel(self):
        r = self.server.post_form("/api/v1/query_range", headers={"Accept-Encoding": "gzip"}, query='rate(http_requests_total{host="a"}[1m])',
                                  start=f"{T0 + 300}", end=f"{T0 + 360}.000", step="15")
        self.assertEqual(r.body if r.headers.get("Content-Encoding") is None else b"", r.body)
        series = r.data()["result"]
        self.assertEqual(series[0]["metric"], {"code": "200", "host": "a"})
        self.assertEqual([v[0] for v in series[0]["values"]], [T0 + 300 + 15 * i for i in range(5)])
        for _, v in series[0]["values"]:
            self.assertTrue(math.isclose(float(v), 10 / 15))

    def test_table(self):
        r = self.server.post_form("/api/v1/query", query="sum by (host) (http_requests_total)", time=str(T0 + 600), timeout="60s")
        self.assertEqual([(s["metric"], s["value"]) for s in sorted(r.data()["result"], key=lambda s: s["metric"]["host"])],
                         [({"host": "a"}, [T0 + 600, "400"]), ({"host": "b"}, [T0 + 600, "401"])])

    def test_exemplars(self):
        r = self.server.post_form("/api/v1/query_exemplars", query="rate(http_requests_total[5m])", start=str(T0), end=str(T0 + 600))
        self.assertEqual(r.data(), [])

    def test_editor(self):
        times = {"start": str(T0), "end": str(T0 + 600)}
        names = self.server.get("/api/v1/label/__name__/values", limit="40000", **times).data()
        self.assertEqual(names, ["gauge.with.dots", "http_requests_total", "latency_seconds_bucket", "odd_time", "special", "temperature"])
        self.assertIn("host", self.server.post_form("/api/v1/labels", match='{__name__="http_requests_total"}', limit="40000", **times).data())
        values = self.server.get("/api/v1/label/host/values", match='{__name__="http_requests_total"}', limit="40000", **times).data()
        self.assertEqual(values, ["a", "b"])
        series = self.server.post_form("/api/v1/series", match='{__name__="http_requests_total"}', limit="40000", **times).data()
        self.assertEqual(len(series), 2)
        self.assertIsInstance(self.server.get("/api/v1/metadata", limit="40000").data(), dict)

    def test_alerting(self):
        self.assertEqual(self.server.get("/api/v1/rules").data(), {"groups": []})
        self.assertEqual(self.server.get("/api/v1/alerts").data(), {"alerts": []})

    def test_heatmap(self):
        r = self.server.post_form("/api/v1/query_range", query="sum by (le) (increase(latency_seconds_bucket[1m]))", start=T0 + 60, end=T0 + 600, step=60)
        self.assertEqual([s["metric"]["le"] for s in r.data()["result"]], ["+Inf", "0.1", "1"])


class Status(Case):
    def test_small_ones(self):
        data = lambda path: self.server.get("/api/v1/" + path).data()
        self.assertEqual(data("targets"), {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}})
        self.assertEqual(data("targets/metadata"), [])
        self.assertEqual(data("alertmanagers"), {"activeAlertmanagers": [], "droppedAlertmanagers": []})
        self.assertEqual(data("status/walreplay"), {"min": 0, "max": 0, "current": 0})

    def test_runtimeinfo(self):
        info = self.server.get("/api/v1/status/runtimeinfo").data()
        for key in ("startTime", "CWD", "hostname", "serverTime", "reloadConfigSuccess", "lastConfigTime", "corruptionCount", "storageRetention"):
            self.assertIn(key, info)
        self.assertRegex(info["startTime"], r"^20\d\d-\d\d-\d\dT.*Z$")

    def test_config_and_flags(self):
        self.assertIsInstance(self.server.get("/api/v1/status/config").data()["yaml"], str)
        flags = self.server.get("/api/v1/status/flags").data()
        self.assertEqual(flags["listen"], f"127.0.0.1:{self.server.port}")
        self.assertTrue(all(isinstance(v, str) for v in flags.values()))

    def test_tsdb(self):
        d = self.server.get("/api/v1/status/tsdb").data()
        head = d["headStats"]
        self.assertEqual(head["numSeries"], 14)
        self.assertEqual(head["minTime"], T0 * 1000)
        self.assertEqual(head["maxTime"], (T0 + 600) * 1000)
        self.assertGreaterEqual(head["chunkCount"], 14)
        self.assertEqual(d["seriesCountByMetricName"][0], {"name": "special", "value": 6})
        self.assertEqual(d["labelValueCountByLabelName"][:3], sorted(d["labelValueCountByLabelName"][:3], key=lambda x: -x["value"]))
        self.assertIn({"name": "__name__", "value": 6}, d["labelValueCountByLabelName"])
        self.assertEqual(d["seriesCountByLabelValuePair"][0], {"name": "__name__=special", "value": 6})
        self.assertEqual(len(self.server.get("/api/v1/status/tsdb", limit=1).data()["seriesCountByMetricName"]), 1)
        self.check_error(self.server.get("/api/v1/status/tsdb", limit=0), 400, "bad_data", "limit must be a positive number")

    def test_metrics(self):
        self.server.get("/api/v1/query", query="1")
        text = self.server.get("/metrics").body.decode()
        self.assertRegex(text, r'silex_promql_query_duration_seconds_count\{kind="instant"\} [1-9]')
        r = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True)
        self.assertEqual((r.returncode, r.stdout, r.stderr), (0, b"", b""))


class Long(Case):
    """Queries that take long: they end when the client leaves, and are told of."""
    words = ("--set", "log.slow_query=1ms")
    query_text = "quantile_over_time(0.5, temperature[10m:10ms])"  # 60,000 points at each of 11,000 steps

    def metric(self, text):
        for line in self.server.get("/metrics").body.decode().split("\n"):
            if line.startswith(text + " "):
                return float(line.split()[-1])
        return 0

    def test_hang_up(self):
        canceled = 'silex_promql_queries_failed_total{reason="canceled"}'
        before = self.metric(canceled)
        with socket.create_connection(("127.0.0.1", self.server.port)) as s:
            path = "/api/v1/query_range" + query_string({"query": self.query_text, "start": T0, "end": T0 + 600, "step": "0.06"})
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            time.sleep(0.3)
        end = time.monotonic() + 10
        while self.metric(canceled) == before and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(self.metric(canceled), before + 1)

    def test_timeout_in_the_middle(self):
        begin = time.monotonic()
        r = self.server.get("/api/v1/query_range", query=self.query_text, start=T0, end=T0 + 600, step="0.06", timeout="200ms")
        self.check_error(r, 503, "timeout", "query timed out in expression evaluation")
        self.assertLess(time.monotonic() - begin, 10)

    def test_timeout_of_nested_subqueries(self):
        expr = "sum_over_time(" * 40 + '{__name__=~".+"}' + "[1h:1s])" * 40
        begin = time.monotonic()
        r = self.server.get("/api/v1/query", query=expr, time=T0 + 600, timeout="300ms")
        self.check_error(r, 503, "timeout", "query timed out in expression evaluation")
        self.assertLess(time.monotonic() - begin, 10)

    def test_slow_queries_are_logged(self):
        expr = "sum_over_time(temperature[10m:7ms])"
        self.query(expr)
        end = time.monotonic() + 5
        while expr not in self.server.text_of_log() and time.monotonic() < end:
            time.sleep(0.02)
        self.assertIn(expr, self.server.text_of_log())


class Federate(Case):
    @classmethod
    def fill(cls):
        now = int(time.time() * 1000)
        cls.now = now
        cls.server.write_text("\n".join([
            f'up{{job="x",instance="h:1"}} 0 {now - 60000}', f'up{{job="x",instance="h:1"}} 1 {now - 30000}',
            f'up{{job="y"}} 0.5 {now - 20000}', f'old 1 {now - 600000}', f'{{"my.gauge",K="v"}} 7 {now - 1000}',
            f'gone 1 {now - 30000}', f'b{{A="1"}} 1 {now - 5}', f'b{{z="1"}} 2 {now - 5}', f'c{{A="1"}} 3 {now - 5}']) + "\n")
        stale = struct.unpack(">d", bytes.fromhex("7ff0000000000002"))[0]
        cls.server.remote_write([{"labels": {"__name__": "gone"}, "samples": [(now - 10000, stale)]}])

    def test_text(self):
        r = self.server.get("/federate", match=["up", "old", "gone", '{"my.gauge"}', "b", "c", '{job="y"}'])
        self.assertEqual(r.status, 200)
        self.assertIn("text/plain", r.headers["Content-Type"])
        n = self.now
        self.assertEqual(r.body.decode(), "\n".join([
            "# TYPE b untyped", f'b{{A="1",instance=""}} 1 {n - 5}', f'b{{z="1",instance=""}} 2 {n - 5}',
            "# TYPE c untyped", f'c{{A="1",instance=""}} 3 {n - 5}',
            '# TYPE "my.gauge" untyped', f'{{"my.gauge",K="v",instance=""}} 7 {n - 1000}',
            "# TYPE up untyped", f'up{{instance="h:1",job="x"}} 1 {n - 30000}', f'up{{job="y",instance=""}} 0.5 {n - 20000}', ""]))

    def test_errors(self):
        self.assertEqual(self.server.get("/federate", match="up{").status, 400)
        self.assertEqual(self.server.get("/federate").body, b"")


class Admin(Case):
    words = ("--set", "http.admin=true")

    def test_delete(self):
        s = self.server
        s.write_text(f'gone{{a="1"}} 1 {T0 * 1000}\ngone{{a="2"}} 2 {T0 * 1000}\ngone{{a="2"}} 3 {(T0 + 60) * 1000}\n')
        self.assertEqual(s.request("POST", f"/api/v1/admin/tsdb/delete_series?match[]=gone%7Ba%3D%221%22%7D").status, 204)
        self.assertEqual([m["a"] for m in s.get("/api/v1/series", match="gone").data()], ["2"])
        self.assertEqual(s.request("PUT", f"/api/v1/admin/tsdb/delete_series?match[]=gone&start={T0 + 30}").status, 204)
        self.assertEqual(self.query("gone[1h]", T0 + 100)["result"][0]["values"], [[T0, "2"]])
        self.assertEqual(s.request("POST", "/api/v1/admin/tsdb/clean_tombstones").status, 204)
        self.assertEqual(self.query("gone[1h]", T0 + 100)["result"][0]["values"], [[T0, "2"]])

    def test_errors(self):
        s = self.server
        self.check_error(s.request("POST", "/api/v1/admin/tsdb/delete_series"), 400, "bad_data", "no match[] parameter provided")
        self.check_error(s.request("POST", "/api/v1/admin/tsdb/delete_series?match[]=%7B"), 400, "bad_data", re.compile("parse error"))
        self.assertEqual(s.get("/api/v1/admin/tsdb/delete_series").status, 405)
        self.assertIn("name", s.request("POST", "/api/v1/admin/tsdb/snapshot").data())


class AdminOff(Case):
    def test_off(self):
        self.check_error(self.server.request("POST", "/api/v1/admin/tsdb/delete_series?match[]=special"), 503, "unavailable", "admin APIs disabled")
        self.assertEqual(len(self.query("special", T0)["result"]), 6)


class Blocks(Case):
    """The same answers after the head went into blocks."""
    words = ("--set", "http.admin=true")

    def test_after_compaction(self):
        before = [self.server.get(p).body for p in self.paths()]
        self.assertEqual(self.server.request("POST", "/api/v1/admin/tsdb/clean_tombstones").status, 204)
        self.server.stop()
        self.server.start()
        self.server.write_text(f'http_requests_total{{host="c",code="500"}} 1 {(T0 - 7200) * 1000}\n')
        self.assertEqual([self.server.get(p).body for p in self.paths()], before)
        self.assertEqual(self.server.get("/api/v1/label/host/values").data(), ["a", "b", "c"])
        self.assertEqual(self.server.get("/api/v1/labels", start=T0 - 8000, end=T0 - 7000).data(), ["__name__", "code", "host"])

    @staticmethod
    def paths():
        t = f"start={T0}&end={T0 + 600}"
        return [f"/api/v1/labels?{t}", f"/api/v1/series?match[]=%7B__name__%3D~%22.%2B%22%7D&{t}", f"/api/v1/query?query=special&time={T0}",
                f"/api/v1/query_range?query=temperature&step=15&{t}"]


class Histograms(Case):
    @classmethod
    def fill(cls):
        cls.server.remote_write([
            {"labels": {"__name__": "h"}, "histograms": [
                {"t": T0 * 1000, "count": 8, "sum": 18.4, "schema": 0, "zero_threshold": 0.001, "zero_count": 4, "spans": [(0, 2), (1, 1)], "counts": [1, 0, 3]}]},
            {"labels": {"__name__": "h_count_total"}, "samples": [(T0 * 1000, 6)],
             "exemplars": [(T0 * 1000 - 500, 6, {"trace_id": "abc"})]}],
            metadata=[("h", 3, "What it \"is\".", "seconds"), ("h_count_total", 1, "Counts.", "")])

    def test_histogram(self):
        want = {"count": "8", "sum": "18.4", "buckets": [[3, "-0.001", "0.001", "4"], [0, "0.5", "1", "1"], [0, "4", "8", "3"]]}
        self.assertEqual(self.query("h", T0)["result"], [{"metric": {"__name__": "h"}, "histogram": [T0, want]}])
        self.assertEqual(self.query_range("h", T0, T0 + 60, 60), [{"metric": {"__name__": "h"}, "histograms": [[T0, want], [T0 + 60, want]]}])
        self.assertEqual(self.query("histogram_count(h)", T0)["result"], [{"metric": {}, "value": [T0, "8"]}])

    def test_metadata(self):
        get = self.server.get
        self.assertEqual(get("/api/v1/metadata").data(), {"h": [{"type": "histogram", "unit": "seconds", "help": 'What it "is".'}],
                                                          "h_count_total": [{"type": "counter", "unit": "", "help": "Counts."}]})
        self.assertEqual(list(get("/api/v1/metadata", metric="h").data()), ["h"])
        self.assertEqual(get("/api/v1/metadata", metric="x").data(), {})
        self.assertEqual(len(get("/api/v1/metadata", limit=1).data()), 1)
        self.check_error(get("/api/v1/metadata", limit="x"), 400, "bad_data", "limit must be a number")

    def test_exemplars(self):
        want = [{"seriesLabels": {"__name__": "h_count_total"}, "exemplars": [
            {"labels": {"trace_id": "abc"}, "value": "6", "timestamp": T0 - 0.5}]}]
        get = self.server.get
        self.assertEqual(get("/api/v1/query_exemplars", query="rate(h_count_total[5m])", start=T0 - 60, end=T0).data(), want)
        self.assertEqual(get("/api/v1/query_exemplars", query="h_count_total", start=T0, end=T0 + 60).data(), [])
        self.check_error(get("/api/v1/query_exemplars", query="h_count_total", start=2, end=1), 400, "bad_data",
                         "end timestamp must not be before start timestamp")
        self.assertEqual(get("/api/v1/query_exemplars", query="1").status, 204)
        self.check_error(get("/api/v1/query_exemplars", query="h{", start=2, end=3), 400, "bad_data", re.compile("1:3: parse error"))


@unittest.skipUnless(shutil.which("promtool"), "promtool is not here")
class Promtool(Case):
    @classmethod
    def fill(cls):
        """promtool asks for series and labels around now."""
        cls.t = int(time.time()) // 60 * 60 - 600
        cls.server.write_text("".join(f'http_requests_total{{host="{h}"}} {i * 10} {(cls.t + 15 * i) * 1000}\n' for i in range(5) for h in "ab"))

    def promtool(self, *words):
        r = subprocess.run(["promtool", "query", *words], capture_output=True, text=True, timeout=60)
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stdout

    def test_instant(self):
        out = self.promtool("instant", "-o", "json", "--time", str(self.t + 60), self.server.url, 'http_requests_total{host="a"}')
        self.assertEqual(json.loads(out), [{"metric": {"__name__": "http_requests_total", "host": "a"}, "value": [self.t + 60, "40"]}])

    def test_range(self):
        out = self.promtool("range", "-o", "json", "--start", str(self.t), "--end", str(self.t + 60), "--step", "30s", self.server.url,
                            'http_requests_total{host="a"}')
        self.assertEqual(json.loads(out)[0]["values"], [[self.t, "0"], [self.t + 30, "20"], [self.t + 60, "40"]])

    def test_series(self):
        out = self.promtool("series", "--match", "http_requests_total", self.server.url)
        self.assertEqual(out.count("http_requests_total"), 2)

    def test_labels(self):
        self.assertEqual(self.promtool("labels", self.server.url, "host").split(), ["a", "b"])


if __name__ == "__main__":
    unittest.main()
