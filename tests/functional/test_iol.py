# SPDX-License-Identifier: GPL-3.0-or-later
"""Module iol_bridge: the way GNS3 uses it. PROTOCOL section 9."""
import os
import struct

import pytest

from lab import capture, frames
from lab.wait import wait_until

# An IOU application id nobody on this machine has, and its bridge's as GNS3 makes it.
IOL = 300 + os.getpid() % 200
BRIDGE = IOL + 512
SOCKETS = "/tmp/netio0"


def header(to, source, to_port, from_port):
    return struct.pack("!HHBBBB", to, source, to_port, from_port, 1, 0)


@pytest.fixture
def instance(peers):
    """The IOL instance's own socket."""
    os.makedirs(SOCKETS, mode=0o700, exist_ok=True)
    return peers.unix(f"{SOCKETS}/{IOL}")


@pytest.fixture
def link(ub, peers):
    """The sequence of GNS3: a started IOL bridge with port 0/1 linked to a UDP peer."""
    name = f"IOL-BRIDGE-{BRIDGE}"
    far = peers.udp()
    far.to = peers.port()
    ub.fails(214, f"iol_bridge delete {name}", f"IOL bridge '{name}' doesn't exist")
    ub.ok(f"iol_bridge create {name} {BRIDGE}", f"IOL bridge '{name}' created")
    ub.ok(f"iol_bridge add_nio_udp {name} {IOL} 0 1 {far.to} 127.0.0.1 {far.port}",
          f"NIO UDP added to IOL bridge '{name}'")
    ub.ok(f"iol_bridge reset_packet_filters {name} 0 1", "OK")
    ub.ok(f"iol_bridge start {name}", f"IOL bridge '{name}' started")
    return name, far


def test_both_ways(ub, link, instance):
    name, far = link
    packet = frames.frame()
    far.send(packet)
    instance.expect(header(IOL, BRIDGE, 0x10, 0x10) + packet)
    instance.send(header(BRIDGE, IOL, 0x10, 0x10) + packet, f"{SOCKETS}/{BRIDGE}")
    far.expect(packet)
    wait_until(lambda: ub.ok(f"iol_bridge get_stats {name}") == [
        "port 0/1:      IN: 1 packets (60 bytes) OUT: 1 packets (60 bytes)"], what="counters")


def test_the_instance_may_come_later(ub, link, peers):
    _, far = link
    far.send(frames.frame(b"lost"))
    os.makedirs(SOCKETS, mode=0o700, exist_ok=True)
    instance = peers.unix(f"{SOCKETS}/{IOL}")

    def comes():
        far.send(frames.frame())
        return instance.receive_all(0.05)
    wait_until(comes, what="a frame")
    assert ub.alive()


def test_live_changes(ub, link, instance, directory):
    name, far = link
    path = f"{directory}/iol.pcap"
    ub.ok(f'iol_bridge start_capture {name} 0 1 "{path}" EN10MB',
          "packet capture started on port 0/1")
    assert capture.header(path)[4] == 1
    instance.send(header(BRIDGE, IOL, 0x10, 0x10) + frames.frame(), f"{SOCKETS}/{BRIDGE}")
    far.expect(frames.frame())
    ub.ok(f"iol_bridge stop_capture {name} 0 1", "packet capture stopped on port 0/1")
    assert capture.packets(path) == [frames.frame()]
    ub.ok(f"iol_bridge add_packet_filter {name} 0 1 filter0 frequency_drop -1")
    far.send(frames.frame(b"dropped"))
    instance.expect_nothing()
    ub.ok(f"iol_bridge reset_packet_filters {name} 0 1")
    far.send(frames.frame(b"passes"))
    instance.expect(header(IOL, BRIDGE, 0x10, 0x10) + frames.frame(b"passes"))
    ub.ok(f"iol_bridge delete_nio_udp {name} 0 1", f"NIO UDP deleted from IOL bridge '{name}'")
    assert ub.ok("iol_bridge list") == [f"{name} (ports = 0)"]


def test_create_and_delete_many_times(ub, peers):
    port = peers.port()
    for number in range(100):
        ub.ok(f"iol_bridge create i {BRIDGE}")
        ub.ok(f"iol_bridge add_nio_udp i {IOL} 0 0 {port} 127.0.0.1 9")
        if number % 2:
            ub.ok("iol_bridge start i")
        ub.ok("iol_bridge delete i", "IOL bridge 'i' deleted")
        assert not os.path.exists(f"{SOCKETS}/{BRIDGE}")


@pytest.mark.parametrize("arguments", ["abc", "0", "-1", "65536", "70000", "1x"])
def test_bad_ids(ub, arguments):
    assert ub.cmd(f"iol_bridge create i {arguments}").code in (204, 206)
    assert ub.ok("iol_bridge list") == []
