/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An empty world for fuzz targets whose input opens devices and writes files.
 *
 * A thread has a network namespace and a file system of its own: there is no interface
 * but lo, no device file, no process, and nothing that stays. Names of hosts do not
 * exist. The thread is the program's control thread; libFuzzer's own keeps its files.
 * Needs root.
 */
#ifndef FUZZ_JAIL_H
#define FUZZ_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Anything that is wrong ends the process, which is what libFuzzer waits for. */
void require(bool holds);

void jail_start(void (*prepare)(void), void (*run)(const uint8_t *data, size_t size));
void jail_run(const uint8_t *data, size_t size);

/* In the jail: serves what is under way until @done is set, at most for so long. */
void jail_serve(const bool *done, unsigned milliseconds);
void jail_finish_jobs(void);

#endif
