"""Bad input gets one clear line on stderr, the right exit code, and loses nothing."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from cli_runs import outcome


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code, _, message = outcome(capsys, *arguments)
    return code, message


USAGE = [
    (["plan", "--rate", "1.5"], "rate", "less than 1"),
    (["plan", "--rate", "0"], "rate", "greater than 0"),
    (["plan", "--rates", "output.weight=2"], "output.weight", "between 0 and 1"),
    (["plan", "--rates", "output.weight"], "NAME=VALUE", "rates"),
    (["plan", "--levls", "3"], "--levls", "--levels"),
    (["plan", "--levels", "three"], "--levels", "three"),
    (["plan", "--duration", "50"], "'50' is not a duration", "'50ep'"),
    (
        ["plan", "--controls", "reinit,shuffle"],
        "unknown control 'shuffle'",
        "Choices: reinit, random, permuted, one-shot, none",
    ),
    (["plan", "--device", "tpu"], "device", "'cpu' or 'cuda'"),
    (["plan", "--lr-decay", "slow"], "lr_decay", "'constant', 'cosine', 'linear' or 'step'"),
    (["plan", "--kept", "rewnd"], "'rewnd'", "Did you mean 'rewind'? Choices: rewind, keep"),
    (["plan", "--sparsifier", "rig1"], "unknown sparsifier 'rig1'", "Did you mean 'rigl'?"),
    (["plan", "--moments", "restore"], "moments: 'restore'", "choose a sparsifier"),
    (["plan", "--preset", "digit"], "unknown preset 'digit'", "Did you mean 'digits'?"),
    (["plan", "supermask", "--density", "1.5"], "density", "less than 1"),
    (["plan", "supermask", "--levels", "3"], "--levels", "Unknown option"),
    (["plan", "supermask", "--method", "best"], "method", "'bernoulli' or 'edge_popup'"),
    (["plan", "supermask", "--method", "edge_popup", "--initial-score", "1"], "initial_score", "leave the setting out"),
    (["reproduce", "frankle-carbin-fig4", "--scale", "3"], "--scale 3", "above 0, at most 1"),
    (["plan", "--config", "/nonexistent.yaml"], "/nonexistent.yaml", "No such file"),
    (["reproduce", "frankle-carbin-fig4", "--replicates", "0"], "replicates", "greater than or equal to 1"),
    (["reproduce", "frankle-carbin-fig4", "--workers", "-1"], "workers", "greater than or equal to 0"),
    (["frobnicate"], "unknown command 'frobnicate'", "--help"),
    (["find-tickets"], "unknown command 'find-tickets'", "Did you mean 'find-ticket'?"),
    (["plan", "lenet-300-10"], "unknown model 'lenet-300-10'", "Did you mean 'lenet-300-100'?"),
    (["plan", "no.such.module:make"], "no.such.module", "package.module:function"),
    (["plan", "lenet-300-100", "minst"], "unknown data set 'minst'", "Did you mean 'mnist'?"),
    (["plan", "--optimizer", "adem"], "unknown optimizer 'adem'", "Did you mean 'adam'?"),
    (["plan", "--optimizer-options", "momentum=0.9"], "no option 'momentum'", "betas"),
    (["plan", "--criterion", "large_finl"], "unknown criterion 'large_finl'", "Did you mean 'large_final'?"),
    (["plan", "--scope", "globl"], "unknown scope 'globl'", "Did you mean 'global'?"),
    (["plan", "--duration", "300it", "--rewind-to", "300it"], "step 300", "rewind to an earlier step"),
    (["plan", "--never-prune", "*"], "no prunable weights", "prune_only"),
    (["plan", "--rates", "hiden*=0.1"], "'hiden*' matches no parameter", "hidden1.weight"),
    (["plan", "--scope", "global", "--rates", "output.weight=0.1"], "scope 'global'", "per-pattern"),
    (["plan", "--levels", "90"], "would leave no weight", "ask for at most"),
    (["plan", "--batch-size", "5000"], "batch size 5000", "training examples"),
    (["plan", "--engine", "dense"], "unknown engine 'dense'", "Choices: torch, sparse, auto"),
    (["plan", "--loss", "hinge"], "unknown loss 'hinge'", "cross_entropy, mean_squared_error"),
    (["plan", "--task", "classificaton"], "unknown task 'classificaton'", "Did you mean 'classification'?"),
    (["plan", "--duration", "5Mtok"], "'5Mtok' counts tokens", "use it (steps)"),
    (["plan", "--criterion", "snip", "--sparsifier", "gradual"], "criterion: 'snip'", "such as large_final"),
    (["plan", "--train", "no.such:train"], "no.such", "package.module:function"),
    (["plan", "lenet-300-100", "diabetes", "--task", "classification"], "task 'classification'", "'regression'"),
    (["plan", "lenet-300-100:width=3"], "takes no argument 'width'", "Its arguments"),
    (
        ["reproduce", "frankle-carbin-fig44"],
        "unknown experiment 'frankle-carbin-fig44'",
        "Did you mean 'frankle-carbin-fig4'?",
    ),
    (["plan", "--validation", "5000"], "validation", "Allowed: 1 to "),
    (["plan", "convnet", "--engine", "sparse"], "sparse engine cannot", "auto"),
    (["plan", "connect", "--engine", "sparse", "--precision", "bfloat16"], "sparse engine cannot", "auto"),
    (["plan", "--compiled", "--engine", "sparse"], "torch.compile", "found engine 'sparse'"),
    (["find-ticket", "convnet", "--engine", "sparse"], "sparse engine cannot", "auto"),
    (["find-ticket", "--engine", "sparse", "--precision", "bfloat16"], "bfloat16", "auto"),
    (["supermask", "--engine", "sparse"], "sparse engine cannot", "auto"),
    (["train", "--sample", "the"], "sample: 'digits' is no text", "language models"),
    (["train", "--sample", ""], "sample", "at least 1 character"),
    (["report"], "name one or more studies", "lth ls"),
]


FAILURES = [
    (["show", "abc"], "holds no studies", "--store"),
    (["ticket", "show", "missing.safetensors"], "missing.safetensors", "no file"),
    (["plan", "lenet-300-100", "missing.npz"], "missing.npz", "path"),
]


@pytest.mark.parametrize(
    ("arguments", "found", "advice", "exit_code"),
    [(*case, 2) for case in USAGE] + [(*case, 1) for case in FAILURES],
    ids=[" ".join(case[0]) for case in USAGE + FAILURES],
)
def test_an_error_is_one_line_and_leaves_nothing_behind(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    found: str,
    advice: str,
    exit_code: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, message = run(capsys, *arguments)
    assert code == exit_code
    assert "\n" not in message
    assert found in message
    assert advice in message
    assert message.count("found ") <= 1
    assert message.endswith(" See --help.") == (code == 2)
    assert not list(tmp_path.iterdir())


WRONG = [  # setting, value, words of the message; each is written on the command line, and in a file
    ("model", "lenet-300-10", "unknown model 'lenet-300-10'"),
    ("data", "minst", "unknown data set 'minst'"),
    ("criterion", "large_finl", "unknown criterion 'large_finl'"),
    ("scope", "globl", "unknown scope 'globl'"),
    ("schedule", "one_shot", "unknown schedule 'one_shot'"),
    ("granularity", "filter", "unknown granularity 'filter'"),
    ("kept", "rewnd", "unknown choice for kept weights 'rewnd'"),
    ("pruned", "zeros", "unknown choice for pruned weights 'zeros'"),
    ("sparsifier", "rig1", "unknown sparsifier 'rig1'"),
    ("optimizer", "adem", "unknown optimizer 'adem'"),
    ("loss", "hinge", "unknown loss 'hinge'"),
    ("task", "classificaton", "unknown task 'classificaton'"),
    ("engine", "dense", "unknown engine 'dense'"),
    ("rate", "1.5", "less than 1"),
    ("levels", "0", "greater than or equal to 1"),
    ("levels", "90", "would leave no weight"),
    ("duration", "50", "'50' is not a duration"),
    ("rewind_to", "1000it", "rewind to an earlier step"),
    ("batch_size", "5000", "larger than the"),
    ("controls", "shuffle", "unknown control 'shuffle'"),
    ("train", "no.such:train", "cannot import"),
]


@pytest.mark.parametrize("way", ["command line", "file"])
@pytest.mark.parametrize(("name", "value", "words"), WRONG, ids=[f"{name} {value}" for name, value, _ in WRONG])
def test_a_wrong_choice_exits_2_whatever_way_it_comes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, way: str, name: str, value: str, words: str
) -> None:
    arguments = [f"--{name.replace('_', '-')}", value]
    if way == "file":
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump({name: value}))
        arguments = ["--config", str(tmp_path / "mine.yaml")]
    for command in (["plan"], ["find-ticket", "--quiet", "--store", str(tmp_path / "store")]):
        code, message = run(capsys, *command, *arguments)
        assert (code, message.count("\n")) == (2, 0)
        assert words in message
    assert not (tmp_path / "store").exists()


def test_a_module_of_the_users_that_fails_is_a_failure(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "breaks.py").write_text("1 / 0\n")
    code, message = run(capsys, "plan", "breaks:make")
    assert code == 1
    assert "division by zero" in message
    code, message = run(capsys, "plan", "breaks_not:make")
    assert code == 2


def test_a_store_that_cannot_be_written_is_named_before_anything_trains(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    code, message = run(capsys, "find-ticket", "--store", "file/store", "--quiet")
    assert code == 1
    assert "cannot write file/store" in message
    assert "--store" in message


def test_labels_out_of_range_in_an_npz(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = np.zeros((40, 3), np.float32), np.arange(40) % 4
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y - 1, x_test=x, y_test=y)
    code, message = run(capsys, "plan", "lenet-300-100", "own.npz")
    assert code == 1
    assert "-1" in message


def test_unknown_study(capsys: pytest.CaptureFixture[str], small_study: Path) -> None:
    store = small_study.parent / "store"
    code, message = run(capsys, "show", "ffffffffffff", "--store", str(store))
    assert code == 1
    assert "unknown study" in message


def test_damaged_results_are_named(capsys: pytest.CaptureFixture[str], small_study: Path, tmp_path: Path) -> None:
    for name in ("results.json", "details.json"):
        (tmp_path / name).write_text((small_study / name).read_text())
    (tmp_path / "results.json").write_text('{"format": "lth.results", "version"')
    code, message = run(capsys, "report", str(tmp_path), "--out", str(tmp_path / "out"))
    assert code == 1
    assert "results.json" in message
