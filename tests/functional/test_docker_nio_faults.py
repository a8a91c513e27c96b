# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of test_faults.py for interfaces in containers, however they got there.

tap, veth: the two back-ends of a Docker NIO. moved, pair: a TAP device, or one end of a veth
pair, that the client has put into the container with `docker move_to_ns`, as GNS3 does.

All tests use one container, which some of them kill.
"""
import itertools
import json
import os
import signal
import socket
import threading
import time

import pytest

from lab import frames
from lab.attachments import Containers, wait_state
from lab.clock import StepClock
from lab.counters import counters, recovers
from lab.faults import BURST, burst, destination, dropped, found_down, witness
from lab.netns import Namespace
from lab.wait import wait_until

MAC = "02:11:22:33:44:55"
TAPS = ("tap", "moved")
PAIRS = ("veth", "pair")
DOCKER = ("tap", "veth")
CLIENTS = ("moved", "pair")
# What must have passed each way before a transfer is in its middle.
MIDDLE = 1000000

numbers = itertools.count()


@pytest.fixture(scope="module")
def container(engine):
    containers = Containers(engine)
    containers.run(containers.name("faults"))
    yield containers
    containers.close()


@pytest.fixture
def clock(directory):
    """The wall clock of `ub`."""
    return StepClock(directory)


@pytest.fixture
def ub(request, launch, engine):
    stepped = request.getfixturevalue("clock").environment \
        if "clock" in request.fixturenames else {}
    return launch(env={**engine.environment, **stepped})


class Guest:
    """A NIO of the bridge "b", which has another already, and its interface in the container."""

    def __init__(self, ub, container, peers, backend):
        self.ub, self.container, self.peers, self.backend = ub, container, peers, backend
        self.name = container.names[0]
        if not container.pid(self.name):
            container.engine.docker("start", self.name)
        # that of an earlier test may not be gone yet
        self.interface = f"e{next(numbers)}"
        self.host_if = "host0"
        self.ns = self.far = None
        if backend in DOCKER:
            ub.ok(f"bridge add_nio_docker b {self.name} {self.interface} backend={backend} "
                  f"mac={MAC} wait=10")
        else:
            self.move_in()
        line = wait_state(ub, "attached", "b")
        if backend == "veth":
            self.host_if = line["host_if"]
        ub.ok("bridge start b")
        self.enter()

    def move_in(self):
        """As GNS3 does it."""
        moved, kind = ("host0", "tap") if self.backend == "moved" else ("guest0", "ethernet")
        if kind == "ethernet":
            self.ub.ok("docker create_veth host0 guest0")
            self.ub.ns.quiet("host0")
            self.ub.ok("docker set_mac_addr guest0 " + MAC)
        self.ub.ok(f"bridge add_nio_{kind} b host0")
        self.ub.ok(f"docker move_to_ns {moved} {self.container.pid(self.name)} {self.interface}")

    def enter(self):
        """Be in the container as it is now, with the interface up and a far end there."""
        self.ns = Namespace.of(self.container.pid(self.name))
        self.up()

    def up(self):
        self.ns.quiet(self.interface)
        self.ns.ip(f"link set {self.interface} up")
        if self.backend in PAIRS:
            self.ub.ns.wait_carrier(self.host_if)
        self.far = self.peers.raw(self.interface, where=self.ns)

    def leave(self):
        """Hold nothing of the container any more, so that its end is one."""
        if self.ns:
            self.far.close()
            self.ns.close()
        self.ns = None

    def kill(self, how="engine"):
        """The container ends without warning."""
        pid = self.container.pid(self.name)
        self.leave()
        if how == "engine":
            self.container.engine.docker("kill", self.name)
        else:
            os.kill(pid, signal.SIGKILL)
        self.container.engine.docker("wait", self.name)

    def start(self, patience, plugged=2):
        """It runs again, and from then on there is a second for everything: what is left of it,
        without the time that the test takes to get in there."""
        self.container.engine.docker("start", self.name)
        begin = time.monotonic()
        wait_state(self.ub, "attached", "b", 1 * patience, plugged=plugged)
        took = time.monotonic() - begin
        self.enter()
        return 1 * patience - took

    def state(self, word):
        """What the counters say of its state: Docker NIOs have words of their own."""
        return "attached" if self.backend in DOCKER else word


@pytest.fixture
def near(ub, peers):
    """The UDP peer at the other NIO of the bridge "b"."""
    peer = peers.udp()
    peer.to = peers.port()
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_udp b {peer.to} 127.0.0.1 {peer.port}")
    return peer


@pytest.fixture
def put(ub, container, peers):
    made = []

    def make(backend):
        made.append(Guest(ub, container, peers, backend))
        return made[-1]
    yield make
    for guest in made:
        guest.leave()


@pytest.fixture
def guest(put, near, backend):
    return put(backend)


@pytest.fixture(params=TAPS + PAIRS)
def backend(request):
    return request.param


def of(*backends):
    return pytest.mark.parametrize("backend", backends)


def both_ways(guest, near, within):
    within -= recovers(near.send, guest.far, within)
    recovers(guest.far.send, near, within)
    assert destination(guest.ub)["state"] == guest.state("up")


def kernel_drops(namespace, interface):
    """Frames that the kernel could not hand to an interface."""
    shown = json.loads(namespace.ip(f"-s -j link show {interface}"))
    return shown[0]["stats64"]["tx"]["dropped"]


# ---- the interface in the container

def test_nothing_is_wrong_at_first(ub, guest, near, patience):
    both_ways(guest, near, patience)
    seen = destination(ub)
    assert (seen["errors"], seen["last_error"]) == (0, "")
    assert sum(value for key, value in seen.items() if key.startswith("drop_")) == 0


def test_down_and_up(ub, guest, near, backend, patience):
    both_ways(guest, near, patience)
    guest.ns.ip(f"link set {guest.interface} down")
    before = found_down(ub, near)
    burst(near)
    seen = dropped(ub, "down", before["drop_down"] + BURST)
    why = "Network is down" if backend in PAIRS else "Input/output error"
    assert (seen["state"], seen["last_error"]) == (guest.state("down"), why)
    assert seen["out_frames"] == before["out_frames"]
    guest.ns.ip(f"link set {guest.interface} up")
    both_ways(guest, near, patience)


def test_renamed(ub, guest, near, patience):
    """It is the same interface, so it stays the same link."""
    index = guest.ns.ip(f"-o link show {guest.interface}").split(":")[0]
    guest.ns.ip(f"link set {guest.interface} down")
    guest.ns.ip(f"link set {guest.interface} name other{index}")
    guest.ns.ip(f"link set other{index} up")
    both_ways(guest, near, patience)
    assert wait_state(ub, "attached", "b")["plugged"] == 1
    guest.ns.ip(f"link delete other{index}")


@of(*DOCKER)
def test_deleted(ub, guest, near, patience):
    """It is put back, for the container still runs."""
    both_ways(guest, near, patience)
    guest.ns.ip(f"link delete {guest.interface}")

    reasons = set()

    def comes_back():
        near.send(frames.frame(b"lost"))
        # that of the new pair may be "Network is down", until it has a carrier
        reasons.add(destination(ub)["last_error"])
        return guest.interface in guest.ns.links()
    wait_until(comes_back, 1 * patience, "the interface")
    assert wait_state(ub, "attached", "b")["plugged"] == 2
    guest.up()
    both_ways(guest, near, patience)
    assert destination(ub)["drop_down"] >= 1 and "No such device" in reasons


@of(*CLIENTS)
def test_deleted_of_the_client(ub, guest, near, patience):
    """It is the client's, and comes back with the next run of the container."""
    both_ways(guest, near, patience)
    guest.ns.ip(f"link delete {guest.interface}")
    wait_until(lambda: destination(ub)["state"] == "down", what="the loss to be noticed")
    burst(near)
    dropped(ub, "down")

    def reason():
        near.send(frames.frame(b"lost"))
        return destination(ub)["last_error"] == "No such device"
    wait_until(reason, 1 * patience, "the reason")
    guest.kill()
    both_ways(guest, near, guest.start(patience))


def test_mtu_changed(ub, guest, near, backend, patience):
    """Frames that are too long reach a TAP device all the same, but not the end of a pair."""
    both_ways(guest, near, patience)
    guest.ns.ip(f"link set {guest.interface} mtu 1000")
    before = kernel_drops(ub.ns, guest.host_if) if backend in PAIRS else 0
    burst(near, 1500)
    if backend in PAIRS:
        # the host's end takes them, so that nobody but the kernel knows
        wait_until(lambda: kernel_drops(ub.ns, guest.host_if) - before == BURST, what="the drops")
    else:
        assert [len(packet) for packet in guest.far.receive_all(0.1)] == BURST * [1500]
    both_ways(guest, near, patience)
    guest.ns.ip(f"link set {guest.interface} mtu 1500")
    near.send(frames.frame(b"long", 1500))
    guest.far.expect(frames.frame(b"long", 1500))


def test_jumbo_frames(ub, guest, near, backend, patience):
    both_ways(guest, near, patience)
    burst(near, 9014)
    if backend in PAIRS:
        assert dropped(ub, "too_long")["last_error"] == "Message too long"
    else:
        assert [len(packet) for packet in guest.far.receive_all(0.1)] == BURST * [9014]
    both_ways(guest, near, patience)


def test_runts_and_empty_datagrams(ub, guest, near, patience):
    for size in (1, 5, 13):
        near.send(b"x" * size)
    for _ in range(BURST):
        near.send(b"")
    seen = dropped(ub, "runt", 3)
    assert (seen["out_frames"], seen["drop_runt"]) == (0, 3) and seen["last_error"]
    both_ways(guest, near, patience)
    assert counters(ub, "b")["source"]["drop_runt"] == BURST


def test_the_longest_frames(ub, put, peers, backend, directory, patience):
    """From a UNIX socket, which takes 65535 bytes."""
    near = peers.unix(f"{directory}/near")
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_unix b {directory}/nio {directory}/near")
    guest = put(backend)

    def send(packet):
        near.send(packet, f"{directory}/nio")
    for number in range(BURST):
        send(frames.frame(b"%d" % number, 65535))
    if backend in PAIRS:
        assert dropped(ub, "too_long")["last_error"] == "Message too long"
    else:
        wait_until(lambda: destination(ub)["out_frames"] == BURST, what="the frames to leave")
        assert {len(packet) for packet in guest.far.receive_all(0.1)} == {65535}
    recovers(send, guest.far, patience)
    recovers(guest.far.send, near, patience)


# ---- queues

@of(*PAIRS)
def test_no_room_on_the_way_in(ub, guest, near, patience):
    ub.ns.run(*f"tc qdisc add dev {guest.host_if} root tbf rate 8kbit burst 2000 limit 3000"
              .split())
    for _ in range(5):
        burst(near, 1000)
    assert dropped(ub, "no_buffer", 1)["last_error"] == "No buffer space available"
    ub.ns.run(*f"tc qdisc del dev {guest.host_if} root".split())
    both_ways(guest, near, patience)


@of(*TAPS)
def test_no_room_on_the_way_out(ub, guest, near, patience):
    """A TAP device has no queue towards the container, and one from there, which the kernel
    looks after: nobody takes anything out of it while the bridge is stopped."""
    both_ways(guest, near, patience)
    ub.ok("bridge stop b")
    before = kernel_drops(guest.ns, guest.interface)

    def full():
        try:
            guest.far.send(frames.frame(b"kept"))
        except OSError as error:
            assert error.errno == 105, error
        return kernel_drops(guest.ns, guest.interface) > before
    guest.ns.ip(f"link set {guest.interface} txqueuelen 10")
    wait_until(full, what="the queue to be full")
    ub.ok("bridge start b")
    near.expect(frames.frame(b"kept"))
    both_ways(guest, near, patience)


# ---- the host's end

@of(*PAIRS)
def test_host_end_down_and_up(ub, guest, near, backend, patience):
    both_ways(guest, near, patience)
    ub.ns.ip(f"link set {guest.host_if} down")
    if backend == "veth":
        # it is ours, so it is made anew, with all that belongs to it
        wait_state(ub, "attached", "b", 1 * patience, plugged=2)
        guest.up()
    else:
        wait_until(lambda: destination(ub)["state"] == "down", what="the loss to be noticed")
        burst(near)
        assert dropped(ub, "down")["last_error"] == "Network is down"
        ub.ns.ip(f"link set {guest.host_if} up")
    both_ways(guest, near, patience)


# ---- the container

class Transfer:
    """TCP as fast as it goes, both ways, between the container and this end of the bridge."""
    PORT = 5000

    def __init__(self, ub, guest):
        self.closing = False
        ub.ns.ip("addr add 10.9.0.2/24 dev near0")
        guest.ns.ip(f"addr add 10.9.0.1/24 dev {guest.interface}")
        with ub.ns:
            self.listener = socket.create_server(("10.9.0.2", self.PORT))
        guest.container.engine.docker(
            "exec", "-d", guest.name, "sh", "-c",
            f"nc 10.9.0.2 {self.PORT} </dev/zero >/dev/null")
        self.listener.settimeout(10)
        self.connection, _ = self.listener.accept()
        self.threads = [threading.Thread(target=work) for work in (self.give, self.take)]
        for thread in self.threads:
            thread.start()

    def give(self):
        try:
            while True:
                self.connection.sendall(bytes(65536))
        except OSError:
            pass

    def take(self):
        try:
            while self.connection.recv(65536):
                pass
        except OSError:
            pass

    def in_the_middle(self, ub):
        def passed():
            seen = destination(ub)
            return seen["in_bytes"] > MIDDLE and seen["out_bytes"] > MIDDLE
        wait_until(passed, 10, "the transfer")

    def close(self):
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass    # the container's kernel has said good-bye
        for thread in self.threads:
            thread.join()
        self.connection.close()
        self.listener.close()


@pytest.mark.parametrize("backend, how", [(backend, "engine") for backend in TAPS + PAIRS] +
                         [(backend, "kernel") for backend in DOCKER])
def test_killed_in_the_middle_of_a_transfer(ub, put, peers, backend, how, patience):
    """By the engine, or its first process by the kernel."""
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_tap b near0")
    ub.ns.quiet("near0")
    ub.ns.ip("link set near0 up")
    near = peers.raw("near0")
    guest = put(backend)
    transfer = Transfer(ub, guest)
    transfer.in_the_middle(ub)
    guest.kill(how)
    transfer.close()
    wait_until(lambda: destination(ub)["state"] in ("waiting", "down"), 10 * patience,
               "the loss to be noticed")
    before = destination(ub)["drop_down"]
    burst(near)
    dropped(ub, "down", before + BURST)
    # an end of a pair goes down before it is deleted
    wait_until(lambda: burst(near) or destination(ub)["last_error"] == "No such device",
               1 * patience, "the reason")
    assert destination(ub)["last_error_age"] < 5
    both_ways(guest, near, guest.start(patience))


@of("tap")
@pytest.mark.plain_build
def test_clock_stepped(ub, guest, near, clock, patience):
    """Whether a run of the container is a new one has nothing to do with the clock."""
    for number, step in enumerate((86400 * 400, 0)):
        clock.step(step)
        both_ways(guest, near, patience)
        guest.kill()
        both_ways(guest, near, guest.start(patience, plugged=number + 2))
    assert wait_state(ub, "attached", "b")["since"] < 60
