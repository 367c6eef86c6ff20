/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled messages against cri_v1_facts.csv, in both directions: nothing is missing, nothing
 * is there that should not be, and everything has its number, type and label.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cbase/cleanup.h>
#include <cbase/str.h>
#include <crisvc-cri.h>

#include "descriptors.h" /* generated: all_messages[], all_enums[] */

#define PACKAGE "runtime.v1."
#define COLUMNS 6
#define FACTS_MAX 1000

struct fact {
	char *line;
	const char *column[COLUMNS]; /* "" where the line has fewer */
};

static struct fact facts[FACTS_MAX];
static size_t n_facts;

static void load_facts(void)
{
	const char *path = getenv("CRI_FACTS");
	FILE *f = fopen(path ? path : "cri_v1_facts.csv", "re");
	char line[256];

	ck_assert_ptr_nonnull(f);
	n_facts = 0;
	while (fgets(line, sizeof(line), f)) {
		struct fact *fact = &facts[n_facts];
		char *rest;

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#')
			continue;
		ck_assert_uint_lt(n_facts, FACTS_MAX);
		n_facts++;
		fact->line = rest = strdup(line);
		for (int i = 0; i < COLUMNS; i++)
			fact->column[i] = rest ? strsep(&rest, ",") : "";
	}
	fclose(f);
}

static void drop_facts(void)
{
	for (size_t i = 0; i < n_facts; i++)
		free(facts[i].line);
}

#define facts_foreach(f, kind)                                                                     \
	for (struct fact *f = facts; f < facts + n_facts; f++)                                     \
		if (streq(f->column[0], kind))

static size_t count(const char *kind, const char *parent)
{
	size_t n = 0;

	facts_foreach(f, kind)
		n += !parent || streq(f->column[1], parent);
	return n;
}

static const char *without_package(const char *name)
{
	ck_assert(str_starts(name, PACKAGE));
	return name + strlen(PACKAGE);
}

static const ProtobufCMessageDescriptor *find_message(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_messages); i++)
		if (streq(without_package(all_messages[i]->name), name))
			return all_messages[i];
	return NULL;
}

static const ProtobufCEnumDescriptor *find_enum(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_enums); i++)
		if (streq(without_package(all_enums[i]->name), name))
			return all_enums[i];
	return NULL;
}

/* The entries of maps are messages too, "PodSandboxConfig.LabelsEntry". */
static bool is_entry(const ProtobufCMessageDescriptor *d)
{
	return strchr(without_package(d->name), '.') && str_ends(d->name, "Entry");
}

static const struct {
	const char *name;
	ProtobufCType type;
} scalars[] = {
	{ "string", PROTOBUF_C_TYPE_STRING }, { "bytes", PROTOBUF_C_TYPE_BYTES },
	{ "bool", PROTOBUF_C_TYPE_BOOL },     { "int32", PROTOBUF_C_TYPE_INT32 },
	{ "int64", PROTOBUF_C_TYPE_INT64 },   { "uint32", PROTOBUF_C_TYPE_UINT32 },
	{ "uint64", PROTOBUF_C_TYPE_UINT64 }, { "double", PROTOBUF_C_TYPE_DOUBLE },
	{ "float", PROTOBUF_C_TYPE_FLOAT },
};

static void check_type(const struct fact *fact, const ProtobufCFieldDescriptor *f, const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(scalars); i++) {
		if (streq(scalars[i].name, type)) {
			ck_assert_msg(f->type == scalars[i].type, "%s %s: type", fact->column[1],
				      f->name);
			return;
		}
	}
	if (f->type == PROTOBUF_C_TYPE_ENUM)
		ck_assert_str_eq(
			without_package(((const ProtobufCEnumDescriptor *)f->descriptor)->name),
			type);
	else if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		ck_assert_str_eq(
			without_package(((const ProtobufCMessageDescriptor *)f->descriptor)->name),
			type);
	else
		ck_abort_msg("%s %s: not a %s", fact->column[1], f->name, type);
}

static void check_map(const struct fact *fact, const ProtobufCFieldDescriptor *f)
{
	const ProtobufCMessageDescriptor *entry = f->descriptor;

	ck_assert_msg(f->label == PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_MESSAGE &&
			      is_entry(entry),
		      "%s %s: not a map", fact->column[1], f->name);
	ck_assert_uint_eq(entry->n_fields, 2);
	ck_assert_str_eq(entry->fields[0].name, "key");
	ck_assert_uint_eq(entry->fields[0].id, 1);
	ck_assert_str_eq(entry->fields[1].name, "value");
	ck_assert_uint_eq(entry->fields[1].id, 2);
	ck_assert_int_eq(entry->fields[0].type, PROTOBUF_C_TYPE_STRING);
	check_type(fact, &entry->fields[1], fact->column[5]);
}

START_TEST(table_has_all_of_cri_1_37)
{
	ck_assert_uint_eq(count("message", NULL), 175);
	ck_assert_uint_eq(count("field", NULL), 478);
	ck_assert_uint_eq(count("enum", NULL), 11);
	ck_assert_uint_eq(count("value", NULL), 95);
	ck_assert_uint_eq(count("rpc", NULL), 43);
}
END_TEST

START_TEST(every_message_of_the_table_is_compiled)
{
	facts_foreach(f, "message")
		ck_assert_msg(find_message(f->column[1]) != NULL, "no message %s", f->column[1]);
}
END_TEST

START_TEST(every_compiled_message_is_in_the_table)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all_messages); i++) {
		const ProtobufCMessageDescriptor *d = all_messages[i];
		bool found = false;

		if (is_entry(d))
			continue;
		n++;
		facts_foreach(f, "message")
			found |= streq(f->column[1], without_package(d->name));
		ck_assert_msg(found, "%s is not in the table", d->name);
		ck_assert_msg(d->n_fields == count("field", without_package(d->name)),
			      "%s has %u fields", d->name, d->n_fields);
	}
	ck_assert_uint_eq(n, 175);
}
END_TEST

START_TEST(every_field_has_its_number_type_and_label)
{
	facts_foreach(fact, "field") {
		const ProtobufCMessageDescriptor *d = find_message(fact->column[1]);
		const ProtobufCFieldDescriptor *f;
		const char *label = fact->column[4];

		ck_assert_ptr_nonnull(d);
		f = protobuf_c_message_descriptor_get_field_by_name(d, fact->column[2]);
		ck_assert_msg(f != NULL, "%s has no field %s", d->name, fact->column[2]);
		ck_assert_msg(f->id == (uint32_t)atoi(fact->column[3]), "%s %s: number %u", d->name,
			      f->name, f->id);
		if (streq(label, "map")) {
			check_map(fact, f);
			continue;
		}
		ck_assert_msg((f->label == PROTOBUF_C_LABEL_REPEATED) == streq(label, "repeated"),
			      "%s %s: label", d->name, f->name);
		ck_assert_msg(!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF), "%s %s: oneof", d->name,
			      f->name);
		check_type(fact, f, fact->column[5]);
	}
}
END_TEST

START_TEST(every_enum_has_its_values_and_no_others)
{
	ck_assert_uint_eq(ARRAY_SIZE(all_enums), 11);
	facts_foreach(fact, "enum") {
		const ProtobufCEnumDescriptor *d = find_enum(fact->column[1]);

		ck_assert_msg(d != NULL, "no enum %s", fact->column[1]);
		ck_assert_msg(d->n_value_names == count("value", fact->column[1]),
			      "%s has %u values", d->name, d->n_value_names);
	}
	facts_foreach(fact, "value") {
		const ProtobufCEnumDescriptor *d = find_enum(fact->column[1]);
		const ProtobufCEnumValue *v =
			d ? protobuf_c_enum_descriptor_get_value_by_name(d, fact->column[2]) : NULL;

		ck_assert_msg(v != NULL, "no value %s of %s", fact->column[2], fact->column[1]);
		ck_assert_msg(v->value == atoi(fact->column[3]), "%s is %d", v->name, v->value);
	}
}
END_TEST

START_TEST(every_rpc_is_in_the_method_table_in_order)
{
	const struct crisvc_cri_method *m = crisvc_cri_methods;
	char path[256];

	facts_foreach(fact, "rpc") {
		ck_assert_ptr_nonnull(m->path);
		ck_assert_str_eq(without_package(m->service), fact->column[1]);
		ck_assert_str_eq(m->name, fact->column[2]);
		snprintf(path, sizeof(path), "/" PACKAGE "%s/%s", fact->column[1], fact->column[2]);
		ck_assert_str_eq(m->path, path);
		ck_assert_str_eq(without_package(m->request->name), fact->column[3]);
		ck_assert_str_eq(without_package(m->response->name), fact->column[4]);
		ck_assert_int_eq(m->server_streaming, streq(fact->column[5], "stream"));
		ck_assert_ptr_eq(crisvc_cri_method_by_name(m->name), m);
		m++;
	}
	ck_assert_ptr_null(m->path);
	ck_assert_int_eq(m - crisvc_cri_methods, 43);
}
END_TEST

START_TEST(every_rpc_has_its_types)
{
#define TYPED(name, request, response, streaming)                                                  \
	{ #name, #request, #response, sizeof(request), sizeof(response), streaming },
	static const struct {
		const char *name, *request, *response;
		size_t request_size, response_size;
		int streaming;
	} typed[] = { CRISVC_CRI_RPCS(TYPED) };
#undef TYPED
	const struct crisvc_cri_method *m = crisvc_cri_methods;

	ck_assert_uint_eq(ARRAY_SIZE(typed), 43);
	for (size_t i = 0; i < ARRAY_SIZE(typed); i++, m++) {
		ck_assert_str_eq(m->name, typed[i].name);
		ck_assert_str_eq(m->request->c_name, typed[i].request);
		ck_assert_str_eq(m->response->c_name, typed[i].response);
		ck_assert_uint_eq(m->request->sizeof_message, typed[i].request_size);
		ck_assert_uint_eq(m->response->sizeof_message, typed[i].response_size);
		ck_assert_int_eq(m->server_streaming, typed[i].streaming);
	}
}
END_TEST

START_TEST(unknown_method_is_null)
{
	ck_assert_ptr_null(crisvc_cri_method_by_name("NoSuchThing"));
	ck_assert_ptr_null(crisvc_cri_method_by_name("version"));
	ck_assert_ptr_null(crisvc_cri_method_by_name(NULL));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cri_facts");
	TCase *tc = tcase_create("facts");
	SRunner *sr;
	int failed;

	tcase_add_unchecked_fixture(tc, load_facts, drop_facts);
	tcase_add_test(tc, table_has_all_of_cri_1_37);
	tcase_add_test(tc, every_message_of_the_table_is_compiled);
	tcase_add_test(tc, every_compiled_message_is_in_the_table);
	tcase_add_test(tc, every_field_has_its_number_type_and_label);
	tcase_add_test(tc, every_enum_has_its_values_and_no_others);
	tcase_add_test(tc, every_rpc_is_in_the_method_table_in_order);
	tcase_add_test(tc, every_rpc_has_its_types);
	tcase_add_test(tc, unknown_method_is_null);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
