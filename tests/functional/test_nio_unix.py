# SPDX-License-Identifier: GPL-3.0-or-later
"""Unix datagram NIOs: PROTOCOL section 6."""
import os

import pytest

from lab.wait import wait_until

REFUSED = "unable to create NIO UNIX for bridge 'b'"


@pytest.fixture
def link(ub, peers, directory):
    """A running bridge of two unix NIOs: (left peer, its NIO's path), the same for right."""
    left, right = peers.unix(f"{directory}/left"), peers.unix(f"{directory}/right")
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_unix b {directory}/a {directory}/left",
          "NIO UNIX added to bridge 'b'")
    ub.ok(f'bridge add_nio_unix b "{directory}/b" "{directory}/right"')
    ub.ok("bridge start b")
    return (left, f"{directory}/a"), (right, f"{directory}/b")


def test_both_ways_every_size(link):
    (left, near), (right, far) = link
    for size in (1, 14, 60, 1514, 9000, 65000):
        packet = bytes(number % 251 for number in range(size))
        left.send(packet, near)
        right.expect(packet)
        right.send(packet, far)
        left.expect(packet)


def test_anybody_may_send(link, peers, directory):
    (_, near), (right, _) = link
    peers.unix(f"{directory}/stranger").send(b"hello", near)
    right.expect(b"hello")


def test_a_peer_that_goes_and_comes(ub, link, peers, directory):
    (left, near), (right, _) = link
    right.close()
    for _ in range(300):
        left.send(b"lost", near)
    wait_until(lambda: ub.stats("b")["source"][0] == 300, what="all packets to be read")
    right = peers.unix(f"{directory}/right")
    left.send(b"found", near)
    right.expect(b"found")
    assert len(ub.output().splitlines()) < 60, "a line per lost packet"


def test_the_file_goes_with_the_nio(ub, link, directory):
    assert os.path.exists(f"{directory}/a") and os.path.exists(f"{directory}/b")
    ub.ok("bridge delete b")
    assert not os.path.exists(f"{directory}/a") and not os.path.exists(f"{directory}/b")


def test_a_stale_socket_is_replaced(ub, peers, directory):
    stale = peers.unix(f"{directory}/a")
    stale.sock.close()
    assert os.path.exists(f"{directory}/a")
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_unix b {directory}/a {directory}/peer")


def test_a_regular_file_is_not_destroyed(ub, directory):
    with open(f"{directory}/a", "w", encoding="ascii") as file:
        file.write("precious")
    ub.ok("bridge create b")
    ub.fails(206, f"bridge add_nio_unix b {directory}/a {directory}/peer", REFUSED)
    with open(f"{directory}/a", encoding="ascii") as file:
        assert file.read() == "precious"


def test_path_limits(ub, directory):
    ub.ok("bridge create b")
    before = ub.descriptors()
    longest = f"{directory}/".ljust(107, "p")
    ub.fails(206, f"bridge add_nio_unix b {longest}p {directory}/peer", REFUSED)
    ub.fails(206, f"bridge add_nio_unix b {directory}/a {longest}p", REFUSED)
    ub.fails(206, f"bridge add_nio_unix b {'x' * 5000} {directory}/peer", REFUSED)
    ub.fails(206, f"bridge add_nio_unix b {directory}/none/a {directory}/peer", REFUSED)
    assert ub.descriptors() == before
    assert not os.path.exists(f"{directory}/a")
    ub.ok(f"bridge add_nio_unix b {longest} {directory}/peer")
    assert os.path.exists(longest)
