#!/bin/bash
#SBATCH --job-name=lth-find-ticket-1a2b3c-1
#SBATCH --array=1-2
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=/work/store/launches/find-ticket-1a2b3c-1/logs/part-%a.log

cd '/home/me/my study' || exit 1

# Signals reach the tasks of srun, which save and end; this script waits for them.
trap : TERM USR1 USR2
srun --cpus-per-task=4 --kill-on-bad-exit=0 --wait=300 \
    lth run /work/store/launches/find-ticket-1a2b3c-1/manifest.json --part "$SLURM_ARRAY_TASK_ID" &
wait $!; code=$?
while kill -0 $! 2>/dev/null; do wait $!; code=$?; done

# 75 and 143: told to stop, and all is saved. If the job still counts as running it is to go on later; after a
# preemption Slurm has put it back already, and one that was cancelled stays so.
if [ $code -eq 75 ] || [ $code -eq 143 ]; then
    job=${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}
    if [ "$(squeue --noheader --job "$job" --format=%T)" = RUNNING ]; then
        scontrol requeue "$job" && sleep 60  # it ends this script
    fi
fi
exit $code
