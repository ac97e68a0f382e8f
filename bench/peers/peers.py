#!/usr/bin/env python3
"""Silex beside Debian's victoria-metrics and prometheus: the same points in, the same questions asked, in the same run.

    make bench-peers                 # or: bench/peers/peers.py --silex build/silex --feed build/bench/feed [--quick] [row...]

Rows: rw rwk lp many queries small live. A server that is not installed is left out and said so. CPU seconds are the server's own
(/proc/PID/stat: 10 ms grain); the machine's noise moves them by some 10 %. Every load is read back: the number of points and their sum must be
what the generator sent, and answers to queries agree to 1e-9, but that VictoriaMetrics keeps the metric name in quantile_over_time."""
import argparse
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")
START = 1767225600  # 2026-01-01


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Peer:
    """A server on loopback with a directory of its own."""

    def __init__(self, name, work):
        self.name, self.dir, self.port = name, tempfile.mkdtemp(prefix=name + "-", dir=work), free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.p = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if urllib.request.urlopen(self.url + self.ready, timeout=2).status == 200:
                    return self
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.name} did not start: {open(self.log.name, errors='replace').read()[-2000:]}")

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        self.p.wait(60)
        shutil.rmtree(self.dir, ignore_errors=True)

    def cpu(self):
        with open(f"/proc/{self.p.pid}/stat") as f:
            v = f.read().rsplit(")", 1)[1].split()
        return (int(v[11]) + int(v[12])) / TICK

    def memory(self, key):
        with open(f"/proc/{self.p.pid}/status") as f:
            for line in f:
                if line.startswith(key + ":"):
                    return int(line.split()[1]) * 1024
        return 0

    def stored(self):
        total = 0
        for folder, _, files in os.walk(os.path.join(self.dir, "data")):
            for name in files:
                try:
                    total += os.lstat(os.path.join(folder, name)).st_size
                except OSError:
                    pass
        return total

    def get(self, path, **params):
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode({**params, **self.extra})}", timeout=300) as r:
            return json.loads(r.read())

    def query(self, expr, at):
        return self.get("/api/v1/query", query=expr, time=at)["data"]["result"]

    extra = {}

    def settle(self):
        pass


class Silex(Peer):
    ready, rw, lp = "/-/ready", "/api/v1/write", "/write"

    def command(self):
        return [args.silex, "serve", "--data", self.dir + "/data", "--listen", f"127.0.0.1:{self.port}", "--enable-admin"]


class VictoriaMetrics(Peer):
    ready, rw, lp, extra = "/health", "/api/v1/write", "/write", {"nocache": "1"}

    def command(self):
        return ["victoria-metrics", f"-storageDataPath={self.dir}/data", f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y", "-loggerLevel=WARN"]

    def settle(self):
        urllib.request.urlopen(self.url + "/internal/force_flush", timeout=60).read()


class Prometheus(Peer):
    ready, rw, lp = "/-/ready", "/api/v1/write", None

    def command(self):
        path = os.path.join(self.dir, "p.yml")
        with open(path, "w") as f:
            f.write("storage: {tsdb: {out_of_order_time_window: 100y}}\n")
        return ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={self.dir}/data", f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=200y", "--log.level=error"]


def feed(*words):
    out = subprocess.run([args.feed, *map(str, words)], capture_output=True, text=True)
    if out.returncode:
        raise SystemExit(f"feed: {out.stderr}")
    return json.loads(out.stdout)


def table(title, rows, columns):
    print(f"\n{title}\n")
    widths = [max(len(str(r[i])) for r in [columns, *rows]) for i in range(len(columns))]
    for r in [columns, ["-" * w for w in widths], *rows]:
        print("  " + "  ".join(str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(r, widths))))
    sys.stdout.flush()


# ---- writing ----


def read_back(peer, end, days=2):
    """How many points the server has of the fleet, and their sum."""
    total, amount = 0.0, 0.0
    for f in FIELDS:
        for word in ("count", "sum"):
            r = peer.query(f"sum({word}_over_time(cpu_{f}[{days}d]))", end)
            value = float(r[0]["value"][1]) if r else 0.0
            if word == "count":
                total += value
            else:
                amount += value
    return total, amount


def load(kind, peer, wait, **options):
    path = peer.lp if kind == "lp" else peer.rw
    before = peer.cpu()
    r = feed("write", "lp" if kind == "lp" else "rw", f"127.0.0.1:{peer.port}", path, *(f"{k}={v}" for k, v in options.items()))
    if r["errors"]:
        raise SystemExit(f"{peer.name}: {r['errors']} requests failed")
    peer.settle()
    time.sleep(wait)
    r["cpu"] = peer.cpu() - before
    r["peak"] = peer.memory("VmHWM")
    r["rss"] = peer.memory("VmRSS")
    r["stored"] = peer.stored()
    return r


def ingest(kind, title, decimals, peers, **more):
    rows = []
    options = {"points": 864 if args.quick else 8640, "decimals": decimals, **more}
    for make in peers:
        peer = make(make.__name__.lower(), args.work)
        if kind == "lp" and not peer.lp:
            continue
        peer.start()
        r = load(kind, peer, 5 if args.quick else 60, **options)
        count, amount = read_back(peer, START + options["points"] * options.get("step", 10))
        same = count == r["points"] and math.isclose(amount, r["sum"], rel_tol=1e-9)
        rows.append([peer.name, f"{r['cpu'] / r['points'] * 1e6:.3f}", f"{r['points'] / r['seconds'] / 1e6:.2f}", f"{r['stored'] / r['points']:.3f}", f"{r['peak'] / 2**20:.0f}",
                     f"{r['rss'] / 2**20:.0f}", f"{r['p50_ms']:.1f} / {r['p99_ms']:.1f}", "all read back" if same else f"DIFFERS: {count:.0f} points of {r['points']}"])
        peer.stop()
    table(title, rows, ["server", "CPU s/Mpoint", "Mpoints/s", "bytes/point", "peak MB", "RSS MB", "request p50 / p99 ms", "points"])


# ---- reading ----

HOSTS8 = "host_2|host_11|host_23|host_37|host_48|host_59|host_76|host_93"
FIELDS = ["usage_user", "usage_system", "usage_idle", "usage_nice", "usage_iowait", "usage_irq", "usage_softirq", "usage_steal", "usage_guest", "usage_guest_nice"]


def each(expr):
    return " or ".join(f'label_replace({expr.replace("$F", f)}, "f", "{f}", "", "")' for f in FIELDS)


# name, expression, from, to, step (None: instant), seconds after START. Off the 10 s grid by 5 s, so that open and closed windows hold the same points.
QUERIES = [
    ("single-groupby-1-1-1", 'max by (hostname) (max_over_time(cpu_usage_user{hostname="host_7"}[1m]))', 7205, 10805, 60),
    ("single-groupby-1-8-1", f'max by (hostname) (max_over_time(cpu_usage_user{{hostname=~"{HOSTS8}"}}[1m]))', 36005, 39605, 60),
    ("double-groupby-1", "avg by (hostname) (avg_over_time(cpu_usage_user[1h]))", 10805, 54005, 3600),
    ("double-groupby-all", each("avg by (hostname) (avg_over_time(cpu_$F[1h]))"), 10805, 54005, 3600),
    ("cpu-max-all-8", each(f'max by (hostname) (max_over_time(cpu_$F{{hostname=~"{HOSTS8}"}}[1h]))'), 18005, 46805, 3600),
    ("high-cpu-1", 'cpu_usage_user{hostname="host_2"} > 90', 7205, 50405, 10),
    ("high-cpu-all", "cpu_usage_user > 90", 7205, 50405, 10),
    ("lastpoint", "last_over_time(cpu_usage_user[5m])", 86395, None, None),
    ("lastpoint-all", '{__name__=~"cpu_usage_.+"}', 86395, None, None),
    ("quantile-region", "quantile by (region) (0.99, cpu_usage_user)", 7205, 28805, 60),
    ("quantile-over-time", f'quantile_over_time(0.95, cpu_usage_user{{hostname=~"{HOSTS8}"}}[1h])', 7205, 50405, 300),
    ("fullscan-datacenter", "avg by (datacenter) (avg_over_time(cpu_usage_system[5m]))", 305, 86105, 300),
    ("binop-service", "max by (service) (cpu_usage_user + cpu_usage_system)", 7205, 10805, 60),
]


def ask(peer, query):
    _, expr, start, end, step = query
    if step is None:
        return peer.get("/api/v1/query", query=expr, time=START + start)
    return peer.get("/api/v1/query_range", query=expr, start=START + start, end=START + end, step=step)


def flat(answer):
    out = {}
    for s in answer["data"]["result"]:
        key = tuple(sorted(s["metric"].items()))
        for t, v in s.get("values", [s["value"]] if "value" in s else []):
            out[key, t] = float(v)
    return out


def agree(a, b):
    return a.keys() == b.keys() and all(x == b[k] or math.isclose(x, b[k], rel_tol=1e-9) or (x != x and b[k] != b[k]) for k, x in a.items())


def cpu_of_query(peer, query, seconds):
    """CPU ms a query, over at least so many CPU seconds; and the median wall ms."""
    ask(peer, query), ask(peer, query)
    n, walls, before, end = 0, [], peer.cpu(), time.monotonic() + 60
    while peer.cpu() - before < seconds and time.monotonic() < end:
        for _ in range(20):
            t = time.monotonic()
            ask(peer, query)
            walls.append(time.monotonic() - t)
            n += 1
    return (peer.cpu() - before) / n * 1e3, sorted(walls)[len(walls) // 2] * 1e3


def queries(peers):
    up = [make(make.__name__.lower(), args.work).start() for make in peers]
    for p in up:
        load("rw", p, 2, points=8640, decimals=0)
    rows = []
    for q in QUERIES:
        answers = [flat(ask(p, q)) for p in up]
        row = [q[0], len(answers[0])]
        for p in up:  # in turn
            cpu, wall = cpu_of_query(p, q, 0.3 if args.quick else 5)
            row.append(f"{cpu:.3f} / {wall:.2f}")
        apart = [p.name for p, a in zip(up[1:], answers[1:]) if not agree(answers[0], a)]
        row.append("DIFFER from " + ", ".join(apart) if apart else "agree")
        rows.append(row)
    table("queries over 8.64 M points: CPU ms / wall ms a query", rows, ["query", "values", *(p.name for p in up), "answers"])
    return up


def small(up):
    rows = []
    path = "/api/v1/query_range?" + urllib.parse.urlencode({"query": QUERIES[0][1], "start": START + QUERIES[0][2], "end": START + QUERIES[0][3], "step": 60})
    for p in up:
        before = p.cpu()
        r = feed("read", f"127.0.0.1:{p.port}", path + "".join(f"&{k}={v}" for k, v in p.extra.items()), "conns=16", f"seconds={2 if args.quick else 6}")
        rows.append([p.name, f"{r['requests'] / r['seconds']:.0f}", f"{(p.cpu() - before) / r['requests'] * 1e3:.4f}", f"{r['p50_ms']:.2f} / {r['p99_ms']:.2f}", r["errors"]])
    table("small queries at 16 connections (single-groupby-1-1-1)", rows, ["server", "queries/s", "CPU ms", "p50 / p99 ms", "errors"])


def live(peers):
    """The last 5 minutes of one series while 200,000 points a second come in: the median of five runs' p99."""
    rows = []
    for make in peers:
        peer = make(make.__name__.lower(), args.work).start()
        now, p99s = int(time.time()), []
        seconds = 6 if args.quick else 12
        for run in range(2 if args.quick else 5):
            writer = subprocess.Popen([args.feed, "write", "rw", f"127.0.0.1:{peer.port}", peer.rw, "hosts=1000", f"points={20 * seconds}", "rate=200000", "step=1",
                                       f"start={now - 600 + run * 20 * seconds}"], stdout=subprocess.PIPE)
            time.sleep(2)
            expr = urllib.parse.urlencode({"query": 'cpu_usage_user{hostname="host_7"}[5m]', "time": now - 590 + run * 20 * seconds})
            r = feed("read", f"127.0.0.1:{peer.port}", f"/api/v1/query?{expr}", "conns=1", f"seconds={seconds - 4}")
            writer.wait()
            p99s.append(r["p99_ms"])
        rows.append([peer.name, f"{sorted(p99s)[len(p99s) // 2]:.2f}", " ".join(f"{x:.2f}" for x in p99s)])
        peer.stop()
    table("last 5 minutes of one series while 200 k points/s come in", rows, ["server", "median p99 ms", "runs"])


def main():
    global args
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--silex", default="build/silex")
    parser.add_argument("--feed", default="build/bench/feed")
    parser.add_argument("--work", default=None, help="where the servers keep their data (a temporary folder)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the points, shorter waits")
    parser.add_argument("--alone", action="store_true", help="only Silex")
    parser.add_argument("rows", nargs="*")
    args = parser.parse_args()
    rows = args.rows or ["rw", "rwk", "lp", "many", "queries", "small", "live"]
    made = args.work is None
    args.work = args.work or tempfile.mkdtemp(prefix="silex-peers-")
    peers = [Silex]
    for make, program in ((VictoriaMetrics, "victoria-metrics"), (Prometheus, "prometheus")):
        if args.alone or not shutil.which(program):
            print(f"{program} is {'left out' if args.alone else 'not installed: left out'}")
        else:
            peers.append(make)
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "?")
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} processors ({model}), load {os.getloadavg()[0]:.1f}")
    try:
        for decimals, name in ((0, "integers"), (2, "two decimals")):
            if "rw" in rows:
                ingest("rw", f"remote write, 1 sample a TimeSeries, {name}", decimals, peers)
        if "rwk" in rows:
            ingest("rw", "remote write, 20 samples a TimeSeries, integers", 0, peers, per=20)
        if "lp" in rows:
            ingest("lp", "line protocol, integers", 0, peers)
        if "many" in rows:
            ingest("rw", "1 M new series, three samples each", 2, peers, hosts=10000 if args.quick else 100000, points=3, step=15)
        if "queries" in rows or "small" in rows:
            up = queries(peers)
            if "small" in rows:
                small(up)
            for p in up:
                p.stop()
        if "live" in rows:
            live(peers)
    finally:
        if made:
            shutil.rmtree(args.work, ignore_errors=True)


if __name__ == "__main__":
    main()
