# SPDX-License-Identifier: GPL-3.0-or-later
"""A Podman service of the tests' own, in a directory, with an image of busybox."""
import io
import os
import shutil
import subprocess
import tarfile
import tempfile

from lab.wait import wait_until

IMAGE = "probe"
APPLETS = ("sh", "sleep", "cat", "ip", "kill")

# Limits that need no privilege to be set; runc copes with hosts that have both kinds of cgroups.
CONTAINERS_CONF = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "{runtime}"
tmp_dir = "{directory}/tmp"
"""

STORAGE_CONF = """[storage]
driver = "vfs"
graphroot = "{directory}/root"
runroot = "{directory}/run"
"""


def image_tar():
    """A root file system: busybox and links to it."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name in APPLETS:
            link = tarfile.TarInfo("bin/" + name)
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return memory.getvalue()


class PodmanService:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="ubp", dir="/tmp")
        self.socket = self.directory + "/podman.sock"
        runtime = "runc" if shutil.which("runc") else "crun"
        self.environment = dict(os.environ)
        for name, text in (("CONTAINERS_CONF", CONTAINERS_CONF),
                           ("CONTAINERS_STORAGE_CONF", STORAGE_CONF)):
            path = f"{self.directory}/{name}"
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.format(directory=self.directory, runtime=runtime))
            self.environment[name] = path
        self.process = None
        try:
            self.start()
            self.podman("import", "-", IMAGE, input=image_tar())
        except BaseException:
            self.close()
            raise

    def start(self):
        with open(self.directory + "/log", "ab") as log:
            self.process = subprocess.Popen(
                ["podman", "system", "service", "--time=0", "unix://" + self.socket],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: os.path.exists(self.socket), 30, "the Podman service")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
        if os.path.exists(self.socket):
            os.unlink(self.socket)

    def podman(self, *argv, check=True, **kwargs):
        """Run podman; returns its output without the last newline."""
        done = subprocess.run(["podman", *argv], env=self.environment, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs)
        out = done.stdout.decode(errors="replace").rstrip("\n")
        assert done.returncode == 0 or not check, f"podman {' '.join(argv)}: {out}"
        return out

    def run(self, name, *options, network="none", command=("/bin/sleep", "1000")):
        """Start a container; returns its id."""
        return self.podman("run", "-d", "--network", network, "--stop-timeout", "0", *options,
                           "--name", name, IMAGE, *command).splitlines()[-1]

    def remove_all(self):
        """One by one Podman refuses those that others depend on, and goes on."""
        def removed():
            self.podman("rm", "-a", "-f", "-t", "0", check=False)
            return not self.podman("ps", "-aq")
        wait_until(removed, 30, "the end of all containers")

    def close(self):
        try:
            self.remove_all()
        finally:
            self.stop()
            shutil.rmtree(self.directory, ignore_errors=True)
