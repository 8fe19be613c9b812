"""What a file can do at worst: no code is run, no path leads out, a small file takes no large memory."""

import gzip
import io
import os
import pickle
import resource
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lth.cli.errors import UsageError
from lth.cli.options import read_settings
from lth.config.json_text import parse_json
from lth.data import arrays_file, idx, load_data
from lth.data.archives import unpack
from lth.data.pickles import read_pickle
from lth.data.tokens import prepare_tokens
from lth.data.tokens.folder import open_folder
from lth.lineage.foreign.files import open_weights
from lth.studies import STUDIES


class Evil:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch evil",)


@pytest.fixture(autouse=True)
def bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of its own, with three gigabytes more than the process has, in which no file `evil` comes to be."""
    monkeypatch.chdir(tmp_path)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 3 * 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert not list(tmp_path.rglob("evil"))


def test_no_pickle_is_run(tmp_path: Path) -> None:
    content = pickle.dumps({"data": Evil()})
    for name in ("data_batch_1", "model.bin", "model.safetensors", "ckpt.pt"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"data_batch_1: it holds .*system"):
        read_pickle(tmp_path / "data_batch_1")
    for name in ("model.bin", "model.safetensors", "ckpt.pt"):
        with pytest.raises(ValueError, match="is a pickle, and reading a pickle can run any code|no whole safetensors"):
            open_weights(tmp_path / name)
    np.savez("own.npz", **dict.fromkeys(("x_train", "y_train", "x_test", "y_test"), np.array([Evil()], object)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"own\.npz cannot be read: x_train\.npy holds Python objects"):
        load_data("own.npz")


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("levels: !!python/object/apply:os.system ['touch evil']\n")
    with pytest.raises(UsageError, match=r"config\.yaml is no YAML: could not determine a constructor"):
        read_settings(STUDIES["find-ticket"], path, {})


def test_yaml_that_multiplies_itself(tmp_path: Path) -> None:
    """Nine levels of nine references each: a billion entries, if anyone wrote them out."""
    path = tmp_path / "config.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    path.write_text("\n".join([*lines, "levels: *a8"]))
    with pytest.raises(UsageError) as caught:
        read_settings(STUDIES["find-ticket"], path, {})
    assert len(str(caught.value)) < 10_000


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000])
def test_deep_nesting(content: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(content)
    path = tmp_path / "config.yaml"
    path.write_text(content[:7_500])
    with pytest.raises(UsageError, match=r"config\.yaml is no YAML: it is nested too deeply"):
        read_settings(STUDIES["find-ticket"], path, {})


def test_a_gzip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "LARGEST", 2**20)  # of 2**30, which takes long to write
    (tmp_path / "images.idx.gz").write_bytes(gzip.compress(bytes(2**21)))
    with pytest.raises(ValueError, match="holds more than 1,048,576 bytes"):
        idx.read_idx(tmp_path / "images.idx.gz")


def npy_header(shape: tuple[int, ...]) -> bytes:
    """The beginning of a numpy file that says that an array of floats follows."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(10**12,), (2**62, 4), (3, 10**9), (-1,)])
def test_a_numpy_file_that_promises_much(shape: tuple[int, ...], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", npy_header(shape) + bytes(64))
    with pytest.raises(ValueError, match=r"own\.npz cannot be read: "):
        load_data(str(tmp_path / "own.npz"))


def test_a_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays_file, "ROOM", 2**20)  # of 2**30, which takes long to write
    with zipfile.ZipFile(tmp_path / "own.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", npy_header((2**21,)) + bytes(2**24))
    with pytest.raises(ValueError, match=r"own\.npz cannot be read: its arrays take far more memory"):
        load_data(str(tmp_path / "own.npz"))


def archive_of(path: Path, *members: tuple[str, Any]) -> Path:
    """A .tar.gz of members, each a name with its content, or with where a link leads."""
    with tarfile.open(path, "w:gz") as tar:
        for name, held in members:
            member = tarfile.TarInfo(name)
            if isinstance(held, str):
                member.type, member.linkname = tarfile.SYMTYPE, held
            else:
                member.size = len(held)
            tar.addfile(member, None if isinstance(held, str) else io.BytesIO(held))
    return path


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", b"x"), ("/tmp/evil", b"x"), ("inside/../../evil", b"x")],
        [("inside/one", "/etc/passwd")],
        [("inside", "/tmp"), ("inside/one", "../../evil")],
    ],
    ids=["out", "link", "linked folder"],
)  # fmt: skip
def test_archives_write_what_is_asked_for_alone(members: list[tuple[str, Any]], tmp_path: Path) -> None:
    path = archive_of(tmp_path / "archive.tar.gz", *members)
    with pytest.raises(
        ValueError, match=r"archive\.tar\.gz (lacks one|cannot be unpacked \(inside/one is no plain file)"
    ):
        unpack(path, tmp_path / "into", "inside", ["one"])
    assert sorted(each.name for each in (tmp_path / "into").rglob("*")) == ["unpack.lock"]


def test_names_in_documents_do_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question\n" * 4)
    prepare_tokens(tmp_path / "text.txt", tmp_path / "out", tokens="char", workers=1)
    document = (tmp_path / "out" / "tokens.json").read_text()
    (tmp_path / "out" / "tokens.json").write_text(document.replace('"val"', '"../out/val"'))
    with pytest.raises(ValueError, match=r"speaks of the parts train, \.\./out/val"):
        open_folder(tmp_path / "out")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../secret.safetensors"}}')
    with pytest.raises(ValueError, match="names no files of its own folder"):
        open_weights(folder)
