# SPDX-License-Identifier: GPL-3.0-or-later
"""Random sessions, most of them grammatical, against the program while traffic flows.

FUZZ_SESSION_SECONDS sets for how long (default 60), FUZZ_SEED the seed, which is told where
it fails. Every line must get exactly one final reply, and at the end the program still works.
"""
import os
import random
import threading
import time

from lab import frames
from lab.counters import recovers
from lab.program import FINAL

SECONDS = float(os.environ.get("FUZZ_SESSION_SECONDS", "60"))
SEED = int(os.environ.get("FUZZ_SEED", str(int(time.time()))))
CLIENTS = 3
BRIDGES = ["b0", "b1", "b2", "b3", "two words", "x" * 300, "\u00e9\u20ac", ""]
NUMBERS = ["0", "1", "-1", "2", "3", "10", "65535", "65536", "4294967296", "99999999999999999999",
           "1e3", "0x10", "0.5", "-0", "nan", "", " ", "1 2", "+1"]
TYPES = ["frequency_drop", "packet_loss", "delay", "corrupt", "bpf", "nonsense"]
EXPRESSIONS = ["", " ", "arp", "ip and tcp port 80", "ether proto 0x88b5", "not (udp)", "((((", "len > 60",
               "vlan 1 and ip", "host 127.0.0.1", "1 = 1", "ip[0] / 0 = 1", "less 99999999999"]
HOSTS = ["127.0.0.1", "::1", "127.0.0.1", "127.0.0.1", "256.1.1.1", "", "host.invalid", "[::1]"]
LINKTYPES = ["EN10MB", "PPP_SERIAL", "FRELAY", "c_hdlc", "DLT_EN10MB", "", "9999"]


class Grammar:
    """Makes command lines."""

    def __init__(self, seed, directory, ports, number):
        self.random = random.Random(seed)
        self.directory, self.ports, self.number = directory, ports, number

    def bridge(self):
        return self.random.choice(BRIDGES[:4] * 4 + BRIDGES)

    def number_(self):
        return self.random.choice(NUMBERS)

    def port(self):
        return self.random.choice([str(self.random.choice(self.ports)), "0", self.number_()])

    def path(self):
        name = self.random.choice(["a", "b", "c d", "x" * 80, "x" * 300, "no/such", "", ".", "\u00e9"])
        return f"{self.directory}/{name}"

    def interface(self):
        return self.random.choice(["fzt0", "fzt1", "fzt%d", "fza", "fzb", "lo", "nosuch", "x" * 15,
                                   "x" * 16, "", "/dev/null", "/", "..", "a b"])

    def filter(self):
        kind = self.random.choice(TYPES)
        arguments = [self.random.choice(EXPRESSIONS)] if kind == "bpf" else [self.number_()]
        arguments += [self.number_() for _ in range(self.random.choice([0, 0, 1, 1, 4]))]
        return [f"f{self.random.randrange(4)}", kind, *arguments]

    def any_bridge(self):
        pick = self.random.choice
        return pick([
            lambda: ["create", self.bridge()], lambda: ["create", self.bridge()],
            lambda: ["delete", self.bridge()],
            lambda: ["start", self.bridge()], lambda: ["start", self.bridge()],
            lambda: ["stop", self.bridge()],
            lambda: ["rename", self.bridge(), self.bridge()],
            lambda: ["list"], lambda: ["show", self.bridge()],
            lambda: ["get_stats", self.bridge()], lambda: ["reset_stats", self.bridge()],
            lambda: ["get_counters", self.bridge()],
            lambda: ["add_nio_udp", self.bridge(), self.port(), pick(HOSTS), self.port()],
            lambda: ["add_nio_udp", self.bridge(), "0", "127.0.0.1", "9"],
            lambda: ["delete_nio_udp", self.bridge(), self.port(), pick(HOSTS), self.port()],
            lambda: ["remove_nio_udp", self.bridge(), "0", "127.0.0.1", "9"],
            lambda: ["add_nio_unix", self.bridge(), self.path(), self.path()],
            lambda: ["add_nio_tap", self.bridge(), self.interface()],
            lambda: ["add_nio_linux_raw", self.bridge(), self.interface()],
            lambda: ["add_nio_ethernet", self.bridge(), self.interface()],
            lambda: ["set_pcap_filter", self.bridge(), *pick([[], [pick(EXPRESSIONS)]])],
            lambda: ["start_capture", self.bridge(), self.path(),
                     *pick([[], [], [pick(LINKTYPES)]])],
            lambda: ["stop_capture", self.bridge()],
            lambda: ["add_packet_filter", self.bridge(), *self.filter()],
            lambda: ["add_packet_filter", self.bridge(), *self.filter()],
            lambda: ["delete_packet_filter", self.bridge(), f"f{self.random.randrange(4)}"],
            lambda: ["reset_packet_filters", self.bridge()],
        ])()

    def any_iol(self):
        pick = self.random.choice
        name = f"i{self.random.randrange(2)}"
        place = [pick(["0", "0", "1", "15", "16", "-1", "x"]) for _ in range(2)]
        number = str(900 + self.number * 10 + self.random.randrange(3))
        return pick([
            lambda: ["create", name, pick([number, number, self.number_()])],
            lambda: ["delete", name], lambda: ["start", name], lambda: ["stop", name],
            lambda: ["rename", name, f"i{self.random.randrange(3)}"], lambda: ["list"],
            lambda: ["get_stats", name], lambda: ["reset_stats", name],
            lambda: ["get_counters", name],
            lambda: ["add_nio_udp", name, pick(["1", "2", number]), *place, self.port(),
                     "127.0.0.1", "9"],
            lambda: ["delete_nio_udp", name, *place],
            lambda: ["start_capture", name, *place, self.path()],
            lambda: ["stop_capture", name, *place],
            lambda: ["add_packet_filter", name, *place, *self.filter()],
            lambda: ["delete_packet_filter", name, *place, "f0"],
            lambda: ["reset_packet_filters", name, *place],
        ])()

    def any_other(self):
        pick = self.random.choice
        return pick([
            lambda: ["hypervisor", "version"], lambda: ["hypervisor", "module_list"],
            lambda: ["hypervisor", "cmd_list", pick(["bridge", "docker", "nosuch", ""])],
            lambda: ["hypervisor", "reset"] if self.random.random() < 0.1 else ["bridge", "list"],
            lambda: ["docker", "create_veth", self.interface(), self.interface()],
            lambda: ["docker", "delete_veth", pick(["fza", "fzb", "nosuch"])],
            lambda: ["docker", "set_mac_addr", pick(["fza", "fzt0", "nosuch"]),
                     pick(["02:00:00:00:00:01", "02:0:0:0:0:1", "zz", ""])],
            # no process has such a number: others' namespaces are left alone
            lambda: ["docker", "move_to_ns", pick(["fzb", "nosuch"]),
                     pick(["0", "-1", "99999999", "x", ""]), "fzc"],
            lambda: ["brctl", "addif", "nosuch", self.interface()],
            lambda: ["nosuch", "nosuch"], lambda: ["bridge"], lambda: [],
        ])()

    def word(self, text):
        """As it is, or in quotes where it has to be, or where that makes no difference."""
        if any(byte in text for byte in " #!") or self.random.random() < 0.2:
            return f'"{text}"'
        return text

    def line(self):
        """One line with its line end, as bytes; it has no LF of its own."""
        kind = self.random.random()
        if kind < 0.7:
            words = ["bridge", *self.any_bridge()]
        elif kind < 0.85:
            words = ["iol_bridge", *self.any_iol()]
        else:
            words = self.any_other()
        text = self.random.choice([" ", " ", " ", "  ", "\t"]).join(map(self.word, words)).encode()
        if self.random.random() < 0.1:
            text = self.spoil(bytearray(text))
        return text + self.random.choice([b"\n", b"\n", b"\r\n", b" # comment\n", b"\r junk\n"])

    def spoil(self, text):
        for _ in range(self.random.randint(1, 4)):
            at = self.random.randint(0, len(text))
            change = self.random.randrange(4)
            if change == 0:
                text[at:at] = bytes([self.random.choice([0, 1, 9, 13, 32, 34, 35, 37, 127, 255])])
            elif change == 1:
                del text[at:at + self.random.randint(1, 5)]
            elif change == 2:
                text[at:at] = text[:at][-20:] * self.random.choice([1, 2, 50])
            else:
                text[at:at] = b"A" * self.random.choice([1, 1000, 70000])
        return bytes(text).replace(b"\n", b" ")


class Session(threading.Thread):
    """A client that sends random lines, in random pieces, and counts replies."""

    def __init__(self, ub, grammar, until):
        super().__init__()
        self.ub, self.grammar, self.until = ub, grammar, until
        self.client = ub.client()
        self.lines, self.codes, self.error = 0, {}, None
        self.last = []

    def run(self):
        try:
            while time.monotonic() < self.until:
                self.batch()
        except (AssertionError, OSError) as error:
            self.error = f"{error} after {self.last!r}"[:3000]

    def batch(self):
        count = self.grammar.random.choice([1, 1, 1, 5, 20])
        self.last = [self.grammar.line() for _ in range(count)]
        data = b"".join(self.last)
        while data:
            size = self.grammar.random.choice([1, 7, 4096, len(data)])
            self.client.sock.sendall(data[:size])
            data = data[size:]
        for _ in range(count):
            self.reply()
        self.lines += count
        # nothing is left over: the next reply is that of the next line
        mark = f"unknown module '{self.lines}'"
        assert self.client.cmd(f"hypervisor cmd_list {self.lines}", 60).text == mark

    def reply(self):
        """One reply; texts may hold any bytes that were sent."""
        while True:
            line = self.client.line(60)
            assert line, "the connection ended"
            final = FINAL.match(line)
            if final:
                self.codes[int(final[1])] = self.codes.get(int(final[1]), 0) + 1
                return
            assert line.startswith(b"101 "), line


class Traffic(threading.Thread):
    """Frames and garbage into the ports that the sessions use."""

    def __init__(self, sender, ports, seed):
        super().__init__()
        self.sender, self.ports = sender, ports
        self.random = random.Random(seed)
        self.going = True

    def run(self):
        while self.going:
            for port in self.ports:
                size = self.random.choice([0, 1, 13, 14, 60, 60, 60, 1514, 9000, 65507])
                try:
                    self.sender.send(self.random.randbytes(size), port)
                except OSError:
                    pass
            self.sender.sock.setblocking(False)
            try:
                while True:
                    self.sender.sock.recv(65536)
            except OSError:
                pass
            time.sleep(0.001)


def test_random_sessions(ub, ns, peers, directory, measure):
    ns.veth("fza", "fzb")
    sender = peers.udp()
    # some tunnels of the sessions end at this peer, so their frames come from a known port
    ports = [peers.port() for _ in range(6)]
    until = time.monotonic() + SECONDS
    sessions = [Session(ub, Grammar(SEED * 10 + number, directory, [*ports, sender.port], number),
                        until) for number in range(CLIENTS)]
    traffic = Traffic(sender, ports, SEED)
    for thread in (traffic, *sessions):
        thread.start()
    for session in sessions:
        session.join(SECONDS + 120)
    traffic.going = False
    traffic.join(30)
    assert ub.alive(), f"seed {SEED}: {ub.output()[-3000:]}"
    assert not [session.error for session in sessions if session.error], \
        f"seed {SEED}: {[session.error for session in sessions]}"

    # it was a test: many lines, and many of them did something
    lines = sum(session.lines for session in sessions)
    done = sum(session.codes.get(100, 0) for session in sessions)
    assert done > 0.2 * lines > 0, [session.codes for session in sessions]
    measure(f"random session: one line of {lines}", SECONDS * CLIENTS / lines)

    client = ub.client()
    client.ok("hypervisor reset", deadline=60)
    assert client.ok("bridge list") == client.ok("iol_bridge list") == []
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    client.ok("bridge create after")
    for peer in (left, right):
        client.ok(f"bridge add_nio_udp after {peer.to} 127.0.0.1 {peer.port}")
    client.ok("bridge start after")
    recovers(left.send, right, 5)
    left.send(frames.frame())
