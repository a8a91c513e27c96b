# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridges of the soak with their far ends, one class for each way to have one.

A cable knows the commands that make and change its bridge, how a probe frame is sent into it
and what must come out. It has at most two ends that the soak itself serves; a container answers
by itself.
"""
import contextlib
import os
import socket
import struct
import subprocess
import threading

from lab import frames
from lab.netns import Namespace
from lab.peers import RawPeer, UdpPeer, UnixPeer
from lab.program import free_port
from lab.wait import wait_until

HEADER = frames.frame(b"", 14)
SO_TIMESTAMPNS = 35
SOL_PACKET, PACKET_OUTGOING = 263, 4
IOL_SOCKETS = f"/tmp/netio{os.getuid()}"


class End:
    """A socket at one end of a cable.

    Frames are sent with @before in front of them, and come with @expected.
    """

    def __init__(self, peer, send, before=b"", expected=b""):
        self.peer, self.sock, self.send = peer, peer.sock, send
        self.before, self.expected = before, expected
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def try_send(self, packet):
        """False: there is no room, or what it is for is being made again."""
        try:
            self.send(self.before + packet)
        except OSError:
            return False
        return True

    def receive(self):
        """(packet, when the kernel had it in nanoseconds of the wall clock), or None."""
        while True:
            try:
                packet, control, _, sender = self.sock.recvmsg(4096, 128)
            except OSError:
                return None
            if isinstance(sender, tuple) and len(sender) == 5 and sender[2] == PACKET_OUTGOING:
                continue
            return packet, stamp(control)

    def drain(self):
        while self.receive():
            pass

    def close(self):
        self.peer.close()


def stamp(control):
    """The time stamp among a message's control data, in nanoseconds of the wall clock."""
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("=qq", data)
            return seconds * 1_000_000_000 + nanoseconds
    raise AssertionError("a packet without a time stamp")


class Cable:
    """A bridge between two ends of the kinds its own kind names, such as "udp-tap"."""
    module = "bridge"
    port = ""                       # what names the port of an IOL bridge

    def __init__(self, number, kind, lab):
        self.name, self.kind, self.lab = f"s{number}", kind, lab
        self.number = number
        self.ends = []
        self.add = []               # the commands that make the bridge's NIOs
        self.owner = threading.Lock()   # held by who changes it, or its container
        self.busy = threading.Lock()    # held while no probe is to be sent
        self.changes = 0            # grows when it is disturbed; a probe over that does not count
        self.silent = True          # nothing is to come through
        self.filtered = self.capturing = False
        self.skipped = True         # the last round had no probe for it
        self.probes = 0             # that count
        self.prepare()

    def __str__(self):
        return f"{self.name} ({self.kind})"

    def prepare(self):
        for side, word in enumerate(self.kind.split("-")):
            getattr(self, "_" + word)(side)

    def _udp(self, _, address="127.0.0.1"):
        peer = UdpPeer(self.lab.ns, address=address)
        peer.to = free_port(self.lab.ns, socket.SOCK_DGRAM)
        self.add.append(f"bridge add_nio_udp {self.name} {peer.to} {address} {peer.port}")
        self.ends.append(End(peer, peer.send))

    def _udp6(self, side):
        self._udp(side, "::1")

    def _unix(self, side):
        path = f"{self.lab.directory}/{self.number}.{side}"
        with self.lab.ns:
            peer = UnixPeer(path + "p")
        self.add.append(f"bridge add_nio_unix {self.name} {path} {path}p")
        self.ends.append(End(peer, lambda packet: peer.send(packet, path)))

    def _veth(self, side, nio):
        inside, outside = f"r{self.number}i{side}", f"r{self.number}o{side}"
        self.lab.ns.veth(inside, outside)
        peer = RawPeer(self.lab.ns, outside)
        self.add.append(f"bridge add_nio_{nio} {self.name} {inside}")
        self.ends.append(End(peer, peer.send))

    def _raw(self, side):
        self._veth(side, "linux_raw")

    def _ethernet(self, side):
        self._veth(side, "ethernet")

    def _tap(self, side):
        name = f"t{self.number}s{side}"
        # made by others, so that the far end keeps its interface when the bridge is made again
        self.lab.ns.ip(f"tuntap add {name} mode tap")
        self.lab.ns.quiet(name)
        self.lab.ns.ip(f"link set {name} up")
        peer = RawPeer(self.lab.ns, name)
        self.add.append(f"bridge add_nio_tap {self.name} {name}")
        self.ends.append(End(peer, peer.send))

    # ---- what is done to it

    def do(self, client, command, *words):
        client.ok(" ".join((self.module, command, self.name, *words)))

    def make(self, client):
        """After this a probe passes."""
        self.do(client, "create")
        self.plug(client)
        self.do(client, "start")
        self.capturing = self.filtered = self.silent = False

    def plug(self, client):
        """The bridge's NIOs."""
        for command in self.add:
            client.ok(command)

    def unmake(self, client):
        self.do(client, "delete")

    def restart(self, client):
        self.do(client, "stop")
        self.do(client, "start")

    def add_filters(self, client, filters):
        """Filters, each given as its type and arguments."""
        self.filtered = True
        for number, words in enumerate(filters):
            self.do_on_port(client, "add_packet_filter", f"f{number}", words)

    def do_on_port(self, client, command, *words):
        self.do(client, command, *self.port.split(), *words)

    def clean(self, client):
        self.do_on_port(client, "reset_packet_filters")
        self.filtered = self.silent = False

    def capture(self, client):
        if self.capturing:
            self.do_on_port(client, "stop_capture")
        else:
            self.do_on_port(client, "start_capture", f"{self.lab.directory}/{self.name}.pcap")
        self.capturing = not self.capturing

    def look(self, client):
        for command in ("show", "get_stats", "get_counters"):
            self.do(client, command)
        client.ok("bridge list")

    @contextlib.contextmanager
    def disturbed(self):
        """Inside nothing is expected of it."""
        with self.busy:
            self.changes += 1
            try:
                yield
            finally:
                self.changes += 1

    # ---- probes

    def probe(self, side, number):
        """Send a probe; (the end where it comes out, how what comes begins), or None: no room."""
        source, target = self.ends[side], self.ends[1 - side]
        packet = HEADER + b"probe %20d" % number + bytes(20)
        return (target, target.expected + packet) if source.try_send(packet) else None

    def outlet(self, side):
        """Where a probe sent into @side comes out."""
        return self.ends[1 - side]

    def close(self):
        for end in self.ends:
            end.close()


class IolCable(Cable):
    """A port of an IOL bridge of its own, between a UDP peer and what stands for an instance."""
    module = "iol_bridge"

    def prepare(self):
        self.instance = self.lab.iol_ids[0] + 2 * self.number
        self.bridge = self.instance + 1
        bay, unit = self.number % 16, self.number // 16 % 16
        self.port = f"{bay} {unit}"
        self._udp(0)
        udp = self.ends[0].peer
        self.add = [f"iol_bridge add_nio_udp {self.name} {self.instance} {self.port} {udp.to} "
                    f"127.0.0.1 {udp.port}"]
        os.makedirs(IOL_SOCKETS, mode=0o700, exist_ok=True)
        with self.lab.ns:
            peer = UnixPeer(f"{IOL_SOCKETS}/{self.instance}")
        number = bay + 16 * unit
        self.ends.append(End(
            peer, lambda packet: peer.send(packet, f"{IOL_SOCKETS}/{self.bridge}"),
            struct.pack("!HHBBBB", self.bridge, self.instance, number, number, 1, 0),
            struct.pack("!HHBBBB", self.instance, self.bridge, number, number, 1, 0)))

    def do(self, client, command, *words):
        super().do(client, command, *words, *([str(self.bridge)] if command == "create" else []))

    def look(self, client):
        for command in ("get_stats", "get_counters"):
            self.do(client, command)
        client.ok("iol_bridge list")


class NamespaceCable(Cable):
    """A TAP that is moved into the namespace of a process that is no container."""

    def prepare(self):
        self.holder = None
        self._udp(0)
        self.ends.append(None)
        self.add.append(f"bridge add_nio_tap {self.name} c{self.number}")

    def plug(self, client):
        super().plug(client)
        self.drop_holder()
        self.holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "-n",
                                        "sleep", "100000"])
        pid = self.holder.pid
        wait_until(lambda: os.readlink(f"/proc/{pid}/ns/net") !=
                   os.readlink("/proc/self/ns/net"), what="the new namespace")
        client.ok(f"docker move_to_ns c{self.number} {pid} sk{self.number}")
        with contextlib.closing(ProcessNamespace(pid)) as namespace:
            namespace.quiet(f"sk{self.number}")
            namespace.ip(f"link set sk{self.number} up")
            peer = RawPeer(namespace, f"sk{self.number}")
        self.ends[1] = End(peer, peer.send)

    def drop_holder(self):
        """The namespace goes with the last that is in it."""
        if self.holder:
            self.holder.kill()
            self.holder.wait()
            self.ends[1].close()

    def close(self):
        self.drop_holder()
        self.ends[0].close()


class ProcessNamespace(Namespace):
    """The network namespace of a process."""

    def __init__(self, pid):    # pylint: disable=super-init-not-called
        self._entered_from = []
        self.fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
