/* SPDX-License-Identifier: Apache-2.0 */
/* Images: pull, images, rmi. */
#include <unistd.h>
#include "ctl.h"

#define CREDENTIALS_MAX 8192

static const char *opt_creds;

char *image_id(struct ctl *c, const char *image)
{
	CRI(ImageSpec) spec = RUNTIME__V1__IMAGE_SPEC__INIT;
	CRI(ImageStatusRequest) request = RUNTIME__V1__IMAGE_STATUS_REQUEST__INIT;
	_cleanup_reply_ CRI(ImageStatusResponse) *reply = NULL;
	char *id;

	spec.image = pb(image);
	request.image = &spec;
	reply = ctl_ask(c, "ImageStatus", &request.base, CALL_TIMEOUT);
	if (!reply)
		return NULL;
	id = strdup(reply->image ? reply->image->id : "");
	if (!id)
		complain("out of memory");
	return id;
}

/* One line of stdin, so that a password need not stand in the list of processes. */
static char *read_credentials(void)
{
	char *line = calloc(1, CREDENTIALS_MAX);

	if (!line || !fgets(line, CREDENTIALS_MAX, stdin)) {
		complain("no line USER:PASSWORD on standard input");
		free(line);
		return NULL;
	}
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

/* With lines the progress is shown even if there is no terminal. */
static char *pull(struct ctl *c, const char *image, const char *creds, bool lines)
{
	CRI(ImageSpec) spec = RUNTIME__V1__IMAGE_SPEC__INIT;
	CRI(AuthConfig) auth = RUNTIME__V1__AUTH_CONFIG__INIT;
	CRI(PullImageRequest) request = RUNTIME__V1__PULL_IMAGE_REQUEST__INIT;
	_cleanup_reply_ CRI(PullImageResponse) *reply = NULL;
	struct crisvc_error err;
	_cleanup_free_ char *text = NULL;
	struct progress *progress;
	char *colon, *id;

	spec.image = pb(image);
	request.image = &spec;
	if (creds) {
		text = streq(creds, "-") ? read_credentials() : strdup(creds);
		colon = text ? strchr(text, ':') : NULL;
		if (!colon) {
			if (text)
				complain("--creds is USER:PASSWORD, or - to read that from stdin");
			return NULL;
		}
		*colon = '\0';
		auth.username = text;
		auth.password = colon + 1;
		request.auth = &auth;
	}
	progress = progress_start(c, image, lines);
	reply = ctl_call(c, "PullImage", &request.base, NO_TIMEOUT, &err);
	progress_stop(progress, reply);
	if (!reply)
		ctl_complain(c, "PullImage", &err);
	id = reply ? strdup(reply->image_ref) : NULL;
	if (reply && !id)
		complain("out of memory");
	return id;
}

char *image_pull(struct ctl *c, const char *image, const char *creds)
{
	return pull(c, image, creds, false);
}

static int run_pull(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	_cleanup_free_ char *id = pull(c, argv[0], opt_creds, true);
	_cleanup_json_ struct json_doc *doc = NULL;

	if (!id)
		return EXIT_FAILURE;
	if (c->json) {
		doc = json_doc_new();
		if (doc)
			json_set_string(doc, json_root(doc), "imageRef", id);
		return json_print(doc);
	}
	puts(id);
	return EXIT_SUCCESS;
}

static const struct opt pull_options[] = {
	{ 0, "creds", OPT_STRING, &opt_creds, "USER:PASSWORD",
	  "for the registry; - reads it from standard input" },
	{ 0 },
};

const struct command cmd_pull = {
	"pull",
	"IMAGE",
	"fetch an image from its registry, and print its id",
	"How far each layer is shows on standard error, if the server is crid; not with --quiet\n"
	"or --json.",
	pull_options,
	false,
	1,
	1,
	run_pull,
};

/* The last ':' behind the last '/' begins the tag. */
static void add_name(struct table *t, const char *name)
{
	const char *slash = strrchr(name, '/'), *colon = strrchr(slash ? slash : name, ':');

	table_addf(t, "%.*s", (int)(colon ? colon - name : (ptrdiff_t)strlen(name)), name);
	table_add(t, colon ? colon + 1 : "<none>");
}

/* name@sha256:..., for an image without tag */
static void add_digest_name(struct table *t, const CRI(Image) * image)
{
	const char *name = image->n_repo_digests ? image->repo_digests[0] : "<none>";

	table_addf(t, "%.*s", (int)strcspn(name, "@"), name);
	table_add(t, "<none>");
}

static void add_image(struct table *t, const CRI(Image) * image)
{
	_cleanup_str_ struct str size = STR_INIT;
	char id[14];
	size_t i = 0;

	text_size(image->size, &size);
	do {
		if (image->n_repo_tags)
			add_name(t, image->repo_tags[i]);
		else
			add_digest_name(t, image);
		table_add(t, text_short_id(image->id, id));
		table_add(t, size.data ? size.data : "");
		table_add(t, image->pinned ? "pinned" : "");
	} while (++i < image->n_repo_tags);
}

static int run_images(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	static const char *const header[] = { "IMAGE", "TAG", "IMAGE ID", "SIZE", "" };
	CRI(ImageSpec) spec = RUNTIME__V1__IMAGE_SPEC__INIT;
	CRI(ImageFilter) filter = RUNTIME__V1__IMAGE_FILTER__INIT;
	CRI(ListImagesRequest) request = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;
	_cleanup_reply_ CRI(ListImagesResponse) *reply = NULL;
	struct table t;
	size_t i;

	if (argc) {
		spec.image = argv[0];
		filter.image = &spec;
		request.filter = &filter;
	}
	reply = ctl_ask(c, "ListImages", &request.base, CALL_TIMEOUT);
	if (!reply)
		return EXIT_FAILURE;
	if (c->json)
		return message_print(reply, 0);
	if (c->quiet) {
		for (i = 0; i < reply->n_images; i++)
			puts(reply->images[i]->id);
		return EXIT_SUCCESS;
	}
	table_init(&t, ARRAY_SIZE(header), header);
	for (i = 0; i < reply->n_images; i++)
		add_image(&t, reply->images[i]);
	return table_print(&t, stdout);
}

const struct command cmd_images = {
	"images", "[IMAGE]", "list images", NULL, NULL, false, 0, 1, run_images,
};

static int run_rmi(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	int i, r = EXIT_SUCCESS;

	for (i = 0; i < argc; i++) {
		CRI(ImageSpec) spec = RUNTIME__V1__IMAGE_SPEC__INIT;
		CRI(RemoveImageRequest) request = RUNTIME__V1__REMOVE_IMAGE_REQUEST__INIT;
		_cleanup_free_ char *id = image_id(c, argv[i]);

		if (id && !*id)
			complain("there is no image \"%s\"; `crid-ctl images` lists them", argv[i]);
		spec.image = argv[i];
		request.image = &spec;
		if (!id || !*id || ctl_tell(c, "RemoveImage", &request.base, CALL_TIMEOUT))
			r = EXIT_FAILURE;
		else if (!c->quiet)
			puts(argv[i]);
	}
	return r;
}

const struct command cmd_rmi = {
	"rmi", "IMAGE...", "remove images: a name only loses its meaning, an id is deleted",
	NULL,  NULL,	   false,
	1,     -1,	   run_rmi,
};
