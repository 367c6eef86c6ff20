/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include "table.h"
#include "unit.h"

#define ID "8ac1e8a9d6d40a9b4d0e3e5fc9f1f4d7a1b2c3d4e5f60718293a4b5c6d7e8f90"

/* As nft 1.0.6 prints it with -j -n. */
static const char LISTED[] =
	"{\"nftables\": [{\"metainfo\": {\"version\": \"1.0.6\"}}, {\"table\": {\"family\": \"ip\", \"name\": \"crio-hostports\"}},"
	"{\"map\": {\"family\": \"ip\", \"name\": \"hostports\", \"elem\": [[{\"elem\": {\"val\": {\"concat\": [6, 8080]}, "
	"\"comment\": \"AAAA\"}}, {\"concat\": [\"10.0.0.1\", 80]}], [{\"concat\": [17, 53]}, {\"concat\": [\"10.0.0.9\", 53]}]]}},"
	"{\"map\": {\"family\": \"ip\", \"name\": \"hostipports\"}},"
	"{\"set\": {\"family\": \"ip\", \"name\": \"hairpins\", \"elem\": [{\"elem\": {\"val\": {\"concat\": [\"10.0.0.1\", \"10.0.0.1\"]}, "
	"\"comment\": \"AAAA\"}}]}},"
	"{\"set\": {\"family\": \"ip\", \"name\": \"localnet\", \"type\": \"ifname\", \"elem\": [\"cni0\"]}},"
	"{\"chain\": {\"family\": \"ip\", \"name\": \"hostports\"}}, {\"rule\": {\"family\": \"ip\", \"expr\": []}}]}";

static struct arena arena;
static struct table four = { .arena = &arena }, six = { .arena = &arena, .six = true };

static char *script(struct table *t, char *const *interfaces)
{
	struct str s = STR_INIT;

	table_script(t, interfaces, &s);
	return str_take(&s, NULL);
}

START_TEST(comment_is_the_one_of_crio)
{
	char comment[COMMENT_LEN + 1];

	/* base32(sha256("abc"))[:16] */
	table_comment("abc", comment);
	ck_assert_str_eq(comment, "XJ4BNP4PAHH6UQKB");
}
END_TEST

START_TEST(listed_elements_are_read)
{
	ck_assert_int_eq(table_read(&four, LISTED, strlen(LISTED)), 0);
	ck_assert(four.exists);
	ck_assert_str_eq(four.localnet[0], "cni0");
	/* the last one comes first */
	ck_assert_str_eq(four.there->set, "hairpins");
	ck_assert_str_eq(four.there->key, "10.0.0.1 . 10.0.0.1");
	ck_assert_int_eq(four.there->port, 0);
	ck_assert_str_eq(four.there->next->key, "17 . 53");
	ck_assert_str_eq(four.there->next->comment, "");
	ck_assert_int_eq(four.there->next->proto, 17);
	ck_assert_int_eq(four.there->next->port, 53);
	ck_assert_str_eq(four.there->next->next->value, "10.0.0.1 . 80");
	ck_assert_ptr_null(four.there->next->next->next);
}
END_TEST

START_TEST(other_output_is_refused)
{
	static const char *const bad[] = {
		"", "{", "Error: x",
		"{\"nftables\": [{\"map\": {\"name\": \"hostports\", \"elem\": [[1, 2]]}}]}",
		"{\"nftables\": [{\"map\": {\"name\": \"hostports\", \"elem\": [[]]}}]}",
		"{\"nftables\": [{\"set\": {\"name\": \"hairpins\", \"elem\": [{\"concat\": [{}]}]}}]}",
		"{\"nftables\": [{\"map\": {\"elem\": []}}]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(table_read(&four, bad[i], strlen(bad[i])) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(lines_that_are_none_are_refused)
{
	static const char *const bad[] = {
		ID, ID " 10.0.0.1 6 * 80", ID " 10.0.0.1 6 * 80 80 80", ID " 10.0.0 6 * 80 80", ID " 10.0.0.1 0 * 80 80",
		ID " 10.0.0.1 6 x 80 80", ID " 10.0.0.1 6 * 0 80", ID " 10.0.0.1 6 * 80 65536", ID " 10.0.0.1 6 fd00::1 80 80",
		ID " 10.0.0.1 6 1.2.3.4;x 80 80",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(table_want(&four, bad[i]) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(each_family_takes_its_lines)
{
	ck_assert_int_eq(table_want(&four, ID " fd00::0:1 6 ::0:2 80 8080"), 0);
	ck_assert_ptr_null(four.wanted);
	ck_assert_int_eq(table_want(&six, ID " fd00::0:1 6 ::0:2 80 8080"), 0);
	ck_assert_str_eq(six.wanted->key, "fd00::1 . fd00::1");
	ck_assert_str_eq(six.wanted->next->set, "hostipports");
	ck_assert_str_eq(six.wanted->next->key, "::2 . 6 . 80");
	ck_assert_str_eq(six.wanted->next->value, "fd00::1 . 8080");
}
END_TEST

START_TEST(what_is_there_already_changes_nothing)
{
	char comment[COMMENT_LEN + 1];
	const struct element *taken;
	struct element *e;

	ck_assert_int_eq(table_read(&four, LISTED, strlen(LISTED)), 0);
	ck_assert_int_eq(table_want(&four, "a 10.0.0.1 6 * 8080 80"), 0);
	ck_assert_int_eq(table_want(&four, "b 10.0.0.9 17 * 53 53"), 0);
	table_comment("a", comment);
	for (e = four.there; e; e = e->next)
		if (*e->comment)
			e->comment = comment;
	ck_assert_int_eq(table_compare(&four, (char *[]){ comment, NULL }, &taken), -EEXIST);
	ck_assert_int_eq(taken->port, 53);	/* not b's, and not ours to take away */
	ck_assert_int_eq(table_compare(&four, NULL, &taken), 0);
	ck_assert(table_changes(&four));	/* in a sync it is b's from now on */
}
END_TEST

START_TEST(only_elements_of_the_pod_are_deleted)
{
	const struct element *taken;
	char *text;

	ck_assert_int_eq(table_read(&four, LISTED, strlen(LISTED)), 0);
	ck_assert_int_eq(table_compare(&four, (char *[]){ (char[]){ "AAAA" }, NULL }, &taken), 0);
	ck_assert(table_changes(&four));
	ck_assert(!table_empty(&four));
	text = script(&four, NULL);
	ck_assert_str_eq(text, "delete element ip crio-hostports hairpins { 10.0.0.1 . 10.0.0.1 }\n"
			       "delete element ip crio-hostports hostports { 6 . 8080 }\n");
	free(text);
}
END_TEST

START_TEST(last_element_takes_the_table_along)
{
	const struct element *taken;
	char *text;

	ck_assert_int_eq(table_read(&four, LISTED, strlen(LISTED)), 0);
	ck_assert_int_eq(table_compare(&four, NULL, &taken), 0);
	ck_assert(table_empty(&four));
	text = script(&four, NULL);
	ck_assert_str_eq(text, "delete table ip crio-hostports\n");
	free(text);
	text = script(&six, NULL);	/* there was none */
	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

START_TEST(new_element_brings_table_and_interface)
{
	const struct element *taken;
	char *text;

	ck_assert_int_eq(table_want(&four, "abc 10.0.0.1 6 * 8080 80"), 0);
	ck_assert_int_eq(table_compare(&four, (char *[]){ (char[]){ "XJ4BNP4PAHH6UQKB" }, NULL }, &taken), 0);
	text = script(&four, (char *[]){ (char[]){ "cni0" }, NULL });
	ck_assert_ptr_nonnull(strstr(text, "add table ip crio-hostports { comment \"HostPort rules created by CRI-O\"; }\n"));
	ck_assert_ptr_nonnull(strstr(text, "add element ip crio-hostports hostports { 6 . 8080 comment \"XJ4BNP4PAHH6UQKB\" : 10.0.0.1 . 80 }\n"));
	ck_assert_ptr_nonnull(strstr(text, "add element ip crio-hostports localnet { \"cni0\" }\n"));
	free(text);
}
END_TEST

UNIT_MAIN("hostports", comment_is_the_one_of_crio, listed_elements_are_read, other_output_is_refused, lines_that_are_none_are_refused,
	  each_family_takes_its_lines, what_is_there_already_changes_nothing, only_elements_of_the_pod_are_deleted,
	  last_element_takes_the_table_along, new_element_brings_table_and_interface)
