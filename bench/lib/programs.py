# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs under test. Each start() gives an instance with the same methods:

links(list of (name, end, end))   make and start links; an end is ("udp", local port,
                                  remote port), ("tap", name) or ("raw", interface)
move(interface, container, name)  into the container's namespace
veth(here, there)                 a pair as Docker nodes get it
delay(link, milliseconds)         in both directions
sent(link)                        packets sent out of the link's second end, or None
"""
import os
import re
import socket
import subprocess

from lib.bed import Failure, wait_until


class Measured:
    """What the kernel says about a process."""

    def __init__(self, process):
        self.process = process

    def cpu(self):
        """Seconds of processor time so far, user and system."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def status(self, key):
        """A number of /proc/PID/status: VmRSS (KiB), Threads."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(rf"^{key}:\s*(\d+)", file.read(), re.M)[1])


class UbridgeInstance(Measured):
    def __init__(self, bed, command):
        port = bed.next_port()
        self.bed = bed
        # No engine: process numbers in here mean nothing to one outside.
        environment = {**os.environ, "DOCKER_HOST": "unix:///nonexistent"}
        super().__init__(bed.spawn([*command, "-H", f"127.0.0.1:{port}"],
                                   stdout=subprocess.DEVNULL, env=environment))
        self.socket = wait_until(lambda: self._connect(port), "the control port")
        self.reader = self.socket.makefile("rb")

    @staticmethod
    def _connect(port):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            return None

    def command(self, text):
        """The lines of information of the reply."""
        self.socket.sendall(text.encode() + b"\n")
        lines = []
        while True:
            line = self.reader.readline().decode().rstrip()
            if line[3:4] == " ":
                lines.append(line[4:])
            elif line.startswith("100-"):
                return lines
            else:
                raise Failure(f"{text}: {line or 'the program has ended'}")

    def _add(self, link, end):
        if end[0] == "udp":
            self.command(f"bridge add_nio_udp {link} {end[1]} 127.0.0.1 {end[2]}")
        else:
            kind = {"tap": "tap", "raw": "linux_raw"}[end[0]]
            self.command(f"bridge add_nio_{kind} {link} {end[1]}")

    def links(self, links, capture=None):
        for name, left, right in links:
            self.command(f"bridge create {name}")
            self._add(name, left)
            self._add(name, right)
            if capture:
                self.command(f'bridge start_capture {name} "{capture}"')
            self.command(f"bridge start {name}")

    def move(self, interface, container, name):
        self.command(f"docker move_to_ns {interface} {container.pid} {name}")

    def veth(self, here, there):
        self.command(f"docker create_veth {here} {there}")
        self.bed.remember_interface(here)

    def delay(self, link, milliseconds):
        self.command(f"bridge add_packet_filter {link} delay delay {milliseconds}")

    def sent(self, link):
        for line in self.command(f"bridge get_stats {link}"):
            if line.startswith("Destination"):
                return int(re.search(r"OUT: (\d+)", line)[1])
        raise Failure("no statistics")


class Ubridge:
    """An ubridge, this one or another."""

    def __init__(self, bed, binary):
        self.bed = bed
        self.binary = binary
        done = subprocess.run([binary, "-h"], capture_output=True, text=True, check=False)
        self.has_workers = "--workers" in done.stdout + done.stderr

    def start(self, workers=None):
        command = [self.binary]
        if workers and self.has_workers:
            command += ["--workers", str(workers)]
        return UbridgeInstance(self.bed, command)


class PlainInstance(Measured):
    def __init__(self, bed):
        self.bed = bed
        super().__init__(None)

    @staticmethod
    def _end(end):
        if end[0] == "udp":
            return f"udp:{end[1]}:127.0.0.1:{end[2]}"
        return f"{end[0]}:{end[1]}"

    def links(self, links, capture=None):
        command = [os.path.join(self.bed.directory, "plain_pump")]
        command += ["-w", capture] if capture else []
        for _, left, right in links:
            command += [self._end(left), self._end(right)]
        self.process = self.bed.capture_output(command)
        if self.process.popen.stdout.readline() != "ready\n":
            raise Failure("plain_pump did not start")

    def move(self, interface, container, name):
        self.bed.run("ip", "link", "set", interface, "netns", str(container.pid), "name", name)

    def veth(self, here, there):
        self.bed.run("ip", "link", "add", here, "type", "veth", "peer", "name", there)
        self.bed.remember_interface(here)
        self.bed.run("ip", "link", "set", here, "up")
        self.bed.run("ethtool", "-K", there, "tx", "off")

    def delay(self, link, milliseconds):
        raise Failure("the plain pump has no filters")

    def sent(self, link):
        return None


class PlainPump:
    """The stand-in for another ubridge."""

    def __init__(self, bed):
        self.bed = bed

    def start(self, workers=None):
        return PlainInstance(self.bed)
