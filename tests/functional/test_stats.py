# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters are exact, also under load: PROTOCOL section 5."""
import threading

from lab import frames
from lab.wait import wait_until


def test_form(ub, peers):
    ub.ok("bridge create b")
    assert ub.ok("bridge get_stats b", "OK") == []
    zero = "IN: 0 packets (0 bytes) OUT: 0 packets (0 bytes)"
    ub.ok(f"bridge add_nio_udp b {peers.port()} 127.0.0.1 9")
    assert ub.ok("bridge get_stats b") == [f"Source NIO:      {zero}"]
    ub.ok(f"bridge add_nio_udp b {peers.port()} 127.0.0.1 9")
    assert ub.ok("bridge get_stats b") == [f"Source NIO:      {zero}",
                                           f"Destination NIO: {zero}"]


def test_every_packet_and_byte(ub, tunnel):
    left, right = tunnel
    sizes = [1, 60, 64, 1514, 9000, 65507]
    for size in sizes:
        left.send(b"l" * size)
        right.receive()
    right.send(b"r" * 77)
    left.receive()
    wait_until(lambda: ub.stats("t") == {
        "source": (6, sum(sizes), 1, 77), "destination": (1, 77, 6, sum(sizes))},
        what="exact counters")
    ub.ok("bridge reset_stats t", "OK")
    assert ub.stats("t") == {"source": (0, 0, 0, 0), "destination": (0, 0, 0, 0)}
    left.send(b"again")
    right.receive()
    wait_until(lambda: ub.stats("t")["source"] == (1, 5, 0, 0), what="the next packet")


def test_dropped_packets_count_as_received_only(ub, tunnel):
    left, right = tunnel
    ub.ok("bridge add_packet_filter t f frequency_drop -1")
    for _ in range(10):
        left.send(b"12345")
    right.expect_nothing(0.1)
    wait_until(lambda: ub.stats("t") == {
        "source": (10, 50, 0, 0), "destination": (0, 0, 0, 0)}, what="10 in, none out")


def test_they_survive_stop_start_and_rename(ub, tunnel):
    left, right = tunnel
    left.send(b"abc")
    right.receive()
    wait_until(lambda: ub.stats("t")["destination"][2] == 1, what="the counter")
    ub.ok("bridge stop t")
    assert ub.stats("t")["destination"] == (0, 0, 1, 3)
    ub.ok("bridge start t")
    ub.ok("bridge rename t u")
    assert ub.stats("u")["destination"] == (0, 0, 1, 3)


def test_exact_under_load(ub, ns, tunnel):
    """Both directions at full speed. What a socket's owner lost the kernel has counted, so
    that every datagram is accounted for."""
    left, right = tunnel
    count, received = 20000, {}

    def flood(sender, mark):
        for number in range(count):
            sender.send(mark * (60 + number % 900))

    def drain(receiver, name):
        packets = size = 0
        for packet in iter(lambda: _next(receiver), None):
            packets, size = packets + 1, size + len(packet)
        received[name] = packets, size

    threads = [threading.Thread(target=drain, args=(left, "left")),
               threading.Thread(target=drain, args=(right, "right")),
               threading.Thread(target=flood, args=(left, b"l")),
               threading.Thread(target=flood, args=(right, b"r"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    lost = {peer: ns.udp_drops(peer.port) for peer in tunnel}
    unread = {peer: ns.udp_drops(peer.to) for peer in tunnel}
    stats = ub.stats("t")
    assert stats["source"][0] + unread[left] == count
    assert stats["destination"][0] + unread[right] == count
    assert stats["source"][:2] == stats["destination"][2:], "all that came in went out"
    assert stats["destination"][:2] == stats["source"][2:]
    assert received["right"][0] + lost[right] == stats["destination"][2]
    assert received["left"][0] + lost[left] == stats["source"][2]
    if not lost[right]:
        assert received["right"][1] == stats["destination"][3]
    if not lost[left]:
        assert received["left"][1] == stats["source"][3]
    assert stats["source"][0] > count / 10


def _next(peer):
    try:
        return peer.receive(2)
    except AssertionError:
        return None


def test_reset_under_load(ub, tunnel):
    """No counter wraps around, and together they never exceed what was sent."""
    left, right = tunnel
    stop = threading.Event()
    sent = []

    def flood():
        number = 0
        while not stop.is_set():
            for _ in range(10):
                left.send(b"x" * 100)
            for _ in range(10):
                right.receive()
            number += 10
        sent.append(number)
    thread = threading.Thread(target=flood)
    thread.start()
    seen = 0
    for _ in range(100):
        stats = ub.stats("t")["source"]
        assert stats[1] % 100 == 0
        assert stats[0] < 1 << 40 and stats[1] < 1 << 40, "wrapped around"
        ub.ok("bridge reset_stats t")
        seen += stats[0]
    stop.set()
    thread.join(30)
    assert sent and 0 < seen + ub.stats("t")["source"][0] <= sent[0]


def test_other_nios_count_too(ub, ns, peers):
    ns.veth("va", "vb")
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_linux_raw b va")
    ub.ok("bridge add_nio_tap b tap0")
    ub.ok("bridge start b")
    ns.quiet("tap0")
    ns.ip("link set tap0 up")
    left, right = peers.raw("vb"), peers.raw("tap0")
    ub.ok("bridge reset_stats b")
    for number in range(1, 11):
        packet = frames.frame(size=100 * number)
        left.send(packet)
        right.expect(packet)
        right.send(packet)
        left.expect(packet)
    wait_until(lambda: ub.stats("b") == {
        "source": (10, 5500, 10, 5500), "destination": (10, 5500, 10, 5500)},
        what="exact counters")


def test_vlan_tags_are_counted(ub, ns, peers):
    ns.veth("va", "vb")
    far = peers.udp()
    far.to = peers.port()
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_linux_raw b va")
    ub.ok(f"bridge add_nio_udp b {far.to} 127.0.0.1 {far.port}")
    ub.ok("bridge start b")
    packet = frames.tagged([(0x8100, 1, 5)], size=104)
    peers.raw("vb").send(packet)
    far.expect(packet)
    wait_until(lambda: ub.stats("b")["source"][:2] == (1, 104), what="the tag's bytes")
