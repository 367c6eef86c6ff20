/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results of ADD. A result is read once, whatever its version, into the form of CNI 1.1.0, and
 * written in whatever version the next reader wants. As in libcni only members that the
 * specification knows survive; what a plugin says is checked on the way: addresses are addresses,
 * numbers are numbers, strings carry no NUL.
 *
 * 1.0 and 1.1 share one form (older readers skip the newer members) and leave out a dns without
 * content. 0.3 and 0.4 have smaller interfaces and say "version" with each address. 0.1 and 0.2
 * know one address of each family.
 */
#include <arpa/inet.h>
#include "private.h"

enum kind {
	TEXT,
	NUMBER,	 /* 0 is left out */
	POINTER, /* a number that may be 0 */
	IP,
	CIDR,
	TEXTS,
};

struct field {
	const char *name;
	enum kind kind;
	bool required;
};

/* clang-format off */
static const struct field interface_fields[] = {
	{ "name", TEXT, true }, { "mac", TEXT, false }, { "mtu", NUMBER, false },
	{ "sandbox", TEXT, false }, { "socketPath", TEXT, false }, { "pciID", TEXT, false }, { 0 }
};
static const struct field interface_fields_04[] = {
	{ "name", TEXT, true }, { "mac", TEXT, false }, { "sandbox", TEXT, false }, { 0 }
};
static const struct field ip_fields[] = {
	{ "interface", POINTER, false }, { "address", CIDR, true }, { "gateway", IP, false }, { 0 }
};
static const struct field route_fields[] = {
	{ "dst", CIDR, true }, { "gw", IP, false }, { "mtu", NUMBER, false },
	{ "advmss", NUMBER, false }, { "priority", NUMBER, false }, { "table", POINTER, false },
	{ "scope", POINTER, false }, { 0 }
};
static const struct field dns_fields[] = {
	{ "nameservers", TEXTS, false }, { "domain", TEXT, false }, { "search", TEXTS, false },
	{ "options", TEXTS, false }, { 0 }
};
/* clang-format on */

/* ---- values ---- */

static bool is_v6(const char *address)
{
	return strchr(address, ':') != NULL;
}

/* The address as the kernel would print it. */
static bool normal_ip(const char *s, char out[INET6_ADDRSTRLEN])
{
	unsigned char bytes[16];
	int family = is_v6(s) ? AF_INET6 : AF_INET;

	return inet_pton(family, s, bytes) == 1 && inet_ntop(family, bytes, out, INET6_ADDRSTRLEN);
}

static bool normal_cidr(const char *s, char out[INET6_ADDRSTRLEN + 4])
{
	const char *slash = strchr(s, '/');
	char address[INET6_ADDRSTRLEN];
	long long len;

	if (!slash || (size_t)(slash - s) >= sizeof(address))
		return false;
	memcpy(address, s, (size_t)(slash - s));
	address[slash - s] = 0;
	if (!normal_ip(address, out) || str_to_i64(slash + 1, &len) || len < 0 ||
	    len > (is_v6(out) ? 128 : 32))
		return false;
	snprintf(out + strlen(out), 5, "/%d", (int)len);
	return true;
}

static int put_texts(struct json_doc *doc, struct json *dst, const struct field *f,
		     const struct json *v)
{
	struct json *list;

	if (v->type != JSON_ARRAY)
		return CNIC_E_INVALID;
	json_foreach(e, v)
		if (!json_string(e))
			return CNIC_E_INVALID;
	if (!v->first)
		return 0;
	list = json_set_array(doc, dst, f->name);
	json_foreach(e, v)
		json_append_string(doc, list, e->string);
	return 0;
}

static int put_text(struct json_doc *doc, struct json *dst, const struct field *f, const char *s)
{
	char normal[INET6_ADDRSTRLEN + 4];

	if (!s)
		return CNIC_E_INVALID;
	if (!*s)
		return f->kind == CIDR ? CNIC_E_INVALID : 0;
	if (f->kind == TEXT)
		json_set_string(doc, dst, f->name, s);
	else if (f->kind == IP ? normal_ip(s, normal) : normal_cidr(s, normal))
		json_set_string(doc, dst, f->name, normal);
	else
		return CNIC_E_INVALID;
	return 0;
}

static int put_number(struct json_doc *doc, struct json *dst, const struct field *f,
		      const struct json *v)
{
	int64_t n;

	if (json_int(v, &n) || n < INT32_MIN || n > UINT32_MAX) /* tables are unsigned */
		return CNIC_E_INVALID;
	if (f->kind == POINTER || n != 0)
		json_set_int(doc, dst, f->name, n);
	return 0;
}

static int put_field(struct json_doc *doc, struct json *dst, const struct field *f,
		     const struct json *v)
{
	switch (f->kind) {
	case TEXTS:
		return put_texts(doc, dst, f, v);
	case TEXT:
	case IP:
	case CIDR:
		return put_text(doc, dst, f, json_string(v));
	case NUMBER:
	case POINTER:
		return put_number(doc, dst, f, v);
	}
	return CNIC_E_INVALID;
}

/* Copies the fields of an object into dst; what it has beyond them stays behind. */
static int copy_fields(struct json_doc *doc, struct json *dst, const struct json *src,
		       const struct field *fields, const char *what, struct cnic_error *err)
{
	if (!src || src->type != JSON_OBJECT)
		return err_set(err, CNIC_E_INVALID, "result: %s is not an object", what);
	for (const struct field *f = fields; f->name; f++) {
		const struct json *v = json_get(src, f->name);
		bool absent = !v || v->type == JSON_NULL;

		if (absent && !f->required)
			continue;
		if (absent || put_field(doc, dst, f, v))
			return err_set(err, CNIC_E_INVALID, "result: %s: bad or missing %s", what,
				       f->name);
		if (f->required && !json_get(dst, f->name)) /* a required text that is empty */
			json_set_string(doc, dst, f->name, "");
	}
	return 0;
}

/* ---- reading ---- */

static int copy_list(struct json_doc *doc, struct json *to, const struct json *from,
		     const char *name, const struct field *fields, struct cnic_error *err)
{
	const struct json *v = json_get(from, name);
	struct json *list, *e;
	int r;

	if (!v || v->type == JSON_NULL || (v->type == JSON_ARRAY && !v->first))
		return 0;
	if (v->type != JSON_ARRAY)
		return err_set(err, CNIC_E_INVALID, "result: %s is not a list", name);
	list = json_child_array(doc, to, name);
	json_foreach(item, v) {
		e = json_new_object(doc);
		json_append(doc, list, e);
		r = copy_fields(doc, e, item, fields, name, err);
		if (r)
			return r;
	}
	return 0;
}

static int copy_dns(struct json_doc *doc, struct json *to, const struct json *from,
		    struct cnic_error *err)
{
	const struct json *v = json_get(from, "dns");
	struct json *dns;
	int r;

	if (!v || v->type == JSON_NULL)
		return 0;
	dns = json_set_object(doc, to, "dns");
	r = copy_fields(doc, dns, v, dns_fields, "dns", err);
	if (dns && !dns->first)
		json_remove(to, "dns");
	return r;
}

/* ip4 and ip6 of 0.1 and 0.2: {ip, gateway, routes}. */
static int read_family(struct json_doc *doc, struct json *to, const struct json *v,
		       const char *name, struct cnic_error *err)
{
	static const struct field fields[] = { { "ip", CIDR, true },
					       { "gateway", IP, false },
					       { 0 } };
	struct json *seen = json_new_object(doc), *ip;
	int r;

	if (!v || v->type == JSON_NULL)
		return 0;
	r = copy_fields(doc, seen, v, fields, name, err);
	if (r)
		return r;
	ip = json_new_object(doc);
	json_append(doc, json_child_array(doc, to, "ips"), ip);
	if (json_get_string(seen, "ip"))
		json_set_string(doc, ip, "address", json_get_string(seen, "ip"));
	if (json_get_string(seen, "gateway"))
		json_set_string(doc, ip, "gateway", json_get_string(seen, "gateway"));
	return copy_list(doc, to, v, "routes", route_fields, err);
}

static int read_lists(struct json_doc *doc, struct json *to, const struct json *v,
		      const char *version, struct cnic_error *err)
{
	int r;

	r = copy_list(doc, to, v, "interfaces",
		      version_at_least(version, "1.0.0") ? interface_fields : interface_fields_04, err);
	if (r == 0)
		r = copy_list(doc, to, v, "ips", ip_fields, err);
	if (r == 0)
		r = copy_list(doc, to, v, "routes", route_fields, err);
	return r;
}

static int read_families(struct json_doc *doc, struct json *to, const struct json *v,
			 struct cnic_error *err)
{
	struct json *ips = json_set_array(doc, to, "ips"); /* before the routes, as everywhere */
	int r;

	r = read_family(doc, to, json_get(v, "ip4"), "ip4", err);
	if (r == 0)
		r = read_family(doc, to, json_get(v, "ip6"), "ip6", err);
	if (r == 0 && ips && !ips->first)
		json_remove(to, "ips");
	return r;
}

static int result_version(const struct json *v, const char *config_version, const char **ret,
			  struct cnic_error *err)
{
	const struct json *version = json_get(v, "cniVersion");
	const char *s = json_string(version);

	if (!version || version->type == JSON_NULL || (s && !*s))
		s = config_version;
	if (!s || !version_known(s))
		return err_set(err, CNIC_E_INVALID, "unsupported CNI result version \"%.32s\"",
			       version_valid(s) ? s : "");
	*ret = s;
	return 0;
}

PUBLIC struct cnic_result *cnic_result_free(struct cnic_result *r)
{
	if (!r)
		return NULL;
	json_doc_free(r->doc);
	strv_free(r->ips);
	free(r->text);
	free(r->version);
	free(r);
	return NULL;
}

/* What the accessors hand out. */
static int result_finish(struct cnic_result *r)
{
	_cleanup_str_ struct str text = STR_INIT;
	int e;

	json_foreach(ip, json_get(json_root(r->doc), "ips")) {
		const char *address = json_get_string(ip, "address");

		e = strv_pushf(&r->ips, "%.*s", (int)strcspn(address, "/"), address);
		if (e)
			return e;
	}
	e = json_format(r->doc, json_root(r->doc), JSON_SORT_KEYS, &text);
	if (e)
		return e;
	r->text = str_take(&text, NULL);
	return r->text ? 0 : -ENOMEM;
}

int result_parse(const struct json *v, const char *config_version, struct cnic_result **ret,
		 struct cnic_error *err)
{
	_cleanup_result_ struct cnic_result *result = NULL;
	const char *version = NULL;
	struct json *root;
	int r;

	if (!v || (v->type != JSON_OBJECT && v->type != JSON_NULL))
		return err_set(err, CNIC_E_INVALID, "result is not an object");
	r = result_version(v, config_version, &version, err);
	if (r)
		return r;
	result = calloc(1, sizeof(*result));
	if (!result || !(result->doc = json_doc_new()) || !(result->version = strdup(version)))
		return err_oom(err);
	root = json_root(result->doc);
	json_set_string(result->doc, root, "cniVersion", CNI_VERSION_CURRENT);
	r = version_at_least(version, "0.3.0") ? read_lists(result->doc, root, v, version, err)
					       : read_families(result->doc, root, v, err);
	if (r == 0)
		r = copy_dns(result->doc, root, v, err);
	if (json_failed(result->doc))
		return err_oom(err);
	if (r)
		return r;
	r = result_finish(result);
	if (r)
		return err_sysr(err, r, "keep result");
	*ret = take(result);
	return 0;
}

/* ---- writing ---- */

static void write_04(struct json_doc *doc, struct json *to, const struct json *from)
{
	copy_list(doc, to, from, "interfaces", interface_fields_04, NULL);
	copy_list(doc, to, from, "ips", ip_fields, NULL);
	copy_list(doc, to, from, "routes", route_fields, NULL);
	json_foreach(ip, json_get(to, "ips")) {
		const char *address = json_get_string(ip, "address");

		json_set_string(doc, ip, "version", address && is_v6(address) ? "6" : "4");
	}
}

static const struct json *first_of_family(const struct json *ips, bool v6)
{
	json_foreach(ip, ips)
		if (is_v6(json_get_string(ip, "address")) == v6)
			return ip;
	return NULL;
}

/* whole: with the members of routes that these versions do not know, because they came in one. */
static void write_family(struct json_doc *doc, struct json *to, const struct json *from, bool v6,
			 bool whole)
{
	static const struct field small[] = { { "dst", CIDR, true }, { "gw", IP, false }, { 0 } };
	const struct json *ip = first_of_family(json_get(from, "ips"), v6);
	const char *gateway = json_get_string(ip, "gateway");
	struct json *family, *e;

	if (!ip)
		return;
	family = json_set_object(doc, to, v6 ? "ip6" : "ip4");
	json_set_string(doc, family, "ip", json_get_string(ip, "address"));
	if (gateway)
		json_set_string(doc, family, "gateway", gateway);
	json_foreach(route, json_get(from, "routes")) {
		if (is_v6(json_get_string(route, "dst")) != v6)
			continue;
		e = json_new_object(doc);
		json_append(doc, json_child_array(doc, family, "routes"), e);
		copy_fields(doc, e, route, whole ? route_fields : small, "routes", NULL);
	}
}

struct json *result_as(const struct cnic_result *r, const char *version, struct json_doc *doc)
{
	const struct json *from = json_root(r->doc);
	bool whole = !version_at_least(r->version, "0.3.0");
	struct json *to;

	if (version_at_least(version, "1.0.0")) {
		to = json_copy(doc, from);
		if (to)
			json_set_string(doc, to, "cniVersion", version);
		return json_failed(doc) ? NULL : to;
	}
	to = json_new_object(doc);
	if (!to)
		return NULL;
	json_set_string(doc, to, "cniVersion", version);
	if (version_at_least(version, "0.3.0")) {
		write_04(doc, to, from);
	} else {
		write_family(doc, to, from, false, whole);
		write_family(doc, to, from, true, whole);
	}
	copy_dns(doc, to, from, NULL);
	json_child_object(doc, to, "dns");
	return json_failed(doc) ? NULL : to;
}

/* ---- accessors ---- */

PUBLIC size_t cnic_result_ip_count(const struct cnic_result *r)
{
	return r ? strv_len(r->ips) : 0;
}

PUBLIC const char *cnic_result_ip(const struct cnic_result *r, size_t i)
{
	return i < cnic_result_ip_count(r) ? r->ips[i] : NULL;
}

PUBLIC const char *cnic_result_json(const struct cnic_result *r)
{
	return r ? r->text : NULL;
}
