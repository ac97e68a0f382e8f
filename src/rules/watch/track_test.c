/* The track against a slow, obvious model: all samples that counted, sorted, run through the definition from the beginning. Random
 * samples in random order, delays, limits, windows, silence, clocks set back; what was told must always lead to where the model is. */
#include "base/clock.h"
#include "rules/watch/def.h"
#include "rules/watch/track_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S SLX_SECOND

static struct slx_mem mem;

/* ---- random rules and samples ---- */

static struct slx_track_rule random_rule(uint64_t *rng)
{
	struct slx_watch_def d = { .name = SLX_STR("x"), .selector = SLX_STR("x"), .leave_low = NAN, .leave_high = NAN, .lateness_ns = 30 * S };
	struct slx_track_rule r;
	silex_error err;
	d.op = (enum slx_watch_op)(slx_rng_next(rng) % SLX_WATCH_OPS);
	d.input = (enum slx_watch_input)(slx_rng_next(rng) % SLX_WATCH_INPUTS);
	bool rounds = d.input == SLX_WATCH_RATE || d.input == SLX_WATCH_AVG || d.input == SLX_WATCH_STDDEV;
	d.low = (double)(slx_rng_next(rng) % 5) + (rounds ? 0.1372 : 0); /* no limit that rounding could decide about */
	d.high = d.low + (double)(slx_rng_next(rng) % 5);
	if (slx_rng_next(rng) % 2) {
		d.leave_low = d.low + (d.op == SLX_WATCH_LT || d.op == SLX_WATCH_LE ? 2 : d.op == SLX_WATCH_OUTSIDE ? (d.high - d.low) / 4 : -2);
		d.leave_high = d.high + (d.op == SLX_WATCH_OUTSIDE ? (d.low - d.high) / 4 : 2);
	}
	if (d.op == SLX_WATCH_EQ || d.op == SLX_WATCH_NE)
		d.leave_low = d.leave_high = NAN;
	d.on_ns = (int64_t)(slx_rng_next(rng) % 3) * 4 * S;
	d.off_ns = (int64_t)(slx_rng_next(rng) % 3) * 5 * S;
	d.missing = (enum slx_watch_missing)(slx_rng_next(rng) % SLX_MISSINGS);
	d.missing_ns = d.missing ? (int64_t)(3 + slx_rng_next(rng) % 20) * S : 0;
	d.window_ns = d.input ? (int64_t)(1 + slx_rng_next(rng) % 90) * S : 0;
	if (slx_watch_def_check(&d, NULL, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	slx_watch_def_rule(&d, &r);
	return r;
}

static enum slx_alert_state follow(enum slx_alert_state told, const struct slx_moves *moves)
{
	assert_false(moves->failed);
	for (size_t i = 0; i < moves->n; i++) {
		assert_int_not_equal(told, moves->v[i].to); /* each is a change */
		told = moves->v[i].to;
	}
	return told;
}

static void one_run(uint64_t seed)
{
	uint64_t rng = seed;
	struct slx_track_room room = { .mem = &mem, .used_max = INT64_MAX };
	struct slx_track_rule r = random_rule(&rng);
	struct slx_moves moves = { .mem = &mem };
	struct slx_track k;
	struct model *m = calloc(1, sizeof *m);
	enum slx_alert_state told = SLX_ALERT_INACTIVE;
	int64_t now = 1000000 * S;
	unsigned late_of = 1 + slx_rng_next(&rng) % 6, steps = 20 + slx_rng_next(&rng) % 400;
	slx_track_init(&k);
	for (unsigned i = 0; i < steps; i++) {
		now += (int64_t)(slx_rng_next(&rng) % (slx_rng_next(&rng) % 16 ? 3 : 30)) * S;
		int64_t t = now - (slx_rng_next(&rng) % late_of ? 0 : (int64_t)(slx_rng_next(&rng) % 40) * S);
		double v = (double)(slx_rng_next(&rng) % 12) - 2;
		moves.n = 0;
		enum slx_taken taken = slx_track_sample(&k, &r, &room, now, t, v, &moves);
		bool counts = t >= now - r.lateness_ns && (m->n == 0 || t >= m->newest - r.lateness_ns);
		assert_int_equal(taken != SLX_TAKEN_NOT, counts);
		if (counts)
			model_put(m, t, v);
		slx_track_pass(&k, &r, now, &moves);
		m->asof = now;
		told = follow(told, &moves);
		if (told != slx_track_state(&k) || told != model_state(m, &r))
			fail_msg("seed %llu, step %u: told %d, track %d, model %d; input %d window %lld on %lld off %lld missing %d %lld", (unsigned long long)seed, i, told,
				slx_track_state(&k), model_state(m, &r), r.input, (long long)(r.window_ns / S), (long long)(r.on_ns / S), (long long)(r.off_ns / S), r.missing,
				(long long)(r.missing_ns / S));
	}
	slx_track_free(&k, &room);
	slx_moves_free(&moves);
	assert_int_equal(room.used, 0);
	free(m);
}

static void test_model(void **state)
{
	const char *given = getenv("SLX_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
	printf("seeds from %llu\n", (unsigned long long)seed);
	for (uint64_t i = 0; i < (given ? 1 : 1000); i++)
		one_run(seed + i);
}

/* ---- by hand ---- */

struct hand {
	struct slx_track k;
	struct slx_track_rule r;
	struct slx_track_room room;
	struct slx_moves moves;
};

static struct hand hand(struct slx_watch_def d)
{
	struct hand h = { .room = { .mem = &mem, .used_max = 1 << 20 }, .moves = { .mem = &mem } };
	d.name = d.selector = SLX_STR("x");
	d.leave_low = d.leave_low ? d.leave_low : NAN;
	d.leave_high = NAN;
	assert_int_equal(slx_watch_def_check(&d, NULL, NULL), SILEX_OK);
	slx_watch_def_rule(&d, &h.r);
	slx_track_init(&h.k);
	return h;
}

static void hand_free(struct hand *h)
{
	slx_track_free(&h->k, &h->room);
	slx_moves_free(&h->moves);
}

static enum slx_taken at(struct hand *h, int64_t now, int64_t t, double v)
{
	h->moves.n = 0;
	return slx_track_sample(&h->k, &h->r, &h->room, now * S, t * S, v, &h->moves);
}

static void moved(const struct hand *h, size_t i, enum slx_alert_state to, int64_t when)
{
	assert_true(i < h->moves.n);
	assert_int_equal(h->moves.v[i].to, to);
	assert_int_equal(h->moves.v[i].at, when * S);
}

static void test_hysteresis(void **state)
{
	struct hand h = hand((struct slx_watch_def){ .op = SLX_WATCH_GT, .low = 10, .leave_low = 8 });
	at(&h, 100, 100, 10);
	assert_int_equal(h.moves.n, 0);
	at(&h, 101, 101, 10.5);
	moved(&h, 0, SLX_ALERT_FIRING, 101);
	at(&h, 102, 102, 8.5);
	assert_int_equal(h.moves.n, 0);
	at(&h, 103, 103, 8);
	moved(&h, 0, SLX_ALERT_INACTIVE, 103);
	at(&h, 104, 104, 9);
	assert_int_equal(h.moves.n, 0);
	hand_free(&h);
}

static void test_late_episode(void **state)
{
	struct hand h = hand((struct slx_watch_def){ .op = SLX_WATCH_GT, .low = 10 });
	at(&h, 100, 100, 1);
	at(&h, 110, 110, 1);
	assert_int_equal(at(&h, 111, 105, 50), SLX_TAKEN_LATE); /* over in between: told as a whole */
	assert_int_equal(h.moves.n, 2);
	moved(&h, 0, SLX_ALERT_FIRING, 105);
	moved(&h, 1, SLX_ALERT_INACTIVE, 110);
	assert_int_equal(at(&h, 112, 105, 50), SLX_TAKEN_AGAIN);
	assert_int_equal(at(&h, 112, 106, 50), SLX_TAKEN_LATE); /* the same episode: nothing new */
	assert_int_equal(h.moves.n, 0);
	hand_free(&h);
}

static void test_late_denies(void **state)
{
	struct hand h = hand((struct slx_watch_def){ .op = SLX_WATCH_GT, .low = 10, .on_ns = 5 * S });
	at(&h, 100, 100, 20);
	moved(&h, 0, SLX_ALERT_PENDING, 100);
	h.moves.n = 0;
	slx_track_pass(&h.k, &h.r, 107 * S, &h.moves);
	moved(&h, 0, SLX_ALERT_FIRING, 105);
	at(&h, 108, 103, 1); /* it had not lasted */
	moved(&h, 0, SLX_ALERT_INACTIVE, 103);
	assert_int_equal(slx_track_state(&h.k), SLX_ALERT_INACTIVE);
	hand_free(&h);
}

static void test_import_of_the_past(void **state)
{
	struct hand h = hand((struct slx_watch_def){ .op = SLX_WATCH_GT, .low = 10 });
	const int64_t now = 400 * 86400;
	for (int64_t t = now - 365 * 86400; t < now - 301; t += 3600) {
		assert_int_equal(at(&h, now, t, 99), SLX_TAKEN_NOT);
		assert_int_equal(h.moves.n, 0);
	}
	assert_int_equal(at(&h, now, now + 301, 99), SLX_TAKEN_NOT); /* nor does the future */
	assert_int_equal(at(&h, now, now, NAN), SLX_TAKEN_NOT);
	assert_int_equal(at(&h, now, now - 300, 99), SLX_TAKEN_IN_ORDER);
	moved(&h, 0, SLX_ALERT_FIRING, now - 300);
	hand_free(&h);
}

static void test_set_back(void **state)
{
	struct hand h = hand((struct slx_watch_def){ .op = SLX_WATCH_GT, .low = 10, .on_ns = 5 * S });
	at(&h, 1000, 1000, 1);
	assert_int_equal(at(&h, 400, 400, 20), SLX_TAKEN_NOT); /* older than the newest by more than the bound */
	slx_track_set_back(&h.k, &h.room, 400 * S);
	assert_int_equal(at(&h, 400, 400, 20), SLX_TAKEN_IN_ORDER);
	moved(&h, 0, SLX_ALERT_PENDING, 400);
	at(&h, 405, 405, 20);
	moved(&h, 0, SLX_ALERT_FIRING, 405);
	slx_track_set_back(&h.k, &h.room, 100 * S);
	assert_int_equal(slx_track_state(&h.k), SLX_ALERT_FIRING); /* an alarm does not end by a clock */
	at(&h, 100, 100, 1);
	moved(&h, 0, SLX_ALERT_INACTIVE, 100);
	hand_free(&h);
}

static void test_little_room(void **state)
{
	struct hand h = hand((struct slx_watch_def){ .op = SLX_WATCH_GE, .low = 50, .input = SLX_WATCH_COUNT, .window_ns = 1000 * S, .lateness_ns = 7000 * S });
	h.room.used_max = 4000;
	for (int64_t t = 1; t < 3000; t++)
		at(&h, t, t, 1);
	assert_true(h.room.used <= 4000);
	assert_true(slx_track_kept(&h.k) > 32 && slx_track_kept(&h.k) < 200); /* what fits counts */
	assert_int_equal(slx_track_state(&h.k), SLX_ALERT_FIRING);
	h.room.used_max = 0;
	for (int64_t t = 3000; t < 3100; t++)
		at(&h, t, t, 1);
	hand_free(&h);
	assert_int_equal(h.room.used, 0);
}

static void test_restore(void **state)
{
	struct hand h = hand((struct slx_watch_def){ .op = SLX_WATCH_GT, .low = 10, .on_ns = 10 * S });
	slx_track_restore(&h.k, SLX_ALERT_PENDING, 100 * S, 100 * S);
	assert_int_equal(slx_track_deadline(&h.k, &h.r), 110 * S);
	at(&h, 104, 104, 20);
	assert_int_equal(h.moves.n, 0);
	at(&h, 111, 111, 20);
	moved(&h, 0, SLX_ALERT_FIRING, 110);
	assert_int_equal(h.moves.v[0].active, 100 * S);
	hand_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_hysteresis),
		cmocka_unit_test(test_late_episode),
		cmocka_unit_test(test_late_denies),
		cmocka_unit_test(test_import_of_the_past),
		cmocka_unit_test(test_set_back),
		cmocka_unit_test(test_little_room),
		cmocka_unit_test(test_restore),
	};
	slx_mem_init(&mem, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
