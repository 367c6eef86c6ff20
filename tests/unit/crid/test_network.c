/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugins' arguments; and a pod's network made and removed by the real bridge and host-local plugins
 * in network namespaces of our own. The latter needs root, the plugins and $CRID_PINNS.
 */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"
#include "namespaces.h"
#include "network_private.h"
#include "reaper.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PLUGINS "/usr/lib/cni"

static struct cb_error error;

static int64_t quantity(const char *text)
{
	int64_t v = 0;
	int r = quantity_parse(text, &v);

	return r ? r - 1000000 : v;
}

START_TEST(quantities_are_those_of_kubernetes)
{
	ck_assert_int_eq(quantity("0"), 0);
	ck_assert_int_eq(quantity("10M"), 10000000);
	ck_assert_int_eq(quantity("1.5Gi"), 1610612736);
	ck_assert_int_eq(quantity("+1k"), 1000);
	ck_assert_int_eq(quantity(".5k"), 500);
	ck_assert_int_eq(quantity("5."), 5);
	ck_assert_int_eq(quantity("1e3"), 1000);
	ck_assert_int_eq(quantity("1E3"), 1000);
	ck_assert_int_eq(quantity("1e+3"), 1000);
	ck_assert_int_eq(quantity("1500e-3"), 2);
	ck_assert_int_eq(quantity("1E"), 1000000000000000000);
	ck_assert_int_eq(quantity("1Ei"), 1152921504606846976);
	ck_assert_int_eq(quantity("100m"), 1);
	ck_assert_int_eq(quantity("1n"), 1);
	ck_assert_int_eq(quantity("-2k"), -2000);
	ck_assert_int_eq(quantity("999999999999999999Ei"), INT64_MAX);
	ck_assert_int_eq(quantity("999999999999999999e18"), INT64_MAX);
}
END_TEST

START_TEST(malformed_quantities_are_refused)
{
	static const char *const bad[] = {
		"",	 ".",	 "-",	 "+",	  "M",	  "10MB", "10 M",
		" 10",	 "10\n", "1..5", "1.5.5", "0x10", "1e",	  "1e99",
		"1e-99", "1e3k", "--1",	 "1Kii",  "1K",	  "1e 3", "1e++3",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(quantity(bad[i]) == -EINVAL - 1000000, "%s", bad[i]);
	ck_assert_int_eq(quantity("1234567890123456789"), -ERANGE - 1000000);
}
END_TEST

static int capabilities(const char *cgroup, char *const *annotations, struct str *out)
{
	struct network_pod p = { .id = ID, .cgroup_parent = cgroup, .annotations = annotations };

	str_reset(out);
	return network_capabilities(&p, out, &error);
}

#define S(text)                                                                                    \
	(char[])                                                                                   \
	{                                                                                          \
		text                                                                               \
	}

START_TEST(capabilities_are_crios)
{
	_cleanup_str_ struct str out = STR_INIT;
	char *const both[] = {
		S("z"),
		S("1"),
		S("kubernetes.io/ingress-bandwidth"),
		S("1M"),
		S("kubernetes.io/egress-bandwidth"),
		S("2M"),
		S("a"),
		S("\"<"),
		NULL,
	};
	char *const none[] = { S("kubernetes.io/ingress-bandwidth"), S("-1"), NULL };
	char *const bad[] = { S("kubernetes.io/egress-bandwidth"), S("fast"), NULL };

	ck_assert_int_eq(capabilities("/kubepods/x", both, &out), 0);
	ck_assert_str_eq(out.data,
			 "{\"bandwidth\":{\"egressBurst\":34359738359,\"egressRate\":2000000,"
			 "\"ingressBurst\":34359738359,"
			 "\"ingressRate\":1000000},\"cgroupPath\":\"/kubepods/"
			 "x\",\"io.kubernetes.cri.pod-annotations\":"
			 "{\"a\":\"\\\"\\u003c\",\"kubernetes.io/egress-bandwidth\":\"2M\","
			 "\"kubernetes.io/ingress-bandwidth\":\"1M\",\"z\":\"1\"}}");
	ck_assert_int_eq(capabilities("", none, &out), 0);
	ck_assert_str_eq(out.data, "{\"io.kubernetes.cri.pod-annotations\":{\"kubernetes.io/"
				   "ingress-bandwidth\":\"-1\"}}");
	ck_assert_int_eq(capabilities("", NULL, &out), 0);
	ck_assert_str_eq(out.data, "{\"io.kubernetes.cri.pod-annotations\":{}}");
	ck_assert_int_eq(capabilities("", bad, &out), E_INVALID);
}
END_TEST

/* ---- with real plugins ---- */

static char dir[64], conf[128], cache[128], leases[128];
static char plugins[] = PLUGINS;
static char *plugin_dirs[] = { plugins, NULL };
static struct config config;
static struct pins pins;
static struct network *network;

#define OK(call)                                                                                   \
	do {                                                                                       \
		int r_ = (call);                                                                   \
                                                                                                   \
		ck_assert_msg(r_ == 0, #call " gave %d: %s", r_, error.message);                   \
	} while (0)

static void lo_up(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(ifr.ifr_name, "lo");
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

static void put_conflist(const char *extra)
{
	_cleanup_free_ char
		*path = strf("%s/10-test.conflist", conf),
		*text = strf(
			"{\"cniVersion\":\"1.0.0\",\"name\":\"testnet\",\"plugins\":[{\"type\":"
			"\"bridge\",\"bridge\":\"crid-t0\","
			"\"isGateway\":true,\"ipam\":{\"type\":\"host-local\",\"dataDir\":\"%s\","
			"\"ranges\":[[{\"subnet\":\"10.87.0.0/24\"}]]}}%s]}",
			leases, extra);

	ck_assert_int_eq(write_file(path, 0644, text, strlen(text), 0), 0);
}

static void setup(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	/* /proc/sys/net and /sys/class/net of our network namespace */
	ck_assert_int_eq(mount("sysfs", "/sys", "sysfs", 0, NULL), 0);
	lo_up();
	strcpy(dir, "/tmp/crid-network-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(conf, sizeof(conf), "%s/conf", dir);
	snprintf(cache, sizeof(cache), "%s/cache", dir);
	snprintf(leases, sizeof(leases), "%s/leases", dir);
	ck_assert_int_eq(mkdir(conf, 0755), 0);
	config = (struct config){
		.namespaces_dir = dir,
		.pinns_path = getenv("CRID_PINNS"),
		.network_dir = conf,
		.plugin_dirs = plugin_dirs,
		.cni_cache_dir = cache,
	};
	reaper_start();
	OK(network_new(&config, &network, &error));
	OK(pins_plan(&config, NULL, &pins, &error));
	OK(pins_make(&config, &pins, false, false, NULL, &error));
}

static void teardown(void)
{
	network_free(network);
	OK(pins_remove(&config, &pins, &error));
	pins_done(&pins);
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, dir), 0);
}

static struct network_pod pod(void)
{
	return (struct network_pod){
		.id = ID,
		.name = "web",
		.namespace = "default",
		.uid = "u-1",
		.netns = pins.net,
		.cgroup_parent = "/kube",
	};
}

static bool leased(const char *address)
{
	_cleanup_free_ char *path = strf("%s/testnet/%s", leases, address);

	return access(path, F_OK) == 0;
}

START_TEST(readiness_follows_the_directory)
{
	ck_assert_int_eq(network_reload(network, &error), E_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(error.message, conf));
	put_conflist("");
	OK(network_reload(network, &error));
	put_conflist(",{\"type\":\"no-such-plugin\"}");
	ck_assert_int_eq(network_reload(network, &error), E_UNAVAILABLE);
}
END_TEST

START_TEST(pod_gets_an_address_and_gives_it_back)
{
	_cleanup_strv_ char **ips = NULL, **read_back = NULL;
	_cleanup_free_ char *result = NULL, *record = NULL,
			    *path = strf("%s/testnet-" ID "-eth0", cache);
	struct network_pod p = pod();
	size_t fds;

	put_conflist("");
	OK(network_reload(network, &error));
	fds = open_fds();
	OK(network_setup(network, &p, &ips, &result, &error));
	ck_assert_uint_eq(strv_len(ips), 1);
	ck_assert_str_eq(ips[0], "10.87.0.2");
	ck_assert(leased("10.87.0.2"));
	ck_assert(str_starts(result, "{\"cniVersion\":\"1.1.0\""));
	ck_assert_ptr_nonnull(strstr(result, "\"10.87.0.2/24\""));
	OK(network_addresses(result, &read_back, &error));
	ck_assert_uint_eq(strv_len(read_back), 1);
	ck_assert_str_eq(read_back[0], "10.87.0.2");
	/* as CRI-O expects to find it */
	ck_assert_int_eq(read_file(path, 65536, &record, NULL), 0);
	ck_assert_ptr_nonnull(
		strstr(record,
		       "\"cniArgs\":[[\"IgnoreUnknown\",\"1\"],[\"K8S_POD_NAMESPACE\",\"default\"],"
		       "[\"K8S_POD_NAME\",\"web\"],[\"K8S_POD_INFRA_CONTAINER_ID\",\"" ID "\"],"
		       "[\"K8S_POD_UID\",\"u-1\"]]"));
	ck_assert_ptr_nonnull(strstr(record, "\"capabilityArgs\":{\"cgroupPath\":\"/kube\","
					     "\"io.kubernetes.cri.pod-annotations\":{}}"));
	OK(network_teardown(network, &p, &error));
	ck_assert(!leased("10.87.0.2"));
	ck_assert_int_eq(access(path, F_OK), -1);
	OK(network_teardown(network, &p, &error));
	ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

START_TEST(addresses_of_a_result)
{
	_cleanup_strv_ char **ips = NULL, **none = NULL;

	OK(network_addresses("{\"ips\":[{\"address\":\"10.1.2.3/24\"},{},{\"address\":\"fd00::2/64\"}]}", &ips, &error));
	ck_assert_uint_eq(strv_len(ips), 2);
	ck_assert_str_eq(ips[0], "10.1.2.3");
	ck_assert_str_eq(ips[1], "fd00::2");
	OK(network_addresses("{\"ips\":\"10.1.2.3\"}", &none, &error));
	ck_assert_uint_eq(strv_len(none), 0);
	ck_assert_int_eq(network_addresses("{", &none, &error), -EINVAL);
}
END_TEST

START_TEST(teardown_without_namespace_gives_the_address_back)
{
	_cleanup_strv_ char **ips = NULL;
	_cleanup_free_ char *result = NULL;
	struct network_pod p = pod();

	put_conflist("");
	OK(network_reload(network, &error));
	OK(network_setup(network, &p, &ips, &result, &error));
	ck_assert(leased("10.87.0.2"));
	OK(pins_remove(&config, &pins, &error));
	OK(network_teardown(network, &p, &error));
	ck_assert(!leased("10.87.0.2"));
	p.netns = NULL;
	OK(network_teardown(network, &p, &error));
}
END_TEST

START_TEST(teardown_without_plugin_is_made_up_for_later)
{
	_cleanup_strv_ char **ips = NULL;
	_cleanup_free_ char *result = NULL;
	struct network_pod p = pod();

	put_conflist("");
	OK(network_reload(network, &error));
	OK(network_setup(network, &p, &ips, &result, &error));
	network_free(network);
	config.plugin_dirs = NULL;
	OK(network_new(&config, &network, &error));
	OK(network_teardown(network, &p, &error));
	ck_assert(network_has_leftovers(network));
	OK(pins_remove(&config, &pins, &error));
	ck_assert(network_collect(network, NULL));	/* the plugin is still away */
	ck_assert(leased("10.87.0.2"));
	network_free(network);
	config.plugin_dirs = plugin_dirs;
	OK(network_new(&config, &network, &error));
	OK(network_reload(network, &error));
	ck_assert(!network_collect(network, NULL));
	ck_assert(!leased("10.87.0.2"));
}
END_TEST

START_TEST(failed_setup_leaves_no_lease)
{
	_cleanup_strv_ char **ips = NULL;
	_cleanup_free_ char *result = NULL;
	struct network_pod p = pod();

	/* the second plugin fails in ADD */
	put_conflist(",{\"type\":\"tuning\",\"sysctl\":{\"net.ipv4.no_such_thing\":\"1\"}}");
	OK(network_reload(network, &error));
	ck_assert_int_eq(network_setup(network, &p, &ips, &result, &error), E_FAILED);
	ck_assert_ptr_nonnull(strstr(error.message, "network of pod default/web: "));
	ck_assert_ptr_nonnull(strstr(error.message, "no_such_thing"));
	ck_assert(!leased("10.87.0.2"));
	OK(network_teardown(network, &p, &error));
}
END_TEST

START_TEST(hostile_names_are_invalid)
{
	static const char *const bad[] = { "x;IP=10.0.0.1", "a=b", "a\nb" };
	_cleanup_strv_ char **ips = NULL;
	_cleanup_free_ char *result = NULL;

	put_conflist("");
	OK(network_reload(network, &error));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct network_pod p = pod();

		p.name = bad[i];
		ck_assert_int_eq(network_setup(network, &p, &ips, &result, &error), E_INVALID);
		p = pod();
		p.uid = bad[i];
		ck_assert_int_eq(network_setup(network, &p, &ips, &result, &error), E_INVALID);
	}
	ck_assert(!leased("10.87.0.2"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("network");
	TCase *t = tcase_create("arguments"), *real = tcase_create("plugins");
	SRunner *run;
	int failed;

	tcase_add_test(t, quantities_are_those_of_kubernetes);
	tcase_add_test(t, malformed_quantities_are_refused);
	tcase_add_test(t, capabilities_are_crios);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(real, setup, teardown);
	tcase_set_timeout(real, 240);
	tcase_add_test(real, readiness_follows_the_directory);
	tcase_add_test(real, addresses_of_a_result);
	tcase_add_test(real, pod_gets_an_address_and_gives_it_back);
	tcase_add_test(real, teardown_without_namespace_gives_the_address_back);
	tcase_add_test(real, teardown_without_plugin_is_made_up_for_later);
	tcase_add_test(real, failed_setup_leaves_no_lease);
	tcase_add_test(real, hostile_names_are_invalid);
	if (getuid() == 0 && getenv("CRID_PINNS") && access(PLUGINS "/bridge", X_OK) == 0 &&
	    access(PLUGINS "/host-local", X_OK) == 0 && access(PLUGINS "/tuning", X_OK) == 0)
		suite_add_tcase(s, real);
	else
		printf("without plugins: needs root, $CRID_PINNS and the plugins in " PLUGINS "\n");
	run = srunner_create(s);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
