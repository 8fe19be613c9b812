"""Kinds of files that lth reads: how a small whole one is made, what reads it, and whether damage can be seen in it."""

import gzip
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from lth.cli.options import read_settings
from lth.data import load_data
from lth.data.cifar import SOURCES, _read_binary, _read_python
from lth.data.glue.hub import read_parquet
from lth.data.glue.tasks import GLUE
from lth.data.glue.tsv import read_tsv
from lth.data.idx import read_idx
from lth.data.pictures import Pictures, _decoded
from lth.data.svhn import _read as read_mat
from lth.data.tokens import prepare_tokens
from lth.data.tokens.encode import read_shard
from lth.data.tokens.folder import check_content, open_folder
from lth.data.tokens.texts import parquet_file
from lth.lineage.foreign.files import open_weights, read_json
from lth.studies import STUDIES
from lth.training import History, Snapshot, snapshot_from_bytes


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file.

    Attributes:
        name: of the file.
        make: writes a whole one into a folder.
        read: gives what the file at a path holds, comparable by `==`.
        is_sealed: whether every change of the content is seen, by a checksum.
    """

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], Any]
    is_sealed: bool = False


def plain(value: Any) -> Any:
    """Return tensors and arrays within a value as lists."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def _idx(path: Path) -> None:
    content = bytes([0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + bytes(range(12))
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def _npz(path: Path) -> None:
    x, y = np.arange(24, dtype=np.float32).reshape(6, 4), np.array([0, 1, 0, 1, 0, 1])
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)


def _batches(path: Path) -> None:
    entries = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [3, 4]}
    path.write_bytes(pickle.dumps(entries, 2))


def _mat(path: Path) -> None:
    from scipy.io import savemat

    savemat(path, {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [10]], np.uint8)})


def _parquet(path: Path, columns: dict[str, list[Any]]) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), path)


def _parquet_texts(path: Path) -> list[str]:
    from lth.data.tokens.texts import RowShard

    with parquet_file(path) as file:
        groups = file.metadata.num_row_groups
    return [text.text for group in range(groups) for text in RowShard("train", path, group).texts()]


def _tokens(path: Path) -> None:
    text = path.parent / "text.txt"
    text.write_text("to be or not to be, that is the question\n" * 4)
    prepare_tokens(text, path.parent / "out", tokens="char", workers=1)
    for file in (path.parent / "out").iterdir():
        file.rename(path.parent / file.name)


def _checked_tokens(path: Path) -> Any:
    opened = open_folder(path.parent)
    if opened.document is None:
        return None
    check_content(path.parent, opened.document)
    return opened.vocabulary, opened.digests, opened.document.tokens.name


def _shard(path: Path) -> None:
    np.savez(path, **{"train": np.arange(9, dtype="<u2"), "train documents": 1, "train bytes": 9})  # type: ignore[arg-type]


def _weights(path: Path) -> None:
    save_file({"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.zeros(3)}, path)


def _weights_read(path: Path) -> Any:
    opened = open_weights(path)
    return {name: plain([entry.mask, entry.weights]) for name in opened.shapes for entry in [opened.read(name)]}


def _snapshot(path: Path) -> None:
    history = History(steps=[0, 10], curves={"validation/loss": [2.5, 1.25]}, end={"test/accuracy": 0.5})
    tensors = {"state/0.weight": torch.arange(6.0).reshape(2, 3), "losses": torch.tensor([0.5])}
    path.write_bytes(Snapshot(12, history, tensors, "torch 2").to_bytes())


def _snapshot_read(path: Path) -> Any:
    found = snapshot_from_bytes(path.read_bytes(), str(path))
    return found.step, found.history.model_dump(), plain(found.tensors), found.signature


def _picture(path: Path) -> Any:
    return plain(_decoded(Pictures([path.name], lambda _: path.read_bytes(), [0]), 0, None, 3))


def _settings(path: Path) -> Any:
    studies, running = read_settings(STUDIES["find-ticket"], path, {})
    return [each.flat() for each in studies], running.model_dump()


def _text(path: Path, text: str) -> None:
    path.write_text(text)


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(2 * 3073))


CORPUS = "to be or not to be " * 40
SST2 = "sentence\tlabel\ngood\t1\nbad\t0\n"
YAML = "levels: 3\nsweep:\n  grid: {rate: [0.2, 0.4]}\n"
CIFAR = SOURCES["cifar-10"]
SENTENCES = {"sentence": ["good", "bad"], "label": [1, 0], "idx": [0, 1]}

DATA = (
    Format("images.idx", _idx, lambda path: plain(read_idx(path))),
    Format("images.idx.gz", _idx, lambda path: plain(read_idx(path))),
    Format("own.npz", _npz, lambda path: load_data(str(path)).digest),
    Format("data_batch_1", _batches, lambda path: plain(_read_python(path, CIFAR))),
    Format("data_batch_1.bin", _zeros, lambda path: plain(_read_binary(path, CIFAR))),
    Format("train_32x32.mat", _mat, lambda path: plain(read_mat(path))),
    Format("corpus.txt", partial(_text, text=CORPUS), lambda path: load_data(f"{path}:block=8").digest),
    Format("train.tsv", partial(_text, text=SST2), lambda path: read_tsv(path, GLUE["sst2"])),
    Format("train.parquet", partial(_parquet, columns=SENTENCES), lambda path: read_parquet([path], GLUE["sst2"])),
    Format("texts.parquet", partial(_parquet, columns={"text": ["to be", "or not"]}), _parquet_texts),
    Format("picture.png", lambda path: Image.new("RGB", (4, 4), (9, 8, 7)).save(path), _picture),
    Format("config.yaml", partial(_text, text=YAML), _settings),
    Format("config.json", partial(_text, text='{"model_type": "gpt2", "n_layer": 2}'), read_json),
    Format("model.safetensors", _weights, _weights_read),
    Format("train.bin", _tokens, _checked_tokens, is_sealed=True),
    Format("tokens.json", _tokens, _checked_tokens),
    Format("0000000.npz", _shard, lambda path: plain(read_shard(path, "train"))),
    Format("snapshot", _snapshot, _snapshot_read, is_sealed=True),
)  # fmt: skip
"""Files of data, weights and settings, and snapshots: none needs a study."""
