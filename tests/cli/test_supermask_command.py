"""`lth supermask`: flags from the settings, results printed and written."""

import json
from pathlib import Path

import pytest
from cli_runs import outcome, run

from lth.cli.options import read_settings
from lth.studies import STUDIES, settings_of

SHORT = ["--duration", "20it", "--draws", "2", "--workers", "0"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_prints_and_writes_its_results(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    arguments = ["lenet-300-100", "digits", *SHORT, "--replicates", "2", "--rescale", "--out", "page"]
    code, shown, said = outcome(capsys, "supermask", *arguments)
    assert code == 0, said
    assert "jobs to do" in said
    results = json.loads((here / "page" / "results.json").read_text())
    assert (results["config"]["rescale"], results["config"]["duration"]) == (True, "20it")
    assert shown.startswith(results["verdict"]["sentences"][0])
    assert {row["arm"] for row in results["rows"]} == {"sampled", "thresholded", "random", "untrained"}
    page = (here / "page" / "report.html").read_text()
    for words in ("random masks with the densities of the thresholded ones", "no masks: the untrained network"):
        assert words in page
    # The settings beside the results make the same study, and what is done is not done again.
    code, shown, said = outcome(capsys, "supermask", "--config", "page/config.yaml", "--out", "page", "--json")
    again = json.loads(shown)
    for document in (again, results):
        document.pop("environment")
        document.pop("created", None)
    assert again == results
    assert said == ""
    assert run(capsys, "ls").splitlines()[1].split()[:2] == [results["id"], "supermask"]
    assert "thresholded" in run(capsys, "show", results["id"])


def test_edge_popup_has_no_sampled_arm_and_flags_turn_off(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--method", "edge_popup", "--density", "0.25", "--no-rescale", "--weights", "signed_constant"]
    code, _, said = outcome(capsys, "supermask", *SHORT, *arguments, "--replicates", "1", "--quiet", "--out", "page")
    assert (code, said) == (0, "")
    results = json.loads(Path("page/results.json").read_text())
    assert (results["config"]["rescale"], results["config"]["weights"]) == (False, "signed_constant")
    assert {row["arm"] for row in results["rows"]} == {"thresholded", "random", "untrained"}
    densities = json.loads(Path("page/details.json").read_text())["tables"]["densities"]
    assert [row["mean"] for row in densities] == pytest.approx([0.25, 0.25, 0.25], abs=1e-3)


def test_a_sweep_is_several_studies(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "sweep.yaml").write_text("duration: 10it\nreplicates: 1\nsweep: {grid: {density: [0.3, 0.6]}}\n")
    found = json.loads(run(capsys, "supermask", "--config", "sweep.yaml", "--workers", "0", "--json", "--out", "pages"))
    assert [each["config"]["density"] for each in found] == [0.3, 0.6]
    assert all((here / "pages" / each["id"] / "results.json").exists() for each in found)


def test_the_command_line_wins_over_file_and_preset(here: Path) -> None:
    (here / "mine.yaml").write_text("lr: 1e-2\nrescale: true\n")
    studies, _ = read_settings(STUDIES["supermask"], here / "mine.yaml", {"rescale": False})
    assert studies == [settings_of(STUDIES["supermask"], {"lr": 0.01, "rescale": False})]
