"""CIFAR-10 and CIFAR-100: both forms, whole and in part, from disk, an archive, or a server."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lth.data import Arrays, load_data
from lth.data.archives import unpack
from lth.data.catalogue import catalogue
from lth.data.cifar import COUNTS, SOURCES, Form, locate_cifar

Serve = Callable[[Path], Any]
CPU = torch.device("cpu")
FEW = {"train": 20, "test": 4}
NAMES = ("cifar-10", "cifar-100")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data sets of twenty and four images are whole."""
    for part, count in FEW.items():
        monkeypatch.setitem(COUNTS, part, count)


def images(name: str, part: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    count = FEW[part]
    generator = np.random.default_rng([count, SOURCES[name].classes])
    return generator.integers(0, 256, (count, 3072), dtype=np.uint8), np.arange(count) * 7 % SOURCES[name].classes


def write(folder: Path, name: str, form: Form, **changed: Any) -> Path:
    """All files of a form, as its authors describe them; returns the folder that holds them."""
    place = folder / form.folder
    place.mkdir(parents=True)
    for part, files in (("train", form.train), ("test", (form.test,))):
        x, y = images(name, part)
        for file, rows, labels in zip(files, np.split(x, len(files)), np.split(y, len(files)), strict=True):
            if form is SOURCES[name].python:
                entries = {b"data": rows, SOURCES[name].label.encode(): labels.tolist(), b"filenames": [b"a.png"]}
                entries |= {b"coarse_labels": [0]} if name == "cifar-100" else {}
                (place / file).write_bytes(pickle.dumps(entries | changed, 2))
            else:
                before = [labels[:, None].astype(np.uint8)]
                before = [np.zeros_like(before[0]), *before] if name == "cifar-100" else before
                np.concatenate([*before, rows], 1).tofile(place / file)
    if form.beside:
        (place / form.beside).write_bytes(b"names")
    return place


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("is_binary", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_both_forms_give_the_images(tmp_path: Path, name: str, is_binary: bool) -> None:
    source = SOURCES[name]
    place = write(tmp_path, name, source.binary if is_binary else source.python)
    data = load_data(name, tmp_path)
    assert data.facts == {"input_shape": (3, 32, 32), "num_classes": source.classes}
    assert load_data(name, place).digest == data.digest  # the folder itself
    for part, count in FEW.items():
        x, y = images(name, part)
        held = data.parts[part]
        assert isinstance(held, Arrays)
        assert held.tensors["x"].dtype == torch.uint8
        batch = held.take(torch.arange(count), CPU)
        assert torch.equal(batch["y"], torch.from_numpy(y))
        mean, deviation = (np.array(each)[:, None, None] for each in (source.channels.mean, source.channels.deviation))
        expected = (x.reshape(count, 3, 32, 32) / 255 - mean) / deviation
        np.testing.assert_allclose(batch["x"].numpy(), expected, atol=1e-6)
    plain = load_data(f"{name}:normalise=false", tmp_path)
    assert plain.digest != data.digest
    largest = plain.parts["train"].take(torch.arange(20), CPU)["x"].max().item()
    assert 0.9 < largest <= 1.0


@pytest.mark.usefixtures("few")
def test_a_part_is_used_only_when_it_is_asked_for(tmp_path: Path) -> None:
    place = write(tmp_path, "cifar-10", SOURCES["cifar-10"].python)
    for number in (2, 4):
        (place / f"data_batch_{number}").unlink()
    lacking = "lacks data_batch_2, data_batch_4 of cifar-10.*--allow-partial .or cifar-10:partial=true"
    with pytest.raises(ValueError, match=lacking) as caught:
        load_data("cifar-10", tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.warns(UserWarning, match="not the whole of cifar-10: 12 in place of 20 .train. images"):
        data = load_data("cifar-10:partial=true", tmp_path)
    assert data.facts["note"].startswith("not the whole of cifar-10: 12 in place of 20 (train)")
    _, y = images("cifar-10", "train")
    kept = [*range(4), *range(8, 12), *range(16, 20)]
    assert data.parts["train"].take(torch.arange(12), CPU)["y"].tolist() == y[kept].tolist()
    (place / "test_batch").unlink()
    with pytest.raises(ValueError, match="the test part is needed always"):
        load_data("cifar-10:partial=true", tmp_path)


def test_whole_files_with_too_few_images_are_a_part_too(tmp_path: Path) -> None:
    write(tmp_path, "cifar-100", SOURCES["cifar-100"].binary)
    with pytest.raises(ValueError, match=r"holds 20 in place of 50,000 \(train\) and 4 in place of 10,000 \(test\)"):
        load_data("cifar-100", tmp_path)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({b"data": np.zeros((4, 12), np.uint8)}, "data_batch_1 has no entry 'data' of uint8"),
        ({b"data": [1, 2]}, "data_batch_1 has no entry 'data' of uint8"),
        ({b"labels": [0, 1, 2, 10]}, "data_batch_1 has the label 10, expected 0 to 9"),
        ({b"labels": [0, 1, 2]}, "data_batch_1 has 4 images and 3 labels"),
        ({b"labels": b"abcd"}, "data_batch_1 has no entry 'labels', a list of whole numbers"),
        ({b"more": {1}}, "data_batch_1: it holds .* only plain values"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, changed: dict[bytes, Any], message: str) -> None:
    place = tmp_path / "cifar-10-batches-py"
    write(tmp_path, "cifar-10", SOURCES["cifar-10"].python)
    entries = pickle.loads((place / "data_batch_1").read_bytes())
    (place / "data_batch_1").write_bytes(pickle.dumps(entries | changed, 2))
    with pytest.raises(ValueError, match=message) as caught:
        load_data("cifar-10", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("few")
def test_a_binary_file_that_is_cut_off(tmp_path: Path) -> None:
    place = write(tmp_path, "cifar-10", SOURCES["cifar-10"].binary)
    path = place / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="test_batch.bin has 12,291 bytes, expected images of 3,073 bytes each"):
        load_data("cifar-10", tmp_path)


def packed(path: Path, place: Path, *more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in more:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
        tar.add(place, place.name)
    return path


def pinned(monkeypatch: pytest.MonkeyPatch, name: str, archive: Path, *, is_binary: bool = False) -> None:
    """The checksum of our archive stands for the published one."""
    checksum = hashlib.md5(archive.read_bytes()).hexdigest()
    source = SOURCES[name]
    form = "binary" if is_binary else "python"
    changed = replace(source, **{form: replace(getattr(source, form), checksum=checksum)})
    monkeypatch.setitem(SOURCES, name, changed)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("name", "is_binary"), [("cifar-10", False), ("cifar-10", True), ("cifar-100", False)])
def test_it_is_downloaded_once(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, name: str, is_binary: bool
) -> None:
    form = SOURCES[name].binary if is_binary else SOURCES[name].python
    (tmp_path / "server" / name).mkdir(parents=True)
    archive = packed(tmp_path / "server" / name / form.archive, write(tmp_path / "made", name, form))
    pinned(monkeypatch, name, archive, is_binary=is_binary)
    server = serve(tmp_path / "server")
    monkeypatch.setenv("LTH_MIRROR", server.url)
    asked = f"{name}:binary=true" if is_binary else name
    first, again = (load_data(asked, tmp_path / "data") for _ in range(2))
    assert first.digest == again.digest == load_data(name, tmp_path / "made").digest
    assert server.requested == [f"/{name}/{form.archive}"]
    assert not (tmp_path / "data" / name / form.archive).exists()
    assert sorted(path.name for path in (tmp_path / "data" / name / form.folder).iterdir()) == sorted(
        path.name for path in (tmp_path / "made" / form.folder).iterdir()
    )


@pytest.mark.usefixtures("few")
def test_another_archive_is_not_kept(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    form = SOURCES["cifar-10"].python
    (tmp_path / "cifar-10").mkdir()
    (tmp_path / "cifar-10" / form.archive).write_bytes(b"something else")
    monkeypatch.setenv("LTH_MIRROR", serve(tmp_path).url)
    with pytest.raises(ValueError, match=r"cifar-10-python.tar.gz: wrong checksum, so the file was not kept"):
        load_data("cifar-10", tmp_path / "data")


@pytest.mark.usefixtures("few")
def test_an_archive_at_hand_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form = SOURCES["cifar-100"].python
    made = write(tmp_path / "made", "cifar-100", form)
    (tmp_path / "environment").mkdir()
    kept = packed(tmp_path / "environment" / form.archive, made)
    monkeypatch.setenv("LTH_DATA_DIR", str(tmp_path / "environment"))
    with pytest.raises(ValueError, match=f"cifar-100-python.tar.gz has the checksum .*, expected {form.checksum}"):
        load_data("cifar-100", tmp_path / "data")  # its bytes are not the published ones
    pinned(monkeypatch, "cifar-100", kept)
    assert load_data("cifar-100", tmp_path / "data").digest == load_data("cifar-100", made).digest
    assert kept.exists()


def test_nothing_but_the_wanted_files_comes_out_of_an_archive(tmp_path: Path) -> None:
    place = tmp_path / "made" / "things"
    place.mkdir(parents=True)
    (place / "one").write_bytes(b"1")
    (place / "two").write_bytes(b"2")
    outside = [tarfile.TarInfo("../outside"), tarfile.TarInfo(str(tmp_path / "absolute")), tarfile.TarInfo("things/x")]
    for member in outside:
        member.size = 3
    archive = packed(tmp_path / "all.tar.gz", place, *outside)
    found = unpack(archive, tmp_path / "data", "things", ["one"])
    assert [path.name for path in found.iterdir()] == ["one"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.tar.gz", "data", "made"]


def test_a_folder_in_the_place_of_what_is_unpacked(tmp_path: Path) -> None:
    place = tmp_path / "made" / "things"
    place.mkdir(parents=True)
    (place / "one").write_bytes(b"1")
    archive = packed(tmp_path / "all.tar.gz", place)
    there = tmp_path / "data" / "things"
    there.mkdir(parents=True)
    (there / "other").write_bytes(b"mine")
    with pytest.raises(ValueError, match="things lacks one: remove the folder to have all.tar.gz unpacked"):
        unpack(archive, tmp_path / "data", "things", ["one"])
    (there / "other").unlink()
    assert [path.name for path in unpack(archive, tmp_path / "data", "things", ["one"]).iterdir()] == ["one"]
    (there / "one").write_bytes(b"mine")
    assert (unpack(archive, tmp_path / "data", "things", ["one"]) / "one").read_bytes() == b"mine"


@pytest.mark.parametrize("kind", ["link", "large", "missing", "cut"])
def test_archives_that_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    place = tmp_path / "things"
    place.mkdir()
    (place / "two").write_bytes(b"2" * 100)
    member = tarfile.TarInfo("things/one")
    if kind == "link":
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
    else:
        member.size = 20
    archive = packed(tmp_path / "all.tar.gz", place, *([] if kind == "missing" else [member]))
    monkeypatch.setattr("lth.data.archives.LARGEST", 10 if kind == "large" else 1000)
    if kind == "cut":
        archive.write_bytes(archive.read_bytes()[:60])
    messages = {"link": "things/one is no plain file", "large": "things/one has 20 bytes",
                "missing": "lacks one: it is another archive", "cut": "cannot be unpacked"}  # fmt: skip
    with pytest.raises(ValueError, match=messages[kind]):
        unpack(archive, tmp_path / "data", "things", ["one", "two"])
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["unpack.lock"]


def test_the_catalogue_says_where_they_are(tmp_path: Path) -> None:
    place = write(tmp_path, "cifar-10", SOURCES["cifar-10"].python)
    (place / "data_batch_3").unlink()
    where = {entry.name: entry.where for entry in catalogue(tmp_path)}
    assert where["cifar-10"] == f"{place} lacks data_batch_3"
    assert where["cifar-100"] == "not here"
    assert locate_cifar("cifar-100", tmp_path) is None


def test_the_real_part(real_data_dir: Path) -> None:
    """Batch 1 and the test batch, byte by byte, if they are at hand."""
    found = locate_cifar("cifar-10", real_data_dir)
    if found is None or found.train != ("data_batch_1",):
        pytest.skip(f"{real_data_dir} has no cifar-10-batches-py with batch 1 alone")
    with pytest.warns(UserWarning, match="10,000 in place of 50,000"):
        data = load_data("cifar-10:partial=true", real_data_dir)
    assert data.digest.startswith("f7017b6759a9b361")
    batch = data.parts["train"].take(torch.arange(10_000), CPU)
    assert batch["y"].bincount().tolist() == [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]
    # The published means and deviations are of five such batches.
    assert batch["x"].mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=0.02)
    assert batch["x"].std((0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=0.01)
