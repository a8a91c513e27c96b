# SPDX-License-Identifier: GPL-3.0-or-later
"""The same traffic where the kernel refuses what makes it fast."""
import os
import subprocess
import time

import pytest

from lab import frames, wire
from lab.attachments import Containers, wait_state
from lab.nodes import GSO_TCPV4, Injector, Node, tcp_transfer, udp_datagrams, until_it_arrives
from lab.program import free_port
from lab.wait import wait_until

MEGABYTE = 1 << 20
KERNEL_5_10 = ["uso", "tagged"]
EVERYTHING = ["udp_segment", "udp_gro", "tun_vnet_hdr", "packet_vnet_hdr"]

REFUSED = {
    "nothing": [],
    "udp_segment": ["udp_segment"],
    "udp_segment_eio": ["udp_segment_eio"],
    "udp_segment_late": ["udp_segment_late"],
    "udp_gro": ["udp_gro"],
    "tun_vnet_hdr": ["tun_vnet_hdr"],
    "tun_offload": ["tun_offload"],
    "packet_vnet_hdr": ["packet_vnet_hdr"],
    "kernel_5.10": KERNEL_5_10,
    "everything": EVERYTHING,
    "no_offload": None,
}


@pytest.fixture(scope="session")
def refuse_library(tmp_path_factory):
    source = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                          "preload", "refuse.c")
    library = tmp_path_factory.mktemp("preload") / "refuse.so"
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-shared",
                    "-fPIC", "-o", library, source, "-ldl"], check=True)
    os.chmod(library.parent, 0o755)
    return str(library)


@pytest.fixture
def launch_refusing(launch, refuse_library):
    """A maker of programs on a kernel that lacks features."""
    def make(words, env=(), **kwargs):
        options = os.environ.get("ASAN_OPTIONS", "")
        return launch(env=dict(env, LD_PRELOAD=refuse_library, UBRIDGE_REFUSE=",".join(words),
                               ASAN_OPTIONS=f"{options}:verify_asan_link_order=0".strip(":")),
                      **kwargs)
    return make


@pytest.fixture(params=REFUSED)
def launch_lacking(request, launch, launch_refusing):
    words = REFUSED[request.param]

    def make(**kwargs):
        if words is None:
            return launch(args=["--no-offload"], **kwargs)
        return launch_refusing(words, **kwargs)
    make.words = words or []
    return make


class Line:
    """TAP node 1 - process - UDP - process - node 2 on a veth pair."""

    def __init__(self, launch, ns, namespaces):
        self.ns = ns
        self.programs = [launch(), launch()]
        self.ports = [free_port(ns, 2), free_port(ns, 2)]
        self.nodes = []
        for number, (program, kind) in enumerate(zip(self.programs, ("tap", "linux_raw"))):
            program.ok("bridge create b")
            self.nodes.append(Node(program, ns, namespaces(), "b", kind, number + 1))
            program.ok(f"bridge add_nio_udp b {self.ports[number]} 127.0.0.1 "
                       f"{self.ports[1 - number]}")
        # not before both sockets are there to take what the other sends
        for program in self.programs:
            program.ok("bridge start b")
        for node, other in (self.nodes, self.nodes[::-1]):
            node.knows(other)
        # the first frame makes a TAP attach anew, and those behind it may be lost
        until_it_arrives(*self.nodes)

    def both_ways(self):
        return self.nodes, self.nodes[::-1]

    def check_counters(self):
        """What left one process came in at the other; the kernel has counted what it lost."""
        def counters():
            return [program.stats("b")["destination"] for program in self.programs]
        wait_until(lambda: counters() == counters(), what="the counters to stand still")
        one, two = counters()
        lost = [self.ns.udp_drops(port) for port in self.ports]
        assert one[2] == two[0] + lost[1] and two[2] == one[0] + lost[0]
        if not any(lost):
            assert one[3] == two[1] and two[3] == one[1]
        for program in self.programs:
            source, destination = program.stats("b").values()
            assert source[:2] == destination[2:] and destination[:2] == source[2:]


@pytest.fixture
def line(launch_lacking, ns, namespaces):
    return Line(launch_lacking, ns, namespaces)


def test_tcp(line, launch_lacking):
    for source, destination in line.both_ways():
        for address in (destination.address, destination.address6):
            tcp_transfer(source, destination, address, 8 * MEGABYTE)
    line.check_counters()
    said = "".join(program.stderr() for program in line.programs)
    for word in set(launch_lacking.words) - {"tagged"}:
        assert f"refused: {word}" in said, f"{word} was never asked for"


@pytest.mark.vlan_interfaces
def test_tcp_in_vlans(line):
    for node in line.nodes:
        node.vlan(10)
    for source, destination in line.both_ways():
        tcp_transfer(source, destination, f"10.0.10.{destination.number}", 2 * MEGABYTE)
        tcp_transfer(source, destination, f"fd00:10::{destination.number}", 2 * MEGABYTE)
    line.check_counters()


def tagged_stream(payload):
    """Frames of a TCP stream in a VLAN, each with its part of the payload."""
    return [wire.ethernet(wire.ipv4(wire.tcp(payload[at:at + 1000], seq=1 + at), wire.TCP,
                                    ident=at // 1000), tags=[(0x8100, 10)])
            for at in range(0, len(payload), 1000)]


def tagged_super_frame(payload):
    """The same as it is on its way through a host's stack: (frame, checksum start)."""
    whole = bytearray(wire.tcp(payload, seq=1))
    whole[16:18] = wire.open_checksum(wire.TCP, len(whole), "10.0.0.1", "10.0.0.2")
    return wire.ethernet(wire.ipv4(bytes(whole), wire.TCP), tags=[(0x8100, 10)]), 38


def test_tagged_streams(launch_lacking, ns, namespaces, peers):
    """In runs from a UDP peer, and as a super-frame from another device of the process."""
    ub = launch_lacking()
    far = peers.udp()
    far.to = peers.port()
    payload = os.urandom(20000)
    ub.ok("bridge create a")
    one = Node(ub, ns, namespaces(), "a", "linux_raw", 1, silent=True)
    ub.ok(f"bridge add_nio_udp a {far.to} 127.0.0.1 {far.port}")
    ub.ok("bridge start a")
    near = peers.raw("eth0", where=one.ns)
    sent = tagged_stream(payload)
    for frame in sent:
        far.send(frame)
    assert stream_of(near, sent[0], len(payload)) == payload

    ub.ok("bridge create b")
    two, three = (Node(ub, ns, namespaces(), "b", "linux_raw", n, silent=True) for n in (2, 3))
    ub.ok("bridge start b")
    near, sender = peers.raw("eth0", where=three.ns), Injector(two)
    sender.send_open(*tagged_super_frame(payload), 16, GSO_TCPV4, 1000)
    assert stream_of(near, sent[0], len(payload)) == payload
    sender.close()


def stream_of(peer, like, size):
    """The payload of tagged frames, of whatever size they are."""
    got = b""
    while len(got) < size:
        frame = peer.receive()
        assert frame[:18] == like[:18]
        got += frame[58:]
    return got


def test_jumbo(line):
    for node in line.nodes:
        node.mtu(9000, line.ns)
    for source, destination in line.both_ways():
        tcp_transfer(source, destination, destination.address, 4 * MEGABYTE)
        udp_datagrams(source, destination, destination.address, [b"j" * 8972] * 20)
    line.check_counters()


@pytest.mark.parametrize("version", [4, 6])
def test_udp(line, version):
    payloads = [bytes([n % 256]) * (1 + n * 7 % 1400) for n in range(600)]
    equal = [bytes([n % 256]) * 1000 for n in range(600)]
    fragments = [bytes([n % 256]) * 5000 for n in range(20)]
    for source, destination in line.both_ways():
        address = destination.address if version == 4 else destination.address6
        udp_datagrams(source, destination, address, payloads)
        udp_datagrams(source, destination, address, equal)
        udp_datagrams(source, destination, address, fragments)
    line.check_counters()


def test_udp_trains(line, launch_lacking):
    """A sender that leaves the cutting to its device (QUIC does)."""
    trains = [bytes([n % 256]) * (17 * 1200 + 77) for n in range(20)]
    senders = line.both_ways()
    if "packet_vnet_hdr" in launch_lacking.words:
        # where the datagrams in it end is told nowhere but in the header that is refused
        senders = senders[:1]
    for source, destination in senders:
        for address in (destination.address, destination.address6):
            udp_datagrams(source, destination, address, trains, segment=1200)
    line.check_counters()


def test_bursts_between_udp_peers(launch_lacking, peers, ns):
    """Runs of equal and unequal frames, complete and in order, with exact counters."""
    ub = launch_lacking()
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    ub.udp_bridge("t", (left.to, left.port), (right.to, right.port))
    total = size = 0
    for burst in range(20):
        sent = [frames.frame(b"%d %d" % (burst, n), size=60 + (n // 30) * 97 + n % 31 // 30)
                for n in range(150)]
        for packet in sent:
            left.send(packet)
        for packet in sent:
            right.expect(packet)
        total, size = total + len(sent), size + sum(map(len, sent))
    wait_until(lambda: ub.stats("t") == {
        "source": (total, size, 0, 0), "destination": (0, 0, total, size)}, what="exact counters")


# ---- a path that is too narrow for trains

@pytest.fixture
def narrow(launch_refusing, ns, namespaces):
    """As Line, but the UDP tunnel goes through a veth pair of MTU 1500."""
    far_host = namespaces()
    ns.veth("wa", "wb", other=far_host)
    ns.ip("addr add 192.0.2.1/24 dev wa")
    far_host.ip("addr add 192.0.2.2/24 dev wb")
    nodes, programs = [], []
    for number, (host, peer) in enumerate(((ns, 2), (far_host, 1))):
        program = launch_refusing([], ns=host)
        program.ok("bridge create b")
        nodes.append(Node(program, host, namespaces(), "b", "tap", number + 1))
        program.ok(f"bridge add_nio_udp b 20000 192.0.2.{peer} 20000")
        programs.append(program)
    for program in programs:
        program.ok("bridge start b")
    for source, destination in (nodes, nodes[::-1]):
        source.knows(destination)
        destination.knows(source)
        until_it_arrives(source, destination)
    return nodes, programs


def trains(program):
    """(sent, refused), after the end of the program."""
    program.stop()
    words = program.stderr().split("trains: ")[1].split()
    return int(words[0]), int(words[2])


def test_path_mtu_too_small_for_a_train(narrow, ns):
    """No frame is lost, it is tried seldom, and smaller frames still go in trains."""
    nodes, programs = narrow
    begin = time.monotonic()
    for source, destination in (nodes, nodes[::-1]):
        tcp_transfer(source, destination, destination.address, 4 * MEGABYTE)
        udp_datagrams(source, destination, destination.address, [b"a" * 1000] * 400)
        udp_datagrams(source, destination, destination.address, [b"b" * 21000] * 20, segment=1050)
        udp_datagrams(source, destination, destination.address, [b"c" * 1472] * 400)
    one, two = (program.stats("b")["destination"] for program in programs)
    if not any(host.udp_drops(20000) for host in (ns,)):
        assert one[2:] == two[:2] and two[2:] == one[:2]
    for program in programs:
        sent, refused = trains(program)
        assert 1 <= refused <= 2 + (time.monotonic() - begin) / 5, "remembered"
        assert sent >= 20


def test_path_mtu_shrinks(narrow, ns):
    """Trains that went well are refused later."""
    nodes, _ = narrow
    for node in nodes:
        node.mtu(1000, ns)
    udp_datagrams(*nodes, nodes[1].address, [b"a" * 9000] * 20, segment=900)
    ns.ip("link set wa mtu 800")
    udp_datagrams(*nodes, nodes[1].address, [b"b" * 9000] * 20, segment=900)
    udp_datagrams(*nodes, nodes[1].address, [b"c" * 7000] * 20, segment=700)


def test_path_mtu_grows_again(narrow, ns):
    """Trains that were refused go again, some seconds after the path became wide enough."""
    nodes, programs = narrow

    def goes_again():
        udp_datagrams(*nodes, nodes[1].address, [b"d" * 12000] * 2, segment=1200)
        return "trains go again" in programs[0].stderr()

    ns.ip("link set wa mtu 800")
    assert not goes_again()
    ns.ip("link set wa mtu 1500")
    wait_until(goes_again, 20, "trains")


@pytest.fixture
def containers(engine):
    containers = Containers(engine)
    yield containers
    containers.close()


@pytest.mark.parametrize("words, udp", [([], "on"), (["tagged"], "off")])
def test_containers_send_no_super_frames_that_get_lost(launch_refusing, engine, containers, words,
                                                       udp):
    """Virtio headers have none for SCTP, and before Linux 6.2 none for UDP."""
    name = containers.run()
    program = launch_refusing(words, env=engine.environment)
    program.ok("bridge create t")
    program.ok(f"bridge add_nio_docker t {name} eth1 backend=veth")
    wait_state(program, "attached")
    features = containers.enter(name, "ethtool", "-k", "eth1").splitlines()
    assert "tx-sctp-segmentation: off" in features
    assert f"tx-udp-segmentation: {udp}" in features
    assert "\ttx-tcp-segmentation: on" in features
