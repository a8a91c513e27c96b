/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "docker/libcurl.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/* The name under which all builds of the library with OpenSSL are installed, and that of
 * Debian's other build.
 */
static const char *const library_names[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };

struct libcurl libcurl;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool loaded;

/* POSIX has dlsym() return functions as data pointers, which ISO C can not convert. */
static int look_up(void *library, const char *symbol, void *function, size_t size,
		   struct err *err)
{
	void *address = dlsym(library, symbol);

	if (!address)
		return err_set(err, ENOSYS, "libcurl has no %s", symbol);
	memcpy(function, &address, size);
	return 0;
}

static int look_up_all(void *library, struct err *err)
{
#define LOOK_UP(name) \
	if (look_up(library, "curl_" #name, &libcurl.name, sizeof(libcurl.name), err) < 0) \
		return -err->code;
	LIBCURL_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
	return 0;
}

static int load(struct err *err)
{
	void *library = NULL;

	for (size_t i = 0; !library && i < sizeof(library_names) / sizeof(library_names[0]); i++)
		library = dlopen(library_names[i], RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return err_set(err, ENOSYS, "libcurl can not be loaded: %s", dlerror());
	if (look_up_all(library, err) < 0)
		return -err->code;
	if (libcurl.global_init(CURL_GLOBAL_DEFAULT))
		return err_set(err, ENOMEM, "libcurl does not start");
	return 0;
}

/* libcurl_load() - have libcurl ready; the first call loads it
 *
 * From any thread. It stays loaded; after a failure the next call tries again. Return: 0;
 * -ENOSYS when it is not installed or too old, or there are no descriptors; -ENOMEM.
 */
int libcurl_load(struct err *err)
{
	int result = 0;

	pthread_mutex_lock(&lock);
	if (!loaded)
		result = load(err);
	loaded = !result;
	pthread_mutex_unlock(&lock);
	return result;
}
