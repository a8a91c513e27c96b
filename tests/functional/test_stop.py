# SPDX-License-Identifier: GPL-3.0-or-later
"""hypervisor stop: answers, and all is gone, with every capture complete."""
import os
import statistics

import pytest

from lab import capture, frames


def fill(ub, peers, directory, count):
    """Bridges of every kind; returns the files that must be gone afterwards."""
    files = []
    for number in range(count):
        name = f"b{number}"
        ub.ok(f"bridge create {name}")
        ub.ok(f"bridge add_nio_tap {name} tap{number}")
        ub.ok(f"bridge add_nio_unix {name} {directory}/s{number} {directory}/p{number}")
        files.append(f"{directory}/s{number}")
        if number % 3:
            ub.ok(f"bridge start {name}")
        if number % 2:
            ub.ok(f"bridge start_capture {name} {directory}/{number}.pcap")
        ub.ok(f"bridge create u{number}")
        ub.ok(f"bridge add_nio_udp u{number} {peers.port()} 127.0.0.1 9")
    return files


@pytest.mark.parametrize("bridges", [0, 1, 30])
def test_it_is_gone_at_once(launch, peers, directory, ns, patience, measure, bridges):
    took = []
    for _ in range(5):
        ub = launch()
        files = fill(ub, peers, directory, bridges)
        others = [ub.client() for _ in range(10)]
        took.append(ub.stop())
        for client in others:
            client.expect_eof()
        assert not [path for path in files if os.path.exists(path)]
        assert not [name for name in ns.links() if name.startswith("tap")]
    measure(f"hypervisor stop, {bridges} bridges: reply to end, median of 5",
            statistics.median(took))
    assert max(took) < 1 * patience


def test_captures_are_complete(ub, tunnel, directory, peers):
    left, right = tunnel
    ub.ok(f"bridge start_capture t {directory}/t.pcap")
    for number in range(300):
        left.send(frames.frame(b"%d" % number))
        right.expect(frames.frame(b"%d" % number))
    ub.stop()
    assert capture.packets(f"{directory}/t.pcap") == \
        [frames.frame(b"%d" % number) for number in range(300)]
    peers.udp(left.to)


def test_under_load(launch, peers, directory, patience):
    for _ in range(5):
        ub = launch()
        left, right = peers.udp(), peers.udp()
        left.to, right.to = peers.port(), peers.port()
        ub.udp_bridge("b", (left.to, left.port), (right.to, right.port))
        ub.ok(f"bridge start_capture b {directory}/b.pcap")
        for _ in range(2000):
            left.send(b"x" * 500)
        assert ub.stop() < 1 * patience
        capture.tcpdump(f"{directory}/b.pcap")


def test_the_commands_behind_it_are_not_executed(ub):
    ub.send(b"hypervisor stop\nbridge create late\n")
    assert ub.reply().text == "OK"
    ub.main.expect_eof()
    ub.wait_exit()


def test_lock_files_and_sockets_of_iol_go_too(ub):
    ub.ok("iol_bridge create i 876")
    assert os.path.exists("/tmp/netio0/876") and os.path.exists("/tmp/netio0/876.lck")
    ub.stop()
    assert not os.path.exists("/tmp/netio0/876") and not os.path.exists("/tmp/netio0/876.lck")


def test_last_messages(ub):
    ub.stop()
    assert ub.stdout().splitlines()[-3:] == [
        "Hypervisor: closing control sockets.",
        "Hypervisor: closing remote client connections.", "Hypervisor: stopped."]
