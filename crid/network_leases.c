/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that nobody holds. host-local keeps a file for each address that is taken: DATADIR/NETWORK/ADDRESS, with the
 * holder's id in it. It makes and fills the file under its lock, but syncs nothing, so a power cut may leave it
 * empty: it names nobody then, no DEL ever frees it, and the address is lost. Under the same lock an empty file is
 * always such a one, whoever shares the directory.
 */
#include <arpa/inet.h>
#include <cnic.h>
#include <dirent.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include "log.h"
#include "network_private.h"

#define DATA_DIR "/var/lib/cni/networks" /* host-local's own default */

static bool is_address(const char *name)
{
	struct in6_addr a;

	return inet_pton(AF_INET, name, &a) == 1 || inet_pton(AF_INET6, name, &a) == 1;
}

static void free_empty(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	_cleanup_close_ int lock = d ? openat(dirfd(d), "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct dirent *e;
	struct stat st;

	/* one that is at work holds it: another time */
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
		return;
	while ((e = readdir(d))) {
		if (!is_address(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode) || st.st_size)
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0)
			log_info("CNI: address %s in %s was held by nobody: it is free again", e->d_name, path);
	}
}

void network_free_leases(const struct cnic_network *n)
{
	for (size_t i = 0; cnic_network_plugin(n, i); i++) {
		_cleanup_free_ char *text = NULL, *path = NULL;
		_cleanup_json_ struct json_doc *doc = NULL;
		const struct json *ipam;
		const char *type, *dir;

		if (cnic_network_config(n, i, &text) || json_parse(text, strlen(text), 0, &doc, NULL))
			continue;
		ipam = json_get(json_root(doc), "ipam");
		type = json_get_string(ipam, "type");
		dir = json_get_string(ipam, "dataDir");
		path = strf("%s/%s", dir && *dir ? dir : DATA_DIR, cnic_network_name(n));
		if (type && streq(type, "host-local") && path)
			free_empty(path);
	}
}
