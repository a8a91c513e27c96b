/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * Readers follow the file while it grows, so the header is on disk when the
 * capture has been opened, and all frames of a batch are when capture_write()
 * returns. In between, stdio collects them.
 *
 * Where writing fails (the disk is full), the file is cut back to the last batch
 * that is whole and the capture is over: what is there stays readable.
 */
#include <config.h>

#include "capture/capture.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "filter/linktype.h"

#define SNAPLEN 65535
#define BUFFER_BYTES (256 * 1024)

/* In the file, whatever the size of time stamps in memory. */
#define RECORD_HEADER 16

struct capture {
	char *path;
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	off_t whole;		/* bytes of the file that are good */
};

static int flush(struct capture *capture)
{
	if (pcap_dump_flush(capture->dumper) < 0 || ferror(pcap_dump_file(capture->dumper)))
		return -(errno ? errno : EIO);
	return 0;
}

static int choose_linktype(const char *name)
{
	int dlt = DLT_EN10MB;

	if (!linktype_parse(name, &dlt))
		log_error("unknown link type %s, assuming Ethernet.", name);
	return dlt;
}

static FILE *open_file(const char *path, struct err *err)
{
	int fd = file_create(path, 0644, err);
	FILE *file;

	if (fd < 0)
		return NULL;
	file = fdopen(fd, "w");
	if (!file) {
		err_sys(err, errno, "%s", path);
		close(fd);
	} else {
		setvbuf(file, NULL, _IOFBF, BUFFER_BYTES);
	}
	return file;
}

static int start(struct capture *capture, const char *path, const char *linktype, struct err *err)
{
	FILE *file;

	capture->path = strdup(path);
	capture->pcap = pcap_open_dead(choose_linktype(linktype), SNAPLEN);
	if (!capture->path || !capture->pcap)
		return err_sys(err, ENOMEM, "%s", path);
	file = open_file(path, err);
	if (!file)
		return -err->code;
	capture->dumper = pcap_dump_fopen(capture->pcap, file);
	if (!capture->dumper) {
		fclose(file);
		return err_set(err, EIO, "%s: %s", path, pcap_geterr(capture->pcap));
	}
	if (flush(capture) < 0)
		return err_sys(err, errno, "%s", path);
	capture->whole = sizeof(struct pcap_file_header);
	return 0;
}

/* capture_open() - begin a capture file, replacing what was there
 * @linktype: a libpcap name; one that is not known means Ethernet
 *
 * Return: the capture, whose file has its header, or NULL with @err set.
 */
struct capture *capture_open(const char *path, const char *linktype, struct err *err)
{
	struct capture *capture = calloc(1, sizeof(*capture));

	if (!capture) {
		err_sys(err, ENOMEM, "capture");
		return NULL;
	}
	if (start(capture, path, linktype, err) < 0) {
		err_wrap(err, "capture");
		capture_close(capture);
		return NULL;
	}
	log_info("Capturing to file '%s'", path);
	return capture;
}

/* capture_write() - write the frames of a batch that are not dropped
 *
 * Wire frames only. On the thread that owns the link. Return: 0, or a negative
 * errno when the file took no more; the capture must then be closed.
 */
int capture_write(struct capture *capture, const struct batch *batch)
{
	struct pcap_pkthdr header;
	struct timespec now;
	off_t bytes = 0;
	int error;

	clock_gettime(CLOCK_REALTIME, &now);
	header.ts.tv_sec = now.tv_sec;
	header.ts.tv_usec = now.tv_nsec / 1000;
	for (unsigned i = 0; i < batch->count; i++) {
		const struct frame *frame = &batch->frame[i];

		if (frame->drop != FRAME_KEEP)
			continue;
		header.len = frame->len;
		header.caplen = frame->len < SNAPLEN ? frame->len : SNAPLEN;
		pcap_dump((u_char *)capture->dumper, &header, frame->data);
		bytes += RECORD_HEADER + header.caplen;
	}
	error = flush(capture);
	if (!error) {
		/* counted, since to ask for the position is a system call */
		capture->whole += bytes;
	} else {
		int fd = fileno(pcap_dump_file(capture->dumper));

		log_error("capture to '%s' ended: %s", capture->path, strerrordesc_np(-error));
		if (ftruncate(fd, capture->whole) < 0)
			log_error("the end of '%s' is not readable", capture->path);
	}
	return error;
}

/* capture_close() - end a capture; the file is complete */
void capture_close(struct capture *capture)
{
	if (!capture)
		return;
	if (capture->dumper)
		pcap_dump_close(capture->dumper);
	if (capture->pcap)
		pcap_close(capture->pcap);
	free(capture->path);
	free(capture);
}
