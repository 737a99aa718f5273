#!/usr/bin/env bash
# A real Slurm on one machine, for trying batch scripts and for tests: munge, slurmctld and slurmd, with their own ports,
# keys and files in one folder; another Slurm on the machine is not touched. As root, on Debian 12 after
#   apt-get install --no-install-recommends munge slurmctld slurmd slurm-client
#   cluster/slurm/loopback.sh start DIR     then: export SLURM_CONF=DIR/slurm.conf; sbatch, srun, squeue ...
#   cluster/slurm/loopback.sh start DIR NODES [SHARED...]   several nodes, which share the folders SHARED
#   cluster/slurm/loopback.sh node DIR [K]  starts node K (default 1) again after it was killed
#   cluster/slurm/loopback.sh stop DIR      ends jobs and daemons and removes DIR
# One node is this machine. Several have network, name, processes, /tmp and /dev/shm of their own, and meet on a bridge in
# the caller's network; of /tmp they see DIR and SHARED only. `kill -9 $(cat DIR/node-K.pid)` is the loss of a node.
# A node has 4 CPUs, which the machine need not have. Partitions: low (default) and high, whose jobs preempt those of low:
# these get the signal of their --signal (else SIGTERM), 10 seconds, and are requeued. Status 77, with the reason, where it cannot run.
set -euo pipefail
cannot() { echo "cluster/slurm/loopback.sh: $*" >&2; exit 77; }
fail() { echo "cluster/slurm/loopback.sh: $*" >&2; exit 1; }
[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \?//p' "$0" >&2; exit 64; }
self=$(realpath "$0") command=$1 dir=$(realpath -m "$2")
shift 2
export SLURM_CONF=$dir/slurm.conf
PATH=$PATH:/usr/sbin:/sbin

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

configure() {
  local host address nodes k; host=$(hostname -s)
  if [ -z "$net" ]; then
    address=127.0.0.1 nodes="NodeName=node-1 NodeHostname=$host NodeAddr=$address Port=$(free_port)"
  else
    address=$net.254 nodes=$(for k in $(seq "$count"); do echo "NodeName=node-$k NodeAddr=$net.$k"; done)
  fi
  # SlurmdTimeout: a node that says nothing for so long is down and its jobs are requeued.
  cat >"$SLURM_CONF" <<END
ClusterName=loopback
SlurmctldHost=$host($address)
SlurmctldPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/${net:+slurmd-}%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd-%n.log
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
NodeName=DEFAULT CPUs=4 RealMemory=1024 State=UNKNOWN
$nodes
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=10 MaxTime=UNLIMITED DefaultTime=60 State=UP
PartitionName=high Nodes=ALL PriorityTier=9 PreemptMode=OFF MaxTime=UNLIMITED DefaultTime=60 State=UP
END
  # Else in /tmp, where a killed step leaves it and the same step of a requeued job, or of another Slurm, cannot start.
  [ -n "$net" ] || echo "PMIxCliTmpDirBase=$dir/pmix" >"$dir/mpi.conf"
}

# Waits up to 30 seconds for a command to succeed.
await() {
  local end=$((SECONDS + 30))
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || break; sleep 0.1; done
  [ $SECONDS -ge $end ] || return 0
  fail "no success in 30 s: $*; the logs are in $dir"
}
idle() { [ "$(timeout 5 sinfo -h -p low -n "$1" -o %T)" = idle ]; }
running() { [ -s "$dir/$1.pid" ] && kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null; }

# The first bridge whose name is free; its number is that of the network.
make_bridge() {
  command -v ip >/dev/null || cannot "no ip command: apt-get install iproute2"
  unshare --net --uts --mount --pid --fork true 2>"$dir/why" || cannot "namespaces are not permitted here: $(cat "$dir/why")"
  local n
  for n in $(seq 0 99); do
    ip link add "slurm$n" type bridge 2>"$dir/why" || continue
    bridge=slurm$n net=10.78.$n
    ip addr add "$net.254/24" dev "$bridge"
    ip link set "$bridge" up
    return
  done
  cannot "no bridge can be made here: $(cat "$dir/why")"
}

start() {  # [NODES [SHARED...]]
  [ "$(id -u)" = 0 ] || cannot "slurmctld and slurmd need root"
  for program in munged slurmctld slurmd sbatch srun scontrol python3; do
    command -v $program >/dev/null || cannot "no $program: apt-get install munge slurmctld slurmd slurm-client"
  done
  [ ! -e "$SLURM_CONF" ] || fail "'$dir' holds a Slurm: stop it first"
  mkdir -p "$dir/state" "$dir/pmix"
  count=${1:-1} net='' bridge=''
  shared=("$dir"); for folder in "${@:2}"; do shared+=("$(realpath "$folder")"); done
  [ "$count" = 1 ] || make_bridge
  declare -p count net bridge shared >"$dir/cluster"
  configure
  (umask 077; head -c 1024 /dev/urandom >"$dir/munge.key")
  # --force: a folder under /tmp is writable for others.
  munged --force --socket="$dir/munge.socket" --key-file="$dir/munge.key" --pid-file="$dir/munged.pid" \
    --log-file="$dir/munged.log" --seed-file="$dir/munge.seed" 2>"$dir/munged.err" || fail "munged: $(cat "$dir/munged.err")"
  slurmctld -c >"$dir/slurmctld.err" 2>&1 || fail "slurmctld: $(tail -n 3 "$dir/slurmctld.err")"
  for k in $(seq "$count"); do node "$k"; done
}

node() {  # K
  local name=node-$1
  running "$name" && fail "$name is running"
  rm -rf "$dir/spool-$name"/*pmix* "$dir"/pmix/*  # what killed steps left: the same step of a requeued job could not start
  if [ -z "$net" ]; then
    slurmd -N "$name" >"$dir/$name.err" 2>&1 || fail "slurmd: $(tail -n 3 "$dir/$name.err")"
  else
    setsid unshare --net --uts --mount --propagation private --pid --fork --kill-child \
      "$self" inside "$dir" "$1" </dev/null >"$dir/$name.err" 2>&1 & echo $! >"$dir/$name.pid"
    await another_network "$(cat "$dir/$name.pid")"
    ip link add "$bridge-$1" type veth peer name eth0 netns "$(cat "$dir/$name.pid")"
    ip link set "$bridge-$1" master "$bridge" up
  fi
  await idle "$name"
}
another_network() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

# The first process of a node in its namespaces; when it dies, all others do.
inside() {  # K
  local name=node-$1 own=$dir/tmp-node-$1 folder
  hostname "$name"
  mount -t proc proc /proc
  mount -t tmpfs tmpfs /dev/shm
  mkdir -p "$own"
  mount -t tmpfs tmpfs "$own"
  chmod 1777 "$own"
  for folder in "${shared[@]}"; do
    [[ $folder == /tmp/* ]] || continue
    mkdir -p "$own/${folder#/tmp/}"
    mount --bind "$folder" "$own/${folder#/tmp/}"
  done
  mount --rbind "$own" /tmp
  ip link set lo up
  await ip link set eth0 up
  ip addr add "$net.$1/24" dev eth0
  slurmd
  sleep infinity & while :; do wait; done  # bash takes leave of orphans that end
}

end() {  # PIDFILE: ends that daemon, by force after 10 s
  running "$1" || return 0
  local pid; pid=$(cat "$dir/$1.pid")
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
}
lose() {  # NODE in namespaces
  running "$1" || return 0
  kill -9 "$(cat "$dir/$1.pid")"
  while running "$1"; do sleep 0.1; done
}

# Processes that name this folder's spool: slurmstepd and the shells of batch scripts.
of_jobs() { pgrep -f "^slurmstepd: |$dir/spool" | while read -r pid; do
  tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -q "^SLURM_CONF=$SLURM_CONF$" && echo "$pid"; done || true; }

stop() {
  [ -e "$SLURM_CONF" ] || return 0
  if running slurmctld; then
    timeout 10 scancel --full --signal=KILL --state=RUNNING -u "$(id -un)" 2>/dev/null || true
    timeout 10 scancel -u "$(id -un)" 2>/dev/null || true
    for _ in $(seq 50); do [ -z "$(timeout 5 squeue -h 2>/dev/null)" ] && break; sleep 0.1; done
  fi
  for k in $(seq "$count"); do if [ -z "$net" ]; then end "node-$k"; else lose "node-$k"; fi; done
  for daemon in slurmctld munged; do end $daemon; done
  [ -z "$bridge" ] || ip link del "$bridge" 2>/dev/null || true
  of_jobs | xargs -r kill -9 2>/dev/null || true
  rm -rf "$dir"
}

[ "$command" = start ] || [ ! -e "$dir/cluster" ] || . "$dir/cluster"
case $command in
  start | stop) $command "$@" ;;
  node | inside) $command "${1:-1}" ;;
  *) fail "start, node or stop, found '$command'" ;;
esac
