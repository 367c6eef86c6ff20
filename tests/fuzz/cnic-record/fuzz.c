/* SPDX-License-Identifier: Apache-2.0 */
/* Cache files: read by name and by looking through the directory, and a DEL that starts nothing. */
#include <fcntl.h>
#include "private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The runner: nothing may be asked for that is not one of the plugins. */
static int run_nothing(void *user, const char *path, const char *const *env, const char *input,
		       size_t input_len, int timeout_ms, char **ret_out, size_t *ret_out_len,
		       char **ret_errout, int *ret_status)
{
	if (strchr(path + strlen("/bin/"), '/'))
		abort();
	*ret_out = strdup("{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"1.1.0\"]}");
	*ret_out_len = strlen(*ret_out);
	*ret_errout = strdup("");
	*ret_status = 0;
	return 0;
}

static int see(void *user, const struct cnic_attachment *a, const struct cnic_result *result)
{
	if (!a->container_id || !a->network || !a->ifname)
		abort();
	return 0;
}

static char dir[] = "/dev/shm/fuzz-cnic-XXXXXX";
static struct cnic *c;

static void clean_up(void)
{
	cnic_free(c);
	rm_rf_at(AT_FDCWD, dir);
}

static struct cnic *shared(void)
{
	struct cnic_options *o = NULL;
	static const char conf[] = "{\"name\":\"n\",\"cniVersion\":\"1.1.0\",\"plugins\":[{\"type\":\"sh\"}]}";
	_cleanup_free_ char *file = NULL, *cache = NULL;

	if (c)
		return c;
	if (!mkdtemp(dir) || !(file = strf("%s/n.conflist", dir)) || !(cache = strf("%s/cache", dir)) ||
	    mkdir(cache, 0700) || write_file(file, 0600, conf, strlen(conf), 0) ||
	    cnic_options_new(&o) || cnic_options_set_conf_dir(o, dir) ||
	    cnic_options_set_cache_dir(o, cache) || cnic_options_add_plugin_dir(o, "/bin") ||
	    cnic_options_set_runner(o, run_nothing, NULL) || cnic_new(o, &c) || cnic_reload(c, NULL))
		abort();
	cnic_options_free(o);
	atexit(clean_up);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cnic *net = shared();
	struct cnic_attachment a = {
		.size = sizeof(a), .network = "n", .container_id = "c", .timeout_ms = -1
	};
	struct cnic_result *result = NULL;
	_cleanup_free_ char *path = strf("%s/n-c-eth0", net->o.cache_dir);
	char **ids = NULL;

	if (write_file(path, 0600, data, size, 0))
		abort();
	if (cnic_cached_containers(net, &ids, NULL) == 0)
		cnic_strv_free(ids);
	cnic_cached_each(net, NULL, see, NULL, NULL);
	cnic_gc(net, "n", NULL, -1, NULL); /* takes it away when it is a record of that network */
	if (write_file(path, 0600, data, size, 0))
		abort();
	if (cnic_cached(net, &a, &result, NULL) == 0)
		cnic_result_free(result);
	a.netns = "/n";
	cnic_check(net, &a, NULL);
	a.network = NULL;
	cnic_detach(net, &a, NULL);
	a.network = "n";
	if (cnic_forget(net, &a, NULL))
		abort();
	return 0;
}
