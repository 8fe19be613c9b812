import pickle
from pathlib import Path

import pytest
import torch
from glue_files import write_glue

from lth.data import DATASETS, Data, Examples, Sentences, default_validation, load_data, split
from lth.data.masked_text import Texts
from lth.tasks import Batch

# name -> training examples, test examples, facts, and the first digits of the digest: keys depend on it.
EXPECTED = {
    "digits": (1078, 719, {"input_shape": (8, 8), "num_classes": 10}, "02d65a7473c27fb4"),
    "mnist": (60_000, 10_000, {"input_shape": (28, 28), "num_classes": 10}, "a1543cb029e9c440"),
    "fashion-mnist": (60_000, 10_000, {"input_shape": (28, 28), "num_classes": 10}, "27598306d9379a85"),
    "diabetes": (354, 88, {"input_shape": (10,), "num_targets": 1}, "374797afe1bfa282"),
    "tiny-shakespeare": (
        15_685, 1_742, {"vocabulary": 65, "block": 64, "bytes_per_token": 1.0}, "2286a9bdde983091",
    ),
}  # fmt: skip


ELSEWHERE = {"cifar-10", "cifar-100", "svhn", "hub-images"}
"""They have tests of their own: test_cifar.py, test_svhn.py, test_pictures.py."""


@pytest.fixture(params=sorted(DATASETS.keys() - ELSEWHERE))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def data(name: str, request: pytest.FixtureRequest) -> Data:
    folder: Path | None
    if name == "masked-text":
        (request.getfixturevalue("tmp_path") / "own.txt").write_text("a text\n")
        return load_data("masked-text:file=own.txt", request.getfixturevalue("tmp_path"))
    if name.startswith("glue/"):
        folder = request.getfixturevalue("tmp_path")
        write_glue(folder, name.removeprefix("glue/"))
        return load_data(name, folder)
    folder = None if name in ("digits", "diabetes") else request.getfixturevalue("real_data_dir")
    return load_data(name, folder)


def every(examples: Examples) -> Batch:
    return examples.take(torch.arange(len(examples)), torch.device("cpu"))


def test_contract(name: str, data: Data) -> None:
    if isinstance(data.parts["train"], Sentences | Texts):
        assert data.name == name
        assert pickle.loads(pickle.dumps(data)).digest == data.digest
        assert (
            name == "masked-text"
            or len(split(data, default_validation(data), seed=0)["train"]) == len(data.parts["train"]) - 1
        )
        with pytest.raises(ValueError, match="are texts"):
            every(data.parts["train"])
        return
    num_train, num_test, facts, digest = EXPECTED[name]
    assert data.name == name
    assert ({part: len(examples) for part, examples in data.parts.items()}, data.facts) == (
        {"train": num_train, "test": num_test}, facts,
    )  # fmt: skip
    assert data.digest.startswith(digest)
    assert pickle.loads(pickle.dumps(data)).digest == data.digest
    parts = split(data, default_validation(data), seed=0)
    assert len(parts["train"]) + len(parts["validation"]) == num_train
    for examples in data.parts.values():
        batch = every(examples)
        if data.task == "classification":
            assert (float(batch["x"].min()), float(batch["x"].max())) == (0.0, 1.0)
            assert set(batch["y"].tolist()) == set(range(facts["num_classes"]))  # type: ignore[call-overload]
        if data.task != "language-model":
            assert batch["x"].dtype == torch.float32
            assert batch["x"].shape[1:] == facts["input_shape"]
        else:
            assert batch["x"].shape[1:] == batch["y"].shape[1:] == (facts["block"],)


def test_digits_split_is_stratified_and_complete() -> None:
    from sklearn.datasets import load_digits

    train, test = (every(load_data("digits").parts[part]) for part in ("train", "test"))
    source = load_digits()
    share = test["y"].bincount() / (train["y"].bincount() + test["y"].bincount())
    assert torch.all((share - 0.4).abs() < 0.01)
    together = (16 * torch.cat([train["x"], test["x"]])).flatten(1).tolist()
    assert sorted(together) == sorted(source.data.tolist())
    first = 16 * train["x"][0].double().numpy()
    assert any((first == image).all() for image in source.images[source.target == int(train["y"][0])])


def test_diabetes_is_standardised_by_the_training_part() -> None:
    from sklearn.datasets import load_diabetes

    train, test = (every(load_data("diabetes").parts[part]) for part in ("train", "test"))
    assert train["y"].shape == (354,)
    assert train["y"].mean().item() == pytest.approx(0, abs=1e-6)
    assert train["y"].std(unbiased=False).item() == pytest.approx(1, abs=1e-6)
    x, y = load_diabetes(return_X_y=True)
    positions = [int((abs(x - row.numpy()).sum(1)).argmin()) for row in torch.cat([train["x"], test["x"]])]
    assert sorted(positions) == list(range(442))
    assert positions[:354] == sorted(positions[:354])
    kept = y[positions[:354]]
    expected = torch.tensor((y[positions] - kept.mean()) / kept.std(), dtype=torch.float32)
    torch.testing.assert_close(torch.cat([train["y"], test["y"]]), expected)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mnsit", "unknown data set 'mnsit'. Did you mean 'mnist'. Choices: digits, mnist, .*, or the path of an .npz"),
        ("MNIST", "Did you mean 'mnist'"),
        ("fashion_mnist", "Did you mean 'fashion-mnist'"),
        ("imagenet-22k-????", r"unknown data set 'imagenet-22k-\?\?\?\?'\. Choices: "),
        ("digits:block=3", "data set 'digits' takes no argument 'block'. Its arguments: none"),
        ("tiny-shakespeare:blok=3", "takes no argument 'blok'. Its arguments: block"),
        ("digits:a=1,b", "must read NAME=VALUE"),
    ],
)
def test_what_is_no_data_set(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_data(source)


def test_a_scripts_own_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(folder: Path | None, share: float = 0.5) -> Data:
        data = load_data("digits")
        return Data(f"{share:g}", data.parts, data.facts)

    monkeypatch.setitem(DATASETS, "half", half)
    assert load_data("half:share=0.25").name == "0.25"
    assert DATASETS.own() == {"half": half}
