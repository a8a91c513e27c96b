# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe frames through all cables, over and over, and what shows whose fault a late one is.

How long a probe took is the time from when the kernel had taken it from us to when the kernel
had it for us at the other end: how busy this program is does not matter. What remains besides
the bridge is that the machine does not run it. Two things show that: the kernel counts for how
long a thread was ready and was not run; and on each processor a control, a process of the same
priority, wakes up every few milliseconds, sends itself a datagram and receives it. A probe may
take LIMIT, and as long as a thread of the program or a control had to wait at the same time.

Interfaces can be made and moved only by who has the kernel's lock for that, for which all
namespaces stand in line: that is no excuse for a probe, but for how long it takes until a
container's link is up. So one more control does nothing but take that lock.
"""
import collections
import contextlib
import os
import random
import selectors
import struct
import subprocess
import sys
import threading
import time

from lab import frames

LIMIT = 0.1             # seconds a probe may take
LOST = 1.0              # after this, and what the machine took, nobody waits for it any more
PERIOD = 0.05           # a round begins that long after the one before, or later
LOAD = frames.frame(b"load", 1000)
CONTROL = struct.Struct("=QQ")  # from when to when a control took, of the wall clock
CONTROL_PROGRAM = """
import os, socket, struct, sys, time
processor = int(sys.argv[1])
if processor >= 0:
    os.sched_setaffinity(0, {processor})
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.connect(sock.getsockname())
else:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    promiscuous = struct.pack("=iHH8x", socket.if_nametoindex("lo"), 1, 0)
while True:
    begin = time.clock_gettime_ns(time.CLOCK_REALTIME) + 3_000_000
    time.sleep(0.003)
    if processor >= 0:
        sock.send(b"")
        sock.recv(1)
    else:
        sock.setsockopt(263, 1, promiscuous)
        sock.setsockopt(263, 2, promiscuous)
    os.write(1, struct.pack("=QQ", begin, time.clock_gettime_ns(time.CLOCK_REALTIME)))
"""


def wall():
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


class Control:
    """A process that tells how long it had to wait, for the last seconds.

    It is pinned to a processor, or is the one for the lock of interfaces (processor -1).
    """
    NOTABLE = 5_000_000

    def __init__(self, ns, processor):
        self.lock = threading.Lock()
        self.times = Times()
        self.slow = collections.deque()         # (begin, end)
        self.until = 0
        with ns:
            self.process = subprocess.Popen(
                [sys.executable, "-S", "-c", CONTROL_PROGRAM, str(processor)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0)
        os.set_blocking(self.process.stdout.fileno(), False)

    def read(self):
        """To be called now and then: what it has to say."""
        with self.lock:
            while data := self.process.stdout.read(CONTROL.size * 256):
                for begin, end in CONTROL.iter_unpack(data):
                    self.until = end
                    self.times.add(max(0, end - begin) / 1e9)
                    if end - begin > self.NOTABLE:
                        self.slow.append((begin, end))
            while self.slow and self.slow[0][1] < wall() - 20_000_000_000:
                self.slow.popleft()

    def waits(self, begin, end):
        """The seconds of each of its longer waits between two times."""
        deadline = time.monotonic() + 10
        self.read()
        while self.until < end:
            assert time.monotonic() < deadline, "a control has ended"
            time.sleep(0.001)
            self.read()
        with self.lock:
            return [(until - since) / 1e9 for since, until in self.slow
                    if since <= end and until >= begin]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Times:
    """How often something took how long."""
    STEPS = (0.01, 0.02, 0.05, 0.1)

    def __init__(self):
        self.count, self.worst, self.where = 0, 0.0, ""
        self.above = [0] * len(self.STEPS)

    def add(self, seconds, where=""):
        self.count += 1
        if seconds > self.worst:
            self.worst, self.where = seconds, where
        if seconds > self.STEPS[0]:
            self.above = [n + (seconds > step) for n, step in zip(self.above, self.STEPS)]

    def __str__(self):
        steps = ", ".join(f"{n} above {step * 1000:.0f} ms"
                          for n, step in zip(self.above, self.STEPS))
        return f"{self.count}, slowest {self.worst * 1000:.1f} ms {self.where} ({steps})"


class Probe:
    """One on its way."""

    def __init__(self, cable, end, expected, sent):
        self.cable, self.end, self.expected = cable, end, expected
        self.changes = cable.changes
        self.sent, self.born = sent, time.monotonic()

    @property
    def counts(self):
        return self.cable.changes == self.changes and not self.cable.silent


class Probes(threading.Thread):
    """Probe frames through all cables, and bursts through some."""

    def __init__(self, cables, program, seed, limit=LIMIT):
        super().__init__(daemon=True)
        self.cables, self.program, self.limit = cables, program, limit
        self.delays = {}            # run_delays() before this round
        ns = program.ns
        self.controls = [Control(ns, number) for number in sorted(os.sched_getaffinity(0))]
        self.lock_control = Control(ns, -1)
        self.random = random.Random(seed)
        self.going = True
        self.error = None
        self.failures = []
        self.rounds = self.skipped = self.excused = 0
        self.times = Times()

    def run(self):
        try:
            while self.going:
                end = time.monotonic() + PERIOD
                self.round(self.rounds % 2)
                for control in (*self.controls, self.lock_control):
                    control.read()
                self.rounds += 1
                time.sleep(max(0, end - time.monotonic()))
        except Exception as error:     # pylint: disable=broad-except
            self.error = error

    def close(self):
        self.going = False
        self.join(30)
        for control in (*self.controls, self.lock_control):
            control.close()
        assert not self.is_alive(), "the probes hang"

    def round(self, side):
        """From @side of each cable to its other side."""
        waiting, selector = {}, selectors.DefaultSelector()
        self.delays = self.run_delays()
        for cable in self.cables:
            probe = self.send(cable, side)
            if probe:
                waiting[cable] = probe
                selector.register(probe.end.sock, selectors.EVENT_READ, cable)
            else:
                self.skipped += 1
                cable.skipped = True
        self.judge(list(self.collect(waiting, selector)))
        selector.close()
        for cable in self.random.sample(self.cables, min(10, len(self.cables))):
            self.burst(cable, side)

    def send(self, cable, side):
        """The probe, or None: the cable is being changed."""
        if cable.silent or not cable.busy.acquire(blocking=False):
            return None
        try:
            if cable.silent:
                return None
            if cable.skipped:       # nobody has read for a while
                cable.outlet(0).drain()
                cable.outlet(1).drain()
                cable.skipped = False
            # what is in front may fill a unix socket, but not for long
            first = None
            while not first or wall() - first < LOST * 1e9:
                sent = cable.probe(side, self.rounds)
                first = first or wall()
                if sent:
                    return Probe(cable, *sent, first)
                cable.outlet(side).drain()
            raise AssertionError(f"no room for a probe through {cable}")
        finally:
            cable.busy.release()

    def collect(self, waiting, selector):
        """Yields (probe, seconds it took) for all that count."""
        while waiting:
            ready = [key.data for key, _ in selector.select(0.02)]
            now = time.monotonic()
            for cable in ready:
                probe = waiting.get(cable)
                when = probe and self.arrived(probe)
                if when:
                    if probe.counts:
                        # the wall clock may have been set: it was not longer than until now
                        yield probe, min(max(0, when - probe.sent) / 1e9,
                                         time.monotonic() - probe.born)
                    del waiting[cable]
                    selector.unregister(probe.end.sock)
            for cable, probe in list(waiting.items()):
                if not probe.counts:
                    self.skipped += 1
                elif self.is_lost(probe, now - probe.born):
                    yield probe, now - probe.born
                else:
                    continue
                del waiting[cable]
                selector.unregister(probe.end.sock)

    def is_lost(self, probe, age):
        return age > LOST and age > LOST + self.held_up(probe.sent, age)

    @staticmethod
    def arrived(probe):
        """When it did, or None."""
        while True:
            got = probe.end.receive()
            if not got:
                return None
            if got[0].startswith(probe.expected):
                return got[1]

    def judge(self, results):
        for probe, took in results:
            probe.cable.probes += 1
            self.times.add(took, f"on {probe.cable}")
            if took > self.limit:
                held_up = self.held_up(probe.sent, took)
                if self.must_be(took, self.limit, held_up, f"through {probe.cable}"):
                    self.excused += 1

    def run_delays(self):
        """For how many seconds each thread of the program was ready and was not run."""
        delays = {}
        for thread in os.listdir(f"/proc/{self.program.pid}/task"):
            with contextlib.suppress(OSError), \
                    open(f"/proc/{self.program.pid}/task/{thread}/schedstat",
                         encoding="ascii") as file:
                delays[thread] = int(file.read().split()[1]) / 1e9
        return delays

    def controls_waited(self, since, seconds):
        """For how long at most a control had to wait in the seconds after @since."""
        end = since + int(seconds * 1e9)
        return max((wait for control in self.controls for wait in control.waits(since, end)),
                   default=0)

    def held_up(self, since, seconds):
        """The same, or for how long a thread of the program had to wait in this round."""
        waited = [delay - self.delays.get(thread, delay)
                  for thread, delay in self.run_delays().items()]
        return max(self.controls_waited(since, seconds), *waited)

    def came_up(self, took, limit, cable):
        """The link to a container came up just now; that may take @limit."""
        if took <= limit:
            return
        since = wall() - int(took * 1e9)
        # many steps, and each has to wait; but for the program's own steps others wait too
        locked = min(limit, sum(self.lock_control.waits(since, since + int(took * 1e9))))
        self.must_be(took, limit, self.controls_waited(since, took) + locked,
                     f"to come up, {cable}")

    def must_be(self, took, limit, held_up, what):
        """Something may take @limit, and as long as the machine held it up."""
        if took - held_up <= limit:
            return True
        self.failures.append(f"{took * 1000:.1f} ms {what} until {time.strftime('%T')}, while "
                             f"others waited for {held_up * 1000:.1f} ms")
        return False

    @staticmethod
    def burst(cable, side):
        """Load, for which nobody waits, also on cables that are just being changed."""
        end = cable.ends[min(side, len(cable.ends) - 1)]
        if end:
            cable.outlet(side).drain()
            for _ in range(16):
                end.try_send(LOAD)

    def __str__(self):
        controls = "".join(f"\ncontrol: {control.times}" for control in self.controls)
        return (f"probes: {self.times}, {self.excused} excused, {self.skipped} not sent"
                f"{controls}\nlock of interfaces: {self.lock_control.times}")
