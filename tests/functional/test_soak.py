# SPDX-License-Identifier: GPL-3.0-or-later
"""A short soak; `make soak` runs the long one. SOAK_SECONDS sets for how long (default 90)."""
import os
import signal
import sys

import pytest

from lab.wait import wait_until

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../soak"))
from soak import soak  # noqa: E402  pylint: disable=wrong-import-position

SECONDS = float(os.environ.get("SOAK_SECONDS", "90"))


def test_nothing_grows_and_nothing_stalls(binary, engine, patience):
    """With a sanitizer fewer bridges: it is slower, and keeps memory back on purpose."""
    bridges, boxes = (200, 8) if patience == 1 else (40, 4)
    print(soak(binary, SECONDS, bridges=bridges, boxes=boxes, engine=engine, patience=patience))


def stall(lab):
    lab.program.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: lab.probes.failures, 60, "a probe that is missed")
    lab.program.process.send_signal(signal.SIGCONT)


def leak(lab):
    lab.program.client()


@pytest.mark.parametrize("what, told", [(stall, "ms through"), (leak, "descriptors: ")],
                         ids=lambda value: getattr(value, "__name__", ""))
def test_it_would_be_seen(binary, engine, patience, what, told):
    with pytest.raises(AssertionError, match=told):
        soak(binary, 2, bridges=11, boxes=0, engine=engine, meanwhile=what,
             patience=1 if what is stall else patience)
