/* SPDX-License-Identifier: Apache-2.0 */
/* inspect: the verbose status of a pod, container or image as JSON. */
#include "ctl.h"

static const char *opt_type;

static int inspect_image(struct ctl *c, const char *name, bool *found)
{
	CRI(ImageSpec) spec = RUNTIME__V1__IMAGE_SPEC__INIT;
	CRI(ImageStatusRequest) request = RUNTIME__V1__IMAGE_STATUS_REQUEST__INIT;
	_cleanup_reply_ CRI(ImageStatusResponse) *reply = NULL;

	spec.image = pb(name);
	request.image = &spec;
	request.verbose = true;
	reply = ctl_ask(c, "ImageStatus", &request.base, CALL_TIMEOUT);
	*found = !reply || reply->image;
	if (!reply)
		return EXIT_FAILURE;
	return reply->image ? message_print(reply, MESSAGE_PARSE_INFO) : EXIT_FAILURE;
}

static int inspect_object(struct ctl *c, const struct object *o)
{
	CRI(PodSandboxStatusRequest) pod = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;
	CRI(ContainerStatusRequest) container = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
	_cleanup_reply_ ProtobufCMessage *reply = NULL;

	pod.pod_sandbox_id = container.container_id = o->id;
	pod.verbose = container.verbose = true;
	if (o->kind == OBJECT_POD)
		reply = ctl_ask(c, "PodSandboxStatus", &pod.base, CALL_TIMEOUT);
	else
		reply = ctl_ask(c, "ContainerStatus", &container.base, CALL_TIMEOUT);
	return reply ? message_print(reply, MESSAGE_PARSE_INFO) : EXIT_FAILURE;
}

/* Does text look like a name of an image rather than of a pod? Then the object is not searched
 * first. */
static bool looks_like_image(const char *text)
{
	return strpbrk(text, "/:@") != NULL;
}

static int inspect_one(struct ctl *c, const char *text)
{
	_cleanup_(object_done) struct object o = { 0 };
	bool image_wanted = opt_type && streq(opt_type, "image"), found = false;
	int kinds = OBJECT_POD | OBJECT_CONTAINER, r;

	if (!opt_type || image_wanted) {
		if (image_wanted || looks_like_image(text)) {
			r = inspect_image(c, text, &found);
			if (!found)
				complain("there is no image \"%s\"; `crid-ctl images` lists them",
					 text);
			return r;
		}
	} else if (streq(opt_type, "pod")) {
		kinds = OBJECT_POD;
	} else if (streq(opt_type, "container")) {
		kinds = OBJECT_CONTAINER;
	} else {
		complain("--type is pod, container or image, not \"%s\"", opt_type);
		return EXIT_USAGE;
	}
	return object_find(c, kinds, text, &o) ? EXIT_FAILURE : inspect_object(c, &o);
}

static int run_inspect(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	int i, r = EXIT_SUCCESS;

	for (i = 0; i < argc; i++)
		if (inspect_one(c, argv[i]))
			r = EXIT_FAILURE;
	return r;
}

static const struct opt inspect_options[] = {
	{ 0, "type", OPT_STRING, &opt_type, "pod|container|image", "what the name means" },
	{ 0 },
};

const struct command cmd_inspect = {
	"inspect",
	"POD|CONTAINER|IMAGE...",
	"print all that the server tells about something, as JSON",
	"What has a '/', ':' or '@' is taken for an image; other images need --type image.",
	inspect_options,
	false,
	1,
	-1,
	run_inspect,
};
