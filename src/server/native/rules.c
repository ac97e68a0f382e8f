/* Rules registered, listed, removed. Those on arrival have the members of include/silex/rules.h, as people write them:
 *
 *     {"name":"tachycardia","selector":"hr{ward=\"icu\"}","condition":">","limit":120,"leave":110,"delay_on":"10s"}
 *
 * Those in PromQL, evaluated on an interval, have the members of a rule of a rule file; `name` is its alert:
 *
 *     {"name":"down","expr":"up == 0","for":"1m"}        {"record":"job:up:sum","expr":"sum by (job) (up)","interval":"30s"}
 */
#include "server/native/native_int.h"

#include "formats/json.h"
#include "promql/promql.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LABELS_MAX = 64 };

static struct slx_watch *watch_of(struct slx_native *n) { return slx_api_watch(slx_core_db(n->core)); }

enum { NAME, SELECTOR, INPUT, WINDOW, CONDITION, LIMIT, LEAVE, LOW, HIGH, LEAVE_LOW, LEAVE_HIGH, DELAY_ON, DELAY_OFF, MISSING, MISSING_AFTER, LATENESS,
	SERIES_MAX, LABELS, ANNOTATIONS, EXPR, RECORD, FOR, KEEP_FIRING_FOR, INTERVAL };

static const struct slx_native_field rule_fields[] = {
	[NAME] = { "name", SLX_ARG_TEXT },
	[SELECTOR] = { "selector", SLX_ARG_TEXT },
	[INPUT] = { "input", SLX_ARG_TEXT },
	[WINDOW] = { "window", SLX_ARG_SPAN },
	[CONDITION] = { "condition", SLX_ARG_TEXT },
	[LIMIT] = { "limit", SLX_ARG_REAL },
	[LEAVE] = { "leave", SLX_ARG_REAL },
	[LOW] = { "low", SLX_ARG_REAL },
	[HIGH] = { "high", SLX_ARG_REAL },
	[LEAVE_LOW] = { "leave_low", SLX_ARG_REAL },
	[LEAVE_HIGH] = { "leave_high", SLX_ARG_REAL },
	[DELAY_ON] = { "delay_on", SLX_ARG_SPAN },
	[DELAY_OFF] = { "delay_off", SLX_ARG_SPAN },
	[MISSING] = { "missing", SLX_ARG_TEXT },
	[MISSING_AFTER] = { "missing_after", SLX_ARG_SPAN },
	[LATENESS] = { "max_lateness", SLX_ARG_SPAN },
	[SERIES_MAX] = { "series_max", SLX_ARG_COUNT },
	[LABELS] = { "labels", SLX_ARG_OBJECT },
	[ANNOTATIONS] = { "annotations", SLX_ARG_OBJECT },
	[EXPR] = { "expr", SLX_ARG_TEXT },
	[RECORD] = { "record", SLX_ARG_TEXT },
	[FOR] = { "for", SLX_ARG_SPAN },
	[KEEP_FIRING_FOR] = { "keep_firing_for", SLX_ARG_SPAN },
	[INTERVAL] = { "interval", SLX_ARG_SPAN },
};

/* ---- reading a rule ---- */

static bool fail_labels(const struct slx_native_args *a, size_t field, const char *expected)
{
	slx_native_fail_field(a->x, rule_fields[field].name, expected, slx_arg_text(a, field));
	return false;
}

/* An object of strings as canonical labels, in the arena. */
static bool read_labels(const struct slx_native_args *a, size_t field, struct slx_labels *ret)
{
	struct slx_arena *arena = slx_http_arena(a->x);
	struct slx_str raw = slx_arg_text(a, field);
	struct slx_labels_builder b;
	struct slx_label x;
	struct slx_buf text;
	silex_error err;
	bool ok = false;
	if (!raw.p)
		return true;
	slx_labels_builder_init(&b, arena->mem, SLX_MEM_OTHER, NULL);
	slx_buf_init(&text, arena->mem, SLX_MEM_OTHER, raw.n + 8);
	slx_buf_reserve(&text, raw.n + 8); /* strings without escapes stay where they are */
	struct slx_json j = slx_json_init(raw.p, raw.n, &text);
	slx_json_object(&j);
	while (!j.bad && slx_json_key(&j, &x.name) && slx_json_string(&j, &x.value))
		slx_labels_builder_add(&b, x.name, x.value);
	if (j.bad || !slx_json_end(&j) || b.n > LABELS_MAX) {
		fail_labels(a, field, j.bad ? j.expected : "at most 64 labels");
	} else if (slx_labels_builder_finish(&b, ret, &err) != SILEX_OK) {
		fail_labels(a, field, err.message);
	} else {
		uint8_t *copy = slx_arena_alloc(arena, ret->n, 1);
		ok = copy != NULL;
		if (ok)
			ret->p = memcpy(copy, ret->p, ret->n);
		else
			fail_labels(a, field, "more memory");
	}
	slx_labels_builder_free(&b);
	slx_buf_free(&text);
	return ok;
}

static bool absent(const struct slx_native_args *a, size_t field, const char *expected)
{
	if (a->values[field].n)
		slx_native_fail_field(a->x, rule_fields[field].name, expected, a->values[field].v[0]);
	return !a->values[field].n;
}

/* One limit, or two. */
static bool read_limits(const struct slx_native_args *a, struct slx_watch_def *d)
{
	if (d->op == SLX_WATCH_OUTSIDE || d->op == SLX_WATCH_INSIDE)
		return absent(a, LIMIT, "low and high with outside and inside") && absent(a, LEAVE, "leave_low and leave_high with outside and inside") &&
			slx_arg_real(a, LOW, &d->low) && slx_arg_real(a, HIGH, &d->high) && slx_arg_real(a, LEAVE_LOW, &d->leave_low) &&
			slx_arg_real(a, LEAVE_HIGH, &d->leave_high);
	for (size_t i = LOW; i <= LEAVE_HIGH; i++)
		if (!absent(a, i, "limit and leave: these are of outside and inside"))
			return false;
	return slx_arg_real(a, LIMIT, &d->low) && slx_arg_real(a, LEAVE, &d->leave_low);
}

static bool read_rule(const struct slx_native_args *a, struct slx_watch_def *d)
{
	for (size_t i = RECORD; i <= INTERVAL; i++)
		if (!absent(a, i, "this member together with expr only"))
			return false;
	unsigned op = SLX_WATCH_OPS, input = SLX_WATCH_LAST, missing = SLX_MISSING_KEEP;
	uint64_t series_max = 0;
	*d = (struct slx_watch_def){ .name = slx_arg_text(a, NAME), .selector = slx_arg_text(a, SELECTOR), .low = NAN, .high = NAN, .leave_low = NAN,
		.leave_high = NAN };
	if (!slx_arg_choice(a, CONDITION, ">|>=|<|<=|==|!=|outside|inside", &op) ||
		!slx_arg_choice(a, INPUT, "last|rate|avg|min|max|sum|count|stddev", &input) || !slx_arg_choice(a, MISSING, "keep|fire|clear", &missing))
		return false;
	d->op = (enum slx_watch_op)op;
	d->input = (enum slx_watch_input)input;
	d->missing = (enum slx_watch_missing)missing;
	if (!read_limits(a, d) || !slx_arg_span(a, WINDOW, &d->window_ns) || !slx_arg_span(a, DELAY_ON, &d->on_ns) || !slx_arg_span(a, DELAY_OFF, &d->off_ns) ||
		!slx_arg_span(a, MISSING_AFTER, &d->missing_ns) || !slx_arg_span(a, LATENESS, &d->lateness_ns) || !slx_arg_count(a, SERIES_MAX, &series_max) ||
		!read_labels(a, LABELS, &d->labels) || !read_labels(a, ANNOTATIONS, &d->annotations))
		return false;
	d->series_max = series_max > UINT32_MAX ? UINT32_MAX : (uint32_t)series_max;
	return true;
}

/* ---- a rule in PromQL, as a group of a rule file ---- */

static void put_member(struct slx_buf *b, const struct slx_native_args *a, size_t field, const char *key)
{
	struct slx_str s = slx_arg_text(a, field);
	if (!s.p)
		return;
	slx_native_put(b, ",\"%s\":", key);
	if (rule_fields[field].type == SLX_ARG_OBJECT)
		slx_buf_put(b, s.p, s.n);
	else
		slx_json_text(b, s);
}

static bool read_group(const struct slx_native_args *a, struct slx_buf *group)
{
	struct slx_promql_expr *x;
	struct slx_labels labels = { 0 };
	silex_error err;
	int64_t span;
	if (slx_promql_parse(a->n->core->mem, slx_arg_text(a, EXPR), slx_core_config(a->n->core)->promql.experimental, &x, &err) != SILEX_OK) {
		slx_err_wrap(&err, "expr");
		slx_native_fail_of(a->x, "expr", &err);
		return false;
	}
	slx_promql_free(x);
	for (size_t i = SELECTOR; i <= SERIES_MAX; i++)
		if (!absent(a, i, "no such member together with expr"))
			return false;
	if (!a->values[NAME].n == !a->values[RECORD].n) {
		slx_native_fail_field(a->x, "name", "name, of an alert, or record, of a new series", (struct slx_str){ 0 });
		return false;
	}
	if (!slx_arg_span(a, FOR, &span) || !slx_arg_span(a, KEEP_FIRING_FOR, &span) || !slx_arg_span(a, INTERVAL, &span) || !read_labels(a, LABELS, &labels) ||
		!read_labels(a, ANNOTATIONS, &labels))
		return false;
	slx_native_put_text(group, "{\"name\":\"api\"");
	put_member(group, a, INTERVAL, "interval");
	slx_native_put_text(group, ",\"rules\":[{\"expr\":");
	slx_json_text(group, slx_arg_text(a, EXPR));
	put_member(group, a, NAME, "alert");
	put_member(group, a, RECORD, "record");
	put_member(group, a, FOR, "for");
	put_member(group, a, KEEP_FIRING_FOR, "keep_firing_for");
	put_member(group, a, LABELS, "labels");
	put_member(group, a, ANNOTATIONS, "annotations");
	slx_native_put_text(group, "}]}");
	return true;
}

/* ---- writing a rule ---- */

static void put_real(struct slx_buf *b, const char *key, double v)
{
	slx_native_put(b, ",\"%s\":", key);
	slx_native_put_real(b, v);
}

static void put_limits(struct slx_buf *b, const struct slx_watch_def *d)
{
	bool two = d->op == SLX_WATCH_OUTSIDE || d->op == SLX_WATCH_INSIDE;
	put_real(b, two ? "low" : "limit", d->low);
	if (two)
		put_real(b, "high", d->high);
	if (d->leave_low != d->low || d->leave_high != d->high)
		put_real(b, two ? "leave_low" : "leave", d->leave_low);
	if (two && (d->leave_low != d->low || d->leave_high != d->high))
		put_real(b, "leave_high", d->leave_high);
}

static void put_span(struct slx_buf *b, const char *key, int64_t ns)
{
	char text[SLX_DURATION_TEXT_SIZE];
	if (!ns)
		return;
	slx_duration_format(ns, text);
	slx_native_put(b, ",\"%s\":\"%s\"", key, text);
}

static void put_labels(struct slx_buf *b, const char *key, struct slx_labels l)
{
	if (!slx_labels_count(l))
		return;
	slx_native_put(b, ",\"%s\":", key);
	slx_json_labels(b, l);
}

static void put_rule(struct slx_buf *b, const struct slx_watch_info *i)
{
	const struct slx_watch_def *d = i->def;
	slx_native_put(b, "{\"id\":%llu,\"name\":", (unsigned long long)i->id);
	slx_json_text(b, d->name);
	slx_native_put_text(b, ",\"selector\":");
	slx_json_text(b, d->selector);
	slx_native_put(b, ",\"input\":\"%s\"", slx_watch_input_names[d->input]);
	put_span(b, "window", d->window_ns);
	slx_native_put(b, ",\"condition\":\"%s\"", slx_watch_op_names[d->op]);
	put_limits(b, d);
	put_span(b, "delay_on", d->on_ns);
	put_span(b, "delay_off", d->off_ns);
	slx_native_put(b, ",\"missing\":\"%s\"", slx_missing_names[d->missing]);
	put_span(b, "missing_after", d->missing_ns);
	put_span(b, "max_lateness", d->lateness_ns);
	slx_native_put(b, ",\"series_max\":%u", d->series_max);
	put_labels(b, "labels", d->labels);
	put_labels(b, "annotations", d->annotations);
	slx_native_put_text(b, ",\"text\":");
	slx_json_text(b, i->expr);
	slx_native_put(b, ",\"series\":%llu,\"pending\":%llu,\"firing\":%llu", (unsigned long long)i->series, (unsigned long long)i->pending,
		(unsigned long long)i->firing);
	slx_native_put(b, ",\"samples\":%llu,\"late\":%llu,\"ignored\":%llu,\"refused\":%llu}", (unsigned long long)i->samples, (unsigned long long)i->late,
		(unsigned long long)i->ignored, (unsigned long long)i->refused);
}

/* ---- requests ---- */

static void answer_id(struct slx_native *n, struct slx_http_exchange *x, uint64_t id)
{
	char location[80];
	struct slx_buf b;
	snprintf(location, sizeof location, "/api/silex/v1/rules/%llu", (unsigned long long)id);
	slx_http_set_header(x, "Location", location);
	slx_buf_init(&b, n->core->mem, SLX_MEM_OTHER, 4096);
	slx_native_put(&b, "{\"id\":%llu}\n", (unsigned long long)id);
	slx_http_reply(x, 200, "application/json", &b);
}

static void register_promql(const struct slx_native_args *a)
{
	const struct slx_native_rules *rules = atomic_load(&a->n->rules);
	struct slx_buf group;
	silex_error err;
	uint64_t id;
	slx_buf_init(&group, a->n->core->mem, SLX_MEM_OTHER, 1 << 20);
	if (read_group(a, &group)) {
		silex_status st = group.failed ? slx_err_oom(&err) : !rules ? slx_err(&err, SILEX_UNAVAILABLE, "rules are not evaluated yet; try again") :
			rules->add(rules->ctx, slx_http_tenant(a->x), (struct slx_str){ (const char *)group.p, group.n }, &id, &err);
		if (st == SILEX_OK)
			answer_id(a->n, a->x, id);
		else
			slx_native_fail(a->x, &err);
	}
	slx_buf_free(&group);
}

static void register_rule(struct slx_native *n, struct slx_http_exchange *x)
{
	struct slx_native_args a;
	struct slx_watch_def d;
	const char *field = NULL;
	silex_error err;
	uint64_t id;
	if (!slx_native_args(n, x, rule_fields, sizeof rule_fields / sizeof *rule_fields, &a))
		return;
	if (a.values[EXPR].n) {
		register_promql(&a);
		return;
	}
	if (!read_rule(&a, &d))
		return;
	if (slx_watch_add(watch_of(n), slx_http_tenant(x), &d, &id, &field, &err) != SILEX_OK) {
		if (err.code == SILEX_RESOURCE_EXHAUSTED && strncmp(err.message, "selector:", 9) == 0) /* the client's to mend, not to try again */
			err.code = SILEX_INVALID, field = "selector";
		slx_native_fail_of(x, field, &err);
		return;
	}
	answer_id(n, x, id);
}

struct listing {
	struct slx_native_answer a;
	uint64_t n;
};

/* Under the lock of rules: nothing is sent here. */
static bool add_rule(void *arg, const struct slx_watch_info *i)
{
	struct listing *l = arg;
	slx_native_put_text(&l->a.b, l->n++ ? ",\n" : "\n");
	put_rule(&l->a.b, i);
	return true;
}

static bool add_group(void *arg, uint64_t id, struct slx_str group)
{
	struct listing *l = arg;
	slx_native_put(&l->a.b, "%s{\"id\":%llu,\"group\":", l->n++ ? ",\n" : "\n", (unsigned long long)id);
	slx_buf_put(&l->a.b, group.p, group.n);
	slx_buf_u8(&l->a.b, '}');
	return true;
}

static void list_groups(struct slx_native *n, struct slx_str tenant, uint64_t id, struct listing *l)
{
	const struct slx_native_rules *rules = atomic_load(&n->rules);
	l->n = 0;
	if (rules)
		rules->list(rules->ctx, tenant, id, add_group, l);
}

void slx_native_rules(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct listing l = { .n = 0 };
	silex_error err;
	if (slx_str_eq(slx_http_method(x), SLX_STR("POST"))) {
		register_rule(n, x);
		return;
	}
	slx_native_answer_begin(&l.a, n, x, "application/json");
	slx_native_put_text(&l.a.b, "{\"rules\":[");
	if (slx_watch_list(watch_of(n), slx_http_tenant(x), 0, add_rule, &l, &err) == SILEX_OK) {
		slx_native_put_text(&l.a.b, "\n],\"promql\":[");
		list_groups(n, slx_http_tenant(x), 0, &l);
		slx_native_put_text(&l.a.b, "\n]}\n");
		slx_native_answer_end(&l.a);
	} else {
		slx_native_answer_drop(&l.a);
		slx_native_fail(x, &err);
	}
}

static bool read_id(struct slx_http_exchange *x, uint64_t *ret)
{
	struct slx_str s = slx_http_segment(x, "id");
	char text[24], *end;
	snprintf(text, sizeof text, "%.*s", (int)(s.n < sizeof text ? s.n : sizeof text - 1), s.p);
	*ret = text[0] >= '1' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
	if (*ret && !*end && s.n < 20)
		return true;
	slx_native_fail_field(x, "id", "the number of a rule", s);
	return false;
}

static silex_status remove_rule(struct slx_native *n, struct slx_str tenant, uint64_t id, silex_error *err)
{
	const struct slx_native_rules *rules = atomic_load(&n->rules);
	silex_status st = slx_watch_remove(watch_of(n), tenant, id, err);
	return st == SILEX_NOT_FOUND && rules ? rules->remove(rules->ctx, tenant, id, err) : st;
}

void slx_native_rule(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct listing l = { .n = 0 };
	silex_error err;
	uint64_t id;
	if (!read_id(x, &id))
		return;
	if (slx_str_eq(slx_http_method(x), SLX_STR("DELETE"))) {
		if (remove_rule(n, slx_http_tenant(x), id, &err) == SILEX_OK)
			slx_http_reply_text(x, 200, "application/json", "{}\n");
		else
			slx_native_fail(x, &err);
		return;
	}
	slx_native_answer_begin(&l.a, n, x, "application/json");
	silex_status st = slx_watch_list(watch_of(n), slx_http_tenant(x), id, add_rule, &l, &err);
	if (st == SILEX_NOT_FOUND)
		list_groups(n, slx_http_tenant(x), id, &l);
	if (st == SILEX_OK || (st == SILEX_NOT_FOUND && l.n)) {
		slx_native_put_text(&l.a.b, "\n");
		slx_native_answer_end(&l.a);
	} else {
		slx_native_answer_drop(&l.a);
		slx_native_fail(x, &err);
	}
}
