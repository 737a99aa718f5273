# Jobs of `saddle launch slurm` under cluster/slurm/loopback.sh, for the tests that source this file after setting
# saddle, loopback, slurm (folder of the Slurm), work (the runs'), options (of each job) and cores (of all nodes).
# shellcheck shell=bash disable=SC2154,SC2086
fail() {
  echo "FAILED: $*" >&2; tail -n 6 "$work"/*/slurm-*.log >&2 || true; grep "JobId=${job:-0}\b" "$slurm/slurmctld.log" | tail -n 20 >&2 || true
  scontrol show job "${job:-0}" >&2 || true; exit 1; }
start=$(date +%s)
say() { echo "== $(($(date +%s) - start)) s: $*"; }

start_slurm() {  # [NODES [SHARED...]]: leaves with 77 where it cannot be
  local status=0
  "$loopback" start "$slurm" "$@" 2>"$work/err" || status=$?
  [ $status != 77 ] || { echo "skipped: $(cat "$work/err")"; exit 77; }
  [ $status = 0 ] || fail "$(cat "$work/err")"
  export SLURM_CONF=$slurm/slurm.conf
  srun --mpi=list 2>&1 | grep -q pmix || { echo "skipped: this Slurm has no PMIx plugin"; exit 77; }
}

pack_ring() { "$saddle" pack ring8 --samples 2000 --seed 1 --out ring >"$work/err" 2>&1 || fail "pack: $(cat "$work/err")"; }
tiny="--set precision=float64 --set batch=16 --set threads=1 --set g.width=8 --set d.width=8
  --set tick.every=200 --set sample.every=0 --set checkpoint.every=1000 --set device=cpu"
submit() {  # RUN OPTIONS...: starts a job; its number is in `job`
  local run=$1; shift
  "$saddle" launch slurm gan-ns --data ring --out "$run" $options "$@" -- $flags >"$work/submitted" 2>&1 ||
    fail "launch: $(cat "$work/submitted")"
  job=$(sed -n 's/^submitted job \([0-9]*\):.*/\1/p' "$work/submitted")
}
within() { local end=$(($(date +%s) + $1)); shift; until "$@"; do [ "$(date +%s)" -lt $end ] || return 1; sleep 0.1; done; }
state() { squeue -h -j "$job" -o %T 2>/dev/null || true; }
step() { grep -o '^{[^}]*"step":[0-9]*' "$1/log.jsonl" 2>/dev/null | tail -n 1 | grep -o '[0-9]*$' || echo 0; }
beyond() { [ "$(step "$1")" -gt "$2" ]; }
is() { [ "$(state)" = "$1" ]; }
trains() { within 120 beyond "$1" "$(($(step "$1") + 400))" || fail "$1 does not train"; }
# Slurm starts a requeued job after two minutes. In the same second it would refuse: "Job credential revoked".
release() { within 20 is PENDING || fail "job $job was not requeued"; scontrol update JobId="$job" StartTime=now+3; }
goes_on() { release; within 40 is RUNNING || fail "job $job does not start again"; }
ended() { [ -z "$(state)" ]; }
ends() { within 240 ended || fail "job $job does not end"; }
exit_code() { scontrol show job "$job" | grep -o 'ExitCode=[0-9]*' | head -n 1; }
preempt() {  # RUN: one preemption
  trains "$1"
  sbatch -Q -p high -n "$cores" -o /dev/null --wrap true
  goes_on
}
same() {  # RUN: ended as the unbroken one
  local last; last=$(printf 'checkpoints/step-%010d' "$steps")
  ls unbroken/"$last"/*.safetensors >/dev/null || fail "no tensors in unbroken/$last"
  for file in unbroken/"$last"/*.safetensors; do cmp "$file" "$1/$last/$(basename "$file")" || fail "$1 ends otherwise"; done
  [ ! -e "$1/run.lock" ] || fail "$1 left its lock"
}
refused() {  # STATUS TEXT COMMAND...: the command ends so and says that
  local status=0 wanted=$1 text=$2; shift 2
  "$@" >err 2>&1 || status=$?
  cat err
  [ $status = "$wanted" ] && grep -q "$text" err || fail "status $status instead of $wanted"
}
starts() { grep -c 'start [0-9]*: on ' "$1"/slurm-*.log; }
