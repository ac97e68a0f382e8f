#!/usr/bin/env python3
"""Holds a server's PromQL against Prometheus' own scripts and against Debian's Prometheus (suites of $SLX_SHARED).

    gates.py path/to/silex

1. the stable evals with --promql-experimental: all pass
2. the same without it: all but those of without_experimental.txt
3. histograms with custom buckets: all pass
4. the compliance queries beside `prometheus`: all equal but those of differs_from_2.42.txt
5. all scripts, for the record: counts only

Last line: N passed, N failed (evals and queries of 1 to 4). Exit 77 without the suites."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("SLX_SHARED", os.path.join(HERE, "..", "..", "..", "shared"))
SCRIPTS = os.path.join(SHARED, "data", "promqltest")


def listed(name):
    with open(os.path.join(HERE, name)) as f:
        return {line.rstrip("\n") for line in f if line.strip() and not line.startswith("#")}


def serve(silex, *words):
    return " ".join([silex, "serve", "--data", "{dir}", "--listen", "127.0.0.1:{port}", *words])


def run_scripts(silex, words, *options):
    """Every eval that was attempted: {script:line: its result}."""
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, "result.json")
        subprocess.run([sys.executable, os.path.join(SHARED, "tools", "promqltest.py"), SCRIPTS, "--range-recheck", "--json", result,
                        "--tmp", folder, "--spawn", serve(silex, *words), *options], stdout=subprocess.DEVNULL, timeout=600)
        with open(result) as f:
            files = json.load(f)["files"]
    return {f"{script}:{e['line']}": e for script, evals in files.items() for e in evals if e["result"] != "skip"}


def gate(name, evals, expected_failures=frozenset()):
    """(passed, failed). An expected failure that passes is a failure, too: the list must be true."""
    failed = 0
    for place, e in evals.items():
        if (e["result"] == "pass") == (place in expected_failures):
            failed += 1
            print(f"  {name}: {place}: {e['result']}: {e['expr']}\n      {e['text']}")
    print(f"{name}: {len(evals) - failed} passed, {failed} failed", flush=True)
    return len(evals) - failed, failed or not evals


def report(evals):
    passed = sum(e["result"] == "pass" for e in evals.values())
    print(f"all scripts, for the record: {passed} of {len(evals)} pass", flush=True)


def compliance(silex):
    prometheus = shutil.which("prometheus")
    if not prometheus:
        print("compliance: prometheus is not here")
        return 0, 0
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w") as f:
            f.write("storage: {tsdb: {out_of_order_time_window: 100y}}\n")
        reference = (f"{prometheus} --config.file={config} --storage.tsdb.path={{dir}}/d --web.listen-address=127.0.0.1:{{port}} "
                     "--web.enable-remote-write-receiver --storage.tsdb.retention.time=200y --log.level=error")
        queries = os.path.join(SHARED, "data", "promqlcompliance", "queries.jsonl")
        r = subprocess.run([sys.executable, os.path.join(SHARED, "tools", "promqldiff.py"), "-v", "--tmp", folder, "--ref", reference,
                            "--test", serve(silex), queries], stdout=subprocess.PIPE, text=True, timeout=600)
    lines = r.stdout.splitlines()
    total = int(lines[-1].split(" of ")[1].split()[0]) if lines and " of " in lines[-1] else 0
    different = [line[len("DIFF "):] for line in lines if line.startswith("DIFF ")]
    unexpected = [q for q in different if q not in listed("differs_from_2.42.txt")]
    for q in unexpected:
        print(f"  compliance: {q}")
    failed = len(unexpected) + (total == 0)
    print(f"compliance: {total - len(unexpected)} passed, {failed} failed ({total - len(different)} of {total} equal to 2.42)", flush=True)
    return total - len(unexpected), failed


def main():
    if not os.path.isdir(SCRIPTS):
        print(f"{SCRIPTS} is not here: nothing to run")
        return 77
    silex = os.path.abspath(sys.argv[1])
    stable = ["--no-histograms", "--only", os.path.join(SCRIPTS, "stable.txt")]
    counts = [gate("stable", run_scripts(silex, ["--promql-experimental"], *stable)),
              gate("stable without experimental", run_scripts(silex, [], *stable), listed("without_experimental.txt")),
              gate("nhcb", run_scripts(silex, ["--promql-experimental"], "--only", os.path.join(SCRIPTS, "nhcb.txt"))),
              compliance(silex)]
    report(run_scripts(silex, ["--promql-experimental"]))
    passed, failed = (sum(c) for c in zip(*counts))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
