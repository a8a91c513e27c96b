# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures. Run as root: UBRIDGE=build/ubridge /usr/bin/python3 -m pytest tests/functional"""
import os
import shutil
import socket
import subprocess
import tempfile

import pytest

from lab.engine import Engine
from lab.netns import Namespace
from lab.peers import RawPeer, UdpPeer, UnixPeer
from lab.program import Ubridge, assert_no_report, free_port, spawn
from lab.wait import wait_until

MEASURES = []


def pytest_configure(config):
    if os.geteuid() != 0:
        raise pytest.UsageError("these tests need root: namespaces, TAP, containers")
    if not os.access(os.environ.get("UBRIDGE", ""), os.X_OK):
        raise pytest.UsageError("set UBRIDGE to the program to be tested")
    config.addinivalue_line("markers", "vlan_interfaces: needs VLAN interfaces of the kernel")
    config.addinivalue_line("markers", "plain_build: does not work with sanitizers")


def is_instrumented(path):
    """Whether a program was built with a sanitizer, or is run by valgrind."""
    with open(path, "rb") as file:
        code = file.read()
    return code.startswith(b"#!") or b"__asan_init" in code or b"__tsan_init" in code


def has_vlan_interfaces():
    namespace = Namespace()
    with namespace:
        done = subprocess.run(["ip", "link", "add", "link", "lo", "name", "probe", "type", "vlan",
                               "id", "1"], capture_output=True, text=True, check=False)
    namespace.close()
    return "Unknown device type" not in done.stderr


def pytest_collection_modifyitems(config, items):
    """Leaves out, and says so, what can not be on this kernel or with this build.

    vlan_interfaces: VLANs themselves are tested with frames that carry tags.
    plain_build: preloads a library, which sanitizers do not stand; the default build runs it.
    """
    lacking = set()
    if not has_vlan_interfaces():
        lacking.add("vlan_interfaces")
    if is_instrumented(os.environ["UBRIDGE"]):
        lacking.add("plain_build")
    out = [item for item in items if any(item.get_closest_marker(name) for name in lacking)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


def pytest_make_parametrize_id(val):
    """Short names for long arguments."""
    return f"{val[:24]}...{len(val)}" if isinstance(val, str) and len(val) > 40 else None


def pytest_terminal_summary(terminalreporter):
    if MEASURES:
        terminalreporter.section("measured")
        for line in MEASURES:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def binary():
    return os.path.abspath(os.environ["UBRIDGE"])


@pytest.fixture(scope="session")
def patience(binary):
    """How much longer than a plain build the one under test may take."""
    return 5 if is_instrumented(binary) else 1


@pytest.fixture
def measure():
    """measure("stop", 0.004): shown with the summary."""
    return lambda what, seconds: MEASURES.append(f"{what}: {seconds * 1000:.2f} ms")


@pytest.fixture
def directory():
    """A directory for one test; short, because paths of unix sockets must be."""
    path = tempfile.mkdtemp(prefix="ubt", dir="/tmp")
    os.chmod(path, 0o777)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def ns():
    namespace = Namespace()
    yield namespace
    namespace.close()


@pytest.fixture
def namespaces():
    """A maker of further namespaces."""
    made = []

    def make():
        made.append(Namespace())
        return made[-1]
    yield make
    for namespace in made:
        namespace.close()


@pytest.fixture
def launch(binary, ns, directory):
    """A maker of running programs, each in a directory of its own."""
    running = []

    def make(**kwargs):
        own = os.path.join(directory, f"u{len(running)}")
        os.mkdir(own)
        os.chmod(own, 0o777)
        running.append(Ubridge(kwargs.pop("binary", binary), kwargs.pop("ns", ns), own, **kwargs))
        return running[-1]
    yield make
    errors = []
    for program in running:
        try:
            program.close()
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


@pytest.fixture
def ub(launch):
    """One running program."""
    return launch()


@pytest.fixture
def run(binary, ns, directory):
    """Run the program to its end: run("-v") -> (status, stdout, stderr)."""
    def call(*args, deadline=10, **kwargs):
        for name in ("stdout", "stderr"):
            open(os.path.join(directory, name), "wb").close()
        process = spawn([binary, *args], ns, directory, **kwargs)
        try:
            status = process.wait(deadline)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"still running after {deadline} s") from None
        assert_no_report(directory)
        texts = []
        for name in ("stdout", "stderr"):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                texts.append(file.read())
        return (status, *texts)
    return call


@pytest.fixture
def peers(ns):
    """A maker of far ends, all closed with the test."""
    made = []

    class Make:
        @staticmethod
        def udp(*args, where=ns, **kwargs):
            made.append(UdpPeer(where, *args, **kwargs))
            return made[-1]

        @staticmethod
        def raw(interface, where=ns):
            made.append(RawPeer(where, interface))
            return made[-1]

        @staticmethod
        def unix(path):
            made.append(UnixPeer(path))
            return made[-1]

        @staticmethod
        def port():
            """A free UDP port for a NIO."""
            return free_port(ns, socket.SOCK_DGRAM)
    yield Make
    for peer in made:
        peer.close()


@pytest.fixture
def tunnel(ub, peers):
    """A running bridge "t" between two UDP peers: (left, right)."""
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    ub.udp_bridge("t", (left.to, left.port), (right.to, right.port))
    return left, right


@pytest.fixture
def pause_process():
    """A maker of processes in network namespaces of their own, as containers are."""
    made = []

    def make():
        made.append(subprocess.Popen(["unshare", "-n", "sleep", "1000"]))
        wait_until(lambda: os.readlink(f"/proc/{made[-1].pid}/ns/net") !=
                   os.readlink("/proc/self/ns/net"), what="the new namespace")
        return made[-1]
    yield make
    for process in made:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def engine():
    docker = Engine()
    yield docker
    docker.close()


@pytest.fixture
def containers(engine):
    """A maker of containers."""
    made = []

    def make():
        made.append(engine.container())
        return made[-1]
    yield make
    for container in made:
        container.remove()
