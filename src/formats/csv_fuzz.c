/* The first byte chooses among the options. */
#include "formats/fuzz_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static silex_status make(struct slx_mem *m, const struct slx_decode_limits *limits, const struct slx_sink *sink,
	const void *arg, struct slx_decoder **ret)
{
	return slx_decoder_csv(m, arg, limits, sink, ret, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct slx_label constant = { { "a", 1 }, { "b", 1 } };
	static const struct slx_csv_options options[] = {
		{ .delimiter = 0 },
		{ .header = SLX_CSV_HEADER_NO, .time_unit = SLX_UNIT_MS },
		{ .delimiter = ';',
			.header = SLX_CSV_HEADER_YES,
			.time_column = "#1",
			.value_columns = "#2",
			.label_columns = "" },
		{ .delimiter = '\t', .time_column = "t", .label_columns = "a,#3" },
		{ .field_label = "field",
			.metric = "m",
			.name_template = "x_{metric}_{column}",
			.constant_labels = &constant,
			.constant_labels_n = 1 },
	};
	if (size > 0)
		fuzz_decode(make, &options[data[0] % 5], data + 1, size - 1);
	return 0;
}
