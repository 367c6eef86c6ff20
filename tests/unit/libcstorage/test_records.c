/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static struct records r;
static const char *const fields[] = { "id", "names", "layer", "created", NULL };

static void setup(void)
{
	scratch_setup();
	ok(records_init(&r, scratch, "r.lock", "r.json", "volatile-r.json", true));
}

static void teardown(void)
{
	records_done(&r);
	scratch_teardown();
}

static struct json *find(const char *id)
{
	struct record *rec = NULL;

	ok(records_find(&r, id, &rec));
	return rec ? rec->json : NULL;
}

static void add(int file, const char *id)
{
	struct json_doc *doc = records_doc(&r, file);
	struct json *rec = json_new_object(doc);

	json_set_string(doc, rec, "id", id);
	records_add(&r, file, rec);
}

static void lock(enum lock_mode mode)
{
	ok(records_lock(&r, mode, &err));
}

/* As another program would: the lock's record first, then the file. */
static void write_as_other(const char *name, const char *text)
{
	struct last_write w;
	struct lockfile l;

	ok(lockfile_init(&l, at("r.lock")));
	ok(lockfile_acquire(&l, LOCK_EXCLUSIVE, &err));
	ok(lockfile_record_write(&l, &w, &err));
	put(at("%s", name), text);
	lockfile_release(&l);
	lockfile_done(&l);
}

static struct json_doc *parsed(const char *text)
{
	struct json_doc *doc = NULL;

	ok(json_parse(text, strlen(text), 0, &doc, NULL));
	return doc;
}

START_TEST(absent_empty_and_null_files_are_empty_lists)
{
	struct record *all;
	size_t n;

	for (int i = 0; i < 3; i++) {
		lock(LOCK_SHARED);
		ok(records_all(&r, &all, &n));
		ck_assert_uint_eq(n, 0);
		records_unlock(&r);
		write_as_other("r.json", i ? "null" : "");
	}
}
END_TEST

START_TEST(what_is_not_understood_is_written_back)
{
	_cleanup_free_ char *text = NULL;

	put(at("r.json"), "[{\"id\":\"" ID_A "\",\"future\":{\"b\":1,\"a\":1.50},\"size\":12345678901234567890},{\"id\":\"odd\",\"x\":null},7]");
	lock(LOCK_EXCLUSIVE);
	add(RECORDS_STABLE, ID_B);
	ok(records_save(&r, &err));
	records_unlock(&r);
	text = get(at("r.json"));
	ck_assert_str_eq(text, "[{\"id\":\"" ID_A "\",\"future\":{\"b\":1,\"a\":1.50},\"size\":12345678901234567890},"
			       "{\"id\":\"odd\",\"x\":null},7,{\"id\":\"" ID_B "\"}]");
	ck_assert(!exists(at("volatile-r.json")));	/* nothing changed there */
}
END_TEST

START_TEST(others_changes_are_seen_at_the_next_lock)
{
	lock(LOCK_SHARED);
	ck_assert_ptr_null(find(ID_A));
	records_unlock(&r);
	write_as_other("r.json", "[{\"id\":\"" ID_A "\"}]");
	lock(LOCK_SHARED);
	ck_assert_ptr_nonnull(find(ID_A));
	records_unlock(&r);
	write_as_other("volatile-r.json", "[{\"id\":\"" ID_B "\"}]");
	lock(LOCK_SHARED);
	ck_assert_ptr_nonnull(find(ID_A));
	ck_assert_ptr_nonnull(find(ID_B));
	records_unlock(&r);
}
END_TEST

START_TEST(of_two_records_the_stable_one_counts)
{
	put(at("r.json"), "[{\"id\":\"" ID_A "\",\"layer\":\"stable\"}]");
	put(at("volatile-r.json"), "[{\"id\":\"" ID_A "\",\"layer\":\"volatile\"}]");
	lock(LOCK_SHARED);
	ck_assert_str_eq(json_get_string(find(ID_A), "layer"), "stable");
	records_unlock(&r);
}
END_TEST

START_TEST(every_write_changes_the_lock_file_first)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	lock(LOCK_EXCLUSIVE);
	add(RECORDS_VOLATILE, ID_A);
	ok(records_save(&r, &err));
	before = get(at("r.lock"));
	add(RECORDS_STABLE, ID_B);
	ok(records_save(&r, &err));
	records_unlock(&r);
	after = get(at("r.lock"));
	ck_assert_mem_ne(before, after, 64);
}
END_TEST

START_TEST(damaged_files_are_reported_and_read_again_when_repaired)
{
	static const char *const bad[] = { "[", "{}", "\"x\"", "[{\"id\":\"" ID_A "\"}", "[{\"id\":\"a\xff\"}]", "[] x" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_as_other("r.json", bad[i]);
		fails(records_lock(&r, LOCK_SHARED, &err), CSTORE_E_DAMAGED);
		says("r.json");
	}
	put(at("r.json"), "[{\"id\":\"" ID_A "\"}]");	/* without touching the lock file */
	lock(LOCK_SHARED);
	ck_assert_ptr_nonnull(find(ID_A));
	records_unlock(&r);
}
END_TEST

START_TEST(changes_that_are_not_saved_are_forgotten)
{
	lock(LOCK_EXCLUSIVE);
	add(RECORDS_STABLE, ID_A);
	ck_assert_ptr_nonnull(find(ID_A));
	records_unlock(&r);
	lock(LOCK_SHARED);
	ck_assert_ptr_null(find(ID_A));
	records_unlock(&r);
}
END_TEST

START_TEST(changes_that_cannot_be_saved_are_forgotten)
{
	ck_assert_int_eq(mkdir(at("r.json"), 0700), 0);
	ck_assert_int_eq(rmdir(at("r.json")), 0);
	lock(LOCK_EXCLUSIVE);
	add(RECORDS_STABLE, ID_A);
	ck_assert_int_eq(mkdir(at("r.json"), 0700), 0);	/* rename() fails on it */
	ck_assert_int_lt(records_save(&r, &err), 0);
	ck_assert_ptr_null(find(ID_A));
	records_unlock(&r);
	ck_assert_int_eq(rmdir(at("r.json")), 0);
	lock(LOCK_EXCLUSIVE);
	ck_assert_ptr_null(find(ID_A));
	add(RECORDS_STABLE, ID_A);
	ok(records_save(&r, &err));
	records_unlock(&r);
	ck_assert_uint_eq(count_entries(scratch), 2);	/* no temporary file is left */
}
END_TEST

START_TEST(members_are_put_where_go_prints_them)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_str_ struct str out = STR_INIT;
	struct json *o, *map;

	doc = parsed("{\"id\":\"x\",\"extra\":1,\"created\":\"t\"}");
	o = json_root(doc);
	record_set(doc, o, fields, "layer", json_new_string(doc, "l"));
	record_set(doc, o, fields, "names", map = json_new_object(doc));
	record_map_set(doc, map, "m", json_new_int(doc, 1));
	record_map_set(doc, map, "z", json_new_int(doc, 2));
	record_map_set(doc, map, "a", json_new_int(doc, 3));
	record_map_set(doc, map, "m", json_new_int(doc, 4));
	ok(json_format(doc, o, 0, &out));
	ck_assert_str_eq(out.data, "{\"id\":\"x\",\"extra\":1,\"names\":{\"a\":3,\"m\":4,\"z\":2},\"layer\":\"l\",\"created\":\"t\"}");
}
END_TEST

START_TEST(names_are_found_and_the_member_goes_with_the_last)
{
	_cleanup_json_ struct json_doc *doc = NULL;

	doc = parsed("{\"names\":[\"a\",\"b\",\"a\"]}");
	ck_assert(record_has_name(json_root(doc), "b"));
	ck_assert(!record_has_name(json_root(doc), "c"));
	ck_assert(record_remove_name(json_root(doc), "a"));
	ck_assert(!record_remove_name(json_root(doc), "a"));
	ck_assert(record_remove_name(json_root(doc), "b"));
	ck_assert_ptr_null(json_get(json_root(doc), "names"));
}
END_TEST

START_TEST(records_may_be_large)
{
	_cleanup_str_ struct str text = STR_INIT;

	/* more values than a document of others may have */
	str_append(&text, "[{\"id\":\"" ID_A "\",\"uidset\":[0");
	for (int i = 0; i < JSON_NODES_MAX; i++)
		str_append(&text, ",1");
	str_append(&text, "]}]");
	put(at("r.json"), text.data);
	lock(LOCK_SHARED);
	ck_assert_ptr_nonnull(find(ID_A));
	records_unlock(&r);
}
END_TEST

START_TEST(memory_does_not_grow_with_the_number_of_changes)
{
	lock(LOCK_EXCLUSIVE);
	for (int i = 0; i < 300; i++) {
		struct record *rec;

		add(RECORDS_STABLE, ID_A);
		ok(records_find(&r, ID_A, &rec));
		records_remove(&r, rec);
	}
	ok(records_save(&r, &err));
	records_unlock(&r);
	ck_assert_uint_eq(r.changes, 600);
	lock(LOCK_SHARED);
	ck_assert_uint_eq(r.changes, 0);	/* read again */
	records_unlock(&r);
}
END_TEST

static void random_id(unsigned *seed, char id[ID_LEN + 1])
{
	snprintf(id, ID_LEN + 1, "%064x", rand_r(seed) % 300);
}

/* Adding and removing change index and text in place: they must be what reading the file anew gives. */
START_TEST(changes_in_place_are_those_on_disk)
{
	struct records fresh;
	unsigned seed = 5;
	char id[ID_LEN + 1];

	ok(records_init(&fresh, scratch, "r.lock", "r.json", "volatile-r.json", false));
	for (int i = 0; i < 1200; i++) {
		int file = rand_r(&seed) % 2 ? RECORDS_STABLE : RECORDS_VOLATILE;
		struct record *known, *mine, *theirs;
		size_t n, m;

		random_id(&seed, id);
		r.durable = false;
		ok(records_lock(&r, LOCK_EXCLUSIVE, &err));
		ok(records_find(&r, id, &known));
		if (known && i > 250 && rand_r(&seed) % 8) { /* first many are added: a short text is not kept */
			records_remove(&r, known);
		} else { /* also a second one of that id now and then */
			struct json_doc *doc = records_doc(&r, file);
			struct json *rec = json_new_object(doc);

			json_set_string(doc, rec, "id", rand_r(&seed) % 10 ? id : "no id");
			json_set_int(doc, rec, "n", i);
			records_add(&r, file, rec);
		}
		if (rand_r(&seed) % 20 == 0)
			records_changed(&r, file);
		ok(records_save(&r, &err));
		ok(records_all(&r, &mine, &n));
		records_unlock(&r);
		ok(records_lock(&fresh, LOCK_SHARED, &err));
		ok(records_all(&fresh, &theirs, &m));
		ck_assert_uint_eq(n, m);
		for (size_t k = 0; k < n; k++) {
			ck_assert_str_eq(mine[k].id, theirs[k].id);
			ck_assert_int_eq(mine[k].file, theirs[k].file);
			ck_assert_int_eq(json_get_int(mine[k].json, "n", -1), json_get_int(theirs[k].json, "n", -1));
		}
		records_unlock(&fresh);
	}
	records_done(&fresh);
}
END_TEST

START_TEST(names_are_looked_up_before_beginnings_of_ids)
{
	struct record *rec = NULL;

	put(at("r.json"), "[{\"id\":\"" ID_A "\",\"names\":[\"bbbb\"]},{\"id\":\"" ID_B "\",\"names\":[\"" ID_A "\"]}]");
	ok(records_lock(&r, LOCK_SHARED, &err));
	ok(records_lookup(&r, "container", "bbbb", &rec, &err));
	ck_assert_str_eq(rec->id, ID_A);
	ok(records_lookup(&r, "container", "bbb", &rec, &err));
	ck_assert_str_eq(rec->id, ID_B);
	ok(records_lookup(&r, "container", ID_A, &rec, &err));
	ck_assert_str_eq(rec->id, ID_A);
	fails(records_lookup(&r, "container", "bb", &rec, &err), CSTORE_E_NOT_FOUND);
	says("container bb does not exist");
	records_unlock(&r);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("records"), *all[] = { t };

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, absent_empty_and_null_files_are_empty_lists);
	tcase_add_test(t, what_is_not_understood_is_written_back);
	tcase_add_test(t, others_changes_are_seen_at_the_next_lock);
	tcase_add_test(t, of_two_records_the_stable_one_counts);
	tcase_add_test(t, every_write_changes_the_lock_file_first);
	tcase_add_test(t, damaged_files_are_reported_and_read_again_when_repaired);
	tcase_add_test(t, changes_that_are_not_saved_are_forgotten);
	tcase_add_test(t, changes_that_cannot_be_saved_are_forgotten);
	tcase_add_test(t, members_are_put_where_go_prints_them);
	tcase_add_test(t, names_are_found_and_the_member_goes_with_the_last);
	tcase_add_test(t, records_may_be_large);
	tcase_add_test(t, memory_does_not_grow_with_the_number_of_changes);
	tcase_add_test(t, changes_in_place_are_those_on_disk);
	tcase_add_test(t, names_are_looked_up_before_beginnings_of_ids);
	return run_suite("records", all, 1);
}
