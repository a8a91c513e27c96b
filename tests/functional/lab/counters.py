# SPDX-License-Identifier: GPL-3.0-or-later
"""What get_counters says, and a bridge that notices when it is disturbed."""
import re
import threading
import time

from . import frames
from .wait import wait_until

LINE = re.compile(r"((?:port \d+/\d+ )?)(?:(Source|Destination) NIO|Filter '(.*)'): (.*)")
VALUE = re.compile(r'(\w+)=("[^"]*"|\S+)(?: |$)')


def _value(text):
    if text.startswith('"'):
        return text[1:-1]
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else text


def counters(client, name, module="bridge"):
    """get_counters as {"source": {...}, "destination": {...}, "filter NAME": {...}}.

    For an IOL bridge each key begins with "port BAY/UNIT ".
    """
    result = {}
    for line in client.ok(f"{module} get_counters {name}"):
        match = LINE.fullmatch(line)
        assert match, line
        assert "".join(VALUE.findall(match[4])[0]) and not VALUE.sub("", match[4]), line
        key = match[1] + (match[2].lower() if match[2] else f"filter {match[3]}")
        result[key] = {name: _value(value) for name, value in VALUE.findall(match[4])}
    return result


class Witness(threading.Thread):
    """Numbered frames through a bridge, one every millisecond; none of them may be lost."""

    def __init__(self, left, right):
        super().__init__(daemon=True)
        self.left, self.right = left, right
        self.going = True
        self.sent = 0
        self.numbers = []
        right.sock.setblocking(False)
        self.start()

    def drain(self):
        try:
            while True:
                self.numbers.append(int.from_bytes(self.right.sock.recv(65536)[14:18], "big"))
        except BlockingIOError:
            pass

    def run(self):
        while self.going:
            self.left.send(frames.frame(self.sent.to_bytes(4, "big")))
            self.sent += 1
            time.sleep(0.001)
            self.drain()

    def check(self, deadline=10):
        """The end: all frames have arrived, in order, each once."""
        self.going = False
        self.join()
        end = time.monotonic() + deadline
        while len(self.numbers) < self.sent and time.monotonic() < end:
            self.drain()
            time.sleep(0.001)
        assert self.numbers == list(range(self.sent)), \
            f"{self.sent} frames sent beside the fault, {len(self.numbers)} arrived"


def recovers(send, receiver, within=1.0):
    """Frames that are sent now, one after the other, begin to arrive in time.

    None of them is on its way any more then: what follows finds the link empty. Returns the
    seconds that it took.
    """
    begin = time.monotonic()
    sent = []

    def arrives():
        packet = frames.frame(b"recovered %d" % len(sent))
        sent.append(packet)
        try:
            send(packet)
        except OSError:
            return None    # the far end is not there yet either
        try:
            while (got := receiver.receive(0.02)) not in sent:
                pass
        except AssertionError:
            return None
        return got
    got = wait_until(arrives, within, "the link to recover")
    took = time.monotonic() - begin
    while got != sent[-1]:
        got = receiver.receive(5)
    return took
