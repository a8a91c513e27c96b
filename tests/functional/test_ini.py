# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files: what goes wrong with one section, as docs/ini.md has it. What is right
is in the conformance cases and in test_docs.py.
"""
import re
import signal

import pytest

from lab.program import assert_no_report, spawn
from lab.wait import wait_until

UDP = "destination_udp = 1:127.0.0.1:2\n"


class Tunnels:
    """Two UDP tunnels to peers, and the lines that make a section of them."""

    def __init__(self, peers):
        self.ends = peers.udp(), peers.udp()
        for end in self.ends:
            end.to = peers.port()
        source, destination = (f"{end.to}:127.0.0.1:{end.port}" for end in self.ends)
        self.lines = f"source_udp = {source}\ndestination_udp = {destination}\n"

    def carry(self, frame):
        """Whether a frame passes in both directions."""
        for here, there in (self.ends, self.ends[::-1]):
            here.send(frame)
            if frame not in there.receive_all(0.1):
                return False
        return True


@pytest.fixture
def play(binary, ns, directory, peers):
    """play(sections, [tunnels]) -> what it says on (stdout, stderr), a certain message if given.

    With a section behind them that must work, as must the other tunnels.
    """
    def read(name):
        with open(f"{directory}/{name}", encoding="utf-8") as file:
            return file.read()

    def call(text, tunnels=None, args=(), frame=b"from one to the other", message=""):
        good = Tunnels(peers)
        with open(f"{directory}/ubridge.ini", "w", encoding="utf-8") as file:
            file.write(f"{text}\n[good]\n{good.lines}")
        process = spawn([binary, *args], ns, directory)
        try:
            for each in filter(None, (good, tunnels)):
                wait_until(lambda each=each: each.carry(frame), 20, "frames to pass")
            wait_until(lambda: message in read("stderr"), 20, message)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert_no_report(directory)
        return read("stdout"), read("stderr")
    return call


@pytest.mark.parametrize("section, message", [
    ("source_udp = 1:127.0.0.1:2\n", "destination NIO not found"),
    (UDP, "source NIO not found"),
    ("source_udp = 1\n" + UDP, "invalid UDP tunnel syntax"),
    ("source_udp = x:127.0.0.1:2\n" + UDP, "unable to create UDP NIO: "),
    ("source_udp = 1:no.such.host.invalid:2\n" + UDP, "unable to create UDP NIO: "),
    ("source_udp = 1:127.0.0.1:9\n" + UDP, "unable to create UDP NIO: "),
    ("source_unix = left.sock\n" + UDP, "invalid UNIX domain socket syntax"),
    ("source_unix = no/such/place:right.sock\n" + UDP, "unable to create UNIX NIO: "),
    ("source_tap = a-name-that-is-too-long\n" + UDP, "unable to open TAP device: "),
    ("source_ethernet = none0\n" + UDP, "unable to open Ethernet device: "),
    ("source_linux_raw = none0\n" + UDP, "unable to open RAW device: "),
    ("source_docker = c:eth0" + 65 * ",a=1" + "\n" + UDP,
     "unable to create Docker NIO: too many options"),
    ("source_docker = c:eth0" + 17 * ",ip=10.0.0.1/8" + "\n" + UDP,
     "unable to create Docker NIO: ip=10.0.0.1/8: too many addresses"),
])
def test_a_section_that_can_not_be(play, section, message):
    """It is skipped with a message, and the others work."""
    _, said = play(f"[bad]\n{section}", message=f"bridge bad: {message}")
    assert f"bridge bad: {message}" in said


def test_a_name_server_that_does_not_answer(binary, ns, directory, peers, patience):
    """Nothing waits for it but the sections that need it: not the others, a reload, or the end."""
    first, second = Tunnels(peers), Tunnels(peers)
    peers.udp(53)
    slow = f"[slow]\nsource_udp = {peers.port()}:nowhere.test:1\n{UDP}"
    path = f"{directory}/ubridge.ini"

    def write(text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    write(f"{slow}[first]\n{first.lines}")
    process = spawn([binary], ns, directory, files={
        "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n",
        "/etc/nsswitch.conf": "hosts: files dns\n"})
    try:
        wait_until(lambda: first.carry(b"while it is asked"), 5 * patience, "the first bridge")
        write(f"{slow}[second]\n{second.lines}")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: second.carry(b"after a reload"), 5 * patience, "the second bridge")
        assert not first.carry(b"it is gone")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(5 * patience) == 0
    assert_no_report(directory)


def test_names_of_hosts(binary, ns, directory, peers):
    """Found out beside everything else, and again when a reload wants them again."""
    near, far = peers.udp(), peers.udp()
    near.to, far.to = peers.port(), peers.port()
    path = f"{directory}/ubridge.ini"
    other = Tunnels(peers)

    def write(*sections):
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(sections))
    named = (f"[named]\nsource_udp = {near.to}:near.test:{near.port}\n"
             f"destination_udp = {far.to}:far.test:{far.port}\n")
    write(named)
    process = spawn([binary], ns, directory, files={
        "/etc/hosts": "127.0.0.1 near.test far.test\n", "/etc/nsswitch.conf": "hosts: files\n"})

    def carries():
        near.send(b"to a name")
        return b"to a name" in far.receive_all(0.1)
    try:
        wait_until(carries, 10, "the bridge")
        write(f"[other]\n{other.lines}")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: other.carry(b"instead"), 10, "the other bridge")
        assert not carries()
        write(named)
        process.send_signal(signal.SIGHUP)
        wait_until(carries, 10, "the bridge to be back")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert_no_report(directory)


def test_nothing_of_a_skipped_section_stays_open(play, peers):
    """Its port is free for a later one."""
    tunnels = Tunnels(peers)
    bad = tunnels.lines.replace("destination_udp", "destination_linux_raw")
    _, said = play(f"[bad]\n{bad}[next]\n{tunnels.lines}", tunnels)
    assert "bridge bad: unable to open RAW device: " in said


@pytest.mark.parametrize("lines, message", [
    ("packet_filter_1 = 'odd bpf \"arp'\n", "a quote is where none may be, or is missing"),
    ("packet_filter_1 = lonely\n", "a filter must have a name and a type"),
    ("packet_filter_1 = loss packet_loss 101\n", "'101' is no percentage between 0 and 100"),
    ("packet_filter_1 = f delay 1\npacket_filter_2 = f delay 2\n",
     "there is already a filter 'f'"),
    ("pcap_file = no/such/place.pcap\n", "unable to start packet capture: "),
    ("pcap_file = fine.pcap\npcap_protocol = NONE\n", "unknown link type"),
])
def test_a_bridge_works_without(play, peers, lines, message):
    tunnels = Tunnels(peers)
    said = "".join(play(f"[bad]\n{tunnels.lines}{lines}", tunnels))
    assert message in said


def test_a_libpcap_filter_that_can_not_be(play, ns):
    ns.run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
    for name in ("va", "vb"):
        ns.run("ip", "link", "set", name, "up")
    _, said = play(f"[bad]\nsource_ethernet = va\npcap_filter = not a filter\n{UDP}")
    assert "unable to apply filter to source NIO: " in said


def test_frames_in_the_log(play, peers):
    """With -d 2 each frame is in the log, 16 bytes to a line."""
    tunnels = Tunnels(peers)
    frame = bytes(range(0x30, 0x43)) + b"\xff"
    out = "".join(play(f"[b]\n{tunnels.lines}", tunnels, ["-d", "2"], frame))
    assert re.search(r"^Received 20 bytes on .*'b'", out, re.M)
    assert f"0000: {frame[:16].hex(' ')} 0123456789......\n" in out
    assert f"0010: {frame[16:].hex(' '):48}.AB.\n" in out
