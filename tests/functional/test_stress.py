# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything changes while everything runs. STRESS_SECONDS sets for how long (default 60)."""
import os
import random
import threading
import time

import pytest

from lab import capture, frames
from lab.wait import wait_until

SECONDS = float(os.environ.get("STRESS_SECONDS", "60"))
BRIDGES = 8
CLIENTS = 4
SENT_AHEAD = 64

FILTERS = ["frequency_drop 3", "frequency_drop -1", "packet_loss 30", "packet_loss 100", "delay 1",
           "delay 3 3", "corrupt 50", 'bpf "ether proto 0x88b5"', 'bpf ""', "delay 0",
           'bpf "no expression"', "packet_loss 101", "nonsense"]

# For each kind of command, the final codes that make sense while others do the same.
ALLOWED = {
    "add_packet_filter": {100, 206}, "delete_packet_filter": {100, 206},
    "reset_packet_filters": {100}, "start_capture": {100, 209}, "stop_capture": {100, 209},
    "start": {100, 209}, "stop": {100, 210}, "show": {100}, "get_stats": {100},
    "reset_stats": {100}, "list": {100},
}


class Traffic(threading.Thread):
    """Both ends of all bridges: sends without a pause, takes away what arrives."""

    def __init__(self, pairs):
        super().__init__()
        self.pairs = pairs
        self.going = True
        self.received = [0] * len(pairs)
        for left, right in pairs:
            left.sock.setblocking(False)
            right.sock.setblocking(False)

    def drain(self, number, peer):
        try:
            while True:
                peer.sock.recv(65536)
                self.received[number] += 1
        except BlockingIOError:
            pass

    def run(self):
        packet = frames.frame(b"load", 200)
        while self.going:
            for number, pair in enumerate(self.pairs):
                for peer in pair:
                    for _ in range(SENT_AHEAD):
                        try:
                            peer.send(packet)
                        except OSError:
                            pass    # nobody takes it while the bridge is stopped
                for peer in pair:
                    self.drain(number, peer)
            time.sleep(0.001)


class Changes(threading.Thread):
    """A control client that does one random thing after the other."""

    def __init__(self, client, number, directory, until):
        super().__init__()
        self.client = client
        self.random = random.Random(number)
        self.directory = directory
        self.until = until
        self.commands = 0
        self.codes = {}
        self.error = None

    def line(self):
        rnd = self.random
        bridge = f"b{rnd.randrange(BRIDGES)}"
        command = rnd.choice([*ALLOWED, "add_packet_filter", "add_packet_filter", "start", "start"])
        if command == "list":
            return command, "bridge list"
        words = f"bridge {command} {bridge}"
        if command == "add_packet_filter":
            words += f" f{rnd.randrange(4)} {rnd.choice(FILTERS)}"
        elif command == "delete_packet_filter":
            words += f" f{rnd.randrange(4)}"
        elif command == "start_capture":
            words += f" {self.directory}/{bridge}.pcap"
        return command, words

    def run(self):
        try:
            while time.monotonic() < self.until:
                command, words = self.line()
                reply = self.client.cmd(words, 30)
                assert reply.code in ALLOWED[command], f"{words}: {reply}"
                self.codes.setdefault(command, set()).add(reply.code)
                self.commands += 1
        except (AssertionError, OSError) as error:
            self.error = error


@pytest.fixture
def bridges(ub, peers):
    """Running bridges b0, b1, … between UDP peers."""
    pairs = []
    for number in range(BRIDGES):
        left, right = peers.udp(), peers.udp()
        left.to, right.to = peers.port(), peers.port()
        ub.udp_bridge(f"b{number}", (left.to, left.port), (right.to, right.port))
        pairs.append((left, right))
    return pairs


def settle(ub, number):
    """Back to a running bridge without filters or capture, whatever happened to it."""
    for command in ("start", "stop_capture", "reset_packet_filters"):
        assert ub.cmd(f"bridge {command} b{number}").code in (100, 209)


def probe(left, right, payload):
    """A frame gets through, behind whatever is still on the way."""
    for sender, receiver in ((left, right), (right, left)):
        packet = frames.frame(payload)
        end = time.monotonic() + 20
        sender.send(packet)
        while receiver.receive() != packet:
            assert time.monotonic() < end, "the probe is lost"


def test_clients_change_everything_under_load(ub, bridges, directory, measure, patience):
    traffic = Traffic(bridges)
    until = time.monotonic() + SECONDS
    clients = [Changes(ub.client(), number, directory, until) for number in range(CLIENTS)]
    for thread in (traffic, *clients):
        thread.start()
    for client in clients:
        client.join(SECONDS + 60)
    traffic.going = False
    traffic.join(60)
    assert ub.alive(), ub.output()[-3000:]
    assert not [client.error for client in clients if client.error]

    # it was a test: each client did much, every command has succeeded, every bridge carried load
    assert min(client.commands for client in clients) > 10 * SECONDS / patience
    done = {command for client in clients
            for command, codes in client.codes.items() if 100 in codes}
    assert done == set(ALLOWED)
    assert min(traffic.received) > 0

    for number, (left, right) in enumerate(bridges):
        settle(ub, number)
        probe(left, right, b"probe %d" % number)
        if os.path.exists(f"{directory}/b{number}.pcap"):
            capture.tcpdump(f"{directory}/b{number}.pcap")
    measure("stress: one command, on the average",
            CLIENTS * SECONDS / sum(client.commands for client in clients))


# ---- order under a delay

COUNT = 500


def numbers(peer):
    return [int.from_bytes(peer.receive()[14:18], "big") for _ in range(COUNT)]


def send_numbers(peer):
    for number in range(COUNT):
        peer.send(frames.frame(number.to_bytes(4, "big")))


def test_a_constant_delay_keeps_the_order(ub, tunnel):
    left, right = tunnel
    ub.ok("bridge add_packet_filter t d delay 20")
    begin = time.monotonic()
    send_numbers(left)
    send_numbers(right)
    assert numbers(right) == list(range(COUNT))
    assert numbers(left) == list(range(COUNT))
    assert time.monotonic() - begin >= 0.020


def test_a_delay_that_changes_keeps_every_frame(ub, tunnel):
    """What waits for one delay goes on waiting for the other; without any it leaves in order."""
    left, right = tunnel
    ub.ok("bridge add_packet_filter t a delay 60000")
    ub.ok("bridge add_packet_filter t b delay 60000")
    send_numbers(left)
    wait_until(lambda: ub.stats("t")["source"][0] == COUNT, what="the frames")
    ub.ok("bridge delete_packet_filter t b")
    right.expect_nothing(0.1)
    ub.ok("bridge delete_packet_filter t a")
    assert numbers(right) == list(range(COUNT))


def test_jitter_stays_within_its_bounds(ub, tunnel, patience):
    """No frame comes before LATENCY-JITTER, nor long after LATENCY+JITTER."""
    left, right = tunnel
    packets = [frames.frame(number.to_bytes(4, "big")) for number in range(100)]
    ub.ok("bridge add_packet_filter t d delay 60 40")
    sent, delays = {}, {}
    for number, packet in enumerate(packets):
        sent[number] = time.monotonic()
        left.send(packet)
    while len(delays) < len(packets):
        number = int.from_bytes(right.receive()[14:18], "big")
        delays[number] = time.monotonic() - sent[number]
    assert min(delays.values()) >= 0.020
    assert max(delays.values()) < 0.100 + 0.500 * patience
    # the draws differ: not all frames have the same delay
    assert max(delays.values()) - min(delays.values()) > 0.040
