#!/usr/bin/env bash
# Two hosts on one: network namespaces joined by a cable (veth), with names, files and a launch agent of their own.
# Training over both must log what one host logs; `saddle doctor` must pass; and when the cable is cut in mid-step, the
# ranks of both sides must end by themselves.        tests/launch/two_hosts.sh SADDLE
# Status 77, with the reason, where network namespaces are not permitted.
set -euo pipefail
saddle=$(realpath "${1:?usage: tests/launch/two_hosts.sh SADDLE}")
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
fail() { echo "FAILED: $*" >&2; exit 1; }
skip() { echo "skipped: $*"; exit 77; }
command -v ip >/dev/null || skip "no ip command (iproute2)"

id=$$ work=$(mktemp -d)
a=saddle-a$id b=saddle-b$id
ip netns add "$a" 2>"$work/why" || skip "network namespaces are not permitted here: $(cat "$work/why")"
clean() {
  for ns in $a $b; do
    ip netns pids $ns 2>/dev/null | xargs -r kill -9 2>/dev/null || true
    ip netns del $ns 2>/dev/null || true
  done
  rm -rf "$work"
}
trap clean EXIT
ip netns add "$b"
ip link add va type veth peer name vb netns "$b" 2>"$work/why" || skip "no veth here: $(cat "$work/why")"
ip link set va netns "$a"
address() { ip -n "$1" addr add "$3" dev "$2"; ip -n "$1" link set "$2" up; ip -n "$1" link set lo up; }
address "$a" va 10.77.0.1/24
address "$b" vb 10.77.0.2/24

# Runs a command on a host: its network and its name.
cat >"$work/on" <<END
#!/bin/sh
ns=\$1; shift
exec ip netns exec "\$ns" unshare --uts sh -c 'hostname "\$0"; exec "\$@"' "\$ns" "\$@"
END
# What OpenMPI takes for ssh: HOST COMMAND.
cat >"$work/agent" <<END
#!/bin/sh
case "\$1" in *.2) ns=$b ;; *) ns=$a ;; esac
shift
exec "$work/on" "\$ns" sh -c "\$*"
END
chmod +x "$work/on" "$work/agent"

both() {  # mpirun over both hosts, two ranks on each: options, program, arguments
  "$work/on" "$a" mpirun --host 10.77.0.1:2,10.77.0.2:2 -n 4 --bind-to none --mca plm_rsh_agent "$work/agent" \
    --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 "$@"
}
train() {  # RUN STEPS [TIMEOUT]: the command
  echo "$saddle train gan-ns --data $work/ring --out $work/$1 --steps $2 --set precision=float64 --set batch=16 --set threads=1 \
    --set g.width=8 --set d.width=8 --set tick.every=5 --set sample.every=0 --set watch.timeout=${3:-60}"
}
losses() { grep -oE '"loss/[DG]":[^,}]*|"step":[0-9]+' "$1/log.jsonl"; }

"$saddle" pack ring8 --samples 2000 --seed 1 --out "$work/ring" >"$work/err" 2>&1 || fail "$(cat "$work/err")"
echo "== training on two hosts, two ranks on each, against four ranks on one"
# shellcheck disable=SC2046
timeout -k 5 120 mpirun --oversubscribe --bind-to none -n 4 $(train local 20) 2>"$work/err" || fail "$(cat "$work/err")"
# shellcheck disable=SC2046
both $(train hosts 20) 2>"$work/err" || fail "$(cat "$work/err")"
losses "$work/local" >"$work/one"
losses "$work/hosts" >"$work/two"
[ -s "$work/one" ] || fail "no losses were logged"
paste "$work/one" "$work/two" | awk -F'[:\t]' '{d = $2 - $4; if ($1 != $3 || d > 1e-10 || d < -1e-10) {print; bad = 1}} END {exit bad}' ||
  fail "the losses differ"
echo "equal losses on $(grep -c step "$work/one") ticks"

if "$saddle" doctor --help >/dev/null 2>&1; then
  echo "== saddle doctor on two hosts"
  both "$saddle" doctor --out "$work/doctor" >"$work/doctor.txt" 2>&1 || { cat "$work/doctor.txt"; fail "saddle doctor"; }
  cat "$work/doctor.txt"
fi

on_hosts() { { ip netns pids "$a"; ip netns pids "$b"; } | while read -r pid; do ps -o args= -p "$pid"; done | grep -c "^$1" || true; }
cut() {  # RUN TIMEOUT OPTIONS...: starts a job, waits until all ranks train, cuts the cable
  local run=$1 timeout=$2; shift 2
  ip -n "$a" link set va up
  # shellcheck disable=SC2046
  both "$@" $(train "$run" 1000000 "$timeout") >"$work/out" 2>&1 & job=$!
  for _ in $(seq 300); do grep -qs '"step":50,' "$work/$run/log.jsonl" && break; sleep 0.1; done
  [ "$(on_hosts "$saddle train")" = 4 ] || fail "it does not train: $(cat "$work/out")"
  ip -n "$a" link set va down
  start=$(date +%s.%N)
}
since() { awk "BEGIN {printf \"%.1f\", $(date +%s.%N) - $start}"; }
words() { grep -v -e "images/s" -e "warning: this rank" "$work/out" | sed 's/^/   /'; }

echo "== the cable is cut in mid-step, and the watchdogs of both sides end their ranks"
cut alone 3
for _ in $(seq 130); do [ "$(on_hosts "$saddle train")" = 0 ] && break; sleep 0.1; done
[ "$(on_hosts "$saddle train")" = 0 ] || fail "ranks are left after $(since) s"
echo "no rank left after $(since) s; mpirun $(kill -0 $job 2>/dev/null && echo "waits for the other host" || echo "has ended")"
words
grep -q "^saddle: rank 2 ($b), rank 3 ($b) have given no sign of life" "$work/out" || fail "the cause is not named"
for r in 0 1 2 3; do [ -s "$work/alone/flight-000$r.jsonl" ] || fail "rank $r left no flight record"; done
{ ip netns pids "$a"; ip netns pids "$b"; } | xargs -r kill -9  # as `timeout -k` would
wait $job || true

# OpenMPI looks after its connections only every five minutes, unless told otherwise. Told so, it ends by itself, if its
# patience is less than watch.timeout: after that it waits for the other host's answer, until TCP gives up (15 minutes).
echo "== the cable is cut, and mpirun notices it by itself"
cut keepalive 15 --mca oob_tcp_keepalive_time 3 --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 2
for _ in $(seq 250); do kill -0 $job 2>/dev/null || break; sleep 0.1; done
kill -0 $job 2>/dev/null && fail "mpirun is still there after $(since) s"
wait $job && fail "mpirun ended with 0" || echo "mpirun ended with status $? after $(since) s"
words
for _ in $(seq 50); do [ "$(on_hosts .)" = 0 ] && break; sleep 0.1; done
[ "$(on_hosts .)" = 0 ] || fail "processes are left on the hosts"
