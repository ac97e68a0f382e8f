/* The examples of AWS' documentation ("Signature Calculations for the Authorization Header", payload in a single chunk). */
#include "storage/s3/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOST  "host:examplebucket.s3.amazonaws.com"
#define DATE  "x-amz-date:20130524T000000Z"

static void check(const char *method, const char *path, const char *query, const char *const *headers, size_t n, const char *hash,
	const char *names, const char *signature)
{
	struct slx_mem mem;
	struct slx_buf b;
	char expected[400];
	slx_mem_init(&mem, NULL);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 4096);
	const struct slx_s3_to_sign s = {
		.access_key = "AKIAIOSFODNN7EXAMPLE",
		.secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		.region = "us-east-1",
		.time = "20130524T000000Z",
		.method = method,
		.path = path,
		.query = query,
		.headers = headers,
		.headers_n = n,
		.payload_hash = hash,
	};
	slx_s3_sign(&s, &b);
	slx_buf_u8(&b, 0);
	assert_false(b.failed);
	snprintf(expected, sizeof expected,
		"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=%s,Signature=%s", names, signature);
	assert_string_equal(b.p, expected);
	slx_buf_free(&b);
}

static void test_get_object(void **state)
{
	const char *const headers[] = { HOST, "range:bytes=0-9", "x-amz-content-sha256:" EMPTY, DATE };
	check("GET", "/test.txt", "", headers, 4, EMPTY, "host;range;x-amz-content-sha256;x-amz-date",
		"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void test_put_object(void **state)
{
	char hash[SLX_SHA256_HEX_SIZE], header[100];
	const char *const headers[] = { "date:Fri, 24 May 2013 00:00:00 GMT", HOST, header, DATE, "x-amz-storage-class:REDUCED_REDUNDANCY" };
	slx_s3_sha256("Welcome to Amazon S3.", 21, hash);
	assert_string_equal(hash, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
	snprintf(header, sizeof header, "x-amz-content-sha256:%s", hash);
	check("PUT", "/test%24file.text", "", headers, 5, hash, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void test_queries(void **state)
{
	const char *const headers[] = { HOST, "x-amz-content-sha256:" EMPTY, DATE };
	check("GET", "/", "lifecycle=", headers, 3, EMPTY, "host;x-amz-content-sha256;x-amz-date",
		"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	check("GET", "/", "max-keys=2&prefix=J", headers, 3, EMPTY, "host;x-amz-content-sha256;x-amz-date",
		"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void test_time(void **state)
{
	char text[SLX_S3_TIME_SIZE];
	slx_s3_time(INT64_C(1369353600999999999), text);
	assert_string_equal(text, "20130524T000000Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_object),
		cmocka_unit_test(test_put_object),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
