#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many links for a long time, while everything about them changes.

    UBRIDGE=build/ubridge /usr/bin/python3 tests/soak/soak.py [--seconds 1200] [--seed 1]

One program carries 200 bridges of all kinds. A client changes them at random: filters,
captures, stop and start, delete and make again; namespaces with a TAP in them are killed and
made again, as containers are. Another asks for statistics. All the time a probe frame goes
through every bridge that is not being changed, there and back, and bursts load some of them.

It fails when a probe takes longer than a second or a command has an answer that makes no
sense, and when the process has grown: its memory, descriptors, threads, the interfaces and
the files, compared in the same quiet state after a warm-up and at the end. The summary gives
the slowest probe, and how many took longer than 100 ms.
"""
import argparse
import contextlib
import os
import random
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../functional"))
# pylint: disable=wrong-import-position
from lab import frames  # noqa: E402
from lab.netns import Namespace  # noqa: E402
from lab.peers import RawPeer, UdpPeer, UnixPeer  # noqa: E402
from lab.program import Ubridge, free_port  # noqa: E402
from lab.wait import wait_until  # noqa: E402

LATE, TOO_LATE = 0.1, 1.0
KINDS = ("udp-udp", "udp-unix", "udp-tap", "udp-raw", "unix-unix", "raw-tap", "udp-container")
FILTERS = ("frequency_drop 3", "frequency_drop -1", "packet_loss 30", "packet_loss 100",
           "delay 5", "delay 20 20", "corrupt 50", 'bpf "ether proto 0x88b5"', 'bpf ""')
RSS_GROWTH = 8 << 20


class Cable:
    """A bridge with its far ends: (socket, how to send) on each side."""

    def __init__(self, number, kind, lab):
        self.name, self.kind, self.lab = f"s{number}", kind, lab
        self.number = number
        self.peers = []
        self.add = []               # the commands that make the bridge's NIOs
        self.holder = None          # the process whose namespace a TAP is in
        self.busy = threading.Lock()
        self.changes = 0            # grows with each change; a probe over one does not count
        self.dirty = False          # has filters, or does not run
        self.capturing = False
        for side, word in enumerate(kind.split("-")):
            getattr(self, "_" + word)(side)

    def _far_end(self, peer, send):
        peer.sock.setblocking(False)
        self.peers.append((peer, send))

    def _udp(self, _):
        peer = UdpPeer(self.lab.ns)
        peer.to = free_port(self.lab.ns, socket.SOCK_DGRAM)
        self.add.append((f"bridge add_nio_udp {self.name} {peer.to} 127.0.0.1 {peer.port}", None))
        self._far_end(peer, peer.send)

    def _unix(self, side):
        path = f"{self.lab.directory}/{self.number}.{side}"
        peer = UnixPeer(path + "p")
        self.add.append((f"bridge add_nio_unix {self.name} {path} {path}p", None))
        self._far_end(peer, lambda packet: peer.send(packet, path))

    def _raw(self, side):
        inside, outside = f"r{self.number}i{side}", f"r{self.number}o{side}"
        self.lab.ns.veth(inside, outside)
        peer = RawPeer(self.lab.ns, outside)
        self.add.append((f"bridge add_nio_linux_raw {self.name} {inside}", None))
        self._far_end(peer, peer.send)

    def _tap(self, _):
        name = f"t{self.number}"
        # made by others, so that the far end keeps its interface when the bridge is made again
        self.lab.ns.ip(f"tuntap add {name} mode tap")
        self.lab.ns.quiet(name)
        self.lab.ns.ip(f"link set {name} up")
        peer = RawPeer(self.lab.ns, name)
        self.add.append((f"bridge add_nio_tap {self.name} {name}", None))
        self._far_end(peer, peer.send)

    def _container(self, _):
        self.add.append((f"bridge add_nio_tap {self.name} c{self.number}", self._move))
        self.peers.append(None)

    def _move(self, client):
        """The TAP goes into a namespace of its own, as into a container."""
        if self.holder:
            self.holder.kill()
            self.holder.wait()
        self.holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "-n",
                                        "sleep", "100000"])
        pid = self.holder.pid
        wait_until(lambda: os.readlink(f"/proc/{pid}/ns/net") !=
                   os.readlink("/proc/self/ns/net"), what="the new namespace")
        client.ok(f"docker move_to_ns c{self.number} {pid} eth0")
        namespace = _ProcessNamespace(pid)
        with namespace:
            subprocess.run("echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6 2>/dev/null; "
                           "ip link set eth0 up", shell=True, check=True)
        peer = RawPeer(namespace, "eth0")
        namespace.close()
        peer.sock.setblocking(False)
        if self.peers[1]:
            self.peers[1][0].close()
        self.peers[1] = (peer, peer.send)

    def make(self, client):
        client.ok(f"bridge create {self.name}")
        for command, then in self.add:
            client.ok(command)
            if then:
                then(client)
        client.ok(f"bridge start {self.name}")
        self.capturing = False

    def close(self):
        for peer in self.peers:
            if peer:
                peer[0].close()
        if self.holder:
            self.holder.kill()
            self.holder.wait()


class _ProcessNamespace(Namespace):
    """The network namespace of a process."""

    def __init__(self, pid):    # pylint: disable=super-init-not-called
        self._entered_from = []
        self.fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Probes(threading.Thread):
    """Probe frames through all cables, over and over, and bursts through some."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.lab = lab
        self.random = random.Random(lab.seed)
        self.going = True
        self.error = None
        self.rounds = self.passed = self.late = self.skipped = 0
        self.worst = (0.0, "")

    def run(self):
        try:
            while self.going:
                self.round(self.rounds % 2)
                self.rounds += 1
        except Exception as error:     # pylint: disable=broad-except
            self.error = error

    def round(self, side):
        """From @side of each cable to its other side."""
        waiting, selector = {}, selectors.DefaultSelector()
        for cable in self.lab.cables:
            if cable.dirty or not cable.busy.acquire(blocking=False):
                self.skipped += 1
                continue
            try:
                if not cable.dirty and cable.peers[0] and cable.peers[1]:
                    packet = frames.frame(b"probe %d" % self.rounds)
                    receiver = cable.peers[1 - side][0]
                    selector.register(receiver.sock, selectors.EVENT_READ, cable)
                    waiting[cable] = (packet, receiver, cable.changes, time.monotonic())
                    self.send_probe(cable, side, packet, receiver)
            finally:
                cable.busy.release()
        self.collect(waiting, selector)
        selector.close()
        for cable in self.random.sample(self.lab.cables, min(10, len(self.lab.cables))):
            self.burst(cable, side)
        time.sleep(0.01)

    @staticmethod
    def send(cable, side, packet):
        """False: there is no room, or what it is for is being made again."""
        try:
            cable.peers[side][1](packet)
        except OSError:
            return False
        return True

    def send_probe(self, cable, side, packet, receiver):
        """A burst before it may still fill the unix sockets on the way: read what comes.

        No wait_until() here: its pauses would count as time that other probes take.
        """
        end = time.monotonic() + TOO_LATE
        while not self.send(cable, side, packet):
            with contextlib.suppress(OSError):
                while True:
                    receiver.read()
            assert time.monotonic() < end, f"no room for a probe through {cable.name}"
            time.sleep(0.0001)

    def burst(self, cable, side):
        if cable.peers[side] and cable.busy.acquire(blocking=False):
            try:
                for _ in range(16):
                    self.send(cable, side, frames.frame(b"load", 1000))
            finally:
                cable.busy.release()

    def collect(self, waiting, selector):
        while waiting:
            for key, _ in selector.select(0.05):
                cable = key.data
                if cable in waiting and self.arrived(cable, waiting[cable]):
                    del waiting[cable]
                    selector.unregister(key.fileobj)
            now = time.monotonic()
            for cable, (_, receiver, changes, sent) in list(waiting.items()):
                if cable.changes != changes or cable.dirty:
                    self.skipped += 1
                elif now - sent > TOO_LATE:
                    raise AssertionError(f"no probe through {cable.name} ({cable.kind}) in "
                                         f"{now - sent:.3f} s")
                else:
                    continue
                del waiting[cable]
                selector.unregister(receiver.sock)

    def arrived(self, cable, entry):
        packet, receiver, changes, sent = entry
        try:
            while True:
                if receiver.read() == packet:
                    break
        except OSError:
            return False
        took = time.monotonic() - sent
        if cable.changes == changes:
            self.passed += 1
            self.late += took > LATE
            self.worst = max(self.worst, (took, f"{cable.name} ({cable.kind})"))
        return True


class Lab:
    """The program, its cables, and what happens to them."""

    def __init__(self, binary, seed, bridges):
        self.seed = seed
        self.random = random.Random(seed)
        self.directory = tempfile.mkdtemp(prefix="ubs", dir="/tmp")
        self.ns = Namespace()
        os.mkdir(f"{self.directory}/u")
        self.program = Ubridge(binary, self.ns, f"{self.directory}/u")
        self.cables = []
        self.changes = 0
        for number in range(bridges):
            self.cables.append(Cable(number, KINDS[number % len(KINDS)], self))
            self.cables[-1].make(self.program.main)

    # ---- changes

    def change(self, client):
        cable = self.random.choice(self.cables)
        what = self.random.choice((self.filters, self.filters, self.capture, self.restart,
                                   self.again, self.look, self.look))
        with cable.busy:
            cable.changes += 1
            what(client, cable)
            cable.changes += 1
        self.changes += 1

    def filters(self, client, cable):
        if cable.dirty:
            self.clean(client, cable)
            return
        cable.dirty = True
        for number in range(self.random.randint(1, 3)):
            client.ok(f"bridge add_packet_filter {cable.name} f{number} "
                      f"{self.random.choice(FILTERS)}")

    @staticmethod
    def clean(client, cable):
        client.ok(f"bridge reset_packet_filters {cable.name}")
        cable.dirty = False

    def capture(self, client, cable):
        if cable.capturing:
            client.ok(f"bridge stop_capture {cable.name}")
        else:
            client.ok(f"bridge start_capture {cable.name} {self.directory}/{cable.name}.pcap")
        cable.capturing = not cable.capturing

    @staticmethod
    def restart(client, cable):
        client.ok(f"bridge stop {cable.name}")
        client.ok(f"bridge start {cable.name}")

    @staticmethod
    def again(client, cable):
        client.ok(f"bridge delete {cable.name}")
        cable.make(client)
        cable.dirty = False

    @staticmethod
    def look(client, cable):
        for command in ("show", "get_stats", "get_counters"):
            client.ok(f"bridge {command} {cable.name}")
        client.ok("bridge list")

    # ---- measuring

    def quiet(self, client):
        """All bridges run, without filters and captures; their captures are there and empty."""
        for cable in self.cables:
            with cable.busy:
                cable.changes += 1
                self.clean(client, cable)
                if not cable.capturing:
                    self.capture(client, cable)
                self.capture(client, cable)
                cable.changes += 1

    def sample(self, client):
        self.quiet(client)
        with open(f"/proc/{self.program.pid}/statm", encoding="ascii") as file:
            memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return {"memory": memory, "descriptors": self.program.descriptors(),
                "threads": self.program.threads(), "interfaces": len(self.ns.links()),
                "files": sum(len(files) for _, _, files in os.walk(self.directory))}

    def close(self):
        try:
            self.program.close()
        finally:
            for cable in self.cables:
                cable.close()
            self.ns.close()
            shutil.rmtree(self.directory, ignore_errors=True)


def compare(first, last, watch_memory):
    for what in ("descriptors", "threads", "interfaces", "files"):
        assert last[what] <= first[what], f"{what}: {first[what]} became {last[what]}"
    growth = last["memory"] - first["memory"]
    assert not watch_memory or growth < RSS_GROWTH, f"{growth >> 10} KiB more memory"


def soak(binary, seconds, seed=1, bridges=200, watch_memory=True, say=print):
    """Run it; returns the summary, or raises AssertionError."""
    with contextlib.closing(Lab(binary, seed, bridges)) as lab:
        client = lab.program.client()
        probes = Probes(lab)
        probes.start()
        begin = time.monotonic()
        warm, end = begin + min(seconds / 3, 60), begin + seconds
        first = None
        while time.monotonic() < end and not probes.error:
            if not first and time.monotonic() >= warm:
                first = lab.sample(client)
                say(f"after {time.monotonic() - begin:.0f} s: {first}")
            lab.change(client)
        last = lab.sample(client)
        probes.going = False
        probes.join(30)
        summary = (f"{lab.changes} changes, {probes.passed} probes, slowest "
                   f"{probes.worst[0] * 1000:.1f} ms on {probes.worst[1]}, {probes.late} above "
                   f"{LATE * 1000:.0f} ms, {probes.skipped} not sent; at the end {last}")
        if probes.error:
            raise AssertionError(f"{probes.error}; {summary}")
        compare(first, last, watch_memory)
        assert probes.passed > 10 * bridges, summary
        return summary


def main():
    parser = argparse.ArgumentParser(description="Many links for a long time.")
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--bridges", type=int, default=200)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.bridges} bridges, {arguments.seconds:.0f} s",
          flush=True)
    try:
        print(soak(os.path.abspath(os.environ["UBRIDGE"]), arguments.seconds, arguments.seed,
                   arguments.bridges))
    except AssertionError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
