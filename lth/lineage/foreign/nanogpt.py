"""Logs that nanoGPT's train.py prints, read as curves."""

import re
from pathlib import Path

from lth.training import History

EVALUATION = re.compile(r"^step (\d+): train loss ([-+.\deEnaif]+), val loss ([-+.\deEnaif]+)")
ITERATION = re.compile(r"^iter (\d+): loss ([-+.\deEnaif]+), time ([.\d]+)ms(?:, mfu ([-.\d]+)%)?")


def read_nanogpt_log(path: Path) -> History:
    """Return the curves of a log: `validation/loss`, `train/loss`, and the time and MFU of each iteration.

    The curves have an entry for each line of the log that tells of an evaluation (`step N: train loss ..., val loss
    ...`) or an iteration (`iter N: loss ...`); what a line does not tell is None. `train/loss` is nanoGPT's estimate
    over batches at evaluations, `train/batch_loss` the loss of the iteration's last micro-batch; `train/ms` is in
    milliseconds and `train/mfu` a fraction.

    Raises:
        ValueError: if the file is a checkpoint, which is a pickle, cannot be read, or holds no such line.
    """
    if path.suffix in (".pt", ".pth", ".bin"):
        raise ValueError(
            f"{path} is a pickle, and reading a pickle can run any code, so lth never does. If you trust it, convert "
            "it: state = torch.load('ckpt.pt', weights_only=False)['model']; safetensors.torch.save_file({name: "
            "value.contiguous().clone() for name, value in state.items()}, 'model.safetensors'); then give that file"
        )
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is no text'}") from error
    history = History()
    for line in lines:
        if match := EVALUATION.match(line):
            history.note(int(match[1]), {"train/loss": float(match[2]), "validation/loss": float(match[3])})
        elif match := ITERATION.match(line):
            values = {"train/batch_loss": float(match[2]), "train/ms": float(match[3])}
            if match[4] and float(match[4]) >= 0:
                values["train/mfu"] = float(match[4]) / 100
            history.note(int(match[1]), dict(values))
    if not history.steps:
        raise ValueError(
            f"{path} holds no line `iter N: loss ...` or `step N: train loss ...`: it is no log of nanoGPT"
        )
    return history
