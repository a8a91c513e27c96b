# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the table, and how one of them is measured."""
from dataclasses import dataclass, field
from typing import Callable

from lib import work
from lib.bed import Failure


@dataclass
class Row:
    group: int
    name: str
    measure: Callable = None	# (bed, program, seconds): a number for each value
    # of each value: what is added to the name, the unit, the goal for ours / peer
    values: list = field(default_factory=lambda: [("", "Gbit/s", "")])
    reference: Callable = None	# (bed, seconds): measured in each round too
    once: bool = False	# repeating it shows nothing new
    alone: bool = False	# works with this program only


def rate(goal, cpu=None):
    """A packet rate, perhaps with the processor time of the program for each packet."""
    return [("", "kpps", goal)] + ([(" cpu", "us/pkt", cpu)] if cpu is not None else [])


def times(goal=""):
    return [(" median", "us", goal), (" p99", "us", "")]


def resources(cpu):
    return [(" memory", "MiB", ""), (" threads", "", "")] + ([(" idle cpu", "ms/5 s", "")] * cpu)


ERRORS = [(" error median", "us", ""), (" error p99", "us", ""), (" lost", "%", "")]

ROWS = [
    Row(1, "tcp-tap", work.tcp_two("tap"), [("", "Gbit/s", ">= 8")], work.vxlan),
    Row(2, "tcp-veth", work.tcp_two("veth"), [("", "Gbit/s", ">= 8")], work.vxlan),
    Row(2, "tcp-veth-tx", work.tcp_two("veth", tx="on"), reference=work.vxlan, alone=True),
    Row(3, "udp64-tap", work.udp_two("tap"), rate(">= 2")),
    Row(3, "udp64-veth", work.udp_two("veth"), rate("")),
    Row(4, "udp-udp-64", work.udp_udp(64), rate(">= 2.3", "<= 0.4"), work.udp_direct(64)),
    Row(4, "udp-udp-1400", work.udp_udp(1400), rate(">= 2.3", "<= 0.4"),
        work.udp_direct(1400)),
    Row(5, "capture-64", work.udp_udp_capture(64),
        rate(">= 3", "") + [(" missing", "packets", "")], work.udp_direct(64)),
    Row(5, "capture-1400", work.udp_udp_capture(1400),
        rate(">= 3", "") + [(" missing", "packets", "")], work.udp_direct(1400)),
    Row(6, "rtt", work.rtt, times("<= 1.0")),
    Row(7, "one-tap", work.tcp_one("tap"), reference=work.veth),
    Row(7, "one-veth", work.tcp_one("veth"), reference=work.veth),
    Row(7, "one-veth-tx", work.tcp_one("veth", tx="on"), reference=work.veth, alone=True),
    Row(8, "vxlan", reference=work.vxlan),
    Row(8, "veth", reference=work.veth),
    Row(8, "veth-tx-off", reference=work.veth_tx_off),
    Row(9, "1000-links", work.memory_many, resources(cpu=1), once=True),
    Row(9, "idle", work.memory_idle, resources(cpu=0), once=True),
    Row(10, "delay-1", work.delay_accuracy(1), ERRORS),
    Row(10, "delay-10", work.delay_accuracy(10), ERRORS),
    Row(10, "delay-100", work.delay_accuracy(100), ERRORS),
    Row(10, "delay-1000", work.delay_accuracy(1000), ERRORS),
    Row(10, "delay-50-udp-1400", work.delay_rate, rate("")),
    Row(10, "delay-50-tcp-tap", work.tcp_two("tap", 50)),
    Row(11, "fair-udp-64", work.fairness_udp(64), times()),
    Row(11, "fair-udp-1400", work.fairness_udp(1400), times()),
    Row(11, "fair-tcp-tap", work.fairness_tcp, times()),
]


def select(text):
    """The rows that a comma-separated list of names and group numbers means."""
    if not text:
        return ROWS
    words = text.split(",")
    known = {str(row.group) for row in ROWS} | {row.name for row in ROWS}
    for word in words:
        if word not in known:
            raise SystemExit(f"no row '{word}': see --list")
    return [row for row in ROWS if row.name in words or str(row.group) in words]


def attempt(call, bed, args, who, row, printer):
    """One measurement on a fresh bed; None when it did not work."""
    try:
        values = call(bed, *args)
        printer.detail(f"{row.name} {who}: " + " ".join(f"{value:.4g}" for value in values))
        return values
    except Failure as failure:
        printer.note(f"{row.name}, {who}: {failure}")
        return None
    finally:
        bed.clear()


def measure(row, bed, peer, ours, rounds, seconds, printer):
    """Alternate between the programs; who begins alternates too."""
    results = {"peer": [], "ours": [], "reference": []}
    calls = []
    if row.measure:
        calls = [("ours", row.measure, (ours, seconds))]
    if row.measure and not row.alone:
        calls.insert(0, ("peer", row.measure, (peer, seconds)))
    if row.reference:
        calls.append(("reference", row.reference, (seconds,)))
    for index in range(1 if row.once else rounds):
        for who, call, args in calls if index % 2 == 0 else calls[::-1]:
            values = attempt(call, bed, args, who, row, printer)
            if values:
                results[who].append(values)
            elif not results[who]:
                # what fails at once would fail again
                calls = [entry for entry in calls if entry[0] != who]
    for i, (suffix, unit, goal) in enumerate(row.values):
        # a reference may have the first value only
        columns = [[value for values in results[who] for value in values[i:i + 1]]
                   for who in results]
        printer.row(row.name + suffix, unit, goal, *columns)
