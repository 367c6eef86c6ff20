/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody else's program: a directory without a network, then with one and the plugin it names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cnic.h>

static const char conflist[] = "{\"cniVersion\": \"1.0.0\", \"name\": \"outside\", \"plugins\": [{\"type\": \"nothing\"}]}";
static const char plugin[] = "#!/bin/sh\necho '{\"cniVersion\": \"1.0.0\", \"supportedVersions\": [\"1.0.0\"]}'\n";

static int write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	return !f || fputs(text, f) < 0 || fclose(f) || chmod(path, 0755);
}

int main(void)
{
	char dir[] = "/tmp/external-cnic-XXXXXX", conf_path[64], plugin_path[64];
	struct cnic_options *options = NULL;
	struct cnic *networks = NULL;
	struct cnic_error err = { 0 };
	char *name = NULL;
	int status = 0;

	if (!mkdtemp(dir))
		return 1;
	snprintf(conf_path, sizeof(conf_path), "%s/10-x.conflist", dir);
	snprintf(plugin_path, sizeof(plugin_path), "%s/nothing", dir);
	if (cnic_options_new(&options) || cnic_options_set_conf_dir(options, dir) ||
	    cnic_options_add_plugin_dir(options, dir) || cnic_new(options, &networks))
		status = 2;
	else if (cnic_reload(networks, &err) != CNIC_E_NO_NETWORK || !err.message[0])
		status = 3;
	else if (write_file(conf_path, conflist) || write_file(plugin_path, plugin))
		status = 4;
	else if (cnic_reload(networks, &err) || cnic_default_network(networks, &name) || strcmp(name, "outside"))
		status = 5;
	if (status)
		fprintf(stderr, "step %d: %s\n", status, err.message);
	free(name);
	cnic_free(networks);
	cnic_options_free(options);
	unlink(conf_path);
	unlink(plugin_path);
	rmdir(dir);
	if (!status)
		puts("ok");
	return status;
}
