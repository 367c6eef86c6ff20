/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcimage: image references, registries, credentials, trust policy, manifests, and fetching and
 * copying images through transports that are loaded on first use.
 *
 * Return values: 0 done; > 0 one of CIMAGE_E_*; < 0 a negative errno, unexpected. Out-parameters are
 * untouched on failure.
 *
 * Threads: a reference is immutable. A context is set up by one thread, then may be used by many.
 */
#ifndef CIMAGE_H
#define CIMAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CIMAGE_VERSION "0.1.0"
#define CIMAGE_ERROR_MESSAGE_MAX 1024

enum {
	CIMAGE_E_NOT_FOUND = 1,		/* the registry says there is no such image or blob */
	CIMAGE_E_DENIED = 2,		/* 401/403 after authentication */
	CIMAGE_E_POLICY = 3,		/* refused by policy.json */
	CIMAGE_E_DIGEST = 4,		/* content does not match its digest or size */
	CIMAGE_E_INVALID = 5,		/* reference, manifest, config or configuration file is malformed */
	CIMAGE_E_UNAVAILABLE = 6,	/* connection refused, name not resolved, no route, 5xx */
	CIMAGE_E_TLS = 7,		/* certificate or handshake */
	CIMAGE_E_BLOCKED = 8,		/* registries.conf blocks it */
	CIMAGE_E_PLATFORM = 9,		/* the index has no image for this platform */
	CIMAGE_E_UNSUPPORTED = 10,	/* a transport or media type this build does not have */
	CIMAGE_E_LIMIT = 11,		/* a documented limit was exceeded */
	CIMAGE_E_CANCELLED = 12,
	CIMAGE_E_AMBIGUOUS = 13,	/* a short name has several candidates and the mode is enforcing */
	CIMAGE_E_ARTIFACT = 14,		/* the manifest is not a container image */
	CIMAGE_E_BUSY = 15,		/* 429 after all retries */
};

struct cimage_error {
	int code;			/* CIMAGE_E_*, or 0 */
	int sys_errno;
	char message[CIMAGE_ERROR_MESSAGE_MAX];
};

/* ---- docker references ---- */

struct cimage_ref;

/**
 * cimage_ref_parse() - parse a docker reference, [domain/]path[:tag][@digest]
 * @text:        at most 1024 bytes
 * @default_tag: non-zero: a reference without tag and digest gets the tag "latest"
 * @ret:         [owned] cimage_ref_free()
 * @err:         [optional]
 *
 * Normalised as docker does: "busybox" is docker.io/library/busybox. The first part is a registry
 * only if it has a '.' or ':' in it or is "localhost". Digests are sha256, sha384 or sha512 in lower
 * case. domain/path has at most 255 bytes, the tag 128.
 *
 * Return: 0; CIMAGE_E_INVALID; -ENOMEM; -EINVAL for NULL arguments.
 */
int cimage_ref_parse(const char *text, int default_tag, struct cimage_ref **ret, struct cimage_error *err);
struct cimage_ref *cimage_ref_free(struct cimage_ref *r);	/* NULL is fine; returns NULL */
const char *cimage_ref_string(const struct cimage_ref *r);	/* domain/path[:tag][@digest] */
const char *cimage_ref_name(const struct cimage_ref *r);	/* domain/path */
const char *cimage_ref_domain(const struct cimage_ref *r);
const char *cimage_ref_path(const struct cimage_ref *r);
const char *cimage_ref_tag(const struct cimage_ref *r);	/* NULL when none */
const char *cimage_ref_digest(const struct cimage_ref *r);	/* NULL when none */
/* Has the text a domain ("localhost/x", "example.com/x", "h:5000/x")? If not, it is a short name. */
int cimage_ref_is_short(const char *text);

/* ---- context: where configuration, credentials and policy come from ---- */

/*
 * Files are read once, on first use or by cimage_context_prepare(), and then kept: one context sees
 * one state of the configuration. To see changed files, make a new context or reload this one. Setters are for the time
 * before the first use; they copy their text and return 0, -ENOMEM or -EINVAL.
 */
struct cimage_context;

int cimage_context_new(struct cimage_context **ret);
struct cimage_context *cimage_context_free(struct cimage_context *c);
/**
 * cimage_context_reload() - read the files again
 * @c:   no other call may be using it
 * @err: [optional]
 *
 * registries.conf and its drop-ins, registries.d and auth files are read now, the policy too if it was in
 * use; certificates and what helpers said are forgotten. When something is wrong with a file, all stays
 * as it was.
 *
 * Return: 0; CIMAGE_E_INVALID; negative errno.
 */
int cimage_context_reload(struct cimage_context *c, struct cimage_error *err);
/* NULL path: the usual places (containers-registries.conf(5), -auth.json(5), -policy.json(5), -certs.d(5)). */
int cimage_context_set_registries_conf(struct cimage_context *c, const char *path);
/* Used instead of all drop-in directories; "": no drop-ins. Also with a registries.conf of one's own they are read. */
int cimage_context_set_registries_conf_dir(struct cimage_context *c, const char *path);
int cimage_context_set_policy(struct cimage_context *c, const char *path);
/* Only this file is read then; it may be missing. */
int cimage_context_set_auth_file(struct cimage_context *c, const char *path);
/* The directory that has one directory per registry, host[:port]. */
int cimage_context_set_certs_dir(struct cimage_context *c, const char *path);
/* A directory with such files itself, for whatever registry it is. */
int cimage_context_set_certs(struct cimage_context *c, const char *path);
/* Credentials of the caller: for the registry of the reference only, never for another host. No ':' in user. */
int cimage_context_set_credentials(struct cimage_context *c, const char *user, const char *password);
/* NULL: this machine. "linux", "amd64", "". */
int cimage_context_set_platform(struct cimage_context *c, const char *os, const char *arch, const char *variant);
int cimage_context_set_user_agent(struct cimage_context *c, const char *text);
/*
 * "enforcing", "permissive" or "disabled": how a short name with several candidates is treated. Not
 * set: short-name-mode of registries.conf, else "enforcing".
 */
int cimage_context_set_short_name_mode(struct cimage_context *c, const char *mode);
/* Becomes non-zero: what runs ends with CIMAGE_E_CANCELLED, within a quarter of a second. */
int cimage_context_set_cancel(struct cimage_context *c, const int *cancel);
/* Of two images of a list for the same platform, one with gzip and one with zstd layers: the first; else zstd. */
int cimage_context_set_prefer_gzip(struct cimage_context *c, int prefer);
/* Non-zero: HTTP and unverified TLS are allowed for every registry, whatever registries.conf says. */
int cimage_context_set_insecure(struct cimage_context *c, int insecure);
/*
 * The file in which copies keep what they found out about blobs: where in registries they are, and which compressed blob is which
 * layer. NULL: /var/lib/containers/cache/cimage-blobs (root), ~/.local/share/containers/cache/cimage-blobs (others); "": none. Of
 * the context that is written with.
 */
int cimage_context_set_blob_cache(struct cimage_context *c, const char *path);
/*
 * A transfer that moves fewer than 16 bytes a second for so many seconds has stalled: it is continued, once, and
 * then failed. Not set: 60. 1 to 3600.
 */
int cimage_context_set_stall_timeout(struct cimage_context *c, int seconds);
/* Directory that is searched for modules first, before $CIMAGE_TRANSPORT_DIR and the installed one. */
int cimage_context_set_transport_dir(struct cimage_context *c, const char *path);

/* The registries.d(5) directory: signature stores and whether attached signatures count. NULL: the usual places. */
int cimage_context_set_registries_d(struct cimage_context *c, const char *path);

/*
 * Keys. What is copied is signed with these: an OpenPGP key of the user's gpg (fingerprint or user id;
 * no passphrase: gpg's agent asks), a file with a private key in cosign's or PKCS#8 form.
 */
int cimage_context_set_sign_key(struct cimage_context *c, const char *key, const char *passphrase);
int cimage_context_set_sigstore_key(struct cimage_context *c, const char *path, const char *passphrase);
/*
 * Files of keys for encrypted layers, read at once; may be called many times. Decryption: a private key,
 * PEM or DER, "PATH", "PATH:pass=TEXT" or "PATH:file=PATH" with its passphrase. Encryption: who shall be
 * able to read it, "jwe:PATH" of a public key or certificate.
 */
int cimage_context_add_decryption_key(struct cimage_context *c, const char *spec, struct cimage_error *err);
int cimage_context_add_encryption_key(struct cimage_context *c, const char *spec, struct cimage_error *err);

struct cimage_bytes {
	const char *p;
	size_t len;
};

/**
 * cimage_gpg_verify() - check an OpenPGP signature
 * @c:        borrowed
 * @keyrings: n of them, each with one or more public keys; all borrowed
 * @sig:      a signed message
 * @ret:      [owned] what was signed; NUL added, not counted in @ret_len
 * @ret_fingerprint: [owned] hexadecimal, of the (sub)key that signed
 * @err:      [optional]
 *
 * Starts gpg, through gpgme, with a home directory in $TMPDIR or /tmp that has only these keys.
 *
 * Return: 0; CIMAGE_E_POLICY no good signature by one of these keys; CIMAGE_E_INVALID no keys in the
 *         keyrings; CIMAGE_E_UNSUPPORTED no gpg; negative errno.
 */
int cimage_gpg_verify(struct cimage_context *c, const struct cimage_bytes *keyrings, size_t n,
		      const struct cimage_bytes *sig, char **ret, size_t *ret_len, char **ret_fingerprint,
		      struct cimage_error *err);
/* The same with the keys of the user's own gpg home; any of them is good, so look at the fingerprint. */
int cimage_gpg_verify_at_home(struct cimage_context *c, const struct cimage_bytes *sig, char **ret, size_t *ret_len,
			      char **ret_fingerprint, struct cimage_error *err);
/* Who is asked instead of gpg: for programs that cannot start one where they verify. The same contract. */
typedef int cimage_gpg_verify_fn(void *user, const struct cimage_bytes *keyrings, size_t n,
				 const struct cimage_bytes *sig, char **ret, size_t *ret_len,
				 char **ret_fingerprint, struct cimage_error *err);
int cimage_context_set_gpg_verify(struct cimage_context *c, cimage_gpg_verify_fn *fn, void *user);
/* *ret: will the policy ask for OpenPGP signatures of this reference? Errors as reading the policy. */
int cimage_context_needs_gpg(struct cimage_context *c, const struct cimage_ref *ref, int *ret, struct cimage_error *err);

/**
 * cimage_context_prepare() - do now whatever needs files, for fetching in a sandbox
 * @c:   borrowed
 * @ref: what will be fetched; borrowed
 * @err: [optional]
 *
 * Reads registries.conf, registries.d, policy with its keys, auth files, the certificates of the reference's registry and mirrors
 * and the machine's authorities; loads the digest and transport modules with their libraries and the
 * name service modules that /etc/nsswitch.conf names for hosts. Writes nothing, and sends nothing.
 *
 * What a later cimage_fetch() of the same reference still needs: sockets (inet, and unix for name
 * services such as systemd-resolved), starting threads (name lookup), and to read these files, which
 * the C library looks at for each lookup: /etc/resolv.conf, /etc/hosts, /etc/nsswitch.conf,
 * /etc/host.conf, /etc/gai.conf; /run/systemd/resolve if nsswitch.conf says "resolve".
 *
 * Return: as cimage_fetch() for everything that can be said without the network: CIMAGE_E_BLOCKED,
 *         CIMAGE_E_INVALID for a bad file, CIMAGE_E_UNSUPPORTED for a missing module; -errno.
 */
int cimage_context_prepare(struct cimage_context *c, const struct cimage_ref *ref, struct cimage_error *err);

/*
 * Directories outside the system's own that fetching this reference reads, each if it exists: its
 * lookaside stores of signatures. *ret [owned], cimage_strv_free().
 */
int cimage_context_read_paths(struct cimage_context *c, const struct cimage_ref *ref, char ***ret,
			      struct cimage_error *err);

/**
 * cimage_resolve() - what a short or full name may mean
 * @c:    borrowed
 * @name: as a user writes it
 * @ret:  [owned] NULL-terminated vector of full references, cimage_strv_free(); best candidate first
 * @err:  [optional]
 *
 * By [aliases] (of registries.conf and of short-name-aliases.conf) and unqualified-search-registries.
 * Each reference has a tag or a digest, not both: the digest wins, and the default tag is "latest".
 * Does not use the network.
 *
 * Return: 0; CIMAGE_E_INVALID the name, or a configuration file, is malformed; CIMAGE_E_NOT_FOUND there
 *         is no alias and no search registry; CIMAGE_E_AMBIGUOUS; negative errno.
 */
int cimage_resolve(struct cimage_context *c, const char *name, char ***ret, struct cimage_error *err);
char **cimage_strv_free(char **v);

/* ---- signatures by hand ---- */

/*
 * A simple signature, [owned] bytes, that manifest is what reference names (with a tag or a digest), by the
 * key of cimage_context_set_sign_key(). CIMAGE_E_INVALID; CIMAGE_E_NOT_FOUND no such secret key;
 * CIMAGE_E_DENIED the passphrase; CIMAGE_E_UNSUPPORTED no gpg.
 */
int cimage_sign(struct cimage_context *c, const struct cimage_bytes *manifest, const char *reference, char **ret,
		size_t *ret_len, struct cimage_error *err);
/*
 * Is sig a simple signature of that manifest under that reference, by one of the keys (fingerprints, upper
 * case; NULL: any)? keys are looked for in keyring, or, if that is NULL, in the user's own gpg home.
 * *ret_fingerprint [owned]: whose. CIMAGE_E_POLICY: no.
 */
int cimage_verify(struct cimage_context *c, const struct cimage_bytes *manifest, const char *reference,
		  const char *const *fingerprints, const struct cimage_bytes *keyring, const struct cimage_bytes *sig,
		  char **ret_fingerprint, struct cimage_error *err);
/* A new pair for sigstore's signatures, [owned] PEM: the private key in cosign's encrypted form. */
int cimage_generate_sigstore_key(struct cimage_context *c, const char *passphrase, char **ret_private,
				 char **ret_public, struct cimage_error *err);

/* ---- credentials that are kept ---- */

/*
 * Where registries.conf wants them: a credential helper, or the auth file (the context's, else
 * $XDG_RUNTIME_DIR/containers/auth.json or /run/containers/UID/auth.json). key is host[:port], or
 * host[:port]/namespace..., which only files can hold. Nothing is checked with the registry:
 * cimage_login() does.
 */

/* *ret_where (may be NULL) [owned]: the file or program that has them now. CIMAGE_E_INVALID, _UNSUPPORTED, _DENIED (by a helper). */
int cimage_credentials_store(struct cimage_context *c, const char *key, const char *user, const char *password,
			     char **ret_where, struct cimage_error *err);
/* key NULL: all. CIMAGE_E_NOT_FOUND when there were none. */
int cimage_credentials_remove(struct cimage_context *c, const char *key, struct cimage_error *err);
/* *ret_user [owned]: "<token>" for an identity token. CIMAGE_E_NOT_FOUND. */
int cimage_credentials_find(struct cimage_context *c, const char *key, char **ret_user, struct cimage_error *err);
/*
 * Does the registry host[:port] take the credentials of cimage_context_set_credentials()? Sends them there.
 * CIMAGE_E_DENIED, and as cimage_fetch().
 */
int cimage_login(struct cimage_context *c, const char *host, struct cimage_error *err);

/* ---- manifests ---- */

/*
 * Signatures in containers/image's serialised form: a simple signature is its OpenPGP message, any
 * other begins with a zero byte and names its kind.
 */
struct cimage_signature {
	char *bytes;
	size_t len;
};
struct cimage_signatures {
	struct cimage_signature *items;
	size_t count;
};
void cimage_signatures_done(struct cimage_signatures *s);	/* frees the items; zeroes the struct */
int cimage_signatures_add(struct cimage_signatures *s, const char *bytes, size_t len);	/* copies; 0, -ENOMEM */

#define CIMAGE_MANIFEST_MAX (4u << 20)	/* bytes; also for configs */

struct cimage_layer {
	const char *digest;		/* of the blob */
	const char *media_type;
	int64_t size;			/* bytes of the blob */
	const char *diff_id;		/* of the uncompressed tar, from the config */
};

/* One image as it will be pulled: immutable, borrowed from the fetch. */
struct cimage_image;
const char *cimage_image_id(const struct cimage_image *i);		/* hex of the config digest */
const char *cimage_image_manifest(const struct cimage_image *i, size_t *ret_len);
const char *cimage_image_manifest_digest(const struct cimage_image *i);
const char *cimage_image_manifest_type(const struct cimage_image *i);	/* media type */
const char *cimage_image_list(const struct cimage_image *i, size_t *ret_len);	/* the index it was chosen from, or NULL */
const char *cimage_image_list_digest(const struct cimage_image *i);			/* or NULL */
const char *cimage_image_config(const struct cimage_image *i, size_t *ret_len);
const char *cimage_image_config_digest(const struct cimage_image *i);
int64_t cimage_image_created(const struct cimage_image *i);				/* ns since 1970; 0 unknown */
/* All that there are, whether the policy asked for some or not. */
const struct cimage_signatures *cimage_image_signatures(const struct cimage_image *i);
size_t cimage_image_layer_count(const struct cimage_image *i);
const struct cimage_layer *cimage_image_layer(const struct cimage_image *i, size_t n);	/* base layer first */

/*
 * What a stored config says: for a daemon that starts containers. [owned] handle. All strings are valid
 * UTF-8. CIMAGE_E_INVALID when a field has a type that other readers would refuse.
 */
struct cimage_config;
int cimage_config_parse(const char *bytes, size_t len, struct cimage_config **ret, struct cimage_error *err);
struct cimage_config *cimage_config_free(struct cimage_config *c);
const char *cimage_config_user(const struct cimage_config *c);		/* "" when none; so below */
const char *cimage_config_working_dir(const struct cimage_config *c);
const char *cimage_config_stop_signal(const struct cimage_config *c);
const char *cimage_config_os(const struct cimage_config *c);
const char *cimage_config_architecture(const struct cimage_config *c);
const char *const *cimage_config_entrypoint(const struct cimage_config *c);	/* NULL-terminated; so below */
const char *const *cimage_config_cmd(const struct cimage_config *c);
const char *const *cimage_config_env(const struct cimage_config *c);
const char *const *cimage_config_volumes(const struct cimage_config *c);		/* container paths */
const char *const *cimage_config_labels(const struct cimage_config *c);		/* key, value, key, value ... */
int64_t cimage_config_created(const struct cimage_config *c);

/* ---- fetching ---- */

/*
 * Where fetched layers go. image() is called once, when manifest, policy and config are verified; it
 * fills fds[i] (-1 before) for each layer: a descriptor to write the blob to (owned by the fetch once
 * image() has returned 0, closed at the end of the blob; may be a pipe, blocking or not) or -1 for a
 * layer that is not needed. A non-blocking descriptor that is full holds up its own layer only; but six
 * layers are under way at once, started in order, so a reader that takes fewer than six at a time must
 * take them in order too. layer_done() is
 * called when layer n's bytes are all written and its digest and size are right, before its
 * descriptor is closed. progress() tells bytes received of layer n. Non-zero from image() or
 * layer_done() ends the fetch with that value. All are called from the thread of cimage_fetch().
 */
struct cimage_sink {
	size_t size;		/* sizeof(struct cimage_sink) */
	void *user;
	int (*image)(void *user, const struct cimage_image *image, int *fds, struct cimage_error *err);
	int (*layer_done)(void *user, size_t n, struct cimage_error *err);
	void (*progress)(void *user, size_t n, uint64_t bytes);
};

/**
 * cimage_fetch() - fetch an image from its registry
 * @c:    borrowed
 * @ref:  borrowed; a digest wins over a tag, and without both the tag is "latest"
 * @sink: borrowed
 * @err:  [optional]
 *
 * Mirrors and the registry in the order of registries.conf, authentication, policy.json, manifest,
 * platform, config, then the layers the sink wants, six at a time. All digests and sizes are verified.
 * Limits: 4 MiB for manifest and config each, 512 layers, 1 MiB for a token answer, 64 KiB of headers.
 * A broken layer transfer is continued where it broke; 429 is retried as the registry asks.
 *
 * Context: blocks for minutes; any thread; several fetches with one context are fine. Cancelled through
 *          cimage_context_set_cancel(). SIGPIPE is blocked in the calling thread meanwhile.
 * Return: 0; any CIMAGE_E_* but AMBIGUOUS; negative errno; what a callback of the sink returned.
 */
int cimage_fetch(struct cimage_context *c, const struct cimage_ref *ref, const struct cimage_sink *sink,
		 struct cimage_error *err);

/* ---- places: an image somewhere, "transport:what" ---- */

/*
 * docker://REFERENCE		dir:PATH			oci:PATH[:NAME]			oci-archive:PATH[:NAME]
 * docker-archive:PATH[:REFERENCE|:@INDEX]		docker-daemon:REFERENCE|sha256:ID	ostree:REFERENCE[@/REPOSITORY]
 * containers-storage:[[DRIVER@]ROOT[+RUNROOT][:OPTIONS]]REFERENCE|ID
 * as containers-transports(5) has them, and whatever transports were registered.
 */
struct cimage_place;

/**
 * cimage_place_parse() - parse the name of a place
 * @c:    borrowed; loads the transport's module
 * @text: "transport:what"
 * @ret:  [owned] cimage_place_free(); immutable
 * @err:  [optional]
 *
 * Return: 0; CIMAGE_E_INVALID; CIMAGE_E_UNSUPPORTED no such transport; negative errno.
 */
int cimage_place_parse(struct cimage_context *c, const char *text, struct cimage_place **ret, struct cimage_error *err);
struct cimage_place *cimage_place_free(struct cimage_place *p);	/* NULL is fine; returns NULL */
const char *cimage_place_string(const struct cimage_place *p);	/* "transport:what" */
const char *cimage_place_transport(const struct cimage_place *p);
const struct cimage_ref *cimage_place_ref(const struct cimage_place *p);	/* the docker reference, or NULL */
const char *cimage_place_path(const struct cimage_place *p);	/* as the transport filled struct cimage_place_parts; so name */
const char *cimage_place_name(const struct cimage_place *p);
/* What policy.json may name it by, most specific first; NULL-terminated. NULL: by its docker reference. */
const char *const *cimage_place_scopes(const struct cimage_place *p);

/* ---- transports: modules register themselves through this ---- */

/*
 * A source of one image. prepare() (may be NULL) does what needs files, without network. open() gets a
 * reference with a tag or a digest, not both. manifest() returns [owned] bytes and media type (NULL or
 * "" unknown) of the manifest with that digest, or the one the reference names (digest NULL). blobs()
 * fetches all blobs of the set, several at once: each goes through data() in order, all in the calling
 * thread. data() returning CIMAGE_PAUSE did not take the bytes: that blob waits until its resume_fd
 * polls writable (or broken) and then offers the same bytes again, in pieces of any size, while the
 * others go on. done() is called once per blob that ended, 0 for complete. Any other value from data()
 * or done() ends the transfer: blobs() returns it and leaves err alone. Who calls verifies all digests.
 */
#define CIMAGE_TRANSPORT_ABI 2
#define CIMAGE_PAUSE 1000
struct cimage_source;
struct cimage_blob_request {
	const char *digest;
	int64_t size;		/* -1 unknown */
	const char *const *urls;	/* foreign layers; NULL-terminated or NULL */
	void *user;
	int resume_fd;		/* waited on for writability while paused; -1: never pauses */
	int (*data)(void *user, const void *p, size_t n);
	int (*done)(void *user, int result);	/* 0 complete; non-zero return ends all */
};

/*
 * What a transport makes of the text behind "NAME:". All members are [owned] and freed by the library
 * (free(), cimage_ref_free(), cimage_strv_free()); what a transport does not need stays NULL.
 */
struct cimage_place_parts {
	struct cimage_ref *ref;	/* the docker reference that is there */
	char *path, *name;	/* as the transport likes: a file, and what is in it */
	char **scopes;		/* for policy.json: identity first, then ever wider; NULL: those of ref */
	char *text;		/* "NAME:..." normalised; NULL: as it was written */
};

/* An image's manifest has many layers; the place of one in a copy. */
enum { CIMAGE_BLOB_LAYER, CIMAGE_BLOB_CONFIG };
struct cimage_put {
	int kind;		/* CIMAGE_BLOB_* */
	size_t index;		/* of the layer, base first; of no meaning for a config */
	const char *digest;	/* NULL: not known before the end of the stream */
	int64_t size;		/* bytes; -1: the same */
	const char *media_type;
	const char *diff_id;	/* of the uncompressed layer, or NULL while nobody knows it */
	/* where else the destination's transport has this blob: other repositories of a registry; NULL-terminated or NULL */
	const char *const *known_at;
};

/*
 * A stream of bytes, read by one thread. read() gives up to n bytes, 0 at the end. close() frees the
 * stream and what it is made of; it may come before the end.
 */
struct cimage_stream {
	int (*read)(struct cimage_stream *s, void *p, size_t n, size_t *ret_n, struct cimage_error *err);
	void (*close)(struct cimage_stream *s);
};

/*
 * Where an image is put. Nothing of it is visible there before commit() returned 0; close() without
 * commit() leaves nothing of this image but blobs that another one can use. put_blob() and has_blob() may be called by several
 * threads at once, all others by the one that opened it.
 */
struct cimage_destination;
struct cimage_endpoint;
enum {
	CIMAGE_DEST_UNCOMPRESSED = 1,	/* layers are to come uncompressed */
	CIMAGE_DEST_KEEPS_FORM = 2,	/* has no wish about compression: layers come as they are */
	CIMAGE_DEST_FOREIGN_LAYERS = 4,	/* layers with URLs need not be put */
	CIMAGE_DEST_SIGNATURES = 8,	/* can store signatures */
	CIMAGE_DEST_LISTS = 16,		/* can store a list of images */
	CIMAGE_DEST_DIGESTED = 32,	/* the place names a digest: what is put must have it */
};
struct cimage_destination_ops {
	int (*open)(struct cimage_context *c, const struct cimage_place *place, struct cimage_destination **ret,
		    struct cimage_error *err);
	void (*close)(struct cimage_destination *d);
	int (*flags)(const struct cimage_destination *d);	/* CIMAGE_DEST_* */
	/* media types of manifests, best first; NULL: all */
	const char *const *(*manifest_types)(const struct cimage_destination *d);
	/* *ret: is the blob there already, or could it be brought there without its bytes? Then it is not put. */
	int (*has_blob)(struct cimage_destination *d, const struct cimage_put *b, int *ret, struct cimage_error *err);
	/*
	 * Reads the stream to its end, which only comes when all bytes were right; a read() that fails ends it. After the end
	 * b->digest and b->size are known in any case.
	 */
	int (*put_blob)(struct cimage_destination *d, const struct cimage_put *b, struct cimage_stream *s,
			struct cimage_error *err);
	/* instance: digest of this manifest, when it is one of a list; NULL: what the place will name */
	int (*put_manifest)(struct cimage_destination *d, const char *bytes, size_t n, const char *media_type,
			    const char *instance, struct cimage_error *err);
	/* instance: as above. May be NULL when it has no CIMAGE_DEST_SIGNATURES. */
	int (*put_signatures)(struct cimage_destination *d, const struct cimage_signatures *s, const char *instance,
			      struct cimage_error *err);
	/* list: what the image was chosen from, or NULL; kept by destinations that have a place for it. */
	int (*commit)(struct cimage_destination *d, const char *list, size_t n, struct cimage_error *err);
};

/* ABI 1 ends after blobs(). */
struct cimage_transport {
	int abi;		/* CIMAGE_TRANSPORT_ABI */
	const char *name;	/* "docker"; lower case letters, digits, '-' */
	int (*prepare)(struct cimage_context *c, struct cimage_error *err);
	int (*open)(struct cimage_context *c, const struct cimage_ref *ref, struct cimage_source **ret,
		    struct cimage_error *err);
	void (*close)(struct cimage_source *s);
	int (*manifest)(struct cimage_source *s, const char *digest, char **ret, size_t *ret_len,
			char **ret_type, struct cimage_error *err);
	int (*blobs)(struct cimage_source *s, struct cimage_blob_request *r, size_t n,
		     struct cimage_error *err);

	/* What follows may be NULL, each. */

	int (*parse)(struct cimage_context *c, const char *text, struct cimage_place_parts *ret, struct cimage_error *err);
	/* As open(), which need not exist then. */
	int (*open_place)(struct cimage_context *c, const struct cimage_place *place, struct cimage_source **ret,
			  struct cimage_error *err);
	/* Signatures of the manifest with that digest; [owned], may be empty. NULL: there never are any. */
	int (*signatures)(struct cimage_source *s, const char *digest, struct cimage_signatures *ret,
			  struct cimage_error *err);
	/*
	 * Layers that are there in another form than the manifest says: fills layers[i].digest, .size and .media_type
	 * (borrowed from the source). *ret: any?
	 */
	int (*layers)(struct cimage_source *s, const char *digest, struct cimage_layer *layers, size_t n, int *ret,
		      struct cimage_error *err);
	const struct cimage_destination_ops *destination;
	int (*tags)(struct cimage_context *c, const struct cimage_place *place, char ***ret, struct cimage_error *err);
	int (*remove)(struct cimage_context *c, const struct cimage_place *place, struct cimage_error *err);
	/* Are the credentials of the endpoint good there? CIMAGE_E_DENIED. */
	int (*login)(struct cimage_context *c, const struct cimage_endpoint *e, struct cimage_error *err);
};
/*
 * A module NAME.so exports: const struct cimage_transport cimage_transport_module; programs may add
 * their own. 0; -EINVAL not for this library; -EEXIST the name is taken; -ENOSPC.
 */
int cimage_transport_register(const struct cimage_transport *t);

/* What a transport may ask the context. */

int cimage_context_cancelled(const struct cimage_context *c);
const char *cimage_context_user_agent(const struct cimage_context *c);
int cimage_context_stall_timeout(const struct cimage_context *c);	/* s */
/* PEM of the machine's certificate authorities; "" when it has none. Borrowed from the context. */
int cimage_context_ca_bundle(struct cimage_context *c, const char **ret, struct cimage_error *err);
/* *ret: does registries.conf allow HTTP and unverified TLS for this host[:port]? */
int cimage_context_host_is_insecure(struct cimage_context *c, const char *host, int *ret, struct cimage_error *err);

/*
 * Where signatures of this image are, by registries.d: *ret_url [owned] is the base of its lookaside
 * store, file://, http:// or https:// with the repository's path; "@ALGORITHM=HEX/signature-N" follows.
 * write: the one to write to. *ret_attachments: are sigstore attachments in the registry used?
 */
int cimage_context_signature_store(struct cimage_context *c, const struct cimage_ref *ref, int write, char **ret_url,
				   int *ret_attachments, struct cimage_error *err);

/*
 * The places registries.conf gives for a reference, mirrors first: [owned] NULL-terminated vector.
 * Credentials and certificates are those for exactly that place. Strings are borrowed from the
 * endpoint, NULL when there is none. CIMAGE_E_BLOCKED, CIMAGE_E_INVALID, CIMAGE_E_DENIED (a
 * credential helper failed), -errno. Helpers are run, once for each registry and context.
 */
int cimage_context_endpoints(struct cimage_context *c, const struct cimage_ref *ref, struct cimage_endpoint ***ret,
			     struct cimage_error *err);
struct cimage_endpoint **cimage_endpoints_free(struct cimage_endpoint **v);
const struct cimage_ref *cimage_endpoint_ref(const struct cimage_endpoint *e);	/* what to ask for there */
int cimage_endpoint_is_insecure(const struct cimage_endpoint *e);
int cimage_endpoint_is_mirror(const struct cimage_endpoint *e);
const char *cimage_endpoint_user(const struct cimage_endpoint *e);
const char *cimage_endpoint_password(const struct cimage_endpoint *e);
const char *cimage_endpoint_identity_token(const struct cimage_endpoint *e);
const char *cimage_endpoint_ca(const struct cimage_endpoint *e);		/* PEM, besides the machine's */
const char *cimage_endpoint_client_cert(const struct cimage_endpoint *e);	/* PEM; with client_key */
const char *cimage_endpoint_client_key(const struct cimage_endpoint *e);

/* ---- copying ---- */

enum {
	CIMAGE_PROGRESS_START = 1,	/* the blob is on its way */
	CIMAGE_PROGRESS_BYTES = 2,	/* done has grown */
	CIMAGE_PROGRESS_DONE = 3,	/* all of it arrived, and was right */
	CIMAGE_PROGRESS_REUSED = 4,	/* the destination has it */
};
struct cimage_progress {
	int event;			/* CIMAGE_PROGRESS_* */
	int kind;			/* CIMAGE_BLOB_* */
	const char *digest;		/* at the source */
	uint64_t done;			/* bytes read of it */
	int64_t size;			/* bytes; -1 unknown */
};

/*
 * Options of a copy, for any number of them; setters copy their text and return 0, -EINVAL or -ENOMEM.
 * Without options: of a list the image of this platform, in the form it has wherever the destination takes it.
 */
struct cimage_copy_options;
int cimage_copy_options_new(struct cimage_copy_options **ret);
struct cimage_copy_options *cimage_copy_options_free(struct cimage_copy_options *o);
/* "oci" or "v2s2": the manifest is converted if it is another; NULL: only if the destination wants another. */
int cimage_copy_options_set_format(struct cimage_copy_options *o, const char *format);
/* Non-zero: lists are copied with all their images. */
int cimage_copy_options_set_all(struct cimage_copy_options *o, int all);
/* Lists are copied with only the images of these digests; all others are still named by the list. */
int cimage_copy_options_add_instance(struct cimage_copy_options *o, const char *digest);
/* "gzip" or "zstd", for layers that are not compressed so; "none": they are stored uncompressed. level 0: the usual. */
int cimage_copy_options_set_compression(struct cimage_copy_options *o, const char *algorithm, int level);
/* Non-zero: it is an error when a manifest would have to change. */
int cimage_copy_options_set_preserve_digests(struct cimage_copy_options *o, int preserve);
/* Non-zero: signatures of the source are left behind. */
int cimage_copy_options_set_remove_signatures(struct cimage_copy_options *o, int remove);
/* What signatures that are made name as the image; NULL: the destination's reference. */
int cimage_copy_options_set_sign_identity(struct cimage_copy_options *o, const char *reference);
/* Layers at once: 1 to 32, usually 6. */
int cimage_copy_options_set_parallel(struct cimage_copy_options *o, int n);
/* Called for one event at a time, but from several threads. */
int cimage_copy_options_set_progress(struct cimage_copy_options *o,
				     void (*progress)(void *user, const struct cimage_progress *p), void *user);

/**
 * cimage_copy() - copy an image from one place to another
 * @from_context: for reading: registries, credentials, policy, platform, keys to decrypt with; borrowed
 * @from:         borrowed
 * @to_context:   for writing: registries, credentials, keys to sign and to encrypt with; may be the same; borrowed
 * @to:           borrowed
 * @o:            NULL for defaults; borrowed
 * @ret_digest:   [owned] of the manifest as it is at @to; may be NULL
 * @err:          [optional]
 *
 * policy.json first, then only blobs that @to does not have, several at once, each verified against its digest and
 * size on the way. A manifest that has signatures (unless they are left behind), or is named by digest at @to,
 * is copied as it is or not at all. On failure @to names no new image. Memory does not grow with the size
 * of layers: about 5 MiB for each layer under way, 10 when it is compressed with zstd.
 *
 * Context: blocks for minutes; any thread; cancelled through either context. SIGPIPE is blocked in the calling thread
 *          meanwhile.
 * Return: 0; any CIMAGE_E_* but AMBIGUOUS; negative errno.
 */
int cimage_copy(struct cimage_context *from_context, const struct cimage_place *from, struct cimage_context *to_context,
		const struct cimage_place *to, const struct cimage_copy_options *o, char **ret_digest,
		struct cimage_error *err);

/*
 * What a place has, without copying. [owned] bytes; what: NULL the manifest (or list) that is there, else the digest of one of
 * its instances. The policy is not asked. ret_type: media type, [owned]; ret_digest: [owned]; both may be NULL.
 */
int cimage_read_manifest(struct cimage_context *c, const struct cimage_place *p, const char *instance, char **ret,
			 size_t *ret_len, char **ret_type, char **ret_digest, struct cimage_error *err);
/*
 * The image at a place that is for the platform of the context: its manifest's digest, manifest and config, each [owned].
 * The policy is not asked. config is NULL for an image that has none (schema 1).
 */
struct cimage_inspection {
	char *manifest, *manifest_type, *manifest_digest, *config;
	size_t manifest_len, config_len;
};
int cimage_inspect(struct cimage_context *c, const struct cimage_place *p, struct cimage_inspection *ret,
		   struct cimage_error *err);
void cimage_inspection_done(struct cimage_inspection *i);
/* Digest of a manifest's bytes, as registries have it: [owned]. CIMAGE_E_INVALID: signed, but malformed. */
int cimage_manifest_digest(struct cimage_context *c, const char *bytes, size_t n, char **ret, struct cimage_error *err);
/* Tags of the repository that a place is in: [owned] cimage_strv_free(). CIMAGE_E_UNSUPPORTED: the transport has none. */
int cimage_list_tags(struct cimage_context *c, const struct cimage_place *p, char ***ret, struct cimage_error *err);
/* Removes the image at a place. CIMAGE_E_NOT_FOUND, CIMAGE_E_UNSUPPORTED, ... */
int cimage_remove(struct cimage_context *c, const struct cimage_place *p, struct cimage_error *err);
/* Names of the transports that are registered or installed: [owned] cimage_strv_free(). */
int cimage_transports(struct cimage_context *c, char ***ret, struct cimage_error *err);

#ifdef __cplusplus
}
#endif
#endif
