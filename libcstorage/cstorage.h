/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcstorage: images, layers and containers in the on-disk format of containers/storage (overlay
 * driver), shared with podman, skopeo, buildah and CRI-O.
 *
 * Return values: 0 done; > 0 one of CSTORE_E_*, a condition the caller must handle; < 0 a negative
 * errno, unexpected. The last parameter of most functions takes a struct cstore_error (or NULL) which
 * says what was being done to which object. Out-parameters are untouched on failure.
 *
 * Threads: a struct cstore may be used from several threads at once. Processes are kept apart by the
 * lock files of the format. Every function may block on disk; none holds a store lock while it reads
 * from a descriptor of the caller.
 */
#ifndef CSTORAGE_H
#define CSTORAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CSTORE_ERROR_MESSAGE_MAX 1024

enum {
	CSTORE_E_NOT_FOUND = 1,	/* no such layer, image, container, key */
	CSTORE_E_AMBIGUOUS = 2,	/* a shortened id fits more than one object */
	CSTORE_E_EXISTS = 3,	/* id or name is taken */
	CSTORE_E_IN_USE = 4,	/* image used by a container, layer has children, layer is mounted */
	CSTORE_E_DAMAGED = 5,	/* a record or file of the store cannot be understood */
	CSTORE_E_INVALID = 6,	/* input refused: bad tar, bad digest, unsafe path */
	CSTORE_E_DIGEST = 7,	/* content does not match the digest or size asked for */
	CSTORE_E_LIMIT = 8,	/* a documented limit was exceeded */
	CSTORE_E_CANCELLED = 9,
	CSTORE_E_READ_ONLY = 10,	/* the object is in an additional store */
};

struct cstore_error {
	int code;		/* CSTORE_E_*, or 0 */
	int sys_errno;		/* or 0 */
	char message[CSTORE_ERROR_MESSAGE_MAX];
};

/* ---- the store ---- */

struct cstore;
struct cstore_options;

int cstore_options_new(struct cstore_options **ret);
struct cstore_options *cstore_options_free(struct cstore_options *o);
/*
 * Takes what a storage.conf (containers-storage.conf(5)) says: driver, graphroot, runroot, imagestore,
 * transient_store, additional image stores, and options of the driver. path NULL: as other programs do, the
 * file that $CONTAINERS_STORAGE_CONF names, else the first of the user's, /etc/containers/storage.conf and
 * /usr/share/containers/storage.conf with all storage.conf.d/ and storage.rootful.conf.d/ (or rootless) files;
 * then that of $CONTAINERS_STORAGE_CONF_OVERRIDE; then $STORAGE_DRIVER and $STORAGE_OPTS. Nothing at all
 * is fine. CSTORE_E_NOT_FOUND: a file that was named does not exist; CSTORE_E_INVALID: not TOML, a path that
 * is not absolute, or an option that would change the format and is not implemented (mount_program,
 * composefs, ignore_chown_errors, additional layer stores).
 */
int cstore_options_load(struct cstore_options *o, const char *path, struct cstore_error *err);
/* All setters: 0, -EINVAL, -ENOMEM; text is copied. Roots are absolute paths; later calls win. */
int cstore_options_set_graph_root(struct cstore_options *o, const char *path);
int cstore_options_set_run_root(struct cstore_options *o, const char *path);
/* "overlay" or "vfs". Not set: the one the graph root has, else overlay. */
int cstore_options_set_driver(struct cstore_options *o, const char *driver);
/* Images and their layers are kept there instead of in the graph root, which keeps containers. */
int cstore_options_set_image_store(struct cstore_options *o, const char *path);
/* The graph root of a store whose images are found after the own ones, and never changed; at most 16. */
int cstore_options_add_image_store(struct cstore_options *o, const char *path);
/* All containers are volatile, and their records are in the run root: gone after a reboot. */
int cstore_options_set_transient(struct cstore_options *o, int transient);
/* "overlay.mountopt=nodev". Another driver's is ignored; -EINVAL: unknown; -EOPNOTSUPP: not implemented. */
int cstore_options_add_driver_option(struct cstore_options *o, const char *key_value);
/* No mount(2) at all (the home is not bind-mounted on itself, nothing can be mounted): for a sandboxed worker. */
int cstore_options_set_no_mounts(struct cstore_options *o, int no_mounts);

/*
 * How long the measured usage of a container's layer may be given as an answer again, at most an hour; 0, as is
 * without this: it is walked for each question. Layers of images are walked once in any case.
 */
int cstore_options_set_usage_age(struct cstore_options *o, unsigned milliseconds);

/*
 * Deleting only moves the layers aside; cstore_collect_garbage(), also of another process, removes them.
 * For a program that wants deletions to be quick and has something else clean up.
 */
int cstore_options_set_leave_garbage(struct cstore_options *o, int leave_garbage);

/*
 * Opens the store, made if it is missing; o may be NULL (defaults) and may be freed afterwards. Reads no
 * records yet: a damaged store opens.
 */
int cstore_open(const struct cstore_options *o, struct cstore **ret, struct cstore_error *err);
/* Mounts stay. Accepts NULL, returns NULL. */
struct cstore *cstore_free(struct cstore *s);
/*
 * Undoes what open did to the mounts: the home's mount on itself goes, for a store that nobody uses any
 * more. CSTORE_E_IN_USE: a container is mounted. The store stays open.
 */
int cstore_shutdown(struct cstore *s, struct cstore_error *err);
/* As opened; valid as long as the store. */
const char *cstore_graph_root(const struct cstore *s);
const char *cstore_run_root(const struct cstore *s);
const char *cstore_driver(const struct cstore *s);
const char *cstore_image_store(const struct cstore *s);	/* NULL: images are in the graph root */
const char *const *cstore_additional_stores(const struct cstore *s);	/* NULL-terminated, may be empty */
int cstore_is_transient(const struct cstore *s);

/*
 * Removes what a crash left: layers marked incomplete, stale staging and deletion directories, object
 * directories without a record (only names that are 64 hex digits). What cannot be removed is skipped, and
 * the first such error returned. Safe while other processes work in the store.
 */
int cstore_collect_garbage(struct cstore *s, struct cstore_error *err);

/*
 * Bytes (blocks on disk) and inodes that image layers and image data take; a layer is walked the first time,
 * then remembered by s.
 */
int cstore_image_usage(struct cstore *s, uint64_t *ret_bytes, uint64_t *ret_inodes, struct cstore_error *err);
/* Of one layer without those below it; see cstore_options_set_usage_age(). CSTORE_E_NOT_FOUND. */
int cstore_layer_usage(struct cstore *s, const char *id, uint64_t *ret_bytes, uint64_t *ret_inodes, struct cstore_error *err);
/* Bytes and inodes of the writable layer of one container; see cstore_options_set_usage_age(). */
int cstore_container_usage(struct cstore *s, const char *container_id, uint64_t *ret_bytes,
			   uint64_t *ret_inodes, struct cstore_error *err);

/* ---- images: immutable copies of the records ---- */

struct cstore_image;		/* one record */
struct cstore_image_list;	/* owns its records */

/* Reads the records if they changed on disk. CSTORE_E_DAMAGED: images.json cannot be read. */
int cstore_image_list(struct cstore *s, struct cstore_image_list **ret, struct cstore_error *err);
struct cstore_image_list *cstore_image_list_free(struct cstore_image_list *l);
size_t cstore_image_list_count(const struct cstore_image_list *l);
const struct cstore_image *cstore_image_list_get(const struct cstore_image_list *l, size_t i);

/*
 * By id, exact name (a normalised reference such as "docker.io/library/x:latest") or unique beginning of an
 * id (three digits or more), in this order. CSTORE_E_NOT_FOUND, CSTORE_E_AMBIGUOUS.
 */
int cstore_image_lookup(struct cstore *s, const char *id_or_name, struct cstore_image **ret, struct cstore_error *err);
struct cstore_image *cstore_image_free(struct cstore_image *i);

/* Valid as long as the image or list is. */
const char *cstore_image_id(const struct cstore_image *i);
const char *const *cstore_image_names(const struct cstore_image *i);		/* NULL-terminated, may be empty */
const char *const *cstore_image_digests(const struct cstore_image *i);	/* of all its manifests, NULL-terminated */
const char *const *cstore_image_data_keys(const struct cstore_image *i);
const char *const *cstore_image_names_history(const struct cstore_image *i);	/* newest first, NULL-terminated */
int cstore_image_read_only(const struct cstore_image *i);	/* it is in an additional store */
const char *cstore_image_digest(const struct cstore_image *i);			/* "" when none */
const char *cstore_image_top_layer(const struct cstore_image *i);			/* "" when none */
const char *cstore_image_metadata(const struct cstore_image *i);
int64_t cstore_image_created(const struct cstore_image *i);				/* ns since 1970 */

/* Bytes of its layers (as tar archives) and its data. CSTORE_E_NOT_FOUND; CSTORE_E_DAMAGED: a layer is missing. */
int cstore_image_size(struct cstore *s, const char *id, uint64_t *ret, struct cstore_error *err);
/*
 * [owned] with a NUL added that *ret_len (may be NULL) does not count. CSTORE_E_NOT_FOUND: no such image or
 * key; CSTORE_E_LIMIT: more than limit bytes; CSTORE_E_INVALID: the format cannot store that key.
 */
int cstore_image_data(struct cstore *s, const char *id, const char *key, size_t limit, char **ret,
		      size_t *ret_len, struct cstore_error *err);

struct cstore_image_spec {
	size_t size;			/* sizeof(struct cstore_image_spec) */
	const char *id;			/* 64 hex */
	const char *top_layer;		/* must exist; NULL for an image without layers */
	const char *digest;		/* of the manifest */
	const char *metadata;		/* JSON text; NULL: "{}" */
	int64_t created;		/* ns */
	const char *const *names;	/* NULL-terminated; each is taken away from any other image */
	const struct cstore_blob *data;	/* big data */
	size_t data_count;
};
struct cstore_blob {
	const char *key;
	const void *bytes;
	size_t len;
	const char *digest;		/* what to record; NULL: sha256 of the bytes */
};
/*
 * Creates the record, or adds data and names to an existing image of that id. Power-safe when it
 * returns; the names are the last thing written. CSTORE_E_NOT_FOUND: no such layer; CSTORE_E_EXISTS: the id
 * has another top layer; CSTORE_E_INVALID: a name that is not UTF-8, a key that cannot be stored;
 * CSTORE_E_LIMIT: more than 64 MiB in one piece of data.
 */
int cstore_image_put(struct cstore *s, const struct cstore_image_spec *spec, struct cstore_error *err);
/*
 * Takes the name away from any other image. An image of an additional store gets a record of its own in this
 * one first; its layers stay there. CSTORE_E_NOT_FOUND, CSTORE_E_INVALID.
 */
int cstore_image_add_name(struct cstore *s, const char *id, const char *name, struct cstore_error *err);
/* The image stays, also without names. CSTORE_E_NOT_FOUND: no such image, or it has no such name. */
int cstore_image_remove_name(struct cstore *s, const char *id, const char *name, struct cstore_error *err);
/*
 * The record, its data, and every layer nothing else needs. CSTORE_E_NOT_FOUND; CSTORE_E_IN_USE: a container
 * uses it; CSTORE_E_READ_ONLY.
 */
int cstore_image_delete(struct cstore *s, const char *id, struct cstore_error *err);

/* ---- layers: staged, then published in order ---- */

int cstore_layer_exists(struct cstore *s, const char *id, int *ret_exists, struct cstore_error *err);
/*
 * Layer id of a diff id ("sha256:...") on a parent layer id (NULL for a base layer); out holds 65 bytes. 0,
 * -EINVAL, or the error of loading the module that has the hash functions.
 */
int cstore_layer_chain_id(const char *parent, const char *diff_id, char *out);

struct cstore_staging;		/* a temp-dir of the store with its lock held */
struct cstore_staged;		/* one layer extracted in it */

/*
 * Loads the module cstorage-apply.so (decompressors, libcrypto), which is not needed for anything else: call
 * this before a sandbox closes. s must stay open longer than the staging.
 */
int cstore_staging_new(struct cstore *s, struct cstore_staging **ret, struct cstore_error *err);
/* Removes what was not published; free those staged layers with cstore_staged_free(), before or after. */
struct cstore_staging *cstore_staging_free(struct cstore_staging *st);
/*
 * Absolute paths of the directories that cstore_staging_apply() writes to, for a sandbox: NULL-terminated.
 * Publishing, which has nothing to do with a layer's content, writes to the graph root's overlay and
 * overlay-layers directories.
 */
const char *const *cstore_staging_paths(const struct cstore_staging *st);

struct cstore_apply_options {
	size_t size;			/* sizeof(struct cstore_apply_options) */
	const char *blob_digest;	/* of the bytes of fd; trusted, recorded; NULL: computed */
	int64_t blob_size;		/* -1 unknown */
	const char *diff_id;		/* must match; NULL: not checked */
	void (*progress)(void *user, uint64_t bytes_read);	/* from this thread; may be NULL */
	void *user;
	const int *cancel;		/* becomes non-zero: CSTORE_E_CANCELLED; may be NULL */
};
/*
 * Extracts a layer tar, plain or compressed (gzip, zstd, xz, bzip2, found by magic), from fd until
 * end of file. Several threads may do this on one staging at once. o may be NULL.
 *
 * The archive is hostile: no path of it leads out of the layer, whatever links it has. Needs the
 * capabilities CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD, SETFCAP and (for trusted.* attributes) SYS_ADMIN,
 * or to be root in a user namespace, where devices and such attributes are left out;
 * where there is no openat2() names are walked by hand, which is slower. CSTORE_E_INVALID: damaged or cut data, no tar, a name that leads out or occurs twice, sparse
 * or vendor members; CSTORE_E_DIGEST: not the size or diff id asked for; CSTORE_E_LIMIT: more than two
 * million entries, 1 TiB, 500 times the blob (over 1 GiB), 4095 bytes in a name, 1 MiB
 * in an extension header, 64 KiB in an attribute; CSTORE_E_CANCELLED.
 */
int cstore_staging_apply(struct cstore_staging *st, int fd, const struct cstore_apply_options *o,
			 struct cstore_staged **ret, struct cstore_error *err);
/* Drops a staged layer that is not to be published. Accepts NULL, returns NULL. */
struct cstore_staged *cstore_staged_free(struct cstore_staged *l);
const char *cstore_staged_diff_id(const struct cstore_staged *l);
uint64_t cstore_staged_diff_size(const struct cstore_staged *l);
/* All that was staged is on disk when this returns (one syncfs). Call it before publishing. */
int cstore_staging_sync(struct cstore_staging *st, struct cstore_error *err);
/*
 * Publishes the layer under id above parent (NULL: base). If the layer exists by now the staged one
 * is dropped, and this is success. Consumes l, also on failure. Power-safe when it returns.
 * CSTORE_E_NOT_FOUND: no such parent.
 */
int cstore_staging_publish(struct cstore_staging *st, struct cstore_staged *l, const char *id,
			   const char *parent, struct cstore_error *err);

/* ---- check and repair ---- */

enum {
	CSTORE_PROBLEM_RECORDS = 1,	/* a file of records, or a record in it, cannot be understood */
	CSTORE_PROBLEM_REFERENCE = 2,	/* a record names a layer or image that does not exist, or a name that is taken */
	CSTORE_PROBLEM_DIRECTORY = 3,	/* what belongs to a layer's directory: link, lower, work, ... */
	CSTORE_PROBLEM_CONTENT = 4,	/* a file of a layer is missing, altered, or too much */
	CSTORE_PROBLEM_ATTRIBUTES = 5,	/* owner, mode, time or attributes of a file of a layer are others */
	CSTORE_PROBLEM_DATA = 6,	/* a piece of an image's data is missing or altered */
	CSTORE_PROBLEM_GARBAGE = 7,	/* what a crash left: no record knows it */
};

struct cstore_check_options {
	size_t size;			/* sizeof(struct cstore_check_options) */
	int quick;			/* do not read the content of layers */
	int discard;			/* repair: delete images that cannot be mended and no container uses */
	void (*progress)(void *user, uint64_t layers_done, uint64_t layers);	/* may be NULL */
	void *user;
	const int *cancel;		/* becomes non-zero: CSTORE_E_CANCELLED; may be NULL */
};

struct cstore_report;			/* what was found */
struct cstore_problem;			/* one of it, valid as long as the report */

/*
 * Compares records, directories, and the content of layers: every file with its header and checksum in the
 * tar-split, the whole with the diff id. Layers without a tar-split (containers', committed ones)
 * are checked as directories only. Files of a layer are read without locks; others may work in the store
 * meanwhile. o may be NULL. 0: the check was done; whether all is well is in *ret, which is empty then.
 * CSTORE_E_CANCELLED; an error of reading the store that is no damage.
 */
int cstore_check(struct cstore *s, const struct cstore_check_options *o, struct cstore_report **ret,
		 struct cstore_error *err);
/*
 * The same, and mends what can be: links, lower files and directories are made again from records and each
 * other; files without content, and attributes, from the headers in the tar-split; files that are too
 * much and garbage are removed; a damaged file of records is set aside as NAME.damaged-TIME and what can be
 * read of it kept, layers that are on disk recorded again. Lost content cannot be made: see discard, then pull
 * the image again. Do not use a store for containers whose layers are mounted while their files are mended.
 */
int cstore_repair(struct cstore *s, const struct cstore_check_options *o, struct cstore_report **ret,
		  struct cstore_error *err);
struct cstore_report *cstore_report_free(struct cstore_report *r);
size_t cstore_report_count(const struct cstore_report *r);
const struct cstore_problem *cstore_report_get(const struct cstore_report *r, size_t i);
int cstore_problem_kind(const struct cstore_problem *p);	/* CSTORE_PROBLEM_* */
const char *cstore_problem_object(const struct cstore_problem *p);	/* "layer ID", "image ID", "container ID", or a path */
const char *cstore_problem_text(const struct cstore_problem *p);	/* what is wrong; valid UTF-8, one line */
int cstore_problem_mended(const struct cstore_problem *p);	/* by cstore_repair() */

/* ---- layers: records ---- */

struct cstore_layer;		/* one record, an immutable copy */
struct cstore_layer_list;	/* owns its records */

int cstore_layer_list(struct cstore *s, struct cstore_layer_list **ret, struct cstore_error *err);
struct cstore_layer_list *cstore_layer_list_free(struct cstore_layer_list *l);
size_t cstore_layer_list_count(const struct cstore_layer_list *l);
const struct cstore_layer *cstore_layer_list_get(const struct cstore_layer_list *l, size_t i);
/* By id, exact name or unique beginning of an id (three digits or more). CSTORE_E_NOT_FOUND, CSTORE_E_AMBIGUOUS. */
int cstore_layer_lookup(struct cstore *s, const char *id_or_name, struct cstore_layer **ret, struct cstore_error *err);
struct cstore_layer *cstore_layer_free(struct cstore_layer *l);

const char *cstore_layer_id(const struct cstore_layer *l);
const char *const *cstore_layer_names(const struct cstore_layer *l);	/* NULL-terminated, may be empty */
const char *cstore_layer_parent(const struct cstore_layer *l);		/* "" for a base layer */
const char *cstore_layer_metadata(const struct cstore_layer *l);
const char *cstore_layer_diff_digest(const struct cstore_layer *l);	/* of the tar; "" when none is known */
const char *cstore_layer_blob_digest(const struct cstore_layer *l);	/* as it came, compressed; "" */
int64_t cstore_layer_diff_size(const struct cstore_layer *l);		/* bytes of the tar, -1 unknown */
int64_t cstore_layer_blob_size(const struct cstore_layer *l);		/* -1 unknown */
const char *cstore_layer_compression(const struct cstore_layer *l);	/* of the blob: "none", "gzip", "zstd", "xz", "bzip2" */
int64_t cstore_layer_created(const struct cstore_layer *l);		/* ns since 1970 */
int64_t cstore_layer_mount_count(const struct cstore_layer *l);	/* users of its mount; 0 without the run root */
int cstore_layer_read_only(const struct cstore_layer *l);		/* it is in an additional store */
int cstore_layer_is_volatile(const struct cstore_layer *l);

struct cstore_layer_spec {
	size_t size;			/* sizeof(struct cstore_layer_spec) */
	const char *id;			/* 64 hex */
	const char *parent;		/* or NULL */
	const char *name;		/* or NULL */
};
/* An empty writable layer. CSTORE_E_NOT_FOUND: no such parent; CSTORE_E_EXISTS; CSTORE_E_INVALID: the name. */
int cstore_layer_create(struct cstore *s, const struct cstore_layer_spec *spec, struct cstore_error *err);
/*
 * Unmounts and removes it. CSTORE_E_NOT_FOUND; CSTORE_E_IN_USE: a container's or an image's, or others stand on
 * it; CSTORE_E_READ_ONLY.
 */
int cstore_layer_delete(struct cstore *s, const char *id, struct cstore_error *err);

/* ---- layers as archives ---- */

struct cstore_diff_options {
	size_t size;			/* sizeof(struct cstore_diff_options) */
	int from_directory;		/* also when the archive that came in can be made again */
	void (*progress)(void *user, uint64_t bytes_written);	/* from this thread; may be NULL */
	void *user;
	const int *cancel;		/* becomes non-zero: CSTORE_E_CANCELLED; may be NULL */
};
/*
 * Writes the layer to fd as an uncompressed tar: the very bytes that came in if there is a tar-split, else what
 * is in its directory, deletions as whiteouts (.wh.NAME). Holds no lock of the store. CSTORE_E_NOT_FOUND;
 * CSTORE_E_DAMAGED: a file is missing or altered, the digest differs: what was written is not the layer;
 * CSTORE_E_INVALID: a file changed meanwhile; CSTORE_E_CANCELLED. o may be NULL.
 */
int cstore_layer_diff(struct cstore *s, const char *id, const struct cstore_diff_options *o, int fd, struct cstore_error *err);
/* The writable layer of a container, with owners as seen in its user namespace. */
int cstore_container_diff(struct cstore *s, const char *id, const struct cstore_diff_options *o, int fd, struct cstore_error *err);

enum { CSTORE_CHANGE_MODIFIED = 0, CSTORE_CHANGE_ADDED = 1, CSTORE_CHANGE_DELETED = 2 };
/*
 * What the layer changes in those below it, directories before what is in them. path is relative, and any bytes.
 * each returns 0 to go on, anything else ends it with CSTORE_E_CANCELLED. cancel may be NULL.
 */
int cstore_layer_changes(struct cstore *s, const char *id, const int *cancel, int (*each)(void *user, int kind, const char *path),
			 void *user, struct cstore_error *err);

/* ---- mounting layers ---- */

struct cstore_mount_options {
	size_t size;			/* sizeof(struct cstore_mount_options) */
	int read_only;			/* the layer on top of those below it, without writing anything */
	const char *const *options;	/* of overlayfs or mount(8), NULL-terminated; NULL: the store's */
	const char *label;		/* SELinux context of all files; NULL: none */
};
/*
 * Mounts a layer, or counts one more user; [owned] path of the mount point. The top layer of an image is to
 * be mounted read-only. With the vfs driver: the layer's directory itself. o may be NULL.
 * CSTORE_E_NOT_FOUND; CSTORE_E_READ_ONLY: it is in an additional store and read_only is 0; -EOPNOTSUPP,
 * CSTORE_E_DAMAGED, CSTORE_E_LIMIT: as cstore_container_mount().
 */
int cstore_layer_mount(struct cstore *s, const char *id, const struct cstore_mount_options *o,
		       char **ret_path, struct cstore_error *err);
/* One user less; force: unmounts whatever the count. Not mounted is success. */
int cstore_layer_unmount(struct cstore *s, const char *id, int force, struct cstore_error *err);

/* ---- containers ---- */

/* Ids from container_id on, inside the user namespace, are host_id and following ones outside. */
struct cstore_id_range {
	uint32_t container_id, host_id, count;
};

struct cstore_container;
struct cstore_container_list;

struct cstore_container_spec {
	size_t size;			/* sizeof(struct cstore_container_spec) */
	const char *id;			/* 64 hex */
	const char *const *names;	/* NULL-terminated */
	const char *image;		/* image id */
	const char *layer_name;		/* name of its writable layer; NULL: none */
	const char *metadata;		/* JSON text or NULL */
	const char *mount_label;	/* NULL: "" */
	const char *process_label;
	int is_volatile;		/* record in volatile-containers.json, overlay option "volatile" */
	/* what follows may be left out by a smaller size */
	const struct cstore_id_range *uid_map, *gid_map;	/* user namespace; both or none */
	size_t uid_map_count, gid_map_count;
	const char *const *mount_options;	/* instead of the store's, NULL-terminated; NULL: the store's */
	uint64_t quota;			/* bytes its layer may take (needs project quotas); 0: as the store has it */
};
/*
 * Writable layer on the image's top layer and the record. Safe against the death of the process.
 * With maps the image's files are not copied: they are mounted id-mapped.
 * CSTORE_E_NOT_FOUND: no such image; CSTORE_E_EXISTS: id, name or layer name is taken; CSTORE_E_INVALID: a
 * name that is not UTF-8, maps that the kernel would refuse; -EOPNOTSUPP: quota or maps, and the driver or file
 * system has none.
 */
int cstore_container_create(struct cstore *s, const struct cstore_container_spec *spec, struct cstore_error *err);
int cstore_container_list(struct cstore *s, struct cstore_container_list **ret, struct cstore_error *err);
struct cstore_container_list *cstore_container_list_free(struct cstore_container_list *l);
size_t cstore_container_list_count(const struct cstore_container_list *l);
const struct cstore_container *cstore_container_list_get(const struct cstore_container_list *l, size_t i);
/*
 * By id, id of its layer, exact name, or unique beginning of an id (three digits or more). CSTORE_E_NOT_FOUND,
 * CSTORE_E_AMBIGUOUS.
 */
int cstore_container_lookup(struct cstore *s, const char *id_or_name, struct cstore_container **ret,
			    struct cstore_error *err);
struct cstore_container *cstore_container_free(struct cstore_container *c);
const char *cstore_container_id(const struct cstore_container *c);
const char *const *cstore_container_names(const struct cstore_container *c);
const char *cstore_container_image(const struct cstore_container *c);
const char *cstore_container_layer(const struct cstore_container *c);
const char *cstore_container_metadata(const struct cstore_container *c);
int64_t cstore_container_created(const struct cstore_container *c);
const char *const *cstore_container_data_keys(const struct cstore_container *c);
int cstore_container_is_volatile(const struct cstore_container *c);
/* The number of ranges; 0: no user namespace. */
size_t cstore_container_uid_map(const struct cstore_container *c, const struct cstore_id_range **ret);
size_t cstore_container_gid_map(const struct cstore_container *c, const struct cstore_id_range **ret);

/* CSTORE_E_NOT_FOUND; CSTORE_E_EXISTS: another container has it; CSTORE_E_INVALID. */
int cstore_container_add_name(struct cstore *s, const char *id, const char *name, struct cstore_error *err);
int cstore_container_remove_name(struct cstore *s, const char *id, const char *name, struct cstore_error *err);
int cstore_container_set_metadata(struct cstore *s, const char *id, const char *metadata, struct cstore_error *err);
/* Adds or replaces one piece of data, and reads one; as those of images. */
int cstore_container_put_data(struct cstore *s, const char *id, const struct cstore_blob *blob, struct cstore_error *err);
int cstore_container_data(struct cstore *s, const char *id, const char *key, size_t limit, char **ret,
			  size_t *ret_len, struct cstore_error *err);

/* Directories of a container, made (0700) when missing; [owned]. persistent: below graphroot; run: below runroot. */
int cstore_container_dir(struct cstore *s, const char *id, char **ret, struct cstore_error *err);
int cstore_container_run_dir(struct cstore *s, const char *id, char **ret, struct cstore_error *err);
/*
 * Mounts the root file system, or counts one more user; [owned] path of the mount point. -EOPNOTSUPP: the
 * store was opened without mounts; CSTORE_E_DAMAGED: a lower directory is missing; CSTORE_E_LIMIT: more than
 * 500 of them.
 */
int cstore_container_mount(struct cstore *s, const char *id, char **ret_path, struct cstore_error *err);
/* One user less; force: unmounts whatever the count. Not mounted is success. */
int cstore_container_unmount(struct cstore *s, const char *id, int force, struct cstore_error *err);
/*
 * Unmounts, and removes record, layer (moved aside at once, then removed without locks; see
 * cstore_options_set_leave_garbage()) and directories. CSTORE_E_NOT_FOUND; CSTORE_E_IN_USE: somebody made the
 * layer the base of another.
 */
int cstore_container_delete(struct cstore *s, const char *id, struct cstore_error *err);

#ifdef __cplusplus
}
#endif
#endif
