#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many links for a long time, while everything about them changes.

    UBRIDGE=build/ubridge /usr/bin/python3 tests/soak/soak.py [--seconds 1200] [--seed 1]

One program carries 200 bridges of all kinds. A client changes them at random: filters,
captures, stop and start, delete and make again. Two more restart, stop and kill the containers
that some of the bridges lead to, and one asks for statistics. All the time a probe frame goes
through every bridge whose frames are not being dropped on purpose, there and back, and bursts
load some of them.

It fails when a probe takes longer than 100 ms (see probes.py for how that is measured), when the
link to a container is not up a second after the container was started, when a command has an
answer that makes no sense, and when the process has grown: its memory, descriptors, threads,
the interfaces and the files, compared in the same quiet state after a warm-up and at the end.
"""
import argparse
import contextlib
import os
import random
import re
import shutil
import socket
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../functional")]
# pylint: disable=wrong-import-position
from lab.attachments import attachments  # noqa: E402
from lab.engine import Engine  # noqa: E402
from lab.netns import Namespace  # noqa: E402
from lab.program import Ubridge  # noqa: E402
from lab.wait import wait_until  # noqa: E402

from cables import IOL_SOCKETS, Cable, IolCable, NamespaceCable  # noqa: E402
from containers import BOXES, UP_WITHIN, Life  # noqa: E402
from probes import LIMIT, Probes, Times  # noqa: E402

KINDS = {kind: Cable for kind in (
    "udp-udp", "udp-unix", "udp-tap", "udp-raw", "unix-unix", "raw-tap", "ethernet-udp6",
    "tap-ethernet", "raw-raw")}
KINDS.update({"iol": IolCable, "namespace": NamespaceCable})
# With these everything still passes, in time: at most three at once.
PASSING = ("frequency_drop 0", "packet_loss 0", "delay 5", "delay 3 3", "corrupt 0",
           'bpf "tcp port 4242"', 'bpf ""')
OTHERS = ("frequency_drop 3", "frequency_drop -1", "packet_loss 30", "packet_loss 100",
          "delay 20 20", "corrupt 50", 'bpf "ether proto 0x88b5"')
RSS_GROWTH = 4 << 20
PAUSE = 0.005           # between two changes: neither the soak nor the machine is to be busy


class Lab:
    """The program, its cables, and what happens to them."""

    def __init__(self, binary, engine, seed, patience):
        self.engine, self.patience = engine, patience
        self.random = random.Random(seed)
        self.directory = tempfile.mkdtemp(prefix="ubs", dir="/tmp")
        self.ns = Namespace()
        # a burst is to fit into the far end's queue: else it is we who hold it up
        self.ns.run("sysctl", "-qw", "net.unix.max_dgram_qlen=512")
        # ids that nobody else on this machine has
        first = 10000 + os.getpid() % 50 * 1000
        self.iol_ids = range(first, first + 1000)
        os.mkdir(f"{self.directory}/u")
        self.program = Ubridge(binary, self.ns, f"{self.directory}/u", env=engine.environment)
        self.cables = []
        self.changes = 0
        self.ups = Times()
        self.probes = None
        self.closing = contextlib.ExitStack()

    def fill(self, bridges, boxes):
        """Make the bridges; @boxes of them lead to containers."""
        for number in range(bridges):
            table = BOXES if number < boxes else KINDS
            kind = list(table)[number % len(table)]
            self.cables.append(table[kind](number, kind, self))
            self.cables[-1].make(self.program.main)

    def came_up(self, cable, seconds):
        """The link to a container, so long after this was started."""
        self.ups.add(seconds, str(cable))
        if self.probes:
            self.probes.came_up(seconds, UP_WITHIN * self.patience, cable)

    # ---- changes

    def change(self, client):
        cable = self.random.choice(self.cables)
        what = self.random.choice((self.filters, self.filters, cable.capture, self.restart,
                                   self.again, cable.look, cable.look))
        if what in (self.filters, self.restart, self.again):
            if not cable.owner.acquire(blocking=False):
                return
            try:
                what(client, cable)
            finally:
                cable.owner.release()
        else:
            what(client)
        self.changes += 1

    def filters(self, client, cable):
        """Of those that let everything pass nothing is noticed, neither when they come nor go."""
        if cable.silent:
            with cable.disturbed():
                cable.clean(client)
        elif cable.filtered:
            cable.clean(client)
        else:
            number = self.random.randint(1, 3)
            if self.random.random() < 0.5:
                cable.add_filters(client, self.random.choices(PASSING, k=number))
            else:
                with cable.disturbed():
                    cable.silent = True
                    cable.add_filters(client, self.random.choices(OTHERS, k=number))

    @staticmethod
    def restart(client, cable):
        with cable.disturbed():
            cable.restart(client)

    @staticmethod
    def again(client, cable):
        with cable.disturbed():
            cable.unmake(client)
            cable.make(client)

    # ---- measuring

    @contextlib.contextmanager
    def quiet(self, client):
        """Inside all bridges run, without filters and captures; captures are there and empty."""
        with contextlib.ExitStack() as stack:
            for cable in self.cables:
                stack.enter_context(cable.owner)
                with cable.disturbed():
                    cable.clean(client)
                    if not cable.capturing:
                        cable.capture(client)
                    cable.capture(client)
            states = [line["state"] for line in attachments(client)]
            assert states == ["attached"] * len(states), states
            yield

    def numbers(self):
        files = sum(len(files) for _, _, files in os.walk(self.directory))
        files += len(self.iol_files())
        return {"descriptors": self.program.descriptors(), "threads": self.program.threads(),
                "interfaces": len(self.ns.links()) + len(host_leftovers()), "files": files}

    def iol_files(self):
        return [name for name in os.listdir(IOL_SOCKETS) if int(name.split(".")[0]) in self.iol_ids]

    def sample(self, client, most=None):
        """What there is; what is on its way out may take two seconds, or five until there is no
        more than @most."""
        with self.quiet(client):
            found = self.numbers()
            end = time.monotonic() + (5 if most else 2)
            while time.monotonic() < end and not (most and compare(most, found) == []):
                found = {what: min(number, found[what])
                         for what, number in self.numbers().items()}
                time.sleep(0.05)
            with open(f"/proc/{self.program.pid}/statm", encoding="ascii") as file:
                found["memory"] = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return found

    def close(self):
        # in reverse order, and all of it whatever fails
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            stack.callback(self.ns.close)
            for cable in self.cables:
                stack.callback(cable.close)
            stack.callback(self.nothing_left)
            stack.callback(self.program.close)
            stack.callback(self.closing.close)

    def nothing_left(self):
        """Of what the program made, when it has ended."""
        left = [name for name in self.ns.links() if re.match(r"ub|[cg]\d", name)]
        left += host_leftovers()
        instances = {str(cable.instance) for cable in self.cables if isinstance(cable, IolCable)}
        left += set(self.iol_files()) - instances
        assert not left, f"left behind: {sorted(left)}"


def host_leftovers():
    """Interfaces of containers that have come to the host's own namespace."""
    return [name for _, name in socket.if_nameindex() if name.startswith("sk")]


def compare(first, last):
    """What has grown, as texts."""
    return [f"{what}: {first[what]} became {last[what]}"
            for what in ("descriptors", "threads", "interfaces", "files")
            if last[what] > first[what]]


class Watcher(threading.Thread):
    """A client that only asks, whatever happens to what it asks about."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.lab = lab
        self.client = lab.program.client()
        self.random = random.Random()
        self.ended = threading.Event()
        self.error = None

    def run(self):
        commands = ("bridge show", "bridge get_stats", "bridge get_counters")
        try:
            while not self.ended.wait(4 * PAUSE):
                cable = self.random.choice(self.lab.cables)
                reply = self.client.cmd(f"{self.random.choice(commands)} {cable.name}")
                assert reply.code in (100, 214), reply
                attachments(self.client)
        except Exception as error:     # pylint: disable=broad-except
            self.error = error

    def close(self):
        self.ended.set()
        self.join(30)


def soak(binary, seconds, seed=1, bridges=200, boxes=8, engine=None, patience=1, say=print,
         meanwhile=lambda lab: None):
    """Run it; returns the summary, or raises AssertionError. meanwhile() is called once."""
    with contextlib.ExitStack() as stack:
        engine = engine or stack.enter_context(contextlib.closing(Engine()))
        lab = stack.enter_context(contextlib.closing(Lab(binary, engine, seed, patience)))
        lab.fill(bridges, boxes)
        client = lab.program.client()
        probes = lab.probes = Probes(lab.cables, lab.program, seed, LIMIT * patience)
        lives = [Life(lab.cables[part:boxes:2], lab.program, seed + part)
                 for part in range(min(2, boxes))]
        threads = [probes, Watcher(lab), *lives]
        for thread in threads:
            thread.start()
            lab.closing.callback(thread.close)

        def going():
            return len(probes.failures) < 20 and not any(thread.error for thread in threads)
        begin = time.monotonic()
        warm, end = begin + min(seconds / 3, 60), begin + seconds
        next_sample = warm
        disturb = iter((meanwhile,))
        samples = []
        while time.monotonic() < end and going():
            if time.monotonic() >= next_sample:
                samples.append(lab.sample(client))
                next_sample += 120
                say(f"after {time.monotonic() - begin:.0f} s: {samples[-1]}")
                next(disturb, lambda lab: None)(lab)
            lab.change(client)
            time.sleep(PAUSE)
        if going():
            samples.append(lab.sample(client, samples[0]))
        lab.closing.close()
        summary = "\n".join((
            f"{lab.changes} changes, {sum(life.restarts for life in lives)} containers started",
            f"containers up: {lab.ups}", str(probes), f"at the end: {samples[-1:]}"))
        wrong = probes.failures[:20] + [repr(thread.error) for thread in threads if thread.error]
        wrong += [f"only {cable.probes} probes through {cable}"
                  for cable in lab.cables if cable.probes < 10 and not wrong]
        if not wrong:
            wrong = compare(samples[0], samples[-1])
            growth = samples[-1]["memory"] - samples[0]["memory"]
            # a sanitizer keeps memory back on purpose
            if patience == 1 and growth > RSS_GROWTH:
                wrong.append(f"{growth >> 10} KiB more memory")
        assert not wrong, "\n".join([*wrong, summary, lab.program.output()[-2000:]])
        return summary


def main():
    parser = argparse.ArgumentParser(description="Many links for a long time.")
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--bridges", type=int, default=200)
    parser.add_argument("--containers", type=int, default=8, help="so many of the bridges")
    parser.add_argument("--patience", type=int, default=1, help="for builds with sanitizers")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.bridges} bridges, {arguments.seconds:.0f} s",
          flush=True)
    try:
        print(soak(os.path.abspath(os.environ["UBRIDGE"]), arguments.seconds, arguments.seed,
                   arguments.bridges, arguments.containers, patience=arguments.patience,
                   say=lambda text: print(text, flush=True)))
    except AssertionError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
