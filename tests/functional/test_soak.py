# SPDX-License-Identifier: GPL-3.0-or-later
"""A short soak; `make soak` runs the long one. SOAK_SECONDS sets for how long (default 90)."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../soak"))
from soak import soak  # noqa: E402  pylint: disable=wrong-import-position

SECONDS = float(os.environ.get("SOAK_SECONDS", "90"))


def test_nothing_grows_and_nothing_stalls(binary, patience):
    """With a sanitizer fewer bridges: it is slower, and keeps memory back on purpose."""
    print(soak(binary, SECONDS, bridges=200 if patience == 1 else 40, watch_memory=patience == 1))
