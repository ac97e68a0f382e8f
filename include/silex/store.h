/* Object stores: where a database keeps blocks that left the local disk, and where backups go.
 * SPDX-License-Identifier: MIT
 *
 * A database is given stores by name (silex_options.stores), each by a url: "folder:/mnt/archive" or a plain path,
 * "memory:", "s3://bucket/prefix?...", or "SCHEME:..." of a type that the application registers
 * (silex_options.store_types; examples/custom_store.c). */
#ifndef SILEX_STORE_H
#define SILEX_STORE_H

#include <silex/env.h>
#include <silex/export.h>
#include <silex/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open store. What implements one begins its own struct with this. */
typedef struct silex_store {
	const struct silex_store_ops *ops;
} silex_store;

/* Called with a name; false ends the listing. */
typedef bool (*silex_store_name_fn)(void *arg, const char *name);

/* What a store does. It keeps immutable objects by name: each is sent once, in pieces, read by ranges, removed. Names are
 * [A-Za-z0-9._-]{1,128}, do not begin with '.' and do not end in ".tmp"; Silex checks them, makes unique ones, and adds
 * the store's name to messages. The bytes carry their own checksums, so a store need not add any.
 *
 * Threads: any function from any thread, several at once; one writer belongs to one thread at a time. close comes last,
 * when no other call is under way.
 *
 * What a status means:
 *   NOT_FOUND          there is no such object. Never for a bucket, folder or server that is not there: data would be
 *                      taken for lost
 *   CONFLICT           begin: an object of that name is there
 *   CORRUPT            the object is shorter than asked for, or arrived damaged
 *   PERMISSION_DENIED  the store refuses; somebody must change a key or a right
 *   UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED
 *                      later it may work; Silex tries again with growing pauses. A store that can tell that a moment
 *                      will do (a cut connection, "slow down") tries again itself, for seconds, not minutes
 *   CANCELED           stop was called
 * Members are never NULL but for those that say so. */
typedef struct silex_store_ops {
	uint32_t struct_size; /* sizeof(silex_store_ops) of what it was compiled with: later releases add members */

	/* Sends an object. Nothing is visible before commit; then all of it is, durably. commit frees the writer also when it
	 * fails: the object is then absent or, if an answer was lost on the way, whole. After a failed append only abort is
	 * left. abort frees the writer and what was sent. */
	silex_status (*begin)(silex_store *s, const char *name, void **ret_writer, silex_error *err);
	silex_status (*append)(silex_store *s, void *writer, const void *bytes, size_t n, silex_error *err);
	silex_status (*commit)(silex_store *s, void *writer, silex_error *err);
	void (*abort)(silex_store *s, void *writer);

	/* Exactly n bytes at offset. */
	silex_status (*get_range)(silex_store *s, const char *name, uint64_t offset, void *buf, size_t n, silex_error *err);
	silex_status (*size)(silex_store *s, const char *name, uint64_t *ret_size, silex_error *err);
	/* Names that begin with prefix ("": all), in any order. What others keep there may be among them. each does not call
	 * the store. */
	silex_status (*list)(silex_store *s, const char *prefix, silex_store_name_fn each, void *arg, silex_error *err);
	silex_status (*remove)(silex_store *s, const char *name, silex_error *err);
	/* May be NULL. Calls under way and later ones end soon, with CANCELED: the database is being closed. */
	void (*stop)(silex_store *s);
	void (*close)(silex_store *s);
} silex_store_ops;

enum { SILEX_STORE_NAME_MAX = 64 }; /* characters of a store's name */

/* A store that a database or a backup is to open. The strings must outlive what they are given to. */
typedef struct silex_store_config {
	uint32_t struct_size; /* sizeof(silex_store_config) */
	const char *name;     /* [A-Za-z0-9_-]{1,64}: "archive". Block lists on disk use it: it outlives the url */
	const char *url;
	/* For types that sign (S3); NULL: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN of the environment.
	 * Neither logged nor written anywhere. */
	const char *access_key, *secret_key, *session_token;
} silex_store_config;

/* A kind of store, chosen by the scheme of a url. The table must outlive every database that is given it. */
typedef struct silex_store_type {
	uint32_t struct_size; /* sizeof(silex_store_type) */
	const char *scheme;   /* "tape" opens "tape:..."; [a-z][a-z0-9+-]*, neither "memory" nor "folder" */
	void *ctx;
	/* Checks the url (INVALID: what is wrong with it) but reaches out for nothing: a database opens while its stores are
	 * away. env: memory, clock and randomness to use, valid until close. */
	silex_status (*open)(
		void *ctx, const silex_store_config *config, const silex_env *env, silex_store **ret_store, silex_error *err);
} silex_store_type;

/* S3 and what speaks its protocol, over libcurl. The command `silex` has it; libsilex when it was built with
 * -DSILEX_LIBRARY_S3=ON. The url: s3://BUCKET[/PREFIX][?OPTION&...], docs/operations.md lists the options. */
extern const silex_store_type silex_s3_store;

#ifdef __cplusplus
}
#endif
#endif
