/* The text exposition formats: exposition.c is the grammar of both, openmetrics.c the rules that OpenMetrics lays on
 * top of it (families, groups, values). */
#ifndef SLX_FORMATS_EXPOSITION_H
#define SLX_FORMATS_EXPOSITION_H

#include "formats/formats_int.h"

/* A sample line; its labels are base.labels, those with empty values among them. */
struct slx_exposition_sample {
	struct slx_str name;   /* the metric name */
	struct slx_str series; /* the series as written */
	double value;
	bool has_time, has_exemplar;
	int64_t t;
	struct slx_exemplar exemplar; /* its labels lie in base.labels from exemplar_from on */
	uint32_t exemplar_from;
};

enum slx_om_type {
	SLX_OM_UNKNOWN,
	SLX_OM_GAUGE,
	SLX_OM_COUNTER,
	SLX_OM_SUMMARY,
	SLX_OM_HISTOGRAM,
	SLX_OM_GAUGEHISTOGRAM,
	SLX_OM_INFO,
	SLX_OM_STATESET,
	SLX_OM_TYPES
};

enum slx_om_suffix {
	SLX_OM_NONE,
	SLX_OM_TOTAL,
	SLX_OM_CREATED,
	SLX_OM_COUNT,
	SLX_OM_SUM,
	SLX_OM_BUCKET,
	SLX_OM_GCOUNT,
	SLX_OM_GSUM,
	SLX_OM_INFO_SUFFIX,
	SLX_OM_SUFFIXES
};

/* What is known of the family whose lines are being read. */
struct slx_om {
	struct slx_decoder *d;
	struct slx_keymap names;  /* metric names of finished families, suffixes put on */
	struct slx_keymap groups; /* family number and hash of the labels of each group */
	struct slx_buf name, unit, key;
	enum slx_om_type type;
	uint32_t family; /* counts families */
	bool open;       /* a family is being read */
	bool has_help, has_type, has_unit, has_samples;
	bool eof;         /* "# EOF" was seen */
	const char *past; /* what was expected of the lines above; set by any call, cleared by the reader */

	bool has_group; /* of the last sample: */
	uint64_t group;
	bool has_time;
	int64_t t;

	struct { /* histograms: the group so far */
		bool open, has_bucket, has_count, has_sum, has_gsum, negative_bucket, negative_gsum;
		double bound, value, count;
	} h;
};

void slx_om_init(struct slx_om *om, struct slx_decoder *d);
void slx_om_free(struct slx_om *om);

/* Each returns NULL, or what was expected of this line. */
const char *slx_om_metadata(struct slx_om *om, struct slx_str keyword, struct slx_str name, struct slx_str text);
const char *slx_om_sample(struct slx_om *om, const struct slx_exposition_sample *s);
void slx_om_end(struct slx_om *om); /* of the input */

#endif
