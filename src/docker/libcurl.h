/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libcurl, loaded when the first request is made.
 *
 * It and what it depends on cost 4 MiB of memory in each process, whether used or
 * not, and most processes never speak to an engine. So it is not linked: the
 * functions that are needed are looked up in the library at run time, with the types
 * that its header declares.
 */
#ifndef DOCKER_LIBCURL_H
#define DOCKER_LIBCURL_H

/* its macros that check the types of options would call the functions by name */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/err.h"

#define LIBCURL_FUNCTIONS(entry) \
	entry(global_init) \
	entry(easy_init) \
	entry(easy_cleanup) \
	entry(easy_setopt) \
	entry(easy_getinfo) \
	entry(easy_strerror) \
	entry(multi_init) \
	entry(multi_cleanup) \
	entry(multi_add_handle) \
	entry(multi_remove_handle) \
	entry(multi_perform) \
	entry(multi_poll) \
	entry(multi_info_read) \
	entry(slist_append) \
	entry(slist_free_all)

struct libcurl {
#define LIBCURL_MEMBER(name) __typeof__(curl_##name) *name;
	LIBCURL_FUNCTIONS(LIBCURL_MEMBER)
#undef LIBCURL_MEMBER
};

/* All of it is there when libcurl_load() has returned 0. */
extern struct libcurl libcurl;

int libcurl_load(struct err *err);

#endif
