# SPDX-License-Identifier: GPL-3.0-or-later
"""A container engine that is none: HTTP over a UNIX socket (or TCP) with scripted faults.

A test runs it in its own process:

    with StubEngine(path, mode="slow", only="/containers") as stub:
        stub.emit("start", stub.ids[0])

or starts `stub_engine.py SOCKET [MODE]` by hand. `only` limits the fault to paths that
contain it, so that the version can be agreed on before things go wrong.
"""

import json
import re
import socket
import socketserver
import ssl
import sys
import threading
import time
from urllib.parse import unquote

MODES = (
    "normal",
    "refuse_old_api",   # like Docker 29: nothing below 1.44, events without the old fields
    "podman",           # Podman's words for what goes wrong
    "slow",             # takes the request, never answers
    "close_at_once",    # closes without an answer
    "close_mid",        # closes in the middle of the body
    "truncated",        # a complete answer with half of the JSON
    "not_http",         # bytes that are no HTTP
    "wrong_json",       # HTTP with a body that is no JSON
    "wrong_types",      # JSON with each value of another type
    "empty_object",     # JSON with nothing in it
    "deep",             # JSON nested 100,000 times
    "empty",            # no body
    "404",
    "500",
    "rude",             # an error text with line ends and control characters
    "redirect",
    "chunked",          # as normal, a few bytes at a time
    "trickle",          # one byte each 20 ms
    "late_headers",     # headers of an event stream only with its first event
    "endless",          # a body without end
    "endless_headers",
    "huge_length",      # claims more than can be
    "flood",            # 10,000 events at once
)

FLOOD = 10000


def container(cid, name, pid, status="running", network="none"):
    """What the engine knows of a container, as far as a client of ours looks."""
    running = status in ("running", "paused", "restarting")
    return {
        "Id": cid,
        "Name": "/" + name,
        "State": {
            "Status": status,
            "Running": running,
            "Paused": status == "paused",
            "Restarting": status == "restarting",
            "Pid": pid,
            "StartedAt": "2026-01-02T03:04:05.678901234Z",
        },
        "HostConfig": {"NetworkMode": network},
    }


def wrong_types(value):
    """The same shape of data, with each value of a type it should not have."""
    if isinstance(value, dict):
        return {key: wrong_types(part) for key, part in value.items()}
    if isinstance(value, bool):
        return "yes" if value else []
    if isinstance(value, str):
        return 42
    if isinstance(value, int):
        return {"is": str(value)}
    if isinstance(value, list):
        return {str(i): wrong_types(part) for i, part in enumerate(value)}
    return "null"


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


class _TcpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True


class _Handler(socketserver.BaseRequestHandler):
    def handle(self):
        stub = self.server.stub
        head = b""
        try:
            if stub.tls:
                self.request = stub.tls.wrap_socket(self.request, server_side=True)
            while b"\r\n\r\n" not in head:
                data = self.request.recv(4096)
                if not data:
                    return
                head += data
            path = unquote(head.split(b" ")[1].decode())
            stub.log.append(path)
            stub.answer(self, path)
        except OSError:
            pass

    def send(self, data):
        self.request.sendall(data)

    def head(self, status=200, *lines):
        text = [f"HTTP/1.1 {status} Some Reason", "Content-Type: application/json", *lines]
        self.send("\r\n".join(text + ["", ""]).encode())

    def body(self, status, data):
        self.head(status, f"Content-Length: {len(data)}")
        self.send(data)

    def chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def trickle(self, data):
        for i in range(len(data)):
            self.chunk(data[i:i + 1])
            time.sleep(0.02)

    def until_closed(self):
        """The other side has had enough."""
        while self.request.recv(4096):
            pass


class StubEngine:
    def __init__(self, path=None, mode="normal", only="", cert=None):
        assert mode in MODES
        self.path, self.mode, self.only = path, mode, only
        self.api, self.api_min = ("1.52", "1.44") if mode == "refuse_old_api" else ("1.41", "1.12")
        self.ids = ["aa" + "0" * 62, "ab" + "1" * 62, "cc" + "2" * 62]
        self.containers = [
            container(self.ids[0], "one", 1001),
            container(self.ids[1], "two", 0, "exited"),
            container(self.ids[2], "three", 1003, "paused", "host"),
        ]
        self.log = []
        self.streams = []
        self.lock = threading.Lock()
        self.tls = None
        if cert:
            self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=cert + "/ca.pem")
            self.tls.verify_mode = ssl.CERT_REQUIRED
            self.tls.load_cert_chain(cert + "/cert.pem", cert + "/key.pem")

    # Running it

    def __enter__(self):
        if self.path:
            self.server = _UnixServer(self.path, _Handler)
        else:
            self.server = _TcpServer(("127.0.0.1", 0), _Handler)
        self.server.stub = self
        self.port = None if self.path else self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.close_streams()

    def close_streams(self):
        """Break every event stream."""
        with self.lock:
            for handler in self.streams:
                try:
                    handler.request.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.streams.clear()

    def event(self, action, cid, **attributes):
        name = next((c["Name"][1:] for c in self.containers if c["Id"] == cid), "unknown")
        event = {
            "Type": "container",
            "Action": action,
            "Actor": {"ID": cid, "Attributes": {"image": "i", "name": name, **attributes}},
            "scope": "local",
            "time": 1700000000,
            "timeNano": 1700000000123456789,
        }
        if self.mode != "refuse_old_api":
            event.update(status=action, id=cid)
        event.update({"from": "i"})
        return json.dumps(event).encode() + b"\n"

    def emit(self, action, cid, **attributes):
        self.emit_raw(self.event(action, cid, **attributes))

    def emit_raw(self, line):
        with self.lock:
            for handler in list(self.streams):
                try:
                    if not handler.started:
                        handler.head(200, "Transfer-Encoding: chunked")
                        handler.started = True
                    handler.chunk(line)
                except OSError:
                    self.streams.remove(handler)

    # Answers

    def answer(self, handler, path):
        match = re.match(r"/v(\d+)\.(\d+)(/.*)", path)
        if match:
            version, path = (int(match[1]), int(match[2])), match[3]
            if not self.speaks(version):
                return self.refuse_version(handler, version)
        mode = self.mode if self.only in path else "normal"
        if path.startswith("/events"):
            return self.events(handler, mode)
        status, value = self.look_up(path)
        return self.give(handler, mode, status, value)

    def speaks(self, version):
        low, high = (tuple(map(int, v.split("."))) for v in (self.api_min, self.api))
        return low <= version <= high

    def refuse_version(self, handler, version):
        old = version < tuple(map(int, self.api_min.split(".")))
        text = (f"client version {version[0]}.{version[1]} is too {'old' if old else 'new'}. "
                f"{'Minimum' if old else 'Maximum'} supported API version is "
                f"{self.api_min if old else self.api}")
        handler.body(400, json.dumps({"message": text}).encode())

    def look_up(self, path):
        if path == "/version":
            product = "Podman Engine" if self.mode == "podman" else "Engine"
            return 200, {"Components": [{"Name": product}], "Version": "99.1",
                         "ApiVersion": self.api, "MinAPIVersion": self.api_min}
        if path.startswith("/containers/json"):
            return 200, [{"Id": c["Id"], "Names": [c["Name"]], "State": c["State"]["Status"]}
                         for c in self.containers
                         if c["State"]["Status"] in ("running", "paused")]
        match = re.fullmatch(r"/containers/([^/]+)/json", path)
        return self.inspect(match[1]) if match else (404, {"message": "page not found"})

    def inspect(self, reference):
        for c in self.containers:
            if reference in (c["Id"], c["Name"][1:]):
                return 200, c
        found = [c for c in self.containers if c["Id"].startswith(reference)]
        if len(found) == 1:
            return 200, found[0]
        if self.mode == "podman":
            text = f'no container with name or ID "{reference}" found: no such container'
            if found:
                text = f"more than one result for container ID {reference}"
            return 404, {"cause": "x", "message": text, "response": 404}
        if found:
            return 500, {"message": f"Multiple IDs found with provided prefix: {reference}"}
        return 404, {"message": f"No such container: {reference}"}

    def give(self, handler, mode, status, value):
        data = json.dumps(value).encode()
        if mode in ("normal", "refuse_old_api", "podman", "late_headers", "flood"):
            handler.body(status, data)
        elif mode == "chunked":
            handler.head(status, "Transfer-Encoding: chunked")
            for i in range(0, len(data), 7):
                handler.chunk(data[i:i + 7])
            handler.send(b"0\r\n\r\n")
        elif mode == "trickle":
            handler.head(status, "Transfer-Encoding: chunked")
            handler.trickle(data)
            handler.send(b"0\r\n\r\n")
        else:
            self.misbehave(handler, mode, data, value)

    def misbehave(self, handler, mode, data, value):
        bodies = {
            "truncated": (200, data[:len(data) // 2]),
            "wrong_json": (200, b"\x00\xff<html>{]"),
            "wrong_types": (200, json.dumps(wrong_types(value)).encode()),
            "empty_object": (200, b"{}"),
            "deep": (200, b"[" * 100000),
            "empty": (200, b""),
            "404": (404, b"404 page not found\n"),
            "500": (500, b'{"message":"on fire"}'),
            "rude": (500, b'{"message":"a\\r\\n100-OK\\u001b[2J\\u00e4"}'),
        }
        if mode in bodies:
            handler.body(*bodies[mode])
        elif mode == "slow":
            handler.until_closed()
        elif mode == "not_http":
            handler.send(b"220 mail.example ESMTP ready\r\n")
            handler.until_closed()
        elif mode == "close_mid":
            handler.head(200, f"Content-Length: {len(data)}")
            handler.send(data[:len(data) // 2])
        elif mode == "redirect":
            handler.head(301, "Location: http://192.0.2.1/", "Content-Length: 0")
        elif mode == "huge_length":
            handler.head(200, f"Content-Length: {2 ** 62}")
            handler.send(data)
            handler.until_closed()
        elif mode == "endless":
            handler.head(200, "Transfer-Encoding: chunked")
            while True:
                handler.chunk(b"[" + b"1," * 8192)
        elif mode == "endless_headers":
            handler.send(b"HTTP/1.1 200 OK\r\n")
            while True:
                handler.send(b"X-Filler: " + b"x" * 1000 + b"\r\n")

    def events(self, handler, mode):
        line = self.event("start", self.ids[0])
        if mode in ("slow", "close_at_once", "not_http", "404", "500", "redirect", "rude",
                    "endless_headers"):
            return self.misbehave(handler, mode, line, {})
        with self.lock:
            handler.started = mode != "late_headers"
            if handler.started:
                handler.head(200, "Transfer-Encoding: chunked")
            self.streams.append(handler)
        if mode in ("close_mid", "truncated", "empty"):
            half = line[:len(line) // 2]
            handler.send({"close_mid": b"%x\r\n%s" % (len(line), half),
                          "truncated": b"%x\r\n%s\n\r\n0\r\n\r\n" % (len(half) + 1, half),
                          "empty": b"0\r\n\r\n"}[mode])
            return None
        if mode in ("wrong_json", "wrong_types", "empty_object", "deep"):
            handler.chunk({"wrong_json": b"\x00\xff<html>{]",
                           "wrong_types": json.dumps(wrong_types(json.loads(line))).encode(),
                           "empty_object": b"{}",
                           "deep": b"[" * 100000}[mode] + b"\n")
        elif mode == "endless":
            while True:
                handler.chunk(b"1," * 8192)
        elif mode == "trickle":
            handler.trickle(line)
        elif mode == "flood":
            for _ in range(FLOOD // 100):
                handler.chunk(line * 100)
        return handler.until_closed()


def main():
    with StubEngine(sys.argv[1], *sys.argv[2:3]):
        print("ready", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
