#!/usr/bin/env python3
"""collectd: its write_prometheus scraped, its write_graphite received. Values go in by its socket, so that they are known."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from silex_server import Server, free_port

COLLECTD = shutil.which("collectd", path=os.environ.get("PATH", "") + ":/usr/sbin")

CONFIG = """Hostname "h1"
BaseDir "{dir}"
PIDFile "{dir}/pid"
TypesDB "/usr/share/collectd/types.db"
LoadPlugin unixsock
LoadPlugin write_prometheus
LoadPlugin write_graphite
<Plugin unixsock>
  SocketFile "{dir}/socket"
</Plugin>
<Plugin write_prometheus>
  Host "127.0.0.1"
  Port "{page}"
</Plugin>
<Plugin write_graphite>
  <Node "silex">
    Host "127.0.0.1"
    Port "{graphite}"
    Protocol "tcp"
    Prefix "collectd."
    SeparateInstances true
    StoreRates false
  </Node>
</Plugin>
"""

SERVER = """graphite:
  listen: 127.0.0.1:{graphite}
  templates: ['collectd.* .host.plugin.instance.metric*']
scrape_configs:
  - job_name: collectd
    scrape_interval: 500ms
    scrape_timeout: 400ms
    honor_labels: true
    static_configs:
      - targets: ['127.0.0.1:{page}']
"""


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.05)


@unittest.skipUnless(COLLECTD, "collectd-core is not installed")
class Collectd(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="silex-collectd-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.ports = {"page": free_port(), "graphite": free_port(), "dir": self.dir}
        server = Server("--config", self.file("silex.yml", SERVER))
        self.server = server.__enter__()
        self.addCleanup(server.__exit__)
        self.collectd = subprocess.Popen([COLLECTD, "-f", "-C", self.file("collectd.conf", CONFIG)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end)

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text.format(**self.ports))
        return path

    def end(self):
        self.collectd.terminate()
        self.collectd.wait(20)

    def put(self, *lines):
        """Hands values to collectd, which sends them on."""
        def connect():
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(os.path.join(self.dir, "socket"))
                return s
            except OSError:
                s.close()
        with wait_for(connect) as s, s.makefile("rw") as f:
            for line in lines:
                f.write(f"PUTVAL {line}\n")
                f.flush()
                self.assertTrue(f.readline().startswith("0 "), line)

    def series(self, query):
        """Labels but for the target's, as JSON, to value."""
        data = self.server.get("/api/v1/query", query=query).data()
        return {json.dumps({k: v for k, v in r["metric"].items() if k != "job"}, sort_keys=True): r["value"][1] for r in data["result"]}

    def arrived(self, query, expected):
        expected = {json.dumps(labels, sort_keys=True): value for labels, value in expected}
        wait_for(lambda: self.series(query) == expected)
        self.assertEqual(self.series(query), expected)

    def test_collectd(self):
        self.put('"h1/bath-b2/temperature-water" interval=10 N:37.25', '"h1/cpu-0/cpu-idle" interval=10 N:12345',
                 '"h1/net-x/if_octets-eth0" interval=10 N:100:200', '"h1/odd-y/gauge-none" interval=10 N:U')
        with self.subTest("write_prometheus"):
            self.arrived('{job="collectd",__name__=~"collectd_.*",__name__!~".*odd.*"}', [
                ({"__name__": "collectd_bath_temperature", "bath": "b2", "type": "water", "instance": "h1"}, "37.25"),
                ({"__name__": "collectd_cpu_total", "cpu": "0", "type": "idle", "instance": "h1"}, "12345"),
                ({"__name__": "collectd_net_if_octets_rx_total", "net": "x", "type": "eth0", "instance": "h1"}, "100"),
                ({"__name__": "collectd_net_if_octets_tx_total", "net": "x", "type": "eth0", "instance": "h1"}, "200")])
            self.arrived("collectd_odd_gauge", [({"__name__": "collectd_odd_gauge", "odd": "y", "type": "none", "instance": "h1"}, "NaN")])
            self.assertEqual([m["type"] for m in self.server.get("/api/v1/metadata", metric="collectd_cpu_total").data()["collectd_cpu_total"]], ["counter"])
        self.end()  # write_graphite holds lines back until its buffer is full or it ends
        with self.subTest("write_graphite"):
            self.arrived('{job="",plugin!=""}', [
                ({"__name__": "temperature_water", "host": "h1", "plugin": "bath", "instance": "b2"}, "37.25"),
                ({"__name__": "cpu_idle", "host": "h1", "plugin": "cpu", "instance": "0"}, "12345"),
                ({"__name__": "if_octets_eth0_rx", "host": "h1", "plugin": "net", "instance": "x"}, "100"),
                ({"__name__": "if_octets_eth0_tx", "host": "h1", "plugin": "net", "instance": "x"}, "200"),
                ({"__name__": "gauge_none", "host": "h1", "plugin": "odd", "instance": "y"}, "NaN")])


if __name__ == "__main__":
    unittest.main() if COLLECTD else sys.exit(77)
