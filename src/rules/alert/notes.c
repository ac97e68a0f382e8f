/* Notes: documents beside the journal. A note replaces the one before it by being the newer sample of its series. */
#include "rules/alert/alert_int.h"

#define ID_LABEL SLX_STR("id")

static silex_status add_note(struct slx_blob_batch *batch, struct slx_labels_builder *b, struct slx_buf *value, const struct slx_note *note, silex_error *err)
{
	struct slx_labels series;
	slx_labels_builder_reset(b);
	slx_labels_builder_add(b, SLX_METRIC_NAME, note->kind);
	slx_labels_builder_add(b, ID_LABEL, note->id);
	SLX_TRY(slx_labels_builder_finish(b, &series, err));
	uint8_t *p = slx_arena_alloc(&batch->arena, series.n, 1);
	if (!p)
		return slx_err_oom(err);
	slx_buf_reset(value);
	slx_buf_put(value, note->bytes.p, note->bytes.n);
	return slx_blob_batch_add(batch, (struct slx_labels){ memcpy(p, series.p, series.n), series.n }, note->at_ns, value, err);
}

silex_status slx_alerts_put_notes(struct slx_alerts *a, struct slx_str tenant, const struct slx_note *notes, size_t n, silex_error *err)
{
	char room[SLX_ALERT_TENANT_SIZE];
	struct slx_blob_batch batch;
	struct slx_labels_builder b;
	struct slx_buf value;
	struct slx_write_result result = { 0 };
	slx_labels_builder_init(&b, a->mem, SLX_MEM_OTHER, NULL);
	slx_buf_init(&value, a->mem, SLX_MEM_OTHER, SIZE_MAX);
	silex_status status = slx_blob_batch_begin(&batch, a->engine, slx_alert_tenant(tenant, room), n, err);
	for (size_t i = 0; i < n && status == SILEX_OK; i++)
		status = add_note(&batch, &b, &value, &notes[i], err);
	if (status == SILEX_OK && n)
		status = slx_blob_batch_write(a->engine, &batch, &result, NULL, err);
	if (status == SILEX_OK && result.refused)
		status = slx_err(err, result.error.code, "%s", result.error.message);
	slx_blob_batch_end(&batch);
	slx_labels_builder_free(&b);
	slx_buf_free(&value);
	return status;
}

/* ---- reading ---- */

struct reading {
	struct slx_alerts *a;
	struct slx_matcher *kind;
	slx_note_fn *each;
	void *arg;
	bool more;
	silex_status status;
	silex_error *err;
};

static silex_status notes_of(struct reading *to, struct slx_str tenant, silex_error *err)
{
	char room[SLX_ALERT_TENANT_SIZE];
	struct slx_blob_reader r;
	struct slx_buf value;
	slx_buf_init(&value, to->a->mem, SLX_MEM_QUERY, SIZE_MAX);
	silex_status status = slx_blob_reader_begin(&r, to->a->engine, slx_alert_tenant(tenant, room), &to->kind, 1, SLX_TIME_ALL, err);
	for (size_t i = 0, n = status == SILEX_OK ? slx_selection_count(r.sel) : 0; i < n && status == SILEX_OK && to->more; i++) {
		struct slx_labels series = slx_selection_labels(r.sel, i);
		struct slx_note note = { .kind = to->kind->value, .id = slx_labels_get(series, ID_LABEL) };
		status = slx_blob_reader_newest(&r, i, &note.at_ns, &value, err);
		note.bytes = (struct slx_str){ (const char *)value.p, value.n };
		if (status == SILEX_OK && value.n)
			to->more = to->each(to->arg, tenant, &note);
	}
	if (status == SILEX_OK)
		status = slx_blob_reader_damage(&r, err);
	slx_blob_reader_end(&r);
	slx_buf_free(&value);
	return status;
}

static bool each_tenant(void *arg, struct slx_str tenant)
{
	struct reading *to = arg;
	to->status = notes_of(to, tenant, to->err);
	return to->status == SILEX_OK && to->more;
}

silex_status slx_alerts_notes(struct slx_alerts *a, struct slx_str tenant, struct slx_str kind, slx_note_fn *each, void *arg, silex_error *err)
{
	struct reading to = { .a = a, .each = each, .arg = arg, .more = true, .err = err };
	SLX_TRY(slx_matcher_new(a->mem, SLX_MATCH_EQ, SLX_METRIC_NAME, kind, &to.kind, err));
	silex_status status = SILEX_OK;
	if (tenant.n)
		each_tenant(&to, tenant);
	else
		status = slx_engine_companions(a->engine, SLX_STR("alerts"), each_tenant, &to, err);
	slx_matcher_free(to.kind);
	return status == SILEX_OK ? to.status : status;
}
