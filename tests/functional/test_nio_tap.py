# SPDX-License-Identifier: GPL-3.0-or-later
"""TAP NIOs: PROTOCOL section 6."""
import fcntl
import os
import struct
import subprocess

import pytest

from lab import frames
from lab.counters import counters
from lab.wait import wait_until

REFUSED = "unable to create NIO TAP for bridge 'b'"

TUNSETPERSIST, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454cb, 0x400454d0, 0x400454d8
TUN_F_CSUM_AND_TSO = 0x07


@pytest.fixture
def link(ub, ns, peers):
    """A running bridge from TAP `tap0` (up, with a raw peer on it) to a UDP peer."""
    far = peers.udp()
    far.to = peers.port()
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_tap b tap0", "NIO TAP added to bridge 'b'")
    ub.ok(f"bridge add_nio_udp b {far.to} 127.0.0.1 {far.port}")
    ub.ok("bridge start b")
    ns.quiet("tap0")
    ns.ip("link set tap0 up")
    return peers.raw("tap0"), far


def test_both_ways_every_size(link, ns):
    near, far = link
    ns.ip("link set tap0 mtu 9000")
    for size in (14, 60, 64, 1514, 9014):
        packet = frames.frame(size=size)
        near.send(packet)
        far.expect(packet)
        far.send(packet)
        near.expect(packet)


def test_vlan_tags_pass(link):
    near, far = link
    for tags in ([(0x8100, 0, 10)], [(0x8100, 5, 0)], [(0x88A8, 3, 100), (0x8100, 1, 10)]):
        packet = frames.tagged(tags)
        near.send(packet)
        far.expect(packet)
        far.send(packet)
        near.expect(packet)


def test_a_device_is_looked_at_while_its_worker_uses_it(ub, link, ns, pause_process):
    """To be seen by the thread sanitizer: before an interface is moved all devices are asked for
    their names, and under load the worker takes another file.
    """
    near, _ = link
    ub.ok("docker create_veth left right")
    ub.ok(f"docker move_to_ns right {pause_process().pid} eth0")
    with ub.paused():
        for _ in range(24):
            near.send(frames.frame())
    wait_until(lambda: "vnet_hdr on" in ns.ip("-d link show tap0"), what="the other file")


def test_short_frames_are_dropped(link):
    near, far = link
    for size in (1, 13):
        far.send(b"x" * size)
    far.send(frames.frame())
    near.expect(frames.frame())


def test_down_and_up(ub, link, ns):
    near, far = link
    ns.ip("link set tap0 down")
    for _ in range(50):
        far.send(frames.frame(b"lost"))
    wait_until(lambda: ub.stats("b")["destination"][0] == 50, what="all packets to be read")
    ns.ip("link set tap0 up")

    def comes():
        far.send(frames.frame())
        return near.receive_all(0.05)
    wait_until(comes, what="a frame after the interface came up")
    near.send(frames.frame(b"out"))
    assert frames.frame(b"out") in far.receive_all()
    assert len(ub.output().splitlines()) < 60, "a line per lost packet"


def test_it_is_not_brought_up_and_goes_with_the_bridge(ub, ns):
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_tap b tap0")
    assert "tap0" in ns.links()
    assert "UP" not in ns.ip("-o link show tap0").split("<")[1].split(">")[0].split(",")
    ub.ok("bridge delete b")
    assert "tap0" not in ns.links()


def test_a_pattern_lets_the_kernel_choose(ub, ns):
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_tap b gns%d")
    ub.ok("bridge add_nio_tap b gns%d")
    assert {"gns0", "gns1"} <= ns.links()
    assert ub.ok("bridge show b")[1:] == ["Source NIO: gns0", "Destination NIO: gns1"]


def test_a_persistent_device_stays(ub, ns):
    ns.ip("tuntap add dev ptap mode tap")
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_tap b ptap")
    ub.fails(206, "bridge add_nio_tap b ptap", REFUSED)
    ub.ok("bridge delete b")
    assert "ptap" in ns.links()


def left_behind(ns, name):
    """A persistent device as a virtual machine leaves it: a header of 12 bytes, and offloads."""
    fd = ns.tap_file(name)
    try:
        fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack("i", 12))
        fcntl.ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM_AND_TSO)
        fcntl.ioctl(fd, TUNSETPERSIST, 1)
    finally:
        os.close(fd)


def has_offloads(ns, name):
    features = ns.run("ethtool", "-k", name)
    return "tx-checksumming: on" in features or "tcp-segmentation-offload: on" in features


def borrow(program, peers, name):
    far = peers.udp()
    far.to = peers.port()
    program.ok("bridge create b")
    program.ok(f"bridge add_nio_tap b {name}")
    program.ok(f"bridge add_nio_udp b {far.to} 127.0.0.1 {far.port}")
    program.ok("bridge start b")
    return far


@pytest.mark.parametrize("args", [[], ["--no-offload"]], ids=["offload", "no-offload"])
def test_a_device_that_a_virtual_machine_had(launch, ns, peers, args):
    """The length of the header and the offloads are not what the former user has left."""
    left_behind(ns, "ptap")
    ub = launch(args=args)
    far = borrow(ub, peers, "ptap")
    near = peers.raw("ptap")
    assert has_offloads(ns, "ptap") is not bool(args)
    for size in (60, 1514):
        near.send(frames.frame(size=size))
        far.expect(frames.frame(size=size))
        far.send(frames.frame(size=size))
        near.expect(frames.frame(size=size))


def test_a_borrowed_device_is_given_back_without_offloads(ub, ns, peers):
    ns.ip("tuntap add dev ptap mode tap")
    borrow(ub, peers, "ptap")
    assert has_offloads(ns, "ptap")
    ub.ok("bridge delete b")
    assert not has_offloads(ns, "ptap")


@pytest.mark.parametrize("name", ["lo", "va", "tun0", "sixteen-letters-", "x" * 64, "x" * 3000,
                                  "/dev/none", "/dev/null", "a/b", ".", ".."])
def test_names_that_cannot_be(ub, ns, name):
    ns.ip("link add va type veth peer name vb")
    ns.ip("tuntap add dev tun0 mode tun")
    before = ns.links()
    ub.ok("bridge create b")
    descriptors = ub.descriptors()
    ub.fails(206, f"bridge add_nio_tap b {name}", REFUSED)
    assert ns.links() == before
    assert ub.descriptors() == descriptors


def test_in_use(ub, ns):
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_tap b tap0")
    ub.fails(206, "bridge add_nio_tap b tap0", REFUSED)
    ub.ok("bridge delete b")
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_tap b tap0")


def test_the_device_is_deleted_by_somebody(ub, link, ns, tunnel):
    near, far = link
    near.send(frames.frame())
    far.expect(frames.frame())
    ns.ip("link del tap0")
    for _ in range(20):
        far.send(frames.frame())
    left, right = tunnel
    left.send(b"unhurt")
    right.expect(b"unhurt")
    ub.ok("bridge delete b")
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_tap b tap0")


def test_it_works_in_another_namespace(ub, ns, namespaces, peers):
    other = namespaces()
    far = peers.udp()
    far.to = peers.port()
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_tap b tap0")
    ub.ok(f"bridge add_nio_udp b {far.to} 127.0.0.1 {far.port}")
    with ns:
        subprocess.run(["ip", "link", "set", "tap0", "netns", other.path], check=True,
                       pass_fds=[other.fd])
    ub.ok("bridge start b")
    other.quiet("tap0")
    other.ip("link set tap0 up")
    near = peers.raw("tap0", where=other)
    near.send(frames.frame(b"out"))
    far.expect(frames.frame(b"out"))
    far.send(frames.frame(b"in"))
    near.expect(frames.frame(b"in"))


def test_macvtap(ub, ns, peers):
    """A device path is the TAP of a macvtap interface; it is there before and after."""
    index = 70000 + os.getpid() % 10000
    ns.veth("va", "vb")
    ns.ip(f"link add link va name mv0 index {index} type macvtap mode passthru")
    ns.quiet("mv0")
    ns.ip("link set mv0 up")
    far = borrow(ub, peers, f"/dev/tap{index}")
    near = peers.raw("vb")
    near.send(frames.frame(b"out"))
    far.expect(frames.frame(b"out"))
    far.send(frames.frame(b"in"))
    near.expect(frames.frame(b"in"))
    ub.ok("bridge delete b")
    assert "mv0" in ns.links()


@pytest.mark.parametrize("end", ["deleted", "moved"])
def test_macvtap_goes(ub, ns, namespaces, peers, end):
    """Its file does not say so: what is sent after it was deleted counts as lost. One that was
    moved goes on.
    """
    index = 80000 + os.getpid() % 10000
    ns.veth("va", "vb")
    ns.ip(f"link add link va name mv0 index {index} type macvtap mode passthru")
    far = borrow(ub, peers, f"/dev/tap{index}")
    if end == "deleted":
        ns.ip("link del mv0")
    else:
        home = namespaces()
        with ns:
            subprocess.run(["ip", "link", "set", "mv0", "netns", home.path], check=True,
                           pass_fds=[home.fd])
        home.quiet("mv0")
        home.ip("link set mv0 up")
        near = peers.raw("vb")
    for _ in range(5):
        far.send(frames.frame())
    if end == "moved":
        near.expect(frames.frame())
    want = (5, 0) if end == "moved" else (0, 5)
    wait_until(lambda: sent_and_lost(ub) == want, what=f"{want} frames sent and lost")


def sent_and_lost(ub):
    source = counters(ub, "b")["source"]
    return source["out_frames"], source["drop_down"]


@pytest.mark.parametrize("moved", [False, True], ids=["here", "moved"])
def test_offloads_come_with_load(ub, link, ns, namespaces, peers, moved):
    """Also where somebody else has moved the device to."""
    near, far = link
    home = ns
    if moved:
        home = namespaces()
        with ns:
            subprocess.run(["ip", "link", "set", "tap0", "netns", home.path], check=True,
                           pass_fds=[home.fd])
        home.quiet("tap0")
        home.ip("link set tap0 up")
        near = peers.raw("tap0", where=home)
    assert "tx-checksumming: off" in home.run("ethtool", "-k", "tap0")
    with ub.paused():
        for number in range(20):
            near.send(frames.frame(size=100 + number))
    for number in range(20):
        far.expect(frames.frame(size=100 + number))
    wait_until(lambda: "tx-checksumming: on" in home.run("ethtool", "-k", "tap0"),
               what="offloads")
    near.send(frames.frame(size=200))
    far.expect(frames.frame(size=200))
    far.send(frames.frame(size=300))
    near.expect(frames.frame(size=300))
    ub.ok("bridge delete b")
    wait_until(lambda: "tap0" not in home.links(), what="the end of the device")
