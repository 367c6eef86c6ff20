/* SPDX-License-Identifier: Apache-2.0 */
/* See table.h. Elements are compared as nft spells them: with -n it prints what it was given. */
#include <arpa/inet.h>
#include <stdio.h>
#include <cbase/digest.h>
#include <cbase/io.h>
#include "table.h"

void table_init(struct table *t, struct arena *arena, bool six)
{
	*t = (struct table){ .arena = arena, .six = six };
}

void table_done(struct table *t)
{
	strv_free(t->localnet);
}

static struct element *add(struct table *t, struct element **list, const char *set)
{
	struct element *e = arena_alloc(t->arena, sizeof(*e));

	if (!e)
		return NULL;
	*e = (struct element){ .next = *list, .set = set, .key = "", .value = "", .comment = "" };
	*list = e;
	return e;
}

/* ---- what is there ---- */

/* {"concat": [6, 8080]} -> "6 . 8080" */
static const char *concat_text(struct table *t, const struct json *v)
{
	_cleanup_str_ struct str s = STR_INIT;

	json_foreach(one, json_get(v, "concat")) {
		if (!one->string)
			return NULL;
		str_append(&s, s.len ? " . " : "");
		str_append(&s, one->string);
	}
	return s.failed || !s.len ? NULL : arena_strdup(t->arena, s.data);
}

/* The protocol and port at the end of a key. */
static void find_port(struct element *e)
{
	const char *dot = strrchr(e->key, '.'), *from;

	for (from = dot; from > e->key && from[-1] != '.'; from--)
		;
	if (!dot || sscanf(from, " %d . %d", &e->proto, &e->port) != 2)
		e->proto = e->port = 0;
}

static int read_element(struct table *t, const char *set, const struct json *v)
{
	const struct json *key = v->type == JSON_ARRAY ? v->first : v, *value = v->type == JSON_ARRAY ? v->last : NULL;
	const struct json *wrapped = json_get(key, "elem");
	const char *comment = json_get_string(wrapped, "comment");
	struct element *e = add(t, &t->there, set);

	if (!e)
		return -ENOMEM;
	e->key = concat_text(t, wrapped ? json_get(wrapped, "val") : key);
	e->value = value ? concat_text(t, value) : "";
	e->comment = comment ? arena_strdup(t->arena, comment) : "";
	if (!e->key || !e->value || !e->comment)
		return arena_failed(t->arena) ? -ENOMEM : -EINVAL;
	if (value)
		find_port(e);
	return 0;
}

static int read_set(struct table *t, const struct json *set)
{
	static const char *const known[] = { "hostports", "hostipports", "hairpins" };
	const char *name = json_get_string(set, "name");
	size_t i;
	int r = 0;

	if (!name)
		return -EINVAL;
	if (streq(name, "localnet"))
		return json_strv(json_get(set, "elem"), &t->localnet);
	for (i = 0; i < ARRAY_SIZE(known) && !streq(name, known[i]); i++)
		;
	if (i == ARRAY_SIZE(known))
		return 0;
	json_foreach(one, json_get(set, "elem")) {
		r = read_element(t, known[i], one);
		if (r)
			break;
	}
	return r;
}

int table_read(struct table *t, const char *text, size_t n)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *set;
	int r = json_parse(text, n, 0, &doc, NULL);

	if (r)
		return r;
	t->exists = true;
	json_foreach(one, json_get(json_root(doc), "nftables")) {
		set = json_get(one, "map");
		if (!set)
			set = json_get(one, "set");
		r = set ? read_set(t, set) : 0;
		if (r)
			break;
	}
	return r;
}

/* ---- what should be there ---- */

void table_comment(const char *id, char out[COMMENT_LEN + 1])
{
	static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	char digest[DIGEST_STR_MAX];
	const char *hex;
	unsigned bits = 0, n = 0, i;

	digest_sha256(id, strlen(id), digest);
	hex = digest_hex(digest);
	for (i = 0; i < COMMENT_LEN; ) {
		if (n < 5) {
			bits = bits << 4 | (unsigned)(*hex <= '9' ? *hex - '0' : *hex - 'a' + 10);
			hex++;
			n += 4;
			continue;
		}
		n -= 5;
		out[i++] = base32[bits >> n & 31];
	}
	out[i] = '\0';
}

/* As nft prints it: "::0" is "::". false: no address of that family. */
static bool canonical(bool six, const char *text, char out[INET6_ADDRSTRLEN])
{
	unsigned char a[sizeof(struct in6_addr)];
	int family = six ? AF_INET6 : AF_INET;

	return inet_pton(family, text, a) == 1 && inet_ntop(family, a, out, INET6_ADDRSTRLEN);
}

static bool wants(const struct table *t, const char *key)
{
	const struct element *e;

	for (e = t->wanted; e && !streq(e->key, key); e = e->next)
		;
	return e;
}

int table_want(struct table *t, const char *line)
{
	char id[65], ip[64], host[64], pod[INET6_ADDRSTRLEN], at[INET6_ADDRSTRLEN], comment[COMMENT_LEN + 1];
	struct element *e, *pin = NULL;
	const char *hairpin;
	unsigned port, to;
	int proto, end = 0;

	if (sscanf(line, "%64s %63s %d %63s %5u %5u%n", id, ip, &proto, host, &port, &to, &end) != 6 || line[end] || !port || !to ||
	    port > 65535 || to > 65535 || proto <= 0 || proto > 255)
		return -EINVAL;
	if (!canonical(t->six, ip, pod))
		return canonical(!t->six, ip, pod) ? 0 : -EINVAL;
	if (!streq(host, "*") && !canonical(t->six, host, at))
		return -EINVAL;
	table_comment(id, comment);
	e = add(t, &t->wanted, streq(host, "*") ? "hostports" : "hostipports");
	if (!e)
		return -ENOMEM;
	e->key = streq(host, "*") ? arena_printf(t->arena, "%d . %u", proto, port) :
		arena_printf(t->arena, "%s . %d . %u", at, proto, port);
	e->value = arena_printf(t->arena, "%s . %u", pod, to);
	e->comment = arena_strdup(t->arena, comment);
	e->proto = proto;
	e->port = (int)port;
	hairpin = arena_printf(t->arena, "%s . %s", pod, pod);
	if (!arena_failed(t->arena) && !wants(t, hairpin))
		pin = add(t, &t->wanted, "hairpins");
	if (pin) {
		pin->key = hairpin;
		pin->comment = e->comment;
	}
	return arena_failed(t->arena) ? -ENOMEM : 0;
}

/* ---- the difference ---- */

int table_compare(struct table *t, char *const *comments, const struct element **ret_taken)
{
	struct element *e, *w;

	for (e = t->there; e; e = e->next) {
		for (w = t->wanted; w; w = w->next)
			if (streq(e->set, w->set) && streq(e->key, w->key))
				break;
		if (w && streq(e->value, w->value) && streq(e->comment, w->comment)) {
			e->kept = w->kept = true;
		} else if (comments && !strv_has(comments, e->comment)) {
			if (w) {
				*ret_taken = e;
				return -EEXIST;
			}
			e->kept = true;
		}
	}
	return 0;
}

static bool all_kept(const struct element *e)
{
	for (; e && e->kept; e = e->next)
		;
	return !e;
}

bool table_changes(const struct table *t)
{
	return !all_kept(t->there) || !all_kept(t->wanted);
}

bool table_empty(const struct table *t)
{
	const struct element *e;

	for (e = t->there; e && !e->kept; e = e->next)
		;
	return !e && !t->wanted;
}

/*
 * Adding what is there already changes nothing; chains are emptied and filled again. th is the header of
 * TCP, UDP and SCTP alike. The host's own connections come through output. From ::1 nothing can leave
 * the host, whatever is translated, so it is left alone.
 */
static void append_base(const struct table *t, struct str *out)
{
	const char *ip = t->six ? "ip6" : "ip", *type = t->six ? "ipv6_addr" : "ipv4_addr";
	const char *local = t->six ? "ip6 daddr != ::1 fib daddr type local" : "fib daddr type local";
	static const struct {
		const char *name, *hook;
	} chains[] = {
		{ "hostports", "" },
		{ "prerouting", " { type nat hook prerouting priority -100; }" },
		{ "output", " { type nat hook output priority -100; }" },
		{ "masquerading", " { type nat hook postrouting priority 100; }" },
		{ "guard", " { type filter hook prerouting priority -300; }" },
	};

	str_appendf(out, "add table %s " TABLE " { comment \"HostPort rules created by CRI-O\"; }\n", ip);
	str_appendf(out, "add map %s " TABLE " hostports { type inet_proto . inet_service : %s . inet_service; "
		    "comment \"hostports on all local IPs (protocol . hostPort -> podIP . podPort)\"; }\n", ip, type);
	str_appendf(out, "add map %s " TABLE " hostipports { type %s . inet_proto . inet_service : %s . inet_service; "
		    "comment \"hostports on specific IPs (hostIP . protocol . hostPort -> podIP . podPort)\"; }\n", ip, type, type);
	str_appendf(out, "add set %s " TABLE " hairpins { type %s . %s; comment \"hostport hairpin connections\"; }\n", ip, type, type);
	for (size_t i = 0; i < ARRAY_SIZE(chains) - t->six; i++)
		str_appendf(out, "add chain %s " TABLE " %s%s\nflush chain %s " TABLE " %s\n", ip, chains[i].name, chains[i].hook, ip,
			    chains[i].name);
	str_appendf(out, "add rule %s " TABLE " hostports dnat %s addr . port to %s daddr . meta l4proto . th dport map @hostipports\n",
		    ip, ip, ip);
	str_appendf(out, "add rule %s " TABLE " hostports dnat %s addr . port to meta l4proto . th dport map @hostports\n", ip, ip);
	str_appendf(out, "add rule %s " TABLE " prerouting %s goto hostports\n", ip, local);
	str_appendf(out, "add rule %s " TABLE " output %s goto hostports\n", ip, local);
	str_appendf(out, "add rule %s " TABLE " masquerading ct status & (dnat|snat) == dnat %s saddr . %s daddr @hairpins masquerade\n",
		    ip, ip, ip);
	if (t->six)
		return;
	str_append(out, "add rule ip " TABLE " masquerading ct status & (dnat|snat) == dnat ip saddr 127.0.0.0/8 masquerade\n"
			"add set ip " TABLE " localnet { type ifname; comment \"interfaces with route_localnet\"; }\n"
			"add rule ip " TABLE " guard iifname @localnet ip daddr 127.0.0.0/8 drop\n");
}

static void append_elements(const struct table *t, const struct element *e, const char *verb, struct str *out)
{
	bool comment = streq(verb, "add");

	for (; e; e = e->next) {
		if (e->kept)
			continue;
		str_appendf(out, "%s element %s " TABLE " %s { %s", verb, t->six ? "ip6" : "ip", e->set, e->key);
		if (comment)
			str_appendf(out, " comment \"%s\"%s%s", e->comment, *e->value ? " : " : "", e->value);
		str_append(out, " }\n");
	}
}

void table_script(const struct table *t, char *const *interfaces, struct str *out)
{
	if (table_empty(t)) {
		if (t->exists)
			str_appendf(out, "delete table %s " TABLE "\n", t->six ? "ip6" : "ip");
		return;
	}
	if (t->wanted)
		append_base(t, out);
	append_elements(t, t->there, "delete", out);
	append_elements(t, t->wanted, "add", out);
	for (; interfaces && *interfaces; interfaces++)
		str_appendf(out, "add element ip " TABLE " localnet { \"%s\" }\n", *interfaces);
}
