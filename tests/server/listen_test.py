#!/usr/bin/env python3
"""TCP listeners (line protocol, Graphite) and MQTT against a real broker that is killed and comes back."""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from silex_server import Server, free_port


def wait_for(what, seconds=15):
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.05)


class Listen(unittest.TestCase):
    def vector(self, s, query):
        data = s.get("/api/v1/query", query=query).data()
        return {json.dumps(r["metric"], sort_keys=True): r["value"][1] for r in data["result"]}

    def server(self, config):
        folder = tempfile.mkdtemp(prefix="silex-listen-")
        self.addCleanup(shutil.rmtree, folder, True)
        path = os.path.join(folder, "silex.yml")
        with open(path, "w") as f:
            f.write(config)
        return Server("--config", path)

    def send(self, port, *pieces):
        with socket.create_connection(("127.0.0.1", port)) as c:
            for p in pieces:
                c.sendall(p)
                time.sleep(0.02)

    def test_tcp(self):
        influx, graphite = free_port(), free_port()
        with self.server(f"influx:\n  listen: 127.0.0.1:{influx}\ngraphite:\n  listen: 127.0.0.1:{graphite}\n  templates: ['servers.* .host.metric*']\n") as s:
            self.send(influx, b"cpu,host=a usage=1\ncpu,host=", b"b usage=2\nbad\ncpu,host=c usage=3")  # cut anywhere, no newline at the end
            self.assertEqual(wait_for(lambda: len(self.vector(s, "cpu_usage")) == 3 and self.vector(s, "cpu_usage")), {
                f'{{"__name__": "cpu_usage", "host": "{h}"}}': str(i + 1) for i, h in enumerate("abc")})
            self.send(graphite, f"servers.web1.cpu.idle 97 {int(time.time())}\nplain.name;rack=7 5 -1\n".encode())
            self.assertEqual(wait_for(lambda: self.vector(s, "cpu_idle")), {'{"__name__": "cpu_idle", "host": "web1"}': "97"})
            self.assertEqual(self.vector(s, "plain_name"), {'{"__name__": "plain_name", "rack": "7"}': "5"})
            self.assertIn('silex_listener_bad_lines_total{listener="influx"} 1', s.get("/metrics").body.decode())
            self.assertIn("bad line", s.text_of_log())
            idle = socket.create_connection(("127.0.0.1", influx))  # must not keep the server from ending
            self.assertEqual(s.stop(), 0)
            idle.close()

    def broker(self, port, folder):
        config = os.path.join(folder, "m.conf")
        with open(config, "w") as f:
            f.write(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\nautosave_interval 1\n"
                    + ("user root\n" if os.getuid() == 0 else ""))
        p = subprocess.Popen([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (p.kill(), p.wait()) if p.poll() is None else None)

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        self.assertTrue(wait_for(listens), "the broker does not listen")
        return p

    def publish(self, port, topic, payload):
        def once():
            return subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", topic, "-m", payload], capture_output=True).returncode == 0
        self.assertTrue(wait_for(once), "the broker takes no messages")

    def test_mqtt(self):
        if not (shutil.which("mosquitto_pub") and (shutil.which("mosquitto") or os.path.exists("/usr/sbin/mosquitto"))):
            self.skipTest("mosquitto and mosquitto-clients are not installed")
        port, folder = free_port(), tempfile.mkdtemp(prefix="silex-mqtt-")
        self.addCleanup(shutil.rmtree, folder, True)
        config = f"""mqtt:
  - host: 127.0.0.1
    port: {port}
    client_id: silex-test
    topics:
      - pattern: plant/{{site}}/+/{{sensor}}
        metric: plant_{{sensor}}
        time: ts
        labels: {{source: mqtt}}
      - pattern: alarm/#
        payload: plain
"""
        first = self.broker(port, folder)
        with self.server(config) as s:
            up = f'silex_mqtt_connected{{broker="127.0.0.1:{port}"}} 1'
            self.assertTrue(wait_for(lambda: up in s.get("/metrics").body.decode()), s.text_of_log())
            time.sleep(0.3)  # the subscription follows the connection
            now = int(time.time())
            self.publish(port, "plant/north/line1/temp", "21.5")
            self.publish(port, "plant/north/line1/air", json.dumps({"value": 1, "hum": {"rel": 40}, "on": True, "unit": "x", "ts": now - 5}))
            self.publish(port, "alarm/door", "on")
            self.publish(port, "alarm/bad", "no number")
            labels = '"sensor": "%s", "site": "north", "source": "mqtt"'
            self.assertEqual(wait_for(lambda: self.vector(s, "plant_temp")), {'{"__name__": "plant_temp", ' + labels % "temp" + "}": "21.5"})
            self.assertEqual(wait_for(lambda: self.vector(s, '{__name__=~"plant_air.*"}')), {
                '{"__name__": "plant_air%s", ' % x + labels % "air" + "}": v for x, v in (("", "1"), ("_hum_rel", "40"), ("_on", "1"))})
            self.assertEqual(self.vector(s, "timestamp(plant_air)"), {"{" + labels % "air" + "}": str(now - 5)})
            self.assertEqual(wait_for(lambda: self.vector(s, "alarm")), {'{"__name__": "alarm"}': "1"})
            first.kill()
            first.wait()
            self.assertTrue(wait_for(lambda: up not in s.get("/metrics").body.decode()))
            self.broker(port, folder)
            self.assertTrue(wait_for(lambda: up in s.get("/metrics").body.decode()), s.text_of_log())
            time.sleep(0.3)
            self.publish(port, "plant/south/line1/temp", "5")
            self.assertTrue(wait_for(lambda: self.vector(s, 'plant_temp{site="south"}')), s.text_of_log())
            # while Silex is down the broker keeps what comes (persistent session, QoS 1)
            self.assertEqual(s.stop(), 0)
            self.publish(port, "plant/west/line1/temp", "6")
            s.start()
            self.assertTrue(wait_for(lambda: self.vector(s, 'plant_temp{site="west"}')), s.text_of_log())

    def test_bad_configuration(self):
        for text, words in {
            "mqtt:\n  - port: 1\n": "2: mqtt: expected a host",
            "mqtt:\n  - host: h\n    topics:\n      - pattern: a/x{b}\n": "4: pattern: expected {name} to be a whole level",
            "mqtt:\n  - host: h\n    topcs: []\n": "topics",
        }.items():
            s = self.server(text)
            r = subprocess.run([*s_command(s), "--check-config"], capture_output=True, text=True)
            self.assertNotEqual(r.returncode, 0)
            self.assertIn(words, r.stderr)


def s_command(s):
    from silex_server import SILEX
    return [SILEX, "serve", "--data", s.data, "--listen", f"127.0.0.1:{s.port}", *s.words]


if __name__ == "__main__":
    unittest.main()
