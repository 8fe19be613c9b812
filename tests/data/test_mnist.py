import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lth.data import Arrays, load_data
from lth.data.mnist import load_idx_images, locate

Serve = Callable[[Path], Any]
WriteImages = Callable[..., Path]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mnist", "."),
        ("mnist", "mnist"),
        ("mnist", "mnist/raw"),
        ("mnist", "MNIST/raw"),
        ("fashion-mnist", "fashion-mnist"),
        ("fashion-mnist", "FashionMNIST/raw"),
        ("fashion-mnist", "FashionMNIST"),
    ],
)
@pytest.mark.parametrize("through", ["folder", "environment"])
def test_found_where_people_keep_it(
    name: str,
    place: str,
    through: str,
    compress: bool,
    tmp_path: Path,
    write_images: WriteImages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_images(tmp_path / "data" / place, compress)
    if through == "environment":
        monkeypatch.setenv("LTH_DATA_DIR", str(tmp_path / "data"))
    data = load_idx_images(name, tmp_path / "data" if through == "folder" else None, mirrors=[])
    assert (data.name, data.task, data.facts) == (
        name, "classification", {"input_shape": (4, 4), "num_classes": 10},
    )  # fmt: skip
    train, test = (data.parts[part] for part in ("train", "test"))
    assert isinstance(train, Arrays)
    assert isinstance(test, Arrays)
    assert test.tensors["y"].tolist() == list(range(10))
    assert (train.tensors["x"].dtype, train.scale) == (torch.uint8, {"x": 1 / 255})


def test_the_folder_comes_before_the_environment(
    tmp_path: Path, write_images: WriteImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "environment")
    monkeypatch.setenv("LTH_DATA_DIR", str(tmp_path / "environment"))
    assert locate("mnist", tmp_path / "folder") == tmp_path / "environment"
    write_images(tmp_path / "folder" / "mnist")
    assert locate("mnist", tmp_path / "folder") == tmp_path / "folder" / "mnist"
    assert locate("mnist") == tmp_path / "environment"


def test_a_folder_of_its_own_comes_first(tmp_path: Path, write_images: WriteImages) -> None:
    write_images(tmp_path)
    write_images(tmp_path / "fashion-mnist")
    assert locate("fashion-mnist", tmp_path) == tmp_path / "fashion-mnist"
    assert locate("mnist", tmp_path) == tmp_path


def test_some_files_missing(tmp_path: Path, write_images: WriteImages) -> None:
    write_images(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").unlink()
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ValueError, match="but lacks train-images-idx3-ubyte, t10k-labels-idx1-ubyte "):
        load_idx_images("mnist", tmp_path, mirrors=[])


@pytest.mark.parametrize(
    ("role", "array", "message"),
    [
        ("y_train", np.full(20, 10, np.uint8), "train-labels-idx1-ubyte has the label 10 at position 0, expected 0 to"),
        ("y_test", np.array([0] * 9 + [255], np.uint8), "t10k-labels-idx1-ubyte has the label 255 at position 9"),
        ("y_train", np.zeros(19, np.uint8), "has 20 images and .* has 19 labels"),
        ("x_test", np.zeros((11, 4, 4), np.uint8), "has 11 images and .* has 10 labels"),
        ("x_test", np.zeros((10, 4, 5), np.uint8), r"has images of \(4, 5\), expected \(4, 4\)"),
        ("x_train", np.zeros((20, 16), np.uint8), "array of 2 dimensions, expected 3"),
        ("y_train", np.zeros((20, 1), np.uint8), "array of 2 dimensions, expected 1"),
        ("x_train", np.zeros((20, 4, 4), np.int32), "holds int32 values, expected uint8"),
        ("x_test", np.zeros((10, 0, 4), np.uint8), r"is empty, of shape \(10, 0, 4\)"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, write_images: WriteImages, role: str, array: Any, message: str) -> None:
    write_images(tmp_path, compress=False, **{role: array})
    with pytest.raises(ValueError, match=message):
        load_idx_images("mnist", tmp_path, mirrors=[])


def test_a_damaged_file_is_named(tmp_path: Path, write_images: WriteImages) -> None:
    write_images(tmp_path)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte\.gz is truncated"):
        load_idx_images("mnist", tmp_path, mirrors=[])


def test_offline(tmp_path: Path, no_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTH_MIRROR", no_server)
    for folder in (tmp_path / "new", None):
        with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz.*LTH_DATA_DIR/mnist") as caught:
            load_data("mnist", folder)
        assert f"{no_server}mnist/train-images-idx3-ubyte.gz: no answer" in str(caught.value)
        assert str(tmp_path) in str(caught.value)


def test_a_server_with_other_files_is_not_believed(tmp_path: Path, write_images: WriteImages, serve: Serve) -> None:
    server = serve(write_images(tmp_path / "served"))
    with pytest.raises(ValueError, match="wrong checksum"):
        load_idx_images("mnist", tmp_path / "new", mirrors=[server.url])
    assert locate("mnist", tmp_path / "new") is None


def test_real_files_are_downloaded_once(
    real_data_dir: Path, tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(real_data_dir)
    monkeypatch.setenv("LTH_MIRROR", server.url)
    digests = {load_data("mnist", folder).digest for folder in (None, tmp_path / "new", None, tmp_path / "new")}
    assert len(digests) == 1
    assert len(server.requested) == 8  # four files into the cache, four into the folder
    assert locate("mnist", tmp_path / "new") == tmp_path / "new" / "mnist"
    assert locate("fashion-mnist", tmp_path / "new") is None


def test_the_other_data_set_is_recognised(real_data_dir: Path, tmp_path: Path) -> None:
    for file in (real_data_dir / "mnist").glob("*-ubyte.gz"):
        shutil.copyfile(file, tmp_path / file.name)
    assert locate("mnist", tmp_path) == tmp_path
    with pytest.raises(ValueError, match="holds mnist, expected fashion-mnist"):
        load_data("fashion-mnist", tmp_path)
    packed = tmp_path / "train-labels-idx1-ubyte.gz"
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(gzip.decompress(packed.read_bytes()))
    with pytest.raises(ValueError, match="holds mnist, expected fashion-mnist"):
        load_data("fashion-mnist", tmp_path)
