# SPDX-License-Identifier: GPL-3.0-or-later
"""libcurl is loaded when an engine is needed: without it everything else works."""
import re
import subprocess


def installed():
    """The files that could be loaded."""
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    return re.findall(r"libcurl(?:-gnutls)?\.so\.4 .*=> (\S+)", known.stdout)


def test_without_libcurl(launch, peers):
    files = dict.fromkeys(installed(), "")
    assert files
    ub = launch(files=files, env={"DOCKER_HOST": "tcp://127.0.0.1:9"})
    for _ in range(2):
        assert "libcurl can not be loaded" in ub.fails(215, "docker pid web")
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    ub.udp_bridge("t", (left.to, left.port), (right.to, right.port))
    left.send(b"to the right")
    right.expect(b"to the right")
