# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of faults share: a link to be hit, and one beside it that must not notice.

A test module imports the fixtures that it wants.
"""
import pytest

from . import frames
from .counters import Witness, counters
from .wait import wait_until

BURST = 20


@pytest.fixture(autouse=True)
def witness(ub, peers):
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    ub.udp_bridge("witness", (left.to, left.port), (right.to, right.port))
    thread = Witness(left, right)
    yield thread
    thread.check()
    assert ub.alive()
    # one line for a change of state, none for a frame
    assert len(ub.stderr().splitlines()) < 10, ub.stderr()


@pytest.fixture
def link(ub, peers):
    """link(COMMAND...): a running bridge "b" from a UDP peer to the NIO that COMMAND adds."""
    def make(command):
        near = peers.udp()
        near.to = peers.port()
        ub.ok("bridge create b")
        ub.ok(f"bridge add_nio_udp b {near.to} 127.0.0.1 {near.port}")
        ub.ok(f"bridge {command}")
        ub.ok("bridge start b")
        return near
    return make


def burst(peer, size=60):
    """Some frames, sent one by one so that each has a fate of its own."""
    for number in range(BURST):
        peer.send(frames.frame(b"lost %d" % number, size))


def destination(ub):
    return counters(ub, "b")["destination"]


def found_down(ub, near):
    """Wait until frames are dropped because their way out is down; returns the NIO's counters."""
    def noticed():
        near.send(frames.frame(b"lost"))
        return destination(ub)["drop_down"]
    wait_until(noticed, what="frames to be dropped")

    def settled():
        seen = destination(ub)
        drops = sum(value for key, value in seen.items() if key.startswith("drop_"))
        # the kernel may have said that there is no room, when the interface was about to go down
        return seen if seen["out_frames"] + drops == ub.stats("b")["source"][0] else None
    return wait_until(settled, what="all frames to be counted")


def dropped(ub, reason, count=BURST):
    """Wait until so many frames were dropped for this reason; returns the NIO's counters."""
    wait_until(lambda: destination(ub)[f"drop_{reason}"] >= count,
               what=f"drop_{reason} ({destination(ub)})")
    return destination(ub)
