"""A proxy that breaks things on purpose, between a client of S3 and a server of it.

`fault(request)` says what happens to a request (method, path with query, number from 1): None lets it through; a number answers
with that status and an S3 error; "cut" sends half of the answer's body, "lost" cuts before an answer though the server did
its work, "stall" never answers, "flip-up" and "flip-down" change a byte of the request's or of the answer's body, "etag" changes
the ETag, and a pair (status, body) is answered as it is."""
import http.client
import http.server
import threading
import time

CODES = {403: "AccessDenied", 404: "NoSuchBucket", 429: "SlowDown", 500: "InternalError", 503: "SlowDown", 507: "InsufficientStorage"}


def flip(body):
    return body[:-1] + bytes([body[-1] ^ 1]) if body else body


class Request:
    def __init__(self, method, path, number):
        self.method, self.path, self.number = method, path, number


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *args):
        pass

    def reply(self, status, body, headers=()):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def hang_up(self):
        self.wfile.flush()
        self.close_connection = True

    def forward(self, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "content-length"):
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        framing = ("transfer-encoding", "connection") + (() if self.command == "HEAD" else ("content-length",))
        kept = [(n, v) for n, v in answer.getheaders() if n.lower() not in framing]
        return answer.status, data, kept

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            request = Request(self.command, self.path, len(self.server.requests) + 1)
            self.server.requests.append(request)
            fault = self.server.fault(request) if self.server.fault else None
        if isinstance(fault, int):
            text = f"<Error><Code>{CODES[fault]}</Code><Message>as the test wants</Message></Error>"
            return self.reply(fault, text.encode())
        if isinstance(fault, tuple):
            return self.reply(fault[0], fault[1].encode())
        if fault == "stall":
            time.sleep(30)
            return self.hang_up()
        status, data, headers = self.forward(flip(body) if fault == "flip-up" else body)
        if fault == "lost":
            return self.hang_up()
        if fault == "etag":
            headers = [(n, '"' + "0" * 32 + '"' if n.lower() == "etag" else v) for n, v in headers]
        if fault == "cut":
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(data) + 1))
            self.end_headers()
            self.wfile.write(data[:len(data) // 2])
            return self.hang_up()
        return self.reply(status, flip(data) if fault == "flip-down" else data, headers)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on


class Proxy(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, upstream):
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream, self.fault, self.lock, self.requests = upstream, None, threading.Lock(), []

    def start(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self
