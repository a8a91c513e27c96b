/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "docker/libcurl.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

/* The name under which all builds of the library with OpenSSL are installed, and that of
 * Debian's other build.
 */
static const char *const library_names[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };

struct libcurl libcurl;

static struct err failure;		/* code 0: it is loaded */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* POSIX has dlsym() return functions as data pointers, which ISO C can not convert. */
static int look_up(void *library, const char *symbol, void *function, size_t size)
{
	void *address = dlsym(library, symbol);

	if (!address)
		return err_set(&failure, ENOSYS, "libcurl has no %s", symbol);
	memcpy(function, &address, size);
	return 0;
}

static int look_up_all(void *library)
{
#define LOOK_UP(name) \
	if (look_up(library, "curl_" #name, &libcurl.name, sizeof(libcurl.name)) < 0) \
		return -failure.code;
	LIBCURL_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
	return 0;
}

static void load(void)
{
	void *library = NULL;

	for (size_t i = 0; !library && i < sizeof(library_names) / sizeof(library_names[0]); i++)
		library = dlopen(library_names[i], RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		err_set(&failure, ENOSYS, "libcurl can not be loaded: %s", dlerror());
		return;
	}
	if (look_up_all(library) < 0)
		return;
	if (libcurl.global_init(CURL_GLOBAL_DEFAULT))
		err_set(&failure, ENOMEM, "libcurl does not start");
}

/* libcurl_load() - have libcurl ready; the first call loads it
 *
 * From any thread. It stays loaded. Return: 0; -ENOSYS when it is not installed or
 * too old; -ENOMEM.
 */
int libcurl_load(struct err *err)
{
	pthread_once(&once, load);
	if (!failure.code)
		return 0;
	*err = failure;
	return -err->code;
}
