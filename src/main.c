/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ubridge: options, wiring, exit status. */
#include <config.h>

#include <getopt.h>
#include <stdbool.h>
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
#include "base/privileges.h"
#include "base/str.h"
#include "conf/ini.h"
#include "core/bridge.h"
#include "core/iol.h"
#include "core/worker.h"
#include "ctl/cmd_link.h"
#include "ctl/control.h"
#include "ctl/server.h"
#include "nio/nio_ethernet.h"

#define CONFIG_DEFAULT "ubridge.ini"

struct options {
	const char *config;
	const char *listen;
	const char *listen_unix;
	bool least_privilege;
};

enum long_option {
	OPTION_HELP = 256,
	OPTION_WORKERS,
	OPTION_SEED,
	OPTION_DELAY,
	OPTION_NO_OFFLOAD,
	OPTION_NO_REPLUG,
	OPTION_SAME_USER,
	OPTION_MAX_CLIENTS,
	OPTION_MAX_BRIDGES,
	OPTION_LEAST_PRIVILEGE,
};

static const struct option long_options[] = {
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, 'v' },
	{ "devices", no_argument, NULL, 'e' },
	{ "file", required_argument, NULL, 'f' },
	{ "hypervisor", required_argument, NULL, 'H' },
	{ "unix", required_argument, NULL, 'U' },
	{ "same-user", no_argument, NULL, OPTION_SAME_USER },
	{ "max-clients", required_argument, NULL, OPTION_MAX_CLIENTS },
	{ "max-bridges", required_argument, NULL, OPTION_MAX_BRIDGES },
	{ "least-privilege", no_argument, NULL, OPTION_LEAST_PRIVILEGE },
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
		"  -U <path>                    : serve it on a UNIX socket, for this user and root\n"
		"  -e                           : list the network devices\n"
		"  -d <level>                   : 1: a line for each packet, 2: with its bytes\n"
		"  -v                           : print the version\n"
		"\n"
		"  --workers <n>                : packet threads at the most (default: processors)\n"
		"  --seed <n>                   : make the random decisions of filters repeatable\n"
		"  --delay-frames <n>           : frames that a delay may hold back, each direction\n"
		"  --same-user                  : over TCP too only this user's processes and root's\n"
		"  --max-clients <n>            : control connections at a time (default: 1024)\n"
		"  --max-bridges <n>            : bridges of both kinds (default: 65536)\n"
		"  --least-privilege            : as root too no capability but NET_ADMIN, NET_RAW,\n"
		"                                 and no system calls that are not needed\n"
		"  --no-offload                 : no segmentation offload on any device or socket\n"
		"  --no-replug                  : bring no interface back that was moved into a\n"
		"                                 container which is restarted\n"
		"\n"
		"Long forms of the others: --help (status 1, as it always was), --file, --hypervisor,\n"
		"--unix, --devices, --debug, --version.\n",
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

	while ((option = getopt_long(argc, argv, "hef:H:U:d:v", long_options, NULL)) != -1) {
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
		case 'U':
			options->listen_unix = optarg;
			break;
		case OPTION_SAME_USER:
			server_options.same_user = true;
			break;
		case OPTION_LEAST_PRIVILEGE:
			options->least_privilege = true;
			break;
		case OPTION_MAX_CLIENTS:
			server_options.max_clients = (unsigned)number("--max-clients", 1, 1000000);
			break;
		case OPTION_MAX_BRIDGES:
			max_bridges = (unsigned)number("--max-bridges", 1, 10000000);
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

static bool start_server(const struct options *options)
{
	struct err err;

	if (options->listen && server_listen(control_loop(), options->listen, &err) < 0) {
		log_error("%s", err.text);
		log_error("Hypervisor: unable to create TCP sockets.");
		return false;
	}
	if (options->listen_unix &&
	    server_listen_unix(control_loop(), options->listen_unix, &err) < 0) {
		log_error("%s", err.text);
		log_error("Hypervisor: unable to create the control socket.");
		return false;
	}
	return true;
}

static int run_hypervisor(const struct options *options)
{
	if (!start_server(options))
		return EXIT_FAILURE;
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
	if (privileges_drop(options.least_privilege, &err) < 0)
		log_error("%s", err.text);
	if (control_init(&err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	session_init(control_loop());
	leftover_remove();
	if (options.listen || options.listen_unix)
		return run_hypervisor(&options);
	return run_config(options.config);
}
