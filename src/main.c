/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ubridge: wiring, exit status. */
#include <config.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "attach/leftover.h"
#include "attach/replug.h"
#include "attach/run_wait.h"
#include "attach/session.h"
#include "base/log.h"
#include "base/privileges.h"
#include "conf/ini.h"
#include "conf/options.h"
#include "core/bridge.h"
#include "core/iol.h"
#include "core/worker.h"
#include "ctl/cmd_link.h"
#include "ctl/control.h"
#include "ctl/server.h"
#include "nio/nio_ethernet.h"

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

/* What is to be done instead of running; the exit status. */
static int act(const struct options *options, const char *program)
{
	switch (options->action) {
	case OPTIONS_LONG_HELP:
		/* The classic program has no such option: what probes for it gets its status. */
		options_usage(stdout, program);
		return EXIT_FAILURE;
	case OPTIONS_VERSION:
		printf("ubridge version %s\n", PACKAGE_VERSION);
		return EXIT_SUCCESS;
	case OPTIONS_DEVICES:
		return list_devices();
	default:
		options_usage(stdout, program);
		return EXIT_SUCCESS;
	}
}

static void set_seed(const struct options *options)
{
	if (options->has_seed)
		link_options.seed = options->seed;
	else if (getrandom(&link_options.seed, sizeof(link_options.seed), 0) < 0)
		link_options.seed = 0;
}

static void apply(const struct options *options)
{
	set_seed(options);
	link_options.debug = options->debug;
	if (options->delay_frames)
		link_options.delay_frames = options->delay_frames;
	if (options->max_clients)
		server_options.max_clients = options->max_clients;
	if (options->max_bridges)
		max_bridges = options->max_bridges;
	server_options.same_user = options->same_user;
	workers_set_limit(options->workers);
	nio_offload = !options->no_offload;
	replug_enabled = !options->no_replug;
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
	replug_forget_all();
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
	struct options options;
	struct err err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stderr, NULL, _IOLBF, 0);
	if (!options_parse(&options, argc, argv))
		return EXIT_FAILURE;
	if (options.action != OPTIONS_RUN)
		return act(&options, argv[0]);
	apply(&options);
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
