"""A Slurm of several nodes on this machine, for tests: munge, slurmctld and a slurmd per node, without systemd."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

CONFIGURATION = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AuthInfo=cred_expire=3
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,sched_min_interval=0,batch_sched_delay=1,requeue_delay=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
MpiDefault=none
MessageTimeout=60
KillWait=5
MaxArraySize=101
SlurmdTimeout=20
{nodes}
PartitionName=main Nodes=n[1-{count}] Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE {grace}
PartitionName=high Nodes=n[1-{count}] MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""
NODE = "NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=2000 State=UNKNOWN"


def why_not() -> str:
    """Return why no Slurm can be started here; empty where one can."""
    if os.geteuid() != 0:
        return "starting Slurm needs root"
    missing = [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if shutil.which(name, path=PATH) is None]
    return f"{', '.join(missing)} not installed (Debian: slurm-wlm, munge)" if missing else ""


PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


class Lab:
    """A running Slurm.

    Args:
        folder: for its state and logs.
        nodes: how many.
        grace: seconds between the notice of a preemption and its end.
    """

    def __init__(self, folder: Path, nodes: int = 2, grace: int = 5) -> None:
        self.folder, self.nodes = folder, nodes
        host = _said(["hostname", "-s"])
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        ports = [(number, 16818 + 10 * number) for number in range(1, nodes + 1)]
        text = CONFIGURATION.format(
            host=host,
            folder=folder,
            count=nodes,
            grace=f"GraceTime={grace}",
            nodes="\n".join(NODE.format(number=number, host=host, port=port) for number, port in ports),
        )
        self._configuration = folder / "slurm.conf"
        self._configuration.write_text(text)
        self.environment = os.environ | {"SLURM_CONF": str(self._configuration), "PATH": PATH}
        _start_munge()
        self._start(["slurmctld", "-f", str(self._configuration)])
        for number in range(1, nodes + 1):
            self.start_node(number)
        self.wait_until(lambda: self.said(["sinfo", "-h", "-p", "main", "-o", "%T"]) == "idle", "the nodes to be idle")

    def start_node(self, number: int) -> None:
        self._start(["slurmd", "-f", str(self._configuration), "-N", f"n{number}"])

    def kill_node(self, number: int) -> None:
        """Kill a node's daemon and everything that runs on it, as a power cut would."""
        pid = int((self.folder / f"slurmd.n{number}.pid").read_text())
        steps = subprocess.run(["pgrep", "-f", "slurmstepd: "], capture_output=True, text=True, check=False)
        log = f"{self.folder}/slurmd.n{number}.log/"
        daemons = [step for step in map(int, steps.stdout.split()) if log in _open_files(step)]
        below = [process for daemon in daemons for process in _below(daemon)]
        for process in [pid, *daemons, *below]:  # who could tell the controller goes first
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def said(self, command: Sequence[str]) -> str:
        """Return what a command of Slurm prints."""
        return _said(command, self.environment)

    def wait_until(self, is_so: object, what: str, seconds: float = 120) -> None:
        """Wait for something.

        Raises:
            AssertionError: if it does not come.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if is_so():  # type: ignore[operator]
                return
            time.sleep(0.3)
        raise AssertionError(f"waited {seconds} s for {what}: {self.said(['squeue'])}")

    def stop(self) -> None:
        subprocess.run(["scancel", "--user=root"], env=self.environment, check=False, capture_output=True)
        subprocess.run(["pkill", "-f", str(self._configuration)], check=False)

    def _start(self, command: Sequence[str]) -> None:
        subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=60)


def _below(pid: int) -> list[int]:
    """Return the processes that descend from one."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [process for child in children for process in [*_below(int(child)), int(child)]]


def _open_files(pid: int) -> str:
    """Return what a process holds open, one below the other, and where it stands."""
    found = []
    for path in [*Path(f"/proc/{pid}/fd").glob("*"), Path(f"/proc/{pid}/cwd")]:
        with contextlib.suppress(OSError):
            found.append(os.readlink(path))
    return "\n".join(f"{each}/" for each in found)


def _said(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip()


def _start_munge() -> None:
    """Start munge, with a key of its own where there is none."""
    if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
        return
    key = Path("/etc/munge/munge.key")
    closed = ((folder, "0700") for folder in ("/etc/munge", "/var/log/munge", "/var/lib/munge"))
    for folder, mode in (("/run/munge", "0755"), *closed):
        subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", "-m", mode, folder], check=True)
    if not key.exists() or not key.stat().st_size:
        key.write_bytes(os.urandom(1024))
    shutil.chown(key, "munge", "munge")
    key.chmod(0o400)
    subprocess.run(["su", "-s", "/bin/sh", "munge", "-c", "/usr/sbin/munged"], check=True, capture_output=True)
