# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame by frame: what containers with all offloads on look like to a peer that verifies."""
import os
import queue
import select
import socket
import struct
import threading

import pytest

from lab import capture, frames, wire
from lab.nodes import (GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, KINDS, NEEDS_CSUM, Injector, Node,
                       tcp_transfer, udp_datagrams, until_it_arrives)
from lab.peers import RawPeer
from lab.wait import wait_until

MEGABYTE = 1 << 20
MTU = 1500


class Relay(threading.Thread):
    """Two UDP peers that pass on what they get, and keep all of it."""

    def __init__(self, left, right):
        super().__init__(daemon=True)
        self.ends = left, right
        self.seen = [], []
        self._stop_pipe = os.pipe()

    def run(self):
        poll = select.poll()
        poll.register(self._stop_pipe[0], select.POLLIN)
        for end in self.ends:
            end.sock.setblocking(False)
            poll.register(end.sock, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == self._stop_pipe[0]:
                    return
                number = [end.sock.fileno() for end in self.ends].index(fd)
                self._pass_on(number)

    def _pass_on(self, number):
        try:
            for _ in range(64):
                frame = self.ends[number].sock.recv(65536)
                self.seen[number].append(frame)
                self.ends[1 - number].send(frame)
        except BlockingIOError:
            pass

    def stop(self):
        os.write(self._stop_pipe[1], b"x")
        self.join(10)
        for fd in self._stop_pipe:
            os.close(fd)

    def packets(self, number):
        """Everything that came from a node, verified."""
        return [wire.parse(frame) for frame in list(self.seen[number])]


class Wire:
    """Node 1 - bridge b1 - UDP - relay - UDP - bridge b2 - node 2"""

    def __init__(self, ub, ns, namespaces, peers, kinds):
        self.ub, self.ns = ub, ns
        self.nodes, ends = [], []
        for number, kind in enumerate(kinds, 1):
            end = peers.udp()
            end.to = peers.port()
            ub.ok(f"bridge create b{number}")
            self.nodes.append(Node(ub, ns, namespaces(), f"b{number}", kind, number))
            ub.ok(f"bridge add_nio_udp b{number} {end.to} 127.0.0.1 {end.port}")
            ends.append(end)
        for node, other in (self.nodes, self.nodes[::-1]):
            node.knows(other)
        self.relay = Relay(*ends)

    def begin(self):
        for number in (1, 2):
            self.ub.ok(f"bridge start b{number}")
        self.relay.start()
        # the first frame makes a TAP attach anew, and those behind it may be lost
        for source, destination in self.both_ways():
            until_it_arrives(source, destination)
        for number, bridge in enumerate(("b1", "b2")):
            self.ub.ok(f"bridge reset_stats {bridge}")
            self.relay.seen[number].clear()

    def both_ways(self):
        return self.nodes, self.nodes[::-1]


@pytest.fixture
def make_wire(ub, ns, namespaces, peers):
    made = []

    def make(*kinds):
        made.append(Wire(ub, ns, namespaces, peers, kinds))
        made[-1].begin()
        return made[-1]
    yield make
    for each in made:
        each.relay.stop()


@pytest.fixture(params=KINDS)
def pair(request, make_wire):
    """Both nodes of one kind."""
    return make_wire(request.param, request.param)


def check_stream(packets, mtu=MTU):
    """The frames of a TCP stream in one direction, as one host sends them. A timer may send
    the latest of them twice, but nothing is ever left out."""
    data = [p for p in packets if p.protocol == wire.TCP and p.payload]
    assert data
    following, ident = data[0].seq, data[0].id
    for packet in data:
        ahead = (packet.seq - following) & 0xffffffff
        assert packet.ip_len <= mtu
        assert ahead == 0 or ahead >> 31, "a gap, or out of order"
        assert packet.id == ident, "identifications count up"
        assert not packet.flags & wire.SYN
        if not ahead:
            following = (packet.seq + len(packet.payload)) & 0xffffffff
        if packet.version == 4:
            ident = (ident + 1) & 0xffff
    assert not any(p.flags & wire.FIN for p in data if end_of(p) != following)
    return data


def end_of(packet):
    return (packet.seq + len(packet.payload)) & 0xffffffff


def size_of(data):
    """Bytes in a stream that has been checked."""
    first = data[0].seq
    return max((end_of(p) - first) & 0xffffffff for p in data)


def streams(packets):
    """The data-bearing packets, by flow."""
    found = {}
    for packet in packets:
        if packet.protocol == wire.TCP and packet.payload:
            found.setdefault(packet.flow, []).append(packet)
    return list(found.values())


# ---- streams of the containers' own stacks

@pytest.mark.parametrize("mss", [None, 536])
def test_tcp(pair, mss):
    for source, destination in pair.both_ways():
        tcp_transfer(source, destination, destination.address, 4 * MEGABYTE, mss)
        tcp_transfer(source, destination, destination.address6, 4 * MEGABYTE, mss)
    for number in (0, 1):
        found = streams(pair.relay.packets(number))
        assert len(found) == 2
        for stream in found:
            data = check_stream(stream)
            assert size_of(data) == 4 * MEGABYTE
            if mss:
                assert max(len(p.payload) for p in data) <= mss
            else:
                assert len(data[len(data) // 2].payload) > 1400, "no full frames"


def test_jumbo_tcp(pair):
    for node in pair.nodes:
        node.mtu(9000, pair.ns)
    tcp_transfer(*pair.nodes, pair.nodes[1].address, 4 * MEGABYTE)
    data, = streams(pair.relay.packets(0))
    assert max(p.ip_len for p in check_stream(data, 9000)) == 9000


def test_several_flows_at_once(pair):
    one, two = pair.nodes
    errors = queue.Queue()

    def transfer(source, destination):
        try:
            tcp_transfer(source, destination, destination.address, 2 * MEGABYTE)
        except AssertionError as error:
            errors.put(error)
    threads = [threading.Thread(target=transfer, args=ends)
               for ends in ((one, two), (two, one)) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors.empty(), errors.get()
    for number in (0, 1):
        found = streams(pair.relay.packets(number))
        assert len(found) == 2
        for stream in found:
            check_stream(stream)


def test_aggregates_are_segmented(make_wire):
    """With its own segmentation off, the container's stream is joined by the host's GRO."""
    pair = make_wire("linux_raw", "linux_raw")
    one, two = pair.nodes
    one.ns.run("ethtool", "-K", "eth0", "tso", "off", "gso", "off", "tx", "off")
    pair.ns.run("ethtool", "-K", one.host, "gro", "on")
    tcp_transfer(one, two, two.address, 4 * MEGABYTE)
    data, = streams(pair.relay.packets(0))
    check_stream(data)


@pytest.mark.parametrize("size", [1, 1200, 1472])
def test_udp(pair, size):
    payloads = [bytes([n % 251]) * size for n in range(300)]
    for source, destination in pair.both_ways():
        udp_datagrams(source, destination, destination.address, payloads)
        udp_datagrams(source, destination, destination.address6,
                      [payload[:1452] for payload in payloads])
    for number in (0, 1):
        packets = [p for p in pair.relay.packets(number) if p.protocol == wire.UDP]
        assert len(packets) == 600
        assert max(p.ip_len for p in packets) <= MTU


def test_udp_trains(pair):
    trains = [os.urandom(30 * 1200 + 5) for _ in range(10)]
    for source, destination in pair.both_ways():
        udp_datagrams(source, destination, destination.address, trains, segment=1200)
        udp_datagrams(source, destination, destination.address6, trains, segment=1200)
    for number in (0, 1):
        packets = [p for p in pair.relay.packets(number) if p.protocol == wire.UDP]
        assert len(packets) == 2 * 10 * 31
        assert {len(p.payload) for p in packets} == {1200, 5}


def test_fragments(pair):
    payloads = [os.urandom(10000) for _ in range(20)]
    for source, destination in pair.both_ways():
        udp_datagrams(source, destination, destination.address, payloads)
        udp_datagrams(source, destination, destination.address6, payloads)
    packets = pair.relay.packets(0)
    assert sum(p.fragment for p in packets) >= 2 * 20 * 7
    assert max(p.ip_len for p in packets if p.version) <= MTU


# ---- tunnels within containers

def add_vxlan(node, other, version, *options):
    remote = other.address if version == 4 else other.address6
    node.ns.ip(f"link add vx type vxlan id 42 dstport {wire.VXLAN_PORT} dev eth0 remote {remote} "
               + " ".join(options))
    node.quiet("vx")
    node.ns.ip(f"link set vx up address 02:00:00:00:01:{node.number:02x}")
    node.add_addresses("vx", f"10.1.0.{node.number}", f"fd01::{node.number}")


VXLANS = [(4, "udpcsum"), (4, "noudpcsum"), (6, "udpcsum"),
          (6, "udp6zerocsumtx udp6zerocsumrx")]


@pytest.mark.parametrize("version,options", VXLANS)
def test_tcp_in_vxlan(pair, version, options):
    one, two = pair.nodes
    add_vxlan(one, two, version, options)
    add_vxlan(two, one, version, options)
    for source, destination in pair.both_ways():
        tcp_transfer(source, destination, f"10.1.0.{destination.number}", 4 * MEGABYTE)
        tcp_transfer(source, destination, f"fd01::{destination.number}", 4 * MEGABYTE)
    for number in (0, 1):
        packets = pair.relay.packets(number)
        assert max(p.ip_len for p in packets if p.version) <= MTU
        found = streams(p.inner for p in packets if p.inner)
        assert len(found) == 2
        for stream in found:
            data = check_stream(stream)
            assert size_of(data) == 4 * MEGABYTE


def test_tcp_in_vxlan_within_one_process(ub, ns, namespaces):
    """Nothing needs wire frames on the way, yet no device takes these as they are."""
    ub.ok("bridge create b")
    nodes = [Node(ub, ns, namespaces(), "b", kind, number)
             for number, kind in enumerate(("linux_raw", "tap"), 1)]
    ub.ok("bridge start b")
    for node, other in (nodes, nodes[::-1]):
        add_vxlan(node, other, 4, "udpcsum")
    for source, destination in (nodes, nodes[::-1]):
        tcp_transfer(source, destination, f"10.1.0.{destination.number}", 8 * MEGABYTE)


@pytest.mark.parametrize("version,options", VXLANS)
def test_tunnels_are_segmented_as_by_the_kernel(make_wire, peers, namespaces, version, options):
    """The container's frames go to the relay, and through a bridge of the host's kernel to an
    interface that can not segment: bit for bit the same."""
    pair = make_wire("linux_raw", "linux_raw")
    one, two = pair.nodes
    pair.ns.ip("link add kernel type bridge")
    pair.ns.quiet("kernel")
    pair.ns.veth("out", "kernelwire")
    pair.ns.run("ethtool", "-K", "out", "tso", "off", "gso", "on", "tx", "off")
    for port in ("out", one.host):
        pair.ns.ip(f"link set {port} master kernel")
    pair.ns.ip("link set kernel up")
    kernel = peers.raw("kernelwire", where=pair.ns)
    add_vxlan(one, two, version, options)
    add_vxlan(two, one, version, options)
    tcp_transfer(one, two, "10.1.0.2", MEGABYTE)
    tcp_transfer(one, two, "fd01::2", MEGABYTE)
    trains = [os.urandom(20 * 1200 + 5) for _ in range(5)]
    udp_datagrams(one, two, "10.1.0.2", trains, segment=1200)
    udp_datagrams(one, two, "fd01::2", trains, segment=1200)

    def of_streams(frames_seen):
        return [frame for frame in frames_seen
                if (inner := wire.parse(frame).inner) and inner.protocol in (wire.TCP, wire.UDP)]
    ours, theirs = of_streams(list(pair.relay.seen[0])), of_streams(kernel.receive_all())
    assert len(theirs) > 1500
    assert len(ours) == len(theirs)
    for one_frame, other in zip(ours, theirs):
        assert one_frame == other


# ---- crafted frames: tags, options, extension headers

HOP_BY_HOP = b"\x3c\x00\x01\x04\x00\x00\x00\x00"
DESTINATION = bytes([wire.TCP]) + b"\x00\x01\x04\x00\x00\x00\x00"

SHAPES = {
    "vlan": ([(0x8100, 10)], b"", b""),
    "qinq": ([(0x88a8, 100), (0x8100, 10)], b"", b""),
    "options": ([], b"\x01" * 40, b""),
    "extensions": ([], b"", HOP_BY_HOP + DESTINATION),
    "qinq extensions": ([(0x88a8, 100), (0x8100, 10)], b"", HOP_BY_HOP + DESTINATION),
}


def open_tcp(shape, payload, ident=0xfffe):
    """A TCP super-frame with its checksum open: (frame, checksum start)."""
    tags, options, extensions = SHAPES[shape]
    ends = {"source": "fd00::1", "destination": "fd00::2"} if extensions else {}
    segment = bytearray(wire.tcp(payload, flags=wire.ACK | wire.PSH, **ends))
    segment[16:18] = wire.open_checksum(wire.TCP, len(segment), ends.get("source", "10.0.0.1"),
                                        ends.get("destination", "10.0.0.2"))
    if extensions:
        packet = wire.ipv6(bytes(segment), wire.TCP, extensions=extensions)
    else:
        packet = wire.ipv4(bytes(segment), wire.TCP, ident=ident, options=options)
    frame = wire.ethernet(packet, tags=tags)
    return frame, len(frame) - len(segment)


def tcp_packets(pair):
    return [p for p in pair.relay.packets(0) if p.protocol == wire.TCP]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_crafted_super_frames(make_wire, shape, kind):
    """They are cut for the relay; what its far side gets is the same stream."""
    pair = make_wire(kind, "linux_raw")
    payload = os.urandom(20000)
    frame, start = open_tcp(shape, payload)
    sender = Injector(pair.nodes[0])
    gso = GSO_TCPV6 if SHAPES[shape][2] else GSO_TCPV4
    far = frames_at(pair.nodes[1])
    sender.send_open(frame, start, 16, gso, 1100)
    packets = check_stream(wait_until(lambda: len(seen := tcp_packets(pair)) == 19 and seen,
                                      what="the segments"))
    assert b"".join(p.payload for p in packets) == payload
    assert {len(p.payload) for p in packets} == {1100, 20000 % 1100}
    assert {p.tags for p in packets} == {len(SHAPES[shape][0])}
    assert [bool(p.flags & wire.PSH) for p in packets] == [False] * 18 + [True]
    got = b""
    while len(got) < len(payload):
        there = far.receive()
        if there[:12] == frame[:12]:
            got += there[len(frame) - len(payload):]
    assert got == payload
    sender.close()
    far.close()


@pytest.fixture
def tap_file(ns):
    fd = ns.tap_file("tapf")
    yield fd
    os.close(fd)


@pytest.mark.parametrize("shape", ["options", "extensions"])
@pytest.mark.parametrize("kind", ["linux_raw", "ethernet"])
def test_mpls(ub, ns, peers, tap_file, kind, shape):
    """An interface may receive segment trains with labels: each segment gets them. What is no
    train passes as it is."""
    far = peers.udp()
    far.to = peers.port()
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_{kind} b tapf")
    ub.ok(f"bridge add_nio_udp b {far.to} 127.0.0.1 {far.port}")
    ub.ok("bridge start b")
    payload = os.urandom(20000)
    frame, start = open_tcp(shape, payload)
    frame, start = wire.labelled(frame, [16, 17]), start + 8
    gso = GSO_TCPV6 if SHAPES[shape][2] else GSO_TCPV4
    os.write(tap_file, struct.pack("=BBHHHH", NEEDS_CSUM, gso, start + 20, 1100, start, 16) + frame)
    packets = check_stream([wire.parse(far.receive()) for _ in range(19)])
    assert b"".join(p.payload for p in packets) == payload
    assert {p.labels for p in packets} == {2}
    alone = wire.labelled(wire.ethernet(wire.ipv4(wire.tcp(b"alone"), wire.TCP)), [18])
    os.write(tap_file, bytes(10) + alone)
    far.expect(alone)
    far.expect_nothing()


def frames_at(node):
    return RawPeer(node.ns, "eth0")


@pytest.mark.parametrize("kind", KINDS)
def test_sctp_gets_its_checksum(make_wire, kind):
    pair = make_wire(kind, kind)
    sender = Injector(pair.nodes[0])
    chunk = struct.pack("!HHII", 1, 2, 0xabcd, 0) + os.urandom(500)
    frame = wire.ethernet(wire.ipv4(chunk, wire.SCTP))
    sender.send_open(frame, 34, 8)
    wait_until(lambda: [p for p in pair.relay.packets(0) if p.protocol == wire.SCTP],
               what="the frame")
    sender.close()


def test_sctp_passes_complete_within_one_process(ub, ns, namespaces):
    ub.ok("bridge create b")
    nodes = [Node(ub, ns, namespaces(), "b", "linux_raw", number) for number in (1, 2)]
    ub.ok("bridge start b")
    sender, far = Injector(nodes[0]), frames_at(nodes[1])
    chunk = struct.pack("!HHII", 1, 2, 0xabcd, 0) + os.urandom(500)
    sender.send_open(wire.ethernet(wire.ipv4(chunk, wire.SCTP)), 34, 8)
    while wire.parse(got := far.receive()).protocol != wire.SCTP:
        pass
    assert got[46:] == chunk[12:]
    sender.close()
    far.close()


# ---- what must not be touched

def untouched():
    udp = wire.udp(b"u" * 3000)
    return [
        frames.arp(), frames.icmp(b"ping"), frames.frame(size=1514),
        frames.tagged([(0x88a8, 3, 100), (0x8100, 1, 10)]),
        wire.ethernet(wire.ipv4(b"e" * 100, 50)),
        wire.ethernet(wire.ipv4(b"o" * 60, 89, destination="224.0.0.5")),
        wire.ethernet(wire.ipv6(b"n" * 32, 58)),
        wire.ethernet(wire.ipv4(udp[:1480], wire.UDP, ident=7, fragment=0x2000)),
        wire.ethernet(wire.ipv4(udp[1480:2960], wire.UDP, ident=7, fragment=0x2000 | 185)),
        wire.ethernet(wire.ipv4(udp[2960:], wire.UDP, ident=7, fragment=370)),
        wire.ethernet(wire.ipv4(wire.tcp(b"t" * 99)[:10], wire.TCP)),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_others_pass_untouched(ub, ns, namespaces, peers, kind):
    node, near, far = single(ub, ns, namespaces, peers, kind)
    for frame in untouched():
        near.send(frame)
        far.expect(frame)
        far.send(frame)
        near.expect(frame)
    near.close()


def single(ub, ns, namespaces, peers, kind, address="127.0.0.1"):
    """(a node, a raw peer in it, the UDP peer at the other end of its bridge)"""
    far = peers.udp(address=address)
    far.to = peers.port()
    ub.ok("bridge create b")
    node = Node(ub, ns, namespaces(), "b", kind, 1, silent=True)
    ub.ok(f"bridge add_nio_udp b {far.to} {address} {far.port}")
    ub.ok("bridge start b")
    return node, frames_at(node), far


def wrong(frame, at=-20):
    """With one bit of its payload turned over."""
    frame = bytearray(frame)
    frame[at] ^= 0x10
    return bytes(frame)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_checksums_stay_wrong(ub, ns, namespaces, peers, kind):
    """Alone and in a run of right frames; the receiver drops exactly those."""
    far = peers.udp()
    far.to = peers.port()
    ub.ok("bridge create b")
    node = Node(ub, ns, namespaces(), "b", kind, 1)
    ub.ok(f"bridge add_nio_udp b {far.to} 127.0.0.1 {far.port}")
    ub.ok("bridge start b")
    ends = {"source": "10.0.0.2", "destination": node.address}
    receiver = node.socket(socket.SOCK_DGRAM, node.address)
    port = receiver.getsockname()[1]
    for number in range(20):
        payload = bytes([number]) * 1000
        frame = wire.ethernet(wire.ipv4(wire.udp(payload, dport=port, **ends), wire.UDP,
                                        ident=number, **ends), destination=node.mac)
        far.send(wrong(frame) if number % 7 == 3 else frame)
        # TCP to a closed port
        segment = wire.tcp(payload, seq=1 + 1000 * number, **ends)
        frame = wire.ethernet(wire.ipv4(segment, wire.TCP, ident=number, **ends),
                              destination=node.mac)
        far.send(wrong(frame) if number % 7 == 3 else frame)
    got = [receiver.recv(2000)[0] for _ in range(17)]
    assert got == [n for n in range(20) if n % 7 != 3]
    wait_until(lambda: node.counter("Tcp", "InCsumErrors") == 3, what="three wrong segments")
    wait_until(lambda: node.counter("Udp", "InCsumErrors") == 3, what="three wrong datagrams")
    wait_until(lambda: node.counter("Tcp", "InSegs") >= 20, what="all segments")
    receiver.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_header_checksum_stays_wrong(ub, ns, namespaces, peers, kind):
    node, near, far = single(ub, ns, namespaces, peers, kind)
    frame = wire.ethernet(wire.ipv4(wire.tcp(b"x" * 900), wire.TCP))
    frame = frame[:24] + b"\xba\xad" + frame[26:]
    for _ in range(3):
        far.send(frame)
        near.expect(frame)
        near.send(frame)
        far.expect(frame)
    near.close()


# ---- sizes

@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_frames(ub, ns, namespaces, peers, kind):
    """What UDP can carry goes through; one byte more is lost alone, and counted."""
    node, near, far = single(ub, ns, namespaces, peers, kind)
    node.mtu(65521, ns)
    for size in (9014, 65507):
        near.send(frames.frame(size=size))
        far.expect(frames.frame(size=size))
        far.send(frames.frame(size=size))
        near.expect(frames.frame(size=size))
    near.send(frames.frame(size=65508))
    near.send(frames.frame(b"next"))
    far.expect(frames.frame(b"next"))
    near.close()


@pytest.mark.parametrize("kinds", [("tap", "tap"), ("linux_raw", "linux_raw"),
                                   ("ethernet", "tap")])
def test_the_longest_frames_between_devices(ub, ns, namespaces, kinds):
    ub.ok("bridge create b")
    nodes = [Node(ub, ns, namespaces(), "b", kind, number, silent=True)
             for number, kind in enumerate(kinds, 1)]
    mtu = 65521 if "tap" in kinds else 65535
    for node in nodes:
        node.mtu(mtu, ns)
    ub.ok("bridge start b")
    ends = [frames_at(node) for node in nodes]
    for near, far in (ends, ends[::-1]):
        near.send(frames.frame(size=mtu + 14))
        far.expect(frames.frame(size=mtu + 14))
    for end in ends:
        end.close()


@pytest.mark.parametrize("kinds", [("tap", "tap"), ("linux_raw", "linux_raw"),
                                   ("tap", "linux_raw")])
def test_streams_between_devices_of_one_process(ub, ns, namespaces, kinds):
    """Super-frames stay whole on the way, until a filter wants to see frames."""
    ub.ok("bridge create b")
    nodes = [Node(ub, ns, namespaces(), "b", kind, number) for number, kind in enumerate(kinds, 1)]
    ub.ok("bridge start b")
    for source, destination in (nodes, nodes[::-1]):
        tcp_transfer(source, destination, destination.address, 8 * MEGABYTE)
        udp_datagrams(source, destination, destination.address6, [b"t" * 20000] * 10, 1000)
    ub.ok("bridge add_packet_filter b f packet_loss 0")
    tcp_transfer(*nodes, nodes[1].address6, 8 * MEGABYTE)


# ---- who counts, counts wire frames

@pytest.mark.parametrize("kind", KINDS)
def test_counters_filters_and_captures(ub, ns, namespaces, peers, kind, directory):
    node, near, far = single(ub, ns, namespaces, peers, kind)
    sender = Injector(node)
    payload = os.urandom(40 * 1000)
    datagram = bytearray(wire.udp(payload))
    datagram[6:8] = wire.open_checksum(wire.UDP, len(datagram), "10.0.0.1", "10.0.0.2")
    train = wire.ethernet(wire.ipv4(bytes(datagram), wire.UDP))
    wanted = [payload[at:at + 1000] for at in range(0, len(payload), 1000)]

    def send():
        sender.send_open(train, 34, 6, GSO_UDP_L4, 1000)

    # the first frames may change the way the device is attached
    send()
    far.receive_all()
    ub.ok("bridge reset_stats b")
    send()
    assert [wire.parse(far.receive()).payload for _ in range(40)] == wanted
    wait_until(lambda: ub.stats("b") == {
        "source": (40, 40 * 1042, 0, 0), "destination": (0, 0, 40, 40 * 1042)}, what="40 frames")

    ub.ok(f"bridge start_capture b {directory}/c.pcap")
    ub.ok("bridge add_packet_filter b f frequency_drop 4")
    send()
    got = [wire.parse(frame).payload for frame in far.receive_all()]
    assert len(got) == 30
    assert got == [p for n, p in enumerate(wanted, 1) if n % 4] or \
        got == [p for n, p in enumerate(wanted) if n % 4], "every fourth frame"
    assert ub.stats("b")["source"][:2] == (80, 80 * 1042)
    assert ub.stats("b")["destination"][2:] == (70, 70 * 1042)
    ub.ok("bridge reset_packet_filters b")
    send()
    assert len(far.receive_all()) == 40
    ub.ok("bridge stop_capture b")
    captured = [wire.parse(frame).payload for frame in capture.packets(f"{directory}/c.pcap")]
    assert captured[-40:] == wanted
    assert len(captured) in (70, 80)
    sender.close()
    near.close()


def test_counters_of_a_stream(pair):
    """Each frame that the relay has seen, and no more, is counted, and each of its bytes."""
    one, two = pair.nodes
    tcp_transfer(one, two, two.address, 4 * MEGABYTE)
    tcp_transfer(two, one, one.address6, 4 * MEGABYTE)
    for number, bridge in enumerate(("b1", "b2")):
        def counted(number=number, bridge=bridge):
            seen = list(pair.relay.seen[number])
            stats = pair.ub.stats(bridge)
            out = stats["destination"][2:]
            return out == stats["source"][:2] == (len(seen), sum(map(len, seen)))
        wait_until(counted, what="exact counters")
