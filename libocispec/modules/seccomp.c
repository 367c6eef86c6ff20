/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module with libseccomp: linux.seccomp to the program the kernel runs. It asks of the library
 * what crun asks, in the same order, so that a filter made here and one that crun makes itself end
 * every call alike: names the library does not know and rules that do what is done anyway are left
 * out, several conditions on one argument of a rule are alternatives.
 */
#include <ctype.h>
#include <seccomp.h>
#include <sys/mman.h>
#include "../module.h"

#define ARGS_MAX 6

struct word {
	const char *name;
	uint32_t value;
};

static const struct word actions[] = {
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
	{ "SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0) },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0) },
	{ 0 }
};

static const struct word operators[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE }, { "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE }, { "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE }, { "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ }, { 0 }
};

static const struct word *word_find(const struct word *words, const char *name)
{
	for (; name && words->name; words++)
		if (streq(words->name, name))
			return words;
	return NULL;
}

static void releasep(scmp_filter_ctx *c)
{
	if (*c)
		seccomp_release(*c);
}

/* What the library says no to, other than a lack of memory, is the document's fault. */
static int refused(int r, const char *what, struct ocispec_error *err)
{
	if (r == -ENOMEM)
		return err_oom(err);
	return err_set(err, OCISPEC_E_INVALID, "seccomp: %s: %s", what, strerror(-r));
}

static uint32_t architecture(const char *name)
{
	char lower[32];
	size_t n;

	if (!str_starts(name, "SCMP_ARCH_"))
		return 0;
	name += strlen("SCMP_ARCH_");
	for (n = 0; name[n] && n + 1 < sizeof(lower); n++)
		lower[n] = (char)tolower((unsigned char)name[n]);
	lower[n] = 0;
	return name[n] ? 0 : seccomp_arch_resolve_name(lower);
}

static int action(const struct json *o, const char *member, const char *errno_member, uint32_t *ret,
		  struct ocispec_error *err)
{
	const char *name = json_get_string(o, member);
	const struct word *w = word_find(actions, name);
	int64_t number = json_get_int(o, errno_member, EPERM);
	bool numbered;

	if (!w)
		return err_set(err, OCISPEC_E_INVALID, "seccomp: no action \"%s\"", name ? name : "");
	numbered = w->value == SCMP_ACT_ERRNO(0) || w->value == SCMP_ACT_TRACE(0);
	if (number < 0 || number > UINT16_MAX)
		return err_set(err, OCISPEC_E_INVALID, "seccomp: %s is not from 0 to 65535", errno_member);
	*ret = w->value | (numbered ? (uint32_t)number : 0);
	return 0;
}

static int add_architectures(scmp_filter_ctx c, const struct json *list, struct ocispec_error *err)
{
	uint32_t token;
	int r;

	json_foreach(a, list) {
		token = architecture(a->string);
		if (!token)
			return err_set(err, OCISPEC_E_INVALID, "seccomp: no architecture \"%s\"", a->string);
		r = seccomp_arch_add(c, token);
		if (r && r != -EEXIST)
			return refused(r, a->string, err);
	}
	return 0;
}

/* *alternatives: one argument is compared more than once. */
static int read_args(const struct json *list, struct scmp_arg_cmp *args, unsigned *n, bool *alternatives,
		     struct ocispec_error *err)
{
	unsigned seen = 0;

	*n = 0;
	*alternatives = false;
	json_foreach(a, list) {
		const char *op = json_get_string(a, "op");
		const struct word *w = word_find(operators, op);
		int64_t index = json_get_int(a, "index", 0);
		const struct json *value = json_get(a, "value"), *two = json_get(a, "valueTwo");

		if (!w || index < 0 || index >= ARGS_MAX || *n == ARGS_MAX)
			return err_set(err, OCISPEC_E_INVALID, "seccomp: operator \"%s\" on argument %lld",
				       op ? op : "", (long long)index);
		*alternatives |= seen >> index & 1;
		seen |= 1u << index;
		args[(*n)++] = (struct scmp_arg_cmp){
			(unsigned)index, (enum scmp_compare)w->value,
			value && value->type == JSON_NUMBER ? strtoull(value->string, NULL, 10) : 0,
			two && two->type == JSON_NUMBER ? strtoull(two->string, NULL, 10) : 0,
		};
	}
	return 0;
}

static int add_rule(scmp_filter_ctx c, uint32_t otherwise, const struct json *rule, struct ocispec_error *err)
{
	struct scmp_arg_cmp args[ARGS_MAX];
	bool alternatives;
	unsigned n, i;
	uint32_t act;
	int r, call;

	r = action(rule, "action", "errnoRet", &act, err);
	if (!r)
		r = read_args(json_get(rule, "args"), args, &n, &alternatives, err);
	if (r || act == otherwise)
		return r;
	json_foreach(name, json_get(rule, "names")) {
		call = seccomp_syscall_resolve_name(name->string);
		if (call == __NR_SCMP_ERROR)
			continue;
		if (!alternatives)
			r = seccomp_rule_add_array(c, act, call, n, args);
		for (i = 0; alternatives && i < n && !r; i++)
			r = seccomp_rule_add_array(c, act, call, 1, &args[i]);
		if (r)
			return refused(r, name->string, err);
	}
	return 0;
}

/* libseccomp 2.5 writes a program only to a file. */
static int export(scmp_filter_ctx c, void **ret, size_t *ret_len, struct ocispec_error *err)
{
	_cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
	_cleanup_free_ char *program = NULL;
	off_t len;
	int r;

	if (fd < 0)
		return err_sys(err, "seccomp: memfd_create");
	r = seccomp_export_bpf(c, fd);
	if (r)
		return refused(r, "make the program", err);
	len = lseek(fd, 0, SEEK_END);
	program = malloc(len > 0 ? (size_t)len : 1);
	if (!program)
		return err_oom(err);
	if (len <= 0 || pread(fd, program, (size_t)len, 0) != len)
		return err_sys(err, "seccomp: read the program");
	*ret = take(program);
	*ret_len = (size_t)len;
	return 0;
}

static int compile(const struct json *seccomp, void **ret, size_t *ret_len, struct ocispec_error *err)
{
	_cleanup_(releasep) scmp_filter_ctx c = NULL;
	uint32_t otherwise;
	int r;

	r = action(seccomp, "defaultAction", "defaultErrnoRet", &otherwise, err);
	if (r)
		return r;
	c = seccomp_init(otherwise);
	if (!c)
		return err_oom(err);
	r = add_architectures(c, json_get(seccomp, "architectures"), err);
	json_foreach(rule, r ? NULL : json_get(seccomp, "syscalls")) {
		r = add_rule(c, otherwise, rule, err);
		if (r)
			return r;
	}
	return r ? r : export(c, ret, ret_len, err);
}

static int knows_call(const char *name)
{
	return seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR;
}

static int knows_architecture(const char *name)
{
	return architecture(name) != 0;
}

PUBLIC extern const struct seccomp_module ocispec_seccomp_module;
const struct seccomp_module ocispec_seccomp_module = { MODULE_ABI, compile, knows_call, knows_architecture };
