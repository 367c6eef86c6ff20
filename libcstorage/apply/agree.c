/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libarchive reads the archive too, in a thread of its own, and both readers must see the same members: a
 * layer that two parsers understand differently is an attack on whoever trusts the other one.
 *
 * Only headers cross over. The reader puts what is no content into a ring of blocks, and for content its
 * length, which libarchive skips; if it tries to read there instead, it finds zeros, and the two no
 * longer agree. Each side keeps a running keyed hash over (offset, name, size, type) of its members, so
 * nothing has to be kept for the comparison, which is at the end. The key is random: nobody can build members
 * that differ and hash alike.
 *
 * Names stay bytes: libarchive converts them by the locale, and the thread has one of its own, C.UTF-8.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <cbase/cleanup.h>
#include <cbase/err.h>
#include "agree.h"
#include "siphash.h"

#define BLOCKS 4
#define BLOCK_SIZE (32u << 10)
#define SPANS 128
#define STACK_SIZE (256u << 10)

struct span {
	uint32_t raw;	  /* bytes of the block */
	uint64_t content; /* skipped after them */
};

struct block {
	uint8_t bytes[BLOCK_SIZE];
	struct span spans[SPANS];
	size_t len, count;
};

struct members {
	uint64_t key[2], hash, count;
};

struct agree {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t filled, emptied;
	struct block blocks[BLOCKS];
	/* under the mutex */
	uint64_t head, tail; /* blocks filled, and emptied, so far */
	bool ended;	     /* no more blocks are coming */
	atomic_bool done;    /* the thread wants no more */
	/* the thread's */
	size_t span, at; /* in the block at tail */
	uint64_t skip;	 /* content left of the span before */
	struct members theirs;
	int failed; /* CSTORE_E_INVALID, -ENOMEM */
	char why[160];
	/* the reader's */
	struct members ours;
	bool joined;
};

static const uint8_t zeros[4096];

/* Made when the module is loaded: a sandbox may hide the locale's files later. */
static locale_t utf8_locale;

__attribute__((constructor)) static void make_locale(void)
{
	utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

__attribute__((destructor)) static void free_locale(void)
{
	if (utf8_locale)
		freelocale(utf8_locale);
}

/* ---- members ---- */

static void add_member(struct members *m, uint64_t offset, const char *name, uint64_t size, char type)
{
	struct {
		uint64_t before, offset, size, type;
		char name[TAR_NAME_MAX + 1];
	} all;
	size_t n = strlen(name);

	n = n > TAR_NAME_MAX ? TAR_NAME_MAX : n;
	all.before = m->hash;
	all.offset = offset;
	all.size = size;
	all.type = (uint64_t)type;
	memcpy(all.name, name, n);
	m->hash = siphash(m->key, &all, offsetof(__typeof__(all), name) + n);
	m->count++;
}

void agree_member(struct agree *a, const struct tar_member *m, uint64_t offset)
{
	add_member(&a->ours, offset, m->name, m->size, (char)m->type);
}

static char type_of(struct archive_entry *e)
{
	if (archive_entry_hardlink(e))
		return TAR_HARDLINK;
	switch (archive_entry_filetype(e)) {
	case AE_IFREG:
		return TAR_FILE;
	case AE_IFLNK:
		return TAR_SYMLINK;
	case AE_IFCHR:
		return TAR_CHAR;
	case AE_IFBLK:
		return TAR_BLOCKDEV;
	case AE_IFDIR:
		return TAR_DIR;
	case AE_IFIFO:
		return TAR_FIFO;
	default:
		return 0;
	}
}

/* ---- the reader's side ---- */

/* A block to fill: the next one of the ring, when the thread has emptied it. NULL: it wants no more. */
static struct block *room(struct agree *a, size_t n)
{
	struct block *b = &a->blocks[a->head % BLOCKS];

	if (atomic_load_explicit(&a->done, memory_order_relaxed))
		return NULL;
	if (b->len + n <= BLOCK_SIZE && b->count < SPANS)
		return b;
	pthread_mutex_lock(&a->mutex);
	a->head++;
	pthread_cond_signal(&a->filled);
	while (a->head - a->tail == BLOCKS && !a->done)
		pthread_cond_wait(&a->emptied, &a->mutex);
	pthread_mutex_unlock(&a->mutex);
	if (a->done)
		return NULL;
	b = &a->blocks[a->head % BLOCKS];
	b->len = b->count = 0;
	return b;
}

void agree_raw(struct agree *a, const void *p, size_t n)
{
	const uint8_t *at = p;
	struct block *b;
	size_t k;

	while (n && (b = room(a, 1))) {
		k = BLOCK_SIZE - b->len < n ? BLOCK_SIZE - b->len : n;
		memcpy(b->bytes + b->len, at, k);
		if (b->count && !b->spans[b->count - 1].content)
			b->spans[b->count - 1].raw += (uint32_t)k;
		else
			b->spans[b->count++] = (struct span){ .raw = (uint32_t)k };
		b->len += k;
		at += k;
		n -= k;
	}
}

void agree_content(struct agree *a, uint64_t n)
{
	struct block *b = n ? room(a, 0) : NULL;

	if (b && b->count)
		b->spans[b->count - 1].content += n;
	else if (b)
		b->spans[b->count++] = (struct span){ .content = n };
}

bool agree_failed(struct agree *a)
{
	return atomic_load_explicit(&a->done, memory_order_acquire) && a->failed;
}

/* ---- the thread's side ---- */

/* The span to read from, after the content before it was skipped; NULL: the archive ends here. */
static struct span *next_span(struct agree *a)
{
	struct block *b = &a->blocks[a->tail % BLOCKS];
	bool there;

	pthread_mutex_lock(&a->mutex);
	if (a->tail < a->head && a->span == b->count) {
		a->tail++;
		a->span = a->at = 0;
		b = &a->blocks[a->tail % BLOCKS];
		pthread_cond_signal(&a->emptied);
	}
	while (a->tail == a->head && !a->ended)
		pthread_cond_wait(&a->filled, &a->mutex);
	there = a->tail < a->head;
	pthread_mutex_unlock(&a->mutex);
	return there && a->span < b->count ? &b->spans[a->span] : NULL;
}

static la_ssize_t give(struct archive *ar, void *user, const void **ret)
{
	struct agree *a = user;
	struct span *s;
	size_t n;

	(void)ar;
	if (a->skip) { /* it should have been skipped */
		n = a->skip < sizeof(zeros) ? (size_t)a->skip : sizeof(zeros);
		a->skip -= n;
		*ret = zeros;
		return (la_ssize_t)n;
	}
	do {
		s = next_span(a);
		if (!s)
			return 0;
		a->span++;
		a->skip = s->content;
	} while (!s->raw && !a->skip);
	if (!s->raw)
		return give(ar, user, ret);
	*ret = a->blocks[a->tail % BLOCKS].bytes + a->at;
	a->at += s->raw;
	return s->raw;
}

static la_int64_t skip(struct archive *ar, void *user, la_int64_t n)
{
	struct agree *a = user;
	uint64_t k = a->skip < (uint64_t)n ? a->skip : (uint64_t)n;

	(void)ar;
	a->skip -= k;
	return (la_int64_t)k;
}

/* libarchive does not look whether it got memory for an entry, or for its callbacks: here that is asked for first. */
static int read_all(struct agree *a, struct archive *ar, struct archive_entry *e)
{
	const char *name;
	int r;

	r = archive_read_support_format_tar(ar);
	if (r == ARCHIVE_OK)
		r = archive_read_support_format_empty(ar);
	if (r == ARCHIVE_OK)
		r = archive_read_set_read_callback(ar, give);
	if (r == ARCHIVE_OK)
		r = archive_read_set_skip_callback(ar, skip);
	if (r == ARCHIVE_OK)
		r = archive_read_set_callback_data(ar, a);
	if (r == ARCHIVE_OK)
		r = archive_read_open1(ar);
	while (r == ARCHIVE_OK) {
		r = archive_read_next_header2(ar, e);
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN) /* a warning: a name that is no UTF-8 */
			break;
		r = ARCHIVE_OK;
		name = archive_entry_pathname(e);
		add_member(&a->theirs, (uint64_t)archive_read_header_position(ar), name ? name : "",
			   (uint64_t)archive_entry_size(e), type_of(e));
	}
	return r;
}

static void *run(void *user)
{
	struct agree *a = user;
	struct archive *ar = archive_read_new();
	struct archive_entry *e = ar ? archive_entry_new2(ar) : NULL;
	int r;

	if (utf8_locale)
		uselocale(utf8_locale);
	r = e ? read_all(a, ar, e) : ARCHIVE_FATAL;
	if (r != ARCHIVE_EOF) {
		a->failed = !e || archive_errno(ar) == ENOMEM ? -ENOMEM : CSTORE_E_INVALID;
		snprintf(a->why, sizeof(a->why), "%s", ar && archive_error_string(ar) ? archive_error_string(ar) : "");
	}
	archive_entry_free(e);
	archive_read_free(ar);
	pthread_mutex_lock(&a->mutex);
	atomic_store(&a->done, true);
	pthread_cond_signal(&a->emptied);
	pthread_mutex_unlock(&a->mutex);
	return NULL;
}

/* ---- life ---- */

/* With all signals blocked: they are the program's business. */
static int start(struct agree *a)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r;

	sigfillset(&all);
	r = pthread_attr_init(&attr);
	if (r)
		return -r;
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = pthread_create(&a->thread, &attr, run, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

int agree_new(struct agree **ret, struct cstore_error *err)
{
	struct agree *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return err_oom(err);
	if (getrandom(a->ours.key, sizeof(a->ours.key), 0) != sizeof(a->ours.key)) {
		r = err_sys(err, "get random bytes");
		free(a);
		return r;
	}
	a->theirs = a->ours;
	pthread_mutex_init(&a->mutex, NULL);
	pthread_cond_init(&a->filled, NULL);
	pthread_cond_init(&a->emptied, NULL);
	r = start(a);
	if (r) {
		a->joined = true;
		agree_free(a);
		return err_sysr(err, r, "start a thread");
	}
	*ret = a;
	return 0;
}

static void join(struct agree *a)
{
	if (a->joined)
		return;
	pthread_mutex_lock(&a->mutex);
	if (a->blocks[a->head % BLOCKS].count && a->head - a->tail < BLOCKS)
		a->head++;
	a->ended = true;
	pthread_cond_signal(&a->filled);
	pthread_mutex_unlock(&a->mutex);
	pthread_join(a->thread, NULL);
	a->joined = true;
}

struct agree *agree_free(struct agree *a)
{
	if (!a)
		return NULL;
	join(a);
	pthread_cond_destroy(&a->emptied);
	pthread_cond_destroy(&a->filled);
	pthread_mutex_destroy(&a->mutex);
	free(a);
	return NULL;
}

int agree_finish(struct agree *a, struct cstore_error *err)
{
	join(a);
	if (a->failed == -ENOMEM)
		return err_oom(err);
	if (a->failed)
		return err_set(err, CSTORE_E_INVALID, "layer tar: libarchive cannot read what follows %llu members: %s",
			       (unsigned long long)a->theirs.count, a->why);
	if (a->ours.count != a->theirs.count || a->ours.hash != a->theirs.hash)
		return err_set(err, CSTORE_E_INVALID,
			       "layer tar: libarchive sees other members (%llu) than we do (%llu)",
			       (unsigned long long)a->theirs.count, (unsigned long long)a->ours.count);
	return 0;
}
