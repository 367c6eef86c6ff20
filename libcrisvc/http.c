/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1 (RFC 9112) as far as a request without a body and one answer per connection go. The first
 * bytes tell whether it is that at all: HTTP/2 begins with "PRI ", which is no method.
 *
 *	SNIFF -> (HTTP/2: the caller makes a session)
 *	      -> HEAD		request line and headers come in
 *	      -> CALL		the application has the request
 *	      -> ANSWER		head and body go out
 *	      -> LINGER		all was sent; wait for the peer to close
 *	      -> CLOSED
 *
 * Refused requests go from HEAD to ANSWER. One timer: the end of reading in SNIFF and HEAD, of
 * waiting in LINGER; none in CALL, and in ANSWER the caller watches the progress.
 *
 * Only a head that has come whole is looked at. Since the connection ends after the answer, what
 * follows the head has no meaning here and is dropped, whatever the headers say about it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <cbase/cleanup.h>
#include <cbase/str.h>

#include "framer.h"
#include "http.h"
#include "limit.h"
#include "private.h"

#define HTTP2_BEGIN "PRI "

struct http {
	struct host *host;
	void *user;
	enum { HTTP_SNIFF, HTTP_HEAD, HTTP_CALL, HTTP_ANSWER, HTTP_LINGER, HTTP_CLOSED } state;
	struct timer timer;
	bool counted;		     /* in host->n_http */
	bool eof;		     /* the peer says no more */
	bool no_body;		     /* HEAD */
	struct str in;		     /* the head so far */
	struct crisvc_http *request; /* in CALL */
	struct str head;	     /* of the answer */
	struct message_list body;
	size_t charged; /* bytes of the body, in host->output */
	size_t head_sent;
	uint64_t progress;
};

/* ---- life ---- */

static void on_timer(struct timer *t)
{
	struct http *h = (struct http *)(void *)((char *)t - offsetof(struct http, timer));

	h->state = HTTP_CLOSED;
	h->host->want_attention(h->user);
}

int http_new(struct host *host, void *user, struct http **ret)
{
	struct http *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->host = host;
	h->user = user;
	h->timer.fn = on_timer;
	STAILQ_INIT(&h->body);
	if (timers_set(&host->timers, &h->timer, host->now + LIMIT_HTTP_READ_NS)) {
		free(h);
		return -ENOMEM;
	}
	*ret = h;
	return 0;
}

struct http *http_free(struct http *h)
{
	if (!h)
		return NULL;
	if (h->request)
		call_cancel(&h->request->call);
	timers_unset(&h->host->timers, &h->timer);
	h->host->n_http -= h->counted;
	budget_give(&h->host->output, h->charged);
	message_list_free(&h->body);
	str_done(&h->in);
	str_done(&h->head);
	free(h);
	return NULL;
}

/* ---- answers ---- */

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
		{ 200, "OK" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 414, "URI Too Long" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return ""; /* RFC 9112, section 4: may be empty */
}

/* RFC 9110, section 5.6.7. strftime() would use the locale. */
static void add_date(struct str *out)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = time(NULL);
	struct tm tm;

	if (!gmtime_r(&now, &tm))
		return;
	str_appendf(out, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday],
		    tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		    tm.tm_sec);
}

static void begin_answer(struct http *h, int status, const char *headers, size_t len)
{
	timers_unset(&h->host->timers, &h->timer);
	str_done(&h->in);
	str_appendf(&h->head, "HTTP/1.1 %d %s\r\n", status, reason(status));
	add_date(&h->head);
	str_append(&h->head, headers);
	str_appendf(&h->head, "Content-Length: %zu\r\nConnection: close\r\n\r\n", len);
	h->state = str_failed(&h->head) ? HTTP_CLOSED : HTTP_ANSWER;
	h->host->want_attention(h->user);
}

static void refuse(struct http *h, int status)
{
	char text[64];

	snprintf(text, sizeof(text), "%d %s\n", status, reason(status));
	begin_answer(h, status, "Content-Type: text/plain; charset=utf-8\r\n", strlen(text));
	if (h->state == HTTP_ANSWER && !h->no_body)
		str_append(&h->head, text); /* without it the peer waits for it until we close */
}

void http_deliver(struct http *h, struct message_list *out, int status, const char *headers)
{
	struct message *m = STAILQ_FIRST(out);
	size_t n = m ? m->len - FRAME_PREFIX : 0;

	h->request = NULL;
	if (n && !h->no_body && !budget_take(&h->host->output, n)) {
		refuse(h, 503);
		return;
	}
	begin_answer(h, status, headers ? headers : "", n);
	if (!n || h->no_body)
		return;
	h->charged = n;
	m->sent = FRAME_PREFIX;
	STAILQ_CONCAT(&h->body, out);
}

/* ---- requests ---- */

static bool is_token(const char *p, size_t n)
{
	/* RFC 9110, section 5.6.2 */
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < n; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') ||
		      (p[i] >= '0' && p[i] <= '9') || (p[i] && strchr(others, p[i]))))
			return false;
	return n > 0;
}

/* Takes a line off *p; its end is \n or \r\n. Its bytes are terminated. NULL when a NUL is in it. */
static char *next_line(char **p, char *end)
{
	char *line = *p, *nl = memchr(line, '\n', (size_t)(end - line));

	*p = nl + 1; /* there is one: the head ends with an empty line */
	if (nl > line && nl[-1] == '\r')
		nl--;
	*nl = '\0';
	return strlen(line) == (size_t)(nl - line) ? line : NULL;
}

/* "http://host/path" is what a proxy would be asked; only the path counts. */
static char *path_of(char *target)
{
	char *p = target;

	if (str_starts(target, "http://")) {
		p = strchr(target + strlen("http://"), '/');
		if (!p)
			return NULL;
	}
	for (char *c = p; *c; c++)
		if (*c < 0x21 || *c > 0x7e)
			return NULL;
	return *p == '/' || streq(p, "*") ? p : NULL;
}

/* The parts of the request line; 0 or a status. A host is needed since HTTP/1.1. */
static int parse_line(char *line, struct crisvc_http *r, bool *ret_host_needed)
{
	char *target = strchr(line, ' '), *version = target ? strchr(target + 1, ' ') : NULL;
	char *path, *query;

	if (!version || !is_token(line, (size_t)(target - line)))
		return 400;
	*target++ = '\0';
	*version++ = '\0';
	if (strncmp(version, "HTTP/", 5) || strlen(version) != 8 || version[6] != '.')
		return 400;
	if (version[5] != '1' || version[7] < '0' || version[7] > '9')
		return 505;
	path = path_of(target);
	if (!path)
		return 400;
	query = path + strcspn(path, "?");
	if (*query)
		*query++ = '\0';
	r->method = line;
	r->path = path;
	r->query = query;
	r->no_body = streq(line, "HEAD");
	*ret_host_needed = version[7] > '0'; /* RFC 9112, section 3.2 */
	return 0;
}

/* 0 or 400. A field is "name: value"; neither blanks before the colon nor continued lines. */
static int parse_field(const char *line, unsigned *hosts)
{
	const char *colon = strchr(line, ':');

	if (!colon || !is_token(line, (size_t)(colon - line)))
		return 400;
	for (const char *c = colon + 1; *c; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			return 400;
	if (colon - line == 4 && !strncasecmp(line, "host", 4))
		(*hosts)++;
	return 0;
}

/* Cuts text, the whole head, into lines. 0 or a status. */
static int parse_head(char *text, size_t n, struct crisvc_http *r)
{
	char *p = text, *line = next_line(&p, text + n);
	bool host_needed = false;
	unsigned hosts = 0;
	int status = line ? parse_line(line, r, &host_needed) : 400;

	if (status)
		return status;
	while ((line = next_line(&p, text + n)) && *line)
		if (parse_field(line, &hosts))
			return 400;
	return !line || hosts > 1 || (host_needed && !hosts) ? 400 : 0;
}

static void on_head(struct http *h)
{
	struct crisvc_http *r = calloc(1, sizeof(*r));
	size_t n = h->in.len;
	int status;

	if (!r) {
		refuse(h, 503);
		return;
	}
	r->call.box = &h->host->box;
	r->call.http = h;
	r->call.state = CALL_POPPED;
	r->call.request = str_take(&h->in, NULL);
	STAILQ_INIT(&r->call.out);
	status = r->call.request ? parse_head(r->call.request, n, r) : 503;
	h->no_body = r->no_body;
	if (!status && mailbox_add(&h->host->box, &r->call))
		status = 503;
	if (status) {
		free(r->call.request);
		free(r);
		refuse(h, status);
		return;
	}
	timers_unset(&h->host->timers, &h->timer);
	h->state = HTTP_CALL;
	h->request = r;
	h->host->on_http(h->host, r);
}

/* Whether the head ends within in, of which the bytes before from were looked at. Cuts in there. */
static bool head_ends(struct str *in, size_t from)
{
	const char *end = in->data + in->len, *nl;

	for (const char *p = in->data + from; (nl = memchr(p, '\n', (size_t)(end - p)));
	     p = nl + 1) {
		const char *before = nl > in->data && nl[-1] == '\r' ? nl - 1 : nl;

		if (before > in->data && before[-1] == '\n') {
			in->len = (size_t)(nl + 1 - in->data);
			return true;
		}
	}
	return false;
}

static void feed_head(struct http *h, const char *p, size_t n)
{
	size_t room = LIMIT_HTTP_HEAD - h->in.len, from = h->in.len, len;
	bool cut = n > room;

	str_append_mem(&h->in, p, cut ? room : n);
	if (str_failed(&h->in)) {
		h->state = HTTP_CLOSED;
		return;
	}
	len = h->in.len < LIMIT_HTTP_LINE ? h->in.len : LIMIT_HTTP_LINE;
	if (len == LIMIT_HTTP_LINE && !memchr(h->in.data, '\n', len))
		refuse(h, 414);
	else if (head_ends(&h->in, from))
		on_head(h);
	else if (h->in.len == LIMIT_HTTP_HEAD)
		refuse(h, 431);
}

/* 0, HTTP_IS_HTTP2, or negative. Decides as soon as a byte differs. */
static int sniff(struct http *h, const char *p, size_t n)
{
	size_t held = h->in.len, want = strlen(HTTP2_BEGIN), i;

	for (i = 0; i < n && held + i < want && p[i] == HTTP2_BEGIN[held + i]; i++)
		;
	if (held + i == want)
		return HTTP_IS_HTTP2;
	if (i == n) {
		str_append_mem(&h->in, p, n);
		return str_failed(&h->in) ? -ENOMEM : 0;
	}
	if (held == 0 && (*p < 'A' || *p > 'Z'))
		return -EPROTO; /* TLS, or nothing we know */
	h->state = HTTP_HEAD;
	if (h->host->n_http >= LIMIT_HTTP_CONNECTIONS) {
		refuse(h, 503);
		return 0;
	}
	h->counted = true;
	h->host->n_http++;
	return 0;
}

int http_feed(struct http *h, const char *p, size_t n)
{
	int r = 0;

	if (!n)
		return 0;
	if (h->state == HTTP_SNIFF) {
		r = sniff(h, p, n);
		if (r || h->state == HTTP_SNIFF)
			return r;
	}
	if (h->state == HTTP_HEAD)
		feed_head(h, p, n);
	return 0;
}

const char *http_held(const struct http *h, size_t *ret_n)
{
	*ret_n = h->in.len;
	return h->in.data;
}

int http_eof(struct http *h)
{
	h->eof = true;
	return h->state == HTTP_CALL || h->state == HTTP_ANSWER ? 0 : -ECONNRESET;
}

/* ---- bytes out, and the end ---- */

size_t http_pull(struct http *h, unsigned char *buf, size_t size)
{
	struct message *m = STAILQ_FIRST(&h->body);
	size_t n = 0, part;

	if (h->state != HTTP_ANSWER)
		return 0;
	if (h->head_sent < h->head.len) {
		n = h->head.len - h->head_sent;
		n = n < size ? n : size;
		memcpy(buf, h->head.data + h->head_sent, n);
		h->head_sent += n;
	}
	if (m && n < size) {
		part = m->len - m->sent;
		part = part < size - n ? part : size - n;
		memcpy(buf + n, m->data + m->sent, part);
		m->sent += part;
		n += part;
	}
	h->progress += n;
	return n;
}

bool http_has_output(const struct http *h)
{
	const struct message *m = STAILQ_FIRST(&h->body);

	return h->state == HTTP_ANSWER && (h->head_sent < h->head.len || (m && m->sent < m->len));
}

bool http_busy(const struct http *h)
{
	return h->state == HTTP_CALL || h->state == HTTP_ANSWER;
}

uint64_t http_progress(const struct http *h)
{
	return h->progress;
}

bool http_done(const struct http *h)
{
	return h->state == HTTP_CLOSED;
}

bool http_all_said(const struct http *h)
{
	return h->state == HTTP_ANSWER && !http_has_output(h);
}

int http_linger(struct http *h)
{
	h->state = h->eof ? HTTP_CLOSED : HTTP_LINGER;
	if (h->eof)
		return 0;
	budget_give(&h->host->output, h->charged);
	h->charged = 0;
	message_list_free(&h->body);
	str_done(&h->head);
	return timers_set(&h->host->timers, &h->timer, h->host->now + LIMIT_HTTP_LINGER_NS);
}

void http_drain(struct http *h)
{
	if (h->state != HTTP_SNIFF && h->state != HTTP_HEAD)
		return;
	h->state = HTTP_CLOSED;
	h->host->want_attention(h->user);
}

/* ---- public ---- */

PUBLIC const char *crisvc_http_method(const struct crisvc_http *h)
{
	return h->method;
}

PUBLIC const char *crisvc_http_path(const struct crisvc_http *h)
{
	return h->path;
}

PUBLIC const char *crisvc_http_query(const struct crisvc_http *h)
{
	return h->query;
}

PUBLIC void crisvc_http_on_cancel(struct crisvc_http *h, void (*fn)(void *user), void *user)
{
	crisvc_call_on_cancel(&h->call, fn, user);
}

static bool is_value(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

PUBLIC int crisvc_http_add_header(struct crisvc_http *h, const char *name, const char *value)
{
	char *before, *all;

	if (!h || !name || !value || !is_token(name, strlen(name)) || !is_value(value))
		return -EINVAL;
	before = h->call.status_message;
	all = strf("%s%s: %s\r\n", before ? before : "", name, value);
	if (!all)
		return -ENOMEM;
	free(before);
	h->call.status_message = all;
	return 0;
}

PUBLIC int crisvc_http_reply(struct crisvc_http *h, int status, const char *content_type,
			     const void *body, size_t n)
{
	struct message *m = NULL;
	int r;

	if (!h || status < 200 || status > 599 || (!body && n) ||
	    (content_type && !is_value(content_type)))
		return -EINVAL;
	r = content_type ? crisvc_http_add_header(h, "Content-Type", content_type) : 0;
	if (!r && n > h->call.box->max_send)
		r = -EMSGSIZE;
	if (!r && n) {
		m = message_new(body, n);
		r = m ? 0 : -ENOMEM;
	}
	if (r)
		call_answer(&h->call, NULL, 500, NULL);
	else
		call_answer(&h->call, m, status, take(h->call.status_message));
	return r;
}
