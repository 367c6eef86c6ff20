/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/wait.h>
#include "unit.h"

/* What another program, with the classic locks that Go uses, could get now; in a process of its own. */
static short classic(const char *path, short want)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct flock fl = { .l_type = want, .l_whence = SEEK_SET };
		int fd = open(path, O_RDWR);

		if (fd < 0 || fcntl(fd, F_GETLK, &fl) < 0)
			_exit(100);
		_exit(fl.l_type);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return (short)WEXITSTATUS(status);
}

START_TEST(locks_are_seen_by_programs_with_classic_locks)
{
	struct lockfile l;

	ok(lockfile_init(&l, at("deep/dir/x.lock")));
	ok(lockfile_acquire(&l, LOCK_SHARED, &err));
	ck_assert_int_eq(classic(l.path, F_RDLCK), F_UNLCK);
	ck_assert_int_eq(classic(l.path, F_WRLCK), F_RDLCK);
	lockfile_release(&l);
	ok(lockfile_acquire(&l, LOCK_EXCLUSIVE, &err));
	ck_assert_int_eq(classic(l.path, F_RDLCK), F_WRLCK);
	lockfile_release(&l);
	ck_assert_int_eq(classic(l.path, F_WRLCK), F_UNLCK);
	lockfile_done(&l);
}
END_TEST

START_TEST(closing_another_descriptor_does_not_lose_the_lock)
{
	struct lockfile l;

	ok(lockfile_init(&l, at("x.lock")));
	ok(lockfile_acquire(&l, LOCK_EXCLUSIVE, &err));
	close(open(l.path, O_RDWR));
	ck_assert_int_eq(classic(l.path, F_RDLCK), F_WRLCK);
	lockfile_release(&l);
	lockfile_done(&l);
}
END_TEST

START_TEST(the_record_of_the_last_writer_is_64_bytes_and_always_new)
{
	struct last_write none, first, second, got;
	struct lockfile l;
	struct stat st;

	ok(lockfile_init(&l, at("x.lock")));
	ok(lockfile_acquire(&l, LOCK_EXCLUSIVE, &err));
	ok(lockfile_read(&l, &none, &err));
	ck_assert_int_eq(none.len, 0);
	ck_assert(last_write_same(&none, &none));	/* nothing written is a state too */
	ok(lockfile_record_write(&l, &first, &err));
	ok(lockfile_read(&l, &got, &err));
	ck_assert(last_write_same(&first, &got));
	ck_assert(!last_write_same(&none, &got));
	ok(lockfile_record_write(&l, &second, &err));
	ck_assert(!last_write_same(&first, &second));
	ck_assert_int_eq(fstat(l.fd, &st), 0);
	ck_assert_int_eq(st.st_size, 64);
	lockfile_release(&l);
	lockfile_done(&l);
	first.len = -1;
	ck_assert(!last_write_same(&first, &first));
}
END_TEST

START_TEST(a_reader_that_may_not_write_can_lock)
{
	struct lockfile l;

	put(at("x.lock"), "");
	chmod(at("x.lock"), 0444);
	ok(lockfile_init(&l, at("x.lock")));
	ok(lockfile_acquire(&l, LOCK_SHARED, &err));
	lockfile_release(&l);
	lockfile_done(&l);
}
END_TEST

START_TEST(trying_gets_a_free_lock_only)
{
	int dir = open(scratch, O_RDONLY | O_DIRECTORY), fd, other;

	ck_assert_int_eq(lock_try_at(dir, "l", 0, &fd), -ENOENT);
	ok(lock_try_at(dir, "l", O_CREAT | O_EXCL, &fd));
	ck_assert_int_eq(lock_try_at(dir, "l", 0, &other), -EAGAIN);
	ck_assert_int_eq(lock_try_at(dir, "l", O_CREAT | O_EXCL, &other), -EEXIST);
	close(fd);
	ok(lock_try_at(dir, "l", 0, &fd));
	close(fd);
	close(dir);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("lockfile"), *all[] = { t };

	tcase_add_checked_fixture(t, scratch_setup, scratch_teardown);
	tcase_add_test(t, locks_are_seen_by_programs_with_classic_locks);
	tcase_add_test(t, closing_another_descriptor_does_not_lose_the_lock);
	tcase_add_test(t, the_record_of_the_last_writer_is_64_bytes_and_always_new);
	tcase_add_test(t, a_reader_that_may_not_write_can_lock);
	tcase_add_test(t, trying_gets_a_free_lock_only);
	return run_suite("lockfile", all, 1);
}
