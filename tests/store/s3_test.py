#!/usr/bin/env python3
"""S3 against the small server of s3_server.py, which checks signatures: the store suite, what goes over the wire, and what
happens when the way to the server or the server itself is broken (proxy.py)."""
import datetime
import os
import random
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))
import proxy  # noqa: E402
import s3_server  # noqa: E402

BUILD = os.path.join(os.environ.get("SLX_BUILD_DIR", "build"), "tests/store")
KEYS = {"AWS_ACCESS_KEY_ID": s3_server.KEY, "AWS_SECRET_ACCESS_KEY": s3_server.SECRET}
PARTS = 11 << 20  # three parts of 5 MB


def run(program, *words, **environment):
    env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return subprocess.run([os.path.join(BUILD, program), *map(str, words)], env={**env, **KEYS, **environment}, capture_output=True,
                          text=True, timeout=240)


class Case(unittest.TestCase):
    def setUp(self):
        self.server = s3_server.Server().start()
        self.proxy = proxy.Proxy(self.server.server_port).start()
        for s in (self.server, self.proxy):
            self.addCleanup(s.server_close)
            self.addCleanup(s.shutdown)

    def url(self, **options):
        return self.server.url(endpoint=f"http://127.0.0.1:{self.proxy.server_port}", part_mb=5, **{"retry": "20s", **options})

    def do(self, *words, status="ok", url=None, **environment):
        """Runs one operation; its message. The secret is never in it."""
        result = run("store_tool", url or self.url(), *words, **environment)
        self.assertNotIn(s3_server.SECRET, result.stdout + result.stderr)
        last = result.stdout.splitlines()[-1]
        got, _, message = last.partition(": ")
        self.assertEqual(got, status, result.stdout + result.stderr)
        self.assertNotEqual(result.returncode, 3, "memory is left")
        return message


class Suite(Case):
    def test_suite(self):
        result = run("store_suite", self.url())
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual((self.server.uploads, self.server.buckets["silex"]), ({}, {}))


class Wire(Case):
    def test_encryption_is_asked_for_where_objects_begin(self):
        url = self.url(sse="aws:kms", sse_kms_key_id="key%2F1")
        self.do("put", "small", 10, url=url)
        self.do("put", "large", PARTS, url=url)
        self.do("get", "small", 0, 10, url=url)
        asked = {(m, re.sub(r"=[^&]*", "", p.partition("?")[2])) for m, p, h in self.server.log
                 if h.get("x-amz-server-side-encryption") == "aws:kms" and h["x-amz-server-side-encryption-aws-kms-key-id"] == "key/1"}
        self.assertEqual(asked, {("PUT", ""), ("POST", "uploads")})

    def test_session_token(self):
        self.server.token = "of-an-hour"
        self.do("put", "a", 1, AWS_SESSION_TOKEN="of-an-hour")
        self.assertIn("AWS_SESSION_TOKEN", self.do("size", "a", AWS_SESSION_TOKEN="old", status="permission denied"))

    def test_virtual_host(self):
        self.server.virtual = True
        url = self.server.url(endpoint=f"http://localhost:{self.server.server_port}", path_style=0)
        self.do("put", "a", 100, url=url)
        self.assertEqual(self.do("get", "a", 10, 90, url=url), "as put")
        self.assertEqual(list(self.server.buckets["silex"]), ["here/a"])

    def test_others_in_the_bucket(self):
        self.server.buckets["silex"].update({"here/x/y": b"", "her": b"", "here/\x01": b"", "here/.x": b"", "here/b <&>": b"", "here/ok": b""})
        result = run("store_tool", self.url(), "list")
        self.assertEqual(result.stdout, "ok\nok: \n")

    def test_leftovers(self):
        old = datetime.datetime.utcnow() - datetime.timedelta(days=2)
        now = datetime.datetime.utcnow()
        self.server.uploads.update({"1": {"key": "here/old", "at": old}, "2": {"key": "here/new", "at": now}, "3": {"key": "heretic", "at": old}})
        self.do("put", "a", 1)
        self.assertEqual(sorted(self.server.uploads), ["2", "3"])


class Settings(Case):
    def test_wrong_keys(self):
        for verb in (("put", "a", 1), ("get", "a", 0, 1), ("size", "a"), ("list",), ("remove", "a")):
            message = self.do(*verb, status="permission denied", AWS_SECRET_ACCESS_KEY="wrong")
            self.assertTrue(message.startswith("store archive: "), message)
            self.assertIn("secret_key, or AWS_SECRET_ACCESS_KEY", message)
        self.assertEqual([r.method for r in self.proxy.requests].count("GET"), 5)  # a refusal is not asked for again
        self.assertIn("AWS_ACCESS_KEY_ID", self.do("list", status="permission denied", AWS_ACCESS_KEY_ID="nobody"))
        self.assertIn("set access_key", self.do("list", status="permission denied", AWS_ACCESS_KEY_ID=""))

    def test_clock(self):
        for hours, word in ((3, "behind"), (-3, "ahead")):
            self.server.skew = datetime.timedelta(hours=hours)
            self.assertRegex(self.do("list", status="permission denied"), f"clock is (3h|2h59m5[0-9]s) {word}: set it right")

    def test_region_and_urls(self):
        self.assertIn("set region", self.do("list", url=self.url(region="eu-north-1"), status="invalid argument"))
        for url, words in (("s3://b", "bucket"), ("s3://AKIA:secret@bucket/x", "keys do not belong into a url"), ("s3://bucket?part_mb=1", "part_mb=1"),
                           ("s3://bucket?nothing=1", "expected options"), ("s3://bucket?endpoint=ftp://x", "endpoint=ftp"), ("s3://bucket?sse=x", "sse=x"),
                           ("s3://bucket?retry=1y", "retry=1y"), ("s3://bucket?endpoint", "OPTION=VALUE"), ("s3://bucket?region=a%zz", "OPTION=VALUE"),
                           ("s4://bucket", "no kind of store"), ("folder:", "names no folder")):
            self.assertIn(words, self.do("list", url=url, status="invalid argument"))

    def test_bucket_gone(self):
        """Never "no such object": data would be taken for lost."""
        del self.server.buckets["silex"]
        for verb in (("put", "a", 1), ("get", "a", 0, 1), ("size", "a"), ("list",), ("remove", "a")):
            self.assertIn("has no bucket silex: create it", self.do(*verb, status="unavailable"))

    def test_nobody_there(self):
        gone = self.server.url(endpoint="http://127.0.0.1:1", retry="300ms")
        for verb in (("put", "a", 1), ("get", "a", 0, 1), ("size", "a"), ("list",), ("remove", "a")):
            self.assertIn("store archive: GET http://127.0.0.1:1: ", self.do(*verb, url=gone, status="unavailable"))
        self.proxy.fault = lambda r: (404, "<html>nothing here</html>")
        self.assertIn("is it an S3 server? check endpoint", self.do("get", "a", 0, 1, status="unavailable"))
        self.proxy.fault = lambda r: (200, "what?")
        self.assertIn("not what S3 answers", self.do("list", status="unavailable"))

    def test_stop_ends_a_long_retry(self):
        self.proxy.fault = lambda r: 503
        self.assertIn("being closed", self.do("stop", url=self.url(retry="1h"), status="canceled"))


class Faults(Case):
    def test_it_passes(self):
        """Three of ten requests fail, in each way; everything gets there."""
        chance = random.Random(7)
        for kind in (500, 503, 429, "cut", "lost", "stall"):
            with self.subTest(kind):
                self.proxy.requests.clear()
                self.proxy.fault = lambda r, kind=kind: kind if chance.random() < 0.3 else None
                url = self.url(timeout="1s")
                name = f"a{kind}"
                self.do("put", name, 1000, url=url)
                self.assertEqual(self.do("get", name, 5, 900, url=url), "as put")
                if kind == "stall":
                    continue
                self.assertEqual(self.do("size", name, url=url), "1000")
                self.do("put", name + "-large", PARTS, url=url)
                self.assertEqual(self.do("get", name + "-large", 0, PARTS, url=url), "as put")
                self.do("remove", name, url=url)
        # a lost answer to "begin" leaves an upload that nobody knows the id of: a leftover
        self.assertEqual([u for u in self.server.uploads.values() if set(u) != {"key", "at"}], [])

    def test_it_does_not_pass(self):
        self.do("put", "a", 1000)
        for kind, status, words in ((503, "unavailable", "503 SlowDown"), ("cut", "unavailable", "tries"), ("stall", "deadline exceeded", "tries"),
                                    (403, "permission denied", "needs the right"), (507, "resource exhausted", "507")):
            with self.subTest(kind):
                self.proxy.requests.clear()
                self.proxy.fault = lambda r, kind=kind: kind
                self.assertIn(words, self.do("get", "a", 0, 1000, url=self.url(retry="3s", timeout="1s"), status=status))
                more = len(self.proxy.requests) > 1
                self.assertEqual(more, kind in (503, "cut", "stall"))

    def test_damaged_uploads_are_sent_again(self):
        for kind in ("flip-up", "etag"):
            with self.subTest(kind):
                hit = []
                self.proxy.fault = lambda r, kind=kind, hit=hit: kind if r.method == "PUT" and not hit.append(r) and len(hit) % 2 else None
                self.do("put", f"small{kind}", 1000)
                self.do("put", f"large{kind}", PARTS)
                self.assertEqual(len(hit), 2 + 6)
                self.assertEqual(self.do("get", f"large{kind}", 0, PARTS), "as put")
        self.proxy.fault = lambda r: "flip-down" if r.method == "GET" else None
        self.assertEqual(self.do("get", "smalletag", 0, 1000), "other bytes")  # blocks carry checksums for this

    def test_a_part_that_fails_leaves_nothing(self):
        self.proxy.fault = lambda r: 503 if "partNumber=2" in r.path else None
        self.do("put", "a", PARTS, url=self.url(retry="300ms"), status="unavailable")
        self.assertEqual((self.server.uploads, self.server.buckets["silex"]), ({}, {}))
        self.do("get", "a", 0, 1, status="not found")

    def test_completion_that_fails_late(self):
        """200 with an error in it, as S3 does."""
        self.proxy.fault = lambda r: (200, "<Error><Code>InternalError</Code></Error>") if r.method == "POST" and "uploadId" in r.path else None
        self.assertIn("could not put the parts together: InternalError", self.do("put", "a", PARTS, status="unavailable"))
        self.assertEqual((self.server.uploads, self.server.buckets["silex"]), ({}, {}))


if __name__ == "__main__":
    unittest.main()
