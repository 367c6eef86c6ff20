/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody else's program: a directory without a network, then with one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cnic.h>

static int write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	return !f || fputs(text, f) < 0 || fclose(f);
}

int main(void)
{
	char dir[] = "/tmp/external-cnic-XXXXXX", path[64];
	struct cnic_options *options = NULL;
	struct cnic *networks = NULL;
	struct cnic_error err = { 0 };
	char *name = NULL;
	int status = 0;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/10-x.conflist", dir);
	if (cnic_options_new(&options) || cnic_options_set_conf_dir(options, dir) || cnic_new(options, &networks))
		status = 2;
	else if (cnic_reload(networks, &err) != CNIC_E_NO_NETWORK || !err.message[0])
		status = 3;
	else if (write_file(path, "{\"cniVersion\": \"1.0.0\", \"name\": \"outside\", \"plugins\": [{\"type\": \"bridge\"}]}"))
		status = 4;
	else if (cnic_reload(networks, &err) || cnic_default_network(networks, &name) || strcmp(name, "outside"))
		status = 5;
	if (status)
		fprintf(stderr, "step %d: %s\n", status, err.message);
	free(name);
	cnic_free(networks);
	cnic_options_free(options);
	unlink(path);
	rmdir(dir);
	if (!status)
		puts("ok");
	return status;
}
