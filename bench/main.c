/* bench [--quick] [name...]: runs the benchmarks, each in its own process, and prints one table. */
#include "bench.h"

#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

bool bench_quick;

void bench_row(const char *what, double measured, double least, double better, bool higher, const char *unit, const char *note)
{
	char a[32] = "", b[32] = "";
	const char *verdict = "";
	if (least >= 0) {
		snprintf(a, sizeof a, "%s %.4g", higher ? ">=" : "<=", least);
		verdict = (higher ? measured >= least : measured <= least) ? "ok" : "BELOW";
	}
	if (better >= 0) {
		snprintf(b, sizeof b, "%.4g", better);
		if (higher ? measured >= better : measured <= better)
			verdict = "better";
	}
	printf("%-52s %11.4g %-14s %10s %8s  %-6s %s\n", what, measured, unit, a, b, verdict, note ? note : "");
	fflush(stdout);
}

static bool wanted(const char *name, int argc, char **argv)
{
	bool any = false;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			continue;
		any = true;
		if (strstr(name, argv[i]))
			return true;
	}
	return !any;
}

static void describe_machine(void)
{
	char line[256], model[128] = "unknown";
	char date[32];
	time_t now = time(NULL);
	FILE *f = fopen("/proc/cpuinfo", "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "model name : %127[^\n]", model) == 1)
			break;
	if (f)
		fclose(f);
	strftime(date, sizeof date, "%Y-%m-%d", gmtime(&now));
	printf("silex %s, %s, %ld processors (%s)%s\n\n", silex_version(), date, sysconf(_SC_NPROCESSORS_ONLN), model, bench_quick ? ", quick" : "");
	printf("%-52s %11s %-14s %10s %8s\n", "what", "measured", "unit", "at least", "better");
	fflush(stdout);
}

static bool run_apart(const struct bench *b)
{
	pid_t pid = fork();
	if (pid == 0) {
		b->run();
		exit(0);
	}
	int status = 0;
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
		printf("%-52s failed (status %d)\n", b->name, status);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	const struct bench *const all[] = { write_benches, memory_benches, read_benches, size_benches, codec_benches, promql_benches, rules_benches, rollup_benches, tier_benches };
	bool ok = true, list = false;
	for (int i = 1; i < argc; i++) {
		bench_quick |= strcmp(argv[i], "--quick") == 0;
		list |= strcmp(argv[i], "--list") == 0;
	}
	if (!list)
		describe_machine();
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		for (const struct bench *b = all[i]; b->name; b++)
			if (list)
				printf("%-16s %s\n", b->name, b->about);
			else if (wanted(b->name, argc, argv))
				ok &= run_apart(b);
	return ok ? 0 : 1;
}
