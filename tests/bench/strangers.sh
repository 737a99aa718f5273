#!/usr/bin/env bash
# A training on two ranks whose ports strangers attack in every other ten seconds, with watch.timeout=2: its steps then and in
# between, and how long a rank that is stopped meanwhile goes unnoticed. The ranks' own ports are attacked while they start, too;
# mpirun's only once they have: OpenMPI waits there for each stranger in turn, and so starts nothing under this attack.
#   tests/bench/strangers.sh [SECONDS=240] [CONNECTIONS_A_SECOND=100]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-240} rate=${2:-100} saddle=$(realpath "${SADDLE_BUILD:-.build}/saddle")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
"$saddle" pack ring8 --samples 20000 --seed 1 --out "$work/data" >/dev/null 2>&1
python3 tests/bench/strangers.py 100 "$rate" saddle >/dev/null & early=$!
mpirun -n 2 --oversubscribe --bind-to none "$saddle" train gan-ns --data "$work/data" --out "$work/run" --steps 100000000 \
  --set watch.timeout=2 --set sample.every=0 --set tick.every=50 >"$work/out" 2>&1 & job=$!
for ((i = 0; i < 60; ++i)); do [ -s "$work/run/log.jsonl" ] && break; sleep 1; done
kill $early
python3 tests/bench/strangers.py "$((seconds + 15))" "$rate" saddle mpirun orted >"$work/strangers" & strangers=$!
sleep "$seconds"
kill -0 $job || { echo "the training ended:"; tail -n 5 "$work/out"; exit 1; }
victim=$(pgrep -f "^$saddle train gan-ns --data $work/data" | tail -n 1)
start=$(date +%s.%N)
since() { awk "BEGIN { printf \"%.1f\", $(date +%s.%N) - $start }"; }
kill -STOP "$victim"
until grep -q "has given no sign of life" "$work/out" || ! kill -0 $job 2>/dev/null; do sleep 0.05; done
found=$(since)
status=0; wait $job || status=$?
echo "a rank stopped under attack: found after $found s, and mpirun ended with $status after $(since) s"
grep -m 1 "has given no sign of life" "$work/out"
kill -KILL "$victim" 2>/dev/null || true
wait $strangers
python3 - "$work/strangers" "$work/run/log.jsonl" <<'END'
import datetime, json, sys
strangers = json.load(open(sys.argv[1]))
inside, outside = [], []
for line in open(sys.argv[2]):
    tick = json.loads(line)
    at = datetime.datetime.fromisoformat(tick["time"].replace("Z", "+00:00")).timestamp()
    attacked = any(a + 1 < at < b for a, b in strangers["windows"])
    quiet = not any(a - 1 < at < b + 2 for a, b in strangers["windows"])
    if attacked or quiet:
        (inside if attacked else outside).append(1 / tick["images_per_second"])
median = lambda values: sorted(values)[len(values) // 2]
print(f"{strangers['connections']} connections to ports {strangers['ports']}; step time under attack / undisturbed: "
      f"{median(inside) / median(outside):.3f} (medians of {len(inside)} and {len(outside)} ticks)")
END
