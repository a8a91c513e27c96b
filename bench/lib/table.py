# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that is printed, a line as soon as it is known."""
import statistics

WIDTHS = (22, 8, 24, 24, 7, 9, 24, 7)
TITLES = ("row", "unit", "peer", "ours", "ratio", "goal", "reference", "ours/r.")


def number(value):
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}"


def spread(values):
    if not values:
        return "-"
    if len(values) == 1:
        return number(values[0])
    return (f"{number(statistics.median(values))} "
            f"[{number(min(values))}..{number(max(values))}]")


def ratio(ours, other):
    if not ours or not other or not statistics.median(other):
        return "-"
    return f"{statistics.median(ours) / statistics.median(other):.2f}"


class Table:
    def __init__(self, verbose):
        self.verbose = verbose

    @staticmethod
    def _line(cells):
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS)).rstrip(),
              flush=True)

    def head(self, rounds, seconds):
        print(f"median [min..max] of {rounds} alternating rounds, {seconds:g} s each")
        self._line(TITLES)

    def detail(self, text):
        if self.verbose:
            print("    " + text, flush=True)

    def row(self, name, unit, goal, peer, ours, reference):
        self._line((name, unit, spread(peer), spread(ours), ratio(ours, peer), goal,
                    spread(reference), ratio(ours, reference)))

    @staticmethod
    def note(text):
        print("  ! " + text, flush=True)
