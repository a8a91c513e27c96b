/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "conf/options.h"

#include <getopt.h>

#include "base/log.h"
#include "base/str.h"

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

/* options_usage() - what the program can be told, for people */
void options_usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTION]\n"
		"\n"
		"Options:\n"
		"  -h                           : this text\n"
		"  -f <file>                    : configuration file (default: " OPTIONS_CONFIG_DEFAULT ")\n"
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

/* The number in optarg; false when it is none, and that has been told. */
static bool number(const char *option, int64_t min, int64_t max, int64_t *value)
{
	if (parse_int(optarg, min, max, value))
		return true;
	log_error("%s: '%s' is no number from %lld to %lld", option, optarg, (long long)min,
		  (long long)max);
	return false;
}

static bool count(const char *option, int64_t min, int64_t max, unsigned *value)
{
	int64_t wide;

	if (!number(option, min, max, &wide))
		return false;
	*value = (unsigned)wide;
	return true;
}

static bool seed(struct options *options)
{
	int64_t value;

	options->has_seed = number("--seed", 0, INT64_MAX, &value);
	if (options->has_seed)
		options->seed = (uint64_t)value;
	return options->has_seed;
}

static bool take(struct options *options, int option)
{
	switch (option) {
	case 'h':
		options->action = OPTIONS_HELP;
		return true;
	case OPTION_HELP:
		options->action = OPTIONS_LONG_HELP;
		return true;
	case 'v':
		options->action = OPTIONS_VERSION;
		return true;
	case 'e':
		options->action = OPTIONS_DEVICES;
		return true;
	case 'f':
		options->config = optarg;
		return true;
	case 'H':
		options->listen = optarg;
		return true;
	case 'U':
		options->listen_unix = optarg;
		return true;
	case 'd':
		return count("-d", 0, 2, &options->debug);
	case OPTION_SAME_USER:
		return options->same_user = true;
	case OPTION_LEAST_PRIVILEGE:
		return options->least_privilege = true;
	case OPTION_NO_OFFLOAD:
		return options->no_offload = true;
	case OPTION_NO_REPLUG:
		return options->no_replug = true;
	case OPTION_MAX_CLIENTS:
		return count("--max-clients", 1, 1000000, &options->max_clients);
	case OPTION_MAX_BRIDGES:
		return count("--max-bridges", 1, 10000000, &options->max_bridges);
	case OPTION_WORKERS:
		return count("--workers", 1, 1024, &options->workers);
	case OPTION_DELAY:
		return count("--delay-frames", 1, 100000000, &options->delay_frames);
	case OPTION_SEED:
		return seed(options);
	default:
		return false;
	}
}

/* options_parse() - read the command line
 * @argv: may be put into another order
 *
 * Return: false when it is wrong, and why has been told.
 */
bool options_parse(struct options *options, int argc, char **argv)
{
	*options = (struct options){ .config = OPTIONS_CONFIG_DEFAULT };
	/* from the beginning, whatever getopt_long() has read before */
	optind = 0;
	while (options->action == OPTIONS_RUN) {
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no other threads yet */
		int option = getopt_long(argc, argv, "hef:H:U:d:v", long_options, NULL);

		if (option == -1)
			break;
		if (!take(options, option))
			return false;
	}
	return true;
}
