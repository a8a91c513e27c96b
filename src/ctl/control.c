/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "ctl/control.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/job.h"

static struct loop loop;
static struct loop_source signals;
static void (*on_hangup)(void);

static void signal_ready(struct loop_source *source, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	if (read(source->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGHUP)
		control_stop();
	else if (on_hangup)
		on_hangup();
}

/* control_init() - take over signals; before any other thread starts
 *
 * SIGTERM and SIGINT end control_run(). Return: 0 or a negative errno.
 */
int control_init(struct err *err)
{
	sigset_t mask;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	if (loop_init(&loop, err) < 0)
		return -err->code;
	signals.fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	signals.ready = signal_ready;
	if (signals.fd < 0)
		return err_sys(err, errno, "signalfd");
	job_init(&loop);
	return loop_add(&loop, &signals, EPOLLIN, err);
}

struct loop *control_loop(void)
{
	return &loop;
}

/* control_run() - serve until the end is asked for; @hangup may be NULL */
void control_run(void (*hangup)(void))
{
	on_hangup = hangup;
	loop_run(&loop);
	/* the loop may run once more, for what is still under way at the end */
	on_hangup = NULL;
}

/* control_stop() - end control_run() after the present event */
void control_stop(void)
{
	loop_stop(&loop);
}

void control_fini(void)
{
	loop_remove(&loop, &signals);
	close(signals.fd);
	/* Nobody waits for a resolver that does not answer, but its thread will post to the
	 * loop if it is faster than the end of the process.
	 */
	if (!job_is_pending())
		loop_fini(&loop);
}
