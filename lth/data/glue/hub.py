"""The same tasks as the Hugging Face Hub has them: parquet files in a folder, or through the package `datasets`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lth.config.errors import reason_of
from lth.data.glue.tasks import GlueTask
from lth.data.glue.tsv import GlueLines
from lth.data.tokens.hub import load_rows

HUB = "nyu-mll/glue"
SPLITS = {"train": "train", "dev": "validation", "dev_matched": "validation_matched",
          "dev_mismatched": "validation_mismatched"}  # fmt: skip
"""The hub's name of a part, by the file that GLUE has it in."""


def split_of(file: str) -> str:
    """Return the hub's name of the part in a file of GLUE."""
    return SPLITS[file.removesuffix(".tsv")]


def parquet_files(place: Path, task: GlueTask) -> Mapping[str, list[Path]] | None:
    """Return the parquet files of each part in a folder; None if it lacks one."""
    found = {
        part: sorted(place.glob(f"{split_of(file)}.parquet")) or sorted(place.glob(f"{split_of(file)}-*.parquet"))
        for part, file in task.files.items()
    }
    return found if all(found.values()) else None


def read_parquet(files: Sequence[Path], task: GlueTask) -> GlueLines:
    """Return what `read_tsv` returns, of parquet files with the columns that the hub has.

    Raises:
        ValueError: if pyarrow is missing, a file cannot be read, or lacks a column.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError("parquet files need the package pyarrow: pip install 'lth[hub]'") from error
    records: list[Mapping[str, Any]] = []
    for file in files:
        try:
            table = parquet.read_table(file)
            rows = table.to_pylist()
        except Exception as error:  # of many kinds
            raise ValueError(f"{file} cannot be read as parquet: {reason_of(error)}") from error
        _check_columns(str(file), task, table.column_names)
        records += rows
    return _rows(records, task, str(files[0]))


def read_hub(name: str, file: str, task: GlueTask) -> GlueLines:
    """Return what `read_tsv` returns, of a part that the package `datasets` fetches or has in its cache.

    Raises:
        ValueError: if the package is missing, or the data cannot be had.
    """
    rows = load_rows(f"{HUB}:{name}", HUB, name, split_of(file))["train"]
    _check_columns(HUB, task, rows.column_names)
    return _rows(rows, task, f"{HUB}:{name}")


def _check_columns(where: str, task: GlueTask, columns: Sequence[str]) -> None:
    missing = [name for name in (*_columns(task), "label") if name not in columns]
    if missing:
        raise ValueError(f"{where} has no column {missing[0]!r}; it has {', '.join(columns)}")


def _columns(task: GlueTask) -> list[str]:
    return [task.renamed.get(name, name) for name in task.columns]


def _rows(records: Iterable[Mapping[str, Any]], task: GlueTask, where: str) -> GlueLines:
    texts, labels = [], []
    columns = _columns(task)
    for number, record in enumerate(records, 1):
        label, sentences = record["label"], [record[name] for name in columns]
        if any(not isinstance(sentence, str) for sentence in sentences):
            raise ValueError(f"{where}, row {number}: a sentence is missing")
        if task.classes and label in range(len(task.classes)):
            label = task.classes[label]
        texts.append(sentences)
        labels.append(str(label))
    if not texts:
        raise ValueError(f"{where} has no examples")
    return GlueLines(texts, labels, list(range(1, len(texts) + 1)))
