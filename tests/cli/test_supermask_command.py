"""`lth supermask`: flags from the settings, results printed and written."""

import json
from pathlib import Path

import pytest
from cyclopts import App

from lth.cli.errors import UsageError
from lth.cli.options import read_settings
from lth.cli.supermask import supermask
from lth.config import FindTicket, Running
from lth.config.supermask import LearnSupermask, supermask_preset

SHORT = ["--duration", "20it", "--draws", "2", "--workers", "0"]


def run(*arguments: str) -> int:
    """The command's exit code."""
    app = App(name="lth")
    app.command(supermask, name="supermask")
    return int(app(["supermask", *arguments], exit_on_error=False, print_error=False, result_action="return_value"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_setting_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    app = App(name="lth", help_format="plaintext")
    app.command(supermask, name="supermask")
    app(["supermask", "--help"], result_action="return_value")
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name, info in {**LearnSupermask.model_fields, **Running.model_fields}.items():
        assert f"--{(info.alias or name).replace('_', '-')}" in shown
        assert info.description, f"{name} has no help text"
    assert "--no-rescale" in shown
    assert "[default: 0.5]" in shown
    assert not any(
        f"--{name}" in shown for name in FindTicket.model_fields.keys() & {"levels", "criterion", "controls"}
    )


def test_it_prints_and_writes_what_it_found(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    assert run("lenet-300-100", "digits", *SHORT, "--replicates", "2", "--rescale", "--out", "page") == 0
    shown = capsys.readouterr()
    assert "replicate 1 done" in shown.err
    results = json.loads((here / "page" / "results.json").read_text())
    assert results["config"]["rescale"] is True
    assert results["config"]["duration"] == "20it"
    mean = 100 * results["test_accuracy"]["sampled"]["mean"]
    line = next(line for line in shown.out.splitlines() if "sampled" in line)
    assert f"{mean:.2f} ± " in line
    for words in ("random masks, same densities", "no masks: the untrained network", "hidden1.weight"):
        assert words in shown.out
    # The settings beside the results make the same study, and what is done is not done again.
    assert run("--config", "page/config.yaml", "--out", "page", "--json") == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == results
    assert again.err == ""


def test_edge_popup_has_no_sampled_line_and_flags_turn_off(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--method", "edge_popup", "--density", "0.25", "--no-rescale", "--weights", "signed_constant"]
    assert run(*SHORT, *arguments, "--replicates", "1", "--quiet", "--out", "page") == 0
    shown = capsys.readouterr()
    assert "learned masks, sampled" not in shown.out
    assert "Density of the thresholded masks: 25.00 %" in shown.out
    assert shown.err == ""
    config = json.loads(Path("page/results.json").read_text())["config"]
    assert (config["rescale"], config["weights"]) == (False, "signed_constant")


def test_a_sweep_is_several_studies(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "sweep.yaml").write_text("duration: 10it\nreplicates: 1\nsweep: {grid: {density: [0.3, 0.6]}}\n")
    assert run("--config", "sweep.yaml", "--workers", "0", "--json", "--out", "pages") == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["config"]["density"] for each in found] == [0.3, 0.6]
    assert all((here / "pages" / each["id"] / "results.json").exists() for each in found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"density": 1.5}, "density: input should be less than 1"),
        ({"method": "edge_popup", "initial_score": 1.0}, "edge_popup draws its first scores at random"),
        ({"levels": 3}, "unknown setting 'levels'"),
        ({"method": "best"}, "method: input should be 'bernoulli' or 'edge_popup'"),
    ],
)
def test_bad_settings_are_told_in_one_line(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_settings(None, given, LearnSupermask, supermask_preset)


def test_the_command_line_wins_over_file_and_preset(here: Path) -> None:
    (here / "mine.yaml").write_text("lr: 1e-2\nrescale: true\n")
    studies, _ = read_settings(here / "mine.yaml", {"rescale": False}, LearnSupermask, supermask_preset)
    assert studies == [{"lr": "1e-2", "rescale": False}]
