/* Runs a fuzz target once over every file of the folders named on the command line, then over a few thousand
 * seeded mutations of them, so that each crash ever found stays a test in builds without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUTATIONS = 200, SIZE_MAX_BYTES = 1 << 20 };

static uint64_t rng_state = 88172645463325252u;

static uint64_t next_random(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

static void run_mutations(const uint8_t *data, size_t size)
{
	for (int i = 0; i < MUTATIONS && size > 0; i++) {
		size_t n = next_random() % 4 == 0 ? next_random() % size : size;
		uint8_t *copy = malloc(n ? n : 1);
		if (!copy)
			abort();
		memcpy(copy, data, n);
		for (uint64_t k = next_random() % 4; n > 0 && k > 0; k--)
			copy[next_random() % n] = (uint8_t)next_random();
		LLVMFuzzerTestOneInput(copy, n);
		free(copy);
	}
}

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		return 0;
	uint8_t *data = malloc(SIZE_MAX_BYTES);
	size_t size = data ? fread(data, 1, SIZE_MAX_BYTES, f) : 0;
	fclose(f);
	uint8_t *exact = malloc(size ? size : 1); /* exact size, so that a sanitizer sees overreads */
	if (!data || !exact)
		abort();
	memcpy(exact, data, size);
	free(data);
	LLVMFuzzerTestOneInput(exact, size);
	run_mutations(exact, size);
	free(exact);
	return 1;
}

int main(int argc, char **argv)
{
	int files = 0;
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);
		for (struct dirent *e; d && (e = readdir(d));) {
			char path[4096];
			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
			files += run_file(path);
		}
		if (d)
			closedir(d);
	}
	printf("%d files replayed\n", files);
	return 0;
}
