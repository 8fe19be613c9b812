"""One task of GLUE as a data set of sentences."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lth.data.glue.hub import HUB, parquet_files, read_hub, read_parquet
from lth.data.glue.tasks import GLUE, LARGEST_SCORE, GlueTask
from lth.data.glue.tsv import GlueLines, read_tsv
from lth.data.places import roots
from lth.data.sentences import Sentences
from lth.data.types import Data


@dataclass(frozen=True, slots=True)
class GlueFiles:
    """Where a task lies: for each part, its name in messages and what reads it."""

    place: str
    readers: Mapping[str, tuple[str, Callable[[], GlueLines]]]


def load_glue(
    name: str,
    folder: Path | None = None,
    length: int = 128,
    tokenizer: str = "",
    buckets: bool = True,
    hub: bool = False,
) -> Data:
    """Load a task of GLUE; the dev set stands as test, since the answers of GLUE's test set are hidden.

    GLUE's TSV files are looked for in FOLDER/glue/SST-2, FOLDER/SST-2 and FOLDER itself, then the parquet files of the
    hub in FOLDER/glue/sst2, then both in the same places of LTH_DATA_DIR. Of MNLI the matched part is `test` and the
    mismatched one `test_mismatched`. Where the numbers of rows are not those of GLUE, a warning and the fact `note` say
    that scores do not compare with published ones.

    Args:
        name: entry of GLUE, as `sst2`.
        folder: where data sets are kept.
        length: most tokens of an example, special ones among them.
        tokenizer: its folder or file [default: that of the model].
        buckets: whether training batches hold examples of similar length.
        hub: whether the package `datasets` is to fetch it (or has it), in place of files.
    Raises:
        ValueError: if the files are missing, lack a column, or an answer is none of the task's.
    """
    task = GLUE.pick(name)
    if length < 2:
        raise ValueError(f"glue/{name}: length is {length}; an example has two special tokens at least")
    files = _on_hub(name, task) if hub else locate_glue(name, folder)
    if files is None:
        raise ValueError(_missing(name, task, folder))
    own = Path(tokenizer).expanduser() if tokenizer else None
    parts: dict[str, Sentences] = {}
    for part, (where, read) in files.readers.items():
        held = read()
        first, *second = zip(*held.texts, strict=True)
        y = _answers(held, task, where)
        parts[part] = Sentences(first, second[0] if second else None, y, length, own, buckets)
    facts: dict[str, Any] = {"num_targets": 1}
    if task.classes:
        facts = {"num_classes": len(task.classes), "measures": list(task.measures)}
    note = _note(task, {part: len(some) for part, some in parts.items()})
    if note:
        warnings.warn(f"glue/{name}: {note}", stacklevel=2)
        facts["note"] = note
    return Data(f"glue/{name}", parts, facts, "sequence-classification" if task.classes else "sequence-regression")


def locate_glue(name: str, folder: Path | None = None) -> GlueFiles | None:
    """Return where the files of a task lie; None if they are not here."""
    task = GLUE.pick(name)
    for root in roots(folder):
        for place in (root / "glue" / task.folder, root / task.folder, root):
            files = {part: place / file for part, file in task.files.items()}
            if all(file.is_file() for file in files.values()):
                return GlueFiles(
                    str(place), {p: (str(file), partial(read_tsv, file, task)) for p, file in files.items()}
                )
        place = root / "glue" / name
        tables = parquet_files(place, task)
        if tables is not None:
            return GlueFiles(str(place), {p: (str(f[0]), partial(read_parquet, f, task)) for p, f in tables.items()})
    return None


def _on_hub(name: str, task: GlueTask) -> GlueFiles:
    return GlueFiles(
        HUB, {part: (f"{HUB}:{name}", partial(read_hub, name, file, task)) for part, file in task.files.items()}
    )


def _missing(name: str, task: GlueTask, folder: Path | None) -> str:
    files = list(task.files.values())
    return (
        f"glue/{name} is not here: put {', '.join(files[:-1])} and {files[-1]} of GLUE into "
        f"{roots(folder)[0] / 'glue' / task.folder}, or take it from the hub by glue/{name}:hub=true"
    )


def _answers(held: GlueLines, task: GlueTask, where: str) -> torch.Tensor:
    """Return the classes, (example,) int64, or the scores, (example, 1) float32."""
    if not task.classes:
        scores = [
            _score(label, f"{where}, line {number}") for label, number in zip(held.labels, held.lines, strict=True)
        ]
        return torch.tensor(scores, dtype=torch.float32)[:, None]
    classes = {label: number for number, label in enumerate(task.classes)}
    for label, number in zip(held.labels, held.lines, strict=True):
        if label not in classes:
            allowed = ", ".join(task.classes)
            raise ValueError(f"{where}, line {number}: {label[:40]!r} is no label of this task; allowed: {allowed}")
    return torch.tensor([classes[label] for label in held.labels], dtype=torch.int64)


def _score(text: str, where: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = -1.0
    if not 0 <= score <= LARGEST_SCORE:
        raise ValueError(f"{where}: {text[:40]!r} is no score of this task; allowed: numbers from 0 to 5")
    return score


def _note(task: GlueTask, rows: Mapping[str, int]) -> str:
    """Return what is to be known of a score where the parts are not GLUE's; nothing where they are."""
    if dict(task.rows) == dict(rows):
        return ""
    counts = " and ".join(f"{number:,} in place of {task.rows[part]:,} ({part})" for part, number in rows.items())
    return f"not GLUE's split: {counts} examples; scores do not compare with published ones"
