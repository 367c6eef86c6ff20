/* SPDX-License-Identifier: Apache-2.0 */
/* cimage standalone-sign, standalone-verify and generate-sigstore-key: signatures with files only. */
#include <cbase/io.h>
#include <cimage.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "trust.h"

#define FILE_MAX (4u << 20)

static const char *output, *passphrase_file, *keyring, *prefix;

static int failed(const struct cimage_error *err)
{
	complain("%s", err->message[0] ? err->message : "out of memory");
	return EXIT_FAILURE;
}

static int read_bytes(const char *path, char **ret, size_t *ret_len)
{
	int r = read_file(path, FILE_MAX, ret, ret_len);

	if (r)
		complain("%s: %s", path, strerror(-r));
	return r ? EXIT_FAILURE : 0;
}

/* The first line; NULL in *ret without a file. */
static int read_passphrase(char **ret)
{
	size_t n;
	int r;

	*ret = NULL;
	if (!passphrase_file)
		return 0;
	r = read_bytes(passphrase_file, ret, &n);
	if (!r)
		(*ret)[strcspn(*ret, "\r\n")] = '\0';
	return r;
}

/* ---- keys of a copy ---- */

static int set_keys(const struct key_options *k, const char *passphrase, struct cimage_context *from,
		    struct cimage_context *to)
{
	struct cimage_error err = { 0 };
	char **v;

	if ((k->sign_by && cimage_context_set_sign_key(to, k->sign_by, passphrase)) ||
	    (k->sigstore_key && cimage_context_set_sigstore_key(to, k->sigstore_key, passphrase))) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	for (v = k->encrypt; v && *v; v++)
		if (cimage_context_add_encryption_key(to, *v, &err))
			return failed(&err);
	for (v = k->decrypt; v && *v; v++)
		if (cimage_context_add_decryption_key(from, *v, &err))
			return failed(&err);
	return 0;
}

int setup_keys(const struct key_options *k, struct cimage_context *from, struct cimage_context *to)
{
	_cleanup_free_ char *passphrase = NULL;
	int r;

	passphrase_file = k->sign_passphrase_file;
	r = read_passphrase(&passphrase);
	if (!r)
		r = set_keys(k, passphrase, from, to);
	if (passphrase)
		explicit_bzero(passphrase, strlen(passphrase));
	return r;
}

/* ---- standalone-sign ---- */

static const struct opt sign_options[] = {
	{ 'o', "output", OPT_STRING, &output, "PATH", "where the signature goes (needed)" },
	{ 0, "passphrase-file", OPT_STRING, &passphrase_file, "PATH",
	  "file with the passphrase of the key; else gpg's agent asks" },
	{ 0 },
};

static int sign_bytes(struct cimage_context *c, const char *manifest, size_t n,
		      const char *reference)
{
	struct cimage_error err = { 0 };
	_cleanup_free_ char *sig = NULL;
	size_t len;
	int r = cimage_sign(c, &(struct cimage_bytes){ manifest, n }, reference, &sig, &len, &err);

	if (r)
		return failed(&err);
	r = write_file(output, 0644, sig, len, 0);
	if (r)
		complain("%s: %s", output, strerror(-r));
	return r ? EXIT_FAILURE : 0;
}

static int run_sign(void *unused, int argc, char **argv)
{
	_cleanup_free_ char *manifest = NULL, *passphrase = NULL;
	struct cimage_context *c;
	size_t n;
	int r;

	if (!output) {
		complain("standalone-sign: --output says where the signature goes");
		return EXIT_USAGE;
	}
	if ((r = read_bytes(argv[0], &manifest, &n)) || (r = read_passphrase(&passphrase)))
		return r;
	if (cimage_context_new(&c)) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	if (cimage_context_set_sign_key(c, argv[2], passphrase)) {
		complain("out of memory");
		r = EXIT_FAILURE;
	} else {
		r = sign_bytes(c, manifest, n, argv[1]);
	}
	cimage_context_free(c);
	if (passphrase)
		explicit_bzero(passphrase, strlen(passphrase));
	return r;
}

const struct command cmd_standalone_sign = {
	.name = "standalone-sign",
	.args = "MANIFEST REFERENCE KEY",
	.summary = "sign a manifest in a file with a key of gpg",
	.details = "REFERENCE is what the image will be called, with a tag or a digest; KEY is the\n"
		   "fingerprint or user id of a secret key.",
	.options = sign_options,
	.min_args = 3,
	.max_args = 3,
	.run = run_sign,
};

/* ---- standalone-verify ---- */

static const struct opt verify_options[] = {
	{ 0, "public-key-file", OPT_STRING, &keyring, "PATH",
	  "file of public keys to verify with, instead of those gpg knows" },
	{ 0 },
};

/* "any", or fingerprints with commas: [owned] vector, NULL for any. */
static int read_fingerprints(const char *text, char ***ret)
{
	*ret = NULL;
	if (streq(text, "any"))
		return keyring ? 0 : -EINVAL;
	return strv_split(text, ',', ret);
}

static int verify_bytes(struct cimage_context *c, const struct cimage_bytes *manifest,
			const char *reference, char *const *fingerprints,
			const struct cimage_bytes *keys, const struct cimage_bytes *sig)
{
	_cleanup_free_ char *by = NULL;
	struct cimage_error err = { 0 };

	if (cimage_verify(c, manifest, reference, (const char *const *)fingerprints,
			  keys->p ? keys : NULL, sig, &by, &err))
		return failed(&err);
	printf("Signature verified using fingerprint %s, for %s\n", by, reference);
	return 0;
}

static int run_verify(void *unused, int argc, char **argv)
{
	_cleanup_free_ char *manifest = NULL, *sig = NULL, *keys = NULL;
	_cleanup_strv_ char **fingerprints = NULL;
	size_t n, sig_len, keys_len = 0;
	struct cimage_context *c;
	int r;

	if (read_fingerprints(argv[2], &fingerprints)) {
		complain("standalone-verify: \"any\" fingerprint is for --public-key-file only, where "
			 "the file says which keys are good");
		return EXIT_USAGE;
	}
	if ((r = read_bytes(argv[0], &manifest, &n)) || (r = read_bytes(argv[3], &sig, &sig_len)) ||
	    (keyring && (r = read_bytes(keyring, &keys, &keys_len))))
		return r;
	if (cimage_context_new(&c)) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	r = verify_bytes(c, &(struct cimage_bytes){ manifest, n }, argv[1], fingerprints,
			 &(struct cimage_bytes){ keys, keys_len },
			 &(struct cimage_bytes){ sig, sig_len });
	cimage_context_free(c);
	return r;
}

const struct command cmd_standalone_verify = {
	.name = "standalone-verify",
	.args = "MANIFEST REFERENCE FINGERPRINTS SIGNATURE",
	.summary = "verify a simple signature in a file",
	.details = "FINGERPRINTS: of the keys that are good, with commas between them, as gpg prints them;\n"
		   "\"any\" for all of --public-key-file.",
	.options = verify_options,
	.min_args = 4,
	.max_args = 4,
	.run = run_verify,
};

/* ---- generate-sigstore-key ---- */

static const struct opt generate_options[] = {
	{ 'o', "output-prefix", OPT_STRING, &prefix, "PATH", "makes PATH.pub and PATH.private (needed)" },
	{ 0, "passphrase-file", OPT_STRING, &passphrase_file, "PATH",
	  "file with the passphrase that shall protect the private key (needed)" },
	{ 0 },
};

/* Never over another key. */
static int write_new(const char *suffix, mode_t mode, const char *text)
{
	_cleanup_free_ char *path = strf("%s%s", prefix, suffix);
	_cleanup_close_ int fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode) : -1;
	int r = fd < 0 ? -errno : write_all(fd, text, strlen(text));

	if (r)
		complain("%s: %s", path ? path : prefix, strerror(-r));
	return r ? EXIT_FAILURE : 0;
}

static int run_generate(void *unused, int argc, char **argv)
{
	_cleanup_free_ char *passphrase = NULL, *private = NULL, *public = NULL;
	struct cimage_error err = { 0 };
	struct cimage_context *c;
	int r;

	if (!prefix || !passphrase_file) {
		complain("generate-sigstore-key: --output-prefix and --passphrase-file are needed");
		return EXIT_USAGE;
	}
	r = read_passphrase(&passphrase);
	if (r || cimage_context_new(&c))
		return EXIT_FAILURE;
	r = cimage_generate_sigstore_key(c, passphrase, &private, &public, &err);
	cimage_context_free(c);
	explicit_bzero(passphrase, strlen(passphrase));
	if (r)
		return failed(&err);
	r = write_new(".private", 0600, private);
	explicit_bzero(private, strlen(private));
	if (!r)
		r = write_new(".pub", 0644, public);
	if (!r)
		printf("Key written to \"%s.private\" and \"%s.pub\"\n", prefix, prefix);
	return r;
}

const struct command cmd_generate_key = {
	.name = "generate-sigstore-key",
	.args = "",
	.summary = "make a key pair for sigstore's signatures",
	.options = generate_options,
	.min_args = 0,
	.max_args = 0,
	.run = run_generate,
};
