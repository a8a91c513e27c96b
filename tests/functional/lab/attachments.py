# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker NIOs under test: named containers, and what `docker list` says."""
import re
import subprocess
import uuid

from scapy.layers.l2 import ARP, Ether

from .engine import IMAGE
from .wait import wait_until

ADDRESS = "10.9.0.1"
FAR_ADDRESS = "10.9.0.2"
FAR_MAC = "02:00:00:00:00:99"
LINE = re.compile(
    r"bridge=(?P<bridge>\S+) container=(?P<container>\S+) interface=(?P<interface>\S+) "
    r"state=(?P<state>waiting|attached|gone) pid=(?P<pid>\d+) host_if=(?P<host_if>\S+) "
    r"plugged=(?P<plugged>\d+) since=(?P<since>\d+)(?: error=\"(?P<error>.*)\")?")


def attachments(client):
    """All lines of `docker list`, as dictionaries."""
    lines = []
    for text in client.ok("docker list"):
        match = LINE.fullmatch(text)
        assert match, text
        lines.append({key: int(value) if value and value.isdigit() and key != "bridge" else value
                      for key, value in match.groupdict().items()})
    return lines


def attachment(client, bridge="t"):
    """The only one of a bridge."""
    found = [line for line in attachments(client) if line["bridge"] == bridge]
    assert len(found) == 1, found
    return found[0]


def wait_state(client, state, bridge="t", deadline=5, **wanted):
    wanted["state"] = state

    def there():
        for line in attachments(client):
            if line["bridge"] == bridge and wanted.items() <= line.items():
                return line
        return None
    return wait_until(there, deadline, f"{bridge} to be {wanted}")


class Containers:
    """Containers with names that no other test uses; all of them end with the test."""

    def __init__(self, engine):
        self.engine = engine
        self.names = []

    def name(self, what="n"):
        self.names.append(f"{what}-{uuid.uuid4().hex[:8]}")
        return self.names[-1]

    def create(self, name=None, *options, command=("sleep", "100000"), network="none"):
        """Created, not started."""
        name = name or self.name()
        self.engine.docker("create", "--network", network, "--init", "--cap-add", "NET_ADMIN",
                           "--stop-timeout", "0", *options, "--name", name, IMAGE, *command)
        return name

    def run(self, name=None, *options, **kwargs):
        name = self.create(name, *options, **kwargs)
        self.engine.docker("start", name)
        return name

    def inspect(self, name, template):
        return self.engine.docker("inspect", "-f", "{{" + template + "}}", name)

    def pid(self, name):
        return int(self.inspect(name, ".State.Pid"))

    def enter(self, name, *argv):
        """Run the host's command in the container's network; an exec would be slower, and for a
        moment after a start the runtime may refuse it."""
        done = subprocess.run(["nsenter", "-n", "-t", str(self.pid(name)), *argv],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=20)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def ip(self, name, words):
        return self.enter(name, "ip", *words.split())

    def close(self):
        for name in self.names:
            self.engine.docker("rm", "-f", "-v", name, check=False)


def links_of(pid):
    """Names of the interfaces of a process."""
    with open(f"/proc/{pid}/net/dev", encoding="ascii") as table:
        return {line.split(":")[0].strip() for line in table if ":" in line}


def arp_request():
    """Any host answers it whose address it is about, without help of a program."""
    return bytes(Ether(src=FAR_MAC, dst="ff:ff:ff:ff:ff:ff") /
                 ARP(op=1, hwsrc=FAR_MAC, psrc=FAR_ADDRESS, pdst=ADDRESS))


def answer(peer, within=0.02):
    """The MAC from which a container answers at once, or None."""
    peer.send(arp_request())
    try:
        while True:
            packet = Ether(peer.receive(within))
            if ARP in packet and packet[ARP].op == 2 and packet[ARP].psrc == ADDRESS:
                return packet[ARP].hwsrc
    except AssertionError:
        return None
