/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module with PCRE2: the expressions of hook files, which are Go's (RE2). Both syntaxes agree on
 * what people write; what only PCRE2 knows (looking around, references back, possessive repeats,
 * verbs) is refused, as Go refuses it. Matching may backtrack here, so its steps and its memory are
 * limited.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "../module.h"

#define MATCH_STEPS_MAX 1000000
#define MATCH_HEAP_KIB_MAX 4096
#define PATTERN_MAX 65536

struct regex {
	pcre2_code *code;
};

/* Behind "(": "(?:", "(?P<name>" and flags as "(?is-U:" are common to both. */
static bool group_known(const char *p)
{
	if (*p == '*')
		return false;
	if (*p != '?')
		return true;
	p++;
	if (*p == 'P')
		return p[1] == '<';
	if (*p == '<')
		return p[1] && p[1] != '=' && p[1] != '!';
	p += strspn(p, "imsU-");
	return *p == ':' || *p == ')';
}

static bool escape_known(char c)
{
	return !strchr("123456789EGHKLNRVXZeghklou", c);
}

/* Skips a class "[...]"; the "]" right after its start is an ordinary character. */
static const char *class_end(const char *p)
{
	p += 1 + (p[1] == '^');
	if (*p == ']')
		p++;
	for (; *p && *p != ']'; p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (*p == '[' && p[1] == ':' && strstr(p + 2, ":]"))
			p = strstr(p + 2, ":]") + 1;
	}
	return p;
}

static bool is_repeat(const char *p, const char *start)
{
	return *p == '*' || *p == '+' || *p == '?' ||
	       (*p == '}' && p > start && strchr("0123456789,", p[-1]));
}

/* Is this Go's syntax as well? */
static bool is_common(const char *pattern)
{
	for (const char *p = pattern; *p; p++) {
		if (*p == '\\') {
			if (p[1] == 'Q') {
				const char *end = strstr(p + 2, "\\E");

				if (!end)
					return true;
				p = end + 1;
				continue;
			}
			if (!p[1] || !escape_known(p[1]))
				return false;
			p++;
		} else if (*p == '[') {
			p = class_end(p);
			if (!*p)
				return false;
		} else if (*p == '(' && !group_known(p + 1)) {
			return false;
		} else if (is_repeat(p, pattern) &&
			   (p[1] == '+' || p[1] == '*' || (p[1] == '?' && is_repeat(p + 2, pattern)))) {
			return false;
		}
	}
	return true;
}

static int compile(const char *pattern, struct regex **ret, struct ocispec_error *err)
{
	const uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
	_cleanup_free_ struct regex *re = calloc(1, sizeof(*re));
	pcre2_compile_context *c;
	PCRE2_SIZE at = 0;
	PCRE2_UCHAR text[256];
	int code;

	if (!re)
		return err_oom(err);
	if (strlen(pattern) > PATTERN_MAX)
		return err_set(err, OCISPEC_E_LIMIT, "expression is longer than %d bytes", PATTERN_MAX);
	if (!is_common(pattern))
		return err_set(err, OCISPEC_E_INVALID, "expression is not in Go's syntax");
	c = pcre2_compile_context_create(NULL);
	if (!c)
		return err_oom(err);
	pcre2_set_newline(c, PCRE2_NEWLINE_LF);
	re->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &code, &at, c);
	pcre2_compile_context_free(c);
	if (!re->code) {
		pcre2_get_error_message(code, text, sizeof(text));
		return err_set(err, OCISPEC_E_INVALID, "expression at %zu: %s", (size_t)at, (char *)text);
	}
	*ret = take(re);
	return 0;
}

static int match(const struct regex *re, const char *text)
{
	pcre2_match_data *data = pcre2_match_data_create_from_pattern(re->code, NULL);
	pcre2_match_context *c = pcre2_match_context_create(NULL);
	int r = PCRE2_ERROR_NOMEMORY;

	if (data && c) {
		pcre2_set_match_limit(c, MATCH_STEPS_MAX);
		pcre2_set_heap_limit(c, MATCH_HEAP_KIB_MAX);
		r = pcre2_match(re->code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, c);
	}
	pcre2_match_data_free(data);
	pcre2_match_context_free(c);
	if (r >= 0)
		return 1;
	return r == PCRE2_ERROR_NOMATCH ? 0 : r == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -EINVAL;
}

static void free_regex(struct regex *re)
{
	if (re)
		pcre2_code_free(re->code);
	free(re);
}

PUBLIC extern const struct regex_module ocispec_regex_module;
const struct regex_module ocispec_regex_module = { MODULE_ABI, compile, match, free_regex };
