/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Captures: libpcap files that other programs follow while they are written. */
#ifndef CAPTURE_CAPTURE_H
#define CAPTURE_CAPTURE_H

#include "base/err.h"
#include "pkt/batch.h"

struct capture;

struct capture *capture_open(const char *path, const char *linktype, struct err *err);
int capture_write(struct capture *capture, const struct batch *batch);
void capture_close(struct capture *capture);

#endif
