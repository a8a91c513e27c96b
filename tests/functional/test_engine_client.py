# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of the Docker Engine, through engine_probe.

Set ENGINE_PROBE where the program is not beside UBRIDGE, in tests/functional.
"""
import os
import re
import shutil
import subprocess
import threading
import time

import pytest

from lab.engine import ENGINE_LIB, IMAGE
from lab.program import SANITIZER_REPORT
from lab.wait import wait_until
from podman_service import IMAGE as PODMAN_IMAGE, PodmanService
from stub_engine import FLOOD, StubEngine

ACTIONS = ("create", "start", "restart", "pause", "unpause", "kill", "die", "stop", "destroy")

# What a fault gives where a whole answer is read
ANSWERS = {
    "slow": "ETIMEDOUT", "trickle": "ETIMEDOUT", "huge_length": "ETIMEDOUT",
    "close_at_once": "ECONNRESET", "close_mid": "ECONNRESET",
    "endless": "EMSGSIZE", "endless_headers": "EMSGSIZE",
    "404": "EREMOTEIO", "500": "EREMOTEIO", "rude": "EREMOTEIO", "redirect": "EREMOTEIO",
    "truncated": "EPROTO", "not_http": "EPROTO", "wrong_json": "EPROTO",
    "wrong_types": "EPROTO", "empty_object": "EPROTO", "deep": "EPROTO", "empty": "EPROTO",
}

# and what it gives in a stream of events
STREAMS = {
    "close_at_once": "ECONNRESET", "close_mid": "ECONNRESET", "empty": "ECONNRESET",
    "endless": "EMSGSIZE", "endless_headers": "EMSGSIZE", "trickle": "ETIMEDOUT",
    "404": "EREMOTEIO", "500": "EREMOTEIO", "rude": "EREMOTEIO", "redirect": "EREMOTEIO",
    "truncated": "EPROTO", "not_http": "EPROTO", "wrong_json": "EPROTO",
    "wrong_types": "EPROTO", "empty_object": "EPROTO", "deep": "EPROTO",
}


@pytest.fixture(scope="session")
def probe_binary():
    beside = os.path.dirname(os.path.abspath(os.environ.get("UBRIDGE", "x")))
    path = os.environ.get("ENGINE_PROBE", os.path.join(beside, "tests/probe/engine_probe"))
    if not os.access(path, os.X_OK):
        pytest.skip(f"no engine_probe at {path}")
    return path


class Probe:
    """Runs engine_probe against one DOCKER_HOST."""

    def __init__(self, binary, host, **environment):
        self.argv = [binary]
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
        self.environment.update(environment)
        if host is not None:
            self.environment["DOCKER_HOST"] = host

    def lines(self, *args, **kwargs):
        done = subprocess.run([*kwargs.pop("wrapper", ()), *self.argv, *args],
                              env=self.environment, timeout=60, text=True, **kwargs,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode in (0, 1) and not done.stderr, (done.returncode, done.stderr)
        return done.stdout.splitlines()

    def ok(self, *args, **kwargs):
        """The last line, as a dictionary."""
        line = self.lines(*args, **kwargs)[-1]
        assert not line.startswith("error"), line
        return dict(part.split("=", 1) for part in line.split(" "))

    def fails(self, code, *args, **kwargs):
        """The text of the error, which has this code."""
        lines = self.lines(*args, **kwargs)
        assert lines and lines[-1].startswith(f"error {code} "), lines
        assert len(lines) == 1 and lines[0].isprintable() and lines[0].isascii(), lines
        return lines[0].split(" ", 2)[2]

    def watch(self, *args):
        return Watch([*self.argv, *args, "watch"], self.environment)


class Watch:
    """A running engine_probe watch, and what it has printed."""

    def __init__(self, argv, environment):
        self.lines = []
        self.process = subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def count(self, start):
        return sum(line.startswith(start) for line in self.lines)

    def wait(self, start, count=1, deadline=10):
        """Wait until so many lines begin with start; returns them."""
        wait_until(lambda: self.count(start) >= count, deadline, f"{count} x {start}")
        return [line for line in self.lines if line.startswith(start)]

    def events(self):
        return [line.split(" ", 1)[1] for line in self.lines if line.startswith("event ")]

    def stop(self):
        """End it; returns the milliseconds that took."""
        if self.process.stdin.closed:
            return None
        self.process.stdin.close()
        assert self.process.wait(20) == 0
        self.reader.join()
        errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        assert not SANITIZER_REPORT.search(errors), errors
        return int(self.lines[-1].split("=")[1])


@pytest.fixture
def make_probe(probe_binary):
    return lambda host=None, **environment: Probe(probe_binary, host, **environment)


@pytest.fixture
def watching():
    """Starts a watch with probe; all of them end with the test."""
    running = []

    def start(probe, *args):
        running.append(probe.watch(*args))
        return running[-1]
    yield start
    for watch in running:
        watch.stop()


@pytest.fixture
def stub(directory, make_probe):
    """stub(mode, only) -> (StubEngine, Probe)"""
    running = []

    def start(mode="normal", only=""):
        path = f"{directory}/engine{len(running)}.sock"
        engine = StubEngine(path, mode, only)
        running.append(engine)
        engine.__enter__()
        return engine, make_probe("unix://" + path)
    yield start
    for engine in running:
        engine.__exit__()


# Answers

def test_version(stub):
    _, probe = stub()
    info = probe.ok("version")
    assert (info["version"], info["api"], info["api_used"], info["podman"]) == \
        ("99.1", "1.41", "1.41", "0")


def test_engine_of_today(stub):
    """Nothing below API 1.44 is asked of an engine that refuses it."""
    engine, probe = stub("refuse_old_api")
    assert probe.ok("version")["api_used"] == "1.44"
    assert probe.ok("inspect", "one")["pid"] == "1001"
    assert "/v1.44/containers/one/json" in engine.log


def test_engine_of_tomorrow(stub):
    engine, probe = stub("refuse_old_api")
    engine.api, engine.api_min = "2.3", "1.99"
    assert probe.ok("version")["api_used"] == "1.99"
    assert probe.ok("inspect", "one")["pid"] == "1001"


def test_engine_too_old(stub):
    engine, probe = stub()
    engine.api = "1.18"
    assert "at least 1.24" in probe.fails("EPROTO", "version")


def test_engine_replaced(stub):
    """Another engine behind the same socket, which wants another version."""
    engine, probe = stub()
    process = subprocess.Popen([*probe.argv, "inspect", "-"], env=probe.environment, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask():
        process.stdin.write("one\n")
        process.stdin.flush()
        return process.stdout.readline()
    assert "pid=1001" in ask()
    engine.api, engine.api_min = "1.52", "1.44"
    assert "pid=1001" in ask()
    engine.api, engine.api_min = "1.30", "1.12"
    assert "pid=1001" in ask()
    process.communicate()
    assert [p for p in engine.log if "containers" in p][-1].startswith("/v1.30/")


def test_inspect(stub):
    engine, probe = stub()
    one = probe.ok("inspect", "one")
    assert one == {"id": engine.ids[0], "name": "one", "state": "running", "pid": "1001",
                   "network": "own", "mode": "none", "started": "2026-01-02T03:04:05.678901234Z"}
    assert probe.ok("inspect", engine.ids[0]) == one
    assert probe.ok("inspect", "aa0") == one
    three = probe.ok("inspect", "three")
    assert (three["state"], three["network"]) == ("paused", "host")
    assert probe.ok("inspect", "two")["pid"] == "0"


def test_list(stub):
    _, probe = stub()
    lines = probe.lines("list")
    assert len(lines) == 3 and lines[-1] == "count=2" and "name=three state=paused" in lines[1]


@pytest.mark.parametrize("mode", ["normal", "podman"])
def test_not_found_and_ambiguous(stub, mode):
    _, probe = stub(mode)
    assert probe.fails("ENOENT", "inspect", "nope") == "no such container: nope"
    assert "begins with a" in probe.fails("ENOTUNIQ", "inspect", "a")


@pytest.mark.parametrize("reference", ["", "..", "../version", "a/b", "a b", "a?x=1", "-a", "a%2e",
                                       "a\r\nX: y", "\u00e4", "a" * 256])
def test_reference_is_checked(stub, reference):
    """What is no name never reaches the engine."""
    engine, probe = stub()
    probe.fails("EINVAL", "inspect", reference)
    assert not engine.log


@pytest.mark.parametrize("mode", ANSWERS)
def test_faults_of_version(stub, mode):
    _, probe = stub(mode)
    probe.fails(ANSWERS[mode], "-t", "400", "version")


@pytest.mark.parametrize("mode", ANSWERS)
def test_faults_of_inspect_and_list(stub, mode):
    _, probe = stub(mode, "/containers")
    probe.fails("ENOENT" if mode == "404" else ANSWERS[mode], "-t", "400", "inspect", "one")
    probe.fails(ANSWERS[mode], "-t", "400", "list")
    probe.fails(ANSWERS[mode], "-t", "400", "pid", str(os.getpid()))


def test_chunked_and_slow_but_good(stub):
    engine, probe = stub("chunked")
    assert probe.ok("inspect", "one")["id"] == engine.ids[0]
    engine.mode = "trickle"
    assert probe.ok("version")["version"] == "99.1"


def test_engine_says_why(stub):
    _, probe = stub("500")
    assert probe.fails("EREMOTEIO", "version").endswith("version: status 500: on fire")


def test_rude_text_stays_on_its_line(stub):
    _, probe = stub("rude")
    assert probe.fails("EREMOTEIO", "version").endswith("a??100-OK?[2J??")


def test_find_by_pid(stub):
    engine, probe = stub()
    engine.containers[2]["State"]["Pid"] = os.getpid()
    assert probe.ok("pid", str(os.getpid()))["name"] == "three"
    assert "belongs to no container" in probe.fails("ENOENT", "pid", "1")


def test_find_by_pid_of_a_dead_process(stub):
    """Known without asking the engine."""
    engine, probe = stub("slow")
    with subprocess.Popen(["true"]) as process:
        process.wait()
        probe.fails("ESRCH", "pid", str(process.pid))
    assert not engine.log


def test_find_by_pid_of_a_process_that_is_hidden(stub):
    """The /proc of some hosts and units shows nobody the processes of others."""
    engine, probe = stub()
    os.chmod(engine.path, 0o666)
    engine.containers[2]["State"]["Pid"] = os.getpid()
    wrapper = ["unshare", "-m", "sh", "-c", "mount -t proc -o hidepid=2 proc /proc && "
               "! setpriv --reuid=65534 --regid=65534 --clear-groups test -e /proc/$PPID && "
               'exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"', "sh"]
    assert probe.ok("pid", str(os.getpid()), wrapper=wrapper)["name"] == "three"
    assert "belongs to no container" in probe.fails("ENOENT", "pid", "1", wrapper=wrapper)
    with subprocess.Popen(["true"]) as process:
        process.wait()
        probe.fails("ESRCH", "pid", str(process.pid), wrapper=wrapper)


@pytest.mark.parametrize("mode", ["slow", "trickle", "endless_headers", "huge_length"])
def test_abort(stub, patience, mode):
    _, probe = stub(mode)
    lines = probe.lines("-a", "100", "version")
    if mode != "endless_headers":
        assert lines[0].startswith("error ECANCELED"), lines
    assert int(lines[1].split("=")[1]) < 50 * patience, lines


def test_threads_share_an_engine(stub):
    _, probe = stub()
    assert probe.ok("hammer", "one") == {"failures": "0"}


# Addresses

@pytest.mark.parametrize("host, code, text", [
    ("ssh://root@example.net", "EREMOTE", "same host"),
    ("tcp://192.0.2.1:2375", "EREMOTE", "192.0.2.1 is not an address of this host"),
    ("tcp://[2001:db8::1]", "EREMOTE", "not an address of this host"),
    ("npipe:////./pipe/docker_engine", "EPROTONOSUPPORT", "Windows"),
    ("fd://", "EPROTONOSUPPORT", "a client needs unix:// or tcp://"),
    ("http://127.0.0.1", "EINVAL", "unix://PATH or tcp://HOST:PORT"),
    ("/var/run/docker.sock", "EINVAL", "unix://PATH or tcp://HOST:PORT"),
    ("tcp://127.0.0.1:0x10", "EINVAL", "tcp://HOST:PORT"),
    ("tcp://127.0.0.1/path", "EINVAL", "tcp://HOST:PORT"),
    ("tcp://no-such-host.invalid:1", "ENOTCONN", "can not find no-such-host.invalid"),
    ("unix://" + "/x" * 60, "ENAMETOOLONG", "too long"),
    ("unix:///nonexistent/docker.sock", "ENOTCONN", "no such socket"),
    ("unix:///etc/passwd", "ENOTCONN", "nothing listens"),
    ("tcp://127.0.0.1:1", "ENOTCONN", "nothing listens"),
    ("tcp://[::1]:1", "ENOTCONN", ""),
    ("tcp://localhost:1", "ENOTCONN", ""),
])
def test_addresses(make_probe, host, code, text):
    said = make_probe(host).fails(code, "version")
    assert said.startswith(f"docker engine at {host}: ") and text in said


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_an_address_that_one_may_bind_to_is_not_an_own_one(make_probe, address):
    """Hosts that take over addresses of others let programs bind to these before they do."""
    host = f"tcp://[{address}]:2375" if ":" in address else f"tcp://{address}:2375"
    script = ("ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind; "
              "echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind; ")
    wrapper = ["unshare", "-n", "sh", "-c", script + 'exec "$@"', "sh"]
    said = make_probe(host).fails("EREMOTE", "version", wrapper=wrapper)
    assert "not an address of this host" in said
    wrapper[4] = script + f"ip addr add {address} dev lo; " + 'exec "$@"'
    assert "nothing listens" in make_probe(host).fails("ENOTCONN", "version", wrapper=wrapper)


def test_no_right_to_the_socket(stub):
    engine, probe = stub()
    os.chmod(engine.path, 0o600)
    said = probe.fails("EACCES", "version", wrapper=[
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"])
    assert "no right to use the socket" in said


def test_socket_without_a_listener(stub, make_probe):
    engine, probe = stub()
    engine.__exit__()
    probe.fails("ENOTCONN", "inspect", "one")


def test_tcp(make_probe):
    """Proxies of the environment are none of its business."""
    with StubEngine() as engine:
        for name in ("127.0.0.1", "localhost"):
            probe = make_probe(f"tcp://{name}:{engine.port}", http_proxy="http://192.0.2.1:1")
            assert probe.ok("inspect", "one")["pid"] == "1001"


def make_certificates(where):
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=where, check=True, stderr=subprocess.DEVNULL)
    with open(where + "/extensions", "w", encoding="utf-8") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ca", "-days", "2",
            "-keyout", "ca-key.pem", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
            "-keyout", "key.pem", "-out", "request.pem")
    openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
            "-CAcreateserial", "-days", "2", "-extfile", "extensions", "-out", "cert.pem")


def test_tls(directory, make_probe):
    """Both sides show a certificate; who verifies refuses a stranger's."""
    good, other = directory + "/good", directory + "/other"
    for where in (good, other):
        os.mkdir(where)
        make_certificates(where)
    with StubEngine(cert=good) as engine:
        host = f"tcp://localhost:{engine.port}"
        verify = {"DOCKER_TLS_VERIFY": "1"}
        assert make_probe(host, DOCKER_CERT_PATH=good, **verify).ok("inspect", "one")
        os.mkdir(directory + "/home")
        os.symlink(good, directory + "/home/.docker")
        assert make_probe(host, HOME=directory + "/home", **verify).ok("version")
        make_probe(host, DOCKER_CERT_PATH=other, **verify).fails("EPROTO", "version")
        make_probe(host, DOCKER_CERT_PATH=directory, **verify).fails("EPROTO", "version")
        shutil.copy(other + "/ca.pem", good)
        make_probe(host, DOCKER_CERT_PATH=good, **verify).fails("EPROTO", "version")
        assert make_probe(host, DOCKER_CERT_PATH=good, DOCKER_TLS="1").ok("version")


# Events

def test_events(stub, watching):
    engine, probe = stub()
    watch = watching(probe)
    watch.wait("connected")
    for action in ACTIONS:
        engine.emit(action, engine.ids[0])
    engine.emit("exec_create: /bin/sh -c true", engine.ids[0])
    engine.emit("health_status: healthy", engine.ids[0])
    engine.emit_raw(b'{"Type":"network","Action":"start","Actor":{"ID":"x"}}\r\n\n')
    engine.emit("rename", engine.ids[0], oldName="/uno")
    engine.emit("died", engine.ids[1])
    engine.emit("remove", engine.ids[1])
    watch.wait("event", len(ACTIONS) + 3)
    end = f"id={engine.ids[0]} name=one"
    assert watch.events() == [f"{action} {end}" for action in ACTIONS] + [
        f"rename {end}", f"die id={engine.ids[1]} name=two",
        f"destroy id={engine.ids[1]} name=two"]
    assert watch.count("disconnected") == 0


def test_events_of_today(stub, watching):
    engine, probe = stub("refuse_old_api")
    watch = watching(probe)
    watch.wait("connected")
    engine.emit("start", engine.ids[0])
    watch.wait("event start")
    assert any(path.startswith("/v1.44/events?since=") for path in engine.log)


def test_since(stub, watching):
    """Docker is asked for what happens from before the request on, Podman is not."""
    filters = 'filters={"type":["container"]}'
    engine, probe = stub()
    before = time.time()
    watching(probe).wait("connected")
    match = re.fullmatch(r"/v1.41/events\?since=(\d+\.\d{9})&(.*)", engine.log[-1])
    assert before < float(match[1]) < time.time() and match[2] == filters
    engine, probe = stub("podman")
    watching(probe).wait("connected")
    assert engine.log[-1] == "/v1.41/events?" + filters


def test_reconnect(stub, watching, patience):
    engine, probe = stub()
    watch = watching(probe)
    for n in range(1, 4):
        watch.wait("connected", n)
        engine.close_streams()
        assert "ECONNRESET" in watch.wait("disconnected", n)[-1]
    watch.wait("connected", 4, deadline=2 * patience)
    engine.emit("start", engine.ids[0])
    watch.wait("event start")


def test_engine_comes_later(directory, make_probe, watching):
    """Each kind of failure is told once; then the engine is found within the longest wait."""
    path = directory + "/late.sock"
    watch = watching(make_probe("unix://" + path))
    watch.wait("disconnected ENOTCONN")
    engine = StubEngine(path, "500")
    with engine:
        wait_until(lambda: engine.log.count("/version") >= 3, what="the third attempt")
        engine.mode = "normal"
        watch.wait("connected", deadline=3)
    watch.wait("disconnected", 3)
    codes = [line.split(" ")[1] for line in watch.lines if line.startswith("disconnected")]
    assert codes[:3] == ["ENOTCONN", "EREMOTEIO", "ECONNRESET"]


def test_address_that_can_not_be(make_probe, watching):
    watch = watching(make_probe("ssh://nowhere"))
    watch.wait("disconnected EREMOTE")
    assert watch.stop() < 50 and watch.count("disconnected") == 1


def test_address_that_becomes_an_own_one(make_probe, watching, ns):
    """Early in the start of a host its addresses are not there yet."""
    with ns:
        watch = watching(make_probe("tcp://192.0.2.1:2375"))
    watch.wait("disconnected EREMOTE")
    ns.ip("addr add 192.0.2.1 dev lo")
    watch.wait("disconnected ENOTCONN", deadline=20)


@pytest.mark.parametrize("mode", STREAMS)
def test_faults_of_the_stream(stub, watching, mode):
    """Each ends the stream with its reason, and the next one works."""
    engine, probe = stub(mode, "/events")
    watch = watching(probe, "-t", "400")
    watch.wait("disconnected " + STREAMS[mode])
    engine.mode = "normal"
    before = watch.count("connected")
    watch.wait("connected", before + 1)

    def heard():
        engine.emit("start", engine.ids[0])
        return watch.count("event start")
    wait_until(heard, what="an event")


def test_back_off(stub, watching):
    """An engine that breaks each stream at once is asked less and less often."""
    _, probe = stub("wrong_json", "/events")
    watch = watching(probe)
    watch.wait("disconnected", 1)
    begin = time.monotonic()
    watch.wait("disconnected", 5)
    assert 1.4 < time.monotonic() - begin < 4


def test_flood(stub, watching, patience):
    engine, probe = stub("flood", "/events")
    watch = watching(probe)
    watch.wait("event start", FLOOD, deadline=20 * patience)
    assert watch.count("disconnected") == 0 and watch.count("event") == FLOOD


def test_late_headers(stub, watching):
    """Some Podmans answer with the first event: connected is told all the same, and once."""
    engine, probe = stub("late_headers")
    watch = watching(probe)
    watch.wait("connected")
    engine.emit("start", engine.ids[0])
    watch.wait("event start")
    assert watch.count("connected") == 1


@pytest.mark.parametrize("mode", ["normal", "slow", "late_headers", "trickle", "flood", "endless",
                                  "wrong_json", "not_http", "500"])
def test_stop_is_prompt(stub, watching, patience, mode):
    engine, probe = stub(mode, "/events")
    watch = watching(probe)
    wait_until(lambda: any("/events" in path for path in engine.log), what="the request")
    assert watch.stop() < 50 * patience


def test_stop_while_there_is_no_engine(make_probe, watching, patience):
    watch = watching(make_probe("unix:///nonexistent"))
    watch.wait("disconnected")
    assert watch.stop() < 50 * patience


# A real Docker Engine

@pytest.fixture
def docker(engine, make_probe):
    """(docker command, probe); its containers go with the test."""
    yield engine.docker, make_probe(engine.environment["DOCKER_HOST"])
    left = engine.docker("ps", "-aq").split()
    if left:
        engine.docker("rm", "-f", *left)


def docker_run(docker, name, *options, command=("sleep", "1000")):
    return docker("run", "-d", "--init", "--network", "none", "--name", name, *options,
                  IMAGE, *command)


def ambiguous_digit(ids):
    digits = [i[0] for i in ids]
    return next(d for d in digits if digits.count(d) > 1)


def test_docker_inspect(docker):
    docker, probe = docker
    cid = docker_run(docker, "node-a")
    a = probe.ok("inspect", "node-a")
    assert (a["id"], a["name"], a["state"]) == (cid, "node-a", "running")
    assert a["pid"] == docker("inspect", "-f", "{{.State.Pid}}", "node-a")
    assert probe.ok("inspect", cid[:12]) == a and probe.ok("pid", a["pid"]) == a
    docker("pause", "node-a")
    assert probe.ok("inspect", "node-a")["state"] == "paused"
    assert "name=node-a state=paused" in probe.lines("list")[0]
    docker("unpause", "node-a")
    docker("kill", "node-a")
    dead = probe.ok("inspect", "node-a")
    assert (dead["state"], dead["pid"]) == ("exited", "0")
    docker("start", "node-a")
    assert probe.ok("inspect", "node-a")["started"] != a["started"]
    assert re.fullmatch(r"1\.\d+", probe.ok("version")["api_used"])


def test_docker_states_and_networks(docker):
    docker, probe = docker
    docker("create", "--network", "none", "--name", "new", IMAGE, "true")
    new = probe.ok("inspect", "new")
    assert (new["state"], new["pid"]) == ("created", "0")
    docker("run", "-d", "--network", "host", "--name", "node-h", IMAGE, "sleep", "99")
    assert probe.ok("inspect", "node-h")["network"] == "host"
    cid = docker_run(docker, "node-o")
    docker("run", "-d", "--network", "container:node-o", "--name", "node-s", IMAGE,
           "sleep", "99")
    shared = probe.ok("inspect", "node-s")
    assert (shared["network"], shared["mode"]) == ("shared", "container:" + cid)
    docker_run(docker, "again", "--restart", "always", command=("false",))

    def between_two_runs():
        again = probe.ok("inspect", "again")
        return again if again["state"] == "restarting" else None
    assert wait_until(between_two_runs, 10)["pid"] == "0"
    names = {line.split(" ")[1] for line in probe.lines("list")[:-1]}
    assert names >= {"name=node-h", "name=node-o", "name=node-s"} and "name=new" not in names


def test_docker_not_found_and_ambiguous(docker):
    docker, probe = docker
    probe.fails("ENOENT", "inspect", "nope")
    ids = [docker("create", "--network", "none", IMAGE, "true") for _ in range(17)]
    probe.fails("ENOTUNIQ", "inspect", ambiguous_digit(ids))


def test_docker_events(docker, watching):
    docker, probe = docker
    watch = watching(probe)
    watch.wait("connected")
    cid = docker_run(docker, "node-a")
    docker("exec", "node-a", "true")
    docker("pause", "node-a")
    docker("unpause", "node-a")
    docker("rename", "node-a", "node-b")
    docker("restart", "-t", "0", "node-b")
    docker("rm", "-f", "node-b")
    watch.wait("event destroy")
    assert [e.split(" ")[0] for e in watch.events() if not e.startswith("kill")] == \
        ["create", "start", "pause", "unpause", "rename", "die", "stop", "start", "restart",
         "die", "destroy"]
    assert f"rename id={cid} name=node-b" in watch.events()


def test_docker_events_at_once(docker, watching):
    """What happens just after connected() is heard, each time."""
    docker, probe = docker
    docker("create", "--network", "none", "--name", "node-a", IMAGE, "true")
    for _ in range(20):
        watch = watching(probe)
        watch.wait("connected")
        docker("rename", "node-a", "node-b")
        docker("rename", "node-b", "node-a")
        watch.wait("event rename", 2)
        watch.stop()


def test_docker_engine_restarts(engine, make_probe, watching, directory):
    """The stream is back soon after an engine is."""
    host = f"unix://{directory}/d/docker.sock"
    argv = ["dockerd", "--data-root", directory + "/d/data", "--exec-root", directory + "/d/exec",
            "--pidfile", directory + "/d/pid", "--host", host, "--bridge=none",
            "--iptables=false", "--ip6tables=false"]
    watch = watching(make_probe(host))
    watch.wait("disconnected ENOTCONN")
    for n in range(1, 3):
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            watch.wait("connected", n, deadline=60)
        finally:
            process.terminate()
            process.wait(30)
        watch.wait("disconnected", n + 1)
    engine_sweep(directory + "/d")


def engine_sweep(directory):
    subprocess.run(["bash", "-c", '. "$0" && engine_sweep "$1"', ENGINE_LIB, directory],
                   check=True)


# A real Podman

@pytest.fixture(scope="module")
def service():
    if not shutil.which("podman"):
        pytest.skip("no podman")
    podman = PodmanService()
    yield podman
    podman.close()


@pytest.fixture
def podman(service, make_probe):
    yield service, make_probe("unix://" + service.socket)
    service.remove_all()


def test_podman_inspect(podman):
    service, probe = podman
    assert probe.ok("version")["podman"] == "1"
    cid = service.run("node-a")
    a = probe.ok("inspect", "node-a")
    assert (a["id"], a["name"], a["state"]) == (cid, "node-a", "running")
    assert int(a["pid"]) > 1
    assert probe.ok("inspect", cid[:12]) == a and probe.ok("pid", a["pid"]) == a
    assert "name=node-a state=running" in probe.lines("list")[0]
    service.podman("pause", "node-a")
    assert probe.ok("inspect", "node-a")["state"] == "paused"
    assert "name=node-a state=paused" in probe.lines("list")[0]
    service.podman("unpause", "node-a")
    service.podman("kill", "node-a")
    wait_until(lambda: probe.ok("inspect", "node-a")["state"] == "exited", 10)
    assert probe.ok("inspect", "node-a")["pid"] == "0"
    service.podman("start", "node-a")
    assert probe.ok("inspect", "node-a")["started"] != a["started"]


def test_podman_networks(podman):
    service, probe = podman
    cid = service.run("node-o")
    service.run("node-h", network="host")
    service.run("node-s", network="container:node-o")
    assert probe.ok("inspect", "node-h")["network"] == "host"
    shared = probe.ok("inspect", "node-s")
    assert (shared["network"], shared["mode"]) == ("shared", "container:" + cid)


def test_podman_not_found_and_ambiguous(podman):
    service, probe = podman
    probe.fails("ENOENT", "inspect", "nope")
    ids = [service.podman("create", "--network", "none", PODMAN_IMAGE, "true") for _ in range(17)]
    probe.fails("ENOTUNIQ", "inspect", ambiguous_digit(ids))


def test_podman_events(podman, watching):
    service, probe = podman
    watch = watching(probe)
    watch.wait("connected")
    service.run("node-a")
    service.podman("pause", "node-a")
    service.podman("unpause", "node-a")
    service.podman("rename", "node-a", "node-b")
    service.podman("restart", "-t", "0", "node-b")
    service.podman("rm", "-f", "-t", "0", "node-b")
    watch.wait("event destroy")
    seen = [e.split(" ")[0] for e in watch.events()]
    assert seen[:5] == ["create", "start", "pause", "unpause", "rename"]
    assert seen.count("start") == 2 and seen.count("die") >= 1 and seen[-1] == "destroy"


def test_podman_service_restarts(podman, watching):
    service, probe = podman
    watch = watching(probe)
    watch.wait("connected")
    service.stop()
    watch.wait("disconnected")
    service.start()
    watch.wait("connected", 2)
