/* SPDX-License-Identifier: Apache-2.0 */
/* ip netns add x; attach NAME /run/netns/x: joins the default network, shows the address, leaves */
#include <stdio.h>
#include <cnic.h>

static int visit(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err)
{
	struct cnic_result *result = NULL;

	if (cnic_reload(c, err) || cnic_attach(c, a, &result, err))
		return 1;
	for (size_t i = 0; i < cnic_result_ip_count(result); i++)
		printf("%s has %s\n", a->container_id, cnic_result_ip(result, i));
	cnic_result_free(result);
	return cnic_detach(c, a, err);
}

int main(int argc, char **argv)
{
	struct cnic_attachment a = { .size = sizeof(a), .timeout_ms = 30000 };
	struct cnic_error err = { 0 };
	struct cnic_options *o = NULL;
	struct cnic *c = NULL;
	int failed;

	if (argc != 3)
		return 2;
	a.container_id = argv[1];
	a.netns = argv[2];
	failed = cnic_options_new(&o) || cnic_options_add_plugin_dir(o, "/opt/cni/bin") ||
		 cnic_options_add_plugin_dir(o, "/usr/lib/cni") || cnic_new(o, &c) ||
		 visit(c, &a, &err);
	if (failed)
		fprintf(stderr, "%s\n", err.message);
	cnic_free(c);
	cnic_options_free(o);
	return failed;
}
