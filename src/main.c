/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ubridge: options, wiring, exit status. */
#include <config.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "attach/attach.h"
#include "attach/leftover.h"
#include "attach/replug.h"
#include "attach/run_wait.h"
#include "attach/session.h"
#include "base/log.h"
#include "base/str.h"
#include "conf/ini.h"
#include "core/bridge.h"
#include "core/iol.h"
#include "core/worker.h"
#include "ctl/control.h"
#include "ctl/server.h"
#include "nio/nio_ethernet.h"

#define CONFIG_DEFAULT "ubridge.ini"

struct options {
	const char *config;
	const char *listen;
};

enum long_option { OPTION_HELP = 256, OPTION_WORKERS, OPTION_SEED, OPTION_DELAY, OPTION_NO_OFFLOAD,
	OPTION_NO_REPLUG };

static const struct option long_options[] = {
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, 'v' },
	{ "devices", no_argument, NULL, 'e' },
	{ "file", required_argument, NULL, 'f' },
	{ "hypervisor", required_argument, NULL, 'H' },
	{ "debug", required_argument, NULL, 'd' },
	{ "workers", required_argument, NULL, OPTION_WORKERS },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "delay-frames", required_argument, NULL, OPTION_DELAY },
	{ "no-offload", no_argument, NULL, OPTION_NO_OFFLOAD },
	{ "no-replug", no_argument, NULL, OPTION_NO_REPLUG },
	{ NULL, 0, NULL, 0 },
};

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTION]\n"
		"\n"
		"Options:\n"
		"  -h                           : this text\n"
		"  -f <file>                    : configuration file (default: " CONFIG_DEFAULT ")\n"
		"  -H [<ip_address>:]<tcp_port> : serve the control protocol instead; without an\n"
		"                                 address on the loopback interface only\n"
		"  -e                           : list the network devices\n"
		"  -d <level>                   : 1: a line for each packet, 2: with its bytes\n"
		"  -v                           : print the version\n"
		"\n"
		"  --workers <n>                : packet threads at the most (default: processors)\n"
		"  --seed <n>                   : make the random decisions of filters repeatable\n"
		"  --delay-frames <n>           : frames that a delay may hold back, each direction\n"
		"  --no-offload                 : no segmentation offload on any device or socket\n"
		"  --no-replug                  : bring no interface back that was moved into a\n"
		"                                 container which is restarted\n"
		"\n"
		"Long forms of the others: --help (status 1, as it always was), --file, --hypervisor,\n"
		"--devices, --debug, --version.\n",
		program);
}

static int list_devices(void)
{
	struct err err;

	printf("Network device list:\n\n");
	if (nio_ethernet_list_devices(stdout, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

/* A number of an option, or the end of the program. */
static int64_t number(const char *option, int64_t min, int64_t max)
{
	int64_t value;

	if (!parse_int(optarg, min, max, &value)) {
		log_error("%s: '%s' is no number from %lld to %lld", option, optarg,
			  (long long)min, (long long)max);
		exit(EXIT_FAILURE);
	}
	return value;
}

static void parse_options(int argc, char **argv, struct options *options)
{
	int option;

	while ((option = getopt_long(argc, argv, "hef:H:d:v", long_options, NULL)) != -1) {
		switch (option) {
		case 'h':
			usage(stdout, argv[0]);
			exit(EXIT_SUCCESS);
		case OPTION_HELP:
			/* The classic program has no such option: what probes for it gets its status. */
			usage(stdout, argv[0]);
			exit(EXIT_FAILURE);
		case 'v':
			printf("ubridge version %s\n", PACKAGE_VERSION);
			exit(EXIT_SUCCESS);
		case 'e':
			exit(list_devices());
		case 'f':
			options->config = optarg;
			break;
		case 'H':
			options->listen = optarg;
			break;
		case 'd':
			link_options.debug = (unsigned)number("-d", 0, 2);
			break;
		case OPTION_WORKERS:
			workers_set_limit((unsigned)number("--workers", 1, 1024));
			break;
		case OPTION_SEED:
			link_options.seed = (uint64_t)number("--seed", 0, INT64_MAX);
			break;
		case OPTION_DELAY:
			link_options.delay_frames = (uint32_t)number("--delay-frames", 1, 100000000);
			break;
		case OPTION_NO_OFFLOAD:
			nio_offload = false;
			break;
		case OPTION_NO_REPLUG:
			replug_enabled = false;
			break;
		default:
			exit(EXIT_FAILURE);
		}
	}
}

/* Each NIO and each client takes a descriptor. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void close_all(void)
{
	run_wait_end_all();
	attach_forget_adopted();
	bridge_delete_all();
	iol_delete_all();
	session_fini();
	workers_stop();
	control_fini();
}

static int run_hypervisor(const char *listen)
{
	struct err err;

	if (server_listen(control_loop(), listen, &err) < 0) {
		log_error("%s", err.text);
		log_error("Hypervisor: unable to create TCP sockets.");
		return EXIT_FAILURE;
	}
	control_run(NULL);
	server_close();
	close_all();
	log_info("Hypervisor: stopped.");
	return EXIT_SUCCESS;
}

static int run_config(const char *path)
{
	struct err err;

	if (ini_load(path, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	control_run(ini_reload);
	close_all();
	ini_fini();
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options options = { .config = CONFIG_DEFAULT };
	struct err err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stderr, NULL, _IOLBF, 0);
	if (getrandom(&link_options.seed, sizeof(link_options.seed), 0) < 0)
		link_options.seed = 0;
	parse_options(argc, argv, &options);
	log_info("uBridge version %s running with LIBPCAP", PACKAGE_VERSION);
	raise_file_limit();
	if (control_init(&err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	session_init(control_loop());
	leftover_remove();
	return options.listen ? run_hypervisor(options.listen) : run_config(options.config);
}
