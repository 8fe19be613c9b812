"""GLUE's TSV files as distributed: tabs part columns, and quotes are plain characters."""

from collections.abc import Sequence
from pathlib import Path

import torch

from lth.data.glue.tasks import GLUE, GlueTask
from lth.data.places import roots
from lth.data.sentences import Sentences
from lth.data.types import Data


def load_glue(
    name: str, folder: Path | None = None, length: int = 128, tokenizer: str = "", buckets: bool = True
) -> Data:
    """Load a task of GLUE from its TSV files; the dev set stands as test, since the answers of the test set are hidden.

    Files are looked for in FOLDER/glue/SST-2, FOLDER/SST-2 and FOLDER itself, then in the same places of LTH_DATA_DIR.

    Args:
        name: entry of GLUE, as `sst2`.
        folder: where data sets are kept.
        length: most tokens of an example, special ones among them.
        tokenizer: its folder or file [default: that of the model].
        buckets: whether training batches hold examples of similar length.
    Raises:
        ValueError: if the files are missing, lack a column, or an answer is none of the task's.
    """
    task = GLUE.pick(name)
    place = _locate(task, folder)
    own = Path(tokenizer).expanduser() if tokenizer else None
    parts = {part: _read(place / file, task, length, own, buckets) for part, file in task.files.items()}
    facts = {"num_classes": len(task.classes), "measures": list(task.measures)}
    return Data(f"glue/{name}", parts, facts, "classification")


def _locate(task: GlueTask, folder: Path | None) -> Path:
    tried = [place for root in roots(folder) for place in (root / "glue" / task.folder, root / task.folder, root)]
    for place in tried:
        if all((place / file).is_file() for file in task.files.values()):
            return place
    raise ValueError(f"{task.folder} of GLUE is not here: put its {', '.join(task.files.values())} into {tried[0]}")


def _read(file: Path, task: GlueTask, length: int, tokenizer: Path | None, buckets: bool) -> Sentences:
    lines = file.read_text(encoding="utf-8").splitlines()
    columns = lines[0].split("\t")
    missing = [name for name in (*task.columns, task.label) if name not in columns]
    if missing:
        raise ValueError(f"{file} has no column {missing[0]!r}; found {', '.join(columns)}")
    places = [columns.index(name) for name in (*task.columns, task.label)]
    texts: list[list[str]] = []
    for number, line in enumerate(lines[1:], 2):
        fields = line.split("\t")
        if len(fields) != len(columns):
            raise ValueError(f"{file}, line {number}: found {len(fields)} columns, the header has {len(columns)}")
        texts.append([fields[place] for place in places])
    *sentences, labels = zip(*texts, strict=True)
    return Sentences(sentences[0], sentences[1] if len(sentences) > 1 else None, _classes(labels, task, file),
                     length, tokenizer, buckets)  # fmt: skip


def _classes(labels: Sequence[str], task: GlueTask, file: Path) -> torch.Tensor:
    numbers = {label: number for number, label in enumerate(task.classes)}
    for line, label in enumerate(labels, 2):
        if label not in numbers:
            raise ValueError(f"{file}, line {line}: {label!r} is no label of this task: {', '.join(task.classes)}")
    return torch.tensor([numbers[label] for label in labels], dtype=torch.int64)
