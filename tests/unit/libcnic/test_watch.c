/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of directories, real inotify. */
#include <poll.h>
#include "unit.h"

#define LIST "{\"name\":\"n\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"one\"}]}"

static struct cnic *c;
static struct cnic_watch *w;

/* With the directories taken away again: setup of a node that has no network yet. */
static void start(void)
{
	ck_assert_int_eq(cnic_watch_new(c, &w, NULL), 0);
}

static void setup(void)
{
	scratch_setup();
	put("bin/one", "");
	c = new_cnic(true, NULL);
}

static void teardown(void)
{
	w = cnic_watch_free(w);
	fake_forget();
	c = cnic_free(c);
	scratch_teardown();
}

/* Everything that the kernel has queued by now; was there a change? */
static int changed(void)
{
	struct cnic_error err = { 0 };
	int any = 0, now = 0;
	struct pollfd p = { .fd = cnic_watch_fd(w), .events = POLLIN };

	while (poll(&p, 1, 0) > 0) {
		ck_assert_msg(cnic_watch_dispatch(w, &now, &err) == 0, "%s", err.message);
		any |= now;
	}
	return any;
}

START_TEST(files_that_come_change_and_go_are_noticed)
{
	start();
	ck_assert_int_eq(changed(), 0);
	put("conf/10.conflist", LIST);
	ck_assert_int_eq(changed(), 1);
	ck_assert_int_eq(changed(), 0);
	put("conf/10.conflist", LIST " ");
	ck_assert_int_eq(changed(), 1);
	unlink(at("conf/10.conflist"));
	ck_assert_int_eq(changed(), 1);
	put("bin/two", "");
	ck_assert_int_eq(changed(), 1);
	ck_assert_int_eq(chmod(at("bin/two"), 0700), 0);
	ck_assert_int_eq(changed(), 1);
	put("other", "");
	ck_assert_int_eq(changed(), 0);
}
END_TEST

START_TEST(a_directory_that_is_not_there_yet_is_noticed_with_what_is_in_it)
{
	ck_assert_int_eq(rmdir(at("conf")), 0);
	start();
	ck_assert_int_eq(changed(), 0);
	ck_assert_int_eq(mkdir(at("conf"), 0700), 0);
	ck_assert_int_eq(changed(), 1);
	put("conf/10.conflist", LIST);
	ck_assert_int_eq(changed(), 1);
}
END_TEST

START_TEST(a_directory_that_is_made_anew_is_watched_again)
{
	start();
	ck_assert_int_eq(rmdir(at("conf")), 0);
	ck_assert_int_eq(changed(), 1);
	ck_assert_int_eq(mkdir(at("conf"), 0700), 0);
	ck_assert_int_eq(changed(), 1);
	put("conf/10.conflist", LIST);
	ck_assert_int_eq(changed(), 1);
	/* gone and come between two looks */
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, at("conf")), 0);
	ck_assert_int_eq(mkdir(at("conf"), 0700), 0);
	ck_assert_int_eq(changed(), 1);
	put("conf/20.conflist", LIST);
	ck_assert_int_eq(changed(), 1);
}
END_TEST

START_TEST(a_parent_that_is_renamed_away_is_noticed)
{
	struct cnic_options *o = NULL;

	cnic_free(c);
	ck_assert_int_eq(mkdir_p(at("a/b/net.d"), 0700), 0);
	ck_assert_int_eq(cnic_options_new(&o), 0);
	ck_assert_int_eq(cnic_options_set_conf_dir(o, at("a/b/net.d")), 0);
	ck_assert_int_eq(cnic_options_add_plugin_dir(o, at("bin")), 0);
	ck_assert_int_eq(cnic_new(o, &c), 0);
	cnic_options_free(o);
	start();
	ck_assert_int_eq(rename(at("a"), at("old")), 0);
	ck_assert_int_eq(changed(), 1);
	ck_assert_int_eq(mkdir_p(at("a/b/net.d"), 0700), 0);
	ck_assert_int_eq(changed(), 1);
	put("a/b/net.d/10.conflist", LIST);
	ck_assert_int_eq(changed(), 1);
	changed();
	put("old/b/net.d/10.conflist", LIST); /* not ours any more */
	ck_assert_int_eq(changed(), 0);
}
END_TEST

START_TEST(a_link_that_is_swapped_is_noticed)
{
	ck_assert_int_eq(rmdir(at("conf")), 0);
	ck_assert_int_eq(mkdir(at("conf.1"), 0700), 0);
	ck_assert_int_eq(mkdir(at("conf.2"), 0700), 0);
	ck_assert_int_eq(symlink(at("conf.1"), at("conf")), 0);
	start();
	put("conf.1/10.conflist", LIST);
	ck_assert_int_eq(changed(), 1);
	ck_assert_int_eq(symlink(at("conf.2"), at("new")), 0);
	ck_assert_int_eq(rename(at("new"), at("conf")), 0);
	ck_assert_int_eq(changed(), 1);
	put("conf.2/10.conflist", LIST);
	ck_assert_int_eq(changed(), 1);
}
END_TEST

START_TEST(the_folder_of_a_loaded_list_counts)
{
	int now;

	put("conf/10.conflist", LIST);
	ck_assert_int_eq(cnic_reload(c, NULL), 0);
	start();
	ck_assert_int_eq(mkdir(at("conf/n"), 0700), 0);
	ck_assert_int_eq(changed(), 1);
	ck_assert_int_eq(cnic_watch_dispatch(w, &now, NULL), 0);
	put("conf/n/more.conf", "{\"type\":\"one\"}");
	ck_assert_int_eq(changed(), 1);
}
END_TEST

START_TEST(a_file_where_a_directory_should_be_is_waited_out)
{
	ck_assert_int_eq(rmdir(at("conf")), 0);
	put("conf", "");
	start();
	ck_assert_int_eq(unlink(at("conf")), 0);
	ck_assert_int_eq(mkdir(at("conf"), 0700), 0);
	ck_assert_int_eq(changed(), 1);
	put("conf/10.conflist", LIST);
	ck_assert_int_eq(changed(), 1);
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
	int now;

	ck_assert_int_eq(cnic_watch_new(NULL, &w, NULL), -EINVAL);
	ck_assert_int_eq(cnic_watch_new(c, NULL, NULL), -EINVAL);
	ck_assert_int_eq(cnic_watch_dispatch(NULL, &now, NULL), -EINVAL);
	ck_assert_int_eq(cnic_watch_fd(NULL), -1);
	ck_assert_ptr_null(cnic_watch_free(NULL));
}
END_TEST

RUN_TESTS_WITH("watch", setup, teardown, files_that_come_change_and_go_are_noticed,
	       a_directory_that_is_not_there_yet_is_noticed_with_what_is_in_it,
	       a_directory_that_is_made_anew_is_watched_again, a_parent_that_is_renamed_away_is_noticed,
	       a_link_that_is_swapped_is_noticed, the_folder_of_a_loaded_list_counts,
	       a_file_where_a_directory_should_be_is_waited_out, wrong_arguments_are_refused)
