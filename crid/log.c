/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message is made whole in a buffer on the stack and leaves with one write(), so lines of
 * several threads never mix and no lock is held over a slow stderr. Messages carry text that
 * pods, images and registries chose: what could steer a terminal or fake another line is
 * escaped, and the cut never leaves half an escape.
 */
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"
#include "log.h"

#define TAIL_MAX 256		/* bytes of what follows the message */

static const struct {
	const char *name;
	enum log_level level;
} level_names[] = {
	/* the first name of a level is the one log_level_name() gives */
	{ "fatal", LOG_FATAL }, { "panic", LOG_FATAL },	 { "error", LOG_ERROR },
	{ "warn", LOG_WARN },	{ "warning", LOG_WARN }, { "info", LOG_INFO },
	{ "debug", LOG_DEBUG }, { "trace", LOG_TRACE },
};
/* For lines: what logrus says, and what syslog(3) counts. */
static const struct {
	const char *name;
	char priority;
} line_levels[] = {
	[LOG_FATAL] = { "fatal", '2' }, [LOG_ERROR] = { "error", '3' }, [LOG_WARN] = { "warning", '4' },
	[LOG_INFO] = { "info", '6' },	[LOG_DEBUG] = { "debug", '7' }, [LOG_TRACE] = { "trace", '7' },
};

static _Atomic int current_level = LOG_INFO;
static _Atomic int output = STDERR_FILENO;	/* never closed once it is a file */
static atomic_bool as_json, to_journal, filtered;
static regex_t filter;
static pthread_rwlock_t filter_lock = PTHREAD_RWLOCK_INITIALIZER;
static __thread struct log_request request;

/* ---- settings ---- */

static const char *level_name(int level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if ((int)level_names[i].level == level)
			return level_names[i].name;
	return "info";
}

int log_set_level(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (streq(level_names[i].name, name)) {
			atomic_store(&current_level, (int)level_names[i].level);
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_level_name(void)
{
	return level_name(atomic_load(&current_level));
}

void log_set_json(bool json)
{
	atomic_store(&as_json, json);
}

int log_set_filter(const char *regex, struct cb_error *err)
{
	char why[128];
	regex_t new;
	int r = *regex ? regcomp(&new, regex, REG_EXTENDED | REG_NOSUB) : 0;

	if (r) {
		regerror(r, &new, why, sizeof(why));
		return err_set(err, E_INVALID, "\"%s\" is no regular expression: %s", regex, why);
	}
	pthread_rwlock_wrlock(&filter_lock);
	if (atomic_load(&filtered))
		regfree(&filter);
	if (*regex)
		filter = new;
	atomic_store(&filtered, *regex);
	pthread_rwlock_unlock(&filter_lock);
	return 0;
}

int log_open(const char *path, struct cb_error *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
	int old = atomic_load(&output);

	if (fd < 0)
		return err_sys(err, "open the log %s", path);
	if (old == STDERR_FILENO)
		atomic_store(&output, take_fd(fd));
	else if (dup3(fd, old, O_CLOEXEC) < 0)	/* what others write meanwhile goes to one or the other */
		return err_sys(err, "open the log %s", path);
	return 0;
}

void log_find_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0)
		atomic_store(&to_journal, st.st_dev == dev && st.st_ino == ino);
}

/* ---- requests ---- */

struct log_request log_request_new(const char *name)
{
	struct log_request r = { .name = name };

	/* only to tell lines apart: without random bytes there is an id all the same */
	if (getrandom(r.id, sizeof(r.id), GRND_NONBLOCK) != (ssize_t)sizeof(r.id))
		r.id[0] = (uint64_t)mono_ns();
	return r;
}

struct log_request log_request_get(void)
{
	return request;
}

void log_request_set(const struct log_request *r)
{
	request = r ? *r : (struct log_request){ .name = NULL };
}

/* A version 4 UUID. */
static void format_id(char *out, size_t size)
{
	unsigned long long a = request.id[0], b = request.id[1];

	snprintf(out, size, "%08llx-%04llx-4%03llx-%04llx-%012llx", a >> 32, a >> 16 & 0xffff, a & 0xfff, (b >> 48 & 0x3fff) | 0x8000,
		 b & 0xffffffffffff);
}

/* ---- lines ---- */

/*
 * Length of the UTF-8 character at p, 0 when it has to be escaped: control (also C1),
 * malformed, or what ends a quoted text.
 */
static size_t printable(const unsigned char *p, size_t n)
{
	size_t len = *p < 0x80 ? 1 : *p < 0xc0 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

	if (*p < 0x20 || *p == 0x7f || *p == '"' || *p == '\\' || !len || len > n || !utf8_valid((const char *)p, len))
		return 0;
	return *p == 0xc2 && p[1] < 0xa0 ? 0 : len;
}

/* A byte as Go's %q, or JSON, has it. JSON has no bytes: malformed text becomes U+FFFD. */
static size_t escape(char out[8], unsigned char byte, bool json)
{
	static const char letters[] = "\"\"\\\\\nn\tt\rr";
	const char *known = NULL;

	for (size_t i = 0; i + 1 < sizeof(letters) && !known; i += 2)
		if (letters[i] == (char)byte)
			known = letters + i + 1;
	if (known)
		return (size_t)snprintf(out, 8, "\\%c", *known);
	if (json)
		return (size_t)snprintf(out, 8, "\\u%04x", byte < 0x80 ? byte : 0xfffd);
	return (size_t)snprintf(out, 8, "\\x%02x", byte);
}

/* Appends text at *at, as far as it fits below size; false when it did not all fit. */
static bool append_escaped(char *out, size_t *at, size_t size, const char *text, size_t n, bool json)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len, k;
	char esc[8];

	for (; n; p += len, n -= len) {
		const void *from = p;

		len = k = printable(p, n);
		if (!len) {
			len = 1;
			k = escape(esc, *p, json);
			from = esc;
		}
		if (*at + k > size)
			return false;
		memcpy(out + *at, from, k);
		*at += k;
	}
	return true;
}

/* What is before the message, up to its opening quote. */
static size_t format_head(char *out, size_t size, enum log_level level, bool json)
{
	int64_t now = now_ns();
	time_t seconds = (time_t)(now / 1000000000);
	char when[32], priority[] = "<6>";
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(when, sizeof(when), json ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm);
	priority[1] = line_levels[level].priority;
	if (!atomic_load(&to_journal) || atomic_load(&output) != STDERR_FILENO)
		priority[0] = '\0';
	return (size_t)snprintf(out, size, json ? "%s{\"time\":\"%s.%09dZ\",\"level\":\"%s\",\"msg\":\"" :
				"%stime=\"%s.%09dZ\" level=%s msg=\"", priority, when, (int)(now % 1000000000), line_levels[level].name);
}

/* What is behind it, from its closing quote. */
static size_t format_tail(char out[TAIL_MAX], bool json)
{
	char id[64];

	if (!request.name)
		return (size_t)snprintf(out, TAIL_MAX, json ? "\"}\n" : "\"\n");
	format_id(id, sizeof(id));
	return (size_t)snprintf(out, TAIL_MAX, json ? "\",\"id\":\"%s\",\"name\":\"%.128s\"}\n" : "\" id=%s name=%.128s\n", id, request.name);
}

static bool filtered_out(const char *text)
{
	bool out = false;

	if (!atomic_load(&filtered))
		return false;
	pthread_rwlock_rdlock(&filter_lock);
	if (atomic_load(&filtered))
		out = regexec(&filter, text, 0, NULL, 0) == REG_NOMATCH;
	pthread_rwlock_unlock(&filter_lock);
	return out;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	static const char cut[] = " [cut]";
	char text[LOG_LINE_MAX], line[LOG_LINE_MAX], tail[TAIL_MAX];
	bool json = atomic_load(&as_json), whole;
	int saved = errno, n;
	size_t at, tail_len;
	va_list ap;

	if ((int)level > atomic_load(&current_level))
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= 0 && !filtered_out(text)) {
		tail_len = format_tail(tail, json);
		at = format_head(line, sizeof(line), level, json);
		whole = append_escaped(line, &at, sizeof(line) - sizeof(cut) - tail_len, text, strlen(text), json);
		if (!whole || (size_t)n >= sizeof(text)) {
			memcpy(line + at, cut, sizeof(cut) - 1);
			at += sizeof(cut) - 1;
		}
		memcpy(line + at, tail, tail_len);
		(void)!write_all(atomic_load(&output), line, at + tail_len);
	}
	errno = saved;
}
