"""The published tickets of BERT: settings of the searches, and rows that cannot be run say why."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lth.analysis.statistics import interval
from lth.cli.main import main
from lth.data.glue import GLUE
from lth.launch.reproduce import left_out, load_experiments, other_subject
from lth.studies import EXPERIMENT_GROUPS, EXPERIMENTS
from lth.studies.experiments.bert_tickets import STUDY_LINES, TABLE_LINES
from lth.studies.experiments.experiment import comparison, not_run

transformers = pytest.importorskip("transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small SST-2 and a small BERT."""
    place = tmp_path / "data" / "glue" / "SST-2"
    place.mkdir(parents=True)
    for name, number in (("train", 200), ("dev", 10)):
        lines = [f"{'good film' if row % 2 else 'bad film film'}\t{row % 2}" for row in range(number)]
        (place / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *lines, ""]))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertModel(config).save_pretrained(tmp_path / "mini")
    (tmp_path / "mini" / "vocab.txt").write_text("\n".join(WORDS))
    return tmp_path


@pytest.mark.parametrize("name", [name for name, line in TABLE_LINES.items() if line.data])
def test_searches_are_as_the_paper_ran_them(name: str) -> None:
    line, flat = TABLE_LINES[name], EXPERIMENTS[name].settings(1).flat()
    assert (flat["model"], flat["data"]) == ("bert-base-uncased", line.data)
    assert (flat["duration"], flat["batch_size"], flat["lr"], flat["rewind_to"]) == ("3ep", 32, 2e-5, "0it")
    assert (flat["per_level"], 100 * flat["per_level"] * flat["levels"]) == (0.1, line.sparsity)
    assert flat["controls"] == ["random"]
    dense, ticket, random = line.reported
    assert dense >= ticket > random
    assert EXPERIMENTS[name].settings(0.1).flat()["duration"] == f"{max(10, round(0.3 * line.rows[0] / 32))}it"


def test_the_later_study_goes_back_to_an_epoch() -> None:
    for name, study in STUDY_LINES.items():
        flat = EXPERIMENTS[name].settings(1).flat()
        assert (flat["duration"], flat["rewind_to"], flat["seed"], flat["replicates"]) == ("3ep", "1ep", 42, 3)
        assert len(study.dense) == len(study.ticket) == 3
        small = EXPERIMENTS[name].settings(0.01).flat()
        assert 3 * int(small["rewind_to"].removesuffix("it")) <= int(small["duration"].removesuffix("it"))


def test_measures_by_hand() -> None:
    def row(arm: str, replicate: int, density: float, value: float) -> dict[str, Any]:
        return {"arm": arm, "replicate": replicate, "at": {"density": density}, "end": {"test/accuracy": value}}

    rows = [row("dense", r, 1.0, 0.92 + r / 100) for r in (0, 1)]
    rows += [row("ticket", r, at, value) for r in (0, 1) for at, value in ((0.5, 0.7), (0.4001, 0.915))]
    rows += [row("random", 0, 0.4, 0.6)]
    results: Any = {"rows": rows, "confidence": 0.95}
    numbers = comparison(EXPERIMENTS["bert-tickets-sst2"], results, {}, 1.0)  # type: ignore[arg-type]
    assert [each["ours"]["mean"] for each in numbers] == pytest.approx([92.5, 91.5, 60.0])  # type: ignore[index]
    assert [each["verdict"] for each in numbers] == ["inside", "inside", "outside"]
    assert numbers[0]["ours"]["low"] == pytest.approx(interval([92.0, 93.0], 0.95)["low"])  # type: ignore[index]
    other = comparison(EXPERIMENTS["bert-tickets-sst2"], results, {}, 1.0, "another model")  # type: ignore[arg-type]
    assert {each["verdict"] for each in other} == {"another model"}


def test_what_is_not_at_hand_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LTH_DATA_DIR", raising=False)
    names = EXPERIMENT_GROUPS["bert-tickets"]
    experiments = {name: EXPERIMENTS[name] for name in names}
    reasons = left_out(experiments, folder / "data", str(folder / "mini"))
    assert set(names) - reasons.keys() == {"bert-tickets-sst2", "bert-study-sst2"}
    assert reasons["bert-tickets-squad"] == "not run: no task of lth's"
    assert reasons["bert-tickets-mlm"].startswith("not run: needs the data")
    rows = not_run(EXPERIMENTS["bert-tickets-squad"], reasons["bert-tickets-squad"])
    assert [(row["published"], row["ours"]) for row in rows] == [(88.1, None), (87.7, None), (31.8, None)]
    [study] = load_experiments([EXPERIMENTS["bert-tickets-sst2"]], 0.0001, 1, folder / "data", str(folder / "mini"))
    assert other_subject(EXPERIMENTS["bert-tickets-sst2"], study).startswith("another model: mini; published numbers")


def test_numbers_of_rows_and_metrics_are_glues() -> None:
    for line in [*TABLE_LINES.values(), *STUDY_LINES.values()]:
        if not line.data or line is STUDY_LINES["bert-study-qqp"]:  # which has a split of its own
            continue
        task = GLUE[line.data.removeprefix("glue/")]
        assert line.rows == (task.rows["train"], task.rows["test"])
        assert getattr(line, "measure", task.measures[0]) == task.measures[0]


def test_a_plan_lists_every_row_where_the_model_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTH_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SystemExit, match="0"):
        main(["reproduce", "bert-tickets", str(folder / "data"), "--plan"])
    lines = [line.partition(": ") for line in capsys.readouterr().out.splitlines()]
    reasons = {name: reason for name, _, reason in lines}
    assert reasons.keys() == set(EXPERIMENT_GROUPS["bert-tickets"])
    assert reasons["bert-tickets-sst2"] == "not run: needs bert-base-uncased (--model FOLDER)"
    assert reasons["bert-tickets-rte"].startswith("not run: needs the data")


@pytest.mark.slow
def test_the_table_at_a_small_scale(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTH_DATA_DIR", str(folder / "data"))
    common = ["reproduce", "bert-tickets", str(folder / "data"), "--scale", "0.0001", "--replicates", "1"]
    common += ["--model", str(folder / "mini"), "--store", str(folder / "store")]
    with pytest.raises(SystemExit, match="0"):
        main([*common, "--plan"])
    planned = capsys.readouterr().out
    assert "find-ticket: mini on glue/sst2" in planned
    assert "bert-tickets-rte: not run: needs the data" in planned
    with pytest.raises(SystemExit, match="0"):
        main([*common, "--workers", "0", "--quiet", "--json", "--out", str(folder / "out")])
    documents = {each["experiment"]: each for each in json.loads(capsys.readouterr().out)}
    assert documents.keys() == set(EXPERIMENT_GROUPS["bert-tickets"])
    ours = documents["bert-tickets-sst2"]["rows"]
    assert all(0 <= row["ours"]["mean"] <= 100 for row in ours)
    assert {row["verdict"] for row in ours} == {"another model: mini; published numbers are of bert-base-uncased"}
    assert documents["bert-tickets-squad"]["study"] == ""
    with pytest.raises(SystemExit, match="2"):
        main(["reproduce", "lwh-a2", "--model", "mini"])
    assert "lwh-a2 trains its own" in capsys.readouterr().err
