#!/bin/bash -l
#BSUB -J "lth-find-ticket-1a2b3c-1-end"
#BSUB -q gpu
#BSUB -P lab
#BSUB -sla long
#BSUB -n 8
#BSUB -R "span[hosts=1]"
#BSUB -R "select[a100]"
#BSUB -M 64G
#BSUB -W 48:00
#BSUB -o /work/store/launches/find-ticket-1a2b3c-1/logs/end.log

cd '/home/me/my study' || exit 1
module load cuda/12.4
module load gcc
set -a; . '/home/me/my study/.env' || exit 1; set +a
export HF_HOME='/scratch/my cache'
ulimit -n 4096

# LSF signals every process of a job. lth saves and ends with 75, which puts the element back into the queue (-Q).
trap : TERM USR2
apptainer exec --nv a.sif lth run /work/store/launches/find-ticket-1a2b3c-1/manifest.json --conclude &
started=$!
code=0
for process in $started; do
    wait "$process"; ended=$?
    while kill -0 "$process" 2>/dev/null; do wait "$process"; ended=$?; done
    [ $ended -gt $code ] && code=$ended
done
exit $code
