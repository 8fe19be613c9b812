"""Folders of pictures, and images of the hub: parts, classes, sizes, and what is wrong with others."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lth.data import Arrays, load_data
from lth.data.hub_images import load_hub_images

CPU = torch.device("cpu")
PARTS = {"train": 3, "test": 2}


def pixels(seed: int, height: int = 6, width: int = 5) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def picture(values: np.ndarray[Any, Any], kind: str = "PNG") -> bytes:
    image = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install 'lth[images]'")
    held = BytesIO()
    image.fromarray(values).save(held, kind)
    return held.getvalue()


def write(folder: Path, parts: dict[str, int] | None = None, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """So many pictures of each class of each part."""
    for part, count in (parts or PARTS).items():
        for label, name in enumerate(classes):
            place = folder / part / name
            place.mkdir(parents=True)
            for number in range(count):
                (place / f"{number}.png").write_bytes(picture(pixels(100 * len(part) + 10 * label + number)))
    return folder


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    folder = write(tmp_path / "pets")
    (folder / "train" / ".hidden").mkdir()
    (folder / "train" / "cat" / "notes.txt").write_text("no picture")
    data = load_data(str(folder))
    assert (data.name, data.facts) == ("pets", {"input_shape": (3, 6, 5), "num_classes": 2})
    train = data.parts["train"]
    assert isinstance(train, Arrays)
    assert train.tensors["x"].dtype == torch.uint8
    expected = [pixels(500 + 10 * label + number).transpose(2, 0, 1) for label in range(2) for number in range(3)]
    assert np.array_equal(train.tensors["x"].numpy(), np.stack(expected))
    batch = train.take(torch.arange(6), CPU)
    assert batch["y"].tolist() == [0, 0, 0, 1, 1, 1]
    assert batch["x"].mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    assert load_data("pets", tmp_path).digest == data.digest
    plain = load_data("pets:normalise=false", tmp_path).parts["train"].take(torch.arange(6), CPU)["x"]
    assert torch.equal((plain * 255).round().to(torch.uint8), train.tensors["x"])


def test_val_is_a_validation_part_where_there_is_a_test_part(tmp_path: Path) -> None:
    three = load_data(str(write(tmp_path / "three", PARTS | {"val": 1})))
    assert {name: len(part) for name, part in three.parts.items()} == {"train": 6, "test": 4, "validation": 2}
    two = load_data(str(write(tmp_path / "two", {"train": 2, "val": 1})))
    assert {name: len(part) for name, part in two.parts.items()} == {"train": 4, "test": 2}


def test_sizes_and_channels(tmp_path: Path) -> None:
    folder = write(tmp_path / "pets")
    other = folder / "train" / "dog" / "9.jpg"
    other.write_bytes(picture(pixels(1, 9, 12), "JPEG"))
    with pytest.raises(ValueError, match=r"9.jpg has 9x12 pixels, .*0.png has 6x5 pixels: give one size .*:size=32"):
        load_data(str(folder))
    data = load_data(f"{folder}:size=4,channels=1")
    assert data.facts["input_shape"] == (1, 4, 4)
    assert len(data.parts["train"]) == 7
    other.unlink()
    (folder / "test" / "cat" / "0.png").write_bytes(picture(pixels(1, 9, 12)))
    (folder / "test" / "cat" / "1.png").unlink()
    for each in (folder / "test" / "dog").iterdir():
        each.unlink()
    with pytest.raises(ValueError, match="pictures of test have 9x12 pixels, those of train 6x5 pixels"):
        load_data(str(folder))


@pytest.mark.parametrize("content", [b"no picture", None, b"GIF89a"])
def test_broken_files_are_named(tmp_path: Path, content: bytes | None) -> None:
    folder = write(tmp_path / "pets")
    path = folder / "train" / "dog" / "1.png"
    path.write_bytes(path.read_bytes()[:60] if content is None else content)
    with pytest.raises(ValueError, match="1.png is no whole PNG or JPEG picture") as caught:
        load_data(str(folder))
    assert "\n" not in str(caught.value)


def test_pictures_of_16_bits_are_not_cut_off(tmp_path: Path) -> None:
    folder = write(tmp_path / "pets")
    (folder / "train" / "cat" / "1.png").write_bytes(picture(np.arange(30, dtype=np.uint16).reshape(6, 5) * 2000))
    with pytest.raises(ValueError, match="cat/1.png has more than 8 bits a pixel: save it with 8"):
        load_data(f"{folder}:channels=1")


def test_too_large_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="4 pictures of 100000x100000 pixels take 112 GiB of memory"):
        load_data(f"{write(tmp_path / 'pets', {'train': 2, 'test': 1})}:size=100000")  # before one is resized
    monkeypatch.setattr("lth.data.pictures.LARGEST", 500)
    with pytest.raises(ValueError, match="6 pictures of 6x5 pixels take .* give a smaller size, as .*:size=32"):
        load_data(str(write(tmp_path)))


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["train/cat", "train/dog"], "has no folder test or val: put pictures there"),
        (["train/cat", "test/cat"], "has 1 folder: a folder for each class is needed, two at least"),
        (["train/cat", "train/dog", "test/cat"], "train/cat has no pictures"),
    ],
)
def test_folders_that_lack_something(tmp_path: Path, folders: list[str], message: str) -> None:
    for each in folders:
        (tmp_path / each).mkdir(parents=True)
    with pytest.raises(ValueError, match=message):
        load_data(str(tmp_path))


def test_a_class_that_training_lacks(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "test" / "horse").mkdir()
    with pytest.raises(ValueError, match="horse is no class of the training part. Its classes: cat, dog"):
        load_data(str(folder))
    (folder / "test" / "horse").rmdir()
    with pytest.raises(ValueError, match="channels is 2; 1 .grey. and 3 .colour. are possible"):
        load_data(f"{folder}:channels=2")
    with pytest.raises(ValueError, match="size is 0"):
        load_data(f"{folder}:size=0")


def hub(folder: Path, splits: dict[str, int], labels: tuple[str, ...] = ("label",)) -> str:
    """A data set as the hub has it, in parquet files; each picture's class is its number modulo 2."""
    datasets = pytest.importorskip("datasets")
    kinds = {"img": datasets.Image(), **{name: datasets.ClassLabel(names=["cat", "dog"]) for name in labels}}
    folder.mkdir()
    for split, count in splits.items():
        rows: dict[str, list[Any]] = {"img": [{"bytes": picture(pixels(n)), "path": None} for n in range(count)]}
        rows |= {name: [n % 2 for n in range(count)] for name in labels}
        datasets.Dataset.from_dict(rows, features=datasets.Features(kinds)).to_parquet(folder / f"{split}.parquet")
    return str(folder)


def test_images_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    place = hub(tmp_path / "own", {"train": 4, "validation": 2, "test": 2})
    data = load_hub_images(name=place)
    assert {name: len(part) for name, part in data.parts.items()} == {"train": 4, "test": 2, "validation": 2}
    train = data.parts["train"]
    assert isinstance(train, Arrays)
    assert np.array_equal(train.tensors["x"].numpy(), np.stack([pixels(n).transpose(2, 0, 1) for n in range(4)]))
    assert train.tensors["y"].tolist() == [0, 1, 0, 1]
    with pytest.raises(ValueError, match="columns of type ClassLabel: label; name one, as label=COLUMN"):
        load_hub_images(name=place, label="fine")
    several = hub(tmp_path / "several", {"train": 2, "test": 2}, ("fine", "coarse"))
    with pytest.raises(ValueError, match="columns of type ClassLabel: fine, coarse; name one, as label=COLUMN"):
        load_hub_images(name=several)
    assert load_hub_images(name=several, label="coarse").facts["num_classes"] == 2
    with pytest.raises(ValueError, match="has the splits train: train, and test or validation, are needed"):
        load_hub_images(name=hub(tmp_path / "one", {"train": 2}))


def test_the_hub_needs_a_name() -> None:
    with pytest.raises(ValueError, match="hub-images needs a name: hub-images:name=OWNER/NAME"):
        load_data("hub-images")
