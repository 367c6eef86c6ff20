/* SPDX-License-Identifier: Apache-2.0 */
/* A CNI plugin that does nothing but answer: the cost of any plugin without its work. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSIONS "{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"1.0.0\"]}"
#define RESULT                                                                                                        \
	"{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"br0\",\"mac\":\"aa:bb:cc:00:00:01\"},{\"name\":"      \
	"\"veth1234\",\"mac\":\"aa:bb:cc:00:00:02\"},{\"name\":\"eth0\",\"mac\":\"aa:bb:cc:00:00:03\",\"sandbox\":"  \
	"\"/run/netns/x\"}],\"ips\":[{\"interface\":2,\"address\":\"10.88.0.9/16\",\"gateway\":\"10.88.0.1\"},"      \
	"{\"interface\":2,\"address\":\"fd00::9/64\",\"gateway\":\"fd00::1\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\"},"  \
	"{\"dst\":\"::/0\"}],\"dns\":{}}"

int main(void)
{
	const char *command = getenv("CNI_COMMAND");
	const char *text = command && strcmp(command, "VERSION") == 0 ? VERSIONS : RESULT;
	char buf[65536];

	while (read(0, buf, sizeof(buf)) > 0)
		;
	return write(1, text, strlen(text)) < 0;
}
