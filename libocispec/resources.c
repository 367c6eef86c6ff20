/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources: what the cgroup of the container gets. Device rules are a list whose order
 * decides; everything else is a value that is there or not.
 */
#include "private.h"

static struct place resources(struct ocispec *s)
{
	return place_child(place_child(place_root(s), "linux"), "resources");
}

static bool access_valid(const char *access)
{
	bool seen[3] = { false };
	static const char letters[] = "rwm";

	if (!*access)
		return false;
	for (; *access; access++) {
		const char *at = strchr(letters, *access);

		if (!at || seen[at - letters])
			return false;
		seen[at - letters] = true;
	}
	return true;
}

PUBLIC int ocispec_add_device_rule(struct ocispec *s, int allow, char type, int64_t major,
				   int64_t minor, const char *access)
{
	struct place rule, p;
	char kind[2] = { type, 0 };

	if (!s || !access)
		return -EINVAL;
	if (!type || !strchr("abc", type) || major < -1 || minor < -1 || !access_valid(access))
		return OCISPEC_E_INVALID;
	p = resources(s);
	rule = place_element(p, "devices");
	place_put(rule, "allow", json_new_bool(s->doc, allow != 0));
	if (type != 'a') /* left out means all, and is how CRI-O writes it */
		place_put_string(rule, "type", kind);
	if (major >= 0)
		place_put_int(rule, "major", major);
	if (minor >= 0)
		place_put_int(rule, "minor", minor);
	place_put_string(rule, "access", access);
	json_append(s->doc, place_array(p, "devices"), rule.obj);
	return place_result(s);
}

PUBLIC int ocispec_clear_device_rules(struct ocispec *s)
{
	if (!s)
		return -EINVAL;
	place_remove(resources(s), "devices");
	return place_result(s);
}

/* Zero leaves the member out. */
static void put_or_remove(struct place p, const char *name, int64_t v)
{
	if (v)
		place_put_int(p, name, v);
	else
		place_remove(p, name);
}

/* An object that a setter left empty is not written at all. */
static void drop_if_empty(struct place parent, const char *name)
{
	const struct json *v = json_get(parent.obj, name);

	if (v && v->count == 0)
		place_remove(parent, name);
}

PUBLIC int ocispec_set_cpu(struct ocispec *s, uint64_t shares, int64_t quota, uint64_t period,
			   const char *cpus, const char *mems)
{
	struct place cpu, p;

	if (!s)
		return -EINVAL;
	if ((cpus && !text_printable(cpus)) || (mems && !text_printable(mems)))
		return OCISPEC_E_INVALID;
	p = resources(s);
	cpu = place_child(p, "cpu");
	place_remove(cpu, "shares");
	place_remove(cpu, "period");
	if (shares)
		place_put_uint(cpu, "shares", shares);
	put_or_remove(cpu, "quota", quota);
	if (period)
		place_put_uint(cpu, "period", period);
	place_put_string(cpu, "cpus", cpus);
	place_put_string(cpu, "mems", mems);
	drop_if_empty(p, "cpu");
	return place_result(s);
}

PUBLIC int ocispec_set_memory(struct ocispec *s, int64_t limit, int64_t swap)
{
	struct place memory, p;

	if (!s)
		return -EINVAL;
	if (limit < -1 || swap < -1)
		return OCISPEC_E_INVALID;
	p = resources(s);
	memory = place_child(p, "memory");
	put_or_remove(memory, "limit", limit);
	put_or_remove(memory, "swap", swap);
	drop_if_empty(p, "memory");
	return place_result(s);
}

PUBLIC int ocispec_set_pids_limit(struct ocispec *s, int64_t limit)
{
	if (!s)
		return -EINVAL;
	if (limit < -1)
		return OCISPEC_E_INVALID;
	place_put_int(place_child(resources(s), "pids"), "limit", limit);
	return place_result(s);
}

/* "2MB", "1GB", "64KB": the names of the hugetlb controller's files. */
static bool page_size_valid(const char *s)
{
	size_t digits = strspn(s, "0123456789");

	return digits > 0 && digits < 16 && s[0] != '0' && s[digits] && strchr("KMG", s[digits]) &&
	       streq(s + digits + 1, "B");
}

PUBLIC int ocispec_add_hugepage_limit(struct ocispec *s, const char *page_size, uint64_t limit)
{
	struct place huge, p;

	if (!s || !page_size)
		return -EINVAL;
	if (!page_size_valid(page_size))
		return OCISPEC_E_INVALID;
	p = resources(s);
	huge = place_element(p, "hugepageLimits");
	place_put_string(huge, "pageSize", page_size);
	place_put_uint(huge, "limit", limit);
	array_upsert(s->doc, place_array(p, "hugepageLimits"), "pageSize", huge.obj);
	return place_result(s);
}

/* A key is the name of a file in the container's own cgroup directory. */
static bool unified_key_valid(const char *key)
{
	return *key && text_printable(key) && !strchr(key, '/') && !streq(key, ".") &&
	       !streq(key, "..");
}

PUBLIC int ocispec_set_unified(struct ocispec *s, const char *key, const char *value)
{
	if (!s || !key || !value)
		return -EINVAL;
	if (!unified_key_valid(key) || !text_valid(value))
		return OCISPEC_E_INVALID;
	place_put(place_child(resources(s), "unified"), key, json_new_string(s->doc, value));
	return place_result(s);
}

PUBLIC int ocispec_get_resource(const struct ocispec *s, const char *path, int64_t *ret)
{
	_cleanup_free_ char *whole = NULL;

	if (!s || !path || !ret)
		return -EINVAL;
	whole = strf("linux.resources.%s", path);
	return whole ? ocispec_get_number(s, whole, ret) : -ENOMEM;
}
