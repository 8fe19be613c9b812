#!/bin/bash
#BSUB -J "lth-find-ticket-1a2b3c-1-end"
#BSUB -n 4
#BSUB -R "span[hosts=1]"
#BSUB -W 24:00
#BSUB -o /work/store/launches/find-ticket-1a2b3c-1/logs/end.log

cd '/home/me/my study' || exit 1

# LSF signals every process of a job. lth saves and ends with 75, which puts the element back into the queue (-Q).
trap : TERM USR2
lth run /work/store/launches/find-ticket-1a2b3c-1/manifest.json --conclude &
started=$!
code=0
for process in $started; do
    wait "$process"; ended=$?
    while kill -0 "$process" 2>/dev/null; do wait "$process"; ended=$?; done
    [ $ended -gt $code ] && code=$ended
done
exit $code
