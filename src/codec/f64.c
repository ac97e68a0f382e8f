/* float64 columns by codec id. */
#include "codec/sx_int.h"

static silex_status unsupported(enum slx_codec_id id, silex_error *err)
{
	return slx_err(err, SILEX_UNSUPPORTED, "codec %d is not one of float64 vectors", (int)id);
}

size_t slx_f64_bound(enum slx_codec_id id, size_t n)
{
	switch (id) {
	case SLX_CODEC_RAW:
		return 8 * n;
	case SLX_CODEC_GORILLA:
		return slx_gorilla_bound(n);
	case SLX_CODEC_SX:
		return slx_sx_bound(n);
	default:
		return 0;
	}
}

size_t slx_f64_encode(enum slx_codec_id id, const double *v, size_t n, struct slx_sx_hint *hint, int scale,
	uint8_t *out, size_t cap)
{
	switch (id) {
	case SLX_CODEC_RAW:
		if (cap < 8 * n)
			return 0;
		memcpy(out, v, 8 * n);
		return 8 * n;
	case SLX_CODEC_GORILLA:
		return slx_gorilla_encode(v, n, out, cap);
	case SLX_CODEC_SX:
		return slx_sx_encode(v, n, hint, scale, out, cap);
	default:
		return 0;
	}
}

silex_status slx_f64_decode(enum slx_codec_id id, const uint8_t *in, size_t len, double *v, size_t n, silex_error *err)
{
	switch (id) {
	case SLX_CODEC_RAW:
		if (len < 8 * n)
			return slx_err(err, SILEX_CORRUPT, "raw values: %zu bytes for %zu values", len, n);
		memcpy(v, in, 8 * n);
		return SILEX_OK;
	case SLX_CODEC_GORILLA:
		return slx_gorilla_decode(in, len, v, n, err);
	case SLX_CODEC_SX:
		return slx_sx_decode(in, len, v, n, err);
	default:
		return unsupported(id, err);
	}
}

silex_status slx_f64_aggregate(enum slx_codec_id id, const uint8_t *in, size_t len, size_t n, struct slx_agg *ret,
	silex_error *err)
{
	if (id == SLX_CODEC_SX)
		return slx_sx_aggregate(in, len, n, ret, err);
	*ret = slx_agg_none();
	double v[SLX_VECTOR_MAX];
	if (n > SLX_VECTOR_MAX)
		return slx_err(err, SILEX_INVALID, "aggregate of %zu values; at most %d", n, SLX_VECTOR_MAX);
	SLX_TRY(slx_f64_decode(id, in, len, v, n, err));
	slx_agg_values(v, n, ret);
	return SILEX_OK;
}
