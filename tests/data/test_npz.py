from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lth.data import Arrays, from_arrays, load_data, load_npz


def contents() -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {
        "x_train": generator.integers(0, 256, (8, 2, 2), dtype=np.uint8),
        "y_train": np.array([0, 1] * 4),
        "x_test": generator.integers(0, 256, (2, 2, 2), dtype=np.uint8),
        "y_test": np.array([1, 0]),
    }


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_round_trip(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "mine.npz"
    save(path, **contents())
    data = load_npz(path)
    assert data.digest == from_arrays(**contents()).digest
    train = data.parts["train"]
    assert isinstance(train, Arrays)
    assert (data.name, train.scale, train.tensors["x"].dtype) == ("mine", {"x": 1 / 255}, torch.uint8)


def test_floats_are_used_as_they_are(tmp_path: Path) -> None:
    arrays = contents()
    arrays |= {role: arrays[role].astype(np.float32) for role in ("x_train", "x_test")}
    np.savez(tmp_path / "floats.npz", **arrays)
    data = load_npz(tmp_path / "floats.npz")
    batch = data.parts["train"].take(torch.arange(8), torch.device("cpu"))
    assert torch.equal(batch["x"], torch.from_numpy(arrays["x_train"]))


def test_found_by_path_and_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    np.savez(tmp_path / "data" / "mine.npz", **contents())
    assert load_data("mine.npz", tmp_path / "data").name == "mine"
    assert load_data(str(tmp_path / "data" / "mine.npz")).name == "mine"
    with pytest.raises(ValueError, match=r"no file mine\.npz"):
        load_data("mine.npz")


@pytest.mark.parametrize("missing", [["x_test"], ["x_test", "y_test"], ["x_train", "y_train", "x_test", "y_test"]])
def test_missing_arrays_are_listed(tmp_path: Path, missing: list[str]) -> None:
    path = tmp_path / "part.npz"
    np.savez(path, **{role: array for role, array in contents().items() if role not in missing})
    with pytest.raises(ValueError, match=rf"part\.npz lacks {', '.join(missing)}; found "):
        load_npz(path)


def test_a_validation_part_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "three.npz"
    own = {"x_validation": contents()["x_test"][:1], "y_validation": contents()["y_test"][:1]}
    np.savez(path, **contents(), **own)
    data = load_npz(path)
    assert data.digest == from_arrays(**contents(), **own).digest
    assert len(data.parts["validation"]) == 1
    np.savez(path, **contents(), x_validation=own["x_validation"])
    with pytest.raises(ValueError, match=r"three\.npz: x_validation is given without y_validation"):
        load_npz(path)


def test_arguments_behind_the_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, **contents())
    data = load_data(f"{path}:task=regression,scale=0.5")
    assert (data.task, data.facts["num_targets"]) == ("regression", 1)
    assert data.digest == from_arrays(**contents(), task="regression", scale=0.5).digest
    with pytest.raises(ValueError, match="takes no argument 'block'. Its arguments: task, scale"):
        load_data(f"{path}:block=3")


def test_unused_arrays_are_named_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "more.npz"
    np.savez(path, names=np.array([{}], dtype=object), **contents())
    with pytest.warns(UserWarning, match="names not used"):
        data = load_npz(path)
    assert data.digest == from_arrays(**contents()).digest


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    np.savez(path, **(contents() | {"y_test": np.array([1, None], dtype=object)}))
    with pytest.raises(ValueError, match=r"objects\.npz cannot be read: y_test.npy holds Python objects"):
        load_npz(path)


def test_misfits_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "misfit.npz"
    np.savez(path, **(contents() | {"y_test": np.array([1, 2])}))
    with pytest.raises(ValueError, match=r"misfit\.npz: y_test has the class 2"):
        load_npz(path)


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "whole.npz"
    np.savez(path, **contents())
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(ValueError, match=r"not a \.npz file, or it is truncated"):
        load_npz(path)
    position = whole.index(contents()["x_train"].tobytes())
    path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
    with pytest.raises(ValueError, match="cannot be read: Bad CRC"):
        load_npz(path)
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=r"not a \.npz file"):
        load_npz(path)
