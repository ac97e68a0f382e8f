#!/usr/bin/env python3
"""A small S3 server for tests: objects in memory, path style, ranges, lists with pages, multipart uploads. It checks every
signature by an implementation of its own, payload hashes and Content-MD5, and keeps what it was sent in `log`.

    s3_server.py [PORT]      buckets "silex" and "other", keys "test-key" / "test-secret", region "us-east-1"
"""
import base64
import datetime
import hashlib
import hmac
import http.server
import sys
import threading
import urllib.parse
from xml.sax.saxutils import escape

KEY, SECRET, REGION = "test-key", "test-secret", "us-east-1"


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(secret, method, path, query, headers, names, payload_hash, time, scope):
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    quoted = "&".join(f"{urllib.parse.quote(k, safe='-_.~')}={urllib.parse.quote(v, safe='-_.~')}" for k, v in pairs)
    lines = "".join(f"{n}:{' '.join(headers[n].split())}\n" for n in names)
    canonical = "\n".join([method, path, quoted, lines, ";".join(names), payload_hash])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = sign(key, part)
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


class Refusal(Exception):
    def __init__(self, status, code, message=""):
        self.status, self.code, self.message = status, code, message


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # header and body in one packet

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=()):
        if isinstance(body, str):
            body = body.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def date_time_string(self, timestamp=None):
        return (datetime.datetime.utcnow() + self.server.skew).strftime("%a, %d %b %Y %H:%M:%S GMT")

    def check_signature(self, path, query, body):
        headers = {n.lower(): v for n, v in self.headers.items()}
        kind, _, rest = headers.get("authorization", "").partition(" ")
        if kind != "AWS4-HMAC-SHA256":
            raise Refusal(403, "AccessDenied", "not signed")
        fields = dict(f.strip().split("=", 1) for f in rest.split(","))
        key, scope = fields["Credential"].split("/", 1)
        names = fields["SignedHeaders"].split(";")
        time = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        if key != KEY:
            raise Refusal(403, "InvalidAccessKeyId", "no such key")
        if abs(datetime.datetime.utcnow() + self.server.skew - time) > datetime.timedelta(minutes=15):
            raise Refusal(403, "RequestTimeTooSkewed", "clocks differ")
        if scope.split("/")[1] != REGION:
            raise Refusal(400, "AuthorizationHeaderMalformed", f"the region is '{REGION}'")
        if "host" not in names or names != sorted(names) or any(n.startswith("x-amz-") and n not in names for n in headers):
            raise Refusal(403, "AccessDenied", "headers are not signed")
        payload = headers["x-amz-content-sha256"]
        if signature(SECRET, self.command, path, query, headers, names, payload, headers["x-amz-date"], scope) != fields["Signature"]:
            raise Refusal(403, "SignatureDoesNotMatch", "it does not match")
        if payload != hashlib.sha256(body).hexdigest():
            raise Refusal(400, "XAmzContentSHA256Mismatch", "the payload is not what was signed")
        if self.server.token and headers.get("x-amz-security-token") != self.server.token:
            raise Refusal(403, "InvalidToken", "no good token")
        md5 = headers.get("content-md5")
        if md5 and base64.b64decode(md5) != hashlib.md5(body).digest():
            raise Refusal(400, "BadDigest", "the payload is not what Content-MD5 says")

    def route(self):
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            self.server.log.append((self.command, self.path, {n.lower(): v for n, v in self.headers.items()}))
        try:
            self.check_signature(path, query, body)
            args = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
            parts = urllib.parse.unquote(path).lstrip("/").split("/", 1)
            if self.server.virtual:
                parts = [self.headers["Host"].split(".")[0], "/".join(parts)]
            if parts[0] not in self.server.buckets:
                raise Refusal(404, "NoSuchBucket", "no such bucket")
            with self.server.lock:
                self.act(self.server.buckets[parts[0]], parts[1] if len(parts) > 1 else "", args, body)
        except Refusal as r:
            self.answer(r.status, f"<?xml version=\"1.0\"?>\n<Error><Code>{r.code}</Code><Message>{r.message}</Message></Error>")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = route

    def act(self, bucket, key, args, body):
        method = self.command
        if not key:
            return self.uploads_of(args) if "uploads" in args else self.list(bucket, args)
        if method in ("GET", "HEAD"):
            return self.get(bucket, key)
        if method == "PUT" and "partNumber" in args:
            self.upload(args)[int(args["partNumber"])] = body
            return self.answer(200, headers=[("ETag", f'"{hashlib.md5(body).hexdigest()}"')])
        if method == "PUT":
            bucket[key] = body
            return self.answer(200, headers=[("ETag", f'"{hashlib.md5(body).hexdigest()}"')])
        if method == "POST" and "uploads" in args:
            upload = f"up/{len(self.server.uploads)}+ a="
            self.server.uploads[upload] = {"key": key, "at": datetime.datetime.utcnow()}
            return self.answer(200, f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>")
        if method == "POST":
            return self.complete(bucket, key, args, body)
        if method == "DELETE" and "uploadId" in args:
            self.upload(args)
            del self.server.uploads[args["uploadId"]]
            return self.answer(204)
        bucket.pop(key, None)
        return self.answer(204)

    def upload(self, args):
        if args["uploadId"] not in self.server.uploads:
            raise Refusal(404, "NoSuchUpload", "no such upload")
        return self.server.uploads[args["uploadId"]]

    def complete(self, bucket, key, args, body):
        upload = self.upload(args)
        numbers = sorted(n for n in upload if isinstance(n, int))
        etags = "".join(f"<ETag>\"{hashlib.md5(upload[n]).hexdigest()}\"</ETag>" for n in numbers)
        sent = "".join(f"<ETag>{t.split(b'</ETag>')[0].decode()}</ETag>" for t in body.split(b"<ETag>")[1:])
        if etags != sent or any(len(upload[n]) < 5 << 20 for n in numbers[:-1]):
            raise Refusal(400, "InvalidPart", "parts differ or are too small")
        bucket[key] = b"".join(upload[n] for n in numbers)
        del self.server.uploads[args["uploadId"]]
        self.answer(200, "<CompleteMultipartUploadResult><ETag>\"x-2\"</ETag></CompleteMultipartUploadResult>")

    def get(self, bucket, key):
        if key not in bucket:
            raise Refusal(404, "NoSuchKey", "no such key")
        data, span = bucket[key], self.headers.get("Range")
        if not span:
            return self.answer(200, data)
        first, last = (int(x) for x in span.split("=")[1].split("-"))
        if first >= len(data):
            raise Refusal(416, "InvalidRange", "not in the object")
        part = data[first:last + 1]
        self.answer(206, part, [("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(data)}")])

    def list(self, bucket, args):
        after = base64.b64decode(args.get("continuation-token", "")).decode()
        keys = sorted(k for k in bucket if k.startswith(args.get("prefix", "")) and k > after)
        page, rest = keys[:1000], keys[1000:]
        quote = urllib.parse.quote if args.get("encoding-type") == "url" else escape
        text = "".join(f"<Contents><Key>{quote(k)}</Key><Size>{len(bucket[k])}</Size></Contents>" for k in page)
        if rest:
            text += f"<NextContinuationToken>{base64.b64encode(page[-1].encode()).decode()}</NextContinuationToken>"
        self.answer(200, f"<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                         f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated>{text}</ListBucketResult>")

    def uploads_of(self, args):
        text = "".join(f"<Upload><Key>{escape(u['key'])}</Key><UploadId>{escape(i)}</UploadId>"
                       f"<Initiated>{u['at'].strftime('%Y-%m-%dT%H:%M:%S.000Z')}</Initiated></Upload>"
                       for i, u in self.server.uploads.items() if u["key"].startswith(args.get("prefix", "")))
        self.answer(200, f"<ListMultipartUploadsResult>{text}</ListMultipartUploadsResult>")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.lock = threading.RLock()
        self.buckets = {"silex": {}, "other": {}}
        self.uploads = {}
        self.log = []
        self.skew = datetime.timedelta()
        self.token = None
        self.virtual = False

    def start(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def url(self, bucket="silex", prefix="here", **options):
        options = {"endpoint": f"http://127.0.0.1:{self.server_port}", **options}
        return f"s3://{bucket}/{prefix}?" + "&".join(f"{k}={v}" for k, v in options.items())


if __name__ == "__main__":
    server = Server(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
