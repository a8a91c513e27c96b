# SPDX-License-Identifier: GPL-3.0-or-later
"""UDP NIOs: PROTOCOL section 6."""
import pytest

from lab.wait import wait_until

REFUSED = "unable to create NIO UDP for bridge 'b'"


def test_both_ways_every_size(tunnel):
    left, right = tunnel
    for size in (1, 14, 59, 60, 64, 1499, 1500, 1514, 9000, 32768, 65507):
        packet = bytes(number % 251 for number in range(size))
        left.send(packet)
        right.expect(packet)
        right.send(packet)
        left.expect(packet)


def test_order_is_kept(tunnel):
    left, right = tunnel
    for first in range(0, 5000, 100):
        for number in range(first, first + 100):
            left.send(b"%08d" % number * (1 + number % 7))
        for number in range(first, first + 100):
            right.expect(b"%08d" % number * (1 + number % 7))


@pytest.mark.parametrize("sizes", [
    [100] * 70, [1514] * 3 + [60, 1514, 60] * 5, [1, 65507, 1], [1400] * 65 + [7],
    [1000] * 10 + [999] + [1000] * 10 + [1001] + [1000] * 10, list(range(1, 100)),
], ids=["equal", "mixed", "giant", "train", "odd", "growing"])
def test_bursts(tunnel, sizes):
    """However datagrams are batched, they arrive one by one, whole and in order."""
    left, right = tunnel
    for repeat in range(10):
        packets = [bytes([(number + repeat) % 256]) * size for number, size in enumerate(sizes)]
        for packet in packets:
            left.send(packet)
        for packet in packets:
            right.expect(packet)


def test_empty_datagrams_are_ignored(ub, tunnel):
    left, right = tunnel
    for _ in range(3):
        left.send(b"")
        right.send(b"")
    left.send(b"x")
    right.expect(b"x")
    right.send(b"y")
    left.expect(b"y")
    assert ub.alive()


@pytest.mark.parametrize("host, address", [("127.0.0.1", "127.0.0.1"), ("::1", "::1"),
                                           ("four.test", "127.0.0.1"), ("six.test", "::1")])
def test_addresses_and_names(launch, peers, host, address):
    ub = launch(files={"/etc/hosts": "127.0.0.1 localhost four.test\n::1 six.test\n"})
    left, right = peers.udp(address=address), peers.udp(address=address)
    left.to, right.to = peers.port(), peers.port()
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_udp b {left.to} {host} {left.port}", "NIO UDP added to bridge 'b'")
    ub.ok(f"bridge add_nio_udp b {right.to} {host} {right.port}")
    ub.ok("bridge start b")
    left.send(b"ping")
    right.expect(b"ping")
    right.send(b"pong")
    left.expect(b"pong")
    assert ub.ok("bridge show b")[1] == f"Source NIO: {left.to}:{host}:{left.port}"


@pytest.mark.parametrize("arguments", [
    "70000 127.0.0.1 1000", "65536 127.0.0.1 1000", "-1 127.0.0.1 1000", "abc 127.0.0.1 1000",
    "1000x 127.0.0.1 1000", "+1000 127.0.0.1 1000", "0x10 127.0.0.1 1000", "1e3 127.0.0.1 1000",
    "4294968296 127.0.0.1 1000", "18446744073709552616 127.0.0.1 1000",
    "1000 127.0.0.1 70000", "1000 127.0.0.1 -1", "1000 127.0.0.1 xyz", "1000 127.0.0.1 65536",
    "1000 127.0.0.1 0", "1000 256.0.0.1 1000", "1000 nowhere.invalid 1000",
    "1000 255.255.255.255 1000",
])
def test_bad_arguments(ub, arguments):
    ub.ok("bridge create b")
    before = ub.descriptors()
    ub.fails(206, f"bridge add_nio_udp b {arguments}", REFUSED)
    assert ub.ok("bridge show b") == ["bridge 'b' is not running"]
    assert ub.descriptors() == before


def test_a_port_of_another_program(ub, peers):
    taken = peers.udp(address="0.0.0.0")
    ub.ok("bridge create b")
    ub.fails(206, f"bridge add_nio_udp b {taken.port} 127.0.0.1 9", REFUSED)


@pytest.mark.parametrize("where", ["same", "other"])
def test_two_nios_cannot_share_a_port(ub, peers, tunnel, where):
    """The classic program accepts it and steals the traffic of the first."""
    left, right = tunnel
    ub.ok("bridge create b")
    port = left.to
    if where == "same":
        port = peers.port()
        ub.ok(f"bridge add_nio_udp b {port} 127.0.0.1 9")
    ub.fails(206, f"bridge add_nio_udp b {port} 127.0.0.1 {left.port}", REFUSED)
    ub.fails(206, f"bridge add_nio_udp b {port} 127.0.0.1 10", REFUSED)
    left.send(b"not stolen")
    right.expect(b"not stolen")


def test_iol_bridges_cannot_share_a_port_either(ub, tunnel):
    left, right = tunnel
    ub.ok("iol_bridge create i 871")
    ub.fails(206, f"iol_bridge add_nio_udp i 1 0 0 {left.to} 127.0.0.1 9",
             "unable to create NIO UDP for IOL bridge 'i'")
    left.send(b"not stolen")
    right.expect(b"not stolen")


def test_local_port_zero(ub, peers):
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_udp b 0 127.0.0.1 9")
    ub.ok("bridge add_nio_udp b 0 127.0.0.1 9")
    ub.ok("bridge start b")


def test_foreign_senders_are_ignored(ub, tunnel, peers):
    left, right = tunnel
    stranger = peers.udp()
    stranger.send(b"let me in", to=left.to)
    right.expect_nothing()
    left.send(b"mine")
    right.expect(b"mine")


def test_a_peer_that_is_not_there_yet(ub, peers):
    """ECONNREFUSED is no error, however often; nothing is logged per packet."""
    left = peers.udp()
    left.to, later, port = peers.port(), peers.port(), peers.port()
    ub.udp_bridge("b", (left.to, left.port), (port, later))
    for number in range(2000):
        left.send(b"lost %d" % number)
    wait_until(lambda: ub.stats("b")["source"][0] > 0, what="packets")
    right = peers.udp(later)
    wait_until(lambda: _comes_through(left, right), what="a packet")
    right.send(b"back", to=port)
    left.expect(b"back")
    assert len(ub.output().splitlines()) < 60, "a line per lost packet"


def _comes_through(left, right):
    left.send(b"hello")
    return b"hello" in right.receive_all(0.05)


def test_delete_nio_udp(ub, peers):
    ports = [peers.port(), peers.port()]
    ub.udp_bridge("b", (ports[0], 9), (ports[1], 10))
    for command in ("delete_nio_udp", "remove_nio_udp"):
        ub.fails(214, f"bridge {command} b {ports[0]} 127.0.0.1 9", "bridge 'b' is running")
    ub.ok("bridge stop b")
    for wrong in (f"{ports[0]} 127.0.0.1 10", f"{ports[0]} 127.0.0.2 9", f"{ports[1]} x 10",
                  "x 127.0.0.1 9"):
        ub.fails(214, f"bridge delete_nio_udp b {wrong}", "UDP nio missing in 'b'")
    ub.ok(f"bridge delete_nio_udp b {ports[0]} 127.0.0.1 9", "NIO UDP removed from bridge 'b'")
    peers.udp(ports[0]).close()
    ub.ok(f"bridge remove_nio_udp b {ports[1]} 127.0.0.1 10", "NIO UDP removed from bridge 'b'")
    peers.udp(ports[1]).close()
    ub.fails(214, f"bridge remove_nio_udp b {ports[1]} 127.0.0.1 10", "UDP nio missing in 'b'")
    ub.ok(f"bridge add_nio_udp b {ports[0]} 127.0.0.1 9")


def test_a_lost_route_ends_nothing(ub, ns, peers, tunnel):
    left, right = tunnel
    ns.ip("link add va type veth peer name vb")
    ns.ip("link set va up")
    ns.ip("link set vb up")
    ns.ip("addr add 192.0.2.1/24 dev va")
    near = peers.udp()
    near.to = peers.port()
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_udp b {near.to} 127.0.0.1 {near.port}")
    ub.ok(f"bridge add_nio_udp b {peers.port()} 192.0.2.2 5000")
    ub.ok("bridge start b")
    near.send(b"x")
    ns.ip("addr del 192.0.2.1/24 dev va")
    ns.ip("link set va down")
    for _ in range(100):
        near.send(b"x")
    wait_until(lambda: ub.stats("b")["source"][0] == 101, what="all packets to be read")
    left.send(b"unhurt")
    right.expect(b"unhurt")
    assert ub.ok("bridge show b")[0] == "bridge 'b' is running"


def test_a_path_that_takes_no_large_datagrams(ub, ns, namespaces, peers):
    """Over a link with an MTU of 1500 frames of 1514 bytes in UDP must be fragmented."""
    far = namespaces()
    ns.veth("va", "vb", far)
    ns.ip("addr add 192.0.2.1/24 dev va")
    far.ip("addr add 192.0.2.2/24 dev vb")
    near = peers.udp()
    near.to = peers.port()
    remote = peers.udp(where=far, address="192.0.2.2")
    port = peers.port()
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_udp b {near.to} 127.0.0.1 {near.port}")
    ub.ok(f"bridge add_nio_udp b {port} 192.0.2.2 {remote.port}")
    ub.ok("bridge start b")
    for _ in range(3):
        packets = [bytes([number]) * 1514 for number in range(50)]
        for packet in packets:
            near.send(packet)
        for packet in packets:
            remote.expect(packet)
