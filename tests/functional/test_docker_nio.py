# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker NIOs: both front doors, options, what is refused, rights, and what is left behind."""
import os
import signal
import stat
import subprocess
import time

import pytest

from lab.attachments import (Containers, answer, attachment, attachments, links_of, wait_state)
from lab.program import Client, spawn
from lab.wait import wait_until
from podman_service import PodmanService

MAC = "02:11:22:33:44:55"


@pytest.fixture
def named(engine):
    containers = Containers(engine)
    yield containers
    containers.close()


@pytest.fixture
def dub(launch, engine):
    """A running program that speaks to the engine."""
    return launch(env=engine.environment)


def far_end(ub, peers, bridge="t"):
    peer = peers.udp()
    peer.to = peers.port()
    ub.ok(f"bridge add_nio_udp {bridge} {peer.to} 127.0.0.1 {peer.port}")
    ub.ok(f"bridge start {bridge}")
    return peer


def works(peer, mac=None):
    got = wait_until(lambda: answer(peer), what="an answer")
    assert mac in (None, got), got


# Adding


def test_before_the_container_exists(dub, named, peers):
    """The reply comes at once, the bridge runs, and the link is there when the container is."""
    name = named.name()
    dub.ok("bridge create t")
    begin = time.monotonic()
    dub.ok(f"bridge add_nio_docker t {name} eth1 ip=10.9.0.1/24",
           "NIO Docker added to bridge 't'")
    assert time.monotonic() - begin < 1
    peer = far_end(dub, peers)
    assert dub.ok("bridge show t")[:2] == ["bridge 't' is running",
                                           f"Source NIO: {name}:eth1 (waiting)"]
    line = attachment(dub)
    assert (line["state"], line["pid"], line["plugged"]) == ("waiting", 0, 0)
    peer.send(b"x" * 60)
    wait_until(lambda: dub.stats("t")["destination"][0] == 1, what="the frame")
    assert dub.stats("t")["source"][2] == 0, "there was nobody to send it to"
    named.run(name)
    line = wait_state(dub, "attached", deadline=5)
    assert (line["pid"], line["plugged"], line["container"], line["interface"]) == \
        (named.pid(name), 1, name, "eth1")
    works(peer)
    assert dub.ok("bridge show t")[1] == f"Source NIO: {name}:eth1 (attached)"


@pytest.mark.parametrize("reference", ["name", "id", "prefix"])
def test_references(dub, named, reference):
    name = named.run()
    cid = named.inspect(name, ".Id")
    text = {"name": name, "id": cid, "prefix": cid[:16]}[reference]
    dub.ok("bridge create t")
    dub.ok(f"bridge add_nio_docker t {text} eth1 wait=5")
    assert attachment(dub)["container"] == text
    assert "eth1" in links_of(named.pid(name))


@pytest.mark.parametrize("backend", ["tap", "veth"])
def test_options(dub, named, backend):
    name = named.run()
    dub.ok("bridge create t")
    dub.ok(f"bridge add_nio_docker t {name} eth7 mac={MAC} mtu=9000 ip=10.9.0.1/24 "
           f"ip=10.8.0.1/16 ip=fd00:9::1/64 backend={backend} wait=5")
    text = named.ip(name, "-d addr show eth7")
    for want in (MAC, "mtu 9000", "inet 10.9.0.1/24", "inet 10.8.0.1/16", "inet6 fd00:9::1/64",
                 "UP", "veth" if backend == "veth" else "tun"):
        assert want in text, text
    host_if = attachment(dub)["host_if"]
    if backend == "tap":
        assert host_if == "-" and dub.ns.links() == {"lo"}
    else:
        assert dub.ns.links() == {"lo", host_if}
        shown = dub.ns.ip(f"-d link show {host_if}")
        assert "mtu 9000" in shown and "NOARP" in shown and "alias ubridge:" in shown


def test_name_of_the_host_side(dub, named):
    name = named.run()
    dub.ok("bridge create t")
    dub.ok(f"bridge add_nio_docker t {name} eth1 host_if=web-side wait=5")
    assert attachment(dub)["host_if"] == "web-side" and "web-side" in dub.ns.links()
    dub.ok("bridge create s")
    text = dub.fails(206, f"bridge add_nio_docker s {name} eth2 host_if=web-side")
    assert "web-side" in text and "File exists" in text
    assert attachment(dub)["state"] == "attached" and dub.ok("bridge list")[0] == "s (NIOs = 0)"


def test_the_host_stays_out_of_it(dub, named, peers):
    """The host's own end answers no ARP and speaks no IPv6."""
    name = named.run()
    dub.ns.ip("addr add 10.9.0.77/32 dev lo")
    dub.ok("bridge create t")
    dub.ok(f"bridge add_nio_docker t {name} eth1 ip=10.9.0.1/24 backend=veth wait=5")
    named.ip(name, "neigh flush dev eth1")
    done = subprocess.run(["nsenter", "-n", "-t", str(named.pid(name)), "busybox", "ping", "-c", "1",
                           "-W", "1", "10.9.0.77"], stdout=subprocess.PIPE, text=True, check=False)
    assert "1 packets transmitted, 0 packets received" in done.stdout, done.stdout
    assert "inet6" not in dub.ns.ip(f"addr show {attachment(dub)['host_if']}")


def test_each_run_has_a_mac_of_its_own_choice_and_keeps_it(dub, named, engine):
    name = named.run()
    dub.ok("bridge create t")
    dub.ok(f"bridge add_nio_docker t {name} eth1 wait=5")
    dub.ok("bridge create s")
    dub.ok(f"bridge add_nio_docker s {name} eth2 wait=5")

    def macs():
        return [named.ip(name, f"-br link show {one}").split()[2] for one in ("eth1", "eth2")]
    before = macs()
    assert before[0] != before[1] and all(int(mac[:2], 16) & 3 == 2 for mac in before)
    engine.docker("restart", "-t", "0", name)
    wait_state(dub, "attached", "t", plugged=2)
    wait_state(dub, "attached", "s", plugged=2)
    assert macs() == before


def test_two_containers(dub, named):
    one, two = named.run(), named.run()
    dub.ok("bridge create t")
    dub.ok(f"bridge add_nio_docker t {one} eth1 ip=10.9.0.1/24 wait=5")
    dub.ok(f"bridge add_nio_docker t {two} eth1 ip=10.9.0.2/24 backend=veth wait=5")
    dub.ok("bridge start t")
    subprocess.run(["nsenter", "-n", "-t", str(named.pid(one)), "busybox", "ping", "-c", "2",
                    "-i", "0.2", "-W", "5", "10.9.0.2"], check=True, stdout=subprocess.DEVNULL, timeout=20)


@pytest.mark.parametrize("words, reason", [
    ("{name} eth1 mac=02:11", "mac=02:11: no Ethernet address"),
    ("{name} eth1 mac=01:00:5e:00:00:01",
     "mac=01:00:5e:00:00:01: not the address of one interface"),
    ("{name} eth1 mtu=1", "mtu=1: no number from 68 to 65521"),
    ("{name} eth1 ip=10.0.0.1", "ip=10.0.0.1: not ADDRESS/PREFIX"),
    ("{name} eth1 ip=10.0.0.1/33", "ip=10.0.0.1/33: not ADDRESS/PREFIX"),
    ("{name} eth1 ip=fd00::1/" + "0" * 60 + "64", "ip=fd00::1/" + "0" * 60 + "64: not ADDRESS/PREFIX"),
    ("{name} eth1 ip=fd00::1/129", "ip=fd00::1/129: not ADDRESS/PREFIX"),
    ("{name} eth1 host_if=much-too-long-a-name",
     "host_if=much-too-long-a-name: not the name of an interface"),
    ("{name} eth1 host_if=h backend=tap", "host_if=h: a TAP device has no end on the host"),
    ("{name} eth1 backend=wire", "backend=wire: neither tap nor veth"),
    ("{name} eth1 wait=soon", "wait=soon: no number of seconds"),
    ("{name} eth1 colour=red", "'colour=red' is no option"),
    ("{name} eth1 mac", "'mac' is no option"),
    ("{name} eth/1", "'eth/1' is not the name of an interface"),
    ("{name} an-interface-name-too-long",
     "'an-interface-name-too-long' is not the name of an interface"),
    ("../../version eth1", "'../../version' is not the name or id of a container"),
    ("{name} lo wait=5", None),
])
def test_what_is_refused(dub, named, words, reason):
    name = named.run()
    dub.ok("bridge create t")
    text = dub.fails(206, "bridge add_nio_docker t " + words.format(name=name))
    prefix = "unable to create NIO Docker for bridge 't': "
    assert text.startswith(prefix)
    if reason:
        assert text == prefix + reason
    assert dub.ok("bridge list") == ["t (NIOs = 0)"] and not attachments(dub)


def test_an_interface_that_is_there(dub, named):
    """Refused, and the error says why; nothing is left, here or there."""
    name = named.run()
    named.ip(name, "link add eth1 type veth peer name other")
    dub.ok("bridge create t")
    for options in ("", "wait=3", "backend=veth"):
        dub.fails(206, f"bridge add_nio_docker t {name} eth1 {options}",
                  "unable to create NIO Docker for bridge 't': the container has an interface "
                  "'eth1' already")
    assert links_of(named.pid(name)) == {"lo", "eth1", "other"} and dub.ns.links() == {"lo"}


@pytest.mark.parametrize("network, text", [("host", "uses the host's network"),
                                           ("container", "no network of its own")])
def test_foreign_networks(dub, named, network, text):
    if network == "container":
        network = f"container:{named.run()}"
    name = named.run(network=network)
    dub.ok("bridge create t")
    for options in ("", "wait=3"):
        assert text in dub.fails(206, f"bridge add_nio_docker t {name} eth1 {options}")
    assert not attachments(dub) and dub.ok("bridge list") == ["t (NIOs = 0)"]


def test_a_foreign_network_after_it_was_added(dub, named):
    """The name was free at first: the list tells why it is not attached now."""
    name = named.name()
    dub.ok("bridge create t")
    dub.ok(f"bridge add_nio_docker t {name} eth1")
    named.run(name, network="host")
    wait_until(lambda: "host's network" in (attachment(dub)["error"] or ""), what="the reason")
    assert attachment(dub)["state"] == "waiting"


def test_wait(dub, named, engine):
    name = named.create()
    dub.ok("bridge create t")
    begin = time.monotonic()
    text = dub.fails(206, f"bridge add_nio_docker t {name} eth1 wait=1")
    assert 0.9 < time.monotonic() - begin < 3
    assert text == "unable to create NIO Docker for bridge 't': not attached after 1 s: " \
                   "the container does not run"
    assert dub.ok("bridge list") == ["t (NIOs = 0)"] and not attachments(dub)
    dub.send(f"bridge add_nio_docker t {name} eth1 wait=20")
    other = dub.client()
    wait_state(other, "waiting")
    engine.docker("start", name)
    reply = dub.reply()
    assert (reply.code, reply.text) == (100, "NIO Docker added to bridge 't'")
    assert attachment(dub)["state"] == "attached"


def test_the_bridge_goes_while_somebody_waits(dub, named):
    dub.ok("bridge create t")
    dub.send(f"bridge add_nio_docker t {named.name()} eth1 wait=20")
    other = dub.client()
    wait_state(other, "waiting")
    other.ok("bridge delete t")
    assert dub.reply().text.endswith("it was deleted meanwhile")
    dub.ok("bridge create t")
    name = named.name()
    dub.send(f"bridge add_nio_docker t {name} eth1 wait=20")
    wait_state(other, "waiting")
    other.ok(f"bridge delete_nio_docker t {name} eth1")
    assert dub.reply().text == \
        "unable to create NIO Docker for bridge 't': it was deleted meanwhile"
    other.ok("bridge delete t")
    dub.ok("bridge create t")
    dub.send(f"bridge add_nio_docker t {named.name()} eth1 wait=20")
    wait_state(other, "waiting")
    dub.main.close()
    other.ok("bridge delete t")


def test_other_errors_of_adding(dub, peers):
    dub.fails(214, "bridge add_nio_docker nowhere web eth1", "bridge 'nowhere' doesn't exist")
    dub.ok("bridge create t")
    dub.fails(203, "bridge add_nio_docker t web",
              "Bad number of parameters (2 with min/max=3/32)")
    far_ends = [peers.port() for _ in range(4)]
    dub.ok(f"bridge add_nio_udp t {far_ends[0]} 127.0.0.1 {far_ends[1]}")
    dub.ok(f"bridge add_nio_udp t {far_ends[2]} 127.0.0.1 {far_ends[3]}")
    dub.fails(206, "bridge add_nio_docker t web eth1", "bridge 't' has already 2 allocated NIOs")


def test_one_interface_for_two_bridges(dub, named, engine):
    """They would take turns with each run of the container."""
    name = named.run()
    dub.ok("bridge create t")
    dub.ok("bridge create s")
    dub.ok(f"bridge add_nio_docker t {name} eth1 wait=5")
    text = f"unable to create NIO Docker for bridge 's': {name}:eth1 is an endpoint of bridge " \
           "'t' already"
    for options in ("", "wait=5", "backend=veth"):
        dub.fails(206, f"bridge add_nio_docker s {name} eth1 {options}", text)
    assert text.partition(": ")[2] in dub.stderr()
    dub.fails(206, f"bridge add_nio_docker t {name} eth1", text.replace("'s'", "'t'"))
    dub.ok(f"bridge add_nio_docker s {name} eth2 wait=5")
    engine.docker("restart", "-t", "0", name)
    wait_state(dub, "attached", "t", plugged=2)
    dub.ok(f"bridge delete_nio_docker t {name} eth1")
    dub.ok(f"bridge add_nio_docker s {name} eth1 wait=5")
    assert links_of(named.pid(name)) == {"lo", "eth1", "eth2"}


def test_one_interface_after_another_that_waits(dub, named):
    """What is waited for is taken too, until it is deleted."""
    name = named.name()
    dub.ok("bridge create t")
    dub.ok(f"bridge add_nio_docker t {name} eth1")
    dub.ok("bridge create s")
    dub.fails(206, f"bridge add_nio_docker s {name} eth1")
    dub.ok("bridge delete t")
    dub.ok(f"bridge add_nio_docker s {name} eth1")
    named.run(name)
    wait_state(dub, "attached", "s")


# Taking away


@pytest.mark.parametrize("backend", ["tap", "veth"])
def test_delete_nio_docker(dub, named, peers, backend):
    name = named.run()
    dub.ok("bridge create t")
    dub.ok(f"bridge add_nio_docker t {name} eth1 backend={backend} wait=5")
    far_end(dub, peers)
    dub.fails(214, f"bridge delete_nio_docker t {name} eth1", "bridge 't' is running")
    dub.ok("bridge stop t")
    for wrong in (f"{name} eth2", "other eth1"):
        dub.fails(214, f"bridge delete_nio_docker t {wrong}", "Docker nio missing in 't'")
    dub.ok(f"bridge delete_nio_docker t {name} eth1", "NIO Docker removed from bridge 't'")
    assert links_of(named.pid(name)) == {"lo"} and dub.ns.links() == {"lo"}
    assert dub.ok("bridge list") == ["t (NIOs = 1)"] and not attachments(dub)
    dub.fails(214, f"bridge delete_nio_docker t {name} eth1", "Docker nio missing in 't'")


@pytest.mark.parametrize("end", ["delete", "reset", "stop", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("backend", ["tap", "veth"])
def test_nothing_is_left(launch, engine, named, backend, end):
    name = named.run()
    ub = launch(env=engine.environment)
    ub.ok("bridge create t")
    ub.ok(f"bridge add_nio_docker t {name} eth1 backend={backend} wait=5")
    assert "eth1" in links_of(named.pid(name))
    if end == "delete":
        ub.ok("bridge delete t")
    elif end == "reset":
        ub.ok("hypervisor reset")
    elif end == "stop":
        ub.stop()
    elif end == "SIGTERM":
        ub.process.send_signal(signal.SIGTERM)
        ub.wait_exit()
    else:
        ub.kill()
        launch(env=engine.environment)
    assert links_of(named.pid(name)) == {"lo"} and ub.ns.links() == {"lo"}


def test_the_next_start_touches_nothing_of_others(launch, engine, named):
    """Pairs of a process that lives, of a client, and such that only look alike stay."""
    name = named.run()
    living, dying = launch(env=engine.environment), launch(env=engine.environment)
    for ub, interface in ((living, "eth1"), (dying, "eth2")):
        ub.ok("bridge create t")
        ub.ok(f"bridge add_nio_docker t {name} {interface} backend=veth wait=5")
    dying.ok("docker create_veth hers hers2")
    ns = living.ns
    ns.ip("link add fake type veth peer name fake2")
    subprocess_alias = "ubridge:1:1:1:1 of another PID namespace"
    ns.run("ip", "link", "set", "fake", "alias", subprocess_alias)
    left = attachment(dying)["host_if"]
    dying.kill()
    assert left in ns.links()
    launch(env=engine.environment)
    assert ns.links() == {"lo", attachment(living)["host_if"], "hers", "hers2", "fake", "fake2"}
    assert links_of(named.pid(name)) == {"lo", "eth1"}


# The module docker


def test_docker_wait_and_pid(dub, named, engine):
    name = named.create()
    dub.fails(215, f"docker pid {name}", f"container '{name}' is not running (created)")
    dub.fails(214, "docker pid nobody-there", "no such container: nobody-there")
    dub.fails(204, "docker pid a/b", "'a/b' is not the name or id of a container")
    dub.fails(215, f"docker wait {name} 1", f"container '{name}' is not running (created)")
    dub.fails(204, f"docker wait {name} soon", "'soon' is no number of seconds")
    dub.send(f"docker wait {name}")
    engine.docker("start", name)
    reply = dub.reply()
    assert (reply.code, reply.text) == (100, str(named.pid(name)))
    dub.ok(f"docker pid {name}", str(named.pid(name)))
    dub.ok(f"docker wait {named.inspect(name, '.Id')[:12]} 5", str(named.pid(name)))
    dub.send("docker wait nobody-there")
    dub.client().ok("hypervisor version")


def test_docker_engine(dub, engine):
    want = engine.docker("version", "-f", "{{.Server.Version}}")
    line, = dub.ok("docker engine")
    assert line.startswith(f"endpoint=unix://{engine.directory}/docker.sock engine=docker "
                           f"version={want} api=1.")
    assert line.endswith(" events=idle"), "nobody needs them yet"
    dub.ok("bridge create t")
    dub.ok("bridge add_nio_docker t nobody-there eth1")
    wait_until(lambda: dub.ok("docker engine")[0].endswith(" events=connected"),
               what="the event stream")


def test_lists_of_commands(dub):
    """Ours are in lists of their own: clients know those of the classic program."""
    assert dub.ok("hypervisor cmd_list bridge+") == [
        "get_counters (min/max args: 1/1)", "add_nio_docker (min/max args: 3/32)",
        "delete_nio_docker (min/max args: 3/3)"]
    assert dub.ok("hypervisor cmd_list docker+") == [
        "list (min/max args: 0/0)", "wait (min/max args: 1/2)", "pid (min/max args: 1/1)",
        "engine (min/max args: 0/0)"]
    assert dub.ok("hypervisor cmd_list brctl+") == []
    assert len(dub.ok("hypervisor cmd_list docker")) == 4
    for name in ("+", "docker++", "nothing+", "+docker"):
        dub.fails(201, f"hypervisor cmd_list {name}", f"unknown module '{name}'")


def test_nothing_is_started_before_it_is_needed(ub):
    """A process that has to do with no container: one thread, no libcurl, small."""
    ub.ok("docker list")
    assert ub.threads() == 1
    with open(f"/proc/{ub.pid}/maps", encoding="ascii") as maps:
        assert "libcurl" not in maps.read()


# INI


def run_ini(binary, ns, directory, engine, text):
    with open(f"{directory}/ubridge.ini", "w", encoding="utf-8") as file:
        file.write(text)
    return spawn([binary], ns, directory, env=engine.environment)


def test_ini(binary, ns, directory, engine, named, peers):
    one, two = named.run(), named.name()
    peer = peers.udp()
    peer.to = peers.port()
    process = run_ini(binary, ns, directory, engine, f"""
[up]
source_docker = {one}:eth1,ip=10.9.0.1/24,mac={MAC}
destination_udp = {peer.to}:127.0.0.1:{peer.port}
[later]
source_docker = {two}:eth1,backend=veth,host_if=later
destination_docker = {one}:eth2,mtu=1300
[wrong]
source_docker = {one}
destination_udp = 1:127.0.0.1:2
[wrong2]
source_docker = {one}:eth3,wait=3
destination_udp = 1:127.0.0.1:2
""")
    try:
        works(peer, MAC)
        wait_until(lambda: "eth2" in links_of(named.pid(one)), what="eth2")
        assert "mtu 1300" in named.ip(one, "link show eth2")
        named.run(two)
        wait_until(lambda: "eth1" in links_of(named.pid(two)), what="the other container")
        with open(f"{directory}/stderr", encoding="utf-8") as file:
            errors = file.read()
        assert "bridge wrong: unable to create Docker NIO: expected CONTAINER:INTERFACE" in errors
        assert "bridge wrong2: unable to create Docker NIO: wait= has no meaning here" in errors
    finally:
        process.terminate()
        assert process.wait(10) == 0
    assert ns.links() == {"lo"} and links_of(named.pid(one)) == {"lo"}


def test_ini_reload(binary, ns, directory, engine, named, peers):
    """A section that stays keeps its interface, one that changes gets a new one."""
    name = named.run()
    text = f"[a]\nsource_docker = {name}:eth1\ndestination_udp = {peers.port()}:127.0.0.1:9\n"
    other = f"[b]\nsource_docker = {name}:eth2\ndestination_udp = {peers.port()}:127.0.0.1:9\n"
    process = run_ini(binary, ns, directory, engine, text + other)
    try:
        wait_until(lambda: {"eth1", "eth2"} <= links_of(named.pid(name)), what="both")
        index = named.ip(name, "-o link show eth1").split(":")[0]
        with open(f"{directory}/ubridge.ini", "w", encoding="utf-8") as file:
            file.write(text + other.replace("eth2", "eth3"))
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: links_of(named.pid(name)) == {"lo", "eth1", "eth3"}, what="eth3")
        assert named.ip(name, "-o link show eth1").split(":")[0] == index
    finally:
        process.terminate()
        assert process.wait(10) == 0


# Rights


@pytest.fixture
def with_capabilities(binary, directory, engine):
    """A maker of programs to run: ubridge as nobody, with these capabilities only."""
    path = f"{engine.directory}/docker.sock"
    mode = stat.S_IMODE(os.stat(path).st_mode)
    os.chmod(engine.directory, 0o755)
    os.chmod(path, 0o666)
    # as it is on any Debian
    os.mknod(f"{directory}/tun", 0o666 | stat.S_IFCHR, os.makedev(10, 200))
    os.chmod(f"{directory}/tun", 0o666)

    def make(*names):
        script = f"{directory}/as-nobody"
        caps = ",".join("+" + name for name in names)
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nmount --bind {directory}/tun /dev/net/tun || exit\n"
                       f"exec setpriv --reuid=nobody --regid=nogroup --clear-groups "
                       f"--inh-caps=-all,{caps} --ambient-caps=-all,{caps} "
                       f"--bounding-set=-all,{caps} {binary} \"$@\"\n")
        os.chmod(script, 0o755)
        script = f"{directory}/as-nobody-alone"
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nexec unshare -m {directory}/as-nobody \"$@\"\n")
        os.chmod(script, 0o755)
        return script
    yield make
    os.chmod(path, mode)


@pytest.mark.parametrize("backend", ["tap", "veth"])
def test_two_capabilities_suffice(launch, engine, named, peers, with_capabilities, backend):
    """Even through a restart; the namespace is never entered."""
    ub = launch(binary=with_capabilities("net_admin", "net_raw"), env=engine.environment)
    name = named.run()
    ub.ok("bridge create t")
    ub.ok(f"bridge add_nio_docker t {name} eth1 mac={MAC} backend={backend} wait=5")
    peer = far_end(ub, peers)
    for number in range(3):
        named.ip(name, "addr add 10.9.0.1/24 dev eth1")
        works(peer, MAC)
        engine.docker("restart", "-t", "0", name)
        wait_state(ub, "attached", plugged=number + 2)
    ub.ok("bridge create s")
    text = ub.fails(206, f"bridge add_nio_docker s {name} eth2 ip=10.0.0.1/24")
    assert "ip=" in text and "CAP_SYS_ADMIN" in text
    assert links_of(named.pid(name)) == {"lo", "eth1"}


def test_without_any_right(launch, engine, named, with_capabilities):
    ub = launch(binary=with_capabilities("net_raw"), env=engine.environment)
    name = named.run()
    ub.ok("bridge create t")
    for backend in ("tap", "veth"):
        assert "Operation not permitted" in \
            ub.fails(206, f"bridge add_nio_docker t {name} eth1 backend={backend}")


def test_a_socket_that_is_not_ours(launch, engine, named, with_capabilities):
    os.chmod(f"{engine.directory}/docker.sock", 0o600)
    ub = launch(binary=with_capabilities("net_admin", "net_raw"), env=engine.environment)
    ub.ok("bridge create t")
    text = ub.fails(206, f"bridge add_nio_docker t {named.run()} eth1")
    assert "docker.sock: no right to use the socket" in text


@pytest.mark.parametrize("host, text", [
    ("ssh://far", "ssh"), ("npipe:////./pipe/docker_engine", "npipe"),
    ("tcp://192.0.2.1:2375", "192.0.2.1"), ("nonsense", "nonsense"),
])
def test_engines_that_are_elsewhere(launch, host, text):
    ub = launch(env={"DOCKER_HOST": host})
    ub.ok("bridge create t")
    reason = ub.fails(206, "bridge add_nio_docker t web eth1")
    assert text in reason
    assert text in ub.fails(215, "docker engine")


# Podman


@pytest.fixture(scope="module")
def podman():
    service = PodmanService()
    yield service
    service.close()


@pytest.mark.parametrize("backend", ["tap", "veth"])
def test_podman(podman, launch, peers, backend, patience):
    """The same against Podman's socket: restarts, removal, a new one of the same name."""
    ub = launch(env={"DOCKER_HOST": f"unix://{podman.socket}"})

    def pid():
        return int(podman.podman("inspect", "-f", "{{.State.Pid}}", "pod"))
    ub.ok("bridge create t")
    ub.ok(f"bridge add_nio_docker t pod eth1 mac={MAC} ip=10.9.0.1/24 backend={backend}")
    peer = far_end(ub, peers)
    podman.run("pod")
    try:
        assert wait_state(ub, "attached", plugged=1, deadline=5 * patience)["pid"] == pid()
        works(peer, MAC)
        for number in range(int(os.environ.get("RESTARTS", "20")) // 2):
            podman.podman("restart", "-t", "0", "pod")
            wait_state(ub, "attached", plugged=number + 2, pid=pid(), deadline=5 * patience)
            works(peer, MAC)
        podman.podman("rm", "-f", "-t", "0", "pod")
        wait_state(ub, "waiting")
        podman.run("pod")
        wait_state(ub, "attached", pid=pid(), deadline=5 * patience)
        works(peer, MAC)
        assert "engine=podman" in ub.ok("docker engine")[0]
        podman.stop()
        works(peer, MAC)
        podman.start()
        podman.podman("restart", "-t", "0", "pod")
        wait_state(ub, "attached", pid=pid(), deadline=5 * patience)
        works(peer, MAC)
    finally:
        podman.podman("rm", "-f", "-t", "0", "pod", check=False)
