/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin writes: the first byte says how it ends, the rest is its stdout and, the other way
 * round, its stderr. Whatever it is, the error is one line of UTF-8, and a result is one.
 */
#include "private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct said {
	const char *text;
	size_t len;
	int status;
};

static int answer(void *user, const char *path, const char *const *env, const char *input,
		  size_t input_len, int timeout_ms, char **ret_out, size_t *ret_out_len,
		  char **ret_errout, int *ret_status)
{
	const struct said *s = user;

	*ret_out = malloc(s->len + 1);
	*ret_errout = malloc(s->len + 1);
	memcpy(*ret_out, s->text, s->len);
	memcpy(*ret_errout, s->text, s->len);
	(*ret_out)[s->len] = (*ret_errout)[s->len] = 0;
	*ret_out_len = s->len;
	*ret_status = s->status;
	return 0;
}

static void look(int r, const struct cnic_error *err)
{
	if (r && (!*err->message || !utf8_valid(err->message, strlen(err->message))))
		abort();
	for (const char *p = err->message; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char list[] = "{\"name\":\"n\",\"cniVersion\":\"1.1.0\",\"plugins\":[{\"type\":\"sh\"}]}";
	static const struct call call = { .command = "ADD", .container_id = "c", .netns = "/n", .ifname = "e" };
	char *dirs[] = { (char *)(uintptr_t) "/bin", NULL };
	struct said said = { .text = size ? (const char *)data + 1 : "", .len = size ? size - 1 : 0 };
	struct cnic c = { .o = { .plugin_dirs = dirs, .run = answer, .user = &said } };
	_cleanup_network_ struct cnic_network *n = NULL;
	_cleanup_result_ struct cnic_result *result = NULL;
	struct cnic_error err = { 0 };
	int r;

	said.status = !size ? 0 : data[0] % 3 == 0 ? 0 : data[0] % 3 == 1 ? 1 << 8 : data[0] & 0x7f;
	pthread_mutex_init(&c.lock, NULL);
	if (network_parse_list(list, strlen(list), -1, &n, NULL))
		abort();
	r = plugin_call(&c, n, 0, &call, INT64_MAX, &result, &err);
	look(r, &err);
	if (r == 0 && (!result || !cnic_result_json(result)))
		abort();
	err = (struct cnic_error){ 0 };
	look(probe_supports(&c, "sh", "1.1.0", &err), &err);
	probes_free(c.probes);
	pthread_mutex_destroy(&c.lock);
	return 0;
}
