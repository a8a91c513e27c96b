# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for conditions instead of sleeping."""
import time


def wait_until(condition, deadline=5.0, what="the condition"):
    """Poll until condition() is true, return its value; fail after deadline seconds."""
    end = time.monotonic() + deadline
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"waited {deadline} s for {what} in vain (last: {value!r})")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
