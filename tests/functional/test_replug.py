# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client has moved into a container by itself, as GNS3 does, and restarts of that."""
import os

import pytest

from lab.attachments import (ADDRESS, Containers, answer, attachments, links_of, wait_state)
from lab.wait import wait_until

TIMES = int(os.environ.get("RESTARTS", "20"))
MAC = "02:42:5d:f7:d1:00"


@pytest.fixture
def named(engine):
    containers = Containers(engine)
    yield containers
    containers.close()


@pytest.fixture
def gns3(launch, engine):
    return launch(env=engine.environment)


def plug_tap(ub, adapter, pid, mac=MAC):
    """What the server does for an adapter, always with the same name for the TAP device."""
    ub.ok(f"bridge create bridge{adapter}")
    ub.ok(f"bridge add_nio_tap bridge{adapter} tap-gns3-e0")
    ub.ok(f"docker set_mac_addr tap-gns3-e0 {mac}")
    ub.ok(f"docker move_to_ns tap-gns3-e0 {pid} eth{adapter}")


def plug_veth(ub, adapter, pid, mac=MAC):
    """What newer servers do."""
    ub.ok(f"docker create_veth gv{adapter} gc{adapter}")
    ub.ok(f"docker set_mac_addr gc{adapter} {mac}")
    ub.ok(f"docker move_to_ns gc{adapter} {pid} eth{adapter}")
    ub.ok(f"bridge create bridge{adapter}")
    ub.ok(f"bridge add_nio_ethernet bridge{adapter} gv{adapter}")


def adopted(ub, bridge, plugged=1, deadline=5):
    return wait_state(ub, "attached", bridge, deadline, plugged=plugged)


def configure(containers, name, adapter):
    """The container's own start script."""
    containers.ip(name, f"link set eth{adapter} up")
    containers.ip(name, f"addr add {ADDRESS}/24 dev eth{adapter}")


def link(ub, adapter, peers):
    peer = peers.udp()
    peer.to = peers.port()
    ub.ok(f"bridge add_nio_udp bridge{adapter} {peer.to} 127.0.0.1 {peer.port}")
    ub.ok(f"bridge start bridge{adapter}")
    return peer


@pytest.mark.parametrize("plug", [plug_tap, plug_veth], ids=lambda f: f.__name__)
def test_it_comes_back(gns3, engine, named, peers, plug, measure):
    name = named.run()
    plug(gns3, 0, named.pid(name))
    peer = link(gns3, 0, peers)
    adopted(gns3, "bridge0")
    for number in range(TIMES):
        configure(named, name, 0)
        assert wait_until(lambda: answer(peer), what="an answer") == MAC
        engine.docker("restart", "-t", "0", name)
        adopted(gns3, "bridge0", number + 2)
        assert links_of(named.pid(name)) == {"lo", "eth0"}
    shown = gns3.ok("bridge show bridge0")
    assert shown[0] == "bridge 'bridge0' is running"
    want = "tap-gns3-e0" if plug is plug_tap else "gv0"
    assert shown[1] == f"Source NIO: {want}"


def test_statistics_filters_and_capture_go_on(gns3, engine, named, peers, directory):
    name = named.run()
    plug_tap(gns3, 0, named.pid(name))
    peer = link(gns3, 0, peers)
    adopted(gns3, "bridge0")
    gns3.ok(f"bridge start_capture bridge0 {directory}/c.pcap")
    gns3.ok("bridge add_packet_filter bridge0 filter0 delay 2 0")
    before = gns3.stats("bridge0")["source"]
    engine.docker("restart", "-t", "0", name)
    adopted(gns3, "bridge0", 2)
    configure(named, name, 0)
    assert wait_until(lambda: answer(peer), what="an answer") == MAC
    assert all(a >= b for a, b in zip(gns3.stats("bridge0")["source"], before))
    assert "Filter 'filter0' configured in position 1" in gns3.ok("bridge show bridge0")
    gns3.ok("bridge stop_capture bridge0")


def test_four_adapters_with_one_name(gns3, engine, named, peers):
    """The server uses tap-gns3-e0 for each; each comes back to its own bridge."""
    name = named.run()
    macs = [f"02:42:5d:f7:d1:{adapter:02x}" for adapter in range(4)]
    far = []
    for adapter in range(4):
        plug_tap(gns3, adapter, named.pid(name), macs[adapter])
        far.append(link(gns3, adapter, peers))
    for number in range(3):
        for adapter in range(4):
            adopted(gns3, f"bridge{adapter}", number + 1)
        for adapter in range(4):
            configure(named, name, adapter)
            assert wait_until(lambda: answer(far[adapter]), what="an answer") == macs[adapter]
            named.ip(name, f"addr flush dev eth{adapter}")
        engine.docker("restart", "-t", "0", name)


def test_unlinked_and_stopped_adapters(gns3, engine, named, peers):
    """A bridge without a link gets its interface back as well: init waits for all of them."""
    name = named.run()
    plug_tap(gns3, 0, named.pid(name))
    adopted(gns3, "bridge0")
    engine.docker("restart", "-t", "0", name)
    adopted(gns3, "bridge0", 2)
    assert links_of(named.pid(name)) == {"lo", "eth0"}
    peer = link(gns3, 0, peers)
    configure(named, name, 0)
    assert wait_until(lambda: answer(peer), what="an answer") == MAC
    gns3.ok("bridge stop bridge0")
    engine.docker("restart", "-t", "0", name)
    adopted(gns3, "bridge0", 3)
    gns3.ok("bridge start bridge0")
    configure(named, name, 0)
    assert wait_until(lambda: answer(peer), what="an answer") == MAC


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_other_end_of_a_pair_is_as_it_was(gns3, engine, named, ns, when):
    """Its MTU, and the Linux bridge that it is a port of, whenever it became one."""
    name = named.run()
    ns.ip("link add br0 type bridge")
    gns3.ok("docker create_veth gv0 gc0")
    ns.ip("link set gv0 mtu 9000")
    if when == "before":
        gns3.ok("brctl addif br0 gv0")
    gns3.ok(f"docker move_to_ns gc0 {named.pid(name)} eth0")
    if when == "after":
        gns3.ok("brctl addif br0 gv0")
    adopted(gns3, "-")
    for number in range(2):
        engine.docker("restart", "-t", "0", name)
        adopted(gns3, "-", number + 2)
        shown = ns.ip("link show gv0")
        assert " mtu 9000 " in shown and " master br0 " in shown and ",UP" in shown, shown
        assert " mtu 1500 " in named.ip(name, "link show eth0")
    ns.ip("link del br0")
    engine.docker("restart", "-t", "0", name)
    adopted(gns3, "-", 4)
    assert "'gv0' is not a port of 'br0' again" in gns3.stderr()


@pytest.mark.parametrize("plug, end", [
    (plug_tap, "bridge delete bridge0"), (plug_veth, "bridge delete bridge0"),
    (plug_veth, "docker delete_veth gv0"), (plug_tap, "hypervisor reset"),
    (plug_veth, "hypervisor reset"),
])
def test_not_when_it_was_deleted(gns3, engine, named, plug, end):
    name = named.run()
    plug(gns3, 0, named.pid(name))
    plug(gns3, 1, named.pid(name), "02:42:5d:f7:d1:01")
    adopted(gns3, "bridge0")
    adopted(gns3, "bridge1")
    gns3.ok(end)
    assert "bridge0" not in [line["bridge"] for line in attachments(gns3)]
    engine.docker("restart", "-t", "0", name)
    if end == "hypervisor reset":
        assert not attachments(gns3)
        # its events come in order: when this is there, the other would be
        gns3.ok(f"bridge create t")
        gns3.ok(f"bridge add_nio_docker t {name} eth9 wait=5")
        assert links_of(named.pid(name)) == {"lo", "eth9"}
    else:
        adopted(gns3, "bridge1", 2)
        assert links_of(named.pid(name)) == {"lo", "eth1"}


@pytest.mark.parametrize("plug", [plug_tap, plug_veth], ids=lambda f: f.__name__)
def test_nothing_is_kept_for_a_deleted_bridge(gns3, named, plug):
    """The container runs on, and links come and go all day."""
    name = named.run()
    plug(gns3, 0, named.pid(name))
    adopted(gns3, "bridge0")
    before = gns3.descriptors()
    for _ in range(5):
        plug(gns3, 1, named.pid(name))
        adopted(gns3, "bridge1")
        gns3.ok("bridge delete bridge1")
        if plug is plug_veth:
            gns3.ok("docker delete_veth gv1")
    wait_until(lambda: gns3.descriptors() == before, what="nothing to be left")


def test_an_option_turns_it_off(launch, engine, named):
    ub = launch(env=engine.environment, args=["--no-replug"])
    name = named.run()
    plug_tap(ub, 0, named.pid(name))
    ub.ok("docker engine")
    assert not attachments(ub)
    engine.docker("restart", "-t", "0", name)
    ub.ok("bridge create t")
    ub.ok(f"bridge add_nio_docker t {name} eth9 wait=5")
    assert links_of(named.pid(name)) == {"lo", "eth9"}


def test_the_client_keeps_its_pair(gns3, engine, named):
    """It is there when the program has ended, also one that was made again."""
    name = named.run()
    plug_veth(gns3, 0, named.pid(name))
    adopted(gns3, "bridge0")
    engine.docker("restart", "-t", "0", name)
    adopted(gns3, "bridge0", 2)
    gns3.stop()
    assert "gv0" in gns3.ns.links() and "eth0" in links_of(named.pid(name))


def test_a_process_that_is_no_container(gns3, pause_process, measure):
    plug_tap(gns3, 0, pause_process().pid)
    gns3.ok("docker engine")
    assert not attachments(gns3)


def test_without_an_engine(launch, pause_process, directory, measure):
    """Nothing is slower, and nothing is said of it."""
    import time
    took = []
    for env in ({"DOCKER_HOST": f"unix://{directory}/none"}, {"DOCKER_HOST": "ssh://far"}):
        ub = launch(env=env)
        for adapter in range(10):
            pid = pause_process().pid
            begin = time.monotonic()
            plug_tap(ub, adapter, pid)
            took.append(time.monotonic() - begin)
        log = [line for line in ub.output().splitlines() if "docker" in line.lower()]
        assert len(log) <= 1, log
        with open(f"/proc/{ub.pid}/maps", encoding="ascii") as maps:
            assert "libcurl" not in maps.read()
    measure("plugging without an engine", sorted(took)[len(took) // 2])
