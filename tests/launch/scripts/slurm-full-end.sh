#!/bin/bash -l
#SBATCH --job-name=lth-find-ticket-1a2b3c-1-end
#SBATCH --partition=gpu
#SBATCH --account=lab
#SBATCH --qos=long
#SBATCH --constraint=a100
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=48:00:00
#SBATCH --open-mode=append
#SBATCH --output=/work/store/launches/find-ticket-1a2b3c-1/logs/end.log

cd '/home/me/my study' || exit 1
module load cuda/12.4
module load gcc
set -a; . '/home/me/my study/.env' || exit 1; set +a
export HF_HOME='/scratch/my cache'
ulimit -n 4096

# Signals reach the tasks of srun, which save and end; this script waits for them.
trap : TERM USR1 USR2
srun --cpus-per-task=8 --kill-on-bad-exit=0 --wait=300 \
    apptainer exec --nv a.sif lth run /work/store/launches/find-ticket-1a2b3c-1/manifest.json --conclude &
wait $!; code=$?
while kill -0 $! 2>/dev/null; do wait $!; code=$?; done
exit $code
