/* SPDX-License-Identifier: Apache-2.0 */
/* What an arena promises: alignment, zeroes, distinct memory of any size, one mark for all failures. */
#include <stdint.h>
#include <string.h>
#include <cbase/arena.h>
#include "main.h"

START_TEST(allocations_are_zeroed_and_aligned_after_texts)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	for (size_t i = 1; i < 200; i++) {
		char *s = arena_strndup(&a, "0123456789", i % 11);
		uint64_t *n = arena_alloc(&a, i);

		ck_assert_uint_eq(strlen(s), i % 11);
		ck_assert_uint_eq((uintptr_t)n % sizeof(*n), 0);
		for (size_t j = 0; j < i; j++)
			ck_assert_int_eq(((char *)n)[j], 0);
		memset(n, 0xff, i);
		ck_assert_int_eq(s[i % 11], '\0');
	}
	ck_assert(!arena_failed(&a));
}
END_TEST

START_TEST(nothing_overlaps)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	unsigned char *p[300];

	for (size_t i = 0; i < 300; i++) {
		p[i] = arena_alloc(&a, i * i % 3001 + 1);
		memset(p[i], (int)(i & 0xff), i * i % 3001 + 1);
	}
	for (size_t i = 0; i < 300; i++)
		for (size_t j = 0; j < i * i % 3001 + 1; j++)
			ck_assert_uint_eq(p[i][j], i & 0xff);
}
END_TEST

START_TEST(texts_keep_their_nul_bytes)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char *s = arena_strndup(&a, "a\0b", 3);

	ck_assert_mem_eq(s, "a\0b", 4);
	ck_assert_str_eq(arena_printf(&a, "%s-%d", "x", 7), "x-7");
	ck_assert_ptr_null(arena_strdup(&a, NULL));
	ck_assert(!arena_failed(&a));
}
END_TEST

START_TEST(failure_is_for_good)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	ck_assert_ptr_nonnull(arena_alloc(&a, 8));
	ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
	ck_assert_ptr_null(arena_alloc(&a, 8));
	ck_assert_ptr_null(arena_strndup(&a, "x", 1));
	ck_assert_ptr_null(arena_strndup(&a, "x", SIZE_MAX));
	ck_assert(arena_failed(&a));
}
END_TEST

static void add(TCase *c)
{
	tcase_add_test(c, allocations_are_zeroed_and_aligned_after_texts);
	tcase_add_test(c, nothing_overlaps);
	tcase_add_test(c, texts_keep_their_nul_bytes);
	tcase_add_test(c, failure_is_for_good);
}

int main(void)
{
	return run_case("arena", add);
}
