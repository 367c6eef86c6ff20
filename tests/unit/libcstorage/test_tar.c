/* SPDX-License-Identifier: Apache-2.0 */
/* Layer archives, friendly and hostile. Everything accepted must come out of tree and tar-split again, bit for bit. */
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "unit.h"

static struct stat stat_of(const char *path)
{
	struct stat st;

	ck_assert_msg(lstat(at("tree/%s", path), &st) == 0, "%s does not exist", path);
	return st;
}

static void has_text(const char *path, const char *text)
{
	_cleanup_free_ char *got = get(at("tree/%s", path));

	ck_assert_str_eq(got, text);
}

static void links_to(const char *path, const char *target)
{
	char buf[5000];
	ssize_t n = readlink(at("tree/%s", path), buf, sizeof(buf) - 1);

	ck_assert_int_ge(n, 0);
	buf[n] = '\0';
	ck_assert_str_eq(buf, target);
}

static bool is_whited_out(const char *path)
{
	struct stat st = stat_of(path);

	return S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
}

static bool is_opaque(const char *path)
{
	char v[8];

	return getxattr(at("tree/%s", path), "trusted.overlay.opaque", v, sizeof(v)) == 1 && v[0] == 'y';
}

/* ---- what layers are made of ---- */

START_TEST(every_kind_of_member_is_made)
{
	extracts(TAR({ '5', "etc/", .mode = 0750, .uid = 3, .gid = 4, .mtime = 1000 },
		     { 0, "etc/passwd", .content = "root\n", .mode = 04755, .uid = 5, .gid = 6, .mtime = 2000 },
		     { '2', "etc/link", "../../../etc/passwd", .uid = 7, .mtime = 3000 },
		     { '1', "etc/hard", "etc/passwd" },
		     { '3', "null", .major = 1, .minor = 3, .mode = 0666 },
		     { '4', "disk", .major = 8, .minor = 17, .mode = 0660, .gid = 6 },
		     { '6', "fifo", .mode = 0600 },
		     { 0, "empty", }));
	struct stat st = stat_of("etc");

	ck_assert_int_eq(st.st_mode, S_IFDIR | 0750);
	ck_assert_int_eq(st.st_uid, 3);
	ck_assert_int_eq(st.st_gid, 4);
	ck_assert_int_eq(st.st_mtime, 1000);	/* although it was filled afterwards */
	st = stat_of("etc/passwd");
	ck_assert_int_eq(st.st_mode, S_IFREG | 04755);
	ck_assert_int_eq(st.st_uid, 5);
	ck_assert_int_eq(st.st_mtime, 2000);
	ck_assert_int_eq(st.st_nlink, 2);
	ck_assert_int_eq(stat_of("etc/hard").st_ino, st.st_ino);
	has_text("etc/passwd", "root\n");
	links_to("etc/link", "../../../etc/passwd");
	ck_assert_int_eq(stat_of("etc/link").st_uid, 7);
	ck_assert_int_eq(stat_of("etc/link").st_mtime, 3000);
	ck_assert_int_eq(stat_of("null").st_rdev, makedev(1, 3));
	ck_assert_int_eq(stat_of("null").st_mode, S_IFCHR | 0666);
	ck_assert_int_eq(stat_of("disk").st_rdev, makedev(8, 17));
	ck_assert_int_eq(stat_of("fifo").st_mode, S_IFIFO | 0600);
	ck_assert_int_eq(stat_of("empty").st_size, 0);
}
END_TEST

START_TEST(names_are_cleaned_and_dot_is_the_root)
{
	extracts(TAR({ '5', "./", .mode = 0700, .uid = 9 }, { 0, "./a//b/../c", .content = "x" }, { 0, "/rooted", .content = "y" },
		     { 0, "/../../up", .content = "z" }));
	has_text("a/c", "x");
	has_text("rooted", "y");
	has_text("up", "z");
	struct stat st = stat_of(".");

	ck_assert_int_eq(st.st_uid, geteuid());	/* the root's attributes are not the archive's to set */
	ck_assert(!exists(at("tree/a/b")));
}
END_TEST

START_TEST(directories_that_are_not_listed_are_roots_and_not_writable_by_others)
{
	extracts(TAR({ 0, "a/b/c/file", .content = "x", .uid = 1000 }));
	struct stat st = stat_of("a/b");

	ck_assert_int_eq(st.st_mode, S_IFDIR | 0755);
	ck_assert_int_eq(st.st_uid, 0);
}
END_TEST

START_TEST(long_names_of_gnu_and_pax_are_read)
{
	char name[400], link[300];
	struct str tar = STR_INIT;

	memset(name, 'n', sizeof(name));
	name[150] = name[300] = '/';
	name[399] = '\0';
	memset(link, 'l', sizeof(link));
	link[299] = '\0';
	tar_put(&tar, &(struct entry){ '2', name, link });
	name[0] = 'p';
	_cleanup_free_ char *rec = strf("path=%s", name);

	tar_pax(&tar, rec, "mtime=1234.000000005", "uid=70000", NULL);
	tar_put(&tar, &(struct entry){ 0, "short", .content = "pax" });
	tar_end(&tar);
	extracts(tar);
	has_text(name, "pax");
	ck_assert_int_eq(stat_of(name).st_mtim.tv_sec, 1234);
	ck_assert_int_eq(stat_of(name).st_mtim.tv_nsec, 5);
	ck_assert_int_eq(stat_of(name).st_uid, 70000);
	name[0] = 'n';
	links_to(name, link);
}
END_TEST

/* What one reader takes for a name, size or type and the other not: nobody knows what such a layer is. */
START_TEST(what_two_readers_read_differently_is_refused)
{
	struct str tar = STR_INIT;

	/* Go: the GNU name; libarchive: the PAX path */
	tar_pax(&tar, "path=from-pax", NULL);
	tar_put(&tar, &(struct entry){ 'L', "././@LongLink", .content = "from-gnu", .len = 9 });
	tar_put(&tar, &(struct entry){ 0, "from-header", .content = "x" });
	tar_end(&tar);
	refuses(tar, CSTORE_E_INVALID, "libarchive");
	/* a file for Go, a directory for libarchive */
	refuses(TAR({ '0', "looks-like-a-directory/", .content = "x" }), CSTORE_E_INVALID, "libarchive");
	/* more extension headers than libarchive reads */
	tar = (struct str)STR_INIT;
	for (int i = 0; i < 40; i++)
		tar_pax(&tar, "comment=x", NULL);
	tar_put(&tar, &(struct entry){ 0, "x" });
	tar_end(&tar);
	refuses(tar, CSTORE_E_INVALID, "libarchive");
}
END_TEST

/* A tar within the content, or what is skipped, is not read as members by either. */
START_TEST(content_that_looks_like_an_archive_is_content)
{
	struct str inner = TAR({ 0, "inner", .content = "x" }), tar = STR_INIT;

	tar_put(&tar, &(struct entry){ 0, "outer.tar", .content = inner.data, .len = inner.len });
	tar_put(&tar, &(struct entry){ 0, "after", .content = "y" });
	tar_end(&tar);
	str_done(&inner);
	extracts(tar);
	has_text("after", "y");
	ck_assert_uint_eq(count_entries(at("tree")), 2);
}
END_TEST

START_TEST(ustar_prefixes_are_joined)
{
	struct str tar = STR_INIT;

	tar_put(&tar, &(struct entry){ 0, "name", .content = "x" });
	memcpy(tar.data + 257, "ustar\0" "00", 8);
	memcpy(tar.data + 345, "pre/fix", 7);
	tar_checksum(&tar, 0);
	tar_end(&tar);
	extracts(tar);
	has_text("pre/fix/name", "x");
}
END_TEST

START_TEST(numbers_in_base_256_are_read)
{
	struct str tar = STR_INIT;

	tar_put(&tar, &(struct entry){ 0, "f", .content = "12345" });
	memcpy(tar.data + 124, "\x80\0\0\0\0\0\0\0\0\0\0\x05", 12);
	memcpy(tar.data + 108, "\x80\0\0\0\0\x01\x86\xa0", 8);
	tar_checksum(&tar, 0);
	tar_end(&tar);
	extracts(tar);
	has_text("f", "12345");
	ck_assert_int_eq(stat_of("f").st_uid, 100000);
}
END_TEST

START_TEST(names_that_are_not_utf8_survive)
{
	extracts(TAR({ 0, "caf\xe9", .content = "latin" }, { 0, "<&>\"\xe2\x80\xa8", .content = "escaped" }, { 0, "new\nline", .content = "n" }));
	has_text("caf\xe9", "latin");
	has_text("new\nline", "n");
}
END_TEST

START_TEST(large_content_and_odd_sizes_come_out_whole)
{
	static char big[3 << 20];
	struct str tar = STR_INIT;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 2654435761u >> 24);
	tar_put(&tar, &(struct entry){ 0, "big", .content = big, .len = sizeof(big) - 1 });
	tar_put(&tar, &(struct entry){ 0, "block", .content = big, .len = 512 });
	tar_put(&tar, &(struct entry){ 0, "odd", .content = big, .len = 513 });
	tar_end(&tar);
	str_append_mem(&tar, big, 2 << 20);	/* more padding than one segment holds */
	extracts(tar);
	ck_assert_int_eq(stat_of("big").st_size, sizeof(big) - 1);
}
END_TEST

START_TEST(archives_may_end_in_three_ways)
{
	struct str none = TAR({ 0, "f", .content = "x" }), one = TAR({ 0, "f", .content = "x" }), empty = STR_INIT;

	none.len -= 1024;
	one.len -= 512;
	extracts(none);
	extracts(one);
	str_append(&empty, "");
	ok(extract(empty, NULL));
}
END_TEST

START_TEST(users_and_groups_are_collected_without_those_of_whiteouts)
{
	struct apply_result res = { .uids = NULL };

	ok(extract(TAR({ '5', "d/", .uid = 7, .gid = 1 }, { 0, "d/a", .uid = 3, .gid = 1 }, { 0, "d/b", .uid = 7, .gid = 2 },
		       { 0, "d/.wh.gone", .uid = 99, .gid = 99 }), &res));
	ck_assert_uint_eq(res.uid_count, 2);
	ck_assert_int_eq(res.uids[0], 3);
	ck_assert_int_eq(res.uids[1], 7);
	ck_assert_uint_eq(res.gid_count, 2);
	ck_assert_int_eq(res.gids[1], 2);
	free(res.uids);
	free(res.gids);
}
END_TEST

START_TEST(extended_attributes_are_set_but_for_overlays_own)
{
	struct str tar = STR_INIT;
	char v[64];

	tar_pax(&tar, "SCHILY.xattr.user.a=1", "SCHILY.xattr.trusted.t=22", "SCHILY.xattr.trusted.overlay.redirect=/etc",
		"SCHILY.xattr.user.overlay.opaque=y", "SCHILY.xattr.security.selinux=x", NULL);
	tar_put(&tar, &(struct entry){ 0, "f", .content = "x" });
	tar_pax(&tar, "SCHILY.xattr.trusted.dir=d", "SCHILY.xattr.trusted.overlay.opaque=y", NULL);
	tar_put(&tar, &(struct entry){ '5', "d/", .mode = 0755 });
	tar_pax(&tar, "SCHILY.xattr.trusted.on-link=l", NULL);
	tar_put(&tar, &(struct entry){ '2', "l", "f" });
	tar_put(&tar, &(struct entry){ 0, "plain", .content = "x" });
	tar_end(&tar);
	extracts(tar);
	ck_assert_int_eq(getxattr(at("tree/f"), "trusted.t", v, sizeof(v)), 2);
	ck_assert_int_eq(getxattr(at("tree/f"), "user.a", v, sizeof(v)), 1);
	ck_assert_int_lt(getxattr(at("tree/f"), "trusted.overlay.redirect", v, sizeof(v)), 0);
	ck_assert_int_lt(getxattr(at("tree/f"), "user.overlay.opaque", v, sizeof(v)), 0);
	ck_assert_int_eq(getxattr(at("tree/d"), "trusted.dir", v, sizeof(v)), 1);
	ck_assert(!is_opaque("d"));
	ck_assert_int_eq(lgetxattr(at("tree/l"), "trusted.on-link", v, sizeof(v)), 1);
	ck_assert_int_lt(getxattr(at("tree/plain"), "trusted.t", v, sizeof(v)), 0);
}
END_TEST

START_TEST(file_capabilities_survive_the_change_of_owner)
{
	static const char rec[] = "SCHILY.xattr.security.capability=\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0";
	_cleanup_str_ struct str records = STR_INIT;
	struct str tar = STR_INIT;
	char v[64];

	pax_record(&records, rec, sizeof(rec));
	tar_raw_pax(&tar, records.data, records.len);
	tar_put(&tar, &(struct entry){ 0, "ping", .content = "x", .mode = 0755, .uid = 1 });
	tar_end(&tar);
	extracts(tar);
	ck_assert_int_eq(getxattr(at("tree/ping"), "security.capability", v, sizeof(v)), 20);
}
END_TEST

/* ---- whiteouts ---- */

START_TEST(whiteouts_become_what_overlayfs_knows)
{
	extracts(TAR({ '5', "d/", .mode = 0755 }, { 0, "d/.wh..wh..opq" }, { 0, "d/.wh.gone", .uid = 4 }, { 0, ".wh.top" },
		     { 0, "unlisted/.wh..wh..opq" }, { '1', ".wh.hard", ".wh..wh.aufs" }));
	ck_assert(is_opaque("d"));
	ck_assert(is_whited_out("d/gone"));
	ck_assert_int_eq(stat_of("d/gone").st_uid, 4);
	ck_assert(is_whited_out("top"));
	ck_assert(is_whited_out("hard"));
	ck_assert(is_opaque("unlisted"));
	ck_assert(!exists(at("tree/d/.wh..wh..opq")));
	ck_assert(!exists(at("tree/d/.wh.gone")));
}
END_TEST

START_TEST(a_whiteout_leaves_what_its_own_layer_has)
{
	extracts(TAR({ 0, "f", .content = "mine" }, { 0, ".wh.f" }, { '5', "d/", .mode = 0755 }, { 0, "d/x", .content = "x" }, { 0, ".wh.d" }));
	has_text("f", "mine");
	has_text("d/x", "x");
	ck_assert(is_opaque("d"));
}
END_TEST

START_TEST(a_directory_over_its_whiteout_hides_the_lower_one)
{
	extracts(TAR({ 0, ".wh.d" }, { '5', "d/", .mode = 0755 }, { 0, "d/x", .content = "x" }, { 0, ".wh.f" }, { 0, "f", .content = "new" }));
	ck_assert(is_opaque("d"));
	has_text("d/x", "x");
	has_text("f", "new");
}
END_TEST

START_TEST(a_whiteout_below_a_whiteout_says_nothing_new)
{
	extracts(TAR({ 0, ".wh.foo" }, { 0, "foo/.wh.bar" }));
	ck_assert(is_whited_out("foo"));
}
END_TEST

START_TEST(other_marks_of_aufs_are_skipped)
{
	extracts(TAR({ '5', ".wh..wh.plnk/", .mode = 0700 }, { 0, ".wh..wh.aufs" }));
	ck_assert_uint_eq(count_entries(at("tree")), 0);
}
END_TEST

START_TEST(whiteouts_of_dots_or_with_content_are_refused)
{
	refuses(TAR({ 0, "d/.wh..." }), CSTORE_E_INVALID, "d/.wh...");
	refuses(TAR({ 0, ".wh.." }), CSTORE_E_INVALID, ".wh..");
	refuses(TAR({ 0, ".wh." }), CSTORE_E_INVALID, ".wh.");
	refuses(TAR({ 0, ".wh.f", .content = "x" }), CSTORE_E_INVALID, "content");
}
END_TEST

/* ---- ways out ---- */

START_TEST(names_that_lead_out_are_refused)
{
	refuses(TAR({ 0, "../canary", .content = "dead" }), CSTORE_E_INVALID, "leads out");
	refuses(TAR({ 0, "a/../../canary", .content = "dead" }), CSTORE_E_INVALID, "leads out");
	refuses(TAR({ '5', ".." }), CSTORE_E_INVALID, "leads out");
	refuses(TAR({ '1', "h", "../canary" }), CSTORE_E_INVALID, "h");
	refuses(TAR({ 0, "../.wh.canary" }), CSTORE_E_INVALID, "leads out");
}
END_TEST

START_TEST(links_lead_nowhere_but_into_the_layer)
{
	_cleanup_free_ char *out = strf("%s/canary", scratch), *dir = strdup(scratch);

	/* an absolute link: the directory is made inside, where the link points to seen from the layer */
	refuses(TAR({ '2', "l", dir }, { 0, "l/canary", .content = "dead" }), CSTORE_E_INVALID, "l/canary");
	/* one that climbs ends at the layer's root */
	extracts(TAR({ '2', "l", "../.." }, { 0, "l/canary", .content = "dead" }));
	has_text("canary", "dead");
	/* a file over a link replaces the link */
	extracts(TAR({ '2', "a", out }, { '2', "b", "a" }, { 0, "c/../d", .content = "1" }));
	links_to("a", out);
	/* a hard link to a link is a link, and opening through it is not possible */
	extracts(TAR({ '2', "a", out }, { '1', "b", "a" }));
	links_to("b", out);
	refuses(TAR({ '2', "a", out }, { '1', "b", "a" }, { 0, "b/x", .content = "dead" }), CSTORE_E_INVALID, "b/x");
}
END_TEST

START_TEST(links_inside_the_layer_are_followed_for_directories)
{
	extracts(TAR({ '5', "usr/bin/", .mode = 0755 }, { '2', "bin", "/usr/bin" }, { 0, "bin/sh", .content = "x" }, { '2', "up", "../../usr" },
		     { 0, "up/y", .content = "y" }));
	has_text("usr/bin/sh", "x");
	has_text("usr/y", "y");
}
END_TEST

START_TEST(a_hard_link_cannot_take_a_file_from_outside)
{
	refuses(TAR({ '2', "l", "/" }, { '1', "h", "l/../../canary" }), CSTORE_E_INVALID, "h");
	refuses(TAR({ '1', "h", "/etc/passwd" }), CSTORE_E_INVALID, "h");
	refuses(TAR({ '2', "l", "/etc" }, { '1', "h", "l/passwd" }), CSTORE_E_INVALID, "h");
	refuses(TAR({ '5', "d/" }, { '1', "h", "d" }), CSTORE_E_INVALID, "h");
	refuses(TAR({ '1', "h", "" }), CSTORE_E_INVALID, "h");
	refuses(TAR({ '1', "h", "h" }), CSTORE_E_INVALID, "h");
}
END_TEST

START_TEST(loops_of_links_are_refused)
{
	refuses(TAR({ '2', "a", "b" }, { '2', "b", "a" }, { 0, "a/x", .content = "x" }), CSTORE_E_INVALID, "a/x");
	refuses(TAR({ '2', "proc", "/proc/self/root" }, { 0, "proc/tmp/x", .content = "x" }), CSTORE_E_INVALID, "proc/tmp/x");
}
END_TEST

START_TEST(a_link_that_replaced_the_open_directory_is_not_written_through)
{
	/* s -> ".", so s/s is s itself: once it is a file, s/x has no directory */
	refuses(TAR({ '2', "s", "." }, { 0, "s/s", .content = "file" }, { 0, "s/x", .content = "x" }), CSTORE_E_INVALID, "s/x");
}
END_TEST

START_TEST(two_ways_to_one_file_keep_the_later)
{
	extracts(TAR({ '5', "d/", .mode = 0755 }, { '2', "l", "d" }, { '5', "l/sub/", .mode = 0700 }, { '6', "l/sub/f" }));
	/* over what is there: a tree under a name that a link leads to goes as a whole, and only it */
	ok(extract(TAR({ '5', "d/sub/", .mode = 0755 }, { 0, "d/sub/x", .content = "1" }, { 0, "d/y", .content = "2" }, { '2', "l", "d" },
		       { 0, "l/sub", .content = "file now" }), NULL));
	has_text("d/sub", "file now");
	has_text("d/y", "2");
}
END_TEST

START_TEST(a_directory_that_became_a_link_keeps_its_times_to_itself)
{
	put(at("canary"), "alive");
	_cleanup_free_ char *dir = strdup(scratch);
	struct stat before, after;

	ok(extract(TAR({ 0, "x" }), NULL));
	ck_assert_int_eq(stat(scratch, &before), 0);
	ok(extract(TAR({ '2', "l", "." }, { '5', "d/", .mode = 0755, .mtime = 5 }, { '2', "l/d", dir }), NULL));
	ck_assert_int_eq(stat(scratch, &after), 0);
	ck_assert_int_ne(after.st_mtime, 5);
}
END_TEST

START_TEST(duplicates_are_refused)
{
	refuses(TAR({ 0, "a", .content = "1" }, { 0, "a", .content = "2" }), CSTORE_E_INVALID, "second member");
	refuses(TAR({ 0, "a", .content = "1" }, { 0, "./b/../a", .content = "2" }), CSTORE_E_INVALID, "second member");
	refuses(TAR({ '5', "d/" }, { '5', "d" }), CSTORE_E_INVALID, "second member");
	refuses(TAR({ '5', "./" }, { '5', "." }), CSTORE_E_INVALID, "second member");
	refuses(TAR({ 0, "a/.wh.f" }, { 0, "a/.wh.f" }), CSTORE_E_INVALID, "second member");
}
END_TEST

START_TEST(files_cannot_have_children_and_the_root_is_a_directory)
{
	refuses(TAR({ 0, "f", .content = "x" }, { 0, "f/x", .content = "x" }), CSTORE_E_INVALID, "f/x");
	refuses(TAR({ '2', "dangling", "nowhere" }, { 0, "dangling/x", .content = "x" }), CSTORE_E_INVALID, "dangling/x");
	refuses(TAR({ 0, "./", .content = "x" }), CSTORE_E_INVALID, "root");
	refuses(TAR({ '2', "a/..", "/" }), CSTORE_E_INVALID, "root");
}
END_TEST

/* ---- headers ---- */

START_TEST(sparse_and_vendor_members_are_refused)
{
	struct str pax = STR_INIT;

	refuses(TAR({ 'S', "sparse" }), CSTORE_E_INVALID, "kind");
	refuses(TAR({ 'M', "multi" }), CSTORE_E_INVALID, "kind");
	refuses(TAR({ 'V', "volume" }), CSTORE_E_INVALID, "kind");
	refuses(TAR({ 'D', "dump" }), CSTORE_E_INVALID, "kind");
	tar_pax(&pax, "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=2147483648", NULL);
	tar_put(&pax, &(struct entry){ 0, "f", .content = "x" });
	tar_end(&pax);
	refuses(pax, CSTORE_E_INVALID, "GNU.sparse.major");
}
END_TEST

START_TEST(impossible_numbers_are_refused)
{
	struct str uid = TAR({ 0, "f" }), size = TAR({ 0, "f", .size_field = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" }),
		   octal = TAR({ 0, "f", .size_field = "00000000009\0" }), huge = TAR({ 0, "f", .size_field = "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff" }),
		   overflow = TAR({ 0, "f", .size_field = "\x80\xff\0\0\0\0\0\0\0\0\0\0" });

	memcpy(uid.data + 108, "\x80\0\0\0\xff\xff\xff\xff", 8);
	tar_checksum(&uid, 0);
	refuses(uid, CSTORE_E_INVALID, "user");
	refuses(size, CSTORE_E_INVALID, "number");
	refuses(octal, CSTORE_E_INVALID, "number");
	refuses(overflow, CSTORE_E_INVALID, "number");
	refuses(huge, CSTORE_E_LIMIT, "too large");
	refuses(TAR({ '3', "dev", .major = 4096 }), CSTORE_E_INVALID, "device");
}
END_TEST

START_TEST(checksums_and_blocks_of_zeros_are_checked)
{
	struct str sum = TAR({ 0, "f" }), middle = STR_INIT, text = STR_INIT;

	sum.data[0] = 'g';
	refuses(sum, CSTORE_E_INVALID, "checksum");
	tar_end(&middle);
	middle.len = 512;
	tar_put(&middle, &(struct entry){ 0, "f", .content = "x" });
	refuses(middle, CSTORE_E_INVALID, "zeros");
	str_append(&text, "this is no archive at all, but it is longer than one block would be if it were one, so that the reader has something"
			  " to look at: abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz"
			  " abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijk"
			  " abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijk");
	str_append(&text, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz ab");
	refuses(text, CSTORE_E_INVALID, "checksum");
}
END_TEST

START_TEST(an_archive_cut_anywhere_is_refused_or_ends_at_a_member)
{
	struct str whole = STR_INIT;

	tar_pax(&whole, "mtime=5", NULL);
	tar_put(&whole, &(struct entry){ 0, "f", .content = "some content" });
	tar_put(&whole, &(struct entry){ '5', "d/" });
	tar_end(&whole);
	for (size_t n = 0; n <= whole.len; n += n % 512 < 3 || n % 512 > 508 ? 1 : 101) {
		struct str part = STR_INIT;
		int r;

		str_append_mem(&part, whole.data, n);
		if (!n)
			str_append(&part, "");
		r = extract(part, NULL);
		/* whole members, or whole members and one or two blocks of zeros */
		if (n == 0 || n == 2048 || n == 2560 || n == 3072 || n == 3584)
			ck_assert_msg(r == 0, "%zu bytes: %s", n, err.message);
		else
			ck_assert_msg(r == CSTORE_E_INVALID, "%zu bytes: %d", n, r);
	}
	str_done(&whole);
}
END_TEST

START_TEST(malformed_pax_records_are_refused)
{
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {
		{ "9 path=a", 8 }, { "8 path=a\n", 9 }, { "99 path=a\n", 10 }, { "x path=a\n", 9 }, { "0 \n", 3 }, { "3 \n", 3 },
		{ "5 =a\n", 5 }, { "7 path\n", 7 }, { "12 path=a\0b\n", 12 }, { "99999999999999999999 path=a\n", 28 },
		{ "10 uid=-1\n", 10 }, { "18 uid=4294967295\n", 18 }, { "11 size=-5\n", 11 }, { "12 mtime=1x\n", 12 }, { "10 uid=1 \n", 10 },
		{ "-9 path=a\n", 10 }, { "11 path=aa\n10 pat\0=a\n", 21 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct str tar = STR_INIT;

		tar_raw_pax(&tar, bad[i].text, bad[i].len);
		tar_put(&tar, &(struct entry){ 0, "f", .content = "x" });
		tar_end(&tar);
		refuses(tar, CSTORE_E_INVALID, "PAX");
	}
}
END_TEST

START_TEST(names_and_extensions_have_limits)
{
	_cleanup_free_ char *name = malloc(5001), *xattr = malloc(70100);
	struct str many = STR_INIT, big = STR_INIT, xattrs = STR_INIT, component = STR_INIT;

	memset(name, 'x', 5000);
	name[5000] = '\0';
	refuses(TAR({ 0, name, .content = "x" }), CSTORE_E_LIMIT, "name");
	name[300] = '\0';
	tar_put(&component, &(struct entry){ 0, name, .content = "x" });
	tar_end(&component);
	refuses(component, CSTORE_E_INVALID, "xxx");
	tar_put(&big, &(struct entry){ 'x', "pax", .size_field = "00020000000" });	/* 4 MiB */
	refuses(big, CSTORE_E_LIMIT, "extension");
	for (int i = 0; i < 100; i++)
		tar_put(&many, &(struct entry){ 'g', "global", .content = "9 a=bcde\n" });
	tar_put(&many, &(struct entry){ 0, "f" });
	refuses(many, CSTORE_E_INVALID, "too many");
	memset(xattr, 'v', 70099);
	xattr[70099] = '\0';
	memcpy(xattr, "SCHILY.xattr.user.a=", 20);
	tar_pax(&xattrs, xattr, NULL);
	tar_put(&xattrs, &(struct entry){ 0, "f" });
	refuses(xattrs, CSTORE_E_INVALID, "SCHILY.xattr.user.a");
}
END_TEST

START_TEST(links_with_a_size_have_no_content)
{
	struct str tar = STR_INIT;

	tar_put(&tar, &(struct entry){ 0, "f", .content = "x" });
	tar_put(&tar, &(struct entry){ '1', "h", "f", .size_field = "00000000001" });
	tar_put(&tar, &(struct entry){ '5', "d/", .size_field = "00000001000" });
	tar_put(&tar, &(struct entry){ 0, "g", .content = "y" });
	tar_end(&tar);
	extracts(tar);
	has_text("g", "y");
}
END_TEST

START_TEST(times_before_the_epoch_become_the_epoch)
{
	struct str tar = STR_INIT;

	tar_pax(&tar, "mtime=-5.5", "atime=7", NULL);
	tar_put(&tar, &(struct entry){ 0, "f", .content = "x" });
	tar_end(&tar);
	extracts(tar);
	ck_assert_int_eq(stat_of("f").st_mtime, 0);
}
END_TEST

/* ---- effort ---- */

START_TEST(many_members_take_linear_time)
{
	int64_t took[2];

	for (int round = 0; round < 2; round++) {
		int n = round ? 40000 : 10000;
		struct str tar = STR_INIT;
		char name[64], link[64];

		for (int i = 0; i < n; i++) {
			snprintf(name, sizeof(name), "d/%d", i);
			snprintf(link, sizeof(link), "d/%d", i - 1);
			tar_put(&tar, &(struct entry){ i % 8 ? '1' : 0, name, link, .uid = (unsigned)i });
		}
		tar_end(&tar);
		int64_t start = mono_ns();

		ok(extract(tar, NULL));
		took[round] = mono_ns() - start;
	}
	/* 4 times the work; a quadratic step would take 16 times as long */
	ck_assert_msg(took[1] < 10 * took[0], "%lld ms, then %lld ms", (long long)took[0] / 1000000, (long long)took[1] / 1000000);
}
END_TEST

START_TEST(implied_directories_count_as_entries)
{
	static struct tar_member m = { .name = "a/b/c/d/e/f/g/h/i/j/k", .type = TAR_FILE };
	_cleanup_close_ int root = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tree tree;
	int fd;

	ok(tree_init(&tree, root, &err));
	tree.entries = TREE_ENTRIES_MAX - 11;
	ok(tree_add(&tree, &m, &fd, &err));	/* a file and ten directories */
	close_fd(fd);
	ck_assert_uint_eq(tree.entries, TREE_ENTRIES_MAX);
	strcpy(m.name, "last");
	fails(tree_add(&tree, &m, &fd, &err), CSTORE_E_LIMIT);
	tree.entries = TREE_ENTRIES_MAX - 11;
	strcpy(m.name, "1/2/3/4/5/6/7/8/9/a/b/c");
	fails(tree_add(&tree, &m, &fd, &err), CSTORE_E_LIMIT);
	says("entries");
	tree_done(&tree);
}
END_TEST

START_TEST(many_users_do_not_make_the_record_large)
{
	struct apply_result res = { .uids = NULL };
	struct str tar = STR_INIT;
	char name[32];

	for (unsigned i = 0; i < 3 * TREE_IDS_MAX; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		tar_put(&tar, &(struct entry){ '6', name, .uid = i == 2000 ? 1000000 : i + 1, .gid = i % 2 });
	}
	tar_end(&tar);
	ok(extract(tar, &res));
	ck_assert_uint_eq(res.uid_count, TREE_IDS_MAX);
	ck_assert_int_eq(res.uids[0], 1);
	ck_assert_int_eq(res.uids[TREE_IDS_MAX - 1], 1000000);	/* the highest is never left out */
	ck_assert_uint_eq(res.gid_count, 2);
	ck_assert_int_eq(res.gids[1], 1);
	free(res.uids);
	free(res.gids);
}
END_TEST

START_TEST(cleaning_follows_go)
{
	static const struct {
		const char *in, *out;
	} t[] = {
		{ "a", "a" }, { "a/", "a" }, { "./a", "a" }, { "/a", "a" }, { "//a//b/", "a/b" }, { "a/./b", "a/b" }, { "a/../b", "b" },
		{ "a/b/../../c", "c" }, { "..", NULL }, { "../a", NULL }, { "a/../..", NULL }, { "/..", "." }, { "/../a", "a" }, { "", "." },
		{ ".", "." }, { "...", "..." }, { "a/...", "a/..." }, { "..a", "..a" }, { "a..", "a.." }, { "ab/../..", NULL }, { "a/b/..", "a" },
		{ ".hidden", ".hidden" }, { "/", "." },
	};
	char out[TAR_NAME_MAX + 1];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		ck_assert_msg(tree_clean(t[i].in, out) == !!t[i].out, "%s", t[i].in);
		if (t[i].out)
			ck_assert_str_eq(out, t[i].out);
	}
}
END_TEST

static TCase *tests(void)
{
	TCase *t = tcase_create("tar");

	tcase_add_checked_fixture(t, scratch_setup, scratch_teardown);
	tcase_add_test(t, every_kind_of_member_is_made);
	tcase_add_test(t, names_are_cleaned_and_dot_is_the_root);
	tcase_add_test(t, directories_that_are_not_listed_are_roots_and_not_writable_by_others);
	tcase_add_test(t, long_names_of_gnu_and_pax_are_read);
	tcase_add_test(t, what_two_readers_read_differently_is_refused);
	tcase_add_test(t, content_that_looks_like_an_archive_is_content);
	tcase_add_test(t, ustar_prefixes_are_joined);
	tcase_add_test(t, numbers_in_base_256_are_read);
	tcase_add_test(t, names_that_are_not_utf8_survive);
	tcase_add_test(t, large_content_and_odd_sizes_come_out_whole);
	tcase_add_test(t, archives_may_end_in_three_ways);
	tcase_add_test(t, users_and_groups_are_collected_without_those_of_whiteouts);
	tcase_add_test(t, extended_attributes_are_set_but_for_overlays_own);
	tcase_add_test(t, file_capabilities_survive_the_change_of_owner);
	tcase_add_test(t, whiteouts_become_what_overlayfs_knows);
	tcase_add_test(t, a_whiteout_leaves_what_its_own_layer_has);
	tcase_add_test(t, a_directory_over_its_whiteout_hides_the_lower_one);
	tcase_add_test(t, a_whiteout_below_a_whiteout_says_nothing_new);
	tcase_add_test(t, other_marks_of_aufs_are_skipped);
	tcase_add_test(t, whiteouts_of_dots_or_with_content_are_refused);
	tcase_add_test(t, names_that_lead_out_are_refused);
	tcase_add_test(t, links_lead_nowhere_but_into_the_layer);
	tcase_add_test(t, links_inside_the_layer_are_followed_for_directories);
	tcase_add_test(t, a_hard_link_cannot_take_a_file_from_outside);
	tcase_add_test(t, loops_of_links_are_refused);
	tcase_add_test(t, a_link_that_replaced_the_open_directory_is_not_written_through);
	tcase_add_test(t, two_ways_to_one_file_keep_the_later);
	tcase_add_test(t, a_directory_that_became_a_link_keeps_its_times_to_itself);
	tcase_add_test(t, duplicates_are_refused);
	tcase_add_test(t, files_cannot_have_children_and_the_root_is_a_directory);
	tcase_add_test(t, sparse_and_vendor_members_are_refused);
	tcase_add_test(t, impossible_numbers_are_refused);
	tcase_add_test(t, checksums_and_blocks_of_zeros_are_checked);
	tcase_add_test(t, an_archive_cut_anywhere_is_refused_or_ends_at_a_member);
	tcase_add_test(t, malformed_pax_records_are_refused);
	tcase_add_test(t, names_and_extensions_have_limits);
	tcase_add_test(t, links_with_a_size_have_no_content);
	tcase_add_test(t, times_before_the_epoch_become_the_epoch);
	tcase_add_test(t, many_members_take_linear_time);
	tcase_add_test(t, implied_directories_count_as_entries);
	tcase_add_test(t, many_users_do_not_make_the_record_large);
	tcase_add_test(t, cleaning_follows_go);
	return t;
}

int main(void)
{
	TCase *cases[1];

	need_root("extracting sets owners, devices and trusted attributes");
	cases[0] = tests();
	return run_suite("tar", cases, 1);
}
