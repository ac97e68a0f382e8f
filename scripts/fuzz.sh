#!/bin/bash
# fuzz.sh FOLDER SECONDS [NAME]: runs each fuzz target of FOLDER in turn over tests/corpus/TARGET, SECONDS together (at least
# 5 each), and prints a table. New inputs go to build-fuzz/corpus, a crash to tests/corpus/TARGET/crash-*: commit that one
# with its fix. Exit status 1 when any target crashed.
set -u
folder=$1 seconds=$2 name=${3:-}
targets=()
for t in "$folder"/*_fuzz; do
	[ -x "$t" ] && [[ $(basename "$t") == *"$name"* ]] && targets+=("$t")
done
[ ${#targets[@]} -gt 0 ] || { echo "fuzz.sh: no target matches '$name' in $folder" >&2; exit 2; }
each=$((seconds / ${#targets[@]}))
[ "$each" -ge 5 ] || each=5
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
failed=0
echo "${#targets[@]} targets, $each s each"
printf '%-32s %10s %9s %8s %7s  %s\n' target runs "runs/s" edges inputs result
for t in "${targets[@]}"; do
	target=$(basename "$t")
	found=$folder/corpus/$target seeds=tests/corpus/$target log=$folder/$target.log
	mkdir -p "$found" "$seeds"
	"$t" -max_total_time="$each" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$seeds/" \
		"$found" "$seeds" >"$log" 2>&1 </dev/null
	status=$?
	rmdir "$seeds" 2>/dev/null
	stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -1; }
	edges=$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2)
	result=ok
	if [ $status != 0 ]; then
		result="CRASHED: $(grep -o 'Test unit written to .*' "$log" | tail -1) (see $log)"
		failed=$((failed + 1))
	fi
	printf '%-32s %10s %9s %8s %7s  %s\n' "$target" "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" \
		"${edges:-0}" "$(find "$found" -type f | wc -l)" "$result"
done
echo "${#targets[@]} targets, $failed crashed"
[ $failed = 0 ]
