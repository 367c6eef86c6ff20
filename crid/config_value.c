/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From text (a flag, a variable, a default) or a TOML value to the member of a struct that a row of
 * the table describes. Nothing is changed when it fails.
 */
#include <ctype.h>
#include "config_table.h"
#include "errors.h"

int set_string(char **p, const char *text, const char *where, struct cb_error *err)
{
	char *copy;

	if (!utf8_valid(text, strlen(text)))
		return err_set(err, E_INVALID, "%s: is not valid UTF-8", where);
	copy = strdup(text);
	if (!copy)
		return err_oom(err);
	free(*p);
	*p = copy;
	return 0;
}

static int set_list(char ***p, char *const *items, bool append, const char *where,
		    struct cb_error *err)
{
	_cleanup_strv_ char **v = strv_copy(append ? *p : NULL);

	if (!v)
		return err_oom(err);
	for (; items && *items; items++) {
		if (!utf8_valid(*items, strlen(*items)))
			return err_set(err, E_INVALID, "%s: is not valid UTF-8", where);
		if (strv_push(&v, *items))
			return err_oom(err);
	}
	strv_free(*p);
	*p = take(v);
	return 0;
}

/* As Go's strconv.ParseBool, which CRI-O uses. */
static int set_bool(bool *p, const char *text, const char *where, struct cb_error *err)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False", "" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(yes); i++) {
		if (streq(text, yes[i])) {
			*p = true;
			return 0;
		}
	}
	for (i = 0; i < ARRAY_SIZE(no); i++) {
		if (streq(text, no[i])) {
			*p = false;
			return 0;
		}
	}
	return err_set(err, E_INVALID, "%s: \"%s\" is neither true nor false", where, text);
}

static int set_int(int64_t *p, const char *text, const char *where, struct cb_error *err)
{
	long long v;
	int r = str_to_i64(text, &v);

	if (r == -ERANGE)
		return err_set(err, E_INVALID, "%s: %s is out of range", where, text);
	if (r)
		return err_set(err, E_INVALID, "%s: \"%s\" is not an integer", where, text);
	*p = v;
	return 0;
}

/* Bytes with an optional binary unit: "500", "500k", "12MiB", "1 GB". */
static int set_size(int64_t *p, const char *text, const char *where, struct cb_error *err)
{
	static const char units[] = "bkmgt";
	size_t digits = strspn(text, "0123456789"), shift = 0;
	_cleanup_free_ char *number = strndup(text, digits);
	const char *unit = text + digits + strspn(text + digits, " "), *u;
	int64_t v;
	int r;

	if (!number)
		return err_oom(err);
	if (*unit) {
		u = strchr(units, tolower((unsigned char)*unit));
		if (!u || (unit[1] && (u == units ||
				       (strcasecmp(unit + 1, "b") && strcasecmp(unit + 1, "ib")))))
			digits = 0;
		else
			shift = 10 * (size_t)(u - units);
	}
	if (!digits)
		return err_set(err, E_INVALID, "%s: \"%s\" is not a size like 12MiB", where, text);
	r = set_int(&v, number, where, err);
	if (!r && __builtin_mul_overflow(v, (int64_t)1 << shift, &v))
		r = err_set(err, E_INVALID, "%s: %s is out of range", where, text);
	if (!r)
		*p = v;
	return r;
}

int option_set_text(const struct option *o, void *object, const char *text, bool append,
		    const char *where, struct cb_error *err)
{
	_cleanup_strv_ char **items = NULL;
	void *p = option_value(o, object);

	switch (o->type) {
	case OPTION_STRING:
		return set_string(p, text, where, err);
	case OPTION_BOOL:
		return set_bool(p, text, where, err);
	case OPTION_INT:
		return set_int(p, text, where, err);
	case OPTION_SIZE:
		return set_size(p, text, where, err);
	case OPTION_LIST:
		if (strv_split(text, ',', &items))
			return err_oom(err);
		return set_list(p, items, append, where, err);
	case OPTION_RUNTIMES:
		break;
	}
	return -EINVAL;
}

int wrong_type(const char *where, const char *wanted, const struct json *v, struct cb_error *err)
{
	static const char *const names[] = {
		[JSON_NULL] = "nothing",    [JSON_BOOL] = "a boolean", [JSON_NUMBER] = "a number",
		[JSON_STRING] = "a string", [JSON_ARRAY] = "a list",   [JSON_OBJECT] = "a table",
	};

	return err_set(err, E_INVALID, "%s: must be %s, not %s", where, wanted, names[v->type]);
}

static int set_json_list(const struct option *o, void *object, const struct json *v,
			 const char *where, struct cb_error *err)
{
	_cleanup_strv_ char **items = NULL;

	if (v->type != JSON_ARRAY)
		return wrong_type(where, "a list of strings", v, err);
	json_foreach(item, v)
		if (!json_string(item))
			return wrong_type(where, "a list of strings", item, err);
	if (json_strv(v, &items))
		return err_oom(err);
	return set_list(option_value(o, object), items, false, where, err);
}

int option_set_json(const struct option *o, void *object, const struct json *v, const char *where,
		    struct cb_error *err)
{
	switch (o->type) {
	case OPTION_LIST:
		return set_json_list(o, object, v, where, err);
	case OPTION_BOOL:
		if (v->type != JSON_BOOL)
			return wrong_type(where, "true or false", v, err);
		*(bool *)option_value(o, object) = v->boolean;
		return 0;
	case OPTION_INT:
		if (v->type != JSON_NUMBER)
			return wrong_type(where, "an integer", v, err);
		return option_set_text(o, object, v->string, false, where, err);
	case OPTION_SIZE:
	case OPTION_STRING:
		if (!json_string(v))
			return wrong_type(where, "a string", v, err);
		return option_set_text(o, object, json_string(v), false, where, err);
	case OPTION_RUNTIMES:
		break;
	}
	return -EINVAL;
}

void options_done(const struct option *table, size_t n, void *object)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (table[i].type == OPTION_STRING)
			free(*(char **)option_value(&table[i], object));
		else if (table[i].type == OPTION_LIST)
			strv_free(*(char ***)option_value(&table[i], object));
	}
}

int options_default(const struct option *table, size_t n, void *object, struct cb_error *err)
{
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		if (table[i].type == OPTION_RUNTIMES)
			continue;
		r = option_set_text(&table[i], object, table[i].fallback, false, table[i].key, err);
		if (r)
			return r;
	}
	return 0;
}
