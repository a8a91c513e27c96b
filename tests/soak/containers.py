# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges to containers of a Docker Engine, and what happens to the containers.

A container's kernel answers ARP by itself, so the probe of such a bridge is a question and its
answer: nothing of the soak is in the container and keeps its namespace alive.
"""
import os
import random
import signal
import struct
import subprocess
import threading
import time

from lab.attachments import ADDRESS, FAR_ADDRESS, attachments, links_of
from lab.engine import IMAGE
from lab.wait import wait_until

from cables import Cable

UP_WITHIN = 1.0         # seconds from a container's start to its link
ARP = bytes.fromhex("0806" "0001" "0800" "06" "04")


def packed(address):
    return bytes(map(int, address.split(".")))


class Box(Cable):
    """A bridge between an end of the soak's and an interface in a container."""

    def prepare(self):
        self.engine = self.lab.engine
        self.container = f"soak-{os.getpid()}-{self.number}"
        self.interface = f"sk{self.number}"
        self.mac = bytes([2, 0x50, 0, 0, 0, self.number % 256])
        self.counter = 0
        self._udp(0)
        self.create()

    @property
    def mac_text(self):
        return self.mac.hex(":")

    def create(self):
        self.engine.docker("run", "-d", "--init", "--network", "none", "--stop-timeout", "0",
                           "--name", self.container, IMAGE)

    def pid(self):
        return int(self.engine.docker("inspect", "-f", "{{.State.Pid}}", self.container))

    # ---- probes

    def probe(self, side, number):
        # a number of its own: a container's answer must not count for another question
        self.counter += 1
        source = bytes([6, 0]) + struct.pack("!I", self.counter)
        packet = (b"\xff" * 6 + source + ARP + b"\0\1" + source + packed(FAR_ADDRESS) + bytes(6) +
                  packed(ADDRESS))
        if not self.ends[0].try_send(packet):
            return None
        return self.ends[0], (source + self.mac + ARP + b"\0\2" + self.mac + packed(ADDRESS) +
                              source + packed(FAR_ADDRESS))

    def outlet(self, side):
        return self.ends[0]

    def answers(self):
        """Whether a question is answered now, within 10 ms."""
        sent = self.probe(0, 0)
        end = time.monotonic() + 0.01
        while sent and time.monotonic() < end:
            got = self.ends[0].receive()
            if got and got[0].startswith(sent[1]):
                return True
            if not got:
                time.sleep(0.0005)
        return False

    def wait_answer(self, begin):
        """Wait until the link works; returns the seconds since @begin."""
        while not self.answers():
            took = time.monotonic() - begin
            assert took < 10 * UP_WITHIN, f"{self} does not come up"
        return time.monotonic() - begin

    def up(self, client):
        """Seconds until the link works; the container has just been started."""
        raise NotImplementedError

    def close(self):
        super().close()
        self.engine.docker("rm", "-f", self.container, check=False)


class DockerBox(Box):
    """By `add_nio_docker`; the kind ends with the backend."""

    def prepare(self):
        super().prepare()
        self.add.append(
            f"bridge add_nio_docker {self.name} {self.container} {self.interface} "
            f"mac={self.mac_text} ip={ADDRESS}/24 backend={self.kind.split('-')[1]}")

    def make(self, client):
        super().make(client)
        self.up(client)

    def up(self, client):
        took = self.wait_answer(time.monotonic())
        self.lab.came_up(self, took)


class ReplugBox(Box):
    """As GNS3 does it, with `docker move_to_ns`; the program puts it back after a restart."""

    def plug(self, client):
        if self.kind == "replug-tap":
            moved = f"g{self.number}"
            client.ok(f"bridge add_nio_tap {self.name} {moved}")
        else:
            moved = f"gc{self.number}"
            client.ok(f"docker create_veth gv{self.number} {moved}")
            client.ok(f"bridge add_nio_ethernet {self.name} gv{self.number}")
        client.ok(f"docker set_mac_addr {moved} {self.mac_text}")
        client.ok(f"docker move_to_ns {moved} {self.pid()} {self.interface}")
        super().plug(client)

    def make(self, client):
        super().make(client)
        wait_until(lambda: self.name in [line["bridge"] for line in attachments(client)
                                         if line["state"] == "attached"], what="adoption")
        self.configure(self.pid())
        self.wait_answer(time.monotonic())

    def unmake(self, client):
        super().unmake(client)
        if self.kind == "replug-veth":
            client.ok(f"docker delete_veth gv{self.number}")

    def configure(self, pid):
        """What the container's own start script does."""
        script = (f"ip link set {self.interface} up && "
                  f"ip addr add {ADDRESS}/24 dev {self.interface}")
        subprocess.run(["nsenter", "-n", "-t", str(pid), "sh", "-c", script], check=True,
                       timeout=20)

    def up(self, client):
        begin = time.monotonic()
        pid = self.pid()
        wait_until(lambda: self.interface in links_of(pid), 10 * UP_WITHIN, "the interface")
        self.lab.came_up(self, time.monotonic() - begin)
        self.configure(pid)
        self.wait_answer(time.monotonic())


BOXES = {"docker-tap": DockerBox, "docker-veth": DockerBox,
         "replug-tap": ReplugBox, "replug-veth": ReplugBox}


class Life(threading.Thread):
    """What happens to containers, one after the other."""

    def __init__(self, boxes, program, seed):
        super().__init__(daemon=True)
        self.boxes = boxes
        self.client = program.client()
        self.random = random.Random(seed)
        self.ended = threading.Event()
        self.error = None
        self.restarts = 0

    def run(self):
        try:
            while not self.ended.wait(self.random.uniform(0, 1.5)):
                box = self.random.choice(self.boxes)
                ways = [self.restart, self.stop, self.kill, self.die]
                if isinstance(box, DockerBox):
                    ways.append(self.anew)
                with box.owner, box.disturbed():
                    if box.filtered:
                        box.clean(self.client)
                    box.silent = True
                    self.random.choice(ways)(box)
                    box.up(self.client)
                    box.silent = False
                self.restarts += 1
        except Exception as error:     # pylint: disable=broad-except
            self.error = error

    def close(self):
        self.ended.set()
        self.join(60)

    @staticmethod
    def restart(box):
        box.engine.docker("restart", "-t", "0", box.container)

    def start_again(self, box):
        """Now, or when the program has had time to see that it does not run."""
        self.ended.wait(self.random.choice((0, 0, 0.5)))
        box.engine.docker("start", box.container)

    def stop(self, box):
        box.engine.docker("stop", "-t", "0", box.container)
        self.start_again(box)

    def kill(self, box):
        box.engine.docker("kill", box.container)
        box.engine.docker("wait", box.container)
        self.start_again(box)

    def die(self, box):
        os.kill(box.pid(), signal.SIGKILL)
        box.engine.docker("wait", box.container)
        self.start_again(box)

    @staticmethod
    def anew(box):
        box.engine.docker("rm", "-f", box.container)
        box.create()
