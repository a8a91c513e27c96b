# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing spins: running bridges without traffic cost no CPU time, whatever state they are in."""
import os
import socket
import time

import pytest

from lab import frames
from lab.wait import wait_until

EACH = 20
SECONDS = 2


def spent(ub):
    """Nanoseconds that all threads of the process have run, and how often they were woken."""
    nanoseconds = switches = 0
    for task in os.listdir(f"/proc/{ub.pid}/task"):
        with open(f"/proc/{ub.pid}/task/{task}/schedstat", encoding="ascii") as file:
            nanoseconds += int(file.read().split()[0])
        with open(f"/proc/{ub.pid}/task/{task}/status", encoding="ascii") as file:
            switches += sum(int(line.split()[1]) for line in file
                            if line.startswith("voluntary_ctxt_switches"))
    return nanoseconds, switches


def over_time(ub):
    """What the process spends in SECONDS: (seconds of CPU time, wake-ups)."""
    before = spent(ub)
    time.sleep(SECONDS)
    after = spent(ub)
    return (after[0] - before[0]) / 1e9, after[1] - before[1]


@pytest.fixture
def crowd(ub, ns, peers, directory):
    """100 running bridges of all kinds, each with a UDP peer; the peers are returned."""
    ends = []
    for number in range(EACH):
        ns.veth(f"v{number}", f"w{number}")
        ns.veth(f"x{number}", f"y{number}")
        for kind, words in (("udp", f"udp NAME {peers.port()} 127.0.0.1 {peers.port()}"),
                            ("tap", f"tap NAME t{number}"),
                            ("raw", f"linux_raw NAME v{number}"),
                            ("ethernet", f"ethernet NAME x{number}"),
                            ("unix", f"unix NAME {directory}/l{number} {directory}/r{number}")):
            name = f"{kind}{number}"
            end = peers.udp()
            end.to = peers.port()
            ub.ok(f"bridge create {name}")
            ub.ok("bridge add_nio_" + words.replace("NAME", name))
            ub.ok(f"bridge add_nio_udp {name} {end.to} 127.0.0.1 {end.port}")
            ub.ok(f"bridge start {name}")
            ends.append(end)
        ns.quiet(f"t{number}")
        ns.ip(f"link set t{number} up")
    for end in ends:
        end.send(frames.frame())
    settle(ub)
    return ends


def settle(ub, share=0.02):
    """Until what has just been done has had its effects, and little of a processor is used."""
    def quiet():
        before = spent(ub)[0]
        time.sleep(0.2)
        return spent(ub)[0] - before < 0.2e9 * share
    wait_until(quiet, 10, "the process to become idle")


def own_wakes(patience):
    """A sanitizer's run-time has a thread of its own that looks around ten times a second."""
    return 0 if patience == 1 else 15 * SECONDS


def test_a_hundred_bridges(ub, crowd, patience):
    seconds, wakes = over_time(ub)
    assert wakes <= own_wakes(patience), "somebody wakes up for nothing"
    assert seconds < 0.005 * patience
    assert len(crowd) == 100


def test_interfaces_down(ub, ns, crowd, patience):
    """They are looked at now and then, which must stay cheap."""
    for number in range(EACH):
        for interface in ("t", "v", "x"):
            ns.ip(f"link set {interface}{number} down")
    for end in crowd:
        end.send(frames.frame())
    settle(ub)
    seconds, wakes = over_time(ub)
    assert seconds < 0.02 * SECONDS * patience
    assert wakes < SECONDS * 10 * 3 * EACH


def test_devices_gone(ub, ns, crowd, patience):
    """They are looked for now and then, which must stay cheap."""
    for number in range(EACH):
        for interface in ("t", "v", "x"):
            ns.ip(f"link del {interface}{number}")
    for end in crowd:
        end.send(frames.frame())
    settle(ub)
    seconds, wakes = over_time(ub)
    assert seconds < 0.02 * SECONDS * patience
    assert wakes < SECONDS * 10 * 3 * EACH


def test_peers_refuse(ub, crowd, patience):
    """Nobody is at the ends of the UDP bridges, and those of the others are gone again."""
    for end in crowd:
        end.close()
    for _ in range(3):
        for end in crowd:
            with ub.ns, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind(("127.0.0.1", end.port))
                sock.sendto(frames.frame(), ("127.0.0.1", end.to))
    settle(ub)
    seconds, wakes = over_time(ub)
    assert wakes <= own_wakes(patience) and seconds < 0.005 * patience


def test_frames_to_dead_peers(ub, ns, peers, patience):
    """A veth side that sends goes on receiving errors, one for each frame and no more."""
    near = []
    for number in range(EACH):
        ns.veth(f"v{number}", f"w{number}")
        ub.ok(f"bridge create b{number}")
        ub.ok(f"bridge add_nio_linux_raw b{number} v{number}")
        ub.ok(f"bridge add_nio_udp b{number} {peers.port()} 127.0.0.1 {peers.port()}")
        ub.ok(f"bridge start b{number}")
        near.append(peers.raw(f"w{number}"))
    for _ in range(5):
        for peer in near:
            peer.send(frames.frame())
    settle(ub)
    seconds, wakes = over_time(ub)
    assert wakes <= own_wakes(patience) and seconds < 0.005 * patience


def test_a_unix_peer_that_takes_nothing(ub, peers, directory, patience):
    """Its queue is full, and stays so."""
    ends = []
    for number in range(EACH):
        end = peers.udp()
        end.to = peers.port()
        peers.unix(f"{directory}/r{number}")
        ub.ok(f"bridge create b{number}")
        ub.ok(f"bridge add_nio_unix b{number} {directory}/l{number} {directory}/r{number}")
        ub.ok(f"bridge add_nio_udp b{number} {end.to} 127.0.0.1 {end.port}")
        ub.ok(f"bridge start b{number}")
        ends.append(end)
    for _ in range(500):
        for end in ends:
            end.send(frames.frame())
    # each of them is tried again fifty times a second
    settle(ub, 0.1)
    seconds, _ = over_time(ub)
    assert seconds < 0.06 * SECONDS * patience
