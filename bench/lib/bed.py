# SPDX-License-Identifier: GPL-3.0-or-later
"""The test bed: containers, helper programs, and one place that ends them all."""
import os
import signal
import subprocess
import time


class Failure(Exception):
    """A measurement that did not work; the row goes on without it."""


def wait_until(condition, what, seconds=10):
    """The first true value of condition(), or Failure."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"waited in vain for {what}")
        time.sleep(0.005)


class Process:
    """A program that is not waited for yet."""

    def __init__(self, command, log, **kwargs):
        self.command = command
        self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, **kwargs)
        self.pid = self.popen.pid

    def result(self, seconds):
        """Its standard output, when it has ended well within so many seconds."""
        try:
            text = self.popen.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.command[0]}: not ended after {seconds} s") from None
        if self.popen.returncode:
            raise Failure(f"{' '.join(self.command)}: status {self.popen.returncode}")
        return text

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()
        if self.popen.stdout:
            self.popen.stdout.close()


class Container:
    """A network namespace with a process in it, as a container has."""

    def __init__(self, bed):
        self.bed = bed
        self.process = bed.spawn(["unshare", "-n", "sleep", "3600"])
        self.pid = self.process.pid
        own = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{self.pid}/ns/net") != own, "a namespace")
        self.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                 "net.ipv6.conf.default.disable_ipv6=1")

    def inside(self, *command):
        return ["nsenter", "-t", str(self.pid), "-n", *command]

    def run(self, *command):
        return self.bed.run(*self.inside(*command))

    def configure(self, interface, address):
        """Give the interface an address and bring it up."""
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", address + "/24", "dev", interface)
        self.run("ip", "link", "set", interface, "up")


class Bed:
    """All that is started for a measurement ends with clear()."""

    def __init__(self, directory):
        self.directory = directory
        self.processes = []
        self.interfaces = []
        self.port = 20000
        self.run("mount", "-t", "tmpfs", "bench", directory + "/mnt", make=directory + "/mnt")
        self.files = directory + "/mnt"
        self.log = open(os.path.join(self.files, "log"), "ab")
        self.run("ip", "link", "set", "lo", "up")
        self.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                 "net.ipv6.conf.default.disable_ipv6=1")

    def run(self, *command, make=None):
        if make:
            os.mkdir(make)
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode:
            raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def spawn(self, command, **kwargs):
        process = Process(command, self.log, **kwargs)
        self.processes.append(process)
        return process

    def capture_output(self, command):
        return self.spawn(command, stdout=subprocess.PIPE, text=True)

    def traffic(self, *args, where=None):
        """Start the packet generator, in a container or here."""
        command = [os.path.join(self.directory, "traffic"), *map(str, args)]
        return self.capture_output(where.inside(*command) if where else command)

    def next_port(self):
        """Ports are ours alone: the namespace is."""
        self.port = self.port + 1 if self.port < 60000 else 20000
        return self.port

    def container(self):
        return Container(self)

    def remember_interface(self, name):
        self.interfaces.append(name)

    def path(self, name):
        return os.path.join(self.files, name)

    def clear(self):
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()
        for name in self.interfaces:
            subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)
        self.interfaces.clear()
        for name in os.listdir(self.files):
            if name != "log":
                os.unlink(self.path(name))
        os.truncate(self.path("log"), 0)
