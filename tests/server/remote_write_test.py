"""Remote write 1.0 and 2.0 and remote read, end to end: what is taken, what is refused and how, what comes back."""
import concurrent.futures
import re
import struct
import time
import unittest

from silex_server import Server, field, histogram, labels_field, snappy, varint, write_request, zigzag

T0 = 1600000000000
V1 = "application/x-protobuf;proto=prometheus.WriteRequest"
V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def raw_series(labels, samples):
    """Labels in the order given, be they good or bad."""
    body = b"".join(field(1, field(1, k) + field(2, v)) for k, v in labels)
    return body + b"".join(field(2, field(1, float(v)) + field(2, t)) for t, v in samples)


def int_histogram(t, start=0):
    out = field(1, 7) + field(3, 12.5) + field(4, zigzag(1)) + field(5, 0.001) + field(6, 1)
    out += field(11, field(1, zigzag(0)) + field(2, 3)) + field(12, bytes([2, 4, 1])) + field(15, t)
    return out + (field(17, start) if start else b"")


class Symbols:
    def __init__(self):
        self.list = [""]

    def __call__(self, text):
        if text not in self.list:
            self.list.append(text)
        return self.list.index(text)

    def refs(self, labels):
        return b"".join(varint(self(k)) + varint(self(v)) for k, v in sorted(labels.items()))


def request_2(series):
    """series: labels, samples [(ms, value, start)], histograms [bytes], exemplars [(ms, value, labels)], metadata (type, help, unit)."""
    symbols, out = Symbols(), b""
    for s in series:
        body = field(1, symbols.refs(s["labels"]))
        for t, v, start in s.get("samples", ()):
            body += field(2, field(1, float(v)) + field(2, t) + (field(3, start) if start else b""))
        for h in s.get("histograms", ()):
            body += field(3, h)
        for t, v, labels in s.get("exemplars", ()):
            body += field(4, field(1, symbols.refs(labels)) + field(2, float(v)) + field(3, t))
        if "metadata" in s:
            kind, text, unit = s["metadata"]
            body += field(5, field(1, kind) + field(3, symbols(text)) + field(4, symbols(unit)))
        out += field(5, body)
    return b"".join(field(4, x) for x in symbols.list) + out


def zstd(data):
    """A frame of raw blocks."""
    out = struct.pack("<IBQ", 0xFD2FB528, 0xE0, len(data))
    pieces = [data[i:i + 65536] for i in range(0, len(data), 65536)] or [b""]
    for i, piece in enumerate(pieces):
        out += struct.pack("<I", len(piece) << 3 | (i == len(pieces) - 1))[:3] + piece
    return out


def unsnappy(data):
    n = shift = at = 0
    while True:
        n |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            break
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            size = tag >> 2
            if size >= 60:
                k = size - 59
                size = int.from_bytes(data[at:at + k], "little")
                at += k
            out += data[at:at + size + 1]
            at += size + 1
            continue
        if tag & 3 == 1:
            size, back, at = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at], at + 1
        else:
            k = 2 if tag & 3 == 2 else 4
            size, back, at = (tag >> 2) + 1, int.from_bytes(data[at:at + k], "little"), at + k
        for _ in range(size):
            out.append(out[-back])
    assert len(out) == n
    return bytes(out)


def fields(data):
    """(number, value) of a message: bytes, or the integer on the wire."""
    at = 0

    def number():
        nonlocal at
        v = shift = 0
        while True:
            v |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if data[at - 1] < 0x80:
                return v
    while at < len(data):
        tag = number()
        if tag & 7 == 0:
            yield tag >> 3, number()
        elif tag & 7 == 1:
            yield tag >> 3, int.from_bytes(data[at:at + 8], "little")
            at += 8
        else:
            n = number()
            yield tag >> 3, data[at:at + n]
            at += n


def f64(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


class RemoteWrite(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, cls.server.text_of_log()

    def post(self, body, path="/api/v1/write", type=V1, encoding="snappy", packed=snappy):
        headers = {"Content-Type": type, "Content-Encoding": encoding}
        return self.server.request("POST", path, packed(body) if packed else body, {k: v for k, v in headers.items() if v is not None})

    def points(self, selector, t=T0 + 60000, window="2m"):
        data = self.server.get("/api/v1/query", query=f"{selector}[{window}]", time=t / 1000).data()
        return {tuple(sorted(r["metric"].items())): [(int(float(t) * 1000), float(v)) for t, v in r["values"]] for r in data["result"]}

    def only(self, selector, **how):
        found = self.points(selector, **how)
        self.assertEqual(len(found), 1, found)
        return next(iter(found.values()))

    # ---- what is taken ----

    def test_every_path(self):
        for i, path in enumerate(("/api/v1/write", "/api/v1/push", "/api/prom/push", "/prometheus/api/v1/write", "/prometheus/api/v1/push")):
            r = self.post(write_request([{"labels": {"__name__": f"path_{i}"}, "samples": [(T0, i)]}]), path=path)
            self.assertEqual((r.status, r.body), (204, b""), path)
            self.assertEqual(self.only(f"path_{i}"), [(T0, i)])

    def test_values(self):
        odd = [0.0, -0.0, float("inf"), 5e-324, 1.7976931348623157e308]
        samples = [(T0 + i, v) for i, v in enumerate(odd)]
        for type, encoding, packed in ((None, None, snappy), ("application/x-protobuf", "snappy", snappy), (V1, "zstd", zstd)):
            name = f"values_{encoding}_{type is None}"
            self.assertEqual(self.post(write_request([{"labels": {"__name__": name, "a": "é"}, "samples": samples}]), type=type, encoding=encoding,
                packed=packed).status, 204)
            self.assertEqual(repr(self.only(name)), repr(samples))

    def test_times(self):
        samples = [(-5000, 1), (0, 2), (1, 3)]
        self.post(write_request([{"labels": {"__name__": "times"}, "samples": samples[::-1]}]))
        self.assertEqual(self.only("times", t=1000), samples)
        self.post(write_request([{"labels": {"__name__": "far"}, "samples": [(-9000000000000, 1), (9000000000000, 2)]}]))
        self.assertEqual(self.only("far", t=9000000000000), [(9000000000000, 2)])
        self.assertEqual(self.only("far", t=-9000000000000), [(-9000000000000, 1)])

    def test_again_and_corrected(self):
        series = [{"labels": {"__name__": "again"}, "samples": [(T0, 1), (T0 + 1, 2)]}]
        self.post(write_request(series))
        self.post(write_request(series))
        series[0]["samples"] = [(T0 + 1, 3)]
        self.post(write_request(series))
        self.assertEqual(self.only("again"), [(T0, 1), (T0 + 1, 3)])

    def test_stale_marker(self):
        self.post(write_request([{"labels": {"__name__": "stale"}, "samples": [(T0, 1), (T0 + 1000, STALE)]}]))
        self.assertEqual(self.server.get("/api/v1/query", query="stale", time=T0 / 1000).data()["result"][0]["value"][1], "1")
        self.assertEqual(self.server.get("/api/v1/query", query="stale", time=T0 / 1000 + 1).data()["result"], [])

    def test_label_order_does_not_matter(self):
        for i, labels in enumerate(([("__name__", "order"), ("a", "1"), ("b", "2")], [("b", "2"), ("__name__", "order"), ("a", "1"), ("c", "")])):
            self.assertEqual(self.post(field(1, raw_series(labels, [(T0 + i, i)]))).status, 204)
        self.assertEqual(self.only("order"), [(T0, 0), (T0 + 1, 1)])

    def test_many_series_and_samples(self):
        for k in range(2):
            series = [{"labels": {"__name__": "many", "i": str(i)}, "samples": [(T0 + k * 20 + j, i) for j in range(20)]} for i in range(1000)]
            self.assertEqual(self.post(write_request(series)).status, 204)
        data = self.server.get("/api/v1/query", query="sum(count_over_time(many[1m]))", time=T0 / 1000 + 30).data()
        self.assertEqual(data["result"][0]["value"][1], "40000")

    # ---- 2.0 ----

    def test_version_2(self):
        labels = {"__name__": "two_total", "job": "x"}
        body = request_2([
            {"labels": labels, "samples": [(T0, 1, T0 - 1000), (T0 + 1000, 2, 0)], "exemplars": [(T0, 0.5, {"trace_id": "abc"})],
                "metadata": (1, "how many", "things")},
            {"labels": {"__name__": "two_h"}, "histograms": [int_histogram(T0, T0 - 1000)]},
        ])
        for _ in range(2):
            r = self.post(body, type=V2)
            self.assertEqual(r.status, 204, r.body)
            written = [r.headers[f"X-Prometheus-Remote-Write-{x}-Written"] for x in ("Samples", "Histograms", "Exemplars")]
            self.assertEqual(written, ["2", "1", "1"])
        self.assertEqual(self.points("two_total"), {tuple(sorted(labels.items())): [(T0, 1), (T0 + 1000, 2)]})
        self.assertEqual(self.server.get("/api/v1/query", query="histogram_count(two_h)", time=T0 / 1000).data()["result"][0]["value"][1], "7")
        self.assertEqual(self.server.get("/api/v1/metadata", metric="two_total").data(),
            {"two_total": [{"type": "counter", "unit": "things", "help": "how many"}]})
        exemplars = self.server.get("/api/v1/query_exemplars", query="two_total", start=T0 / 1000 - 1, end=T0 / 1000 + 1).data()
        self.assertEqual(exemplars[0]["exemplars"], [{"labels": {"trace_id": "abc"}, "value": "0.5", "timestamp": T0 / 1000}])

    def test_version_2_partly(self):
        body = request_2([{"labels": {"__name__": "partly"}, "samples": [(T0, 1, 0)]}, {"labels": {"nameless": "1"}, "samples": [(T0, 1, 0), (T0 + 1, 1, 0)]}])
        r = self.post(body, type=V2)
        self.assertEqual(r.status, 400)
        self.assertEqual(r.headers["X-Prometheus-Remote-Write-Samples-Written"], "1")
        self.assertRegex(r.body.decode(), r'^stored 1 samples, refused 2; first: \{nameless="1"\}: .*__name__')
        self.assertEqual(self.only("partly"), [(T0, 1)])

    # ---- histograms, exemplars, metadata by 1.0 ----

    def test_beside_samples(self):
        h = {"t": T0, "count": 5, "sum": 2.5, "schema": 0, "spans": [(0, 2)], "counts": [2, 3]}
        body = write_request([{"labels": {"__name__": "beside"}, "histograms": [h]},
            {"labels": {"__name__": "beside_x"}, "samples": [(T0, 1)], "exemplars": [(T0, 1, {"id": "1"})]}], [("beside", 3, "a help", "s")])
        self.assertEqual(self.post(body).status, 204)
        self.assertEqual(self.server.get("/api/v1/query", query="histogram_sum(beside)", time=T0 / 1000).data()["result"][0]["value"][1], "2.5")
        self.assertEqual(self.server.get("/api/v1/metadata", metric="beside").data(), {"beside": [{"type": "histogram", "unit": "s", "help": "a help"}]})
        self.assertEqual(len(self.server.get("/api/v1/query_exemplars", query="beside_x", start=T0 / 1000 - 1, end=T0 / 1000 + 1).data()), 1)
        h["counts"] = [2]
        r = self.post(write_request([{"labels": {"__name__": "beside"}, "histograms": [h]}]))
        self.assertEqual(r.status, 400)
        self.assertRegex(r.body.decode(), r"^stored 0 samples, refused 1; first: beside: ")

    # ---- what is refused ----

    def refused(self, labels, words):
        name = dict(labels).get("__name__", "none")
        good = write_request([{"labels": {"__name__": "good", "beside": name + words}, "samples": [(T0, 1)]}])
        r = self.post(good + field(1, raw_series(labels, [(T0, 1), (T0 + 1, 2)])))
        self.assertEqual(r.status, 400)
        self.assertTrue(r.headers["Content-Type"].startswith("text/plain"))
        line = r.body.decode().splitlines()[0]
        self.assertTrue(line.startswith("stored 1 samples, refused 2; first: {"), line)
        self.assertIn(words, line)
        self.assertEqual(self.only(f'good{{beside="{name + words}"}}'), [(T0, 1)])

    def test_bad_labels(self):
        self.refused([("__name__", "dup"), ("a", "1"), ("a", "2")], "given twice")
        self.refused([("a", "1")], "__name__")
        self.refused([("__name__", "")], "__name__")
        self.refused([("__name__", "m"), ("", "1")], "empty")
        self.refused([("__name__", "m"), ("a", b"\xff\xfe")], "UTF-8")
        self.refused([("__name__", "m"), ("a", "x" * 9000)], "8192")
        self.refused([("__name__", "m")] + [(f"l{i}", "x") for i in range(128)], "128")
        self.refused([], "__name__")

    def test_out_of_range(self):
        r = self.post(write_request([{"labels": {"__name__": "oor"}, "samples": [(9223372036855, 1), (T0, 2)]}]))
        self.assertEqual(r.status, 400)
        self.assertRegex(r.body.decode(), r"^stored 1 samples, refused 1; first: oor: the time is outside")
        self.assertEqual(self.only("oor"), [(T0, 2)])

    def test_broken_protobuf(self):
        good = write_request([{"labels": {"__name__": "broken"}, "samples": [(T0, 1)]}])
        r = self.post(good + b"\x0a\x50\x12")
        self.assertEqual(r.status, 400)
        self.assertRegex(r.body.decode(), r"^stored 1 samples, refused 0; then the request broke off: .*offset \d+")
        self.assertEqual(self.only("broken"), [(T0, 1)])

    def test_wrong_kind_of_request(self):
        body = write_request([{"labels": {"__name__": "wrong"}, "samples": [(T0, 1)]}])
        for type in ("application/json", "application/x-protobuf;proto=other.Request", "text/plain"):
            self.assertEqual(self.post(body, type=type).status, 415, type)
        for encoding in ("gzip", "br"):
            self.assertEqual(self.post(body, encoding=encoding).status, 415, encoding)
        self.assertEqual(self.server.get("/api/v1/write").status, 405)
        self.assertEqual(self.points("wrong"), {})

    def test_bad_compression(self):
        body = snappy(write_request([{"labels": {"__name__": "cut"}, "samples": [(T0, 1)]}]))
        for bad in (b"", body[:-3], body + b"x", varint(1 << 40) + body[1:], varint((32 << 20) + 1) + body[1:], b"\xff" * 40):
            r = self.post(bad, packed=None)
            self.assertEqual(r.status, 400, bad[:10])
        self.assertEqual(self.post(b"\x28\xb5\x2f\xfd junk", packed=None, encoding="zstd").status, 400)
        self.assertEqual(self.post(zstd(b"x" * 1000)[:-3], packed=None, encoding="zstd").status, 400)
        self.assertEqual(self.points("cut"), {})

    def test_zstd_bomb(self):
        # blocks of one repeated byte: 131,072 bytes out of four
        bomb = struct.pack("<IBB", 0xFD2FB528, 0x00, 0x38) + (struct.pack("<I", 131072 << 3 | 1 << 1)[:3] + b"a") * 400
        r = self.post(bomb, packed=None, encoding="zstd")
        self.assertEqual(r.status, 400)
        self.assertIn(b"decompressed", r.body)

    def test_body_over_limit(self):
        r = self.post(b"x" * (33 << 20), packed=None)
        self.assertEqual(r.status, 400)

    # ---- remote read ----

    def read(self, *queries, types=b""):
        """[{labels: ([(ms, value)], [histogram fields])}] for queries (start, end, [(op, name, value)])."""
        body = b""
        for start, end, matchers in queries:
            body += field(1, field(1, start) + field(2, end) + b"".join(field(3, field(1, op) + field(2, n) + field(3, v)) for op, n, v in matchers))
        r = self.server.request("POST", "/api/v1/read", snappy(body + types), {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})
        if r.status != 200:
            return r
        self.assertEqual((r.headers["Content-Type"], r.headers["Content-Encoding"]), ("application/x-protobuf", "snappy"))
        results = []
        for _, result in fields(unsnappy(r.body)):
            results.append({})
            for _, series in fields(result):
                labels, samples, histograms = [], [], []
                for number, part in fields(series):
                    values = dict(fields(part))
                    if number == 1:
                        labels.append((values[1].decode(), values[2].decode()))
                    elif number == 2:
                        samples.append((values[2], f64(values[1])))
                    else:
                        histograms.append(values)
                results[-1][tuple(labels)] = (samples, histograms)
        return results

    def test_remote_read(self):
        self.post(write_request([{"labels": {"__name__": "rr", "i": str(i)}, "samples": [(T0 + k, i * k) for k in range(300)]} for i in range(3)]))
        self.post(field(1, labels_field({"__name__": "rr_h"}) + field(4, int_histogram(T0)) + field(4, histogram(
            {"t": T0 + 1, "count": 5.5, "sum": 2.5, "schema": 0, "spans": [(-1, 2)], "counts": [2, 3.5]}))))
        one, two, none = self.read((T0 + 10, T0 + 12, [(0, "__name__", "rr"), (3, "i", "0|1")]), (T0, T0 + 299, [(2, "i", "1|2"), (0, "__name__", "rr")]),
            (T0, T0, [(0, "__name__", "nothing")]))
        self.assertEqual(one, {(("__name__", "rr"), ("i", "2")): ([(T0 + 10, 20), (T0 + 11, 22), (T0 + 12, 24)], [])})
        self.assertEqual([len(x[0]) for x in two.values()], [300, 300])
        self.assertEqual(none, {})
        (_, (first, second)), = self.read((T0, T0 + 9, [(0, "__name__", "rr_h")]))[0].values()
        self.assertEqual((first[1], f64(first[3]), first[12], first[15]), (7, 12.5, bytes([2, 4, 1]), T0))
        self.assertEqual((f64(second[2]), second[13]), (5.5, struct.pack("<dd", 2, 3.5)))

    def test_remote_read_refused(self):
        self.assertEqual(self.read((0, 1, [(7, "a", "b")])).status, 400)
        self.assertEqual(self.read((0, 1, [(2, "a", "(")])).status, 400)
        self.assertEqual(self.read((0, 1, []), types=field(2, 1)).status, 400)
        self.assertEqual(self.server.request("POST", "/api/v1/read", b"junk").status, 400)


class Limits(unittest.TestCase):
    def test_series_limit(self):
        with Server(env={"SILEX_STORAGE_SERIES_LIMIT": "10"}) as s:
            series = [{"labels": {"__name__": "m", "i": str(i)}, "samples": [(T0, 1)]} for i in range(15)]
            r = s.request("POST", "/api/v1/write", snappy(write_request(series)), {"Content-Type": V1, "Content-Encoding": "snappy"})
            self.assertEqual(r.status, 400)
            self.assertTrue(re.match(rb'stored 10 samples, refused 5; first: \{__name__="m",i="10"\}: series limit', r.body), r.body)

    def test_memory(self):
        """More series than heads may hold at once: some requests are told to come again, none is lost."""
        bodies = [snappy(write_request([{"labels": {"__name__": "m", "i": str(i), "path": f"/some/longer/path/{i}/of/a/thing"}, "samples": [(T0 + k, i)]}
            for i in range(2000 * k, 2000 * k + 2000)])) for k in range(30)]
        with Server(env={"SILEX_STORAGE_MEMORY_LIMIT": "16MB", "SILEX_STORAGE_WRITE_WAIT": "1ms"}) as s:
            def send(body):
                told = []
                for attempt in range(500):
                    r = s.request("POST", "/api/v1/write", body, {"Content-Type": V1, "Content-Encoding": "snappy"})
                    if r.status == 204:
                        return told
                    told.append((r.status, r.headers["Retry-After"]))
                    time.sleep(0.02)
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                told = list(pool.map(send, bodies))
            self.assertNotIn(None, told)
            self.assertEqual({t for each in told for t in each}, {(503, "5")})
            found = 0
            for digit in range(10):
                data = s.get("/api/v1/query", query=f'count(last_over_time(m{{i=~".*{digit}"}}[1m]))', time=T0 / 1000 + 30).data()
                found += int(data["result"][0]["value"][1])
            self.assertEqual(found, 60000)


if __name__ == "__main__":
    unittest.main()
