/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a configuration that was read again takes effect in a running daemon: the options of
 * CRI-O's list, marked OPTION_RELOAD, and the handlers. The others keep their value.
 */
#include "config_table.h"
#include "errors.h"

static int text_of(const struct option *o, const struct config *c, struct str *out)
{
	option_print(out, o, c);
	return out->failed ? -ENOMEM : 0;
}

static bool same_handlers(const struct config *a, const struct config *b)
{
	_cleanup_str_ struct str x = STR_INIT, y = STR_INIT;
	size_t i, k;

	if (a->n_runtimes != b->n_runtimes)
		return false;
	for (i = 0; i < a->n_runtimes; i++) {
		str_append(&x, a->runtimes[i].name);
		str_append(&y, b->runtimes[i].name);
		for (k = 0; k < handler_n_options; k++) {
			option_print(&x, &handler_options[k], &a->runtimes[i]);
			option_print(&y, &handler_options[k], &b->runtimes[i]);
		}
	}
	return !x.failed && !y.failed && streq(x.data ? x.data : "", y.data ? y.data : "");
}

/* Gives the option in "to" the value it has in "from". */
static int copy_value(const struct option *o, struct config *to, const struct config *from)
{
	void *p = option_value(o, to);
	const void *q = (const char *)from + o->offset;

	switch (o->type) {
	case OPTION_STRING:
		free(*(char **)p);
		*(char **)p = strdup(*(char *const *)q);
		return *(char **)p ? 0 : -ENOMEM;
	case OPTION_LIST:
		strv_free(*(char ***)p);
		*(char ***)p = strv_copy(*(char **const *)q);
		return *(char ***)p ? 0 : -ENOMEM;
	case OPTION_BOOL:
		*(bool *)p = *(const bool *)q;
		return 0;
	case OPTION_INT:
	case OPTION_SIZE:
		*(int64_t *)p = *(const int64_t *)q;
		return 0;
	case OPTION_RUNTIMES:
		return 0;
	}
	return -EINVAL;
}

static int take_option(const struct option *o, const struct config *running, struct config *fresh, char ***changed, char ***kept)
{
	_cleanup_str_ struct str old = STR_INIT, new = STR_INIT;
	int r = text_of(o, running, &old);

	if (!r)
		r = text_of(o, fresh, &new);
	if (r || streq(old.data, new.data))
		return r;
	if (o->hints & OPTION_RELOAD) {
		new.data[strcspn(new.data, "\n")] = '\0';
		return strv_push(changed, new.data);
	}
	r = strv_push(kept, o->key);
	return r ? r : copy_value(o, fresh, running);
}

int config_reload(const struct config *running, struct config *fresh, char ***changed, char ***kept)
{
	size_t i;
	int r = 0;

	for (i = 0; i < config_n_options && !r; i++)
		if (config_options[i].type != OPTION_RUNTIMES)
			r = take_option(&config_options[i], running, fresh, changed, kept);
	if (!r && !same_handlers(running, fresh))
		r = strv_push(changed, "runtimes");
	return r;
}
