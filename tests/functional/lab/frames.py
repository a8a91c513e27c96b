# SPDX-License-Identifier: GPL-3.0-or-later
"""Ethernet frames made with scapy."""
import logging

logging.getLogger("scapy").setLevel(logging.ERROR)

# pylint: disable=wrong-import-position
from scapy.layers.inet import ICMP, IP, UDP  # noqa: E402
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402

SRC = "02:00:00:00:00:01"
DST = "02:00:00:00:00:02"
# Local experimental EtherType: no stack answers it.
ETHERTYPE = 0x88B5


def frame(payload=b"hello", size=60, src=SRC, dst=DST):
    """A frame of an experimental EtherType, padded with zeros to size."""
    return bytes(Ether(src=src, dst=dst, type=ETHERTYPE) / Raw(payload)).ljust(size, b"\0")


def tagged(tags, payload=b"hello", size=64):
    """A frame with VLAN tags, outermost first: [(tpid, priority, vlan), ...]."""
    packet = Ether(src=SRC, dst=DST, type=tags[0][0])
    kinds = [t[0] for t in tags[1:]] + [ETHERTYPE]
    for (tpid, priority, vlan), inner in zip(tags, kinds):
        header = Dot1AD if tpid == 0x88A8 else Dot1Q
        packet = packet / header(prio=priority, vlan=vlan, type=inner)
    return bytes(packet / Raw(payload)).ljust(size, b"\0")


def icmp(payload=b"", sequence=1, src="10.0.0.1", dst="10.0.0.2"):
    return bytes(Ether(src=SRC, dst=DST) / IP(src=src, dst=dst) /
                 ICMP(seq=sequence) / Raw(payload))


def udp(payload=b"", sport=1000, dport=2000, src="10.0.0.1", dst="10.0.0.2"):
    return bytes(Ether(src=SRC, dst=DST) / IP(src=src, dst=dst) /
                 UDP(sport=sport, dport=dport) / Raw(payload))


def arp(src="10.0.0.1", dst="10.0.0.2"):
    return bytes(Ether(src=SRC, dst="ff:ff:ff:ff:ff:ff") / ARP(psrc=src, pdst=dst, hwsrc=SRC))
