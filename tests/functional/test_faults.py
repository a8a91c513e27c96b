# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with a link concerns this link only, ends by itself, and is counted.

Every test breaks one link while another of the same process carries numbered frames, of which
none may be lost. When the cause is gone frames must pass again within a second. The table in
docs/reliability.md says the same in words.
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

from lab import capture, frames, wire
from lab.clock import StepClock
from lab.counters import counters, recovers
from lab.faults import BURST, burst, destination, dropped, found_down, link, witness
from lab.nodes import GSO_TCPV6, NEEDS_CSUM, PACKET_VNET_HDR, SO_SNDBUFFORCE, SOL_PACKET
from lab.wait import wait_until


@pytest.fixture(params=["linux_raw", "ethernet"])
def raw_link(request, ns, peers, link):
    """A bridge to the interface "va", behind which is "vb"."""
    ns.veth("va", "vb")
    return link(f"add_nio_{request.param} b va"), peers.raw("vb")


# ---- UDP

def test_udp_peer_closed_and_opened_again(ub, peers, link, patience):
    far = peers.udp()
    port = peers.port()
    near = link(f"add_nio_udp b {port} 127.0.0.1 {far.port}")
    recovers(near.send, far)
    far.close()
    burst(near)
    wait_until(lambda: destination(ub)["errors"], what="the refusals")
    seen = destination(ub)
    assert seen["last_error"] == "Connection refused"
    assert seen["last_error_age"] < 5
    back = peers.udp(far.port, to=port)
    recovers(near.send, back, patience)
    recovers(back.send, near, patience)


@pytest.fixture
def routed(ns, namespaces, peers, link):
    """A bridge to a UDP peer in another namespace: (near, far, that namespace)."""
    other = namespaces()
    ns.veth("ra", "rb", other)
    ns.ip("addr add 10.1.0.1/24 dev ra")
    other.ip("addr add 10.1.0.2/24 dev rb")
    far = peers.udp(address="10.1.0.2", where=other)
    near = link(f"add_nio_udp b {peers.port()} 10.1.0.2 {far.port}")
    recovers(near.send, far)
    return near, far, other


@pytest.mark.parametrize("cause, cure, error", [
    ("addr del 10.1.0.1/24 dev ra", "addr add 10.1.0.1/24 dev ra", "Network is unreachable"),
    ("link set ra down", "link set ra up", "Network is unreachable"),
    ("route add prohibit 10.1.0.2", "route del prohibit 10.1.0.2", "Permission denied"),
    ("route add unreachable 10.1.0.2", "route del unreachable 10.1.0.2", "No route to host"),
    ("route add blackhole 10.1.0.2", "route del blackhole 10.1.0.2", "Invalid argument"),
], ids=["address", "down", "prohibit", "unreachable", "blackhole"])
def test_udp_route_removed(ub, ns, routed, patience, cause, cure, error):
    near, far, _ = routed
    ns.ip(cause)
    burst(near)
    wait_until(lambda: destination(ub)["last_error"], what="an error")
    seen = destination(ub)
    assert seen["last_error"] == error
    assert seen["drop_refused"] + seen["drop_down"] + seen["errors"] >= BURST, seen
    ns.ip(cure)
    recovers(near.send, far, patience)


def test_udp_peer_host_vanishes(ub, ns, routed, patience):
    """Nobody answers for its address any more, and the kernel reports that after a while."""
    near, far, other = routed
    other.ip("link set rb down")
    burst(near)
    other.ip("link set rb up")
    ns.ip("neigh flush dev ra")
    recovers(near.send, far, patience)
    assert ub.stats("b")["source"][0] >= BURST


@pytest.mark.parametrize("chain, target", [("OUTPUT", "DROP"), ("OUTPUT", "REJECT"),
                                           ("INPUT", "DROP"), ("INPUT", "REJECT")])
def test_udp_packet_filter_of_the_host(ub, ns, peers, link, patience, chain, target):
    far = peers.udp()
    near = link(f"add_nio_udp b {peers.port()} 127.0.0.1 {far.port}")
    recovers(near.send, far)
    rule = f"{chain} -p udp --dport {far.port} -j {target}"
    ns.run("iptables", "-A", *rule.split())
    burst(near)
    if chain == "OUTPUT":
        seen = dropped(ub, "refused")
        assert seen["last_error"] in {"Operation not permitted", "Connection refused"}
    elif target == "REJECT":
        wait_until(lambda: destination(ub)["errors"], what="the refusals")
        assert destination(ub)["last_error"] == "Connection refused"
    far.expect_nothing(0.1)
    ns.run("iptables", "-D", *rule.split())
    recovers(near.send, far, patience)


def test_udp_without_room(ub, ns, routed, patience):
    """The queue of the interface is full, which the kernel does not tell who sends UDP."""
    near, far, _ = routed
    ns.run(*"tc qdisc add dev ra root tbf rate 8kbit burst 2000 limit 3000".split())
    for _ in range(5):
        burst(near, 1000)
    wait_until(lambda: ub.stats("b")["source"][0] >= 5 * BURST, what="the frames to be taken")
    ns.run(*"tc qdisc del dev ra root".split())
    recovers(near.send, far, patience)


def test_udp_path_mtu_shrinks_and_grows(ub, ns, routed, patience):
    """Trains of datagrams that do not fit any more are sent in other ways, and arrive."""
    near, far, other = routed
    packets = [frames.frame(b"%d" % number, 1400) for number in range(200)]
    for mtu in (1500, 700, 1500):
        ns.ip(f"link set ra mtu {mtu}")
        other.ip(f"link set rb mtu {mtu}")
        for packet in packets:
            near.send(packet)
        assert far.receive_all() == packets, mtu
    assert sum(value for key, value in destination(ub).items() if key.startswith("drop_")) == 0
    recovers(near.send, far, patience)


def test_datagrams_that_are_no_frames(ub, peers, link):
    """Empty ones are counted where they came in, runts where they were to leave."""
    ub.ok("bridge create t")
    far = peers.udp()
    port = peers.port()
    near = link(f"add_nio_udp b {port} 127.0.0.1 {far.port}")
    for _ in range(BURST):
        near.send(b"")
    near.send(b"x")
    far.expect(b"x")
    seen = counters(ub, "b")
    assert seen["source"]["drop_runt"] == BURST
    assert seen["source"]["in_frames"] == 1
    far.send(frames.frame(), port)
    near.expect(frames.frame())


def test_datagrams_of_the_greatest_size(ub, peers, link, directory, patience):
    """65507 bytes fit into UDP. What is longer is dropped, and what is behind it is not."""
    far = peers.unix(f"{directory}/far")
    near = link(f"add_nio_unix b {directory}/near {directory}/far")
    for size in (65507, 9000, 60):
        packet = frames.frame(size=size)
        near.send(packet)
        far.expect(packet)
        far.send(packet, f"{directory}/near")
        near.expect(packet)
    for _ in range(BURST):
        far.send(frames.frame(size=65535), f"{directory}/near")
    wait_until(lambda: counters(ub, "b")["source"]["drop_too_long"] == BURST, what="the drops")
    assert counters(ub, "b")["source"]["last_error"] == "Message too long"
    recovers(lambda packet: far.send(packet, f"{directory}/near"), near, patience)


# ---- interfaces

def test_interface_down_and_up(ub, ns, raw_link, patience):
    near, far = raw_link
    ns.ip("link set va down")
    burst(near)
    seen = dropped(ub, "down")
    assert (seen["state"], seen["last_error"]) == ("down", "Network is down")
    ns.ip("link set va up")
    recovers(near.send, far, patience)
    recovers(far.send, near, patience)
    assert destination(ub)["state"] == "up"


def test_the_other_end_of_an_interface_down_and_up(ub, ns, raw_link, patience):
    near, far = raw_link
    recovers(near.send, far, patience)
    ns.ip("link set vb down")
    before = found_down(ub, near)
    burst(near)
    seen = dropped(ub, "down", before["drop_down"] + BURST)
    assert (seen["state"], seen["last_error"]) == ("down", "Network is down")
    assert seen["out_frames"] == before["out_frames"]
    ns.ip("link set vb up")
    recovers(near.send, far, patience)
    recovers(far.send, near, patience)
    assert destination(ub)["state"] == "up"


def test_interface_deleted_and_made_again(ub, ns, peers, raw_link, patience):
    near, far = raw_link
    recovers(near.send, far)
    ns.ip("link del va")
    wait_until(lambda: destination(ub)["state"] == "down", what="the loss to be noticed")
    burst(near)
    dropped(ub, "down")
    wait_until(lambda: burst(near) or destination(ub)["last_error"] == "No such device",
               1 * patience, "the reason")
    ns.veth("va", "vb")
    far = peers.raw("vb")
    recovers(near.send, far, patience)
    recovers(far.send, near, patience)
    assert destination(ub)["state"] == "up"


@pytest.mark.parametrize("end", ["down", "deleted"])
def test_what_an_interface_received_does_not_come_later(ub, ns, peers, raw_link, patience, end):
    """When it is back, or another one of its name is there, come its new frames only."""
    near, far = raw_link
    recovers(far.send, near)
    with ub.paused():
        for number in range(100):
            far.send(frames.frame(b"old %d" % number))
        ns.ip("link set va down" if end == "down" else "link del va")
    wait_until(lambda: destination(ub)["state"] == "down", what="the loss to be noticed")
    if end == "down":
        ns.ip("link set va up")
    else:
        ns.veth("va", "vb")
        far = peers.raw("vb")
    recovers(near.send, far, patience)
    far.send(frames.frame(b"last"))
    got = near.receive_all()
    assert got and got[-1] == frames.frame(b"last")
    assert not [packet for packet in got if packet[14:17] == b"old"]


def test_pcap_filter_of_an_interface_made_again(ub, ns, peers, link, patience):
    """It is the NIO's, not the interface's."""
    ns.veth("va", "vb")
    near = link("add_nio_ethernet b va")
    ub.ok(f'bridge set_pcap_filter b "not ether src {frames.DST}"')
    ns.ip("link del va")
    wait_until(lambda: destination(ub)["state"] == "down", what="the loss to be noticed")
    ns.veth("va", "vb")
    far = peers.raw("vb")
    recovers(far.send, near, patience)
    far.send(frames.frame(b"blocked", src=frames.DST))
    far.send(frames.frame(b"passes"))
    near.expect(frames.frame(b"passes"))


def test_interface_renamed(ub, ns, raw_link, patience):
    """It is the same interface, so nothing is lost; the old name is not taken for it."""
    near, far = raw_link
    ns.ip("link set va name vc")
    packet = frames.frame()
    near.send(packet)
    far.expect(packet)
    recovers(far.send, near, patience)
    assert destination(ub)["errors"] == 0


def test_interface_moved_away_and_another_takes_its_name(ub, ns, namespaces, peers, raw_link,
                                                         patience):
    near, _ = raw_link
    other = namespaces()
    with ns:
        subprocess.run(["ip", "link", "set", "va", "netns", other.path], check=True,
                       pass_fds=[other.fd])
    wait_until(lambda: destination(ub)["state"] == "down", what="the loss to be noticed")
    burst(near)
    dropped(ub, "down")
    ns.veth("va", "vd")
    recovers(near.send, peers.raw("vd"), patience)


def test_mtu_changed_under_frames(ub, ns, raw_link, patience):
    near, far = raw_link
    ns.ip("link set va mtu 1000")
    burst(near, 1500)
    seen = dropped(ub, "too_long")
    assert seen["last_error"] == "Message too long"
    short = frames.frame(b"short", 1000)
    near.send(short)
    far.expect(short)
    ns.ip("link set va mtu 1500")
    recovers(lambda _: near.send(frames.frame(_[14:40], 1500)), _Prefix(far, 1500), patience)


class _Prefix:
    """A peer whose packets are cut back to what recovers() compares."""

    def __init__(self, peer, size):
        self.peer, self.size = peer, size

    def receive(self, within):
        packet = self.peer.receive(within)
        return packet[:60] if len(packet) == self.size else packet


def test_jumbo_frames_to_an_ordinary_interface(ub, raw_link, patience):
    near, far = raw_link
    burst(near, 9014)
    assert dropped(ub, "too_long")["last_error"] == "Message too long"
    recovers(near.send, far, patience)


@pytest.mark.parametrize("kind", ["linux_raw", "ethernet"])
def test_the_longest_frames_to_an_interface(ub, ns, peers, directory, patience, kind):
    """From a UNIX socket, which takes 65535 bytes."""
    ns.veth("va", "vb")
    near, far = peers.unix(f"{directory}/near"), peers.raw("vb")
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_unix b {directory}/nio {directory}/near")
    ub.ok(f"bridge add_nio_{kind} b va")
    ub.ok("bridge start b")

    def send(packet):
        near.send(packet, f"{directory}/nio")
    for number in range(BURST):
        send(frames.frame(b"%d" % number, 65535))
    assert dropped(ub, "too_long")["last_error"] == "Message too long"
    recovers(send, far, patience)
    recovers(far.send, near, patience)


def send_aggregate(peer, size, mss):
    """TCP in one piece, as a host's stack hands it to an interface."""
    segment = wire.tcp(b"", source="fd00::1", destination="fd00::2")
    aggregate = wire.ethernet(wire.ipv6(segment, wire.TCP)) + bytes(size)
    peer.sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 22)
    peer.sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    peer.send(struct.pack("=BBHHHH", NEEDS_CSUM, GSO_TCPV6, 74, mss, 54, 16) + aggregate)
    peer.sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 0)


def test_aggregates_longer_than_any_frame(ub, ns, raw_link, patience):
    """With BIG TCP the kernel hands over more than an IP packet can be. Nothing is cut."""
    near, far = raw_link
    ns.ip("link set vb gso_max_size 200000")
    for _ in range(BURST):
        send_aggregate(far, 100000, 1000)
    wait_until(lambda: destination(ub)["errors"] == BURST, what="the errors")
    assert destination(ub)["last_error"] == "Message too long"
    assert destination(ub)["in_frames"] == 0
    recovers(far.send, near, patience)
    recovers(near.send, far, patience)


def test_a_jumbo_stream_to_an_ordinary_interface(ub, raw_link, patience):
    """Two frames in sequence do not pass where one alone does not."""
    near, far = raw_link
    with ub.paused():
        for number in range(BURST):
            segment = wire.tcp(bytes(8948), seq=1 + 8948 * number)
            near.send(wire.ethernet(wire.ipv4(segment, wire.TCP, ident=number)))
    seen = dropped(ub, "too_long")
    assert (seen["drop_too_long"], seen["out_frames"]) == (BURST, 0)
    assert seen["last_error"] == "Message too long"
    recovers(near.send, far, patience)


@pytest.mark.parametrize("kind", ["linux_raw", "ethernet"])
def test_jumbo_aggregates_to_an_ordinary_interface(ub, ns, peers, patience, kind):
    """Those that would become frames of 9014 bytes are dropped, the same in short ones is not."""
    for left, right in (("va", "vb"), ("wa", "wb")):
        ns.veth(left, right)
    for name in ("va", "vb"):
        ns.ip(f"link set {name} mtu 9000")
    near, far = peers.raw("vb"), peers.raw("wb")
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_linux_raw b va")
    ub.ok(f"bridge add_nio_{kind} b wa")
    ub.ok("bridge start b")
    for _ in range(BURST):
        send_aggregate(near, 20000, 8928)
    seen = dropped(ub, "too_long", 3 * BURST)
    assert (seen["drop_too_long"], seen["out_frames"]) == (3 * BURST, 0)
    assert seen["last_error"] == "Message too long"
    recovers(near.send, far, patience)
    ub.ok("bridge reset_stats b")
    send_aggregate(near, 20000, 1428)
    wait_until(lambda: destination(ub)["out_frames"] == 15, what="the short ones")
    ns.ip("link set wa mtu 9000")
    # it is not looked at for each frame
    wait_until(lambda: send_aggregate(near, 20000, 8928) or
               destination(ub)["out_frames"] >= 18, 1 * patience, "the long ones")


@pytest.mark.parametrize("kind", ["linux_raw", "ethernet", "tap"])
def test_runts_and_empty_datagrams(ub, ns, peers, link, patience, kind):
    if kind == "tap":
        near = link("add_nio_tap b va")
        ns.quiet("va")
        ns.ip("link set va up")
        far = peers.raw("va")
    else:
        ns.veth("va", "vb")
        near, far = link(f"add_nio_{kind} b va"), peers.raw("vb")
    for size in (1, 5, 13):
        near.send(b"x" * size)
    for _ in range(BURST):
        near.send(b"")
    seen = dropped(ub, "runt", 3)
    assert (seen["out_frames"], seen["drop_runt"]) == (0, 3) and seen["last_error"]
    recovers(near.send, far, patience)
    assert counters(ub, "b")["source"]["drop_runt"] == BURST


def test_interface_without_room(ub, ns, raw_link, patience):
    """A queue of the interface that is full: ENOBUFS."""
    near, far = raw_link
    ns.run(*"tc qdisc add dev va root tbf rate 8kbit burst 2000 limit 3000".split())
    for _ in range(5):
        burst(near, 1000)
    seen = dropped(ub, "no_buffer", 1)
    assert seen["last_error"] == "No buffer space available"
    ns.run(*"tc qdisc del dev va root".split())
    recovers(near.send, far, patience)


@pytest.mark.parametrize("kind", ["udp", "linux_raw", "ethernet"])
def test_more_arrives_than_a_socket_holds(ub, ns, peers, link, patience, kind):
    """Each frame is accounted for, whoever has dropped it."""
    sent = 10000
    if kind == "udp":
        far = peers.udp(to=peers.port())
        near = link(f"add_nio_udp b {far.to} 127.0.0.1 {far.port}")
    else:
        ns.veth("va", "vb")
        near = link(f"add_nio_{kind} b va")
        far = peers.raw("vb")
    for _ in range(2):
        ub.ok("bridge stop b")
        for number in range(sent):
            far.send(frames.frame(number.to_bytes(4, "big"), size=1400))
        ub.ok("bridge start b")

        def accounted_for():
            seen = destination(ub)
            return seen["drop_no_buffer"] and seen["in_frames"] + seen["drop_no_buffer"] == sent
        wait_until(accounted_for, 5 * patience, "the kernel's drops to be counted")
        ub.ok("bridge reset_stats b")
        assert destination(ub)["drop_no_buffer"] == 0
    near.receive_all()
    recovers(far.send, near, patience)
    recovers(near.send, far, patience)
    assert destination(ub)["drop_no_buffer"] == 0


# ---- TAP

@pytest.fixture
def tap_link(ns, peers, link):
    near = link("add_nio_tap b tapf")
    ns.quiet("tapf")
    ns.ip("link set tapf up")
    return near, peers.raw("tapf")


def test_tap_down_and_up(ub, ns, tap_link, patience):
    near, far = tap_link
    ns.ip("link set tapf down")
    burst(near)
    seen = dropped(ub, "down")
    assert (seen["state"], seen["last_error"]) == ("down", "Input/output error")
    ns.ip("link set tapf up")
    recovers(near.send, far, patience)
    recovers(far.send, near, patience)
    assert destination(ub)["state"] == "up"


def test_tap_renamed(ub, ns, peers, tap_link, patience):
    near, far = tap_link
    ns.ip("link set tapf down")
    ns.ip("link set tapf name tapg")
    ns.ip("link set tapg up")
    recovers(near.send, far, patience)
    assert far is not peers and destination(ub)["state"] == "up"


def test_tap_of_our_own_deleted(ub, ns, tap_link):
    """It does not come back: under its name it would be somebody else's."""
    near, _ = tap_link
    ns.ip("link del tapf")
    wait_until(lambda: destination(ub)["state"] == "down", what="the loss to be noticed")
    burst(near)
    dropped(ub, "down")
    ub.ok("bridge delete b")


def test_tap_of_others_deleted_and_made_again(ub, ns, peers, link, patience):
    ns.ip("tuntap add tapf mode tap")
    near = link("add_nio_tap b tapf")
    ns.ip("link set tapf up")
    ns.ip("link del tapf")
    wait_until(lambda: destination(ub)["state"] == "down", what="the loss to be noticed")
    burst(near)
    dropped(ub, "down")
    ns.ip("tuntap add tapf mode tap")
    ns.quiet("tapf")
    ns.ip("link set tapf up")
    recovers(near.send, peers.raw("tapf"), patience)


def test_namespace_destroyed_under_a_tap(ub, ns, link, pause_process, patience):
    process = pause_process()
    near = link("add_nio_tap b tapf")
    ub.ok(f"docker move_to_ns tapf {process.pid} eth0")
    subprocess.run(["nsenter", "-t", str(process.pid), "-n", "ip", "link", "set", "eth0", "up"],
                   check=True)
    process.kill()
    process.wait()
    wait_until(lambda: destination(ub)["state"] == "down", 10 * patience,
               what="the loss to be noticed")
    burst(near)
    assert dropped(ub, "down")["last_error"] == "No such device"
    assert "tapf" not in ns.links()


def test_tap_frames_longer_than_any(ub, ns, tap_link, patience):
    """The host takes what it gets from a TAP device, whatever its MTU is."""
    near, far = tap_link
    for mtu in (1500, 1000):
        ns.ip(f"link set tapf mtu {mtu}")
        for size in (1500, 9014, 65507):
            near.send(frames.frame(size=size))
            far.expect(frames.frame(size=size))
    recovers(near.send, far, patience)


# ---- UNIX sockets

def test_unix_peer_missing_and_replaced(ub, peers, link, directory, patience):
    near = link(f"add_nio_unix b {directory}/near {directory}/far")
    burst(near)
    assert dropped(ub, "refused")["last_error"] == "No such file or directory"
    first = peers.unix(f"{directory}/far")
    recovers(near.send, first, patience)
    os.unlink(f"{directory}/far")
    second = peers.unix(f"{directory}/far")
    recovers(near.send, second, patience)
    second.sock.close()
    burst(near)
    assert dropped(ub, "refused", 2 * BURST)["last_error"] == "Connection refused"


@pytest.mark.parametrize("content", ["directory", "file"])
def test_something_else_at_the_path_of_a_unix_peer(ub, peers, link, directory, patience, content):
    path = f"{directory}/far"
    if content == "directory":
        os.mkdir(path)
    else:
        open(path, "wb").close()
    near = link(f"add_nio_unix b {directory}/near {path}")
    burst(near)
    wait_until(lambda: destination(ub)["drop_refused"] + destination(ub)["errors"] == BURST,
               what="the drops")
    if content == "directory":
        os.rmdir(path)
    else:
        os.unlink(path)
    recovers(near.send, peers.unix(path), patience)


def test_unix_empty_datagrams(ub, peers, link, directory):
    far = peers.unix(f"{directory}/far")
    near = link(f"add_nio_unix b {directory}/near {directory}/far")
    for _ in range(BURST):
        far.send(b"", f"{directory}/near")
    far.send(frames.frame(), f"{directory}/near")
    near.expect(frames.frame())
    assert destination(ub)["drop_runt"] == BURST
    assert destination(ub)["in_frames"] == 1


READER = """
import os, socket, sys
reader = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
reader.bind(sys.argv[1])
os.write(1, b"r")
while True:
    os.write(1, reader.recv(65536)[:4])
"""


def test_unix_reader_stopped_and_continued(ub, link, directory):
    """What its queue has no room for waits; when it goes on everything arrives, in order."""
    near = link(f"add_nio_unix b {directory}/near {directory}/far")
    with subprocess.Popen([sys.executable, "-c", READER, f"{directory}/far"],
                          stdout=subprocess.PIPE) as reader:
        try:
            assert reader.stdout.read(1) == b"r"
            os.kill(reader.pid, signal.SIGSTOP)
            packets = [b"%04d" % number for number in range(300)]
            for packet in packets:
                near.send(packet)
            wait_until(lambda: destination(ub)["out_frames"] > 0, what="the first frames")
            os.kill(reader.pid, signal.SIGCONT)
            assert reader.stdout.read(4 * len(packets)) == b"".join(packets)
        finally:
            reader.kill()
    assert destination(ub)["out_frames"] == 300


def test_unix_reader_killed_while_frames_wait_for_it(ub, link, peers, directory, patience):
    near = link(f"add_nio_unix b {directory}/near {directory}/far")
    with subprocess.Popen([sys.executable, "-c", READER, f"{directory}/far"],
                          stdout=subprocess.PIPE) as reader:
        assert reader.stdout.read(1) == b"r"
        os.kill(reader.pid, signal.SIGSTOP)
        for number in range(300):
            near.send(b"%04d" % number)
        wait_until(lambda: destination(ub)["out_frames"] > 0, what="the first frames")
        reader.kill()
    dropped(ub, "refused", 1)
    os.unlink(f"{directory}/far")
    recovers(near.send, peers.unix(f"{directory}/far"), patience)


# ---- IOL

@pytest.fixture
def iol(ub, peers):
    """A running IOL bridge: (its name, UDP peer, path of the instance's socket)."""
    number = 200 + os.getpid() % 90
    far = peers.udp()
    far.to = peers.port()
    ub.ok(f"iol_bridge create i {number + 512}")
    ub.ok(f"iol_bridge add_nio_udp i {number} 0 1 {far.to} 127.0.0.1 {far.port}")
    ub.ok("iol_bridge start i")
    return number, far, f"/tmp/netio{os.getuid()}/{number}"


def test_iol_instance_missing_then_there_then_gone(ub, peers, iol, patience):
    number, far, path = iol
    burst(far)
    wait_until(lambda: counters(ub, "i", "iol_bridge")["port 0/1 source"]["drop_refused"] == BURST,
               what="the drops")
    instance = peers.unix(path)
    cut = _Cut(instance)
    recovers(far.send, cut, patience)
    recovers(lambda packet: instance.send(
        struct.pack("!HHBBBB", number + 512, number, 0x10, 0x10, 1, 0) + packet,
        f"{os.path.dirname(path)}/{number + 512}"), far, patience)
    instance.close()
    burst(far)
    wait_until(lambda: counters(ub, "i", "iol_bridge")["port 0/1 source"]["drop_refused"] >=
               2 * BURST, what="the drops")
    recovers(far.send, _Cut(peers.unix(path)), patience)


class _Cut:
    """An IOL instance that reads the frames behind the headers."""

    def __init__(self, peer):
        self.peer = peer

    def receive(self, within):
        return self.peer.receive(within)[8:]


def test_iol_datagrams_without_a_frame(ub, peers, iol, patience):
    """Behind a whole header they are counted where they came in; else they belong to no port."""
    number, far, path = iol
    instance = peers.unix(path)
    bridge = f"{os.path.dirname(path)}/{number + 512}"
    header = struct.pack("!HHBBBB", number + 512, number, 0x10, 0x10, 1, 0)
    for length in range(len(header) + 1):
        for _ in range(BURST):
            instance.send(header[:length], bridge)
    instance.send(header + b"x", bridge)
    far.expect(b"x")
    seen = counters(ub, "i", "iol_bridge")["port 0/1 source"]
    assert (seen["drop_runt"], seen["in_frames"]) == (BURST, 1)
    recovers(far.send, _Cut(instance), patience)


def test_iol_instance_stopped_and_replaced(ub, peers, iol, patience):
    """Frames wait for one that does not read; the one that takes its place gets the next."""
    number, far, path = iol
    first = _Cut(peers.unix(path))
    recovers(far.send, first, patience)
    for number in range(300):
        far.send(frames.frame(b"%d" % number))
    wait_until(lambda: counters(ub, "i", "iol_bridge")["port 0/1 source"]["out_frames"] > 1,
               what="the first frames")
    os.unlink(path)
    second = _Cut(peers.unix(path))
    recovers(far.send, second, patience)
    first.peer.sock.close()


@pytest.mark.parametrize("size", [4097, 65507])
def test_iol_frames_too_long(ub, peers, iol, patience, size):
    _, far, path = iol
    instance = _Cut(peers.unix(path))
    burst(far, size)
    wait_until(lambda: counters(ub, "i", "iol_bridge")["port 0/1 source"]["drop_too_long"] == BURST,
               what="the drops")
    assert counters(ub, "i", "iol_bridge")["port 0/1 source"]["last_error"] == "Frame too long"
    recovers(far.send, instance, patience)


# ---- filters, captures, clock

def test_filters_say_what_they_did(ub, tunnel):
    left, right = tunnel
    ub.ok("bridge add_packet_filter t nth frequency_drop 2")
    ub.ok("bridge add_packet_filter t slow delay 5")
    ub.ok("bridge add_packet_filter t bad corrupt 100")
    for _ in range(10):
        left.send(frames.frame())
        left.receive_all(0.001)
    assert len(right.receive_all()) == 5
    seen = counters(ub, "t")
    assert seen["filter nth"] == {"type": "frequency_drop", "seen": 10, "dropped": 5,
                                  "delayed": 0, "changed": 0}
    assert seen["filter slow"] == {"type": "delay", "seen": 5, "dropped": 0, "delayed": 5,
                                   "changed": 0}
    assert seen["filter bad"] == {"type": "corrupt", "seen": 5, "dropped": 0, "delayed": 0,
                                  "changed": 5}
    assert seen["destination"]["drop_filter"] == 5
    assert (seen["destination"]["last_error"], seen["destination"]["last_error_age"]) == ("", "-")


def test_frames_lost_with_a_delay_are_counted(ub, tunnel):
    left, _ = tunnel
    ub.ok("bridge add_packet_filter t slow delay 60000")
    for _ in range(BURST):
        left.send(frames.frame())
    wait_until(lambda: ub.stats("t")["source"][0] == BURST, what="the frames")
    ub.ok("bridge stop t")
    assert counters(ub, "t")["destination"]["drop_queue"] == BURST


@pytest.fixture
def small_disk(directory):
    place = os.path.join(directory, "disk")
    os.mkdir(place)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_disk_full_under_a_capture(ub, tunnel, small_disk):
    left, right = tunnel
    ub.ok(f"bridge start_capture t {small_disk}/full.pcap")
    for number in range(100):
        packet = frames.frame(b"%d" % number, 1500)
        left.send(packet)
        right.expect(packet)
    ub.fails(209, "bridge stop_capture t", "no packet capture active on bridge 't'")
    assert len(capture.packets(f"{small_disk}/full.pcap")) > 10
    os.unlink(f"{small_disk}/full.pcap")
    ub.ok(f"bridge start_capture t {small_disk}/again.pcap")
    left.send(frames.frame())
    right.expect(frames.frame())
    assert capture.packets(f"{small_disk}/again.pcap") == [frames.frame()]


def test_file_removed_under_a_capture(ub, tunnel, directory):
    left, right = tunnel
    path = f"{directory}/gone.pcap"
    ub.ok(f"bridge start_capture t {path}")
    os.unlink(path)
    for _ in range(BURST):
        left.send(frames.frame())
        right.expect(frames.frame())
    ub.ok("bridge stop_capture t")
    ub.ok(f"bridge start_capture t {path}")
    left.send(frames.frame())
    right.expect(frames.frame())
    assert capture.packets(path) == [frames.frame()]


@pytest.mark.plain_build
def test_clock_stepped(launch, peers, directory):
    """Time-outs and delays do not look at the wall clock; captures do, and only they."""
    clock = StepClock(directory)
    ub = launch(env=clock.environment)
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    ub.udp_bridge("c", (left.to, left.port), (right.to, right.port))
    ub.ok("bridge add_packet_filter c slow delay 100")
    ub.ok(f"bridge start_capture c {directory}/c.pcap")
    for step in (0, 86400 * 400, 0):
        begin = time.monotonic()
        left.send(frames.frame())
        clock.step(step)
        right.expect(frames.frame())
        assert 0.09 < time.monotonic() - begin < 0.5
    first, second, third = capture.times(f"{directory}/c.pcap")
    assert second - first > 86400 * 399 * 1000000
    assert abs(third - first) < 10 * 1000000
