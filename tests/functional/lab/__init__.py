# SPDX-License-Identifier: GPL-3.0-or-later
"""What the functional tests are built of: namespaces, peers, the program, containers."""
