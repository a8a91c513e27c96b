/* SPDX-License-Identifier: GPL-3.0-or-later */
/* capture: what is on disk, and when; files that can not grow any more stay valid */
#include <config.h>

#include "capture/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	int32_t zone;
	uint32_t accuracy, snaplen, linktype;
};

struct record {
	uint32_t seconds, microseconds, stored, length;
};

static char directory[] = "/tmp/ubridge-unit-XXXXXX", path[64];
static struct batch batch;
static uint8_t contents[1 << 22];
static size_t contents_len;
static char logged[1024];

static void keep_line(enum log_stream stream, const char *line)
{
	(void)stream;
	snprintf(logged + strlen(logged), sizeof(logged) - strlen(logged), "%s\n", line);
}

static int set_up(void **state)
{
	struct err err;

	(void)state;
	log_set_sink(keep_line);
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/file.pcap", directory);
	return batch_init(&batch, &err);
}

static int tear_down(void **state)
{
	(void)state;
	batch_fini(&batch);
	unlink(path);
	return rmdir(directory);
}

static struct capture *open_capture(const char *linktype)
{
	struct err err;
	struct capture *capture = capture_open(path, linktype, &err);

	assert_non_null(capture);
	return capture;
}

/* So many frames of one length; each holds its number. */
static void fill_batch(unsigned count, uint32_t len)
{
	batch_clear(&batch);
	for (unsigned i = 0; i < count; i++) {
		uint8_t *slot = batch_slot(&batch, i % BATCH_SLOTS);

		memset(slot, (int)(i % BATCH_SLOTS), len);
		batch_add(&batch, slot, len);
	}
}

/* ---- reading back */

static void read_file(const char *from)
{
	FILE *file = fopen(from, "r");

	assert_non_null(file);
	contents_len = fread(contents, 1, sizeof(contents), file);
	assert_true(contents_len < sizeof(contents));
	fclose(file);
}

static struct file_header file_header(void)
{
	struct file_header header;

	assert_true(contents_len >= sizeof(header));
	memcpy(&header, contents, sizeof(header));
	return header;
}

/* Steps through a file: fails where it is not whole. */
static bool next_record(size_t *at, struct record *record, const uint8_t **data)
{
	if (*at == contents_len)
		return false;
	assert_true(*at + sizeof(*record) <= contents_len);
	memcpy(record, contents + *at, sizeof(*record));
	assert_true(record->stored <= 65535);
	assert_true(*at + sizeof(*record) + record->stored <= contents_len);
	*data = contents + *at + sizeof(*record);
	*at += sizeof(*record) + record->stored;
	return true;
}

static unsigned count_records(void)
{
	size_t at = sizeof(struct file_header);
	struct record record;
	const uint8_t *data;
	unsigned count = 0;

	assert_int_equal(file_header().magic, 0xa1b2c3d4);
	while (next_record(&at, &record, &data))
		count++;
	return count;
}

/* ---- */

static void the_header_is_there_at_once(void **state)
{
	struct capture *capture = open_capture("EN10MB");
	struct file_header header;

	(void)state;
	read_file(path);
	assert_int_equal(contents_len, 24);
	header = file_header();
	assert_int_equal(header.magic, 0xa1b2c3d4);
	assert_int_equal(header.major, 2);
	assert_int_equal(header.minor, 4);
	assert_int_equal(header.zone, 0);
	assert_int_equal(header.snaplen, 65535);
	assert_int_equal(header.linktype, 1);
	capture_close(capture);
	read_file(path);
	assert_int_equal(contents_len, 24);
}

static void link_types(void **state)
{
	static const struct {
		const char *name;
		uint32_t number;
		bool known;
	} rows[] = {
		{ "EN10MB", 1, true },	    { "en10mb", 1, true },
		{ "PPP", 9, true },	    { "PPP_SERIAL", 50, true },
		{ "ATM_RFC1483", 100, true }, { "RAW", 101, true },
		{ "C_HDLC", 104, true },    { "IEEE802_11", 105, true },
		{ "FRELAY", 107, true },    { "frelay", 107, true },
		{ "DLT_EN10MB", 1, false }, { "NO_SUCH_TYPE", 1, false },
		{ "", 1, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char want[128];

		print_message("%s\n", rows[i].name);
		*logged = '\0';
		capture_close(open_capture(rows[i].name));
		read_file(path);
		assert_int_equal(file_header().linktype, rows[i].number);
		snprintf(want, sizeof(want), "unknown link type %s, assuming Ethernet.\n",
			 rows[i].name);
		assert_int_equal(strstr(logged, want) != NULL, !rows[i].known);
		snprintf(want, sizeof(want), "Capturing to file '%s'\n", path);
		assert_non_null(strstr(logged, want));
	}
}

static void a_batch_is_on_disk_when_write_returns(void **state)
{
	static const unsigned counts[] = { 1, 2, 64, 1000 };
	struct capture *capture = open_capture("EN10MB");
	unsigned total = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		fill_batch(counts[i], 1000);
		assert_int_equal(capture_write(capture, &batch), 0);
		total += counts[i];
		read_file(path);
		assert_int_equal(count_records(), total);
	}
	batch_clear(&batch);
	assert_int_equal(capture_write(capture, &batch), 0);
	capture_close(capture);
	read_file(path);
	assert_int_equal(count_records(), total);
}

/* time() may lag behind by a tick. */
static time_t seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

static void records_hold_what_is_sent(void **state)
{
	struct capture *capture = open_capture("EN10MB");
	size_t at = sizeof(struct file_header);
	time_t begin = seconds_now();
	struct record record;
	const uint8_t *data;
	unsigned number = 0;

	(void)state;
	fill_batch(20, 60);
	for (unsigned i = 0; i < 20; i++) {
		if (i % 2)
			batch.frame[i].drop = DROP_FILTER + i % (DROP_COUNT - 1);
	}
	assert_int_equal(capture_write(capture, &batch), 0);
	capture_close(capture);
	read_file(path);
	while (next_record(&at, &record, &data)) {
		assert_int_equal(record.stored, 60);
		assert_int_equal(record.length, 60);
		assert_int_equal(data[0], number);
		assert_int_equal(data[59], number);
		assert_true(record.seconds >= begin && record.seconds <= seconds_now());
		assert_true(record.microseconds < 1000000);
		number += 2;
	}
	assert_int_equal(number, 20);
}

static void long_frames_are_cut_and_say_so(void **state)
{
	static const uint32_t lengths[] = { 65534, 65535, 65536, FRAME_MAX, 60 };
	struct capture *capture = open_capture("EN10MB");
	size_t at = sizeof(struct file_header);
	struct record record;
	const uint8_t *data;

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		fill_batch(1, lengths[i]);
		batch.frame[0].data[lengths[i] < 65535 ? lengths[i] - 1 : 65534] = 0xee;
		assert_int_equal(capture_write(capture, &batch), 0);
	}
	capture_close(capture);
	read_file(path);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		assert_true(next_record(&at, &record, &data));
		assert_int_equal(record.length, lengths[i]);
		assert_int_equal(record.stored, lengths[i] < 65535 ? lengths[i] : 65535);
		assert_int_equal(data[record.stored - 1], 0xee);
	}
	assert_false(next_record(&at, &record, &data));
}

static void an_old_file_is_replaced(void **state)
{
	struct capture *capture = open_capture("EN10MB");

	(void)state;
	fill_batch(10, 1000);
	assert_int_equal(capture_write(capture, &batch), 0);
	capture_close(capture);
	capture_close(open_capture("PPP"));
	read_file(path);
	assert_int_equal(contents_len, 24);
	assert_int_equal(file_header().linktype, 9);
}

static void files_that_can_not_be_opened(void **state)
{
	char pipe_path[80];
	const struct {
		const char *path;
		int want;
	} rows[] = {
		{ "/nowhere/at/all.pcap", ENOENT },
		{ directory, EISDIR },
		{ "", ENOENT },
		{ "/dev/full", ENOSPC },
		{ pipe_path, ENXIO },
	};

	(void)state;
	snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", directory);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err err = { 0 };

		print_message("%s\n", rows[i].path);
		assert_null(capture_open(rows[i].path, "EN10MB", &err));
		assert_int_equal(err.code, rows[i].want);
		assert_memory_equal(err.text, "capture: ", 9);
		assert_non_null(strstr(err.text, strerror(rows[i].want)));
	}
	unlink(pipe_path);
	capture_close(NULL);
}

/* ---- no room */

/* Writes until there is no more room; the file must then hold whole batches, also when
 * there is room again before it is closed.
 */
static void fill_up(const char *where, unsigned frames, uint32_t len, void (*make_room)(void))
{
	struct err err;
	struct capture *capture = capture_open(where, "EN10MB", &err);
	unsigned batches = 0;
	int result;

	assert_non_null(capture);
	*logged = '\0';
	fill_batch(frames, len);
	while (!(result = capture_write(capture, &batch)))
		assert_true(++batches < 100000);
	assert_true(result == -ENOSPC || result == -EFBIG);
	assert_non_null(strstr(logged, " ended: "));
	make_room();
	capture_close(capture);
	read_file(where);
	assert_int_equal(count_records(), batches * frames);
	assert_true(batches > 0);
}

static struct rlimit unlimited;

static void lift_limit(void)
{
	setrlimit(RLIMIT_FSIZE, &unlimited);
}

static const struct {
	unsigned frames;
	uint32_t len;
} portions[] = { { 1, 60 }, { 7, 1000 }, { 64, 1514 }, { 100, 9000 } };

static void a_file_that_may_not_grow(void **state)
{
	struct rlimit limit;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
	limit = unlimited;
	limit.rlim_cur = 2000001;
	for (size_t i = 0; i < COUNT(portions); i++) {
		print_message("%u x %u\n", portions[i].frames, portions[i].len);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		fill_up(path, portions[i].frames, portions[i].len, lift_limit);
	}
}

static char ballast[96];

static void remove_ballast(void)
{
	unlink(ballast);
}

static void write_ballast(void)
{
	static const char zeros[500000];
	int fd = open(ballast, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, zeros, sizeof(zeros)), sizeof(zeros));
	close(fd);
}

/* A file system of two megabytes, which nobody but this process sees. */
static bool mount_small_disk(void)
{
	return !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("none", directory, "tmpfs", 0, "size=2000k");
}

static void a_full_disk(void **state)
{
	char where[80];

	(void)state;
	if (!mount_small_disk()) {
		print_message("needs the right to mount\n");
		skip();
	}
	snprintf(where, sizeof(where), "%s/full.pcap", directory);
	snprintf(ballast, sizeof(ballast), "%s/ballast", directory);
	for (size_t i = 0; i < COUNT(portions); i++) {
		print_message("%u x %u\n", portions[i].frames, portions[i].len);
		write_ballast();
		fill_up(where, portions[i].frames, portions[i].len, remove_ballast);
	}
	assert_int_equal(umount(directory), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_is_there_at_once),
		cmocka_unit_test(link_types),
		cmocka_unit_test(a_batch_is_on_disk_when_write_returns),
		cmocka_unit_test(records_hold_what_is_sent),
		cmocka_unit_test(long_frames_are_cut_and_say_so),
		cmocka_unit_test(an_old_file_is_replaced),
		cmocka_unit_test(files_that_can_not_be_opened),
		cmocka_unit_test(a_file_that_may_not_grow),
		cmocka_unit_test(a_full_disk),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
