#!/bin/bash
#SBATCH --job-name=lth-find-ticket-1a2b3c-1-end
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00
#SBATCH --open-mode=append
#SBATCH --output=/work/store/launches/find-ticket-1a2b3c-1/logs/end.log

cd '/home/me/my study' || exit 1

# Signals reach the tasks of srun, which save and end; this script waits for them.
trap : TERM USR1 USR2
srun --cpus-per-task=4 --kill-on-bad-exit=0 --wait=300 \
    lth run /work/store/launches/find-ticket-1a2b3c-1/manifest.json --conclude &
wait $!; code=$?
while kill -0 $! 2>/dev/null; do wait $!; code=$?; done
exit $code
