/* An alarm at the bedside: a limit with hysteresis and a delay, a lost sensor, and last year's data that wakes nobody.
 *
 *	cc bedside_alarm.c $(pkg-config --cflags --libs silex)
 *	./a.out
 *
 * The rule is registered once; it and the state of its alerts are part of the database. Alerts are told from a thread of
 * the database once they are in the log: the callback prints here, a real one would ring. */
#include <silex/rules.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define SECOND INT64_C(1000000000)

static const silex_label labels[] = { { "__name__", "hr" }, { "bed", "4" } };
static silex_error err;

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, err.message);
	return 1;
}

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static void ring(void *arg, const silex_alert *a)
{
	static const char *const states[] = { "is over", "is coming", "RINGS" };
	printf("%s %s: heart rate %.0f\n", a->name, states[a->state], a->value);
	if (a->state == SILEX_ALERT_FIRING)
		atomic_fetch_add((_Atomic int *)arg, 1);
}

/* A minute of beats that end at `end`, one a second. */
static silex_status beats(silex_db *db, int64_t end, double rate)
{
	silex_row rows[60];
	for (int i = 0; i < 60; i++)
		rows[i] = (silex_row){ labels, 2, end - (59 - i) * SECOND, silex_float(rate) };
	return silex_insert_batch(db, NULL, rows, 60, NULL, &err);
}

int main(void)
{
	_Atomic int rung = 0;
	silex_db *db;
	silex_rule r;
	uint64_t id;
	if (silex_open(NULL, NULL, &db, &err) != SILEX_OK)
		return fail("open");
	silex_rule_init(&r);
	r.name = "tachycardia";
	r.selector = "hr{bed=\"4\"}";
	r.condition = SILEX_RULE_GT;
	r.limit = 120;
	r.leave = 110;             /* over at 110, not at 119.9 */
	r.delay_on_ms = 10000;     /* ten seconds above, not one beat */
	r.missing = SILEX_MISSING_FIRE;
	r.missing_after_ms = 60000; /* the lead fell off */
	if (silex_rule_on_alert(db, ring, &rung, &err) != SILEX_OK || silex_rule_register(db, NULL, &r, &id, &err) != SILEX_OK)
		return fail("rule");
	int64_t end = now();
	if (beats(db, end - 365 * 86400 * SECOND, 180) != SILEX_OK) /* last year's: older than max_lateness */
		return fail("last year");
	if (beats(db, end - 120 * SECOND, 80) != SILEX_OK || beats(db, end - 60 * SECOND, 135) != SILEX_OK || beats(db, end, 90) != SILEX_OK)
		return fail("beats");
	if (silex_rule_remove(db, NULL, id, &err) != SILEX_OK) /* what was to tell has been told when this returns */
		return fail("remove");
	if (silex_close(db, &err) != SILEX_OK)
		return fail("close");
	printf("rung %d time%s\n", rung, rung == 1 ? "" : "s");
	return rung == 1 ? 0 : 1;
}
