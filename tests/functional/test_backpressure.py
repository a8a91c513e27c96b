# SPDX-License-Identifier: GPL-3.0-or-later
"""A slow reader behind a unix socket: its queue holds about ten datagrams, a burst has more."""
import pytest

from lab.program import free_port
from lab.wait import wait_until

FRAMES = 500


@pytest.fixture
def slow(ub, ns, peers, directory):
    """(UDP peer, unix peer that nobody reads yet, path of the unix NIO)"""
    port = free_port(ns)
    udp = peers.udp(to=port)
    unix = peers.unix(f"{directory}/slow")
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_udp b {port} 127.0.0.1 {udp.port}")
    ub.ok(f"bridge add_nio_unix b {directory}/near {directory}/slow")
    ub.ok("bridge start b")
    return udp, unix, f"{directory}/near"


def burst(udp):
    packets = [b"%04d" % number for number in range(FRAMES)]
    for packet in packets:
        udp.send(packet)
    return packets


def test_a_burst_arrives_complete_and_in_order(ub, slow):
    udp, unix, _ = slow
    packets = burst(udp)
    assert unix.receive_all() == packets
    assert ub.stats("b")["destination"][2] == FRAMES


def test_the_other_direction_goes_on(ub, slow):
    udp, unix, near = slow
    packets = burst(udp)
    unix.send(b"back", near)
    udp.expect(b"back")
    assert unix.receive_all() == packets


def test_suspending_the_link_discards_what_waits(ub, slow):
    udp, unix, _ = slow
    burst(udp)
    wait_until(lambda: ub.stats("b")["destination"][2] > 0, what="the first frames")
    ub.ok("bridge add_packet_filter b stop frequency_drop -1")
    assert len(unix.receive_all()) < FRAMES
    ub.ok("bridge reset_packet_filters b")
    udp.send(b"after")
    unix.expect(b"after")


def test_a_receiver_that_vanishes_frees_the_link(ub, slow, peers, directory):
    udp, unix, _ = slow
    burst(udp)
    unix.close()
    wait_until(lambda: ub.stats("b")["source"][0] == FRAMES, what="the source to be read")
    again = peers.unix(f"{directory}/slow")
    udp.send(b"again")
    again.expect(b"again")


def test_stopping_does_not_wait(ub, slow):
    udp, unix, _ = slow
    burst(udp)
    ub.ok("bridge stop b")
    ub.ok("bridge delete b")
    assert len(unix.receive_all()) < FRAMES
