"""SVHN: its .mat files, what is wrong with others, and what channels are normalised by."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat

from lth.data import Arrays, load_data
from lth.data.catalogue import catalogue
from lth.data.normalise import measured_channels
from lth.data.svhn import FILES

CPU = torch.device("cpu")


def write(folder: Path, **changed: Any) -> Path:
    """Both files, with twelve and five images; `train_X`, `test_y` and so on stand in place of what they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 12), ("test", 5)):
        generator = np.random.default_rng(count)
        x = generator.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        held = {"X": x, "y": (1 + np.arange(count) % 10)[:, None].astype(np.uint8)}
        held |= {name: changed[f"{part}_{name}"] for name in held if f"{part}_{name}" in changed}
        savemat(folder / f"{part}_32x32.mat", held, do_compression=True)
    return folder


@pytest.mark.parametrize("place", ["svhn", "SVHN", "."])
def test_images_and_digits(tmp_path: Path, place: str) -> None:
    write(tmp_path / place)
    data = load_data("svhn", tmp_path)
    assert data.facts == {"input_shape": (3, 32, 32), "num_classes": 10}
    train = data.parts["train"]
    assert isinstance(train, Arrays)
    x = np.random.default_rng(12).integers(0, 256, (32, 32, 3, 12), dtype=np.uint8)
    assert np.array_equal(train.tensors["x"].numpy(), x.transpose(3, 2, 0, 1))
    batch = train.take(torch.arange(12), CPU)
    assert batch["y"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    assert batch["x"].mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    assert batch["x"].std((0, 2, 3), correction=0).tolist() == pytest.approx([1, 1, 1], abs=1e-4)
    test = data.parts["test"].take(torch.arange(5), CPU)["x"]
    plain = load_data("svhn:normalise=false", tmp_path).parts["test"].take(torch.arange(5), CPU)["x"]
    channels = train.channels["x"]
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in (channels.mean, channels.deviation))
    torch.testing.assert_close(test, (plain - mean) / deviation, rtol=1e-4, atol=1e-5)
    assert {entry.name: entry.where for entry in catalogue(tmp_path)}["svhn"] == str(tmp_path / place)


def test_channels_are_measured_exactly() -> None:
    images = torch.randint(0, 256, (5, 2, 3, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[:, 1] = 51
    found, values = measured_channels(images), images.double() / 255
    assert found.mean == pytest.approx((values[:, 0].mean().item(), 0.2), abs=1e-6)
    assert found.deviation == pytest.approx((values[:, 0].std(correction=0).item(), 1.0), abs=1e-6)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_X": np.zeros((32, 32, 3, 12))}, "train_32x32.mat has no X of uint8"),
        ({"test_X": np.zeros((32, 32, 5), np.uint8)}, "test_32x32.mat has no X of uint8"),
        ({"test_y": np.zeros((4, 1))}, "test_32x32.mat has no y with a label for each of its 5 images"),
        ({"test_y": np.array([[1], [2], [3], [4], [11]])}, "has the label 11, expected 1 to 10"),
        ({"test_y": np.array([[1], [2], [3], [4], [2.5]])}, "has the label 2.5, expected 1 to 10"),
        ({"test_y": {"a": 1}}, "test_32x32.mat has no y"),
    ],
)
def test_other_files_are_named(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    write(tmp_path, **changed)
    with pytest.raises(ValueError, match=message) as caught:
        load_data("svhn", tmp_path)
    assert "\n" not in str(caught.value)


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    path = write(tmp_path) / "test_32x32.mat"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="test_32x32.mat cannot be read as a .mat file"):
        load_data("svhn", tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match="lacks test_32x32.mat of svhn"):
        load_data("svhn", tmp_path)


def test_it_is_downloaded_once(tmp_path: Path, serve: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    served = write(tmp_path / "server" / "svhn")
    for file in FILES:
        monkeypatch.setitem(FILES, file, f"md5:{hashlib.md5((served / file).read_bytes()).hexdigest()}")
    server = serve(tmp_path / "server")
    monkeypatch.setenv("LTH_MIRROR", server.url)
    digests = {load_data("svhn", tmp_path / "data").digest for _ in range(2)}
    assert digests == {load_data("svhn", served).digest}
    assert server.requested == ["/svhn/train_32x32.mat", "/svhn/test_32x32.mat"]
