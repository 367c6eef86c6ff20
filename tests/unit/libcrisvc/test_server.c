/* SPDX-License-Identifier: Apache-2.0 */
/* Turns, calls, methods, goodbyes, and answers of many threads. */
#include "server_case.h"

/* ---- the descriptor ---- */

START_TEST(descriptor_is_readable_when_there_is_work)
{
	struct crisvc_call *c;
	int fd;

	turn();
	ck_assert(!readable(crisvc_server_get_fd(server), 0));
	fd = dial_and_call();
	ck_assert(readable(crisvc_server_get_fd(server), 0));
	turn();
	ck_assert(!readable(crisvc_server_get_fd(server), 0));
	c = pop();
	ck_assert_ptr_null(crisvc_server_pop_call(server));
	ck_assert(!readable(crisvc_server_get_fd(server), 0));
	ck_assert_int_eq(crisvc_call_reply(c, "a", 1), 0);
	ck_assert(readable(crisvc_server_get_fd(server), 0));
	turn();
	expect_reply(fd, "a");
	ck_assert_uint_eq(crisvc_server_pending(server), 0);
	close_fd(fd);
	turn();
	ck_assert_uint_eq(server->conns.n, 0);
}
END_TEST

START_TEST(answers_between_pops_go_out_with_the_last)
{
	int a = dial_and_call(), b = dial_and_call();

	turn();
	ck_assert_int_eq(crisvc_call_reply(pop(), "1", 1), 0);
	ck_assert_int_eq(crisvc_call_reply(pop(), "2", 1), 0);
	ck_assert(!readable(crisvc_server_get_fd(server), 0));
	ck_assert_ptr_null(crisvc_server_pop_call(server));
	expect_reply(a, "1");
	expect_reply(b, "2");
	ck_assert(!readable(crisvc_server_get_fd(server), 0));
	close_fd(a);
	close_fd(b);
}
END_TEST

static void *answer_call(void *call)
{
	crisvc_call_reply(call, "thread", 6);
	return NULL;
}

START_TEST(answer_of_a_thread_wakes_the_descriptor)
{
	int fd = dial_and_call();
	pthread_t t;

	turn();
	ck_assert_int_eq(pthread_create(&t, NULL, answer_call, pop()), 0);
	ck_assert(readable(crisvc_server_get_fd(server), 10000));
	turn();
	pthread_join(t, NULL);
	expect_reply(fd, "thread");
	close_fd(fd);
}
END_TEST

START_TEST(deadline_makes_the_descriptor_readable)
{
	_cleanup_str_ struct str out = STR_INIT;
	int fd = dial_and_greet();
	struct reader r;
	struct frame f;

	fake_now = real_now(); /* that of the timerfd */
	put_request(&out, 1, 0, PATH, "grpc-timeout", "20m", NULL);
	put_message(&out, 1, END_STREAM, "", 0);
	say(fd, &out);
	turn();
	ck_assert(!readable(crisvc_server_get_fd(server), 0));
	ck_assert(readable(crisvc_server_get_fd(server), 10000));
	fake_now += SECOND_NS;
	reader_init(&r);
	crisvc_call_fail(pop(), CRISVC_CANCELLED, "too late");
	turn();
	ck_assert(hear(fd, &r));
	ck_assert(reader_next_important(&r, &f));
	ck_assert_uint_eq(f.type, F_HEADERS);
	ck_assert_ptr_nonnull(strstr(r.headers.data, "grpc-status: 4\n"));
	reader_done(&r);
	close_fd(fd);
}
END_TEST

START_TEST(client_that_leaves_cancels_its_call_and_frees_its_connection)
{
	struct crisvc_call *c;
	int fd = dial_and_call();

	turn();
	c = pop();
	close_fd(fd);
	turn();
	ck_assert_uint_eq(cancelled, 1);
	ck_assert_uint_eq(server->conns.n, 0);
	ck_assert_uint_eq(crisvc_server_pending(server), 1);
	ck_assert_int_eq(crisvc_call_reply(c, "x", 1), 0);
	turn();
	ck_assert_uint_eq(crisvc_server_pending(server), 0);
	ck_assert_uint_eq(server->host.box.n_calls, 0);
}
END_TEST

START_TEST(server_can_be_freed_with_calls_in_every_state)
{
	int a = dial_and_call(), b = dial_and_call(), c = dial_and_call(), d = dial();

	turn();
	crisvc_call_reply(pop(), "answered", 8);
	pop();
	server = crisvc_server_free(server);
	ck_assert_uint_eq(cancelled, 0);
	ck_assert(closed(a) && closed(b) && closed(c) && closed(d));
	close_fd(a);
	close_fd(b);
	close_fd(c);
	close_fd(d);
}
END_TEST

/* ---- goodbye ---- */

START_TEST(drain_refuses_new_connections_and_finishes_calls)
{
	int fd = dial_and_call(), late = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	turn();
	ck_assert_int_eq(crisvc_server_drain(server), 0);
	ck_assert(readable(crisvc_server_get_fd(server), 0));
	turn();
	ck_assert_int_lt(connect(late, (struct sockaddr *)&addr, sizeof(sa_family_t) + 6), 0);
	ck_assert_int_eq(errno, ECONNREFUSED);
	fake_now += LIMIT_DRAIN_NS;
	turn();
	ck_assert_uint_eq(server->conns.n, 1);
	crisvc_call_reply(pop(), "last words", 10);
	turn();
	ck_assert_uint_eq(server->conns.n, 0);
	ck_assert_uint_eq(crisvc_server_pending(server), 0);
	ck_assert_int_eq(crisvc_server_listen(server, late), -EINVAL);
	close_fd(late);
	close_fd(fd);
}
END_TEST

/* ---- arguments ---- */

START_TEST(only_listening_stream_sockets_are_taken)
{
	int dgram = make_listener(SOCK_DGRAM), quiet = make_listener(SOCK_STREAM),
	    packet = make_listener(SOCK_SEQPACKET);

	listen(packet, 1);
	ck_assert_int_eq(crisvc_server_listen(server, dgram), -EINVAL);
	ck_assert_int_eq(crisvc_server_listen(server, quiet), -EINVAL);
	ck_assert_int_eq(crisvc_server_listen(server, packet), -EINVAL);
	ck_assert_int_eq(crisvc_server_listen(server, -1), -EBADF);
	/* they are still ours */
	ck_assert_int_eq(close(dgram) | close(quiet) | close(packet), 0);
}
END_TEST

START_TEST(methods_are_paths_and_unique)
{
	ck_assert_int_eq(crisvc_server_add_method(server, "a.B/C", NULL), -EINVAL);
	ck_assert_int_eq(crisvc_server_add_method(server, NULL, NULL), -EINVAL);
	ck_assert_int_eq(crisvc_server_add_method(server, PATH, NULL), -EEXIST);
	ck_assert_int_eq(crisvc_server_add_method(server, "/a.B/A", NULL), 0);
	ck_assert_int_eq(crisvc_server_set_max_message(server, (size_t)1 << 40, 1), -EINVAL);
}
END_TEST

START_TEST(null_server_is_harmless)
{
	ck_assert_ptr_null(crisvc_server_free(NULL));
	ck_assert_ptr_null(crisvc_server_pop_call(NULL));
	ck_assert_int_eq(crisvc_server_dispatch(NULL), -EINVAL);
	ck_assert_int_eq(crisvc_server_drain(NULL), -EINVAL);
	ck_assert_uint_eq(crisvc_server_pending(NULL), 0);
	ck_assert_int_eq(crisvc_server_new(NULL), -EINVAL);
	ck_assert_int_eq(crisvc_call_reply(NULL, "", 0), -EINVAL);
	ck_assert_int_eq(crisvc_call_fail(NULL, 1, ""), -EINVAL);
}
END_TEST

/* ---- threads against leaving clients ---- */

#define WORKERS 4
#define ROUNDS 400

/* One call in the hands of the application. */
struct job {
	struct crisvc_call *call;
	atomic_bool answered;
};

static struct job jobs[ROUNDS];
static atomic_int next_job, n_jobs;
static atomic_int told_late;

static void told(void *user)
{
	struct job *job = user;

	if (atomic_load(&job->answered))
		atomic_fetch_add(&told_late, 1);
}

static void *work(void *unused)
{
	int i = 0;

	while ((i = atomic_fetch_add(&next_job, 1)) < ROUNDS) {
		while (i >= atomic_load(&n_jobs))
			sched_yield();
		ck_assert_int_eq(crisvc_call_reply(jobs[i].call, "x", 1), 0);
		/* from here on nobody may be told */
		atomic_store(&jobs[i].answered, true);
	}
	return NULL;
}

START_TEST(nobody_is_told_of_a_cancel_after_the_answer)
{
	pthread_t threads[WORKERS];
	struct crisvc_call *c;
	int fd, n;

	for (int i = 0; i < WORKERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, NULL), 0);
	for (n = 0; n < ROUNDS;) {
		fd = dial_and_call();
		ck_assert_int_eq(crisvc_server_dispatch(server), 0);
		ck_assert_int_eq(crisvc_server_dispatch(server), 0);
		while ((c = crisvc_server_pop_call(server))) {
			jobs[n].call = c;
			crisvc_call_on_cancel(c, told, &jobs[n]);
			atomic_store(&n_jobs, ++n);
		}
		close_fd(fd);
		ck_assert_int_eq(crisvc_server_dispatch(server), 0);
	}
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	turn();
	ck_assert_int_eq(atomic_load(&told_late), 0);
	ck_assert_uint_eq(server->host.box.n_calls, 0);
	ck_assert_uint_eq(server->conns.n, 0);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		descriptor_is_readable_when_there_is_work,
		answers_between_pops_go_out_with_the_last,
		answer_of_a_thread_wakes_the_descriptor,
		deadline_makes_the_descriptor_readable,
		client_that_leaves_cancels_its_call_and_frees_its_connection,
		server_can_be_freed_with_calls_in_every_state,
		drain_refuses_new_connections_and_finishes_calls,
		only_listening_stream_sockets_are_taken,
		methods_are_paths_and_unique,
		null_server_is_harmless,
		nobody_is_told_of_a_cancel_after_the_answer,
	};

	return run_cases("server", tests, ARRAY_SIZE(tests));
}
