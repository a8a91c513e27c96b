# SPDX-License-Identifier: GPL-3.0-or-later
"""A wall clock that can be set, for one program."""
import os
import subprocess

CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* The wall clock is off by as many seconds as the file has bytes. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	int result = real(clock, now);
	int fd = clock == CLOCK_REALTIME ? open(getenv("CLOCK_OFFSET"), O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		now->tv_sec += lseek(fd, 0, SEEK_END);
		close(fd);
	}
	return result;
}
"""


class StepClock:
    """Run a program with `environment`, and step() changes what it takes for the time."""

    def __init__(self, directory):
        self.offset = f"{directory}/offset"
        open(self.offset, "wb").close()
        with open(f"{directory}/clock.c", "w", encoding="ascii") as file:
            file.write(CLOCK)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", f"{directory}/clock.so",
                        f"{directory}/clock.c", "-ldl"], check=True)
        self.environment = {"LD_PRELOAD": f"{directory}/clock.so", "CLOCK_OFFSET": self.offset}

    def step(self, seconds):
        """So many seconds ahead of the true time."""
        os.truncate(self.offset, seconds)
