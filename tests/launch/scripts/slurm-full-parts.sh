#!/bin/bash -l
#SBATCH --job-name=lth-find-ticket-1a2b3c-1
#SBATCH --array=1-2%20
#SBATCH --partition=gpu
#SBATCH --account=lab
#SBATCH --qos=long
#SBATCH --constraint=a100
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --gres=gpu:4
#SBATCH --mem=64G
#SBATCH --time=48:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=/work/store/launches/find-ticket-1a2b3c-1/logs/part-%a.log

cd '/home/me/my study' || exit 1
module load cuda/12.4
module load gcc
set -a; . '/home/me/my study/.env' || exit 1; set +a
export HF_HOME='/scratch/my cache'
ulimit -n 4096
export MASTER_ADDR=${MASTER_ADDR:-$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)}

# Signals reach the tasks of srun, which save and end; this script waits for them.
trap : TERM USR1 USR2
srun --cpus-per-task=8 --kill-on-bad-exit=0 --wait=300 \
    apptainer exec --nv a.sif lth run /work/store/launches/find-ticket-1a2b3c-1/manifest.json --part "$SLURM_ARRAY_TASK_ID" &
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
