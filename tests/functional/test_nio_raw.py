# SPDX-License-Identifier: GPL-3.0-or-later
"""linux_raw and ethernet NIOs on veth interfaces: PROTOCOL section 6."""
import subprocess

import pytest

from lab import frames
from lab.wait import wait_until

TEXT = {"linux_raw": "Linux raw", "ethernet": "Ethernet"}


@pytest.fixture(params=["linux_raw", "ethernet"])
def kind(request):
    return request.param


@pytest.fixture
def link(ub, ns, peers, kind):
    """A running bridge from interface `va` (its other end `vb` has a raw peer) to UDP."""
    return _link(ub, ns, peers, kind)


@pytest.fixture
def raw_link(ub, ns, peers):
    return _link(ub, ns, peers, "linux_raw")


@pytest.fixture
def ethernet_link(ub, ns, peers):
    return _link(ub, ns, peers, "ethernet")


def _link(ub, ns, peers, kind):
    far = peers.udp()
    far.to = peers.port()
    ns.veth("va", "vb")
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_{kind} b va", f"NIO {TEXT[kind]} added to bridge 'b'")
    ub.ok(f"bridge add_nio_udp b {far.to} 127.0.0.1 {far.port}")
    ub.ok("bridge start b")
    return peers.raw("vb"), far


def test_both_ways_every_size(link):
    near, far = link
    for size in (60, 64, 1000, 1514):
        packet = frames.frame(size=size)
        near.send(packet)
        far.expect(packet)
        far.send(packet)
        near.expect(packet)


def test_frames_for_others_are_seen(link):
    near, far = link
    packet = frames.frame(dst="02:aa:bb:cc:dd:ee")
    near.send(packet)
    far.expect(packet)


def test_what_the_host_sends_is_seen_and_its_own_is_not(link, peers):
    near, far = link
    host = peers.raw("va")
    host.send(frames.frame(b"from the host"))
    far.expect(frames.frame(b"from the host"))
    near.expect(frames.frame(b"from the host"))
    far.send(frames.frame(b"injected"))
    near.expect(frames.frame(b"injected"))
    far.expect_nothing()


@pytest.mark.parametrize("tags", [
    [(0x8100, 0, 1)], [(0x8100, 7, 4094)], [(0x8100, 3, 0)], [(0x88A8, 2, 100)],
    [(0x88A8, 5, 200), (0x8100, 1, 10)], [(0x8100, 0, 5), (0x8100, 0, 6)],
])
def test_vlan_tags(raw_link, tags):
    """The kernel takes the outer tag off; it is put back with TPID and priority."""
    near, far = raw_link
    packet = frames.tagged(tags)
    near.send(packet)
    far.expect(packet)
    far.send(packet)
    near.expect(packet)


def test_oversize_and_short_frames_are_dropped(ub, link, kind):
    near, far = link
    far.send(frames.frame(size=9000))
    far.send(b"short")
    far.send(frames.frame(b"ok"))
    near.expect(frames.frame(b"ok"))
    wait_until(lambda: ub.stats("b")["source"][2:] == (1, 60), what="one frame counted")


def test_interface_down_and_up(raw_link, ns):
    near, far = raw_link
    ns.ip("link set va down")
    for _ in range(20):
        far.send(frames.frame(b"lost"))
    ns.ip("link set va up")

    def comes():
        far.send(frames.frame())
        return frames.frame() in near.receive_all(0.05)
    wait_until(comes, what="a frame after the interface came up")
    near.send(frames.frame(b"out"))
    assert frames.frame(b"out") in far.receive_all()


def test_an_interface_may_be_down_at_first(ub, ns, peers):
    ns.ip("link add va type veth peer name vb")
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_linux_raw b va")


def test_the_interface_is_deleted(ub, link, ns, tunnel):
    near, far = link
    ns.ip("link del va")
    for _ in range(50):
        far.send(frames.frame())
    left, right = tunnel
    left.send(b"unhurt")
    right.expect(b"unhurt")
    wait_until(lambda: ub.stats("b")["destination"][0] == 50, what="all packets to be read")
    ub.ok("bridge stop b")
    ub.ok("bridge delete b")
    assert len(ub.output().splitlines()) < 60, "a line per lost packet"
    assert near


def test_promiscuous_only_while_the_nio_exists(ub, ns, kind):
    ns.veth("va", "vb")

    def promiscuous():
        return "promiscuity 1" in ns.ip("-d link show va")
    assert not promiscuous()
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_{kind} b va")
    assert promiscuous()
    ub.ok("bridge delete b")
    assert not promiscuous()


@pytest.mark.parametrize("name", ["none0", "sixteen-letters-", "x" * 20, "x" * 63, "x" * 64,
                                  "x" * 5000, "a/b", "../lo"])
def test_names_that_cannot_be(ub, kind, name):
    ub.ok("bridge create b")
    before = ub.descriptors()
    for _ in range(3):
        ub.fails(206, f"bridge add_nio_{kind} b {name}",
                 f"unable to create NIO {TEXT[kind]} for bridge 'b'")
    assert ub.descriptors() == before
    assert ub.ok("bridge show b") == ["bridge 'b' is not running"]


def test_quoted_names_and_description(ub, ns, kind):
    ns.veth("va", "vb")
    ub.ok('bridge create "my link"')
    ub.ok(f'bridge add_nio_{kind} "my link" "va"')
    assert ub.ok('bridge show "my link"') == ["bridge 'my link' is not running",
                                              "Source NIO: va"]


def test_raw_to_raw(ub, ns, peers):
    """What GNS3 never does and people do: join two interfaces."""
    ns.veth("va", "vb")
    ns.veth("wa", "wb")
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_linux_raw b va")
    ub.ok("bridge add_nio_linux_raw b wa")
    ub.ok("bridge start b")
    left, right = peers.raw("vb"), peers.raw("wb")
    for number in range(50):
        left.send(frames.frame(b"%d" % number))
        right.expect(frames.frame(b"%d" % number))
        right.send(frames.frame(b"%d" % number))
        left.expect(frames.frame(b"%d" % number))


def test_tcp_across_two_raw_links_with_offload(ub, ns, namespaces):
    """veth hands over giant segments without checksums; what comes out must be whole."""
    one, two = namespaces(), namespaces()
    ns.veth("va", "ea", one)
    ns.veth("vb", "eb", two)
    one.ip("addr add 10.0.0.1/24 dev ea")
    two.ip("addr add 10.0.0.2/24 dev eb")
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_linux_raw b va")
    ub.ok("bridge add_nio_linux_raw b vb")
    ub.ok("bridge start b")
    one.run("busybox", "ping", "-c", "2", "-i", "0.2", "-W", "5", "10.0.0.2")
    server = _iperf(two, "-s", "-1")
    try:
        wait_until(lambda: ":5201" in two.run("ss", "-Hltn"), what="the iperf3 server")
        out = one.run("iperf3", "-c", "10.0.0.2", "-n", "4M")
        assert "receiver" in out, out
    finally:
        server.kill()
        server.wait()


def _iperf(ns, *arguments):
    with ns:
        return subprocess.Popen(["iperf3", *arguments], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)


class TestPcapFilter:
    """set_pcap_filter: only on Ethernet NIOs, only what is received."""

    def test_it_restricts_what_is_received(self, ub, ethernet_link):
        near, far = ethernet_link
        ub.ok(f'bridge set_pcap_filter b "not ether src {frames.SRC}"',
              f"filter 'not ether src {frames.SRC}' applied on bridge 'b'")
        near.send(frames.frame(b"blocked"))
        near.send(frames.frame(b"passes", src="02:00:00:00:00:99"))
        far.expect(frames.frame(b"passes", src="02:00:00:00:00:99"))
        far.expect_nothing()
        far.send(frames.frame(b"not concerned"))
        near.expect(frames.frame(b"not concerned"))
        ub.ok("bridge set_pcap_filter b", "filter reset on bridge 'b'")
        near.send(frames.frame(b"open again"))
        far.expect(frames.frame(b"open again"))

    def test_what_came_before_it(self, ub, ns, peers):
        """It is forgotten when the bridge does not run yet."""
        ns.veth("va", "vb")
        near, far = peers.raw("vb"), peers.udp()
        far.to = peers.port()
        ub.ok("bridge create b")
        ub.ok("bridge add_nio_ethernet b va")
        ub.ok(f"bridge add_nio_udp b {far.to} 127.0.0.1 {far.port}")
        near.send(frames.frame(b"blocked"))
        ub.ok(f'bridge set_pcap_filter b "not ether src {frames.SRC}"')
        ub.ok("bridge start b")
        near.send(frames.frame(b"passes", src="02:00:00:00:00:99"))
        far.expect(frames.frame(b"passes", src="02:00:00:00:00:99"))

    def test_a_bad_one_changes_nothing(self, ub, ethernet_link):
        near, far = ethernet_link
        ub.ok('bridge set_pcap_filter b "ip"')
        ub.fails(206, 'bridge set_pcap_filter b "no such thing"',
                 "unable to apply filter on bridge b (source NIO)")
        near.send(frames.frame(b"still blocked"))
        near.send(frames.udp(b"ip"))
        far.expect(frames.udp(b"ip"))
        ub.ok('bridge set_pcap_filter b ""', "filter reset on bridge 'b'")

    def test_on_the_destination(self, ub, ns, peers):
        ns.veth("va", "vb")
        ub.ok("bridge create b")
        ub.ok(f"bridge add_nio_udp b {peers.port()} 127.0.0.1 9")
        text = "bridge b must have at least one Ethernet NIO in order to apply a filter"
        ub.fails(206, "bridge set_pcap_filter b ip", text)
        ub.ok("bridge add_nio_ethernet b va")
        ub.fails(206, 'bridge set_pcap_filter b "no such thing"',
                 "unable to apply filter on bridge b (destination NIO)")
        ub.ok("bridge set_pcap_filter b ip")

    def test_linux_raw_is_no_ethernet_nio(self, ub, raw_link):
        ub.fails(206, "bridge set_pcap_filter b ip")


def test_an_ethernet_interface_must_be_up(ub, ns):
    ns.ip("link add va type veth peer name vb")
    ub.ok("bridge create b")
    ub.fails(206, "bridge add_nio_ethernet b va", "unable to create NIO Ethernet for bridge 'b'")


def test_bytes_sent_are_counted(ub, link):
    near, far = link
    far.send(frames.frame(size=100))
    near.expect(frames.frame(size=100))
    wait_until(lambda: ub.stats("b")["source"][2:] == (1, 100), what="OUT counters")
