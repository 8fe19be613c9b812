#!/bin/bash -l
#BSUB -J "lth-find-ticket-1a2b3c-1[1-2]%20"
#BSUB -q gpu
#BSUB -P lab
#BSUB -sla long
#BSUB -n 32
#BSUB -R "span[hosts=1]"
#BSUB -R "select[a100]"
#BSUB -gpu "num=4:mode=shared:j_exclusive=yes"
#BSUB -M 64G
#BSUB -W 48:00
#BSUB -wa USR2
#BSUB -wt 5
#BSUB -r
#BSUB -Q 75
#BSUB -o /work/store/launches/find-ticket-1a2b3c-1/logs/part-%I.log

cd '/home/me/my study' || exit 1
module load cuda/12.4
module load gcc
set -a; . '/home/me/my study/.env' || exit 1; set +a
export HF_HOME='/scratch/my cache'
ulimit -n 4096

# LSF signals every process of a job. lth saves and ends with 75, which puts the element back into the queue (-Q).
trap : TERM USR2
export WORLD_SIZE=4 MASTER_ADDR=localhost MASTER_PORT=$((20000 + LSB_JOBID % 20000))
for rank in $(seq 0 3); do
    RANK=$rank LOCAL_RANK=$rank apptainer exec --nv a.sif lth run /work/store/launches/find-ticket-1a2b3c-1/manifest.json --part "$LSB_JOBINDEX" &
    started="$started $!"
done
code=0
for process in $started; do
    wait "$process"; ended=$?
    while kill -0 "$process" 2>/dev/null; do wait "$process"; ended=$?; done
    [ $ended -gt $code ] && code=$ended
done
exit $code
