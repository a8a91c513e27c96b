# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that lies, stalls, or breaks off: nothing but the link to its container suffers."""
import fcntl
import itertools
import json
import os
import resource
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

from lab.attachments import attachment, attachments, links_of, wait_state
from lab.wait import wait_until
from stub_engine import FLOOD, StubEngine, container

FAULTS = ("slow", "close_at_once", "close_mid", "truncated", "not_http", "wrong_json",
          "wrong_types", "empty_object", "deep", "empty", "404", "500", "rude", "redirect",
          "endless", "endless_headers", "huge_length")
# These take the client's own time-out to end.
STALLING = ("slow", "huge_length", "not_http")


class Stub(StubEngine):
    """Its container "one" is a process of the test's."""

    def __init__(self, path, mode="normal", only=""):
        super().__init__(path, mode, only)
        self.runs = 0
        self.containers = [container(self.ids[0], "one", 0, "exited"),
                           container(self.ids[1], "two", 0, "exited")]

    def run(self, process, number=0, tell=True):
        """A new run of a container."""
        self.runs += 1
        state = self.containers[number]["State"]
        state.update(Status="running", Running=True, Pid=process.pid,
                     StartedAt=f"2026-01-02T03:04:{self.runs:02}.000000000Z")
        if tell:
            self.emit("start", self.ids[number])

    def end(self, number=0, tell=True):
        self.containers[number]["State"].update(Status="exited", Running=False, Pid=0)
        if tell:
            self.emit("die", self.ids[number])


@pytest.fixture
def stub(directory):
    with Stub(f"{directory}/docker.sock") as engine:
        yield engine


@pytest.fixture
def sub(launch, stub):
    """A running program that speaks to the stub."""
    return launch(env={"DOCKER_HOST": f"unix://{stub.path}"})


def add(ub, options="", name="one", bridge="t", interface="eth1"):
    ub.ok(f"bridge create {bridge}")
    ub.ok(f"bridge add_nio_docker {bridge} {name} {interface} {options}")


def quick(client, within):
    begin = time.monotonic()
    client.ok("hypervisor version")
    client.ok("bridge list")
    client.ok("docker list")
    assert time.monotonic() - begin < within


# a 404 for a container is no fault: it is not there
@pytest.mark.parametrize("mode, only", [
    (mode, only) for mode in FAULTS for only in ("", "/containers", "/events")
    if (mode, only) != ("404", "/containers")])
def test_faults(sub, stub, tunnel, pause_process, mode, only, patience):
    """Commands and frames go on, replies are one line each; it heals when the engine does."""
    stub.mode, stub.only = mode, only
    process = pause_process()
    stub.run(process, tell=False)
    left, right = tunnel
    begin = time.monotonic()
    add(sub)
    assert time.monotonic() - begin < 1 * patience
    other = sub.client()
    for _ in range(20):
        quick(other, 0.1 * patience)
        left.send(b"unhurt")
        right.expect(b"unhurt")
    if only != "/events":
        line = attachment(sub)
        assert line["state"] == "waiting" and links_of(process.pid) == {"lo"}
        assert line["error"] is None or line["error"].isprintable()
    stub.mode = "normal"
    stub.close_streams()
    wait_state(sub, "attached", deadline=(25 if mode in STALLING else 7) * patience)
    assert "eth1" in links_of(process.pid)
    assert len(sub.output().splitlines()) < 30, sub.output()


def test_the_end_does_not_wait_for_the_engine(sub, stub, patience):
    stub.mode = "slow"
    add(sub)
    other = sub.client()
    other.send("docker engine")
    third = sub.client()
    third.send("docker wait one")
    wait_until(lambda: sum("version" in path for path in stub.log) >= 2, what="the requests")
    assert sub.stop() < 1 * patience


def test_nobody_waits_for_those_who_left(launch, stub, directory):
    """A client that waits for a container and leaves has no part in anything any more, while
    what it sent behind that is still done."""
    ub = launch(args=["-U", f"{directory}/control", "--max-clients", "4"],
                env={"DOCKER_HOST": f"unix://{stub.path}"})

    def connect():
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        return client if client.connect_ex(f"{directory}/control") == 0 else client.close()

    def leave(number):
        client = wait_until(connect, what="the socket")
        client.sendall(f"docker wait nobody\nbridge create b{number}\n".encode())
        client.close()
    for number in range(40):
        leave(number)
        wait_until(lambda: len(ub.ok("bridge list")) == number + 1, what="the rest to be done")
    asked = sum("/nobody/" in path for path in stub.log)
    stub.close_streams()
    wait_until(lambda: sum("/events" in path for path in stub.log) >= 2, what="another stream")
    ub.client().fails(215, "docker wait one 0")
    assert sum("/nobody/" in path for path in stub.log) == asked


def test_a_wait_goes_on_for_a_client_that_listens(launch, stub, pause_process):
    """It has said all that it wants to say, and is still there."""
    ub = launch(env={"DOCKER_HOST": f"unix://{stub.path}"})
    client = ub.client()
    client.send("docker wait one")
    client.sock.shutdown(socket.SHUT_WR)
    wait_until(lambda: any("/one/" in path for path in stub.log), what="the question")
    process = pause_process()
    stub.run(process)
    assert client.reply().text == str(process.pid)
    client.expect_eof()


def test_the_end_does_not_wait_for_a_name_server(launch, peers, patience):
    """One that is silent: nobody can end a look-up of the C library."""
    peers.udp(53)
    ub = launch(env={"DOCKER_HOST": "tcp://nowhere.test:2375"}, files={
        "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:10 attempts:2\n",
        "/etc/nsswitch.conf": "hosts: files dns\n"})
    add(ub)
    ub.client().send("docker engine")
    quick(ub, 0.1 * patience)
    assert ub.stop() < 3 * patience


def test_a_bridge_is_deleted_while_the_engine_is_asked(sub, stub, pause_process):
    """The answer comes when nobody wants it any more."""
    process = pause_process()
    stub.run(process, tell=False)
    stub.mode, stub.only = "trickle", "/containers"
    for _ in range(5):
        add(sub)
        wait_until(lambda: any("/containers/one" in path for path in stub.log), what="a request")
        sub.ok("bridge delete t")
        assert not attachments(sub)
        stub.log.clear()
    stub.mode = "normal"
    sub.ok("bridge create t")
    sub.ok("bridge add_nio_docker t one eth1 wait=20", deadline=25)
    assert links_of(process.pid) == {"lo", "eth1"} and sub.ns.links() == {"lo"}


@pytest.mark.parametrize("mode", ["chunked", "podman", "refuse_old_api", "late_headers"])
def test_engines_that_are_only_different(launch, directory, pause_process, mode):
    """Among them one that speaks nothing older than API 1.44."""
    with Stub(f"{directory}/docker.sock", mode) as stub:
        ub = launch(env={"DOCKER_HOST": f"unix://{stub.path}"})
        stub.run(pause_process())
        add(ub, "wait=10")
        second = pause_process()
        stub.end()
        stub.run(second)
        wait_state(ub, "attached", plugged=2, pid=second.pid, deadline=10)
        if mode == "refuse_old_api":
            assert " api=1.44 " in ub.ok("docker engine")[0]


def test_over_tcp(launch, ns, pause_process):
    with ns, Stub(None) as stub:
        ub = launch(env={"DOCKER_HOST": f"tcp://127.0.0.1:{stub.port}"})
        process = pause_process()
        stub.run(process, tell=False)
        add(ub, "wait=10")
        assert "eth1" in links_of(process.pid)


def test_flood(sub, stub, pause_process, tunnel, patience):
    """10,000 events of containers that matter, again and again."""
    process = pause_process()
    stub.run(process)
    add(sub, "wait=10")
    add(sub, "", "two", "s")
    with open(f"/proc/{sub.pid}/statm", encoding="ascii") as file:
        before = int(file.read().split()[1])
    line = stub.event("start", stub.ids[0]) + stub.event("start", stub.ids[1])
    left, right = tunnel
    other = sub.client()
    for _ in range(FLOOD // 200):
        stub.emit_raw(line * 100)
        quick(other, 0.3 * patience)
        left.send(b"unhurt")
        right.expect(b"unhurt")
    second = pause_process()
    stub.run(second, 1)
    wait_state(sub, "attached", "s", deadline=3 * patience)
    one = attachment(sub, "t")
    assert (one["plugged"], one["state"]) == (1, "attached"), "events of its own run change nothing"
    with open(f"/proc/{sub.pid}/statm", encoding="ascii") as file:
        grown = (int(file.read().split()[1]) - before) * os.sysconf("SC_PAGESIZE")
    assert patience > 1 or grown < 4 << 20, f"{grown} bytes more"


def test_questions_do_not_wait_for_attachments(sub, stub, pause_process, patience):
    """An engine that is slow with containers is asked by many at a time, not by all; a person who
    wants to know what is wrong with it is not one of those who wait."""
    stub.mode, stub.only = "slow", "/containers"
    for number in range(12):
        add(sub, bridge=f"t{number}", interface=f"eth{number}")
    begin = time.monotonic()
    assert " events=connected" in sub.ok("docker engine")[0]
    stub.mode = "normal"
    sub.ok("bridge create t")
    sub.fails(215, "docker pid one", "container 'one' is not running (exited)")
    sub.fails(215, "docker wait one 0")
    assert time.monotonic() - begin < 1 * patience


def test_descriptors_that_are_short_at_first(sub, stub):
    """libcurl is loaded with the first question; when that was in vain, with the next."""
    sub.ok("hypervisor version")
    limits = resource.prlimit(sub.pid, resource.RLIMIT_NOFILE)
    # what the engine's client itself takes, and nothing for the library
    used = {int(name) for name in os.listdir(f"/proc/{sub.pid}/fd")}
    free = next(number for number in itertools.count() if number not in used)
    resource.prlimit(sub.pid, resource.RLIMIT_NOFILE, (free + 1, limits[1]))
    assert "libcurl" in sub.fails(215, "docker engine")
    resource.prlimit(sub.pid, resource.RLIMIT_NOFILE, limits)
    sub.ok("docker engine")


# Events that do not come


def test_a_missed_start(sub, stub, pause_process, measure, patience):
    add(sub)
    for number in range(3):
        process = pause_process()
        begin = time.monotonic()
        stub.run(process, tell=False)
        wait_state(sub, "attached", plugged=number + 1)
        took = time.monotonic() - begin
        assert took < 2 * patience
        stub.end(tell=False)
        process.kill()
        wait_state(sub, "waiting", deadline=1 * patience)
    measure("a start that no event told of", took)


def test_a_missed_restart(sub, stub, pause_process, patience):
    """Neither the end nor the start is told, and the engine may say first that nothing changed."""
    first, second = pause_process(), pause_process()
    stub.run(first)
    add(sub, "wait=10")
    first.kill()
    wait_state(sub, "waiting", deadline=1 * patience)
    stub.run(second, tell=False)
    wait_state(sub, "attached", pid=second.pid, deadline=2 * patience)


def test_a_gap(sub, stub, pause_process, measure, patience):
    """The stream breaks, and what happens before it is back is found out."""
    first = pause_process()
    stub.run(first)
    add(sub, "wait=10")
    for number in range(5):
        stub.close_streams()
        second = pause_process()
        stub.end(tell=False)
        first.kill()
        begin = time.monotonic()
        stub.run(second, tell=False)
        wait_state(sub, "attached", pid=second.pid, plugged=number + 2)
        took = time.monotonic() - begin
        assert took < 2 * patience
        first = second
    measure("a restart in a gap of the event stream", took)


def test_the_engine_goes_and_another_comes(launch, directory, pause_process, patience):
    path = f"{directory}/docker.sock"
    with Stub(path) as stub:
        ub = launch(env={"DOCKER_HOST": f"unix://{path}"})
        stub.run(pause_process())
        add(ub, "wait=10")
    assert attachment(ub)["state"] == "attached"
    os.unlink(path)
    begin = time.monotonic()
    second = pause_process()
    with Stub(path, "refuse_old_api") as stub:
        stub.runs = 7
        stub.run(second, tell=False)
        wait_state(ub, "attached", pid=second.pid, deadline=2 * patience)
    assert time.monotonic() - begin < 3 * patience


# Numbers of interfaces


def add_pair(ub, stub, process, kind):
    """A container's interface whose other end is on the host: the name of that."""
    stub.run(process, tell=False)
    if kind == "docker":
        add(ub, "backend=veth host_if=gv0 wait=10")
    else:
        ub.ok("bridge create t")
        ub.ok("docker create_veth gv0 gc0")
        ub.ok(f"docker move_to_ns gc0 {process.pid} eth1")
        ub.ok("bridge add_nio_ethernet t gv0")
        wait_state(ub, "attached", plugged=1)


def index_of(ns, interface):
    return int(ns.ip(f"-o link show {interface}").split(":")[0])


@pytest.mark.parametrize("kind", ["docker", "moved"])
def test_the_number_of_a_former_interface_is_anothers(sub, stub, pause_process, kind):
    """When the container runs again, nobody else's interface goes."""
    first, second = pause_process(), pause_process()
    add_pair(sub, stub, first, kind)
    index = index_of(sub.ns, "gv0")
    stub.end()
    first.kill()
    wait_state(sub, "waiting")
    wait_until(lambda: "gv0" not in sub.ns.links(), what="the end of the pair")
    sub.ns.ip(f"link add mine index {index} type veth peer name mine2")
    stub.run(second)
    wait_state(sub, "attached", pid=second.pid)
    assert {"mine", "gv0"} <= sub.ns.links()


@pytest.mark.parametrize("kind, end", [("docker", "kill"), ("moved", "kill"), ("docker", "delete")])
def test_the_number_of_a_deleted_interface_is_anothers(sub, stub, pause_process, kind, end):
    """Nobody has noticed yet that the pair is gone, since the bridge does not run."""
    process = pause_process()
    add_pair(sub, stub, process, kind)
    index = index_of(sub.ns, "gv0")
    sub.ns.ip("link del gv0")
    sub.ns.ip(f"link add mine index {index} type veth peer name mine2")
    if end == "kill":
        stub.end()
        process.kill()
        wait_state(sub, "waiting")
    else:
        sub.ok("bridge delete t")
    sub.stop()
    assert sub.ns.links() == {"lo", "mine", "mine2"}


def test_an_interface_that_was_renamed_is_still_ours(sub, stub, pause_process):
    add_pair(sub, stub, pause_process(), "docker")
    sub.ns.ip("link set gv0 down")
    sub.ns.ip("link set gv0 name renamed")
    sub.ok("bridge delete t")
    assert sub.ns.links() == {"lo"}


# What this host lacks


@pytest.fixture
def without_tun(binary, directory):
    """A program without /dev/net/tun, and what puts that there."""
    os.mkdir(f"{directory}/dev")
    script = f"{directory}/without-tun"
    with open(script, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\nexec unshare -m sh -c 'mount --bind {directory}/dev /dev/net && "
                   f"exec \"$0\" \"$@\"' {binary} \"$@\"\n")
    os.chmod(script, 0o755)

    def mend():
        os.mknod(f"{directory}/dev/tun", 0o666 | stat.S_IFCHR, os.makedev(10, 200))
    return script, mend


@pytest.mark.parametrize("reference", ["name", "id"])
def test_no_tap_devices(launch, stub, pause_process, without_tun, reference, patience):
    """That a file is not there does not mean that the container is not: it is told, and tried
    again."""
    script, mend = without_tun
    ub = launch(binary=script, env={"DOCKER_HOST": f"unix://{stub.path}"})
    process = pause_process()
    stub.run(process, tell=False)
    add(ub, name="one" if reference == "name" else stub.ids[0])
    want = "/dev/net/tun: No such file or directory"
    wait_until(lambda: want in (attachment(ub)["error"] or ""), what="the reason")
    assert want in ub.stderr() and attachment(ub)["state"] == "waiting"
    mend()
    wait_state(ub, "attached", pid=process.pid, deadline=7 * patience)


# Two engines


@pytest.fixture
def with_sockets(binary, directory):
    """A program that finds the sockets of this directory in /run."""
    os.makedirs(f"{directory}/run/podman")
    script = f"{directory}/with-sockets"
    with open(script, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\nexec unshare -m sh -c 'mount --bind {directory}/run /run && "
                   f"exec \"$0\" \"$@\"' {binary} \"$@\"\n")
    os.chmod(script, 0o755)
    return script


@pytest.mark.parametrize("reference", ["name", "id"])
def test_while_one_engine_is_away_the_other_is_not_asked(launch, directory, pause_process,
                                                         with_sockets, reference, patience):
    """Podman knows nothing of that id, and has another container of that name."""
    path = f"{directory}/run/docker.sock"
    first, second, stranger = pause_process(), pause_process(), pause_process()
    with Stub(f"{directory}/run/podman/podman.sock", "podman") as podman:
        podman.containers[0]["Id"] = "dd" + "3" * 62
        podman.run(stranger, tell=False)
        with Stub(path) as stub:
            stub.run(first, tell=False)
            ub = launch(binary=with_sockets, env={"DOCKER_HOST": ""})
            add(ub, "wait=10", "one" if reference == "name" else stub.ids[0])
            os.unlink(path)
        first.kill()
        wait_state(ub, "waiting")
        wait_until(lambda: (attachment(ub)["error"] or "").startswith(
            "docker engine at unix:///var/run/docker.sock"), what="the reason")
        assert attachment(ub)["state"] == "waiting"
        assert links_of(stranger.pid) == {"lo"} and not podman.log
        with Stub(path) as stub:
            stub.runs = 7
            stub.run(second, tell=False)
            wait_state(ub, "attached", pid=second.pid, deadline=7 * patience)


def test_the_other_engine_where_the_first_is_not_installed(launch, directory, pause_process,
                                                           with_sockets):
    process = pause_process()
    with Stub(f"{directory}/run/podman/podman.sock", "podman") as podman:
        podman.run(process, tell=False)
        ub = launch(binary=with_sockets, env={"DOCKER_HOST": ""})
        add(ub, "wait=10")
        assert "endpoint=unix:///run/podman/podman.sock engine=podman" in \
            ub.ok("docker engine")[0]
        assert "eth1" in links_of(process.pid)


# Numbers of processes


class Liar(Stub):
    """Names one process, and when it is asked again, another one."""
    answers = ()

    def inspect(self, reference):
        status, value = super().inspect(reference)
        if status == 200 and self.answers:
            pid, started_at = self.answers[0]
            if len(self.answers) > 1:
                self.answers = self.answers[1:]
            value = json.loads(json.dumps(value))
            value["State"].update(Status="running", Running=True, Pid=pid, StartedAt=started_at)
        return status, value


@pytest.mark.parametrize("backend", ["tap", "veth"])
def test_a_number_that_is_used_again(launch, directory, pause_process, backend):
    """What the engine says twice in the same way counts, and nothing else gets the interface."""
    bystander, real = pause_process(), pause_process()
    with Liar(f"{directory}/docker.sock") as stub:
        ub = launch(env={"DOCKER_HOST": f"unix://{stub.path}"})
        stub.answers = [(bystander.pid, "A"), (real.pid, "B"), (bystander.pid, "B"),
                        (bystander.pid, "C"), (real.pid, "D"), (real.pid, "D")]
        add(ub, f"backend={backend}")
        wait_state(ub, "attached", pid=real.pid)
        assert links_of(bystander.pid) == {"lo"} and "eth1" in links_of(real.pid)


def test_processes_that_are_none(launch, directory, pause_process):
    """Dead ones, those that can not be, and our own."""
    gone = pause_process()
    gone.kill()
    gone.wait()
    with Liar(f"{directory}/docker.sock") as stub:
        ub = launch(env={"DOCKER_HOST": f"unix://{stub.path}"})
        ub.ok("bridge create s")
        for pid in (gone.pid, 4194303, ub.pid):
            stub.answers = [(pid, "A")]
            reply = ub.cmd("bridge add_nio_docker s one eth1 wait=1")
            assert reply.code == 206, reply
            assert ub.ns.links() == {"lo"}
        assert "in the network namespace of ubridge" in reply.text


def test_an_engine_with_another_pid_namespace(launch, directory, pause_process, patience):
    """Its numbers are nobody's here, and that is what is told, not that nothing runs."""
    gone, real = pause_process(), pause_process()
    gone.kill()
    gone.wait()
    with Liar(f"{directory}/docker.sock") as stub:
        ub = launch(env={"DOCKER_HOST": f"unix://{stub.path}"})
        stub.answers = [(gone.pid, "A")]
        want = f"process {gone.pid} of the engine is not in this PID namespace"
        ub.ok("bridge create s")
        assert want in ub.fails(206, "bridge add_nio_docker s one eth1 wait=2")
        add(ub)
        wait_until(lambda: attachment(ub)["error"] == want, what="the reason")
        assert ub.stderr().count(f"docker one:eth1: {want}") == 2, ub.stderr()
        stub.answers = [(real.pid, "B")]
        wait_state(ub, "attached", pid=real.pid, deadline=7 * patience)


def test_an_engine_that_is_slow_to_notice_an_end(launch, directory, pause_process):
    """For a moment it names the process of the run that is over; nobody has to read of that."""
    gone, real = pause_process(), pause_process()
    gone.kill()
    gone.wait()
    with Liar(f"{directory}/docker.sock") as stub:
        ub = launch(env={"DOCKER_HOST": f"unix://{stub.path}"})
        stub.answers = [(gone.pid, "A"), (gone.pid, "A"), (real.pid, "B")]
        add(ub, "wait=5")
        assert attachment(ub)["pid"] == real.pid
        assert "PID namespace" not in ub.output()


def test_wrong_ids(launch, directory, pause_process):
    """The answer to the second question is about another container."""
    class Confused(Stub):
        def inspect(self, reference):
            status, value = super().inspect(reference)
            if reference == self.ids[0]:
                value = dict(value, Id=self.ids[1])
            return status, value
    process = pause_process()
    with Confused(f"{directory}/docker.sock") as stub:
        ub = launch(env={"DOCKER_HOST": f"unix://{stub.path}"})
        stub.run(process, tell=False)
        ub.ok("bridge create t")
        ub.fails(206, "bridge add_nio_docker t one eth1 wait=2")
        assert links_of(process.pid) == {"lo"} and ub.ns.links() == {"lo"}


def test_a_container_whose_name_is_not_told(sub, stub, pause_process):
    """As while it is removed: the name that the user has given stays what is waited for."""
    stub.look_up = lambda path: (200, dict(stub.containers[0], Name="")) \
        if path.startswith("/containers/one/") else Stub.look_up(stub, path)
    add(sub)
    assert attachment(sub)["error"] is None
    del stub.look_up
    removed = stub.containers.pop(0)
    stub.emit("destroy", removed["Id"])
    stub.containers[0]["Name"] = "/one"
    process = pause_process()
    stub.run(process, tell=False)
    stub.emit("start", stub.containers[0]["Id"])
    wait_state(sub, "attached", pid=process.pid)


def test_an_ambiguous_prefix(sub, stub):
    stub.containers[1]["Id"] = stub.ids[0][:-1] + "1"
    sub.ok("bridge create t")
    assert "more than one container" in \
        sub.fails(206, f"bridge add_nio_docker t {stub.ids[0][:12]} eth1")


def test_the_interface_is_deleted_under_a_container_that_ends(sub, stub, pause_process):
    """Twenty runs, each ended without warning while frames pass."""
    add(sub, "ip=10.9.0.1/24")
    sub.ok("bridge add_nio_docker t two eth1 backend=veth ip=10.9.0.2/24")
    sub.ok("bridge start t")
    for number in range(20):
        pair = pause_process(), pause_process()
        for index, process in enumerate(pair):
            stub.run(process, index)
        for bridge_line in (0, 1):
            wait_until(lambda: attachments(sub)[bridge_line]["plugged"] == number + 1 and
                       attachments(sub)[bridge_line]["state"] == "attached", what="both")
        for index, process in enumerate(pair):
            process.kill()
            stub.end(index, tell=bool(number & 1))
    wait_until(lambda: {line["state"] for line in attachments(sub)} == {"waiting"},
               what="both to be gone")
    sub.ok("bridge delete t")
    wait_until(lambda: sub.ns.links() == {"lo"}, what="all interfaces to be gone")


# What is deleted while the engine thinks


class Thinking(Stub):
    """Says nothing of containers before it is allowed to."""
    allowed = None

    def inspect(self, reference):
        if self.allowed:
            assert self.allowed.wait(20)
        return super().inspect(reference)


@pytest.fixture
def thinking(directory):
    with Thinking(f"{directory}/docker.sock") as engine:
        engine.allowed = threading.Event()
        yield engine
        engine.allowed.set()


def move_tap(ub, pid):
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_tap b tap-gns3-e0")
    ub.ok(f"docker move_to_ns tap-gns3-e0 {pid} eth0")


def move_veth(ub, pid):
    ub.ok("docker create_veth gv0 gc0")
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_ethernet b gv0")
    ub.ok(f"docker move_to_ns gc0 {pid} eth0")


def is_not_brought_back(ub, stub, pause_process):
    """The next run has what is plugged after it, and nothing that would have come before that;
    but for what was under way when it was deleted, which is taken out again at once."""
    process = pause_process()
    stub.run(process)
    ub.ok("bridge create t")
    ub.ok("bridge add_nio_docker t one eth9 wait=10", deadline=15)
    wait_until(lambda: links_of(process.pid) == {"lo", "eth9"}, what="nothing but eth9")
    assert [line["bridge"] for line in attachments(ub)] == ["t"]


@pytest.mark.parametrize("move, end", [
    (move_veth, "docker delete_veth gv0"), (move_veth, "bridge delete b"),
    (move_veth, "hypervisor reset"), (move_tap, "bridge delete b"),
    (move_tap, "hypervisor reset"),
])
def test_deleted_before_the_engine_has_said_whose_it_is(launch, thinking, pause_process, move, end):
    ub = launch(env={"DOCKER_HOST": f"unix://{thinking.path}"})
    process = pause_process()
    thinking.run(process)
    move(ub, process.pid)
    wait_until(lambda: any("/containers/" in path for path in thinking.log), what="the question")
    ub.ok(end)
    thinking.allowed.set()
    ub.ok("docker pid one", str(process.pid))
    assert not attachments(ub)
    process.kill()
    thinking.end()
    is_not_brought_back(ub, thinking, pause_process)


def test_deleted_while_its_container_does_not_run(sub, stub, pause_process):
    """The pair has gone with the container, but to delete it is to want it no more."""
    process = pause_process()
    stub.run(process)
    move_veth(sub, process.pid)
    wait_state(sub, "attached", "b")
    process.kill()
    stub.end()
    wait_state(sub, "waiting", "b")
    wait_until(lambda: "gv0" not in sub.ns.links(), what="the pair to go")
    sub.fails(207, "docker delete_veth gv0", "could not find interface index for gv0")
    assert not attachments(sub)
    is_not_brought_back(sub, stub, pause_process)


@pytest.mark.parametrize("options", ["", "backend=veth host_if=h"])
def test_made_again_while_the_former_is_still_being_plugged(sub, stub, pause_process, options):
    """What is in the way is on its way out: that is no reason to refuse."""
    process = pause_process()
    stub.run(process, tell=False)
    other = sub.client()
    for number in range(0, 60, 5):
        sub.ok("bridge create t")
        sub.send(f"bridge add_nio_docker t one eth1 {options}")
        # other moments of the plug in each round: each command takes its time
        for _ in range(number):
            other.ok("hypervisor version")
        other.ok("bridge delete t")
        sub.reply()
        sub.ok("bridge create t")
        sub.ok(f"bridge add_nio_docker t one eth1 {options} wait=10", deadline=15)
        sub.ok("bridge delete t")
    wait_until(lambda: links_of(process.pid) == {"lo"} and sub.ns.links() == {"lo"},
               what="all to be gone")


@pytest.mark.parametrize("backend", ["tap", "veth"])
def test_many_are_taken_away_at_a_time(sub, stub, pause_process, measure, patience, backend):
    """The kernel is slow to end a device, but ends many in the same time."""
    stub.run(pause_process(), tell=False)
    took = []
    for _ in range(3):
        for number in range(30):
            add(sub, f"backend={backend} wait=10", bridge=f"t{number}",
                interface=f"eth{number}")
        begin = time.monotonic()
        sub.ok("hypervisor reset", deadline=60)
        took.append(time.monotonic() - begin)
    measure(f"reset with 30 Docker NIOs, {backend}", min(took))
    assert sub.ns.links() == {"lo"}
    assert min(took) < 0.4 * patience, took


def change_macs(namespace, stop):
    """What a device manager may do to interfaces that it sees for the first time."""
    with namespace, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, \
            open("/proc/thread-self/net/dev", encoding="ascii") as table:
        while not stop.is_set():
            table.seek(0)
            for line in table.readlines()[2:]:
                request = struct.pack("16sH6s16x", line.split(":")[0].strip().encode(), 1,
                                      bytes.fromhex("02deaddead00"))
                try:
                    fcntl.ioctl(sock, 0x8924, request)
                except OSError:
                    pass


@pytest.mark.parametrize("backend", ["tap", "veth"])
def test_somebody_changes_the_mac_address(sub, stub, pause_process, backend):
    """Until the interface is in the container anybody can; in there it has the right one."""
    process, stop = pause_process(), threading.Event()
    stub.run(process, tell=False)
    thread = threading.Thread(target=change_macs, args=(sub.ns, stop))
    thread.start()
    try:
        for _ in range(20):
            add(sub, f"mac=02:11:22:33:44:55 backend={backend} wait=10")
            shown = subprocess.run(["nsenter", "-n", "-t", str(process.pid), "ip", "link", "show",
                                    "eth1"], stdout=subprocess.PIPE, text=True, check=True)
            assert "02:11:22:33:44:55" in shown.stdout
            sub.ok("bridge delete t")
    finally:
        stop.set()
        thread.join()
