# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of other nodes the way the GNS3 server makes them: VPCS, QEMU, cloud."""
import os

from lab import capture, frames
from lab.wait import wait_until


def draw(ub, name, near, far, pcap=None):
    """The server's sequence for a link of a VPCS, QEMU, VirtualBox or Dynamips node."""
    ub.ok(f"bridge create {name}", f"bridge '{name}' created")
    ub.ok(f"bridge add_nio_udp {name} {near.to} 127.0.0.1 {near.port}",
          f"NIO UDP added to bridge '{name}'")
    ub.ok(f"bridge add_nio_udp {name} {far.to} 127.0.0.1 {far.port}",
          f"NIO UDP added to bridge '{name}'")
    if pcap:
        ub.ok(f'bridge start_capture {name} "{pcap}"',
              f"packet capture started on bridge '{name}'")
    ub.ok(f"bridge start {name}", f"bridge '{name}' started")
    ub.ok(f"bridge reset_packet_filters {name}", "OK")


def ends(peers):
    near, far = peers.udp(), peers.udp()
    near.to, far.to = peers.port(), peers.port()
    return near, far


def test_vpcs(ub, peers, directory):
    name = "VPCS-0f6a1b9c-52a4-4a47-9c0f-0c3e8f1f3a11"
    near, far = ends(peers)
    draw(ub, name, near, far, f"{directory}/VPCS to far.pcap")
    near.send(frames.arp())
    far.expect(frames.arp())
    far.send(frames.icmp(b"reply"))
    near.expect(frames.icmp(b"reply"))
    ub.ok(f"bridge stop_capture {name}")
    assert len(capture.tcpdump(f"{directory}/VPCS to far.pcap")) == 2
    ub.ok(f"bridge delete {name}", f"bridge '{name}' deleted")
    ub.fails(214, f"bridge delete {name}", f"bridge '{name}' doesn't exist")


def test_qemu_with_eight_adapters(ub, peers):
    links = []
    for adapter in range(8):
        near, far = ends(peers)
        draw(ub, f"QEMU-6f1c-{adapter}", near, far)
        links.append((near, far))
    for number, (near, far) in enumerate(links):
        near.send(frames.frame(b"%d" % number))
        far.expect(frames.frame(b"%d" % number))
    for _, far in links:
        far.expect_nothing(0.05)


def test_link_drawn_again_with_the_same_ports(ub, peers):
    near, far = ends(peers)
    for number in range(50):
        draw(ub, "QEMU-6f1c-0", near, far)
        near.send(frames.frame(b"%d" % number))
        far.expect(frames.frame(b"%d" % number))
        ub.ok("bridge delete QEMU-6f1c-0")


def test_the_tunnel_between_two_processes(launch, peers):
    """Two nodes: what one sends through its process and the other's arrives."""
    one, two = launch(), launch()
    near, far = peers.udp(), peers.udp()
    near.to, far.to = peers.port(), peers.port()
    ports = [peers.port(), peers.port()]
    one.udp_bridge("VPCS-1", (near.to, near.port), (ports[0], ports[1]))
    for number in range(10):
        near.send(b"nobody there yet %d" % number)
    two.udp_bridge("VPCS-2", (far.to, far.port), (ports[1], ports[0]))
    far.receive_all(0.2)
    for number in range(100):
        near.send(frames.frame(b"%d" % number))
        far.expect(frames.frame(b"%d" % number))
        far.send(frames.frame(b"%d" % number))
        near.expect(frames.frame(b"%d" % number))


def test_cloud_on_an_interface(ub, ns, peers):
    name = "e2b5a1d0-7d1c-4c0e-8a53-1f5b1d2c3b4a-1"
    far = peers.udp()
    far.to = peers.port()
    ns.veth("ens4", "wire")
    ub.ok(f"bridge create {name}")
    ub.ok(f"bridge add_nio_udp {name} {far.to} 127.0.0.1 {far.port}")
    ub.ok(f"bridge reset_packet_filters {name}")
    ub.ok(f'bridge add_nio_linux_raw {name} "ens4"', f"NIO Linux raw added to bridge '{name}'")
    ub.ok(f"bridge start {name}")
    wire = peers.raw("wire")
    wire.send(frames.icmp(b"in"))
    far.expect(frames.icmp(b"in"))
    far.send(frames.icmp(b"out"))
    wire.expect(frames.icmp(b"out"))
    # the host itself can be reached from the link
    ns.ip("addr add 10.0.0.1/24 dev ens4")
    far.send(frames.arp(src="10.0.0.2", dst="10.0.0.1"))
    wire.expect(frames.arp(src="10.0.0.2", dst="10.0.0.1"))


def test_cloud_on_a_bridge_of_the_host(ub, ns, peers):
    name, tap = "e2b5a1d0-2", "gns3tap0-1"
    far = peers.udp()
    far.to = peers.port()
    ns.ip("link add virbr0 type bridge forward_delay 0")
    ns.quiet("virbr0")
    ns.ip("link set virbr0 up")
    ns.veth("port", "wire")
    ns.ip("link set port master virbr0")
    ub.ok(f"bridge create {name}")
    ub.ok(f"bridge add_nio_udp {name} {far.to} 127.0.0.1 {far.port}")
    ub.ok(f"bridge reset_packet_filters {name}")
    ub.ok(f'bridge add_nio_tap "{name}" "{tap}"', f"NIO TAP added to bridge '{name}'")
    ns.quiet(tap)
    ub.ok(f'brctl addif "virbr0" "{tap}"', f"{tap} has been added to bridge virbr0")
    ub.ok(f"bridge start {name}")
    wire = peers.raw("wire")

    def arrives():
        wire.send(frames.arp())
        return frames.arp() in far.receive_all(0.1)
    wait_until(arrives, what="a broadcast through the bridge")
    far.send(frames.frame(b"out"))
    assert frames.frame(b"out") in wire.receive_all()
    ub.stop()
    assert tap not in ns.links()


def test_cloud_udp(ub, peers):
    near, far = ends(peers)
    draw(ub, "cloud-3", near, far)
    near.send(b"udp to udp")
    far.expect(b"udp to udp")


def test_vmware_with_block_host_traffic(ub, ns, peers):
    """The Ethernet NIO comes first here, and the filter goes to it."""
    far = peers.udp()
    far.to = peers.port()
    ns.veth("vmnet1", "guest")
    ub.ok("bridge create ethernet0.vnet")
    ub.ok('bridge add_nio_ethernet ethernet0.vnet "vmnet1"')
    ub.ok(f'bridge set_pcap_filter ethernet0.vnet "not ether src {frames.SRC}"',
          f"filter 'not ether src {frames.SRC}' applied on bridge 'ethernet0.vnet'")
    ub.ok(f"bridge add_nio_udp ethernet0.vnet {far.to} 127.0.0.1 {far.port}")
    ub.ok("bridge start ethernet0.vnet")
    guest = peers.raw("guest")
    guest.send(frames.frame(b"host traffic"))
    guest.send(frames.frame(b"guest traffic", src="00:50:56:00:00:01"))
    far.expect(frames.frame(b"guest traffic", src="00:50:56:00:00:01"))
    far.expect_nothing(0.1)
    ub.ok("bridge delete ethernet0.vnet")


def test_filters_as_the_gui_sends_them(ub, peers):
    near, far = ends(peers)
    draw(ub, "VPCS-f", near, far)
    for number, words in enumerate(("frequency_drop 1000", "packet_loss 0", "delay 20 5",
                                    "corrupt 0", 'bpf "udp port 53"')):
        ub.ok(f"bridge add_packet_filter VPCS-f filter{number} {words}",
              f"Filter 'filter{number}' type '{words.split()[0]}' added to bridge 'VPCS-f'")
    near.send(frames.udp(b"blocked", dport=53))
    near.send(frames.udp(b"passes", dport=54))
    far.expect(frames.udp(b"passes", dport=54))
    far.expect_nothing(0.2)
    ub.ok("bridge reset_packet_filters VPCS-f", "OK")
    near.send(frames.udp(b"open", dport=53))
    far.expect(frames.udp(b"open", dport=53), within=0.5)


def test_a_filter_on_a_bridge_with_one_nio(ub, peers):
    """The cloud sets its filters before the second NIO is there."""
    near, far = ends(peers)
    ub.ok("bridge create c")
    ub.ok(f"bridge add_nio_udp c {near.to} 127.0.0.1 {near.port}")
    ub.ok("bridge reset_packet_filters c")
    ub.ok("bridge add_packet_filter c filter0 frequency_drop -1")
    ub.ok(f"bridge add_nio_udp c {far.to} 127.0.0.1 {far.port}")
    ub.ok("bridge start c")
    near.send(b"dropped")
    far.expect_nothing()


def test_a_bpf_text_that_does_not_compile(ub, peers):
    """The server looks for exactly this sentence in the reply and the log."""
    near, far = ends(peers)
    draw(ub, "b", near, far)
    reply = ub.cmd('bridge add_packet_filter b filter0 bpf "no such thing"')
    assert reply.code == 206
    wait_until(lambda: "Cannot compile filter 'no such thing': syntax error" in
               reply.text + ub.output(), what="the sentence")
    near.send(b"unhurt")
    far.expect(b"unhurt")


def test_a_killed_process_leaves_nothing(launch, peers, ns, directory):
    """The server kills ghosts with SIGKILL; the next process takes names and ports over."""
    ports = [peers.port(), peers.port()]
    for _ in range(3):
        ub = launch()
        ub.udp_bridge("b", (ports[0], 9), (ports[1], 9))
        ub.ok("bridge create t")
        ub.ok("bridge add_nio_tap t tap-gns3-e0")
        ub.ok(f"bridge add_nio_unix t {directory}/sock {directory}/peer")
        ub.kill()
        wait_until(lambda: "tap-gns3-e0" not in ns.links(), what="the TAP to go")
    assert os.path.exists(f"{directory}/sock")
