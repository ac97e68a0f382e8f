"""A small WebSocket client over a raw socket (RFC 6455), for tests: text messages, unfragmented or not, ping and close."""
import base64
import json
import os
import socket
import struct


class WebSocket:
    def __init__(self, port, path, headers=None, timeout=10):
        self.s = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(), *(f"{k}: {v}" for k, v in (headers or {}).items())]
        self.s.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.rest, self.close_code = b"", None
        while b"\r\n\r\n" not in self.rest:
            piece = self.s.recv(4096)
            if not piece:
                break
            self.rest += piece
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])

    def take(self, n):
        while len(self.rest) < n:
            piece = self.s.recv(65536)
            if not piece:
                raise EOFError
            self.rest += piece
        out, self.rest = self.rest[:n], self.rest[n:]
        return out

    def send_frame(self, opcode, data):
        mask = os.urandom(4)
        n = len(data)
        size = struct.pack("!B", 0x80 | n) if n < 126 else struct.pack("!BH", 0xFE, n) if n < 65536 else struct.pack("!BQ", 0xFF, n)
        self.s.sendall(bytes([0x80 | opcode]) + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def send(self, message):
        self.send_frame(1, (message if isinstance(message, str) else json.dumps(message)).encode())

    def receive(self):
        """The next message; None when the server closed."""
        text = b""
        while True:
            first, second = self.take(2)
            n = second & 127
            n = struct.unpack("!H", self.take(2))[0] if n == 126 else struct.unpack("!Q", self.take(8))[0] if n == 127 else n
            data = self.take(n)
            opcode = first & 15
            if opcode == 9:
                self.send_frame(10, data)
            elif opcode == 8:
                self.close_code = struct.unpack("!H", data[:2])[0] if len(data) >= 2 else 1005
                return None
            elif opcode in (0, 1):
                text += data
                if first & 0x80:
                    return json.loads(text)

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
