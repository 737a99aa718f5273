#!/usr/bin/env bash
# Trainings as jobs of a real Slurm on this machine, submitted by `saddle launch slurm`: preempted, at their time limit,
# cancelled, their node lost. Each goes on and ends bit-equal to an unbroken one.        tests/launch/slurm.sh SADDLE
# Status 77, with the reason, where Slurm cannot run. SADDLE_SLURM=all: also what takes minutes (a real time limit).
set -euo pipefail
saddle=$(realpath "${1:?usage: tests/launch/slurm.sh SADDLE}")
here=$(dirname "$(realpath "$0")") loopback=$here/../../cluster/slurm/loopback.sh
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
unset "${!SLURM_@}"
work=$(mktemp -d) slurm=$(mktemp -d)
trap '"$loopback" stop "$slurm" || true; rm -rf "$work"' EXIT
options="--ranks-per-node 2" cores=4
# shellcheck source=tests/launch/slurm_jobs.sh
. "$here/slurm_jobs.sh"
start_slurm
cd "$work"
pack_ring
steps=${SADDLE_SLURM_STEPS:-9000}
flags="--steps $steps $tiny"

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
kill -9 "$(cat "$slurm/node-1.pid")" $(pgrep -f "^slurmstepd: \[$job\." ) $(pgrep -f "$slurm/spool-node-1/job0*$job/") $(pids)
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
flags="--steps 20 $tiny"
refused 64 'SLURM_STEP_NUM_TASKS=2 .*world would be 1' srun -n 2 --mpi=none "$saddle" train gan-ns --data ring --out wrong
refused 64 'SLURM_STEP_NUM_TASKS=2 .*world would be 1' srun -n 2 --mpi=none bash -c "$saddle train gan-ns --data ring --out wrong"
[ ! -e wrong ] || fail "a run was made"
# shellcheck disable=SC2086
salloc -Q -n 4 mpirun -n 2 --bind-to none "$saddle" train gan-ns --data ring --out fewer $flags >err 2>&1 || fail "mpirun in a larger job: $(cat err)"

say "plain processes in shells of jobs, without HOME and TMPDIR"
shell() {  # NAME COMMAND...: checks the data and trains on one rank, by that command
  local name=$1; shift
  env -u HOME TMPDIR="$work/nowhere" "$@" "$saddle check ring && $saddle train gan-ns --data ring --out shell-$name $(echo $flags) && echo all done" >err 2>&1 &&
    grep -q 'all done' err && grep -q ' 1 rank on cpu' err || fail "$name: $(cat err)"
  echo "$name: $(grep -c . err) lines, the last but one: $(tail -n 2 err | head -n 1 | cut -c1-100)"
}
shell srun srun -n 1 bash -c
shell srun-pmix srun -n 1 --mpi=pmix bash -c
shell salloc salloc -Q -n 4 bash -c
shell sbatch sbatch -Q --wait -n 2 -o err --wrap
if command -v script >/dev/null; then
  pty() { script -qec "srun --pty -n 1 bash -c '$1'" /dev/null; }
  export -f pty
  shell srun-pty bash -c 'pty "$0"'
fi

say "names that sbatch and shells take for something else"
for run in "it's 100%j #1" 'a"b$c' 'trailing/' '=x'; do
  submit "$run"
  ends
  [ "$(exit_code)" = ExitCode=0 ] || fail "'$run': $(exit_code)"
  [ -s "$run/slurm-$job.log" ] || fail "'$run': no log"
done
refused 64 backslash "$saddle" launch slurm gan-ns --data ring --out 'a\b'

say "an array: a seed each"
submit array --array 3,5
ends
for seed in 3 5; do grep -q "^seed = $seed" array/seed-$seed/options.toml || fail "array task $seed"; done

if [ "${SADDLE_SLURM:-}" = all ]; then
  say "a real time limit"
  flags="--steps 1000000 $tiny"
  submit long --time 2m --notice 20
  trains long
  within 150 is PENDING || fail "no requeue before the time limit"
  grep 'stopped at step' long/slurm-"$job".log
  scancel "$job"
fi
say "done"
