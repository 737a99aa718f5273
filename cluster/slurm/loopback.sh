#!/usr/bin/env bash
# A real Slurm on one machine, for trying batch scripts and for tests: munge, slurmctld and a slurmd, with their own
# ports, keys and files in one folder; another Slurm on the machine is not touched. As root, on Debian 12 after
#   apt-get install --no-install-recommends munge slurmctld slurmd slurm-client
#   cluster/slurm/loopback.sh start DIR     then: export SLURM_CONF=DIR/slurm.conf; sbatch, srun, squeue ...
#   cluster/slurm/loopback.sh node DIR      starts the node's slurmd again after it was killed
#   cluster/slurm/loopback.sh stop DIR      ends jobs and daemons and removes DIR
# One node of 4 CPUs, which the machine need not have. Partitions: low (default) and high, whose jobs preempt those of low:
# these get the signal of their --signal (else SIGTERM), 10 seconds, and are requeued. Status 77, with the reason, where it cannot run.
set -euo pipefail
cannot() { echo "cluster/slurm/loopback.sh: $*" >&2; exit 77; }
fail() { echo "cluster/slurm/loopback.sh: $*" >&2; exit 1; }
[ $# = 2 ] || { sed -n '2,/^set/s/^# \?//p' "$0" >&2; exit 64; }
command=$1 dir=$(realpath -m "$2")
export SLURM_CONF=$dir/slurm.conf
PATH=$PATH:/usr/sbin:/sbin

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

configure() {
  local host; host=$(hostname -s)
  # SlurmdTimeout: a node that says nothing for so long is down and its jobs are requeued.
  cat >"$SLURM_CONF" <<END
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
SwitchType=switch/none
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=10
MessageTimeout=5
KillWait=30
OverTimeLimit=0
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=200000
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
NodeName=$host NodeAddr=127.0.0.1 Port=$(free_port) CPUs=4 RealMemory=1024 State=UNKNOWN
PartitionName=low Nodes=$host Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=10 MaxTime=UNLIMITED DefaultTime=60 State=UP
PartitionName=high Nodes=$host PriorityTier=9 PreemptMode=OFF MaxTime=UNLIMITED DefaultTime=60 State=UP
END
  # Else in /tmp, where a killed step leaves it and the same step of a requeued job, or of another Slurm, cannot start.
  echo "PMIxCliTmpDirBase=$dir/pmix" >"$dir/mpi.conf"
}

# Waits up to 30 seconds for a command to succeed.
await() {
  for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  fail "no success in 30 s: $*; the logs are in $dir"
}
idle() { [ "$(sinfo -h -p low -o %T)" = idle ]; }
running() { [ -s "$dir/$1.pid" ] && kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null; }

start() {
  [ "$(id -u)" = 0 ] || cannot "slurmctld and slurmd need root"
  for program in munged slurmctld slurmd sbatch srun scontrol python3; do
    command -v $program >/dev/null || cannot "no $program: apt-get install munge slurmctld slurmd slurm-client"
  done
  [ ! -e "$SLURM_CONF" ] || fail "'$dir' holds a Slurm: stop it first"
  mkdir -p "$dir/state" "$dir/spool" "$dir/pmix"
  configure
  (umask 077; head -c 1024 /dev/urandom >"$dir/munge.key")
  # --force: a folder under /tmp is writable for others.
  munged --force --socket="$dir/munge.socket" --key-file="$dir/munge.key" --pid-file="$dir/munged.pid" \
    --log-file="$dir/munged.log" --seed-file="$dir/munge.seed" 2>"$dir/munged.err" || fail "munged: $(cat "$dir/munged.err")"
  slurmctld -c >"$dir/slurmctld.err" 2>&1 || fail "slurmctld: $(tail -n 3 "$dir/slurmctld.err")"
  node
}

node() {
  running slurmd && fail "the node's slurmd is running"
  rm -rf "$dir"/spool/*pmix* "$dir"/pmix/*  # what killed steps left: the same step of a requeued job could not start
  slurmd >"$dir/slurmd.err" 2>&1 || fail "slurmd: $(tail -n 3 "$dir/slurmd.err")"
  await idle
}

end() {  # PIDFILE: ends that daemon, by force after 10 s
  running "$1" || return 0
  local pid; pid=$(cat "$dir/$1.pid")
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
}

# Processes that name this folder's spool: slurmstepd and the shells of batch scripts.
of_jobs() { pgrep -f "^slurmstepd: |$dir/spool" | while read -r pid; do
  tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -q "^SLURM_CONF=$SLURM_CONF$" && echo "$pid"; done || true; }

stop() {
  [ -e "$SLURM_CONF" ] || return 0
  if running slurmctld && running slurmd; then
    timeout 10 scancel --full --signal=KILL --state=RUNNING -u "$(id -un)" 2>/dev/null || true
    timeout 10 scancel -u "$(id -un)" 2>/dev/null || true
    for _ in $(seq 50); do [ -z "$(timeout 5 squeue -h 2>/dev/null)" ] && break; sleep 0.1; done
  fi
  for daemon in slurmd slurmctld munged; do end $daemon; done
  of_jobs | xargs -r kill -9 2>/dev/null || true
  rm -rf "$dir"
}

case $command in
  start | node | stop) $command ;;
  *) fail "start, node or stop, found '$command'" ;;
esac
