#include "codec/kernels.h"
#include "codec/stats_int.h"

const double slx_pow10[SLX_SCALE_MAX + 1] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13,
	1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
const double slx_pow10_inv[SLX_SCALE_MAX + 1] = { 1e-0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10,
	1e-11, 1e-12, 1e-13, 1e-14, 1e-15, 1e-16, 1e-17, 1e-18, 1e-19, 1e-20, 1e-21, 1e-22 };

#if defined(__x86_64__)
static const struct slx_codec_kernels *x86_kernels(enum slx_codec_level level)
{
	__builtin_cpu_init();
	bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
	if (level == SLX_CODEC_AVX2)
		return avx2 ? &slx_codec_avx2 : NULL;
	bool vbmi = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi");
	return avx2 && vbmi ? &slx_codec_avx512 : NULL;
}
#endif

const struct slx_codec_kernels *slx_codec_kernels_for(enum slx_codec_level level)
{
	if (level == SLX_CODEC_SCALAR)
		return &slx_codec_scalar;
#if defined(__x86_64__)
	return x86_kernels(level);
#else
	return NULL;
#endif
}

const struct slx_codec_kernels *slx_codec_kernels(void)
{
	static const struct slx_codec_kernels *_Atomic best; /* same answer for all threads, whoever is first */
	const struct slx_codec_kernels *k = best;
	for (int level = SLX_CODEC_LEVELS - 1; !k; level--)
		best = k = slx_codec_kernels_for((enum slx_codec_level)level);
	return k;
}

const char *slx_codec_simd(void) { return slx_codec_kernels()->name; }
