"""/api/silex/v1/stream end to end (docs/protocols/stream.md)."""
import time
import unittest

from silex_server import Server
from websocket import WebSocket

PATH = "/api/silex/v1/stream"
SETTLE_S = 0.5  # a subscription is in force


class Stream(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0

    def connect(self, **headers):
        ws = WebSocket(self.server.port, PATH, headers)
        self.addCleanup(ws.close)
        self.assertEqual(ws.status, 101)
        return ws

    def now(self):
        return int(time.time() * 1000)

    def test_new_samples_of_a_selector_and_none_of_before(self):
        t = self.now()
        self.server.write_text(f'temp{{room="a"}} 1 {t - 5000}\ntemp{{room="b"}} 2 {t - 5000}\n')
        ws = self.connect()
        ws.send({"id": 1, "type": "subscribe", "selector": 'temp{room="a"}'})
        time.sleep(SETTLE_S)
        self.server.write_text(f'temp{{room="a"}} 3.5 {t}\ntemp{{room="a"}} 4 {t + 250}\ntemp{{room="b"}} 5 {t}\n')
        m = ws.receive()
        self.assertEqual((m["id"], m["type"]), (1, "samples"))
        self.assertEqual(m["series"], [{"labels": {"__name__": "temp", "room": "a"}, "values": [[t / 1000, "3.5"], [(t + 250) / 1000, "4"]]}])

    def test_a_series_that_comes_later(self):
        ws = self.connect()
        ws.send({"id": 7, "type": "subscribe", "selector": "later"})
        time.sleep(SETTLE_S)
        self.server.write_text('later{x="1"} 1 1700000000000\n')
        m = ws.receive()
        self.assertEqual(m["series"], [{"labels": {"__name__": "later", "x": "1"}, "values": [[1700000000, "1"]]}])
        self.server.write_text('later{x="1"} 2 1700000001500\n')
        self.assertEqual(ws.receive()["series"][0]["values"], [[1700000001.5, "2"]])

    def test_unsubscribe(self):
        ws = self.connect()
        ws.send({"id": 1, "type": "subscribe", "selector": "ended"})
        ws.send({"id": 2, "type": "query", "query": "1", "interval": "200ms"})
        time.sleep(SETTLE_S)
        ws.send({"id": 1, "type": "unsubscribe"})
        self.assertEqual(ws.receive()["id"], 2)
        self.server.write_text("ended 1\n")
        end = time.time() + 1
        while time.time() < end:
            self.assertEqual(ws.receive()["id"], 2)

    def test_results_of_a_query_again_and_again(self):
        self.server.write_text(f"q 42 {self.now()}\n")
        ws = self.connect()
        ws.send({"id": 3, "type": "query", "query": "q + 1", "interval": "100ms"})
        for _ in range(3):
            m = ws.receive()
            self.assertEqual((m["id"], m["type"], m["data"]["resultType"]), (3, "result", "vector"))
            self.assertEqual([(s["metric"], s["value"][1]) for s in m["data"]["result"]], [({}, "43")])
        for query, kind in (("1", "scalar"), ('"x"', "string"), ("q[1m]", "matrix")):
            other = self.connect()
            other.send({"id": 1, "type": "query", "query": query})
            self.assertEqual(other.receive()["data"]["resultType"], kind)

    def test_tenants_are_apart(self):
        mine, ours = self.connect(**{"X-Scope-OrgID": "team"}), self.connect()
        mine.send({"id": 1, "type": "subscribe", "selector": "apart"})
        ours.send({"id": 1, "type": "subscribe", "selector": "apart", "tenant": "team"})
        other = self.connect()
        other.send({"id": 1, "type": "subscribe", "selector": "apart"})
        other.send({"id": 2, "type": "query", "query": "1", "interval": "1s"})
        time.sleep(SETTLE_S)
        self.server.write_text("apart 1\n", tenant="team")
        self.assertEqual(mine.receive()["type"], "samples")
        self.assertEqual(ours.receive()["type"], "samples")
        self.assertEqual([other.receive()["id"] for _ in range(3)], [2, 2, 2])

    def test_errors_name_the_id(self):
        ws = self.connect()
        for message, text in (({"id": 1, "type": "subscribe", "selector": "a{"}, "parse error"), ({"id": 2, "type": "query", "query": "sum("}, "parse error"),
                              ({"id": 3, "type": "query", "query": "1", "interval": "1ms"}, "100ms"), ({"id": 4, "type": "subscribe"}, "selector"),
                              ({"id": 5, "type": "subscribe", "selector": "a", "tenant": "no/way"}, "tenant")):
            ws.send(message)
            m = ws.receive()
            self.assertEqual((m["id"], m["type"]), (message["id"], "error"), m)
            self.assertIn(text, m["error"])
        ws.send({"id": 9, "type": "subscribe", "selector": "a"})
        ws.send({"id": 9, "type": "subscribe", "selector": "b"})
        self.assertEqual(ws.receive(), {"id": 9, "type": "error", "error": "this id is in use"})

    def test_what_is_no_message_closes_with_1008(self):
        for text in ("hello", "[]", '{"id":1}', '{"id":0,"type":"query","query":"1"}', '{"id":1,"type":"query","query":"1","x":1}'):
            ws = self.connect()
            ws.send(text)
            m = ws.receive()
            self.assertEqual(m["type"], "error", text)
            self.assertNotIn("id", m)
            self.assertIsNone(ws.receive())
            self.assertEqual(ws.close_code, 1008)

    def test_a_reader_that_stops_is_told_what_it_lost(self):
        ws = self.connect()
        ws.send({"id": 1, "type": "subscribe", "selector": "flood"})
        time.sleep(SETTLE_S)
        t, n, step = self.now(), 0, 200_000
        for _ in range(4):
            self.server.write_text("".join(f'flood{{host="{i % 50}"}} {i} {t + n + i}\n' for i in range(step)))
            n += step
            time.sleep(0.6)
        told = lost = 0
        while told + lost < n:
            m = ws.receive()
            if m["type"] == "samples":
                told += sum(len(s["values"]) for s in m["series"])
            else:
                self.assertEqual(m["type"], "dropped")
                lost += m["samples"]
        self.assertEqual(told + lost, n)
        self.assertGreater(lost, 0)

    def test_no_handshake(self):
        self.assertIn(self.server.get(PATH).status, (400, 426))


if __name__ == "__main__":
    unittest.main()
