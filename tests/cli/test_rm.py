"""`lth rm`: studies and unreferenced results go when a user agrees, and nothing that is built does."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from cli_runs import outcome, run

from lth.cli.main import main
from lth.launch.notes import BUILDING
from lth.lineage.lease import Leases

TINY = ["--levels", "1", "--replicates", "1", "--duration", "20it", "--controls", "random", "--workers", "0", "--quiet"]
"""A dense network, a ticket and a random control, with two masks."""
Run = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place where two searches were made that share their dense network; one is called slow."""
    place = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for arguments in (["--name", "slow"], ["--rate", "0.5"]):
            with pytest.raises(SystemExit) as ended:
                main(["find-ticket", *TINY, *arguments])
            assert ended.value.code == 0
    return place


@pytest.fixture
def here(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "place"
    shutil.copytree(built, place)
    monkeypatch.chdir(place)
    return place


def studies(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "lth-store" / "studies").iterdir())


def objects(place: Path) -> set[str]:
    return {path.name for path in place.glob("lth-store/objects/*/*")}


def id_of(name: str, capsys: Run) -> str:
    return str(json.loads(run(capsys, "show", name, "--json"))["id"])


def test_a_study_goes_and_then_what_was_its_own(here: Path, capsys: Run) -> None:
    slow, before = id_of("slow", capsys), objects(here)
    said = run(capsys, "rm", "slow", "--yes")
    assert f"Study {slow} 'slow', find-ticket of lenet-300-100 on digits, " in said
    assert "3 finished trainings, 2 of which no other study uses" in said
    assert "40 steps are this study's alone" in said
    assert "labels.json" in said
    assert "stays    the report in " in said
    assert slow not in studies(here)
    assert (here / "lth-reports").is_dir()
    assert objects(here) == before
    assert [*(here / "lth-store" / "work").iterdir()] == []
    assert outcome(capsys, "show", "slow")[0] == 1

    said = run(capsys, "rm", "--unreferenced", "--yes")
    kinds = {tuple(line.split()[:2]) for line in said.splitlines()[1:4]}
    assert kinds == {("Pruned", "1"), ("Shuffled", "1"), ("Trained", "2")}
    assert "Removed    4 results that no study refers to" in said
    assert len(objects(here)) == len(before) - 4
    assert "nothing to remove" in run(capsys, "rm", "--unreferenced", "--yes")
    # The other study has all that it needs, and what was removed is made again.
    [other] = studies(here)
    run(capsys, "report", other)
    run(capsys, "find-ticket", *TINY)
    assert objects(here) == before


def end_of_input(question: str) -> str:
    raise EOFError(question)


def test_nothing_goes_without_a_yes(here: Path, capsys: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = studies(here)
    code, shown, message = outcome(capsys, "rm", "slow")
    assert code == 2
    assert "finished trainings" in shown
    assert message == "lth: nothing was removed: without a terminal to ask on, --yes agrees. See --help."
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    asked = list[str]()
    for answer in ("", "n", "no way"):
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: asked.append(question) or answer)
        assert "Nothing was removed." in run(capsys, "rm", *before)
    with monkeypatch.context() as patched:
        patched.setattr("builtins.input", end_of_input)
        assert "Nothing was removed." in run(capsys, "rm", *before)
    assert asked[0] == "Remove these 2 studies from lth-store? [y/N] "
    assert studies(here) == before
    monkeypatch.setattr("builtins.input", lambda question: "Y")
    assert "Removed" in run(capsys, "rm", *before)
    assert studies(here) == []


def test_what_is_being_built_stays(here: Path, capsys: Run) -> None:
    slow, before = id_of("slow", capsys), studies(here)
    key = json.loads((here / "lth-store" / "studies" / slow / "study.json").read_text())["trainings"][-1]["key"]
    for folder in (Path("studies") / slow / BUILDING, Path("work") / key):
        with Leases() as leases:
            assert leases.acquire(here / "lth-store" / folder)
            code, _, message = outcome(capsys, "rm", "slow", "--yes")
        assert code == 1
        assert f"study {slow} is being built by process " in message
    assert studies(here) == before
    stranger = here / "lth-store" / "work" / ("f" * 64)
    with Leases() as leases:
        assert leases.acquire(stranger)
        code, _, message = outcome(capsys, "rm", "--unreferenced", "--yes")
        assert (code, "builds a result that no study refers to" in message) == (1, True)
    assert "begun and interrupted" in run(capsys, "rm", "--unreferenced", "--yes")  # its owner has left
    assert not stranger.exists()
    run(capsys, "rm", "slow", "--yes")


def test_a_study_that_was_begun_meanwhile_keeps_its_results(
    here: Path, capsys: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = objects(here)
    place = here / "lth-store" / "studies" / id_of("slow", capsys)
    place.rename(here / "aside")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)

    def answer(question: str) -> str:
        assert question.startswith("Remove 4 results that no study refers to (")
        (here / "aside").rename(place)
        return "yes"

    monkeypatch.setattr("builtins.input", answer)
    assert "Removed    0 results" in run(capsys, "rm", "--unreferenced")
    assert objects(here) == before


def test_an_older_study_without_derivation_is_asked_for_one(here: Path, capsys: Run) -> None:
    slow, before = id_of("slow", capsys), objects(here)
    (here / "lth-store" / "studies" / slow / "derivation.json").unlink()
    code, _, message = outcome(capsys, "rm", "--unreferenced", "--yes")
    assert (code, f"study {slow} notes no derivation" in message) == (1, True)
    shown = outcome(capsys, "rm", "slow")[1]
    assert "3 finished trainings, 2 of which no other study uses" in shown
    assert " steps" not in shown
    (here / "lth-store" / "studies" / slow / "derivation.json").write_text("{")
    assert "is damaged" in outcome(capsys, "rm", "--unreferenced", "--yes")[2]
    assert objects(here) == before


@pytest.mark.parametrize("arguments", [[], ["slow", "--unreferenced"]])
def test_either_studies_or_results(here: Path, capsys: Run, arguments: list[str]) -> None:
    assert outcome(capsys, "rm", *arguments, "--yes")[0] == 2
    assert outcome(capsys, "rm", "slwo", "--yes")[0] == 1
