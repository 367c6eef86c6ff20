/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <sys/socket.h>
#include <cbase/json.h>
#include "worker.h"

static int send_doc(int fd, struct json_doc *doc, int flags)
{
	_cleanup_str_ struct str s = STR_INIT;
	ssize_t n;

	if (!doc || json_format(doc, json_root(doc), 0, &s))
		return -ENOMEM;
	if (s.len > WORKER_MESSAGE_MAX)
		return -EMSGSIZE;
	do {
		n = send(fd, s.data, s.len, MSG_NOSIGNAL | flags);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

void report_progress(int fd, const struct report_layer *layers, size_t n)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct json *list;

	if (!doc)
		return;
	list = json_set_array(doc, json_root(doc), "progress");
	for (size_t i = 0; i < n; i++) {
		struct json *one = json_new_object(doc);

		json_set_string(doc, one, "layer", layers[i].digest);
		json_set_int(doc, one, "done", (int64_t)layers[i].done);
		json_set_int(doc, one, "size", layers[i].size);
		json_append(doc, list, one);
	}
	send_doc(fd, doc, MSG_DONTWAIT);
}

int report_result(int fd, const char *image, const char *name, const char *digest)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct json *result = doc ? json_set_object(doc, json_root(doc), "result") : NULL;

	if (!result)
		return -ENOMEM;
	json_set_string(doc, result, "image", image);
	json_set_string(doc, result, "name", name);
	json_set_string(doc, result, "digest", digest);
	return send_doc(fd, doc, 0);
}

int report_empty_result(int fd)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();

	if (doc)
		json_set_object(doc, json_root(doc), "result");
	return send_doc(fd, doc, 0);
}

int report_error(int fd, int r, const struct cb_error *err)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct json *e = doc ? json_set_object(doc, json_root(doc), "error") : NULL;

	if (!e)
		return -ENOMEM;
	json_set_int(doc, e, "code", r > 0 ? r : 0);
	json_set_int(doc, e, "errno", r < 0 ? -r : err->sys_errno);
	json_set_string(doc, e, "message", err->message);
	return send_doc(fd, doc, 0);
}
