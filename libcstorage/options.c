/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store is opened with: setters, and the options of drivers.
 *
 * Keys that change where or how the store keeps its data, and which this library does not implement,
 * are refused when they are set to anything but their default: ignoring them would damage the store
 * that others see. Keys that only tune other programs are ignored.
 */
#include <string.h>
#include "driver.h"
#include "options.h"

#define USAGE_AGE_MAX_MS 3600000

PUBLIC int cstore_options_new(struct cstore_options **ret)
{
	struct cstore_options *o;

	if (!ret)
		return -EINVAL;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	*ret = o;
	return 0;
}

PUBLIC struct cstore_options *cstore_options_free(struct cstore_options *o)
{
	if (!o)
		return NULL;
	free(o->graph_root);
	free(o->run_root);
	free(o->driver);
	free(o->mountopt);
	free(o->image_store);
	strv_free(o->image_stores);
	strv_free(o->driver_priority);
	free(o);
	return NULL;
}

static int set_string(char **field, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

int options_set_path(char **field, const char *path)
{
	size_t n = path ? strlen(path) : 0;
	int r;

	while (n && path[n - 1] == '/')
		n--;
	if (!n || path[0] != '/')
		return -EINVAL;
	r = set_string(field, path);
	if (!r)
		(*field)[n] = '\0';
	return r;
}

PUBLIC int cstore_options_set_graph_root(struct cstore_options *o, const char *path)
{
	return o ? options_set_path(&o->graph_root, path) : -EINVAL;
}

PUBLIC int cstore_options_set_run_root(struct cstore_options *o, const char *path)
{
	return o ? options_set_path(&o->run_root, path) : -EINVAL;
}

PUBLIC int cstore_options_set_driver(struct cstore_options *o, const char *driver)
{
	if (!o || !driver)
		return -EINVAL;
	if (streq(driver, "overlay2"))
		driver = "overlay";
	return driver_find(driver) ? set_string(&o->driver, driver) : -EINVAL;
}

PUBLIC int cstore_options_set_image_store(struct cstore_options *o, const char *path)
{
	return o ? options_set_path(&o->image_store, path) : -EINVAL;
}

PUBLIC int cstore_options_add_image_store(struct cstore_options *o, const char *path)
{
	_cleanup_free_ char *clean = NULL;
	int r;

	if (!o || strv_len(o->image_stores) >= IMAGE_STORES_MAX)
		return -EINVAL;
	r = options_set_path(&clean, path);
	if (r || strv_has(o->image_stores, clean))
		return r;
	return strv_push(&o->image_stores, clean);
}

PUBLIC int cstore_options_set_transient(struct cstore_options *o, int transient)
{
	if (!o)
		return -EINVAL;
	o->transient = transient;
	return 0;
}

PUBLIC int cstore_options_set_no_mounts(struct cstore_options *o, int no_mounts)
{
	if (!o)
		return -EINVAL;
	o->no_mounts = no_mounts;
	return 0;
}

PUBLIC int cstore_options_set_usage_age(struct cstore_options *o, unsigned milliseconds)
{
	if (!o || milliseconds > USAGE_AGE_MAX_MS)
		return -EINVAL;
	o->usage_age_ms = milliseconds;
	return 0;
}

PUBLIC int cstore_options_set_leave_garbage(struct cstore_options *o, int leave_garbage)
{
	if (!o)
		return -EINVAL;
	o->leave_garbage = leave_garbage;
	return 0;
}

/* ---- driver options ---- */

static bool is_default(const char *value)
{
	return !*value || streq(value, "false");
}

static int set_flag(bool *flag, const char *value)
{
	*flag = !is_default(value);
	return 0;
}

static int set_mountopt(struct cstore_options *o, const char *value)
{
	return set_string(&o->mountopt, value);
}

static int set_skip_home(struct cstore_options *o, const char *value)
{
	return set_flag(&o->skip_mount_home, value);
}

static int set_no_volatile(struct cstore_options *o, const char *value)
{
	return set_flag(&o->disable_volatile, value);
}

/* "10G", "512MiB", "1000000": bytes, powers of 1024. */
static int parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "bkmgtp";
	const char *unit = text + strspn(text, "0123456789");
	_cleanup_free_ char *digits = strndup(text, (size_t)(unit - text));
	const char *known = *unit ? strchr(units, *unit | 32) : units;
	long long n;

	if (!digits)
		return -ENOMEM;
	if (!known || str_to_i64(digits, &n))
		return -EINVAL;
	if (*unit)
		unit += unit[1] == 'i' ? 2 : 1;
	if (*unit && (*unit | 32) == 'b')
		unit++;
	if (*unit || __builtin_mul_overflow((uint64_t)n, UINT64_C(1) << (10 * (known - units)), ret))
		return -EINVAL;
	return 0;
}

static int set_size(struct cstore_options *o, const char *value)
{
	return *value ? parse_size(value, &o->size) : 0;
}

static int set_inodes(struct cstore_options *o, const char *value)
{
	return *value ? parse_size(value, &o->inodes) : 0;
}

static int set_force_mask(struct cstore_options *o, const char *value)
{
	char *end;
	unsigned long mask;

	if (streq(value, "shared"))
		value = "755";
	else if (streq(value, "private"))
		value = "700";
	mask = strtoul(value, &end, 8);
	if (*end || mask > 07777)
		return -EINVAL;
	o->force_mask_plus_1 = *value ? (int)mask + 1 : 0;
	return 0;
}

static int add_image_stores(struct cstore_options *o, const char *value)
{
	_cleanup_strv_ char **paths = NULL;
	int r = strv_split(value, ',', &paths);

	for (size_t i = 0; i < strv_len(paths) && !r; i++)
		r = cstore_options_add_image_store(o, paths[i]);
	return r;
}

static int ignore(struct cstore_options *o, const char *value)
{
	return 0;
}

static int refuse(struct cstore_options *o, const char *value)
{
	return is_default(value) ? 0 : -EOPNOTSUPP;
}

/* clang-format off */
static const struct driver_option {
	const char *key;
	int (*set)(struct cstore_options *o, const char *value);
} driver_options[] = {
	{ "mountopt", set_mountopt },
	{ "skip_mount_home", set_skip_home },
	{ "disable-volatile", set_no_volatile },
	{ "size", set_size },
	{ "inodes", set_inodes },
	{ "force_mask", set_force_mask },
	{ "imagestore", add_image_stores },	/* upstream's name of additional stores here */
	{ "additionalimagestores", add_image_stores },
	{ "sync", ignore },		/* layers are always synced before they are recorded */
	{ "override_kernel_check", ignore },
	{ "additionallayerstores", refuse },
	{ "additionallayerstore", refuse },
	{ "mount_program", refuse },
	{ "use_composefs", refuse },
	{ "ignore_chown_errors", refuse },
};
/* clang-format on */

int options_apply(struct cstore_options *o, const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(driver_options); i++)
		if (streq(driver_options[i].key, key))
			return driver_options[i].set(o, value);
	return -EINVAL;
}

PUBLIC int cstore_options_add_driver_option(struct cstore_options *o, const char *key_value)
{
	_cleanup_free_ char *key = NULL;
	const char *equals = key_value ? strchr(key_value, '=') : NULL, *dot;

	if (!o || !equals)
		return -EINVAL;
	key = strndup(key_value, (size_t)(equals - key_value));
	if (!key)
		return -ENOMEM;
	for (char *p = key; *p; p++) /* upstream ignores case here */
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	dot = strchr(key, '.');
	if (dot && dot != key && !str_starts(key, "overlay.") && !str_starts(key, "overlay2.") &&
	    !str_starts(key, "vfs.") && !str_starts(key, "storage."))
		return 0; /* another driver's */
	return options_apply(o, dot ? dot + 1 : key, equals + 1);
}
