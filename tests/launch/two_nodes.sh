#!/usr/bin/env bash
# A training over two nodes of a real Slurm, each with network, name, /tmp and /dev/shm of its own: preempted, and each
# node lost in turn; it goes on and ends bit-equal to an unbroken one.        tests/launch/two_nodes.sh SADDLE
# Status 77, with the reason, where Slurm or namespaces are not there.
set -euo pipefail
saddle=$(realpath "${1:?usage: tests/launch/two_nodes.sh SADDLE}")
here=$(dirname "$(realpath "$0")") loopback=$here/../../cluster/slurm/loopback.sh
# In namespaces of its own: whatever happens, no process and no network stays behind.
if [ $$ != 1 ]; then
  why=$(unshare --net --uts --mount --pid --fork true 2>&1) || { echo "skipped: namespaces are not permitted here: $why"; exit 77; }
  command -v ip >/dev/null || { echo "skipped: no ip command (iproute2)"; exit 77; }
  exec unshare --net --pid --fork --kill-child --mount-proc "$0" "$saddle"
fi
ip link set lo up
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
unset "${!SLURM_@}"
work=$(mktemp -d) slurm=$(mktemp -d)
trap '"$loopback" stop "$slurm" || true; rm -rf "$work"' EXIT
options="--nodes 2 --ranks-per-node 2 --site site.toml" cores=8
# shellcheck source=tests/launch/slurm_jobs.sh
. "$here/slurm_jobs.sh"
start_slurm 2 "$work" "$(realpath "$here/../..")" "$(dirname "$saddle")"
cd "$work"
pack_ring
steps=${SADDLE_SLURM_STEPS:-3000}
flags="--steps $steps $tiny"

# A network of containers, which has the same address on every node and leads to none: OpenMPI has to be told.
containers() { srun -w "$1" -n 1 sh -c 'ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && ip link set docker0 up'; }
containers node-1
containers node-2
printf '[environment]\nOMPI_MCA_btl_tcp_if_include = "eth0"\n' >site.toml

say "an unbroken training"
submit unbroken
ends
[ "$(exit_code)" = ExitCode=0 ] || fail "$(exit_code)"
grep -q '4 ranks on cpu' unbroken/slurm-"$job".log || fail "not 4 ranks"
same unbroken

say "preempted"
submit broken
preempt broken
[ "$(grep -c 'stopped at step' broken/slurm-"$job".log)" = 1 ] || fail "it did not save"

nothing_left() { ! pgrep -f "^slurmstepd: \[$job\.|$saddle train .*--out $work/broken" >/dev/null; }
lose() {  # NODE
  say "node-$1 is lost"
  trains broken
  kill -9 "$(cat "$slurm/node-$1.pid")"
  within 90 is PENDING || fail "job $job was not requeued after node-$1 was lost"
  # What of the lost start is still there Slurm kills by the job's number, and would kill the next start with it.
  within 60 nothing_left || fail "job $job left processes on the other node"
  "$loopback" node "$slurm" "$1"
  containers "node-$1"
  goes_on
}
lose 2
lose 1  # where rank 0 and the job's shell are
ends
[ "$(starts broken)" = 4 ] || fail "$(starts broken) starts"
same broken
grep -E 'start [0-9]: (on|status)|stopped|resuming|waiting|given no sign' broken/slurm-"$job".log | cut -c1-150

say "ranks that do not find each other are refused"
refused 64 'SLURM_STEP_NUM_TASKS=2 .*world would be 1' srun -N 2 -n 2 --mpi=none "$saddle" train gan-ns --data ring --out wrong
say "done"
