#!/usr/bin/env python3
"""latency.py [silex] [crossings]: from the write that crosses a threshold to its receipt by Alertmanager, webhook and WebSocket.

Each crossing is one HTTP write of one sample over a kept connection, by turns above and below the limit of a rule on arrival, with a pause
in between. Time runs from just before the request is sent to the moment when a receiver has the whole message; all on one machine and one
clock. Alertmanager is a receiver of our own that answers as it does, so that its own work is not in the figure; where Debian's is
installed a second one is the real thing, and what the server measures until its answer is told, too. Prints JSON with --json."""
import http.client
import json
import os
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "server"))
AS_JSON = "--json" in sys.argv
ARGS = [a for a in sys.argv[1:] if a != "--json"]
os.environ.setdefault("SLX_BUILD_DIR", os.path.join(ROOT, "build"))
sys.argv = [sys.argv[0]] + [a for a in ARGS if os.path.basename(a) == "silex"]
from receivers import ALERTMANAGER, Alertmanager, Receiver  # noqa: E402
from silex_server import Server  # noqa: E402
from websocket import WebSocket  # noqa: E402

CROSSINGS = next((int(a) for a in ARGS if a.isdigit()), 400)
WARM_UP = 20
PAUSE_S = 0.02


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def arrivals(receiver):
    """Waits for one more message; its time."""
    seen = len(receiver.got)

    def wait():
        with receiver.told:
            if not receiver.told.wait_for(lambda: len(receiver.got) > seen, 20):
                raise SystemExit("no message within 20 s")
            return receiver.got[seen][0]
    return wait


def follow(port, times, lock):
    ws = WebSocket(port, "/api/silex/v1/stream", timeout=60)
    ws.send({"id": 1, "type": "alerts"})
    assert ws.receive()["type"] == "alerts"

    def run():
        try:
            while (message := ws.receive()) is not None:
                if message["type"] == "alert":
                    with lock:
                        times.append(time.monotonic())
                        lock.notify_all()
        except (EOFError, OSError):
            pass
    threading.Thread(target=run, daemon=True).start()


def measure(server, manager, hook):
    times, lock = [], threading.Condition()
    follow(server.port, times, lock)
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    out = {"alertmanager": [], "webhook": [], "websocket": []}
    for i in range(WARM_UP + CROSSINGS):
        time.sleep(PAUSE_S)
        waits = arrivals(manager), arrivals(hook)
        seen, value = len(times), 130 if i % 2 == 0 else 90
        begin = time.monotonic()
        c.request("POST", "/api/v1/import/prometheus", f'hr{{bed="7"}} {value}\n')
        c.getresponse().read()
        row = [wait() for wait in waits]
        with lock:
            if not lock.wait_for(lambda: len(times) > seen, 20):
                raise SystemExit("nothing came over the WebSocket within 20 s")
            row.append(times[seen])
        if i >= WARM_UP:
            for name, at in zip(out, row):
                out[name].append((at - begin) * 1e3)
    return out


def main():
    manager, hook, am = Receiver(), Receiver(), Alertmanager().start() if ALERTMANAGER else None
    targets = [f"127.0.0.1:{manager.port}"]
    config = f"alerting: {{alertmanagers: [{{static_configs: [{{targets: {json.dumps(targets)}}}]}}"
    if am:
        config += f", {{path_prefix: '', static_configs: [{{targets: ['localhost:{am.port}']}}]}}"
    config += f"]}}\nnotify: {{resend_interval: 1h, log: false, webhooks: [{{name: hook, url: '{hook.url}/', secret: s3cret}}]}}\n"
    server = Server()
    path = os.path.join(server.dir, "bench.yml")
    with open(path, "w") as f:
        f.write(config)
    server.words += ["--config", path]
    with server:
        rule = {"name": "Tachycardia", "selector": "hr", "condition": ">", "limit": 120}
        r = server.request("POST", "/api/silex/v1/rules", json.dumps(rule), {"Content-Type": "application/json"})
        assert r.status in (200, 201), r.body
        got = measure(server, manager, hook)
        real = real_alertmanager_of(server, am)
    if am:
        am.stop()
    report(got, real)


def real_alertmanager_of(server, am):
    """Of what the server itself measured, up to Alertmanager's answer: the bucket that 99 of 100 lie in."""
    if not am:
        return None
    buckets = {}
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith("silex_notifications_latency_seconds_bucket") and f"localhost:{am.port}" in line:
            buckets[float(line.split('le="')[1].split('"')[0])] = float(line.split()[-1])
    total = max(buckets.values(), default=0)
    return min((le for le, n in buckets.items() if total and n >= 0.99 * total), default=None)


def report(got, real):
    rows = {name: {"n": len(ms), "p50_ms": quantile(ms, 0.5), "p99_ms": quantile(ms, 0.99), "max_ms": max(ms)} for name, ms in got.items()}
    if AS_JSON:
        print(json.dumps({"write_to_receipt": rows, "real_alertmanager_p99_below_s": real}))
        return
    print(f"{'write -> receipt':<18}{'n':>6}{'p50':>10}{'p99':>10}{'max':>10}   target p99 < 50 ms")
    for name, r in rows.items():
        print(f"{name:<18}{r['n']:>6}{r['p50_ms']:>8.2f}ms{r['p99_ms']:>8.2f}ms{r['max_ms']:>8.2f}ms   {'met' if r['p99_ms'] < 50 else 'MISSED'}")
    if real is not None:
        print(f"real Alertmanager, write to its answer, as the server measures: p99 <= {real * 1e3:g} ms")


if __name__ == "__main__":
    main()
