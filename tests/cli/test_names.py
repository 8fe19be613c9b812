"""Studies by name: given when they are run or later, accepted wherever an ID is, with tags and the command."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml
from cli_runs import outcome, run

import lth
from lth.analysis.labels import LABELS, read_labels

TINY = ["--levels", "1", "--replicates", "1", "--duration", "20it", "--controls", "none", "--workers", "0", "--quiet"]
SCRIPT = """\
import lth

if __name__ == "__main__":
    lth.study(
        "train", "lenet-300-100", replicates=1, duration="20it", progress=False, name="scripted", tags=["a", "b"],
        execution=lth.Execution(workers=0),
    )
"""  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_named_study_is_found_by_its_name(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    made = ["find-ticket", *TINY, "--name", "slow", "--tag", "paper,draft", "--tag", "v2"]
    run(capsys, *made)
    [folder] = (here / "lth-store" / "studies").iterdir()
    labels = read_labels(folder)
    assert (labels.name, labels.tags) == ("slow", ("paper", "draft", "v2"))
    shown = run(capsys, "show", "slow")
    assert shown.splitlines()[0].startswith(f"Study {folder.name} 'slow', find-ticket, ")
    assert "Tags      paper, draft, v2\n" in shown
    assert "Command   lth find-ticket --levels 1 " in shown
    assert json.loads(run(capsys, "show", "slow", "--json"))["labels"]["name"] == "slow"
    assert lth.results("slow").id == folder.name
    run(capsys, "report", "slow", "--out", "page")
    assert (here / "page" / "report.html").exists()
    run(capsys, "export", "slow", "--to", "tensorboard:runs")
    assert (here / "runs").is_dir()
    planned = ["--level", "1", "--criterion", "random", "--json"]
    by_name = json.loads(run(capsys, "plan", "ablate", "slow", *planned))
    assert by_name["study"] == json.loads(run(capsys, "plan", "ablate", folder.name[:6], *planned))["study"]
    # The same command is noted once; another one, which means the same study, beside it.
    run(capsys, *made)
    assert read_labels(folder).commands == labels.commands
    run(capsys, "find-ticket", *TINY, "--seed", "0")
    assert [each.command.split()[-1] for each in read_labels(folder).commands] == ["v2", "0"]
    assert read_labels(folder).name == "slow"


def test_a_name_is_taken_once(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    run(capsys, "find-ticket", *TINY, "--name", "slow")
    [folder] = (here / "lth-store" / "studies").iterdir()
    code, _, message = outcome(capsys, "find-ticket", *TINY, "--rate", "0.5", "--name", "slow")
    assert code == 2
    assert f"the name 'slow' is taken: study {folder.name} of the store lth-store has it" in message
    assert [folder] == [*(here / "lth-store" / "studies").iterdir()]  # nothing was begun
    for arguments in (["--name", "a b"], ["--name", "feed"], ["--tag", "a/b"]):
        code, _, message = outcome(capsys, "find-ticket", *TINY, *arguments)
        assert code == 2, message
        assert "letters, digits" in message or "beginning of an ID" in message


def test_damaged_labels_stop_no_training(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    monkeypatch.setattr(sys, "warnoptions", [])
    train = ["train", *TINY[2:6], *TINY[8:], "--tag", "paper"]
    run(capsys, *train)
    [folder] = (here / "lth-store" / "studies").iterdir()
    (folder / LABELS).write_text("{")
    for arguments in ([], ["--seed", "1", "--name", "other"]):  # this study again, and one beside it
        with warnings.catch_warnings(action="default"):
            code, _, message = outcome(capsys, *train, *arguments)
        assert code == 0, message
        assert f"{folder.name}/labels.json is damaged" in message
        assert ("what this run adds is not kept" in message) == (arguments == [])
    assert (folder / LABELS).read_text() == "{"
    with pytest.warns(UserWarning, match="is damaged"):
        assert lth.results("other").results["config"]["seed"] == 1


def test_labels_change_later(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    run(capsys, "train", *TINY[2:6], *TINY[8:])
    [folder] = (here / "lth-store" / "studies").iterdir()
    assert "no name; tags: none" in run(capsys, "label", folder.name[:5])
    assert "slow; tags: a, b" in run(capsys, "label", folder.name[:5], "--name", "slow", "--tag", "a,b")
    assert "slower; tags: b, c" in run(capsys, "label", "slow", "--name", "slower", "--untag", "a", "--tag", "c")
    code, _, message = outcome(capsys, "label", "slow", "--tag", "d")
    assert (code, "Did you mean 'slower'?" in message) == (1, True)
    assert outcome(capsys, "label", "slower", "--tag", "a", "--untag", "a")[0] == 2
    assert outcome(capsys, "label", "slower", "--name", "c0ffee")[0] == 2


def test_studies_of_a_sweep_are_numbered_and_a_file_may_name(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    settings = {
        "run": "train", "replicates": 1, "duration": "20it", "workers": 0, "name": "rates", "tag": ["paper"],
        "sweep": {"grid": {"lr": [0.1, 0.2]}},
    }  # fmt: skip
    (here / "sweep.yaml").write_text(yaml.safe_dump(settings))
    run(capsys, "run", "sweep.yaml", "--tag", "again")
    names = {each: lth.results(each).results["config"]["lr"] for each in ("rates-1", "rates-2")}
    assert names == {"rates-1": 0.1, "rates-2": 0.2}
    for folder in (here / "lth-store" / "studies").iterdir():
        labels = read_labels(folder)
        assert labels.tags == ("again",)  # the command line wins over the file
        assert [each.command for each in labels.commands] == ["lth run sweep.yaml --tag again"]
    for mistake in ("nmae", "tags"):
        (here / "sweep.yaml").write_text(yaml.safe_dump(settings | {mistake: "x"}))
        assert outcome(capsys, "run", "sweep.yaml")[0] == 2


def test_a_script_names_its_study_and_is_its_command(here: Path) -> None:
    (here / "mine.py").write_text(SCRIPT)
    subprocess.run([sys.executable, "mine.py", "x y"], check=True, timeout=200)
    labels = read_labels(here / "lth-store" / "studies" / lth.results("scripted").id)
    assert (labels.name, labels.tags) == ("scripted", ("a", "b"))
    assert [each.command for each in labels.commands] == [f"python {here / 'mine.py'} 'x y'"]
    with pytest.raises(ValueError, match="a name has letters"):
        lth.study("train", name="a b")
