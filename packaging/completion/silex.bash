# bash completion for silex, printed by `silex completion bash`
_silex() {
	COMPREPLY=()
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words=
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W "import export query series labels delete stats compact checkpoint inspect verify upgrade compression serve bench demo shell completion version" -- "$cur"))
		return
	fi
	case $command:$prev in
	import:--format|import:-f) words="csv tsv line jsonl prom openmetrics wfdb" ;;
	import:--time-column|import:-t) return ;;
	import:--time-format) words="auto rfc3339 s ms us ns" ;;
	import:--value-columns|import:-v) return ;;
	import:--label-columns|import:-l) return ;;
	import:--metric|import:-m) return ;;
	import:--name-template) return ;;
	import:--field-label) return ;;
	import:--delimiter) return ;;
	import:--header) words="yes no" ;;
	import:--precision|import:-p) words="ns us ms s" ;;
	import:--start|import:-s) return ;;
	import:--label|import:-L) return ;;
	import:--errors) words="all none" ;;
	import:--data|import:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	import:--tenant|import:-T) return ;;
	import:--option|import:-O) return ;;
	import:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	import:--url|import:-u) return ;;
	export:--format|export:-f) words="jsonl csv line prom openmetrics" ;;
	export:--start|export:-s) return ;;
	export:--end|export:-e) return ;;
	export:--output|export:-o) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	export:--data|export:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	export:--tenant|export:-T) return ;;
	export:--option|export:-O) return ;;
	export:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	export:--url|export:-u) return ;;
	query:--start|query:-s) return ;;
	query:--end|query:-e) return ;;
	query:--agg|query:-a) words="none count sum mean min max first last stddev variance median p50 p90 p99 range increase rate delta mode" ;;
	query:--step|query:-w) return ;;
	query:--group-by|query:-g) return ;;
	query:--fill) words="skip null previous" ;;
	query:--promql|query:-q) return ;;
	query:--limit|query:-n) return ;;
	query:--height) return ;;
	query:--timeout) return ;;
	query:--memory) return ;;
	query:--format|query:-f) words="table csv json jsonl chart" ;;
	query:--output|query:-o) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	query:--data|query:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	query:--tenant|query:-T) return ;;
	query:--option|query:-O) return ;;
	query:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	query:--url|query:-u) return ;;
	series:--start|series:-s) return ;;
	series:--end|series:-e) return ;;
	series:--format|series:-f) words="table csv json jsonl chart" ;;
	series:--output|series:-o) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	series:--data|series:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	series:--tenant|series:-T) return ;;
	series:--option|series:-O) return ;;
	series:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	series:--url|series:-u) return ;;
	labels:--match|labels:-m) return ;;
	labels:--format|labels:-f) words="table csv json jsonl chart" ;;
	labels:--output|labels:-o) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	labels:--data|labels:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	labels:--tenant|labels:-T) return ;;
	labels:--option|labels:-O) return ;;
	labels:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	labels:--url|labels:-u) return ;;
	delete:--start|delete:-s) return ;;
	delete:--end|delete:-e) return ;;
	delete:--before) return ;;
	delete:--data|delete:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	delete:--tenant|delete:-T) return ;;
	delete:--option|delete:-O) return ;;
	delete:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	delete:--url|delete:-u) return ;;
	stats:--format|stats:-f) words="table csv json jsonl chart" ;;
	stats:--output|stats:-o) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	stats:--data|stats:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	stats:--tenant|stats:-T) return ;;
	stats:--option|stats:-O) return ;;
	stats:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	stats:--url|stats:-u) return ;;
	compact:--data|compact:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	compact:--tenant|compact:-T) return ;;
	compact:--option|compact:-O) return ;;
	compact:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	checkpoint:--data|checkpoint:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	checkpoint:--tenant|checkpoint:-T) return ;;
	checkpoint:--option|checkpoint:-O) return ;;
	checkpoint:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	inspect:--depth|inspect:-D) return ;;
	inspect:--output|inspect:-o) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	inspect:--data|inspect:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	inspect:--tenant|inspect:-T) return ;;
	inspect:--option|inspect:-O) return ;;
	inspect:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	verify:--data|verify:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	verify:--tenant|verify:-T) return ;;
	verify:--option|verify:-O) return ;;
	verify:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	upgrade:--data|upgrade:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	upgrade:--tenant|upgrade:-T) return ;;
	upgrade:--option|upgrade:-O) return ;;
	upgrade:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	compression:--format|compression:-f) words="csv tsv line jsonl prom openmetrics wfdb" ;;
	compression:--time-column|compression:-t) return ;;
	compression:--time-format) words="auto rfc3339 s ms us ns" ;;
	compression:--value-columns|compression:-v) return ;;
	compression:--label-columns|compression:-l) return ;;
	compression:--metric|compression:-m) return ;;
	compression:--name-template) return ;;
	compression:--field-label) return ;;
	compression:--delimiter) return ;;
	compression:--header) words="yes no" ;;
	compression:--precision|compression:-p) words="ns us ms s" ;;
	compression:--start|compression:-s) return ;;
	compression:--codec|compression:-C) words="raw gorilla sx cold auto" ;;
	serve:--data|serve:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	serve:--listen|serve:-l) return ;;
	serve:--config|serve:-c) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	serve:--memory-limit) return ;;
	serve:--sync) words="always interval never" ;;
	serve:--route-prefix) return ;;
	serve:--external-url) return ;;
	serve:--promql-lookback) return ;;
	serve:--promql-timeout) return ;;
	serve:--influx-listen) return ;;
	serve:--graphite-listen) return ;;
	serve:--log-level) words="debug info warn error" ;;
	serve:--log-format) words="text json" ;;
	serve:--set|serve:-s) return ;;
	bench:--seconds|bench:-s) return ;;
	bench:--series|bench:-n) return ;;
	bench:--threads|bench:-t) return ;;
	bench:--readers|bench:-r) return ;;
	bench:--directory) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	bench:--output|bench:-o) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	bench:--data|bench:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	bench:--tenant|bench:-T) return ;;
	bench:--option|bench:-O) return ;;
	bench:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	bench:--url|bench:-u) return ;;
	demo:--dir|demo:-D) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	demo:--samples) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	shell:--data|shell:-d) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	shell:--tenant|shell:-T) return ;;
	shell:--option|shell:-O) return ;;
	shell:--config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	completion:--output|completion:-o) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	version:--output|version:-o) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	esac
	if [ -z "$words" ]; then
		case $command in
		import) words=" --format --time-column --time-format --value-columns --label-columns --metric --name-template --field-label --delimiter --header --precision --start --label --errors --strict --quiet --data --tenant --option --config --url --help" ;;
		export) words=" --format --start --end --output --data --tenant --option --config --url --help" ;;
		query) words=" --start --end --agg --step --group-by --group --fill --promql --limit --desc --latest --exact --wide --tall --height --timeout --memory --statistics --format --output --data --tenant --option --config --url --help" ;;
		series) words=" --start --end --names --info --count --format --output --data --tenant --option --config --url --help" ;;
		labels) words=" --match --tenants --format --output --data --tenant --option --config --url --help" ;;
		delete) words=" --start --end --before --drop-tenant --yes --data --tenant --option --config --url --help" ;;
		stats) words=" --format --output --data --tenant --option --config --url --help" ;;
		compact) words=" --full --recode --data --tenant --option --config --help" ;;
		checkpoint) words=" --data --tenant --option --config --help" ;;
		inspect) words=" --depth --output --data --tenant --option --config --help" ;;
		verify) words=" --data --tenant --option --config --help" ;;
		upgrade) words=" --data --tenant --option --config --help" ;;
		compression) words=" --format --time-column --time-format --value-columns --label-columns --metric --name-template --field-label --delimiter --header --precision --start --codec --json --help" ;;
		serve) words=" --data --listen --config --memory-limit --sync --route-prefix --external-url --promql-lookback --promql-timeout --promql-experimental --influx-listen --graphite-listen --enable-lifecycle --enable-admin --log-level --log-format --set --check-config --print-config --print-keys --help" ;;
		bench) words=" --seconds --series --threads --readers --directory --output --data --tenant --option --config --url --help" ;;
		demo) words=" --dir --samples --help" ;;
		shell) words=" --read-only --data --tenant --option --config --help" ;;
		completion) words=" --output --help" ;;
		version) words=" --output --help" ;;
		esac
		case $cur in -*) ;; *) COMPREPLY=($(compgen -f -- "$cur")); return ;; esac
	fi
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o filenames -F _silex silex
