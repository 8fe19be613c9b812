"""`lth reproduce`: published numbers beside ours."""

import json
from pathlib import Path

import pytest
from cli_runs import run

from lth.studies import EXPERIMENT_GROUPS, EXPERIMENTS
from lth.studies.experiments.checklist import CHECKLISTS


def test_without_a_name_it_lists_the_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "reproduce").splitlines()
    assert [line.split()[0] for line in shown] == [*EXPERIMENTS, *EXPERIMENT_GROUPS, *CHECKLISTS]
    assert all(experiment.source in line for line, experiment in zip(shown, EXPERIMENTS.values(), strict=False))


@pytest.mark.slow
def test_a_short_run_says_what_it_cannot_compare(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_data_dir: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["reproduce", "frankle-carbin-lenet", str(real_data_dir), "--scale", "0.002", "--replicates", "1"]
    document = json.loads(run(capsys, *arguments, "--json", "--out", "page"))
    assert (document["experiment"], document["scale"]) == ("frankle-carbin-lenet", 0.002)
    assert json.loads((tmp_path / "page" / "reproduction.json").read_text())["rows"] == document["rows"]
    assert len(document["rows"]) == len(EXPERIMENTS["frankle-carbin-lenet"].rows)
    for row in document["rows"]:
        assert row["verdict"] in ("not comparable at this scale", "not measured")
        assert row["band"][0] <= row["published"] <= row["band"][1]
        assert row["ours"] is not None
    config = json.loads((tmp_path / "page" / "results.json").read_text())["config"]
    assert (config["duration"], config["levels"], config["replicates"]) == ("100it", 21, 1)
    shown = run(capsys, *arguments, "--out", "page")  # all of it is in the store
    assert "at 0.2 % of its length" in shown
    assert shown.count("not comparable at this scale") + shown.count("not measured") >= len(document["rows"])
    assert shown.rstrip().endswith(str(Path("page") / "report.html"))


@pytest.mark.slow
def test_the_plan_says_what_is_shared_and_a_small_run_says_that_it_is_small(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_data_dir: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    common = [str(real_data_dir), "--scale", "0.003", "--replicates", "1"]
    shown = run(capsys, "reproduce", "lwh-table", *common, "--plan")
    assert "prunable: 156,160 of 156,160 parameters" in shown
    assert "lwh-a1  21 jobs, 1 in common: 1 with lwh-a2" in shown
    shown = run(capsys, "reproduce", "lwh-a2", *common, "--out", "a2", "--workers", "1", "--quiet")
    assert "Below full scale: gpt-char:n_layer=3" in shown
    assert "not comparable at this scale" in shown
    assert json.loads((tmp_path / "a2" / "reproduction.json").read_text())["small"]
    assert {"curves.csv", "survival.csv", "watched.csv"} <= {path.name for path in (tmp_path / "a2").iterdir()}
