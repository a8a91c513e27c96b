# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures: PROTOCOL section 8 and what GNS3 needs of them."""
import os
import subprocess
import threading
import time

import pytest

from lab import capture, frames
from lab.wait import wait_until


@pytest.fixture
def path(directory):
    return os.path.join(directory, "link.pcap")


def test_file_and_header_are_there_with_the_reply(ub, tunnel, path):
    ub.ok(f'bridge start_capture t "{path}"', "packet capture started on bridge 't'")
    assert os.path.getsize(path) == 24
    assert capture.header(path) == (0xA1B2C3D4, 2, 4, 65535, 1)
    assert tunnel


def test_packets_are_on_disk_at_once(ub, tunnel, path, patience, measure):
    """GNS3 follows the file."""
    left, right = tunnel
    ub.ok(f'bridge start_capture t "{path}"')
    worst = 0
    for number in range(20):
        before = os.path.getsize(path)
        left.send(frames.frame(b"%d" % number))
        sent = time.monotonic()
        wait_until(lambda: os.path.getsize(path) == before + 16 + 60, what="the packet")
        worst = max(worst, time.monotonic() - sent)
        right.receive()
    measure("packet sent to packet in the file, worst of 20", worst)
    assert worst < 0.1 * patience


def test_both_directions_in_the_order_of_time(ub, tunnel, path):
    left, right = tunnel
    ub.ok(f'bridge start_capture t "{path}"')
    want = []
    begin = time.time()
    for number in range(200):
        packet = frames.frame(b"%d" % number)
        sender, receiver = (left, right) if number % 3 else (right, left)
        sender.send(packet)
        receiver.expect(packet)
        want.append(packet)
    ub.ok("bridge stop_capture t", "packet capture stopped on bridge 't'")
    assert capture.packets(path) == want
    stamps = capture.times(path)
    assert stamps == sorted(stamps)
    assert begin * 1e6 - 1000 <= stamps[0] and stamps[-1] <= time.time() * 1e6 + 1000
    assert len(capture.tcpdump(path)) == 200


def test_order_under_load(ub, tunnel, path):
    """Both directions at full speed: no time stamp goes backwards, every packet is there."""
    left, right = tunnel
    ub.ok(f'bridge start_capture t "{path}"')
    got = {}

    def flood(sender, receiver, mark):
        for number in range(3000):
            sender.send(b"%c%06d" % (mark, number) * 10)
            if number % 50 == 49:
                for _ in range(50):
                    receiver.receive()
                    got[mark] = got.get(mark, 0) + 1
    threads = [threading.Thread(target=flood, args=(left, right, 65)),
               threading.Thread(target=flood, args=(right, left, 66))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    ub.ok("bridge stop_capture t")
    assert got == {65: 3000, 66: 3000}
    packets = capture.packets(path)
    for mark in (65, 66):
        assert [p for p in packets if p[0] == mark] == \
            [b"%c%06d" % (mark, number) * 10 for number in range(3000)]
    stamps = capture.times(path)
    assert stamps == sorted(stamps)


def test_dropped_packets_are_not_in_it(ub, tunnel, path):
    left, right = tunnel
    ub.ok(f'bridge start_capture t "{path}"')
    ub.ok("bridge add_packet_filter t f frequency_drop -1")
    left.send(frames.frame(b"dropped"))
    right.expect_nothing()
    ub.ok("bridge reset_packet_filters t")
    left.send(frames.frame(b"kept"))
    right.expect(frames.frame(b"kept"))
    ub.ok("bridge stop_capture t")
    assert capture.packets(path) == [frames.frame(b"kept")]


@pytest.mark.parametrize("name, number", [
    ("EN10MB", 1), ("en10mb", 1), ("PPP", 9), ("PPP_SERIAL", 50), ("ATM_RFC1483", 100),
    ("RAW", 101), ("C_HDLC", 104), ("IEEE802_11", 105), ("FRELAY", 107), ("NO_SUCH_TYPE", 1),
])
def test_link_types(ub, path, name, number):
    ub.ok("bridge create b")
    ub.ok(f'bridge start_capture b "{path}" {name}')
    assert capture.header(path)[4] == number
    ub.ok("bridge stop_capture b")
    ub.ok("bridge delete b")


def test_errors(ub, tunnel, path, directory):
    left, right = tunnel
    no = "packet capture could not be started on bridge 't'"
    before = ub.descriptors()
    for bad in ("/none/such/dir/x.pcap", directory, "/tmp/" + "x" * 5000):
        ub.fails(209, f'bridge start_capture t "{bad}"', no)
    ub.fails(209, "bridge stop_capture t", "no packet capture active on bridge 't'")
    assert ub.descriptors() == before
    ub.ok(f'bridge start_capture t "{path}"')
    ub.fails(209, f'bridge start_capture t "{path}2"',
             "packet capture is already active on bridge 't'")
    assert not os.path.exists(path + "2")
    left.send(b"unhurt")
    right.expect(b"unhurt")
    ub.ok("bridge stop_capture t")
    ub.fails(209, "bridge stop_capture t", "no packet capture active on bridge 't'")
    assert len(capture.packets(path)) == 1


def test_names(ub, directory):
    """Blanks, letters beyond ASCII, relative names; an existing file is overwritten."""
    for number, name in enumerate(("with blanks.pcap", "übung.pcap", "#!.pcap")):
        ub.ok(f"bridge create b{number}")
        ub.ok(f'bridge start_capture b{number} "{directory}/{name}"')
        assert os.path.getsize(f"{directory}/{name}") == 24
    ub.ok("bridge create r")
    ub.ok("bridge start_capture r relative.pcap")
    assert os.path.getsize(f"{ub.directory}/relative.pcap") == 24
    with open(f"{directory}/old.pcap", "wb") as file:
        file.write(b"x" * 1000)
    ub.ok("bridge create o")
    ub.ok(f"bridge start_capture o {directory}/old.pcap")
    assert os.path.getsize(f"{directory}/old.pcap") == 24


def test_it_goes_on_over_stop_and_start_and_ends_with_the_bridge(ub, tunnel, path):
    left, right = tunnel
    ub.ok(f'bridge start_capture t "{path}"')
    for text in (b"one", b"two"):
        left.send(frames.frame(text))
        right.expect(frames.frame(text))
        ub.ok("bridge stop t")
        ub.ok("bridge start t")
    ub.ok("bridge delete t")
    assert capture.packets(path) == [frames.frame(b"one"), frames.frame(b"two")]


def test_on_a_bridge_that_does_not_run_yet(ub, peers, path):
    """GNS3 starts the capture first."""
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    ub.udp_bridge("b", (left.to, left.port), (right.to, right.port), start=False)
    ub.ok(f'bridge start_capture b "{path}"')
    ub.ok("bridge start b")
    left.send(frames.frame())
    right.expect(frames.frame())
    wait_until(lambda: len(capture.packets(path)) == 1, what="the packet")


def test_stop_leaves_every_packet_in_the_file(ub, tunnel, path):
    left, right = tunnel
    ub.ok(f'bridge start_capture t "{path}"')
    for number in range(500):
        left.send(frames.frame(b"%d" % number))
    got = len(right.receive_all())
    ub.stop()
    assert len(capture.tcpdump(path)) == got
    assert got > 400


@pytest.fixture
def small_disk(directory):
    place = os.path.join(directory, "disk")
    os.mkdir(place)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_stops_the_capture_and_not_the_link(ub, tunnel, small_disk, path):
    left, right = tunnel
    full = os.path.join(small_disk, "full.pcap")
    ub.ok(f'bridge start_capture t "{full}"')
    packet = frames.frame(size=1000)
    for _ in range(200):
        left.send(packet)
        right.expect(packet)
        right.send(packet)
        left.expect(packet)
    assert os.path.getsize(full) <= 65536
    lines = capture.tcpdump(full)
    assert 50 <= len(lines) <= 65
    assert ub.cmd("bridge stop_capture t").code in (100, 209)
    ub.ok(f'bridge start_capture t "{path}"')
    left.send(packet)
    right.expect(packet)
    ub.ok("bridge stop_capture t")
    assert len(capture.packets(path)) == 1
    assert len(ub.output().splitlines()) < 60, "a line per packet"


def test_no_room_for_the_header(ub, tunnel, small_disk):
    with open(os.path.join(small_disk, "filler"), "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    left, right = tunnel
    ub.fails(209, f'bridge start_capture t "{small_disk}/full.pcap"')
    left.send(b"unhurt")
    right.expect(b"unhurt")


def test_start_and_stop_under_load(ub, tunnel, directory):
    """Every file is valid, no packet is lost to it."""
    left, right = tunnel
    stop = threading.Event()
    lost = []

    def flood():
        number = 0
        while not stop.is_set():
            for _ in range(20):
                left.send(b"%020d" % number)
                number += 1
            for expected in range(number - 20, number):
                try:
                    right.expect(b"%020d" % expected)
                except (AssertionError, OSError):
                    lost.append(expected)
                    stop.set()
    thread = threading.Thread(target=flood)
    thread.start()
    try:
        for number in range(200):
            ub.ok(f"bridge start_capture t {directory}/{number}.pcap")
            ub.ok("bridge stop_capture t")
    finally:
        stop.set()
        thread.join(30)
    assert not lost
    for number in range(200):
        capture.packets(f"{directory}/{number}.pcap")


def test_a_large_frame_is_whole(ub, tunnel, path):
    left, right = tunnel
    ub.ok(f'bridge start_capture t "{path}"')
    packet = frames.frame(size=65000)
    left.send(packet)
    right.expect(packet)
    ub.ok("bridge stop_capture t")
    assert capture.packets(path) == [packet]
