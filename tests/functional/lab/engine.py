# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker Engine of the tests' own, and containers without a network."""
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile

from .wait import wait_until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
ENGINE_LIB = os.path.join(TOP, "contrib/lib/engine.sh")
IMAGE = "ubridge-node"
PR_SET_PDEATHSIG = 1


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Engine:
    """A private dockerd with an image of busybox, ip and iperf3."""

    def __init__(self, *options):
        self.options = options
        self.directory = tempfile.mkdtemp(prefix="ube", dir="/tmp")
        self.log = os.path.join(self.directory, "log")
        self.environment = dict(os.environ, DOCKER_HOST=f"unix://{self.directory}/docker.sock")
        try:
            self.start()
            subprocess.run([os.path.join(TOP, "contrib/node-image"), IMAGE], check=True,
                           env=self.environment, stdout=subprocess.DEVNULL, timeout=60)
        except BaseException:
            self.close()
            raise

    def start(self):
        """Start it, also once more after stop()."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", '. "$0" && engine_exec "$@"', ENGINE_LIB, self.directory,
                 *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent)
        wait_until(self._answers, 60, "the Docker Engine")

    def stop(self):
        """End the engine alone; what becomes of its containers is its business."""
        self.process.terminate()
        self.process.wait(60)

    def _answers(self):
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                raise AssertionError("dockerd ended: " + log.read()[-2000:])
        return subprocess.run(["docker", "version"], env=self.environment, timeout=20,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def docker(self, *argv, check=True, **kwargs):
        """Run the docker command; returns its output without the last newline."""
        done = subprocess.run(["docker", *argv], env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=kwargs.pop("timeout", 60))
        assert done.returncode == 0 or not check, f"docker {' '.join(argv)}: {done.stdout}"
        return done.stdout.rstrip("\n")

    def container(self):
        return Container(self)

    def close(self):
        try:
            running = self.docker("ps", "-aq", check=False).split()
            if running and self.process.poll() is None:
                self.docker("rm", "-f", *running, check=False)
        finally:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            subprocess.run(["bash", "-c", '. "$0" && engine_sweep "$1"', ENGINE_LIB,
                            self.directory], check=False)
            shutil.rmtree(self.directory, ignore_errors=True)


class Container:
    """A running container with no interface but lo."""

    def __init__(self, engine):
        self.engine = engine
        self.id = engine.docker("run", "-d", "--init", "--network", "none",
                                "--cap-add", "NET_ADMIN", IMAGE)
        self.pid = int(engine.docker("inspect", "-f", "{{.State.Pid}}", self.id))

    def sh(self, script, check=True, timeout=60):
        return self.engine.docker("exec", self.id, "sh", "-c", script, check=check,
                                  timeout=timeout)

    def start(self, script):
        """Run a script in the background."""
        self.engine.docker("exec", "-d", self.id, "sh", "-c", script)

    def links(self):
        return {line.split(":")[0].strip()
                for line in self.sh("cat /proc/net/dev").splitlines() if ":" in line}

    def configure(self, interface, address):
        self.sh(f"echo 1 >/proc/sys/net/ipv6/conf/{interface}/disable_ipv6 2>/dev/null; "
                f"ip link set {interface} up && ip addr add {address} dev {interface}")

    def ping(self, address, count=3):
        """Every ping is answered."""
        out = self.sh(f"ping -c {count} -i 0.2 -W 5 {address}", check=False)
        assert f"{count} packets received" in out, out

    def remove(self):
        self.engine.docker("rm", "-f", self.id, check=False)
