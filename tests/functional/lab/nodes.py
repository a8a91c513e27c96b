# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers as the data path knows them: namespaces with one interface, offloads left on."""
import hashlib
import os
import socket
import struct
import subprocess
import threading

from .peers import RawPeer
from .wait import wait_until

SOL_UDP, UDP_SEGMENT = 17, 103
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
SOL_PACKET, PACKET_VNET_HDR = 263, 15

NEEDS_CSUM = 1
GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4 = 0, 1, 4, 5

KINDS = ["tap", "linux_raw", "ethernet"]

_BLOCK = bytes(range(251)) * 261    # 64 KiB, in no step with segment sizes


class Node:
    """A namespace whose interface eth0 is one end of a bridge.

    A TAP is moved there; the other kinds listen on the host's end of a veth pair. A silent
    node has no addresses and sends nothing by itself.
    """

    def __init__(self, ub, ns, namespace, bridge, kind, number, silent=False):
        self.ns, self.number, self.kind = namespace, number, kind
        self.host = f"n{number}"
        self.address, self.address6 = f"10.0.0.{number}", f"fd00::{number}"
        self.mac = f"02:00:00:00:00:{number:02x}"
        if kind == "tap":
            ub.ok(f"bridge add_nio_tap {bridge} {self.host}")
            with namespace, subprocess.Popen(["sleep", "60"]) as process:
                ub.ok(f"docker move_to_ns {self.host} {process.pid} {self.host}")
                process.kill()
        else:
            ns.veth(self.host, f"{self.host}c", other=namespace, up=False)
            ns.ip(f"link set {self.host} up")
            namespace.ip(f"link set {self.host}c name {self.host}")
            ub.ok(f"bridge add_nio_{kind} {bridge} {self.host}")
        namespace.ip(f"link set {self.host} name eth0 address {self.mac}")
        if silent:
            namespace.quiet("eth0")
        else:
            self.quiet("eth0")
        namespace.ip("link set eth0 up")
        if kind != "tap":
            # until the kernel has noticed the carrier it throws away what is sent
            wait_until(lambda: "state UP" in ns.ip(f"link show {self.host}"), what="the carrier")
        if not silent:
            self.add_addresses("eth0", self.address, self.address6)

    def quiet(self, interface):
        """IPv6, but only what the test asks for."""
        base = f"/proc/sys/net/ipv6/conf/{interface}/"
        with self.ns:
            for knob in ("accept_dad", "router_solicitations", "autoconf"):
                self._write(base + knob, "0")
            self._write(base + "addr_gen_mode", "1")
            self._write(base + "disable_ipv6", "0")

    def set(self, knob, value):
        with self.ns:
            self._write(f"/proc/sys/net/{knob}", value)

    @staticmethod
    def _write(path, value):
        if os.path.exists(path):
            with open(path, "w", encoding="ascii") as knob:
                knob.write(value)

    def add_addresses(self, interface, address, address6):
        self.ns.ip(f"addr add {address}/24 dev {interface}")
        self.ns.ip(f"-6 addr add {address6}/64 dev {interface} nodad")

    def mtu(self, mtu, ns):
        """On the container's end, and on the host's where there is one."""
        self.ns.ip(f"link set eth0 mtu {mtu}")
        if self.kind != "tap":
            ns.ip(f"link set {self.host} mtu {mtu}")

    def knows(self, other):
        """Without ARP and neighbour discovery."""
        self.ns.ip(f"neigh replace {other.address} lladdr {other.mac} dev eth0")
        self.ns.ip(f"-6 neigh replace {other.address6} lladdr {other.mac} dev eth0")

    def vlan(self, number):
        """An interface of its own for a VLAN."""
        self.ns.ip(f"link add link eth0 name eth0.{number} type vlan id {number}")
        self.quiet(f"eth0.{number}")
        self.ns.ip(f"link set eth0.{number} up")
        self.add_addresses(f"eth0.{number}", f"10.0.{number}.{self.number}",
                           f"fd00:{number}::{self.number}")

    def socket(self, kind, address=""):
        """A socket in the node with large buffers, bound to an address of its own."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.ns:
            sock = socket.socket(family, kind)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 23)
        if kind == socket.SOCK_DGRAM:
            sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 23)
        sock.settimeout(30)
        sock.bind((address, 0))
        return sock

    def counter(self, protocol, name):
        """A number of /proc/net/snmp."""
        with self.ns, open("/proc/thread-self/net/snmp", encoding="ascii") as file:
            lines = [line.split() for line in file if line.startswith(f"{protocol}:")]
        return int(lines[1][lines[0].index(name)])


class Injector(RawPeer):
    """Sends frames as the node's own stack does: checksums open, in trains."""

    def __init__(self, node):
        super().__init__(node.ns, "eth0")
        self.sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 22)
        self.sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)

    def send_open(self, frame, start, offset, gso_type=GSO_NONE, gso_size=0):
        """The checksum field is at start + offset and holds what the kernel puts there."""
        hint = start + 20 if gso_size else 0
        self.sock.send(struct.pack("=BBHHHH", NEEDS_CSUM, gso_type, hint, gso_size, start, offset)
                       + frame)


def tcp_transfer(source, destination, address, size, mss=None):
    """A TCP stream from one node to an address of the other; each byte must arrive."""
    listener = destination.socket(socket.SOCK_STREAM, address)
    listener.listen(1)
    result = []

    def receive():
        sock, _ = listener.accept()
        sock.settimeout(60)
        digest, count = hashlib.sha256(), 0
        while data := sock.recv(1 << 18):
            digest.update(data)
            count += len(data)
        sock.close()
        result.append((count, digest.digest()))
    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    with source.ns:
        sender = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                               socket.SOCK_STREAM)
    sender.settimeout(60)
    if mss:
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
    sender.connect(listener.getsockname()[:2])
    data = (_BLOCK * (size // len(_BLOCK) + 1))[:size]
    sender.sendall(data)
    sender.shutdown(socket.SHUT_WR)
    thread.join(60)
    sender.close()
    listener.close()
    assert result == [(size, hashlib.sha256(data).digest())]


def until_it_arrives(source, destination):
    """Send datagrams until the first of them is there, and those that were sent by then."""
    receiver = destination.socket(socket.SOCK_DGRAM, destination.address)
    sender = source.socket(socket.SOCK_DGRAM)
    receiver.settimeout(0.2)
    for number in range(100):
        sender.sendto(bytes([number]), receiver.getsockname())
        try:
            while receiver.recv(1) != bytes([number]):
                pass
            break
        except TimeoutError:
            pass
    else:
        raise AssertionError("no datagram arrives")
    receiver.close()
    sender.close()


def udp_datagrams(source, destination, address, payloads, segment=None):
    """Datagrams from one node to the other: complete and in order. With `segment` each
    payload is sent as a train of datagrams of that size."""
    receiver = destination.socket(socket.SOCK_DGRAM, address)
    sender = source.socket(socket.SOCK_DGRAM, "::" if ":" in address else "")
    if segment:
        sender.setsockopt(SOL_UDP, UDP_SEGMENT, segment)
    wanted = []
    for payload in payloads:
        sender.sendto(payload, receiver.getsockname()[:2])
        step = segment or len(payload)
        wanted += [payload[at:at + step] for at in range(0, len(payload), step)]
        if len(wanted) > 200:
            _expect(receiver, wanted)
    _expect(receiver, wanted)
    receiver.close()
    sender.close()


def _expect(receiver, wanted):
    for payload in wanted:
        got = receiver.recv(65536)
        assert got == payload, f"got {got[:16]!r} ({len(got)}), want {payload[:16]!r} " \
                               f"({len(payload)})"
    wanted.clear()
