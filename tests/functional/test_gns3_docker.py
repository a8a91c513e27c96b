# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker nodes the way the GNS3 server drives them, with real containers.

Every node is a container without a network and a ubridge process of its own; the links
between nodes are UDP tunnels on the loopback of the host (here: of the test's namespace).
"""
import hashlib
import time

import pytest

from lab import capture
from lab.wait import wait_until


class Node:
    """A Docker node: the commands are those of the server, in its order."""

    def __init__(self, container, ub):
        self.container = container
        self.ub = ub

    def plug(self, adapter, mac):
        """What the server does for each adapter after the container has been started.

        It counts the names of TAP devices anew for every adapter, finds that
        tap-gns3-e0 is free (the last one has been moved away) and uses it again.
        """
        tap = "tap-gns3-e0"
        assert tap not in self.ub.ns.links(), "the last one is still there"
        self.ub.ok(f"bridge create bridge{adapter}", f"bridge 'bridge{adapter}' created")
        self.ub.ok(f"bridge add_nio_tap bridge{adapter} {tap}",
                   f"NIO TAP added to bridge 'bridge{adapter}'")
        assert tap in self.ub.ns.links(), "the server looks for it now"
        self.ub.ok(f"docker set_mac_addr {tap} {mac}",
                   f"MAC address {mac} has been successfully set on interface {tap}")
        self.ub.ok(f"docker move_to_ns {tap} {self.container.pid} eth{adapter}",
                   f"{tap} moved to namespace {self.container.pid}")
        assert tap not in self.ub.ns.links()
        with open(f"/proc/{self.container.pid}/net/dev", encoding="ascii") as table:
            assert f"eth{adapter}:" in table.read(), "init.sh waits for it"

    def link(self, adapter, local, remote, pcap=None):
        """Add a link: also what follows plug() when the adapter is linked already."""
        bridge = f"bridge{adapter}"
        self.ub.ok(f"bridge add_nio_udp {bridge} {local} 127.0.0.1 {remote}",
                   f"NIO UDP added to bridge '{bridge}'")
        if pcap:
            self.ub.ok(f'bridge start_capture {bridge} "{pcap}"')
        self.ub.ok(f"bridge start {bridge}", f"bridge '{bridge}' started")
        self.ub.ok(f"bridge reset_packet_filters {bridge}", "OK")

    def unlink(self, adapter, local, remote):
        bridge = f"bridge{adapter}"
        self.ub.ok(f"bridge stop {bridge}", f"bridge '{bridge}' stopped")
        self.ub.ok(f"bridge remove_nio_udp {bridge} {local} 127.0.0.1 {remote}",
                   f"NIO UDP removed from bridge '{bridge}'")


@pytest.fixture
def node(containers, launch):
    """A maker of nodes."""
    return lambda: Node(containers(), launch())


def mac(number, adapter=0):
    return f"02:42:00:00:{number:02x}:{adapter:02x}"


def transfer(source, target, address, size=3 << 20):
    """Send random bytes over TCP; both ends must agree on their sum."""
    # nc gives up its side when its input ends; a fifo open for writing never does
    target.start("rm -f /tmp/fifo /tmp/done; mkfifo /tmp/fifo; "
                 "nc -l -p 5000 <>/tmp/fifo >/tmp/received; touch /tmp/done")
    wait_until(lambda: ":1388 " in target.sh("cat /proc/net/tcp /proc/net/tcp6"),
               what="the listener")
    source.sh(f"dd if=/dev/urandom of=/tmp/sent bs=4096 count={size // 4096} 2>/dev/null")
    source.sh(f"nc {address} 5000 </tmp/sent")
    target.sh("until [ -e /tmp/done ]; do usleep 20000; done")
    sums = [source.sh("sha256sum </tmp/sent"), target.sh("sha256sum </tmp/received")]
    assert sums[0] == sums[1]
    assert hashlib.sha256(b"").hexdigest() not in sums[0]


@pytest.fixture
def pair(node, peers):
    """Two plugged nodes that are not linked yet, and the tunnel's two ports."""
    nodes = [node(), node()]
    for number, one in enumerate(nodes, 1):
        one.plug(0, mac(number))
    return nodes, [peers.port(), peers.port()]


def test_two_containers_talk(pair, directory, ns):
    """Ping and TCP through two processes and a tunnel, with a capture running."""
    (one, two), ports = pair
    pcap = f"{directory}/one to two.pcap"
    one.link(0, ports[0], ports[1], pcap)
    two.link(0, ports[1], ports[0])
    one.container.configure("eth0", "10.0.0.1/24")
    two.container.configure("eth0", "10.0.0.2/24")
    one.container.ping("10.0.0.2")
    two.container.ping("10.0.0.1")
    transfer(one.container, two.container, "10.0.0.2")
    transfer(two.container, one.container, "10.0.0.1")

    for number, each in enumerate((one, two), 1):
        assert mac(number) in each.container.sh("ip link show eth0")
    # what the tunnel lost, the kernel has counted at the receiving socket
    for sender, receiver, port in ((one, two, ports[1]), (two, one, ports[0])):
        wait_until(lambda: sender.ub.stats("bridge0")["destination"][2] ==
                   receiver.ub.stats("bridge0")["destination"][0] + ns.udp_drops(port),
                   what="counters that account for every packet")
    counted = one.ub.stats("bridge0")
    one.ub.ok("bridge stop_capture bridge0")
    records = capture.records(pcap)
    assert len(records) == counted["source"][2] + counted["destination"][2]
    assert len(capture.tcpdump(pcap, "icmp and icmp[icmptype] == icmp-echo")) == 6
    assert len(capture.tcpdump(pcap, "arp")) >= 2
    assert max(len(data) for _, data in records) <= 1514, "a capture holds wire frames"
    assert len(capture.tcpdump(pcap, f"tcp port 5000 and ether src {mac(1)}")) > 1000


def test_iperf3_both_ways(pair, measure):
    (one, two), ports = pair
    one.link(0, ports[0], ports[1])
    two.link(0, ports[1], ports[0])
    one.container.configure("eth0", "10.0.0.1/24")
    two.container.configure("eth0", "10.0.0.2/24")
    two.container.start("iperf3 -s")
    wait_until(lambda: ":1451 " in two.container.sh("cat /proc/net/tcp /proc/net/tcp6"),
               what="the iperf3 server")
    for way in ("", "-R"):
        begin = time.monotonic()
        out = one.container.sh(f"iperf3 -c 10.0.0.2 -n 20M {way}")
        measure(f"iperf3 of 20 MiB {way}".rstrip(), time.monotonic() - begin)
        assert "receiver" in out, out


def test_the_name_of_the_tap_is_used_again(node, peers):
    """Four adapters of one container: four times tap-gns3-e0 in the same process."""
    one = node()
    ports = [(peers.port(), peers.udp()) for _ in range(4)]
    for adapter, (port, peer) in enumerate(ports):
        one.plug(adapter, mac(1, adapter))
        one.link(adapter, port, peer.port)
    for adapter, (_, peer) in enumerate(ports):
        one.container.configure(f"eth{adapter}", f"10.0.{adapter}.1/24")
        one.container.sh(f"ping -c 1 -W 1 10.0.{adapter}.2", check=False)
        asked = peer.receive()
        assert asked[6:12] == bytes.fromhex(mac(1, adapter).replace(":", ""))
        assert asked[12:14] == b"\x08\x06", "an ARP request"
    assert one.ub.ok("bridge list") == [f"bridge{a} (NIOs = 2)" for a in (3, 2, 1, 0)]
    one.ub.ok("bridge delete bridge2")
    wait_until(lambda: "eth2" not in one.container.links(), what="eth2 to go")
    assert {"eth0", "eth1", "eth3"} <= one.container.links()


def test_link_added_and_removed_live(pair, peers):
    """A node starts without a link; links come and go while it runs."""
    (one, two), ports = pair
    one.container.configure("eth0", "10.0.0.1/24")
    two.container.configure("eth0", "10.0.0.2/24")
    one.ub.fails(209, "bridge start bridge0", "bridge 'bridge0' must have 2 NIOs to be started")
    for number in range(5):
        if number == 3:
            ports = [peers.port(), peers.port()]
        one.link(0, ports[0], ports[1])
        two.link(0, ports[1], ports[0])
        one.container.ping("10.0.0.2", count=2)
        one.unlink(0, ports[0], ports[1])
        two.unlink(0, ports[1], ports[0])
        out = one.container.sh("ping -c 1 -W 1 10.0.0.2", check=False)
        assert "0 packets received" in out, out
    assert one.ub.ok("bridge show bridge0")[0] == "bridge 'bridge0' is not running"


def test_capture_on_a_running_link(pair, directory):
    (one, two), ports = pair
    one.link(0, ports[0], ports[1])
    two.link(0, ports[1], ports[0])
    one.container.configure("eth0", "10.0.0.1/24")
    two.container.configure("eth0", "10.0.0.2/24")
    for number in range(3):
        pcap = f"{directory}/{number}.pcap"
        one.ub.ok(f'bridge start_capture bridge0 "{pcap}"')
        assert capture.header(pcap)[4] == 1
        one.container.ping("10.0.0.2", count=2)
        one.ub.ok("bridge stop_capture bridge0")
        assert len(capture.tcpdump(pcap, "icmp")) == 4


def test_suspended_link(pair):
    """Suspending is a filter that drops everything, in both directions."""
    (one, two), ports = pair
    one.link(0, ports[0], ports[1])
    two.link(0, ports[1], ports[0])
    one.container.configure("eth0", "10.0.0.1/24")
    two.container.configure("eth0", "10.0.0.2/24")
    one.container.ping("10.0.0.2", count=1)
    one.ub.ok("bridge reset_packet_filters bridge0")
    one.ub.ok("bridge add_packet_filter bridge0 filter0 frequency_drop -1")
    for each, address in ((one, "10.0.0.2"), (two, "10.0.0.1")):
        assert "0 packets received" in \
            each.container.sh(f"ping -c 2 -i 0.2 -W 1 {address}", check=False)
    one.ub.ok("bridge reset_packet_filters bridge0")
    one.container.ping("10.0.0.2", count=1)


def test_a_container_that_is_gone(node, engine):
    """The pid the server asks for is dead: an error, so that the server can say why."""
    one = node()
    pid = one.container.pid
    engine.docker("kill", one.container.id)
    engine.docker("wait", one.container.id)
    one.ub.ok("bridge create bridge0")
    one.ub.ok("bridge add_nio_tap bridge0 tap-gns3-e0")
    one.ub.fails(206, f"docker move_to_ns tap-gns3-e0 {pid} eth0",
                 "could not complete netlink transaction")
    assert "tap-gns3-e0" in one.ub.ns.links()
    one.ub.ok("bridge delete bridge0")
    assert "tap-gns3-e0" not in one.ub.ns.links()


def test_a_container_that_dies_while_linked(pair, engine, launch, tunnel):
    """Nothing else is hurt, and the bridge can be deleted and made again."""
    (one, two), ports = pair
    one.link(0, ports[0], ports[1])
    two.link(0, ports[1], ports[0])
    one.container.configure("eth0", "10.0.0.1/24")
    two.container.configure("eth0", "10.0.0.2/24")
    one.container.ping("10.0.0.2", count=1)
    engine.docker("kill", one.container.id)
    engine.docker("wait", one.container.id)
    two.container.sh("ping -c 3 -i 0.2 -W 1 10.0.0.1", check=False)
    one.ub.ok("bridge show bridge0")
    one.ub.ok("bridge stop bridge0")
    one.ub.ok("bridge delete bridge0")
    assert len(one.ub.output().splitlines()) < 60, "a line per packet"
    left, right = tunnel
    left.send(b"unhurt")
    right.expect(b"unhurt")


def test_node_stopped_and_started_again(node, peers, containers, launch):
    """The server stops ubridge first, then the container, and starts both anew."""
    ports = [peers.port(), peers.port()]
    two = node()
    two.plug(0, mac(2))
    two.link(0, ports[1], ports[0])
    two.container.configure("eth0", "10.0.0.2/24")
    for _ in range(3):
        one = node()
        one.plug(0, mac(1))
        one.link(0, ports[0], ports[1])
        one.container.configure("eth0", "10.0.0.1/24")
        one.container.ping("10.0.0.2", count=1)
        one.ub.stop()
        assert "eth0" not in one.container.links()
        one.container.remove()


def test_veth_and_raw_between_containers(containers, launch, peers, ns):
    """create_veth and add_nio_linux_raw instead of a TAP: TCP needs the checksums right."""
    ports = [peers.port(), peers.port()]
    made = []
    for number in (1, 2):
        container, ub = containers(), launch()
        ub.ok(f"docker create_veth gv{number} gc{number}",
              f"veth pair created: gv{number} and gc{number}")
        ub.ok(f"docker set_mac_addr gc{number} {mac(number)}")
        ub.ok(f"docker move_to_ns gc{number} {container.pid} eth0")
        ub.ok("bridge create bridge0")
        ub.ok(f"bridge add_nio_linux_raw bridge0 gv{number}")
        ub.ok(f"bridge add_nio_udp bridge0 {ports[number - 1]} 127.0.0.1 {ports[number % 2]}")
        ub.ok("bridge start bridge0")
        container.configure("eth0", f"10.0.0.{number}/24")
        made.append(container)
    made[0].ping("10.0.0.2")
    transfer(made[0], made[1], "10.0.0.2")
    transfer(made[1], made[0], "10.0.0.1")


def test_many_adapters_by_two_nodes(pair, peers):
    """Eight links between the same two nodes, all at work."""
    (one, two), _ = pair
    for adapter in range(1, 9):
        ports = [peers.port(), peers.port()]
        one.plug(adapter, mac(1, adapter))
        two.plug(adapter, mac(2, adapter))
        one.link(adapter, ports[0], ports[1])
        two.link(adapter, ports[1], ports[0])
        one.container.configure(f"eth{adapter}", f"10.0.{adapter}.1/24")
        two.container.configure(f"eth{adapter}", f"10.0.{adapter}.2/24")
    for adapter in range(1, 9):
        one.container.ping(f"10.0.{adapter}.2", count=1)
