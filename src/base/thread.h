/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads, which leave signals to the control thread. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);
int thread_start_detached(void *(*run)(void *arg), void *arg);

#endif
