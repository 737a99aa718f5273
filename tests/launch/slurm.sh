#!/usr/bin/env bash
# Trainings as jobs of a real Slurm on this machine, submitted by `saddle launch slurm`: preempted, at their time limit,
# cancelled, their node lost. Each goes on and ends bit-equal to an unbroken one.        tests/launch/slurm.sh SADDLE
# Status 77, with the reason, where Slurm cannot run. SADDLE_SLURM=all: also what takes minutes (a real time limit).
set -euo pipefail
saddle=$(realpath "${1:?usage: tests/launch/slurm.sh SADDLE}")
loopback=$(dirname "$(realpath "$0")")/../../cluster/slurm/loopback.sh
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
unset "${!SLURM_@}"
work=$(mktemp -d) slurm=$(mktemp -d)
trap '"$loopback" stop "$slurm" || true; rm -rf "$work"' EXIT
fail() {
  echo "FAILED: $*" >&2; tail -n 6 "$work"/*/slurm-*.log >&2 || true; grep "JobId=${job:-0}\b" "$slurm/slurmctld.log" | tail -n 20 >&2 || true
  scontrol show job "${job:-0}" >&2 || true; exit 1; }
start=$(date +%s)
say() { echo "== $(($(date +%s) - start)) s: $*"; }

status=0; "$loopback" start "$slurm" 2>"$work/err" || status=$?
[ $status != 77 ] || { echo "skipped: $(cat "$work/err")"; exit 77; }
[ $status = 0 ] || fail "$(cat "$work/err")"
export SLURM_CONF=$slurm/slurm.conf
srun --mpi=list 2>&1 | grep -q pmix || { echo "skipped: this Slurm has no PMIx plugin"; exit 77; }

cd "$work"
"$saddle" pack ring8 --samples 2000 --seed 1 --out ring >/dev/null 2>&1 || fail "pack"
steps=${SADDLE_SLURM_STEPS:-9000}
flags="--steps $steps --set precision=float64 --set batch=16 --set threads=1 --set g.width=8 --set d.width=8
  --set tick.every=200 --set sample.every=0 --set checkpoint.every=1000 --set device=cpu"
submit() {  # RUN OPTIONS...: starts a job of two ranks; its number is in `job`
  local run=$1; shift
  # shellcheck disable=SC2086
  "$saddle" launch slurm gan-ns --data ring --out "$run" --ranks-per-node 2 "$@" -- $flags >"$work/submitted" 2>&1 ||
    fail "launch: $(cat "$work/submitted")"
  job=$(sed -n 's/^submitted job \([0-9]*\):.*/\1/p' "$work/submitted")
}
within() { local end=$(($(date +%s) + $1)); shift; until "$@"; do [ "$(date +%s)" -lt $end ] || return 1; sleep 0.1; done; }
state() { squeue -h -j "$job" -o %T 2>/dev/null || true; }
step() { grep -o '^{[^}]*"step":[0-9]*' "$1/log.jsonl" 2>/dev/null | tail -n 1 | grep -o '[0-9]*$' || echo 0; }
beyond() { [ "$(step "$1")" -gt "$2" ]; }
is() { [ "$(state)" = "$1" ]; }
trains() { within 40 beyond "$1" "$(($(step "$1") + 400))" || fail "$1 does not train"; }
# Slurm starts a requeued job after two minutes. In the same second it would refuse: "Job credential revoked".
release() { within 20 is PENDING || fail "job $job was not requeued"; scontrol update JobId="$job" StartTime=now+3; }
goes_on() { release; within 40 is RUNNING || fail "job $job does not start again"; }
ended() { [ -z "$(state)" ]; }
ends() { within 90 ended || fail "job $job does not end"; }
exit_code() { scontrol show job "$job" | grep -o 'ExitCode=[0-9]*' | head -n 1; }
preempt() {  # RUN: one preemption
  trains "$1"
  sbatch -Q -p high -n 4 -o /dev/null --wrap true
  goes_on
}
same() {  # RUN: ended as the unbroken one
  local last; last=$(printf 'checkpoints/step-%010d' "$steps")
  ls unbroken/"$last"/*.safetensors >/dev/null || fail "no tensors in unbroken/$last"
  for file in unbroken/"$last"/*.safetensors; do cmp "$file" "$1/$last/$(basename "$file")" || fail "$1 ends otherwise"; done
  [ ! -e "$1/run.lock" ] || fail "$1 left its lock"
}
starts() { grep -c 'start [0-9]*: on ' "$1"/slurm-*.log; }

say "an unbroken training"
submit unbroken
ends
[ "$(exit_code)" = ExitCode=0 ] || fail "$(exit_code)"
same unbroken

say "preempted three times, two ranks by srun and PMIx"
submit srun
for _ in 1 2 3; do preempt srun; done
ends
[ "$(starts srun)" = 4 ] || fail "$(starts srun) starts"
[ "$(grep -c 'stopped at step' srun/slurm-"$job".log)" = 3 ] || fail "not each preemption saved"
same srun
grep -E 'start [0-9]: (on|status)|stopped|resuming' srun/slurm-"$job".log | cut -c1-110

say "mpirun inside the job, preempted, and cancelled"
submit mpirun --launcher mpirun
preempt mpirun
trains mpirun
scancel "$job"
ends
scontrol show job "$job" | grep -q JobState=CANCELLED || fail "not cancelled: $(scontrol show job "$job")"
submit mpirun --launcher mpirun
ends
same mpirun

say "srun cancelled, and gone on with by hand"
submit cancelled
trains cancelled
scancel "$job"
ends
scontrol show job "$job" | grep -q JobState=CANCELLED || fail "not cancelled: $(scontrol show job "$job")"
submit cancelled
trains cancelled

say "its node dies"
pids() { pgrep -f "$saddle train.*--out $work/cancelled" || true; }
kill -9 "$(cat "$slurm/slurmd.pid")" $(pgrep -f "^slurmstepd: \[$job\." ) $(pgrep -f "$slurm/spool/job0*$job/") $(pids)
within 40 is PENDING || fail "job $job was not requeued after its node died"
"$loopback" node "$slurm"
goes_on
ends
same cancelled

say "notice of the time limit"
submit limit --time 30m
trains limit
scancel --batch --signal=USR1 "$job"  # as --signal does
goes_on
ends
same limit

say "wrong launches"
flags=${flags/--steps $steps/--steps 20}
status=0; srun -n 2 --mpi=none "$saddle" train gan-ns --data ring --out wrong >err 2>&1 || status=$?
cat err
[ $status = 64 ] && grep -q 'SLURM_STEP_NUM_TASKS=2 .*world would be 1' err || fail "srun without PMIx: status $status"
[ ! -e wrong ] || fail "a run was made"
# shellcheck disable=SC2086
salloc -Q -n 4 mpirun -n 2 --bind-to none "$saddle" train gan-ns --data ring --out fewer $flags >err 2>&1 || fail "mpirun in a larger job: $(cat err)"
# shellcheck disable=SC2086
salloc -Q -n 4 "$saddle" train gan-ns --data ring --out plain $flags >err 2>&1 || fail "plain in a larger job: $(cat err)"

say "an array: a seed each"
submit array --array 3,5
ends
for seed in 3 5; do grep -q "^seed = $seed" array/seed-$seed/options.toml || fail "array task $seed"; done

if [ "${SADDLE_SLURM:-}" = all ]; then
  say "a real time limit"
  flags=${flags/--steps 20/--steps 1000000}
  submit long --time 2m --notice 20
  trains long
  within 150 is PENDING || fail "no requeue before the time limit"
  grep 'stopped at step' long/slurm-"$job".log
  scancel "$job"
fi
say "done"
