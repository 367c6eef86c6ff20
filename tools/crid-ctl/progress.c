/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The progress of a pull. CRI has no field for it, so a thread asks crid for it besides the call:
 * /crid/pulls?after=N is answered when something changed. Any other server answers something else,
 * and nothing is shown.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "ctl.h"

struct progress {
	pthread_t thread;
	const char *endpoint, *image;
	int stop_fd;
	struct bars bars;
};

bool progress_parse(const char *text, size_t n, const char *image, struct bars *bars,
		    int64_t *ret_version)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *pulls;

	if (json_parse(text, n, 0, &doc, NULL))
		return false;
	pulls = json_get(json_root(doc), "pulls");
	if (!pulls || json_int(json_get(json_root(doc), "version"), ret_version))
		return false;
	json_foreach(pull, pulls) {
		const char *name = json_get_string(pull, "image");

		if (!name || !streq(name, image))
			continue;
		json_foreach(l, json_get(pull, "layers")) {
			const char *digest = json_get_string(l, "layer");

			if (digest)
				bars_set(bars, digest, json_get_int(l, "done", 0),
					 json_get_int(l, "size", 0));
		}
	}
	return true;
}

static void *watch(void *user)
{
	struct progress *p = user;
	char path[64] = "/crid/pulls";
	int64_t version;

	for (;;) {
		_cleanup_str_ struct str answer = STR_INIT;

		if (http_get(p->endpoint, path, p->stop_fd, &answer) || !answer.data ||
		    !progress_parse(answer.data, answer.len, p->image, &p->bars, &version))
			return NULL;
		bars_show(&p->bars, false);
		snprintf(path, sizeof(path), "/crid/pulls?after=%lld", (long long)version);
	}
}

struct progress *progress_start(const struct ctl *c, const char *image, bool lines)
{
	struct progress *p;

	if (c->quiet || c->json || (!lines && !bars_on_terminal()))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->endpoint = c->endpoint;
	p->image = image;
	p->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (p->stop_fd < 0 || pthread_create(&p->thread, NULL, watch, p)) {
		close_fd(p->stop_fd);
		free(p);
		return NULL;
	}
	return p;
}

void progress_stop(struct progress *p, bool complete)
{
	static const uint64_t one = 1;

	if (!p)
		return;
	if (write(p->stop_fd, &one, sizeof(one)) < 0)
		return; /* cannot be; then the thread may go on */
	pthread_join(p->thread, NULL);
	if (complete)
		bars_show(&p->bars, true);
	bars_done(&p->bars);
	close_fd(p->stop_fd);
	free(p);
}
