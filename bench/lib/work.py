# SPDX-License-Identifier: GPL-3.0-or-later
"""The single measurements. Each takes the bed, a program and a length in seconds,
and gives a list of numbers: one for each value of its row."""
import json
import os
import time

from lib.bed import Failure, wait_until

FIRST, SECOND = "10.99.0.1", "10.99.0.2"

# ---- topologies


def containers(bed):
    return bed.container(), bed.container()


def configure(bed, first, second):
    """Addresses, and a first packet through the link."""
    first.configure("eth0", FIRST)
    second.configure("eth0", SECOND)
    echo = bed.traffic("echo", 7000, FIRST, 7000, where=second)
    sink_ready(7000, second)
    wait_until(lambda: answers(bed, first), "the link")
    echo.stop()


def answers(bed, first):
    text = bed.traffic("ping", 7000, SECOND, 7000, 0.01, where=first).result(10)
    return not text.startswith("0 ")


def give_device(program, kind, index, container):
    """An end whose device is eth0 in the container; called before and after start."""
    if kind == "tap":
        return ("tap", f"bt{index}"), lambda: program.move(f"bt{index}", container, "eth0")
    program.veth(f"bh{index}", f"bg{index}")
    return ("raw", f"bh{index}"), lambda: program.move(f"bg{index}", container, "eth0")


def two_processes(bed, program, kind, delay=0):
    """Container - process - UDP on loopback - process - container."""
    pair = containers(bed)
    ports = bed.next_port(), bed.next_port()
    running = []
    for i, container in enumerate(pair):
        instance = program.start()
        end, move = give_device(instance, kind, i, container)
        instance.links([("link", end, ("udp", ports[i], ports[1 - i]))])
        move()
        running.append(instance)
    if delay:
        running[0].delay("link", delay)
    configure(bed, *pair)
    return pair, running


def one_process(bed, program, kind):
    pair = containers(bed)
    instance = program.start()
    ends, moves = zip(*(give_device(instance, kind, i, c) for i, c in enumerate(pair)))
    instance.links([("link", *ends)])
    for move in moves:
        move()
    configure(bed, *pair)
    return pair


def direct_veth(bed, mtu=1500):
    pair = containers(bed)
    bed.run("ip", "link", "add", "eth0", "mtu", str(mtu), "netns", str(pair[0].pid), "type",
            "veth", "peer", "name", "eth0", "mtu", str(mtu), "netns", str(pair[1].pid))
    configure(bed, *pair)
    return pair


def udp_link(bed, program, capture=None, workers=None, links=1):
    """Links between plain UDP peers; gives the ports of each: peer, link, link, peer."""
    instance = program.start(workers)
    ports = [[bed.next_port() for _ in range(4)] for _ in range(links)]
    instance.links([(f"link{i}", ("udp", p[1], p[0]), ("udp", p[2], p[3]))
                    for i, p in enumerate(ports)], capture)
    return instance, ports


# ---- tools


def listens(protocol, port, where=None):
    """Whether a socket is bound to the port, in a container or here."""
    pid = where.pid if where else "self"
    with open(f"/proc/{pid}/net/{protocol}", encoding="ascii") as file:
        return f":{port:04X} " in file.read()


def iperf_server(bed, container):
    bed.spawn(container.inside("iperf3", "-4", "-s", "-1"), stdout=bed.log)
    wait_until(lambda: listens("tcp", 5201, container), "iperf3")


def iperf(bed, pair, seconds, address=SECOND):
    """Gbit/s of one TCP stream from the first container to the second."""
    iperf_server(bed, pair[1])
    client = bed.capture_output(pair[0].inside("iperf3", "-J", "-c", address, "-t",
                                               f"{max(1, round(seconds))}"))
    result = json.loads(client.result(seconds + 20))
    return result["end"]["sum_received"]["bits_per_second"] / 1e9


def sink_ready(port, where=None):
    wait_until(lambda: listens("udp", port, where), "the sink")


def blast(bed, ports, size, seconds, host="127.0.0.1", where=(None, None), record=None):
    """Packets that a sink got from a sender at full speed, and packets per second.

    ports: the sender's, where it sends to, the sink's.
    """
    sink = bed.traffic("sink", ports[2], *([record] if record else []), where=where[1])
    sink_ready(ports[2], where[1])
    sender = bed.traffic("blast", ports[0], host, ports[1], size, seconds, where=where[0])
    sender.result(seconds + 20)
    count, duration = sink.result(seconds + 20).split()
    if not int(count) or not float(duration):
        raise Failure("nothing was delivered")
    return int(count), int(count) / float(duration)


def ping(bed, ports, seconds):
    """Round trips through a link between UDP peers: median and 99th percentile (us)."""
    echo = bed.traffic("echo", ports[3], "127.0.0.1", ports[2])
    sink_ready(ports[3])
    text = bed.traffic("ping", ports[0], "127.0.0.1", ports[1], seconds).result(seconds + 20)
    echo.stop()
    count, _, median, p99, _ = map(float, text.split())
    if not count:
        raise Failure("no answer")
    return [median, p99]


def set_tx(pair, state):
    for container in pair:
        container.run("ethtool", "-K", "eth0", "tx", state, "tso", state)


# ---- rows


def tcp_two(kind, delay=0, tx=None):
    def measure(bed, program, seconds):
        pair, _ = two_processes(bed, program, kind, delay)
        if tx:
            set_tx(pair, tx)
        return [iperf(bed, pair, seconds)]
    return measure


def udp_two(kind):
    def measure(bed, program, seconds):
        pair, _ = two_processes(bed, program, kind)
        _, rate = blast(bed, (7001, 7002, 7002), 64, seconds, SECOND, pair)
        return [rate / 1e3]
    return measure


def tcp_one(kind, tx=None):
    def measure(bed, program, seconds):
        pair = one_process(bed, program, kind)
        if tx:
            set_tx(pair, tx)
        return [iperf(bed, pair, seconds)]
    return measure


def veth(bed, seconds):
    return [iperf(bed, direct_veth(bed), seconds)]


def veth_tx_off(bed, seconds):
    """What is left of a direct pair when the containers must fill in checksums."""
    pair = direct_veth(bed)
    set_tx(pair, "off")
    return [iperf(bed, pair, seconds)]


def vxlan(bed, seconds):
    """A tunnel over a veth pair whose MTU leaves 1500 bytes inside."""
    pair = direct_veth(bed, 1600)
    for index, container in enumerate(pair):
        container.run("ip", "link", "add", "vx0", "mtu", "1500", "type", "vxlan", "id", "42",
                      "dstport", "4789", "local", (FIRST, SECOND)[index],
                      "remote", (SECOND, FIRST)[index], "dev", "eth0")
        container.configure("vx0", f"10.98.0.{index + 1}")
    return [iperf(bed, pair, seconds, "10.98.0.2")]


def udp_udp(size):
    def measure(bed, program, seconds):
        instance, (ports,) = udp_link(bed, program)
        before = instance.cpu()
        count, rate = blast(bed, (ports[0], ports[1], ports[3]), size, seconds)
        return [rate / 1e3, (instance.cpu() - before) / count * 1e6]
    return measure


def udp_direct(size):
    """What the sink gets without a bridge in between: the most that a bridge can deliver."""
    def measure(bed, seconds):
        source, sink = bed.next_port(), bed.next_port()
        return [blast(bed, (source, sink, sink), size, seconds)[1] / 1e3]
    return measure


def udp_udp_capture(size):
    def measure(bed, program, seconds):
        file, record = bed.path("capture.pcap"), bed.path("map")
        seconds = min(seconds, 1500 / size)
        instance, (ports,) = udp_link(bed, program, file)
        before = instance.cpu()
        count, rate = blast(bed, (ports[0], ports[1], ports[3]), size, seconds, record=record)
        used = instance.cpu() - before
        sent = instance.sent("link0")
        os.sync()
        records, missing = map(int, bed.traffic("check", file, record).result(60).split())
        if sent is not None:
            missing = max(missing, sent - records)
        return [rate / 1e3, used / count * 1e6, missing]
    return measure


def rtt(bed, program, seconds):
    _, (ports,) = udp_link(bed, program)
    return ping(bed, ports, seconds)


def resources(instance, seconds=5):
    before = instance.cpu()
    time.sleep(seconds)
    used = instance.cpu() - before
    return [instance.status("VmRSS") / 1024, instance.status("Threads"), used * 1000]


def memory_many(bed, program, seconds):
    instance, _ = udp_link(bed, program, links=1000)
    return resources(instance)


def memory_idle(bed, program, seconds):
    instance = program.start()
    if not instance.process:
        raise Failure("the plain pump is never idle")
    return resources(instance, 1)[:2]


def delay_accuracy(milliseconds):
    def measure(bed, program, seconds):
        instance, (ports,) = udp_link(bed, program)
        instance.delay("link0", milliseconds)
        gap = 2000
        count = int(max(100, seconds * 1e6 / gap))
        text = bed.traffic("oneway", ports[0], ports[1], ports[3], gap, count,
                           2 * milliseconds + 200).result(seconds + 20)
        _, lost, median, p99, _ = map(float, text.split())
        if lost == count:
            raise Failure("nothing arrived")
        return [median - milliseconds * 1e3, p99 - milliseconds * 1e3, lost / count * 100]
    return measure


def delay_rate(bed, program, seconds):
    instance, (ports,) = udp_link(bed, program)
    instance.delay("link0", 50)
    _, rate = blast(bed, (ports[0], ports[1], ports[3]), 1400, seconds)
    return [rate / 1e3]


def fairness_udp(size):
    def measure(bed, program, seconds):
        _, (quiet, flooded) = udp_link(bed, program, workers=1, links=2)
        bed.traffic("sink", flooded[3])
        sink_ready(flooded[3])
        bed.traffic("blast", flooded[0], "127.0.0.1", flooded[1], size, seconds + 0.6)
        time.sleep(0.3)
        return ping(bed, quiet, seconds)
    return measure


def fairness_tcp(bed, program, seconds):
    """One process carries a TCP stream from TAP to TAP, with segmentation, and the pings."""
    pair = containers(bed)
    instance = program.start(1)
    tunnel = bed.next_port(), bed.next_port()
    ports = [bed.next_port() for _ in range(4)]
    links, moves = [], []
    for i, container in enumerate(pair):
        end, move = give_device(instance, "tap", i, container)
        links.append((f"link{i}", end, ("udp", tunnel[i], tunnel[1 - i])))
        moves.append(move)
    links.append(("quiet", ("udp", ports[1], ports[0]), ("udp", ports[2], ports[3])))
    instance.links(links)
    for move in moves:
        move()
    configure(bed, *pair)
    iperf_server(bed, pair[1])
    bed.spawn(pair[0].inside("iperf3", "-c", SECOND, "-t", str(round(seconds) + 5)),
              stdout=bed.log)
    time.sleep(0.5)
    return ping(bed, ports, seconds)
