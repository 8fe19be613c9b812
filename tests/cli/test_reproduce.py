"""`lth reproduce`: published numbers beside ours."""

import json
import re
from pathlib import Path

import pytest
from cli_runs import run

from lth.studies import EXPERIMENT_GROUPS, EXPERIMENTS
from lth.studies.experiments.checklist import CHECKLISTS


def test_without_a_name_it_lists_the_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "reproduce")
    assert run(capsys, "reproduce", "--list") == shown
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    alone = [name for name in EXPERIMENTS if not any(name in group for group in EXPERIMENT_GROUPS.values())]
    firsts = [line.split()[0] for line in lines[1:] if not line.startswith(" ")]
    assert firsts == [*alone, *EXPERIMENT_GROUPS, *CHECKLISTS]
    words = " ".join(shown.split())
    assert all(experiment.source in words for experiment in EXPERIMENTS.values())
    assert all(re.search(rf"[ ,]{name}(,| |$)", words) for name in EXPERIMENTS)
    assert "frankle-carbin-fig4 mnist 16M steps, 83 min, two cores" in words


@pytest.mark.slow
def test_a_short_run_says_what_it_cannot_compare(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_data_dir: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["reproduce", "frankle-carbin-fig4", str(real_data_dir), "--scale", "0.002", "--replicates", "1"]
    document = json.loads(run(capsys, *arguments, "--json", "--out", "page"))
    assert (document["experiment"], document["scale"]) == ("frankle-carbin-fig4", 0.002)
    assert json.loads((tmp_path / "page" / "reproduction.json").read_text())["rows"] == document["rows"]
    assert len(document["rows"]) == len(EXPERIMENTS["frankle-carbin-fig4"].rows)
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
    assert "at 0.3 % of its length; gpt-char:n_layer=3" in shown
    assert "not comparable at this scale" in shown
    assert json.loads((tmp_path / "a2" / "reproduction.json").read_text())["small"]
    assert {"curves.csv", "survival.csv", "watched.csv"} <= {path.name for path in (tmp_path / "a2").iterdir()}
