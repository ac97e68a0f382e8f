#!/usr/bin/env python3
"""InfluxDB's writes, pushed text, JSON lines, CSV and OTLP over HTTP: what is stored, and how faults are answered."""
import gzip
import json
import struct
import time
import unittest

from silex_server import Server, field, varint

T = int(time.time()) - 60  # inside of the lookback


def double(number, v):
    return varint(number << 3 | 1) + struct.pack("<d", v)


def fixed(number, v):
    return varint(number << 3 | 1) + struct.pack("<Q", v & (1 << 64) - 1)


class Ingest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().start()

    @classmethod
    def tearDownClass(cls):
        assert cls.s.stop() == 0, cls.s.text_of_log()

    def post(self, path, body, tenant, **headers):
        body = body if isinstance(body, bytes) else body.encode()
        return self.s.request("POST", path, body, {"X-Scope-OrgID": tenant, **{k.replace("_", "-"): v for k, v in headers.items()}})

    def vector(self, query, tenant, at=T + 30):
        data = self.s.get("/api/v1/query", {"X-Scope-OrgID": tenant}, query=query, time=at).data()
        return {json.dumps(r["metric"], sort_keys=True): r["value"][1] for r in data["result"]}

    # ---- InfluxDB ----

    def test_line_protocol_of_both_versions(self):
        r = self.post("/write?db=telegraf&rp=autogen&precision=ms&u=me&p=secret", f"cpu,host=a usage=1.5,idle=3i,ok=true,s=\"x\" {T}000\n", "influx")
        self.assertEqual((r.status, r.body), (204, b""))
        r = self.post("/api/v2/write?org=o&bucket=b&precision=s", gzip.compress(f"mem,host=a value=7u {T}\n".encode()), "influx", Content_Encoding="gzip")
        self.assertEqual((r.status, r.body), (204, b""))
        self.assertEqual(self.vector('{host="a"}', "influx"), {
            '{"__name__": "cpu_idle", "db": "telegraf", "host": "a"}': "3",
            '{"__name__": "cpu_ok", "db": "telegraf", "host": "a"}': "1",
            '{"__name__": "cpu_usage", "db": "telegraf", "host": "a"}': "1.5",
            '{"__name__": "mem", "db": "b", "host": "a"}': "7",
        })

    def test_precisions(self):
        for word, unit in {"ns": 1, "us": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}.items():
            ticks = T * 10**9 // unit
            self.assertEqual(self.post(f"/write?precision={word}", f"p{word} value=1 {ticks}", "precision").status, 204)
            found = self.s.get("/api/v1/query", {"X-Scope-OrgID": "precision"}, query=f"p{word}[2h]", time=T + 1).data()
            self.assertEqual(found["result"][0]["values"][-1][0], ticks * unit // 10**6 / 1000)
        r = self.post("/write?precision=weeks", "a b=1", "precision")
        self.assertEqual(r.status, 400)
        self.assertIn("precision", r.json()["error"])

    def test_good_lines_of_a_bad_request_are_stored(self):
        r = self.post("/write?precision=s", f"good v=1 {T}\nbad line\nworse v= {T}\n", "partial")
        self.assertEqual(r.status, 400)
        self.assertRegex(r.json()["error"], r"^partial write: 2 bad lines, the first: line 2, column 9: .*; 1 samples stored$")
        self.assertEqual(self.vector("good_v", "partial"), {'{"__name__": "good_v"}': "1"})
        r = self.post("/api/v2/write", "bad", "partial")
        self.assertEqual((r.status, r.json()["code"]), (400, "invalid"))
        self.assertIn("unable to parse", r.json()["message"])

    def test_what_agents_ask(self):
        r = self.s.get("/ping")
        self.assertEqual((r.status, r.body), (204, b""))
        self.assertTrue(r.headers["X-Influxdb-Version"])
        self.assertEqual(self.s.request("HEAD", "/ping").status, 204)
        self.assertEqual(self.s.get("/health").json()["status"], "pass")
        self.assertEqual(self.s.post_form("/query", q='CREATE DATABASE "telegraf"').json(), {"results": [{"statement_id": 0}]})
        self.assertIn("series", self.s.get("/query", q="show databases").json()["results"][0])
        r = self.s.get("/query", q="SELECT * FROM cpu")
        self.assertEqual(r.status, 400)
        self.assertIn("PromQL", r.json()["error"])

    def test_a_tenant_does_not_see_another(self):
        self.assertEqual(self.post("/write", f"mine v=1 {T}000000000", "one").status, 204)
        self.assertEqual(self.vector("mine_v", "two"), {})
        self.assertEqual(self.post("/write", "a b=1", "no/slash").status, 400)

    # ---- text ----

    def test_exposition(self):
        text = f'# HELP up Is it up?\n# TYPE up gauge\nup{{x="1"}} 1 {T}000\nup{{x="2"}} NaN {T}000\n'
        self.assertEqual(self.post("/api/v1/import/prometheus?extra_label=dc=eu", text, "text").status, 204)
        self.assertEqual(self.vector("up", "text"), {'{"__name__": "up", "dc": "eu", "x": "1"}': "1", '{"__name__": "up", "dc": "eu", "x": "2"}': "NaN"})
        r = self.post("/api/v1/import/prometheus/metrics/job/batch/instance/i1", f"done 1 {T}000\n", "text")
        self.assertEqual(r.status, 204)
        self.assertEqual(self.vector("done", "text"), {'{"__name__": "done", "instance": "i1", "job": "batch"}': "1"})
        r = self.post("/api/v1/import/prometheus", f"fine 1 {T}000\nbroken{{ 1\n", "text")
        self.assertEqual(r.status, 400)
        self.assertRegex(r.body.decode(), r"^1 bad lines, the first: line 2, column \d+: .*; 1 samples stored\n$")
        self.assertEqual(self.s.get("/api/v1/metadata", {"X-Scope-OrgID": "text"}, metric="up").data(), {"up": [{"type": "gauge", "help": "Is it up?", "unit": ""}]})

    def test_openmetrics_with_exemplars(self):
        text = f'# TYPE hits counter\nhits_total{{}} 5 {T}.5 # {{trace_id="abc"}} 0.7 {T}.25\n# EOF\n'
        r = self.post("/api/v1/import/prometheus", text, "om", Content_Type="application/openmetrics-text; version=1.0.0; charset=utf-8")
        self.assertEqual(r.status, 204, r.body)
        data = self.s.get("/api/v1/query_exemplars", {"X-Scope-OrgID": "om"}, query="hits_total", start=T - 10, end=T + 10).data()
        self.assertEqual(data, [{"seriesLabels": {"__name__": "hits_total"}, "exemplars": [{"labels": {"trace_id": "abc"}, "value": "0.7", "timestamp": T + 0.25}]}])

    def test_json_lines_and_csv(self):
        lines = json.dumps({"metric": {"__name__": "j", "a": "b"}, "values": [1, 2], "timestamps": [T * 1000, T * 1000 + 500]}) + "\n"
        self.assertEqual(self.post("/api/v1/import", lines, "json").status, 204)
        self.assertEqual(self.vector("j", "json"), {'{"__name__": "j", "a": "b"}': "2"})
        r = self.post("/api/v1/import", lines + "{\"metric\":\n", "json")
        self.assertEqual(r.status, 400)
        self.assertIn("line 2", r.body.decode())
        r = self.post("/api/v1/import/csv?labels=ward", f"time,ward,hr,spo2\n{T},icu,72,98\n{T + 1},icu,73,\n", "csv")
        self.assertEqual(r.status, 204, r.body)
        self.assertEqual(self.vector('{ward="icu"}', "csv"), {'{"__name__": "hr", "ward": "icu"}': "73", '{"__name__": "spo2", "ward": "icu"}': "98"})

    # ---- OTLP ----

    RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}, {"key": "service.instance.id", "value": {"stringValue": "i1"}},
                               {"key": "os.type", "value": {"stringValue": "linux"}}]}

    def otlp(self, metrics, tenant):
        doc = {"resourceMetrics": [{"resource": self.RESOURCE, "scopeMetrics": [{"scope": {"name": "lib"}, "metrics": metrics}]}]}
        return self.post("/v1/metrics", json.dumps(doc), tenant, Content_Type="application/json")

    def test_otlp_json(self):
        at = {"timeUnixNano": str(T * 10**9), "startTimeUnixNano": "1"}
        r = self.otlp([
            {"name": "http.requests", "unit": "{request}", "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [
                {**at, "asInt": "5", "attributes": [{"key": "http.method", "value": {"stringValue": "GET"}}]}]}},
            {"name": "cpu.utilization", "unit": "1", "gauge": {"dataPoints": [{**at, "asDouble": 0.25}]}},
            {"name": "latency", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [
                {**at, "count": "6", "sum": 3.5, "bucketCounts": ["1", "2", "3"], "explicitBounds": [0.1, 1]}]}},
            {"name": "size", "summary": {"dataPoints": [{**at, "count": "2", "sum": 9, "quantileValues": [{"quantile": 0.5, "value": 4}]}]}},
            {"name": "work", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [
                {**at, "count": "7", "sum": 10, "scale": 1, "zeroCount": "1", "positive": {"offset": 0, "bucketCounts": ["2", "4"]}}]}},
        ], "otlp")
        self.assertEqual((r.status, r.json()), (200, {}))
        self.assertEqual(r.headers["Content-Type"], "application/json")
        me = '"instance": "i1", "job": "shop"'
        self.assertEqual(self.vector('{job="shop",__name__!~"work|target_info"}', "otlp"), {
            f'{{"__name__": "http_requests_total", "http_method": "GET", {me}}}': "5",
            f'{{"__name__": "cpu_utilization_ratio", {me}}}': "0.25",
            f'{{"__name__": "latency_seconds_bucket", {me}, "le": "0.1"}}': "1",
            f'{{"__name__": "latency_seconds_bucket", {me}, "le": "1"}}': "3",
            f'{{"__name__": "latency_seconds_bucket", {me}, "le": "+Inf"}}': "6",
            f'{{"__name__": "latency_seconds_sum", {me}}}': "3.5",
            f'{{"__name__": "latency_seconds_count", {me}}}': "6",
            f'{{"__name__": "size", {me}, "quantile": "0.5"}}': "4",
            f'{{"__name__": "size_sum", {me}}}': "9",
            f'{{"__name__": "size_count", {me}}}': "2",
        })
        self.assertEqual(self.vector("target_info", "otlp"), {f'{{"__name__": "target_info", {me}, "os_type": "linux"}}': "1"})
        self.assertEqual(self.vector("histogram_count(work)", "otlp"), {f'{{{me}}}': "7"})
        native = self.s.get("/api/v1/query", {"X-Scope-OrgID": "otlp"}, query="work", time=T + 30).data()["result"][0]["histogram"][1]
        bounds = [[round(float(x), 9) for x in b[1:]] for b in native["buckets"][-2:]]
        self.assertEqual(bounds, [[1, 1.414213562, 2], [1.414213562, 2, 4]])

    def test_otlp_deltas_are_added_up(self):
        for i, v in enumerate((5, 3)):
            at = {"timeUnixNano": str((T + i) * 10**9)}
            r = self.otlp([
                {"name": "d", "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [{**at, "asDouble": v}]}},
                {"name": "h", "histogram": {"aggregationTemporality": 1, "dataPoints": [{**at, "count": v, "sum": v, "bucketCounts": [v, 0], "explicitBounds": [1]}]}},
                {"name": "e", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [
                    {**at, "count": v, "sum": v, "scale": 0, "positive": {"offset": i, "bucketCounts": [v]}}]}},
            ], "delta")
            self.assertEqual((r.status, r.json()), (200, {}))
        self.assertEqual(list(self.vector("d_total", "delta").values()), ["8"])
        self.assertEqual(list(self.vector('h_bucket{le="1"}', "delta").values()), ["8"])
        self.assertEqual(list(self.vector("histogram_count(e)", "delta").values()), ["8"])
        r = self.otlp([{"name": "d", "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [{"timeUnixNano": str(T * 10**9), "asInt": "1"}]}}], "delta")
        self.assertEqual(r.status, 200)
        self.assertEqual(r.json()["partialSuccess"]["rejectedDataPoints"], "1")
        self.assertIn("after the one before", r.json()["partialSuccess"]["errorMessage"])

    def test_otlp_protobuf(self):
        point = fixed(3, T * 10**9) + double(4, 2.5)
        metric = field(1, "temp") + field(3, "Cel") + field(5, field(1, point))
        body = field(1, field(2, field(2, metric)))
        r = self.post("/api/v1/otlp/v1/metrics", body, "pb", Content_Type="application/x-protobuf")
        self.assertEqual((r.status, r.body, r.headers["Content-Type"]), (200, b"", "application/x-protobuf"))
        self.assertEqual(self.vector("temp_celsius", "pb"), {'{"__name__": "temp_celsius"}': "2.5"})
        r = self.post("/v1/metrics", body[:-3], "pb", Content_Type="application/x-protobuf")
        self.assertEqual((r.status, r.headers["Content-Type"]), (400, "application/x-protobuf"))
        self.assertIn(b"at byte", r.body)
        self.assertEqual(self.post("/v1/metrics", body, "pb", Content_Type="text/plain").status, 415)
        r = self.post("/v1/metrics", "{", "pb", Content_Type="application/json")
        self.assertEqual((r.status, r.json()["code"]), (400, 3))


if __name__ == "__main__":
    unittest.main()
