/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugins that distributions ship, in a network and mount namespace of this program's own: bridges
 * and rules cannot reach the machine's. Needs root and the plugins; else it is skipped and says why.
 */
#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include "unit.h"

#define PLUGINS "/usr/lib/cni"
#define SUBNET "10.231.7."

static struct cnic *c;
static struct cnic_error err;
static struct cnic_attachment a;

static int sh(const char *format, ...) PRINTF_LIKE(1, 2);

static int sh(const char *format, ...)
{
	char command[512];
	va_list ap;
	int status;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* conf/10.conflist: these plugins, a comma-separated list of objects. */
static void configure(const char *version, const char *plugins)
{
	char *text = strf("{\"cniVersion\":\"%s\",\"name\":\"real\",\"plugins\":[%s]}", version,
			  plugins);

	put("conf/10.conflist", text);
	free(text);
	ck_assert_msg(cnic_reload(c, &err) == 0, "%s", err.message);
}

static char *bridge(const char *more)
{
	return strf("{\"type\":\"bridge\",\"bridge\":\"tcnic0\",\"isGateway\":true%s,\"ipam\":{"
		    "\"type\":\"host-local\","
		    "\"dataDir\":\"%s\",\"ranges\":[[{\"subnet\":\"" SUBNET
		    "0/24\"}]],\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}}",
		    more, at("ipam"));
}

/* Addresses that host-local has given away. */
static size_t leases(void)
{
	DIR *dir = opendir(at("ipam/real"));
	struct dirent *e;
	size_t n = 0;

	while (dir && (e = readdir(dir)))
		n += str_starts(e->d_name, SUBNET);
	if (dir)
		closedir(dir);
	return n;
}

static void setup(void)
{
	struct cnic_options *o = NULL;

	/* each case in a process of its own (CK_FORK), so in namespaces of its own */
	ck_assert_int_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", "/run", "tmpfs", 0, "mode=755"), 0);
	ck_assert_int_eq(sh("ip link set lo up && ip netns add pod"), 0);
	scratch_setup();
	ck_assert_int_eq(cnic_options_new(&o), 0);
	ck_assert_int_eq(cnic_options_set_conf_dir(o, at("conf")), 0);
	ck_assert_int_eq(cnic_options_set_cache_dir(o, at("cache")), 0);
	ck_assert_int_eq(cnic_options_add_plugin_dir(o, PLUGINS), 0);
	ck_assert_int_eq(cnic_options_add_plugin_dir(o, at("bin")), 0);
	ck_assert_int_eq(cnic_new(o, &c), 0);
	cnic_options_free(o);
	a = (struct cnic_attachment){
		.size = sizeof(a),
		.container_id = "c1",
		.netns = "/run/netns/pod",
		.timeout_ms = 30000,
	};
}

static void teardown(void)
{
	c = cnic_free(c);
	scratch_teardown();
}

/* ADD, a look at it from inside and outside, CHECK, DEL, DEL. */
static void live_and_die(const char *address)
{
	struct cnic_result *result = NULL, *cached = NULL;

	ck_assert_msg(cnic_attach(c, &a, &result, &err) == 0, "%s", err.message);
	ck_assert_str_eq(cnic_result_ip(result, 0), address);
	ck_assert_int_eq(
		sh("ip netns exec pod ip -o addr show dev eth0 | grep -q 'inet %s/'", address), 0);
	ck_assert_msg(cnic_check(c, &a, &err) == 0, "%s", err.message);
	ck_assert_int_eq(cnic_cached(c, &a, &cached, &err), 0);
	ck_assert_str_eq(cnic_result_json(cached), cnic_result_json(result));
	ck_assert_uint_eq(leases(), 1);
	ck_assert_msg(cnic_detach(c, &a, &err) == 0, "%s", err.message);
	ck_assert_uint_eq(leases(), 0);
	ck_assert_int_ne(sh("ip netns exec pod ip link show eth0 >/dev/null 2>&1"), 0);
	ck_assert_msg(cnic_detach(c, &a, &err) == 0, "%s", err.message);
	ck_assert(!exists("cache/real-c1-eth0"));
	cnic_result_free(result);
	cnic_result_free(cached);
}

START_TEST(bridge_with_host_local)
{
	char *plugins = bridge("");

	configure("1.0.0", plugins);
	live_and_die(SUBNET "2");
	free(plugins);
}
END_TEST

START_TEST(older_versions_of_the_same)
{
	char *plugins = bridge("");

	configure("0.3.1", plugins);
	ck_assert_msg(cnic_attach(c, &a, NULL, &err) == 0, "%s", err.message);
	ck_assert_int_eq(cnic_check(c, &a, &err), CNIC_E_UNSUPPORTED);
	ck_assert_msg(cnic_detach(c, &a, &err) == 0, "%s", err.message);
	configure("0.4.0", plugins);
	live_and_die(SUBNET "3");
	free(plugins);
}
END_TEST

START_TEST(a_chain_with_masquerade_tuning_portmap_and_firewall)
{
	char *first = bridge(",\"ipMasq\":true"), *plugins;

	plugins = strf(
		"%s,{\"type\":\"tuning\",\"sysctl\":{\"net.ipv4.conf.eth0.arp_announce\":\"2\"}},"
		"{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true},\"snat\":true},"
		"{\"type\":\"firewall\",\"backend\":\"iptables\"}",
		first);
	configure("1.0.0", plugins);
	a.capabilities = "{\"portMappings\":[{\"hostPort\":18080,\"containerPort\":80,\"protocol\":"
			 "\"tcp\"}],\"mac\":1}";
	ck_assert_msg(cnic_attach(c, &a, NULL, &err) == 0, "%s", err.message);
	ck_assert_int_eq(sh("iptables-save | grep -q 'dport 18080'"), 0);
	ck_assert_int_eq(sh("iptables-save | grep -q '" SUBNET "2/32'"), 0);
	/* no CHECK: portmap 1.1 looks for its IPv6 chain also where it made none */
	a.capabilities = NULL; /* DEL knows them from the cache */
	ck_assert_msg(cnic_detach(c, &a, &err) == 0, "%s", err.message);
	ck_assert_int_ne(sh("iptables-save | grep -q 18080"), 0);
	ck_assert_int_ne(sh("iptables-save | grep -q '" SUBNET "2'"), 0);
	ck_assert_uint_eq(leases(), 0);
	free(first);
	free(plugins);
}
END_TEST

START_TEST(check_of_a_chain_sees_what_is_gone)
{
	char *first = bridge(""), *plugins;

	plugins = strf("%s,{\"type\":\"firewall\",\"backend\":\"iptables\"}", first);
	configure("1.0.0", plugins);
	ck_assert_msg(cnic_attach(c, &a, NULL, &err) == 0, "%s", err.message);
	ck_assert_msg(cnic_check(c, &a, &err) == 0, "%s", err.message);
	ck_assert_int_eq(sh("ip netns exec pod ip addr flush dev eth0"), 0);
	ck_assert_int_eq(cnic_check(c, &a, &err), CNIC_E_PLUGIN);
	ck_assert_ptr_nonnull(strstr(err.message, "plugin type=\"bridge\" failed (check): "));
	ck_assert_msg(cnic_detach(c, &a, &err) == 0, "%s", err.message);
	free(first);
	free(plugins);
}
END_TEST

START_TEST(point_to_point_and_loopback)
{
	char *plugins = strf("{\"type\":\"ptp\",\"ipam\":{\"type\":\"host-local\",\"dataDir\":\"%"
			     "s\",\"subnet\":\"" SUBNET "0/24\"}}",
			     at("ipam"));

	configure("1.0.0", plugins);
	live_and_die(SUBNET "2");
	free(plugins);
	configure("1.0.0", "{\"type\":\"loopback\"}");
	a.ifname = "lo";
	ck_assert_msg(cnic_attach(c, &a, NULL, &err) == 0, "%s", err.message);
	ck_assert_int_eq(sh("ip netns exec pod ip -o addr show dev lo | grep -q 127.0.0.1"), 0);
	ck_assert_msg(cnic_detach(c, &a, &err) == 0, "%s", err.message);
}
END_TEST

START_TEST(del_after_the_namespace_has_gone)
{
	char *plugins = bridge("");

	configure("1.0.0", plugins);
	ck_assert_msg(cnic_attach(c, &a, NULL, &err) == 0, "%s", err.message);
	ck_assert_uint_eq(leases(), 1);
	ck_assert_int_eq(sh("ip netns del pod"), 0);
	a.netns = NULL;
	ck_assert_msg(cnic_detach(c, &a, &err) == 0, "%s", err.message);
	ck_assert_uint_eq(leases(), 0);
	ck_assert_msg(cnic_detach(c, &a, &err) == 0, "%s", err.message);
	free(plugins);
}
END_TEST

START_TEST(a_later_plugin_that_fails_releases_the_first_ones_address)
{
	char *first = bridge(""), *plugins;

	put("bin/refuse", "#!/bin/sh\n[ \"$CNI_COMMAND\" = VERSION ] && echo "
			  "'{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"1.0.0\"]}' && exit\n"
			  "[ \"$CNI_COMMAND\" = DEL ] && exit\necho "
			  "'{\"code\":101,\"msg\":\"refused\"}'; exit 1\n");
	plugins = strf("%s,{\"type\":\"firewall\",\"backend\":\"iptables\"},{\"type\":\"refuse\"}",
		       first);
	configure("1.0.0", plugins);
	ck_assert_int_eq(cnic_attach(c, &a, NULL, &err), CNIC_E_PLUGIN);
	ck_assert_uint_eq(err.plugin_code, 101);
	ck_assert_str_eq(
		err.message,
		"network \"real\": plugin type=\"refuse\" failed (add): refused (code 101)");
	ck_assert_uint_eq(leases(), 0);
	ck_assert_int_ne(sh("ip netns exec pod ip link show eth0 >/dev/null 2>&1"), 0);
	ck_assert_int_ne(sh("ip -o link show type veth | grep -q veth"), 0);
	ck_assert_int_ne(sh("iptables-save | grep -q '" SUBNET "'"), 0);
	ck_assert(!exists("cache/real-c1-eth0"));
	free(first);
	free(plugins);
}
END_TEST

START_TEST(a_real_plugins_error_is_told)
{
	char *plugins = bridge("");

	configure("1.0.0", plugins);
	a.netns = "/run/netns/none";
	ck_assert_int_eq(cnic_attach(c, &a, NULL, &err), CNIC_E_PLUGIN);
	ck_assert_uint_ne(err.plugin_code, 0);
	ck_assert_ptr_nonnull(strstr(err.message, "plugin type=\"bridge\" failed (add): "));
	ck_assert_ptr_nonnull(strstr(err.message, "/run/netns/none"));
	ck_assert_uint_eq(leases(), 0);
	free(plugins);
}
END_TEST

static const char *missing(void)
{
	if (geteuid() != 0)
		return "needs root";
	if (access(PLUGINS "/bridge", X_OK) || access(PLUGINS "/host-local", X_OK) ||
	    access(PLUGINS "/firewall", X_OK))
		return "needs the CNI plugins in " PLUGINS;
	if (sh("command -v ip iptables-save >/dev/null"))
		return "needs ip and iptables";
	if (sh("unshare -mn true 2>/dev/null"))
		return "needs the right to make namespaces";
	return NULL;
}

int main(void)
{
	const TTest *all[] = {
		bridge_with_host_local,
		older_versions_of_the_same,
		a_chain_with_masquerade_tuning_portmap_and_firewall,
		check_of_a_chain_sees_what_is_gone,
		point_to_point_and_loopback,
		del_after_the_namespace_has_gone,
		a_later_plugin_that_fails_releases_the_first_ones_address,
		a_real_plugins_error_is_told,
	};
	const char *reason = missing();

	if (reason) {
		puts(reason);
		return 77;
	}
	return run_tests("real", setup, teardown, all, ARRAY_SIZE(all));
}
