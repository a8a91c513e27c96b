# SPDX-License-Identifier: GPL-3.0-or-later
"""While others hold the kernel's lock for changes of interfaces, no link waits for it."""
import os
import subprocess

import pytest

from lab import frames
from lab.attachments import wait_state
from lab.netns import Namespace
from lab.wait import wait_until
from stub_engine import StubEngine

pytestmark = pytest.mark.plain_build


@pytest.fixture(scope="module")
def slow_library(tmp_path_factory):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "preload", "slow.c")
    library = tmp_path_factory.mktemp("preload") / "slow.so"
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-shared",
                    "-fPIC", "-o", library, source, "-ldl"], check=True)
    return str(library)


class Lock:
    """The lock, as the program sees it."""

    def __init__(self, path):
        self.path = path

    def take(self, only=""):
        """For calls of one kind only, or for all."""
        with open(f"{self.path}.new", "w", encoding="ascii") as file:
            file.write(only)
        os.rename(f"{self.path}.new", self.path)

    def release(self):
        if os.path.exists(self.path):
            os.unlink(self.path)


@pytest.fixture
def lock(directory):
    made = Lock(f"{directory}/lock")
    yield made
    made.release()


@pytest.fixture
def locked_ub(launch, slow_library, lock):
    """All links have the same worker."""
    program = launch(env={"LD_PRELOAD": slow_library, "UBRIDGE_LOCK": lock.path},
                     args=["--workers", "1"])
    yield program
    lock.release()      # it could not end


@pytest.fixture
def other(locked_ub, peers):
    """Another link, that works: other()."""
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    locked_ub.udp_bridge("other", (left.to, left.port), (right.to, right.port))

    def works():
        left.send(frames.frame(b"other"))
        right.expect(frames.frame(b"other"))
    return works


def is_gone(program, bridge):
    return wait_until(lambda: "state=down" in program.ok(f"bridge get_counters {bridge}")[0],
                      what="the device to be gone")


def is_back(program, bridge):
    return wait_until(lambda: "state=up" in program.ok(f"bridge get_counters {bridge}")[0],
                      what="the device to be back")


@pytest.mark.parametrize("kind", ["linux_raw", "ethernet"])
def test_an_interface_that_comes_back(locked_ub, lock, other, ns, peers, kind):
    ns.veth("va", "vb")
    far = peers.udp()
    far.to = peers.port()
    locked_ub.ok("bridge create b")
    locked_ub.ok(f"bridge add_nio_{kind} b va")
    locked_ub.ok(f"bridge add_nio_udp b {far.to} 127.0.0.1 {far.port}")
    locked_ub.ok("bridge start b")
    ns.ip("link del va")
    is_gone(locked_ub, "b")
    lock.take()
    ns.veth("va", "vb")
    wait_until(lambda: "waits: promiscuous" in locked_ub.stderr(), what="somebody who waits")
    other()
    is_back(locked_ub, "b")
    near = peers.raw("vb")
    near.send(frames.frame(b"while it is held"))
    far.expect(frames.frame(b"while it is held"))
    lock.release()
    wait_until(lambda: "promiscuity 1" in ns.ip("-d link show va"), what="promiscuous mode")
    other()


def foreign_tap(ns):
    """One that the program borrows."""
    ns.ip("tuntap add tap7 mode tap")
    ns.quiet("tap7")
    ns.ip("link set tap7 up")


@pytest.fixture
def tap_link(locked_ub, ns, peers):
    """A bridge "b" from a TAP device of others to this peer."""
    foreign_tap(ns)
    far = peers.udp()
    far.to = peers.port()
    locked_ub.ok("bridge create b")
    locked_ub.ok("bridge add_nio_tap b tap7")
    locked_ub.ok(f"bridge add_nio_udp b {far.to} 127.0.0.1 {far.port}")
    locked_ub.ok("bridge start b")
    return far


@pytest.mark.parametrize("kind, name", [("linux_raw", "va"), ("ethernet", "va"), ("tap", "tap7")])
def test_a_missing_interface_is_only_looked_for(locked_ub, ns, kind, name):
    """The kernel is not made to look for a module again and again."""
    ns.veth("va", "vb")
    foreign_tap(ns)
    locked_ub.ok("bridge create b")
    locked_ub.ok(f"bridge add_nio_{kind} b {name}")
    locked_ub.ok("bridge add_nio_udp b 0 127.0.0.1 9")
    locked_ub.ok("bridge start b")
    ns.ip(f"link del {name}")
    is_gone(locked_ub, "b")
    before = locked_ub.stderr().count(f"looks for: {name}")
    wait_until(lambda: locked_ub.stderr().count(f"looks for: {name}") > before + 1 or
               "a module" in locked_ub.stderr(), what="somebody who looks")
    assert f"a module for {name}" not in locked_ub.stderr()


def test_a_tap_device_that_comes_back(locked_ub, lock, other, ns, peers, tap_link):
    before = locked_ub.descriptors(), locked_ub.threads()
    for number in range(3):
        ns.ip("link del tap7")
        is_gone(locked_ub, "b")
        lock.take()
        foreign_tap(ns)
        wait_until(lambda: locked_ub.stderr().count("waits: detach") == number + 1,
                   what="somebody who waits")
        other()
        lock.release()
        is_back(locked_ub, "b")
        near = peers.raw("tap7")
        near.send(frames.frame(b"again"))
        tap_link.expect(frames.frame(b"again"))
        other()
    wait_until(lambda: (locked_ub.descriptors(), locked_ub.threads()) == before,
               what="the threads to go")


def test_the_bridge_goes_while_its_tap_device_comes_back(locked_ub, lock, other, ns, tap_link):
    before = locked_ub.descriptors(), locked_ub.threads()
    ns.ip("link del tap7")
    is_gone(locked_ub, "b")
    lock.take()
    foreign_tap(ns)
    wait_until(lambda: "waits: detach" in locked_ub.stderr(), what="somebody who waits")
    locked_ub.ok("bridge stop b")
    locked_ub.ok("bridge delete b")
    other()
    lock.release()
    wait_until(lambda: locked_ub.descriptors() == before[0] - 2 and
               locked_ub.threads() == before[1], what="the descriptor and the thread to go")
    wait_until(lambda: "NO-CARRIER" in ns.ip("link show tap7"), what="the device to be free")


@pytest.fixture
def loaded_tap(locked_ub, lock, ns, peers):
    """A bridge "b" from a TAP device of our own, which has got load while the lock is held, and so
    waits for offloads: (a peer at the device, one at the other end)"""
    far = peers.udp()
    far.to = peers.port()
    locked_ub.ok("bridge create b")
    locked_ub.ok("bridge add_nio_tap b tap0")
    locked_ub.ok(f"bridge add_nio_udp b {far.to} 127.0.0.1 {far.port}")
    locked_ub.ok("bridge start b")
    ns.quiet("tap0")
    ns.ip("link set tap0 up")
    near = peers.raw("tap0")
    lock.take()
    with locked_ub.paused():
        for number in range(40):
            near.send(frames.frame(b"load %d" % number))
    for number in range(40):
        far.expect(frames.frame(b"load %d" % number))
    wait_until(lambda: "waits: look at or change" in locked_ub.stderr(), what="somebody who waits")
    return near, far


def test_a_tap_device_gets_offloads(locked_ub, lock, other, ns, loaded_tap):
    """What is to leave by it waits too, and nothing is down."""
    near, far = loaded_tap
    for number in range(5):
        far.send(frames.frame(b"meanwhile %d" % number))
        other()
    near.expect_nothing(0.1)
    counters = locked_ub.ok("bridge get_counters b")[0]
    assert "state=up" in counters and 'last_error=""' in counters
    assert "tx-checksumming: off" in ns.run("ethtool", "-k", "tap0")
    lock.release()
    for number in range(5):
        near.expect(frames.frame(b"meanwhile %d" % number))
    assert "tx-checksumming: on" in ns.run("ethtool", "-k", "tap0")
    near.send(frames.frame(b"again"))
    far.expect(frames.frame(b"again"))
    assert "is down or gone" not in locked_ub.stderr()
    other()


@pytest.mark.parametrize("stopped", [False, True])
def test_a_bridge_goes_while_its_tap_device_gets_offloads(locked_ub, lock, ns, loaded_tap,
                                                          stopped):
    """With its device, which nobody is to find when the answer is there."""
    if stopped:
        locked_ub.ok("bridge stop b")
    locked_ub.send("bridge delete b")
    lock.release()
    assert locked_ub.reply().code == 100
    assert "tap0" not in ns.links()
    locked_ub.ok("bridge create b")
    locked_ub.ok("bridge add_nio_tap b tap0")
    assert "vnet_hdr off" in ns.ip("-d link show tap0")


def test_a_tap_device_is_moved_while_it_gets_offloads(locked_ub, lock, other, loaded_tap, peers,
                                                      pause_process):
    """Who moves it waits, and no link does."""
    _, far = loaded_tap
    process = pause_process()
    locked_ub.send(f"docker move_to_ns tap0 {process.pid} eth0")
    for _ in range(5):
        other()
    lock.release()
    assert locked_ub.reply().code == 100
    home = Namespace.of(process.pid)
    try:
        home.quiet("eth0")
        home.ip("link set eth0 up")
        assert "vnet_hdr on" in home.ip("-d link show eth0")
        near = peers.raw("eth0", where=home)
        near.send(frames.frame(b"there"))
        far.expect(frames.frame(b"there"))
    finally:
        home.close()


def test_it_may_go_again_meanwhile(locked_ub, lock, other, ns):
    """Also with the bridge: what waits then holds nothing up, and leaves nothing behind."""
    ns.veth("va", "vb")
    locked_ub.ok("bridge create b")
    locked_ub.ok("bridge add_nio_linux_raw b va")
    locked_ub.ok("bridge add_nio_udp b 0 127.0.0.1 9")
    locked_ub.ok("bridge start b")
    before = locked_ub.descriptors(), locked_ub.threads()
    ns.ip("link del va")
    is_gone(locked_ub, "b")
    lock.take()
    ns.veth("va", "vb")
    wait_until(lambda: "waits: promiscuous" in locked_ub.stderr(), what="somebody who waits")
    ns.ip("link del va")
    is_gone(locked_ub, "b")
    ns.veth("va", "vb")
    is_back(locked_ub, "b")
    locked_ub.ok("bridge delete b")
    other()
    lock.release()
    wait_until(lambda: locked_ub.descriptors() < before[0] and locked_ub.threads() == before[1],
               what="the descriptors and threads to go")
    other()


def test_clients_do_not_wait_for_an_old_device(launch, slow_library, lock, directory,
                                               pause_process):
    """A TAP device that a client has moved into a container: with the container's next run its NIO
    gets another one, and somebody else lets go of the first."""
    first, second = pause_process(), pause_process()
    with StubEngine(f"{directory}/docker.sock") as stub:
        state = stub.containers[0]["State"]
        state["Pid"] = first.pid
        ub = launch(env={"LD_PRELOAD": slow_library, "UBRIDGE_LOCK": lock.path,
                         "DOCKER_HOST": f"unix://{stub.path}"}, args=["--no-offload"])
        ub.ok("bridge create t")
        ub.ok("bridge add_nio_tap t tap0")
        ub.ok(f"docker move_to_ns tap0 {first.pid} eth0")
        wait_state(ub, "attached", plugged=1)
        lock.take("detach")
        first.kill()
        state.update(Pid=second.pid, StartedAt="2026-01-02T03:05:00.000000000Z")
        stub.emit("start", stub.ids[0])
        wait_until(lambda: "waits: detach" in ub.stderr(), what="somebody who waits")
        wait_state(ub, "attached", plugged=2, pid=second.pid)
        before = ub.descriptors()
        lock.release()
        wait_until(lambda: ub.descriptors() < before, what="the old device to go")
