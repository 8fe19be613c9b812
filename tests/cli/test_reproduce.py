"""`lth reproduce`: published numbers beside ours."""

import json
from pathlib import Path

import pytest
from cli_runs import run

from lth.studies import EXPERIMENTS


def test_without_a_name_it_lists_the_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "reproduce").splitlines()
    assert [line.split()[0] for line in shown] == list(EXPERIMENTS)
    assert all(experiment.source in line for line, experiment in zip(shown, EXPERIMENTS.values(), strict=True))


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
