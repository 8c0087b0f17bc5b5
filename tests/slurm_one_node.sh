#!/usr/bin/env bash
# A real SLURM of one node on this machine, for tests: slurmctld, slurmd, munge, and slurmdbd for accounting.
# Needs root and the Debian packages slurm-wlm, munge, slurmdbd and mariadb-server; no systemd, no cgroups, no GPU.
# Devices that are null stand in for GPUs. Started again, it changes nothing.
#
#   bash one_node.sh FOLDER         start; state, logs and configuration go to FOLDER
#   bash one_node.sh FOLDER stop    stop what was started
set -euo pipefail
D=$1
HOST=$(hostname -s)
alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }
await() { local tries=$1; shift; for _ in $(seq "$tries"); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done; echo "waited in vain: $*" >&2; exit 1; }

if [ "${2:-start}" = stop ]; then
  for name in slurmd slurmctld slurmdbd mariadbd munged; do
    if alive "$D/run/$name.pid"; then
      pid=$(cat "$D/run/$name.pid")
      kill "$pid"
      for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    fi
  done
  exit 0
fi

mkdir -p "$D"/{run,log,state,spool,gpu} /etc/slurm
chmod 755 "$D" "$D/run"

[ -s /etc/munge/munge.key ] || { /usr/sbin/mungekey --create --force; chown munge:munge /etc/munge/munge.key; chmod 400 /etc/munge/munge.key; }
install -d -o munge -g munge -m 755 /run/munge
install -d -o munge -g munge -m 700 /var/log/munge /var/lib/munge
munged_answers() { munge -n 2>/dev/null | unmunge; }
if ! munged_answers >/dev/null 2>&1; then
  runuser -u munge -- /usr/sbin/munged
  cat /run/munge/munged.pid >"$D/run/munged.pid"
fi
await 50 munged_answers

SQL() { mariadb --no-defaults -S "$D/run/mysql/sock" -e "$1"; }
if [ ! -d "$D/mysql/mysql" ]; then
  install -d -o mysql -g mysql -m 700 "$D/mysql"
  mariadb-install-db --user=mysql --datadir="$D/mysql" --skip-test-db >"$D/log/mariadb-install.log" 2>&1
fi
if ! alive "$D/run/mariadbd.pid"; then
  install -d -o mysql -g mysql -m 755 "$D/run/mysql"
  setsid /usr/sbin/mariadbd --no-defaults --user=mysql --datadir="$D/mysql" --bind-address=127.0.0.1 --port=16820 \
    --socket="$D/run/mysql/sock" --pid-file="$D/run/mysql/pid" --innodb-buffer-pool-size=64M \
    --innodb-lock-wait-timeout=900 --log-error="$D/run/mysql/err.log" </dev/null >/dev/null 2>&1 &
  await 100 SQL "select 1"
  cat "$D/run/mysql/pid" >"$D/run/mariadbd.pid"
fi
[ -s "$D/run/password" ] || (umask 077; head -c 18 /dev/urandom | base64 | tr -d '/+=' >"$D/run/password")
SQL "create database if not exists slurm_acct_db;
  create user if not exists slurm@'127.0.0.1'; set password for slurm@'127.0.0.1' = password('$(cat "$D/run/password")');
  grant all on slurm_acct_db.* to slurm@'127.0.0.1';"
(umask 077; cat >"$D/slurmdbd.conf" <<C
AuthType=auth/munge
DbdHost=$HOST
DbdAddr=127.0.0.1
DbdPort=16819
SlurmUser=root
PidFile=$D/run/slurmdbd.pid
LogFile=$D/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=16820
StorageUser=slurm
StoragePass=$(cat "$D/run/password")
StorageLoc=slurm_acct_db
C
)

# Character devices: with File= SLURM hands each job indices of its own in CUDA_VISIBLE_DEVICES.
for i in 0 1; do [ -e "$D/gpu/$i" ] || mknod "$D/gpu/$i" c 1 3; done
cat >"$D/slurm.conf" <<C
ClusterName=here
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort=16817
SlurmdPort=16818
SlurmctldPidFile=$D/run/slurmctld.pid
SlurmdPidFile=$D/run/slurmd.pid
SlurmctldLogFile=$D/log/slurmctld.log
SlurmdLogFile=$D/log/slurmd.log
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=16819
AccountingStorageTRES=gres/gpu,gres/shard
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
DefMemPerCPU=256
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=1,bf_interval=5
KillWait=5
GresTypes=gpu,shard
NodeName=node1 NodeHostname=$HOST NodeAddr=127.0.0.1 CPUs=8 RealMemory=$(slurmd -C | grep -oE 'RealMemory=[0-9]+' | cut -d= -f2) Gres=gpu:fake:2,shard:8 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
PartitionName=main Nodes=ALL Default=YES MaxTime=1-00:00:00 State=UP OverSubscribe=NO PriorityTier=1 PreemptMode=CANCEL GraceTime=5
PartitionName=urgent Nodes=ALL MaxTime=1-00:00:00 State=UP OverSubscribe=NO PriorityTier=9 PreemptMode=OFF
C
cat >"$D/gres.conf" <<C
AutoDetect=off
NodeName=node1 Name=gpu Type=fake File=$D/gpu/[0-1]
NodeName=node1 Name=shard Count=8
C
for file in slurmdbd.conf slurm.conf gres.conf; do ln -sfn "$D/$file" "/etc/slurm/$file"; done

alive "$D/run/slurmdbd.pid" || /usr/sbin/slurmdbd
await 150 sacctmgr -n -i list cluster
sacctmgr -n list cluster format=cluster%20 | grep -qw here || sacctmgr -i add cluster here >/dev/null
alive "$D/run/slurmctld.pid" || /usr/sbin/slurmctld
up() { scontrol ping | grep -q UP; }
await 100 up
alive "$D/run/slurmd.pid" || /usr/sbin/slurmd -N node1
idle() { sinfo -h -o %T | grep -qE 'idle|mix|alloc'; }
await 100 idle
