/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What stands for libFuzzer where a build is not for fuzzing: gives a target its seeds, each
 * once. So every build compiles the targets, and a seed that was a crash stays a test.
 *
 * Usage: fuzz_NAME [FILE or DIRECTORY]..., without any tests/fuzz/corpus/NAME below $srcdir.
 * Seeds get no slack behind their end. An input that fails ends the process, as ever.
 */
#include <config.h>

#include <errno.h>
#include <fts.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TARGET_PREFIX "fuzz_"
#define EXIT_SKIPPED 77		/* for automake's test driver */

int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void give_up(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static void replay(const char *path, size_t size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(size);

	if (!file || (size && (!data || fread(data, 1, size, file) != size)))
		give_up(path);
	fclose(file);
	printf("%s\n", path);
	fflush(stdout);		/* before what may end the process */
	LLVMFuzzerTestOneInput(data, size);
	free(data);
}

/* Return: the number of seeds. */
static unsigned replay_all(char **paths)
{
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	unsigned count = 0;
	FTSENT *entry;

	if (!tree)
		give_up("fts_open");
	while ((entry = fts_read(tree))) {
		if (entry->fts_errno) {
			errno = entry->fts_errno;
			give_up(entry->fts_path);
		}
		if (entry->fts_info == FTS_F) {
			replay(entry->fts_path, (size_t)entry->fts_statp->st_size);
			count++;
		}
	}
	fts_close(tree);
	return count;
}

/* Return: in allocated memory. */
static char *own_seeds(const char *program)
{
	const char *srcdir = getenv("srcdir");
	const char *name = strrchr(program, '/');
	char *path;

	name = name ? name + 1 : program;
	if (!strncmp(name, TARGET_PREFIX, strlen(TARGET_PREFIX)))
		name += strlen(TARGET_PREFIX);
	if (asprintf(&path, "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".", name) < 0)
		give_up("asprintf");
	return path;
}

int main(int argc, char **argv)
{
	char *own[] = { own_seeds(argv[0]), NULL };
	unsigned count;

	/* those that prepare something need a namespace for it */
	if (LLVMFuzzerInitialize && geteuid() != 0) {
		fprintf(stderr, "%s: root is needed\n", argv[0]);
		free(own[0]);
		return EXIT_SKIPPED;
	}
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	count = replay_all(argc > 1 ? argv + 1 : own);
	free(own[0]);
	printf("%u seeds\n", count);
	return count ? EXIT_SUCCESS : EXIT_FAILURE;
}
