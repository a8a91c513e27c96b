# SPDX-License-Identifier: GPL-3.0-or-later
"""The program under test and its control connection."""
import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field

from .wait import wait_until

FINAL = re.compile(rb"^(100|2\d\d)-(.*)$", re.S)
SANITIZER_REPORT = re.compile(
    r"(ERROR|WARNING): (Address|Thread|Leak|Memory)Sanitizer|runtime error:")


@dataclass
class Reply:
    """One reply: its final code and text, and the information lines without their code."""
    code: int
    text: str
    info: list = field(default_factory=list)


class Client:
    """A control connection. Every line must end in CR LF and every reply in one final line."""

    def __init__(self, ns, port, address="127.0.0.1", deadline=10.0):
        with ns:
            self.sock = socket.create_connection((address, port), timeout=deadline)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.deadline = deadline
        self._buffer = b""

    def close(self):
        self.sock.close()

    def send(self, line):
        """A line, LF added; bytes are sent as they are."""
        self.sock.sendall(line if isinstance(line, bytes) else line.encode() + b"\n")

    def line(self, deadline=None):
        """The next line without its CR LF; b"" at the end of the connection."""
        end = time.monotonic() + (deadline or self.deadline)
        while b"\n" not in self._buffer:
            self.sock.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                raise AssertionError(f"no reply within {deadline or self.deadline} s "
                                     f"(so far {self._buffer[:200]!r})") from None
            if not data:
                assert not self._buffer, f"ends in the middle of a line: {self._buffer!r}"
                return b""
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        assert line.endswith(b"\r"), f"no CR before the LF: {line!r}"
        return line[:-1]

    def reply(self, deadline=None):
        info = []
        while True:
            line = self.line(deadline)
            assert line, "the connection ended before the reply did"
            final = FINAL.match(line)
            if final:
                return Reply(int(final[1]), final[2].decode("utf-8", "replace"), info)
            assert line.startswith(b"101 "), f"neither information nor final: {line!r}"
            info.append(line[4:].decode("utf-8", "replace"))

    def cmd(self, line, deadline=None):
        self.send(line)
        return self.reply(deadline)

    def ok(self, line, text=None, deadline=None):
        """The command succeeds (with this text); returns the information lines."""
        reply = self.cmd(line, deadline)
        assert reply.code == 100, f"{line}: {reply.code}-{reply.text}"
        assert text is None or reply.text == text, f"{line}: {reply.text}"
        return reply.info

    def fails(self, code, line, text=None, deadline=None):
        """The command fails with this code (and text); returns the text."""
        reply = self.cmd(line, deadline)
        assert reply.code == code, f"{line}: {reply.code}-{reply.text}, want {code}"
        assert text is None or reply.text == text, f"{line}: {reply.text}"
        return reply.text

    def expect_eof(self, deadline=5.0):
        try:
            line = self.line(deadline)
        except ConnectionResetError:
            line = b""
        assert line == b"", f"more to come: {line!r}"


class Ubridge:
    """A running program in hypervisor mode, with a control connection of its own.

    `files` maps absolute paths to contents that only this process sees at those places.
    """

    def __init__(self, binary, ns, directory, *, args=(), port=None, address="127.0.0.1",
                 files=None, user=None, env=None, connect=True):
        self.ns = ns
        self.address = address
        self.port = port or free_port(ns)
        self.directory = directory
        self.stdout_path = os.path.join(directory, "stdout")
        self.stderr_path = os.path.join(directory, "stderr")
        self._ended_as_wanted = False
        self._clients = []
        argv = [binary, "-H", f"{address}:{self.port}", *args]
        self.process = spawn(argv, ns, directory, files=files, user=user, env=env)
        self.pid = self.process.pid
        if connect:
            try:
                self.main = self.client()
            except BaseException:
                self.process.kill()
                self.process.wait()
                raise
            self.send, self.reply, self.cmd = self.main.send, self.main.reply, self.main.cmd
            self.ok, self.fails = self.main.ok, self.main.fails

    def client(self, deadline=10.0):
        """One more control connection."""
        def connect():
            try:
                return Client(self.ns, self.port, self.address)
            except ConnectionRefusedError:
                assert self.process.poll() is None, f"ended at once: {self.output()}"
                return None
        client = wait_until(connect, deadline, "the control port")
        self._clients.append(client)
        return client

    def stdout(self):
        return _read(self.stdout_path)

    def stderr(self):
        return _read(self.stderr_path)

    def output(self):
        return self.stdout() + self.stderr()

    def alive(self):
        return self.process.poll() is None

    def stats(self, bridge, client=None):
        """get_stats as {"source": (in, bytes in, out, bytes out), "destination": ...}."""
        number = r"(\d+) packets \((\d+) bytes\)"
        result = {}
        for line in (client or self.main).ok(f"bridge get_stats {bridge}"):
            match = re.fullmatch(rf"(Source|Destination) NIO: +IN: {number} OUT: {number}", line)
            assert match, line
            result[match[1].lower()] = tuple(map(int, match.groups()[1:]))
        return result

    def udp_bridge(self, name, *ports, start=True):
        """A bridge of two UDP NIOs on 127.0.0.1: (local, remote) twice."""
        self.ok(f"bridge create {name}")
        for local, remote in ports:
            self.ok(f"bridge add_nio_udp {name} {local} 127.0.0.1 {remote}")
        if start:
            self.ok(f"bridge start {name}")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def _is_stopped(self):
        states = set()
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            states.add(_read(f"/proc/{self.pid}/task/{thread}/stat").rsplit(")", 1)[1].split()[0])
        return states == {"T"}

    @contextlib.contextmanager
    def paused(self):
        """None of its threads runs, so that what happens meanwhile is there all at once."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            wait_until(self._is_stopped, what="the program to stop")
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def wait_exit(self, status=0, deadline=10.0):
        """Wait for the end by itself; returns the seconds it took."""
        begin = time.monotonic()
        try:
            got = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {deadline} s") from None
        assert got == status, f"exit status {got}, want {status}\n{self.output()[-3000:]}"
        self._ended_as_wanted = True
        return time.monotonic() - begin

    def stop(self, deadline=10.0):
        """`hypervisor stop`; returns the seconds from the reply to the end of the process."""
        watch = os.pidfd_open(self.pid)
        try:
            self.ok("hypervisor stop", "OK")
            begin = time.monotonic()
            readable, _, _ = select.select([watch], [], [], deadline)
            took = time.monotonic() - begin
            assert readable, f"still running {deadline} s after hypervisor stop"
        finally:
            os.close(watch)
        self.wait_exit()
        return took

    def kill(self):
        """End it the hard way; nothing is expected of it any more."""
        self.process.kill()
        self.process.wait()
        self._ended_as_wanted = True

    def close(self):
        """The end of every test: it must still be alive, end well, and have no report."""
        try:
            if not self._ended_as_wanted:
                status = self.process.poll()
                assert status is None, f"ended with {status}\n{self.output()[-3000:]}"
                self.process.send_signal(signal.SIGTERM)
                self.wait_exit(deadline=20.0)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            for client in self._clients:
                client.close()
            assert_no_report(self.directory)


def spawn(argv, ns, directory, files=None, user=None, env=None):
    """Start a program in a namespace, its output and sanitizer reports in a directory."""
    wrapper = []
    if files:
        script = ""
        for number, (path, content) in enumerate(files.items()):
            copy = os.path.join(directory, f"file{number}")
            with open(copy, "w", encoding="utf-8") as file:
                file.write(content)
            script += f"mount --bind '{copy}' '{path}' && "
        wrapper += ["unshare", "-m", "sh", "-c", script + 'exec "$@"', "sh"]
    if user:
        wrapper += ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups",
                    "--bounding-set=-all", "--inh-caps=-all"]
    environment = dict(os.environ, LC_ALL="C", **(env or {}))
    for name in ("ASAN", "TSAN", "UBSAN", "LSAN"):
        options = [environment.get(f"{name}_OPTIONS"), f"log_path={directory}/{name.lower()}"]
        environment[f"{name}_OPTIONS"] = ":".join(filter(None, options))
    with ns, open(os.path.join(directory, "stdout"), "ab") as out, \
            open(os.path.join(directory, "stderr"), "ab") as err:
        return subprocess.Popen(wrapper + argv, cwd=directory, stdin=subprocess.DEVNULL,
                                stdout=out, stderr=err, env=environment)


def assert_no_report(directory):
    """No sanitizer has found anything in what ran in this directory."""
    for name in sorted(os.listdir(directory)):
        if name == "stderr" or name.split(".")[0] in ("asan", "tsan", "ubsan", "lsan"):
            text = _read(os.path.join(directory, name))
            assert not SANITIZER_REPORT.search(text), text[:6000]


def free_port(ns, kind=socket.SOCK_STREAM):
    """A port nobody uses at the moment."""
    with ns, socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("0.0.0.0", 0))
        return sock.getsockname()[1]


def _read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
