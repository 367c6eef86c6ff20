/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token is 192 random bits, so it cannot be guessed; looking one up takes the same time whatever it
 * is. The table is small and unordered. Expired tokens leave it when somebody looks: there is no
 * timer, as nothing waits for them.
 */
#include "token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "bounds.h"

#define RANDOM_BYTES ((CRISVC_STREAMING_TOKEN_SIZE - 1) / 4 * 3)

struct request *request_ref(struct request *q)
{
	q->refs++;
	return q;
}

struct request *request_unref(struct request *q)
{
	if (!q || --q->refs)
		return NULL;
	if (q->release)
		q->release(q->data);
	free(q);
	return NULL;
}

void tokens_init(struct tokens *t)
{
	*t = (struct tokens){ 0 };
	pthread_mutex_init(&t->lock, NULL);
}

void tokens_done(struct tokens *t)
{
	while (t->n)
		request_unref(t->all[--t->n].request);
	free(t->all);
	pthread_mutex_destroy(&t->lock);
}

static void remove_at(struct tokens *t, size_t i)
{
	t->all[i] = t->all[--t->n];
}

static void expire(struct tokens *t, int64_t now)
{
	for (size_t i = t->n; i-- > 0;) {
		if (t->all[i].expires > now)
			continue;
		request_unref(t->all[i].request);
		remove_at(t, i);
	}
}

static int make_text(char out[CRISVC_STREAMING_TOKEN_SIZE])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char bits[RANDOM_BYTES];
	ssize_t n;

	do
		n = getrandom(bits, sizeof(bits), 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(bits))
		return n < 0 ? -errno : -EIO;
	for (size_t i = 0; i < sizeof(bits); i += 3, out += 4) {
		out[0] = digits[bits[i] >> 2];
		out[1] = digits[(bits[i] & 3) << 4 | bits[i + 1] >> 4];
		out[2] = digits[(bits[i + 1] & 15) << 2 | bits[i + 2] >> 6];
		out[3] = digits[bits[i + 2] & 63];
	}
	*out = '\0';
	return 0;
}

static int grow(struct tokens *t)
{
	size_t size = t->size ? 2 * t->size : 4;
	struct token *all;

	if (t->n < t->size)
		return 0;
	all = realloc(t->all, size * sizeof(*all));
	if (!all)
		return -ENOMEM;
	t->all = all;
	t->size = size;
	return 0;
}

static int add_locked(struct tokens *t, struct request *q, int64_t now)
{
	struct token *one;
	int r;

	expire(t, now);
	if (t->n >= CRISVC_STREAMING_TOKENS_MAX)
		return CRISVC_STREAMING_E_LIMIT;
	r = grow(t);
	if (r)
		return r;
	one = &t->all[t->n];
	r = make_text(one->text);
	if (r)
		return r;
	one->expires = now + CRISVC_STREAMING_TOKEN_SECONDS * BOUND_SECOND;
	one->request = q;
	t->n++;
	return 0;
}

int tokens_add(struct tokens *t, struct request *q, int64_t now, char ret[CRISVC_STREAMING_TOKEN_SIZE])
{
	int r;

	pthread_mutex_lock(&t->lock);
	r = add_locked(t, q, now);
	if (!r)
		memcpy(ret, t->all[t->n - 1].text, CRISVC_STREAMING_TOKEN_SIZE);
	pthread_mutex_unlock(&t->lock);
	return r;
}

static unsigned differ(const char *a, const char *b, size_t n)
{
	unsigned d = 0;

	for (size_t i = 0; i < n; i++)
		d |= (unsigned char)(a[i] ^ b[i]);
	return d;
}

struct request *tokens_use(struct tokens *t, const char *text, size_t n, int64_t now)
{
	struct request *q = NULL;
	size_t found = SIZE_MAX;

	if (n != CRISVC_STREAMING_TOKEN_SIZE - 1)
		return NULL;
	pthread_mutex_lock(&t->lock);
	expire(t, now);
	for (size_t i = 0; i < t->n; i++)
		if (!differ(t->all[i].text, text, n))
			found = i;
	if (found != SIZE_MAX) {
		q = t->all[found].request;
		remove_at(t, found);
	}
	pthread_mutex_unlock(&t->lock);
	return q;
}

size_t tokens_count(struct tokens *t, int64_t now)
{
	size_t n;

	pthread_mutex_lock(&t->lock);
	expire(t, now);
	n = t->n;
	pthread_mutex_unlock(&t->lock);
	return n;
}
