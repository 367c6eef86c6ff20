/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials of a namespace, as CRI-O has them: whoever knows them (a credential provider of the
 * kubelet) leaves NAMESPACE-SHA256(repository).json in a directory, good for one pull. The pull
 * takes it by renaming it into the directory in-use, so that the next one cannot.
 */
#include "auth.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <cbase/digest.h>
#include <cbase/io.h>
#include <cbase/str.h>

/* Without tag and digest; a ':' before the last '/' is a port. */
static size_t repository_length(const char *name)
{
	size_t n = strcspn(name, "@"), i;

	for (i = n; i > 0 && name[i - 1] != '/'; i--)
		if (name[i - 1] == ':')
			return i - 1;
	return n;
}

int auth_take(const struct job *j, const char *name, char **ret, struct cb_error *err)
{
	_cleanup_free_ char *from = NULL, *dir = NULL, *to = NULL;
	char digest[DIGEST_STR_MAX], unique[33];
	int r;

	*ret = NULL;
	if (!j->namespaced_auth || !j->ns)
		return 0;
	digest_sha256(name, repository_length(name), digest);
	r = random_hex(16, unique);
	dir = strf("%s/in-use", j->namespaced_auth);
	from = strf("%s/%s-%s.json", j->namespaced_auth, j->ns, digest_hex(digest));
	to = dir ? strf("%s/%s-%s-%s.json", dir, j->ns, digest_hex(digest), unique) : NULL;
	if (r || !from || !to)
		return err_oom(err);
	if (access(from, F_OK) < 0)
		return 0;
	r = mkdir_p(dir, 0700);
	if (r)
		return err_sysr(err, r, "make directory %s", dir);
	if (rename(from, to) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "take %s", from); /* another was faster */
	*ret = take(to);
	return 0;
}
