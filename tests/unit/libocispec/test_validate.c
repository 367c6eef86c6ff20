/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static void collect(void *user, int severity, const char *path, const char *message)
{
	struct str *out = user;

	str_appendf(out, "%c %s: %s\n", severity == OCISPEC_FINDING_ERROR ? 'E' : 'W', path, message);
}

/* All findings but those about root, process and version, which every small document has. */
static void check(int kind, const char *text, const char *expected)
{
	_cleanup_str_ struct str out = STR_INIT;
	struct ocispec_error err = { 0 };
	struct ocispec *s = NULL;
	int r;

	ck_assert_msg(ocispec_parse_as(kind, text, strlen(text), &s, &err) == 0, "%s", err.message);
	str_append(&out, "");
	r = ocispec_validate(s, collect, &out);
	ck_assert_str_eq(out.data ? out.data : "", expected);
	ck_assert_int_eq(r, strstr(expected, "E ") ? OCISPEC_E_INVALID : 0);
	ck_assert_int_eq(ocispec_validate(s, NULL, NULL), r);
	ocispec_free(s);
}

#define FRAME "\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"}"
#define PROCESS "\"process\":{\"cwd\":\"/\",\"args\":[\"x\"]}"
#define DOC(rest) "{" FRAME "," PROCESS "," rest "}"
#define LINUX(rest) DOC("\"linux\":{" rest "}")
#define config(text, expected) check(OCISPEC_CONFIG, text, expected)

START_TEST(the_frame)
{
	config("{}", "E ociVersion: missing\nE root: missing\nW process: missing: the container can be created, but not started\n");
	config("{\"ociVersion\":\"1\",\"root\":{},\"process\":{\"cwd\":\"x\"}}",
	       "E ociVersion: not a version, as \"1.0.2\"\nE root.path: missing\nE process.cwd: not an absolute path\n"
	       "E process.args: missing or empty\n");
	config(DOC("\"hostname\":\"h\",\"domainname\":\"d\""),
	       "W domainname: is new in 1.1.0, the document says 1.0.2\nE hostname: needs a uts namespace\n"
	       "E domainname: needs a uts namespace\n");
	config(DOC("\"annotations\":{\"run.oci.x\":\"y\",\"\":\"\"}"),
	       "W annotations: \"run.oci.x\" commands the runtime\nE annotations: an empty key\n");
}
END_TEST

START_TEST(the_process)
{
	config("{" FRAME ",\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],\"env\":[\"A=b\",\"C\"],\"consoleSize\":{},"
	       "\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"CAP_FLY\",\"KILL\"],\"effective\":[\"CAP_KILL\"],\"ambient\":[\"CAP_CHOWN\"]},"
	       "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":2,\"hard\":1},{\"type\":\"RLIMIT_NOFILE\"},{\"type\":\"NOFILE\"}],"
	       "\"oomScoreAdj\":1001,\"scheduler\":{\"policy\":\"X\",\"nice\":20},\"ioPriority\":{\"class\":\"X\",\"priority\":8}}}",
	       "W process.scheduler: is new in 1.1.0, the document says 1.0.2\n"
	       "W process.ioPriority: is new in 1.1.0, the document says 1.0.2\n"
	       "W process.consoleSize: counts only with a terminal\n"
	       "W process.env[1]: \"C\" is not NAME=value\n"
	       "W process.capabilities.bounding: \"CAP_FLY\" is not known; runtimes leave it out\n"
	       "E process.capabilities.bounding: \"KILL\" is not spelled CAP_KILL\n"
	       "W process.capabilities.effective: CAP_KILL is not in the permitted set\n"
	       "W process.capabilities.ambient: CAP_CHOWN is not in both the permitted and the inheritable set\n"
	       "E process.rlimits[0]: soft is above hard\n"
	       "E process.rlimits[0].type: RLIMIT_NOFILE twice\n"
	       "E process.rlimits[2].type: \"NOFILE\" is not a limit\n"
	       "E process.scheduler.policy: not a policy, as \"SCHED_OTHER\"\n"
	       "E process.scheduler.nice: not from -20 to 19\n"
	       "E process.ioPriority.class: not a class, as \"IOPRIO_CLASS_BE\"\n"
	       "E process.ioPriority.priority: not from 0 to 7\n"
	       "E process.oomScoreAdj: not from -1000 to 1000\n");
}
END_TEST

START_TEST(mounts_and_hooks)
{
	config(DOC("\"mounts\":[{\"destination\":\"x\"},{\"type\":\"tmpfs\"},{\"destination\":\"/y\",\"options\":[\"rbind\",\"ro\",\"rw\"]},"
		   "{\"destination\":\"/z\",\"uidMappings\":[{}]}]"),
	       "W mounts[0].destination: \"x\" is not absolute\nE mounts[1].destination: missing\n"
	       "E mounts[2].source: missing on a bind mount\nW mounts[2].options: both \"ro\" and \"rw\"; the later one counts\n"
	       "E mounts[3]: has only one of uidMappings and gidMappings\n");
	config(DOC("\"hooks\":{\"prestart\":[{\"path\":\"x\",\"timeout\":0}],\"poststop\":[{\"path\":\"/x\",\"env\":[\"A\"]}]}"),
	       "W hooks.prestart: deprecated: use createRuntime\nE hooks.prestart[0].path: not an absolute path\n"
	       "E hooks.prestart[0].timeout: not above 0\nW hooks.poststop[0].env[0]: \"A\" is not NAME=value\n");
}
END_TEST

START_TEST(the_linux_object)
{
	config(LINUX("\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\",\"path\":\"x\"},{\"type\":\"space\"}],\"uidMappings\":[{\"size\":0}]"),
	       "E linux.namespaces[0].type: pid twice\nE linux.namespaces[1].path: not an absolute path\n"
	       "E linux.namespaces[2].type: \"space\" is not a namespace\nE linux.uidMappings: needs a user namespace\n"
	       "E linux.uidMappings[0].size: not above 0\n");
	config(LINUX("\"devices\":[{\"path\":\"/d\",\"type\":\"c\"},{\"path\":\"/d\",\"type\":\"x\"}],\"resources\":{\"devices\":[{\"allow\":true,"
		     "\"type\":\"u\",\"access\":\"rx\"}],\"memory\":{\"limit\":2,\"swap\":1,\"swappiness\":101},\"cpu\":{\"shares\":2},"
		     "\"blockIO\":{\"weight\":5}}"),
	       "E linux.devices[0]: major or minor is missing\nW linux.devices[0].path: /d twice\n"
	       "E linux.devices[1].type: \"x\" is not one of c b u p\n"
	       "E linux.resources.devices[0].type: \"u\" is not one of a b c\nE linux.resources.devices[0].access: \"rx\" is not of r w m\n"
	       "E linux.resources.memory.swap: memory and swap together are less than the memory\n"
	       "E linux.resources.memory.swappiness: above 100\nE linux.resources.blockIO.weight: not from 10 to 1000\n");
	config(LINUX("\"namespaces\":[{\"type\":\"ipc\"}],\"sysctl\":{\"kernel.core_pattern\":\"|x\",\"kernel.shmmax\":\"1\",\"net.a\":\"1\"}"),
	       "E linux.sysctl: \"kernel.core_pattern\" is not kept per namespace\nE linux.sysctl: \"net.a\" needs a network namespace\n");
	config(LINUX("\"maskedPaths\":[\"x\"],\"rootfsPropagation\":\"up\",\"personality\":{\"domain\":\"BSD\"},\"intelRdt\":{\"closID\":\"..\"}"),
	       "E linux.intelRdt.closID: \"..\" is not the name of a directory\nE linux.maskedPaths[0]: not an absolute path\n"
	       "E linux.rootfsPropagation: \"up\" is not a propagation mode\nE linux.personality.domain: neither LINUX nor LINUX32\n");
	config(LINUX("\"timeOffsets\":{\"clock\":{\"nanosecs\":1000000000}}"),
	       "W linux.timeOffsets: is new in 1.1.0, the document says 1.0.2\n"
	       "E linux.timeOffsets: \"clock\" is neither monotonic nor boottime\nE linux.timeOffsets: nanosecs are a second or more\n"
	       "E linux.timeOffsets: needs a time namespace\n");
}
END_TEST

START_TEST(seccomp_is_checked_against_the_library)
{
	config(LINUX("\"seccomp\":{\"defaultAction\":\"SCMP_ACT_X\",\"architectures\":[\"SCMP_ARCH_VAX\"],\"flags\":[\"F\"],\"syscalls\":["
		     "{\"names\":[\"read\",\"raed\"],\"action\":\"SCMP_ACT_ALLOW\",\"errnoRet\":1},{\"names\":[],\"action\":\"Y\","
		     "\"args\":[{\"index\":6,\"op\":\"Z\"}]}]}"),
	       "E linux.seccomp.defaultAction: \"SCMP_ACT_X\" is not an action\n"
	       "E linux.seccomp.architectures: libseccomp knows no \"SCMP_ARCH_VAX\"\nE linux.seccomp.flags: \"F\" is not a flag\n"
	       "E linux.seccomp.syscalls[0].errnoRet: goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only\n"
	       "W linux.seccomp.syscalls[0].names: libseccomp knows no call \"raed\"\n"
	       "E linux.seccomp.syscalls[1].action: \"Y\" is not an action\nE linux.seccomp.syscalls[1].names: missing or empty\n"
	       "E linux.seccomp.syscalls[1].args: a call has arguments 0 to 5 only\n"
	       "E linux.seccomp.syscalls[1].args: not an operator, as \"SCMP_CMP_EQ\"\n");
	check(OCISPEC_PROFILE, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"name\":\"raed\",\"action\":\"SCMP_ACT_ERRNO\"}]}",
	      "W syscalls[0].name: libseccomp knows no call \"raed\"\n");
	check(OCISPEC_PROFILE, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrno\":\"EX\"}", "E : no error is called \"EX\"\n");
}
END_TEST

/* The built-in profile has no misspelled call: libseccomp 2.5 knows all but the newest. */
START_TEST(the_library_knows_the_calls_of_the_default_profile)
{
	static const char *const newer[] = { "cachestat", "fchmodat2", "futex_requeue", "futex_wait", "futex_wake", "map_shadow_stack" };
	_cleanup_str_ struct str out = STR_INIT;
	struct ocispec *s = NULL;
	const char *line;
	size_t n = 0;

	ck_assert_int_eq(ocispec_new(&s), 0);
	ck_assert_int_eq(ocispec_set_version(s, "1.1.0"), 0);
	ck_assert_int_eq(ocispec_set_default_seccomp(s, NULL), 0);
	ck_assert_int_eq(ocispec_validate(s, collect, &out), 0);
	str_append(&out, "");
	for (line = out.data; line && (line = strstr(line, "knows no call \"")); n++) {
		size_t len = strcspn(line += strlen("knows no call \""), "\"");
		bool known = false;

		for (size_t i = 0; i < ARRAY_SIZE(newer); i++)
			known |= strlen(newer[i]) == len && strncmp(newer[i], line, len) == 0;
		ck_assert_msg(known, "%.*s", (int)len, line);
	}
	ck_assert_uint_le(n, ARRAY_SIZE(newer));
	ocispec_free(s);
}
END_TEST

START_TEST(the_other_kinds)
{
	check(OCISPEC_STATE, "{\"ociVersion\":\"1.0.2\",\"id\":\"x\",\"status\":\"running\",\"pid\":1,\"bundle\":\"/b\"}", "");
	check(OCISPEC_STATE, "{\"ociVersion\":\"1.0.2\",\"status\":\"running\",\"bundle\":\"b\"}",
	      "E id: missing\nE bundle: not an absolute path\nE pid: missing for a container that is running\n");
	check(OCISPEC_STATE, "{\"ociVersion\":\"1.0.2\",\"id\":\"x\",\"status\":\"asleep\",\"pid\":-1,\"bundle\":\"/b\"}",
	      "W status: \"asleep\" is none of the specification\nE pid: negative\n");
	check(OCISPEC_FEATURES, "{\"ociVersionMin\":\"1.2.0\",\"ociVersionMax\":\"1.1.0\"}", "E ociVersionMin: newer than ociVersionMax\n");
	check(OCISPEC_FEATURES, "{}", "E ociVersionMin: missing\nE ociVersionMax: missing\n");
	check(OCISPEC_HOOK, "{\"version\":\"3\"}", "E : unrecognized hook version: \"3\"\n");
	check(OCISPEC_HOOK, "{\"hook\":\"/x\",\"stage\":[\"prestart\"]}", "");
	check(OCISPEC_CDI, "{\"cdiVersion\":\"0.3.0\",\"kind\":\"v/c\",\"devices\":[]}", "E : no devices\n");
}
END_TEST

START_TEST(hostile_text_is_printable_in_findings)
{
	config(DOC("\"annotations\":{\"run.oci.\\u001b[2J\":\"x\"}"), "W annotations: \"run.oci.?[2J\" commands the runtime\n");
}
END_TEST

RUN_TESTS("validate", the_frame, the_process, mounts_and_hooks, the_linux_object, seccomp_is_checked_against_the_library,
	  the_library_knows_the_calls_of_the_default_profile, the_other_kinds, hostile_text_is_printable_in_findings)
