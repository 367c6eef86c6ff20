/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker-daemon.so: images of a docker daemon, through its API on a unix socket (or, with DOCKER_HOST, a
 * plain TCP one). It gives and takes whole images, as "docker save" and "docker load" have them; they go
 * through a file without a name, since an archive is not read in the order in which it is sent.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include "docker_save.h"

#define SOCKET "/var/run/docker.sock"
#define ANSWER_MAX (1u << 20)
#define ID_PREFIX "sha256:"

/*
 * A reference, or "sha256:HEX" for an image that may have none. Images by id are everywhere and
 * nowhere, so policy.json can name neither.
 */
static int daemon_parse(struct cimage_context *c, const char *text, struct cimage_place_parts *ret,
			struct cimage_error *err)
{
	int r = 0;

	if (str_starts(text, ID_PREFIX)) {
		if (strlen(text) != strlen(ID_PREFIX) + 64 ||
		    strspn(text + strlen(ID_PREFIX), "0123456789abcdef") != 64)
			return err_set(err, CIMAGE_E_INVALID, "an image's id is sha256: and 64 hex digits");
		ret->name = strdup(text);
	} else {
		r = cimage_ref_parse(text, 1, &ret->ref, err);
	}
	ret->scopes = calloc(1, sizeof(*ret->scopes));
	return !r && (!ret->scopes || (!ret->ref && !ret->name)) ? err_oom(err) : r;
}

/* ---- the API ---- */

struct exchange {
	CURL *easy;
	struct curl_slist *headers;
	const struct cimage_context *ctx;
	char *what;			/* for messages */
	int to, from;			/* of what is got, and what is sent; or -1 */
	struct str answer;		/* what is no archive */
	char detail[CURL_ERROR_SIZE];
	int write_errno;
	long status;
};

static void exchange_done(struct exchange *x)
{
	curl_easy_cleanup(x->easy);
	curl_slist_free_all(x->headers);
	str_done(&x->answer);
	free(x->what);
}

static size_t on_body(char *p, size_t size, size_t n, void *user)
{
	struct exchange *x = user;

	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &x->status);
	if (x->to >= 0 && x->status == 200) {
		x->write_errno = write_all(x->to, p, n);
		return x->write_errno ? 0 : n;
	}
	/* the end says how it went */
	if (x->answer.len + n > ANSWER_MAX)
		str_reset(&x->answer);
	str_append_mem(&x->answer, p, n);
	return n;
}

static size_t on_send(char *p, size_t size, size_t n, void *user)
{
	struct exchange *x = user;
	ssize_t k = read(x->from, p, size * n);

	return k < 0 ? CURL_READFUNC_ABORT : (size_t)k;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	return cimage_context_cancelled(((struct exchange *)user)->ctx);
}

static CURLcode init_result;

static void init_once(void)
{
	init_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* unix:///PATH or tcp://HOST:PORT; without TLS, which docker's own certificates would be needed for. */
static int set_address(struct exchange *x, const char *path, struct cimage_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *host = secure_getenv("DOCKER_HOST"), *socket = SOCKET, *server = "docker";
	_cleanup_free_ char *url = NULL;
	int bad = 0;

	pthread_once(&once, init_once);
	x->easy = init_result ? NULL : curl_easy_init();
	if (!x->easy)
		return err_oom(err);
	if (host && str_starts(host, "unix://"))
		socket = host + strlen("unix://");
	else if (host && str_starts(host, "tcp://"))
		server = host + strlen("tcp://"), socket = NULL;
	else if (host && *host)
		return err_set(err, CIMAGE_E_UNSUPPORTED, "DOCKER_HOST is \"%s\": neither unix:// nor tcp://",
			       SHOW(host));
	url = strf("http://%s%s", server, path);
	x->what = strf("docker daemon at %s", socket ? socket : server);
	if (!url || !x->what)
		return err_oom(err);
	if (socket)
		bad |= curl_easy_setopt(x->easy, CURLOPT_UNIX_SOCKET_PATH, socket);
	bad |= curl_easy_setopt(x->easy, CURLOPT_URL, url);
	bad |= curl_easy_setopt(x->easy, CURLOPT_PROXY, "");
	bad |= curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->detail);
	bad |= curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
	bad |= curl_easy_setopt(x->easy, CURLOPT_NOPROGRESS, 0L);
	bad |= curl_easy_setopt(x->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	bad |= curl_easy_setopt(x->easy, CURLOPT_XFERINFODATA, x);
	return bad ? err_oom(err) : 0;
}

static int set_upload(struct exchange *x, int fd, int64_t size)
{
	int bad = 0;

	x->from = fd;
	/* with curl's own, for forms, the daemon would take the body for one */
	x->headers = curl_slist_append(NULL, "Content-Type: application/x-tar");
	bad |= curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
	bad |= curl_easy_setopt(x->easy, CURLOPT_POST, 1L);
	bad |= curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
	bad |= curl_easy_setopt(x->easy, CURLOPT_READFUNCTION, on_send);
	bad |= curl_easy_setopt(x->easy, CURLOPT_READDATA, x);
	return bad || !x->headers ? -ENOMEM : 0;
}

/* The daemon's own words: {"message":...}, or, in the last line of a report, {"error":...}. */
static int fail_status(struct exchange *x, struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const char *words = NULL;

	if (x->answer.len && !json_parse(x->answer.data, x->answer.len, JSON_REPAIR, &doc, NULL))
		words = json_get_string(json_root(doc), "message");
	return err_set(err, x->status == 404 ? CIMAGE_E_NOT_FOUND : CIMAGE_E_UNAVAILABLE,
		       "%s: HTTP status %ld%s%s", x->what, x->status, words ? ": " : "",
		       words ? SHOW(words) : "");
}

static int perform(struct exchange *x, struct cimage_error *err)
{
	CURLcode result = curl_easy_perform(x->easy);

	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &x->status);
	if (cimage_context_cancelled(x->ctx))
		return err_set(err, CIMAGE_E_CANCELLED, "cancelled");
	if (x->write_errno)
		return err_sysr(err, x->write_errno, "keep the image");
	if (result)
		return err_set(err, CIMAGE_E_UNAVAILABLE, "%s: %s", x->what,
			       x->detail[0] ? SHOW(x->detail) : curl_easy_strerror(result));
	return x->status == 200 ? 0 : fail_status(x, err);
}

/* ---- both directions ---- */

static int get(struct cimage_context *c, const struct cimage_place *place, int fd,
	       struct cimage_error *err)
{
	const struct cimage_ref *ref = cimage_place_ref(place);
	const char *what = ref ? cimage_ref_string(ref) : cimage_place_name(place);
	_cleanup_free_ char *path = strf("/images/%s/get", what);
	struct exchange x = { .ctx = c, .to = fd, .from = -1 };
	int r = path ? set_address(&x, path, err) : err_oom(err);

	if (!r)
		r = perform(&x, err);
	exchange_done(&x);
	return r;
}

static int daemon_open(struct cimage_context *c, const struct cimage_place *place,
		       struct cimage_source **ret, struct cimage_error *err)
{
	int fd, r = archive_temporary(&fd, err);

	if (r)
		return r;
	r = get(c, place, fd, err);
	if (!r)
		return saved_open(c, fd, NULL, NULL, ret, err);
	close_fd(fd);
	return r;
}

/* "docker load" answers 200, then tells line by line how it goes. */
static int check_report(const struct exchange *x, struct cimage_error *err)
{
	const char *p = x->answer.data, *end = p ? p + x->answer.len : NULL, *next;

	for (; p && p < end; p = next) {
		_cleanup_json_ struct json_doc *doc = NULL;
		const char *words;

		next = memchr(p, '\n', (size_t)(end - p));
		next = next ? next + 1 : end;
		if (json_parse(p, (size_t)(next - p), JSON_REPAIR, &doc, NULL))
			continue;
		words = json_get_string(json_root(doc), "error");
		if (words)
			return err_set(err, CIMAGE_E_INVALID, "%s: %s", x->what, SHOW(words));
	}
	return 0;
}

static int load(struct cimage_destination *d, struct cimage_context *c, struct cimage_error *err)
{
	struct exchange x = { .ctx = c, .to = -1, .from = -1 };
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = archive_temporary(&fd, err);

	if (!r)
		r = saved_write(d, fd, err);
	if (!r && (fstat(fd, &st) || lseek(fd, 0, SEEK_SET)))
		r = err_sys(err, "read the archive");
	if (!r)
		r = set_address(&x, "/images/load?quiet=1", err);
	if (!r && set_upload(&x, fd, st.st_size))
		r = err_oom(err);
	if (!r)
		r = perform(&x, err);
	if (!r)
		r = check_report(&x, err);
	exchange_done(&x);
	return r;
}

static int dest_commit(struct cimage_destination *d, const char *list, size_t n,
		       struct cimage_error *err)
{
	return load(d, saved_context(d), err);
}

static const struct cimage_destination_ops destination = {
	.open = saved_dest_new,
	.close = saved_dest_close,
	.flags = saved_flags,
	.manifest_types = saved_types,
	.has_blob = saved_has,
	.put_blob = saved_put,
	.put_manifest = saved_put_manifest,
	.commit = dest_commit,
};

PUBLIC extern const struct cimage_transport cimage_transport_module;

const struct cimage_transport cimage_transport_module = {
	.abi = CIMAGE_TRANSPORT_ABI,
	.name = "docker-daemon",
	.close = saved_close,
	.manifest = saved_manifest,
	.blobs = saved_blobs,
	.parse = daemon_parse,
	.open_place = daemon_open,
	.destination = &destination,
};
