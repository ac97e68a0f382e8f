#include "rules/template/template_int.h"

const char *slx_tv_type_name(const struct slx_tv *v)
{
	static const char *const names[] = { [SLX_TV_NIL] = "<nil>", [SLX_TV_BOOL] = "bool", [SLX_TV_INT] = "int", [SLX_TV_FLOAT] = "float64",
		[SLX_TV_STRING] = "string", [SLX_TV_LIST] = "template.queryResult", [SLX_TV_STRINGS] = "map[string]string",
		[SLX_TV_ARGS] = "map[string]interface {}", [SLX_TV_SAMPLE] = "*template.sample", [SLX_TV_DATA] = "struct" };
	return names[v->type];
}

size_t slx_tv_len(const struct slx_tv *v)
{
	switch (v->type) {
	case SLX_TV_STRING:
		return v->s.n;
	case SLX_TV_LIST:
		return v->list.n;
	case SLX_TV_STRINGS:
		return v->labels.n ? slx_labels_count(v->labels) : 0;
	case SLX_TV_ARGS:
		return v->args.n;
	default:
		return SIZE_MAX;
	}
}

bool slx_tv_truth(const struct slx_tv *v)
{
	switch (v->type) {
	case SLX_TV_NIL:
		return false;
	case SLX_TV_BOOL:
		return v->b;
	case SLX_TV_INT:
		return v->i != 0;
	case SLX_TV_FLOAT:
		return v->f != 0;
	case SLX_TV_SAMPLE:
	case SLX_TV_DATA:
		return true;
	default:
		return slx_tv_len(v) != 0;
	}
}

struct slx_str slx_tv_label(struct slx_labels l, struct slx_str key)
{
	return l.n ? slx_labels_get(l, key) : (struct slx_str){ "", 0 };
}

unsigned slx_template_line(struct slx_str text, size_t at, unsigned *ret_column)
{
	unsigned line = 1, column = 1;
	for (size_t i = 0; i < at && i < text.n; i++) {
		column++;
		if (text.p[i] == '\n') {
			line++;
			column = 1;
		}
	}
	if (ret_column)
		*ret_column = column;
	return line;
}
