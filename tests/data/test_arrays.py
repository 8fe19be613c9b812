"""Data sets of one's own: what arrays are for, and what does not fit."""

import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from lth.data import Arrays, Channels, Data, from_arrays
from lth.tasks import TASKS, Batch, Classification

TRAIN, TEST = "train", "test"


def arrays(**changes: Any) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    good: dict[str, Any] = {
        "x_train": generator.normal(size=(6, 3)).astype(np.float32),
        "y_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": generator.normal(size=(2, 3)).astype(np.float32),
        "y_test": np.array([2, 0]),
    }
    return good | changes


def taken(data: Data, part: str = TRAIN) -> Batch:
    examples = data.parts[part]
    return examples.take(torch.arange(len(examples)), torch.device("cpu"))


def scale(data: Data) -> float:
    examples = data.parts[TRAIN]
    assert isinstance(examples, Arrays)
    return examples.scale.get("x", 1.0)


def test_numpy_and_torch_give_the_same_data() -> None:
    from_numpy = from_arrays(**arrays())
    tensors: dict[str, Any] = {role: torch.from_numpy(array) for role, array in arrays().items()}
    from_torch = from_arrays(**tensors)
    assert from_numpy.digest == from_torch.digest
    assert (from_numpy.task, from_numpy.facts, scale(from_numpy)) == (
        "classification", {"input_shape": (3,), "num_classes": 3}, 1.0,
    )  # fmt: skip
    assert torch.equal(taken(from_numpy)["x"], torch.from_numpy(arrays()["x_train"]))


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f8"])
def test_floats_become_float32(dtype: str) -> None:
    data = from_arrays(**arrays(x_train=np.full((6, 3), 0.5, dtype=dtype), x_test=np.full((2, 3), 2.0, dtype=dtype)))
    assert taken(data)["x"].dtype == torch.float32
    assert set(taken(data)["x"].flatten().tolist()) == {0.5}


def test_bfloat16_tensors() -> None:
    data = from_arrays(**arrays(x_train=torch.full((6, 3), 0.5, dtype=torch.bfloat16)))
    assert taken(data)["x"].dtype == torch.float32
    assert set(taken(data)["x"].flatten().tolist()) == {0.5}


@pytest.mark.parametrize("dtype", ["uint8", "int16", ">i4", "float32"])
def test_types_of_classes(dtype: str) -> None:
    data = from_arrays(**arrays(y_train=np.array([0, 1, 2, 0, 1, 2], dtype=dtype)))
    assert data.task == "classification"
    assert taken(data)["y"].dtype == torch.int64
    assert taken(data)["y"].tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(("shape", "usual"), [((2, 2), 1 / 255), ((1, 2, 2), 1 / 255), ((4,), 1.0)])
def test_scale_of_bytes(shape: tuple[int, ...], usual: float) -> None:
    x_train, x_test = np.full((6, *shape), 3, np.uint8), np.zeros((2, *shape), np.uint8)
    data = from_arrays(**arrays(x_train=x_train, x_test=x_test))
    assert scale(data) == usual
    assert taken(data)["x"].dtype == torch.float32
    assert taken(data)["x"].unique().tolist() == [torch.tensor(3.0).mul(usual).item()]
    assert scale(from_arrays(**arrays(x_train=x_train, x_test=x_test), scale=0.5)) == 0.5


def test_floats_are_scaled_where_that_is_asked_for() -> None:
    data = from_arrays(**arrays(), scale=2.0)
    assert torch.equal(taken(data)["x"], 2 * torch.from_numpy(arrays()["x_train"]))
    assert from_arrays(**arrays(), scale=1.0).digest == from_arrays(**arrays()).digest


def test_keeps_no_alias() -> None:
    given = arrays()
    data = from_arrays(**given)
    before = taken(data)
    for array in given.values():
        array[:] = 0
    assert all(torch.equal(value, before[name]) for name, value in taken(data).items())


def test_read_only_and_strided_arrays() -> None:
    x = np.asfortranarray(arrays()["x_train"])
    x.flags.writeable = False
    assert from_arrays(**arrays(x_train=x)).digest == from_arrays(**arrays()).digest


@pytest.mark.parametrize(("shape", "num_targets"), [((), 1), ((1,), 1), ((4,), 4), ((2, 3), 6)])
def test_floats_are_for_regression(shape: tuple[int, ...], num_targets: int) -> None:
    y = np.random.default_rng(1).normal(size=(6, *shape))
    data = from_arrays(**arrays(y_train=y, y_test=y[:2]))
    assert (data.task, data.facts) == ("regression", {"input_shape": (3,), "num_targets": num_targets})
    torch.testing.assert_close(taken(data)["y"], torch.from_numpy(y).float())


def test_whole_floats_that_are_no_classes_are_for_regression() -> None:
    assert from_arrays(**arrays(y_train=np.array([25.0, 346, 7, 8, 9, 10]))).task == "regression"
    assert from_arrays(**arrays(y_train=np.array([0.0, 1, 2, 0, 1, 1.5]))).task == "regression"
    data = from_arrays(**arrays(), task="regression")  # classes as numbers, because it is asked for
    assert (data.task, taken(data)["y"].dtype) == ("regression", torch.float32)


def tokens(**changes: Any) -> dict[str, Any]:
    stream = np.arange(40).reshape(5, 8) % 11
    return {"x_train": stream, "y_train": (stream + 1) % 13, "x_test": stream[:2], "y_test": stream[:2]} | changes


@pytest.mark.parametrize("dtype", ["int64", "uint16", "uint8", "int32"])
def test_tokens_are_for_language_models(dtype: str) -> None:
    data = from_arrays(**{role: array.astype(dtype) for role, array in tokens().items()})
    assert (data.task, data.facts) == ("language-model", {"vocabulary": 12, "block": 8})
    batch = taken(data)
    assert (batch["x"].dtype, batch["y"].dtype) == (torch.int64, torch.int64)
    assert batch["x"].tolist() == tokens()["x_train"].tolist()
    assert data.tokens_per_example == 8


def test_targets_that_do_not_count() -> None:
    y = tokens()["y_train"].copy()
    y[:, -2:] = -100
    data = from_arrays(**tokens(y_train=y))
    assert data.facts["vocabulary"] == 12
    assert (taken(data)["y"] == -100).sum() == 10


def test_token_ids_with_classes() -> None:
    data = from_arrays(**arrays(x_train=np.arange(24).reshape(6, 4), x_test=np.array([[1, 2, 3, 30]] * 2)))
    assert data.facts == {"input_shape": (4,), "vocabulary": 31, "block": 4, "num_classes": 3}
    assert taken(data)["x"].dtype == torch.int64


def test_several_inputs_by_name() -> None:
    def several(rows: int) -> dict[str, Any]:
        return {
            "ids": np.arange(rows * 4).reshape(rows, 4),
            "image": np.full((rows, 2, 2), 255, np.uint8),
            "size": torch.ones(rows, 1),
        }

    data = from_arrays(**arrays(x_train=several(6), x_test=several(2)))
    assert data.facts == {"input_shape": {"ids": (4,), "image": (2, 2), "size": (1,)}, "num_classes": 3}
    batch = taken(data, TEST)
    assert {name: (value.dtype, tuple(value.shape)) for name, value in batch.items()} == {
        "ids": (torch.int64, (2, 4)),
        "image": (torch.float32, (2, 2, 2)),
        "size": (torch.float32, (2, 1)),
        "y": (torch.int64, (2,)),
    }
    assert batch["image"].unique().tolist() == [1.0]
    other = several(2)
    del other["size"]
    with pytest.raises(ValueError, match="x_train has the inputs ids, image, size and x_test ids, image"):
        from_arrays(**arrays(x_train=several(6), x_test=other))
    with pytest.raises(ValueError, match="image: examples of x_train have shape"):
        from_arrays(**arrays(x_train=several(6), x_test=several(2) | {"image": np.zeros((2, 3, 2), np.uint8)}))
    with pytest.raises(ValueError, match="ids of x_test has 3 examples and y_test has 2"):
        from_arrays(**arrays(x_train=several(6), x_test=several(2) | {"ids": np.zeros((3, 4), np.int64)}))
    with pytest.raises(ValueError, match="name inputs, and none of them y"):
        from_arrays(**arrays(x_train={"y": np.zeros((6, 2))}))


def test_a_validation_part_of_its_own() -> None:
    x, y = arrays()["x_test"], arrays()["y_test"]
    data = from_arrays(**arrays(), x_validation=x[:1], y_validation=y[:1])
    assert list(data.parts) == ["train", "test", "validation"]
    assert torch.equal(taken(data, "validation")["x"], torch.from_numpy(x[:1]))
    assert data.digest != from_arrays(**arrays()).digest
    with pytest.raises(ValueError, match="y_validation is given without x_validation: give both or neither"):
        from_arrays(**arrays(), y_validation=y)
    with pytest.raises(ValueError, match="y_validation has the class 3, which y_train never has"):
        from_arrays(**arrays(), x_validation=x, y_validation=np.array([3, 0]))


def test_tasks_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="unknown task 'regresion'. Did you mean 'regression'"):
        from_arrays(**arrays(), task="regresion")
    monkeypatch.setitem(TASKS, "ranking", Classification)
    data = from_arrays(**arrays(y_train=np.arange(12).reshape(6, 2), y_test=np.zeros((2, 2), int)), task="ranking")
    assert (data.task, data.facts, taken(data)["y"].dtype) == ("ranking", {"input_shape": (3,)}, torch.int64)


def test_targets_of_sequences() -> None:
    ids = np.arange(24).reshape(6, 4) % 7
    x = {"input_ids": ids, "attention_mask": np.ones((6, 4), np.uint8)}
    hidden = np.where(ids > 3, ids, -100)
    masked = from_arrays(x, hidden, x, hidden, task="masked-language-model")
    assert (masked.facts["vocabulary"], masked.facts["block"]) == (7, 4)
    assert taken(masked)["attention_mask"].dtype == torch.int64
    labels, scores = np.arange(6) % 3, np.arange(6.0).reshape(6, 1)
    assert from_arrays(x, labels, x, labels, task="sequence-classification").facts["num_classes"] == 3
    scored = from_arrays(x, scores, x, scores, task="sequence-regression")
    assert (scored.facts["num_targets"], taken(scored)["y"].shape) == (1, (6, 1))
    with pytest.raises(ValueError, match="y_train has the token -1: tokens count from 0"):
        from_arrays(x, hidden.clip(-1), x, hidden, task="masked-language-model")


def test_facts_are_plain() -> None:
    for data in (from_arrays(**arrays()), from_arrays(**tokens()), from_arrays(**arrays(), task="regression")):
        assert json.dumps(data.facts)


X = np.zeros((6, 3), np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": X[:5]}, "x_train has 5 examples and y_train has 6 targets"),
        ({"x_test": X[:1]}, "x_test has 1 examples and y_test has 2 targets"),
        ({"x_test": X[:0], "y_test": np.array([], np.int64)}, "x_test has no examples"),
        ({"x_train": X[:0], "y_train": np.array([], np.int64)}, "x_train has no examples"),
        ({"x_test": X[:2, :2]}, r"shape \(3,\) and those of x_test \(2,\)"),
        ({"x_test": X[:2].astype(np.uint8)}, "x_train is float32 and x_test uint8"),
        ({"x_train": X.astype(np.int64)}, "x_train is int64 and x_test float32"),
        ({"x_train": X.astype(bool)}, "x_train is bool: inputs are uint8, floating or whole numbers"),
        ({"x_train": X.astype(complex)}, "x_train is complex128: inputs are"),
        ({"x_train": np.full((6, 3), 2**63, np.uint64)}, "x_train has the number 9223372036854775808"),
        ({"x_train": np.array(1.0)}, "x_train is a single number"),
        ({"x_train": np.where(np.eye(6, 3) > 0, np.nan, X)}, "x_train has 3 values that are not finite"),
        ({"x_test": np.full((2, 3), 1e300)}, "x_test has 6 values that are not finite"),
        ({"y_train": np.zeros((6, 3), np.int64)}, r"y_train has shape \(6, 3\): classes are one number an example"),
        ({"y_train": np.array(list("abcabc"))}, "y_train is <U1: targets are numbers"),
        ({"y_train": np.array(1)}, "y_train is a single number"),
        ({"y_train": np.array([0, 1, 2, 0, 1, 1.5]), "task": "classification"}, "y_train has the class 1.5"),
        ({"y_train": np.array([0, 1, 2, 0, 1, np.inf])}, "y_train has 1 values that are not finite"),
        ({"y_train": np.array([0, 1, 2, 0, 1, np.inf]), "task": "classification"}, "y_train has the class inf"),
        ({"y_train": np.array([1, 2, 3, 1, 2, 3])}, "3 different classes, from 1 to 3.*or give task='regression'"),
        ({"y_train": np.array([0, 1, 3, 0, 1, 3])}, "3 different classes, from 0 to 3"),
        ({"y_train": np.array([0, 1, -1, 0, 1, 2])}, "4 different classes, from -1 to 2"),
        ({"y_train": np.zeros(6, np.int64), "y_test": np.zeros(2, np.int64)}, "one class only"),
        ({"y_test": np.array([0, 3])}, "y_test has the class 3, which y_train never has: classes are 0 to 2"),
        ({"y_train": X + 0.5, "y_test": X[:2, :2]}, r"targets of y_train have shape \(3,\) and those of y_test \(2,\)"),
        ({"scale": 0.0}, "scale is 0.0"),
        ({"scale": float("nan")}, "scale is nan"),
        ({"task": "language-model"}, r"y_train is int64 of shape \(6,\): next tokens are whole numbers"),
        (tokens(y_train=tokens()["y_train"][:, :7]), r"y_train has shape \(5, 7\): classes are"),
        (tokens(y_train=tokens()["y_train"][:, :7], task="language-model"),
         r"y_train has shape \(5, 7\) and x_train int64 \(5, 8\): tokens and targets have one shape"),
        (tokens(y_train=tokens()["y_train"] - 2), "y_train has the token -1: tokens count from 0; -100 does not count"),
        (tokens(x_test=tokens()["x_test"] - 1), "x of x_test has a token below 0"),
        (tokens(scale=0.5), "scale is 0.5, but inputs are token ids"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        from_arrays(**arrays(**changes))
    assert "\n" not in str(caught.value)


def test_the_example_in_its_documentation() -> None:
    data = from_arrays(np.zeros((4, 3)), np.array([0, 1, 0, 1]), np.ones((2, 3)), np.array([0, 1]))
    assert from_arrays.__doc__ is not None
    assert f"        {data!r}\n" in from_arrays.__doc__


def test_images_are_normalised_by_channel_when_they_are_taken() -> None:
    images = torch.arange(2 * 3 * 2 * 2, dtype=torch.uint8).reshape(2, 3, 2, 2)
    plain = Arrays({"x": images}, {"x": 1 / 255})
    channels = Channels((0.1, 0.2, 0.3), (0.5, 0.25, 2.0))
    normal = Arrays({"x": images}, {"x": 1 / 255}, {"x": channels})
    chosen = torch.tensor([1, 0, 1])
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in (channels.mean, channels.deviation))
    expected = (images[chosen].double() / 255 - mean) / deviation
    torch.testing.assert_close(normal.take(chosen, torch.device("cpu"))["x"].double(), expected, rtol=1e-6, atol=1e-6)
    assert images.dtype == torch.uint8
    held = pickle.loads(pickle.dumps(normal.subset(chosen)))
    assert torch.equal(
        held.take(torch.arange(3), torch.device("cpu"))["x"], normal.take(chosen, torch.device("cpu"))["x"]
    )
    assert (
        len(
            {plain.digest, normal.digest, Arrays({"x": images}, {"x": 1 / 255}, {"x": Channels((0.1,), (1.0,))}).digest}
        )
        == 3
    )


def test_one_mean_serves_images_without_channels() -> None:
    images = torch.arange(18, dtype=torch.uint8).reshape(2, 3, 3)
    taken = Arrays({"x": images}, {"x": 1.0}, {"x": Channels((8.0,), (2.0,))}).take(
        torch.arange(2), torch.device("cpu")
    )
    assert torch.equal(taken["x"], (images.float() - 8) / 2)


def test_the_digest_of_arrays_is_pinned() -> None:
    """Results that were ever made are found by it."""
    images = Arrays(
        {"x": torch.arange(8, dtype=torch.uint8).reshape(2, 2, 2), "y": torch.tensor([0, 1])}, {"x": 1 / 255}
    )
    assert images.digest == "c8183ba47fd5e18fe7a7f2cb149752c2389ea8ba69a25360698ed38e0378d527"
