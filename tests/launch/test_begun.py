"""What was begun and interrupted is told: by the plan, by `lth ls`, and by the first line when it goes on."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from lth.cli.ls import ls
from lth.data import load_data
from lth.launch.notes import register
from lth.launch.plan import plan_document, print_plan
from lth.launch.progress import Plain
from lth.launch.words import begun_in_words
from lth.lineage import Execution, Store, Unobserved, build, plan
from lth.models import MODELS
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study, prepare
from lth.training import Interrupted

HERE = Execution(workers=0, engine="torch", snapshot_seconds=0.0)


class StopsAt(Unobserved):
    """Presses Ctrl-C when a training is told to be at a step, and notes where it is said to go on."""

    def __init__(self, step: int) -> None:
        self._step, self.first = step, dict[str, int]()

    def progress(self, key: str, step: int, values: Mapping[str, float]) -> None:
        self.first.setdefault(key, step)
        if step >= self._step and len(self.first) == 2:
            self._step = 10**9  # once: a second Ctrl-C would end at once
            os.kill(os.getpid(), signal.SIGINT)


def study(name: str) -> Study:
    given = {"replicates": 1, "duration": "200it", "evaluate_every": 20, "levels": 1}
    given |= {"controls": "none"} if name == "find-ticket" else {}
    return prepare(STUDIES[name], settings_of(STUDIES[name], given), MODELS["lenet-300-100"].make, load_data("digits"))


def interrupted(name: str, folder: Path) -> tuple[Study, Store, dict[str, int]]:
    """Return a study that was interrupted in its second training, and where its snapshots are."""
    made, store = study(name), Store(folder)
    register(made, store)
    with pytest.raises(Interrupted):
        build(made.targets, store, made.sources, HERE, StopsAt(60))
    return made, store, dict(plan(made.targets, store).begun)


@pytest.mark.parametrize("name", ["find-ticket", "stability"])  # trainings that are points, and that others stand on
def test_what_was_begun_is_told(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, store, begun = interrupted(name, tmp_path)
    [(key, step)] = begun.items()
    assert step >= 60
    words = f"1 begun, at step {step:,}"
    document = plan_document(made, store, HERE)
    assert document["begun"] == begun
    print_plan(document)
    assert f"to do ({words}): " in capsys.readouterr().out
    assert ls(store=tmp_path) == 0
    assert f"unfinished ({words})" in capsys.readouterr().out
    ls(store=tmp_path, json_=True)
    assert json.loads(capsys.readouterr().out)[0]["begun"] == begun
    Plain(made, ["engine: torch"]).planned(plan(made.targets, store))
    assert capsys.readouterr().err.splitlines()[:2] == [f"going on: {words}", "engine: torch"]

    goes_on = StopsAt(10**9)
    build(made.targets, store, made.sources, Execution(workers=0, engine="torch"), goes_on)
    assert goes_on.first[key] == step  # where it was said to go on
    assert plan(made.targets, store).begun == {}


def test_nothing_begun_is_not_spoken_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, store = study("find-ticket"), Store(tmp_path)
    register(made, store)
    ls(store=tmp_path)
    Plain(made).planned(plan(made.targets, store))
    said = capsys.readouterr()
    assert "begun" not in said.out + said.err
    assert "unfinished" in said.out


def test_a_damaged_snapshot_is_passed_over(tmp_path: Path) -> None:
    made, store, begun = interrupted("find-ticket", tmp_path)
    [(key, step)] = begun.items()
    newest = store.work_folder(key) / "snapshot"
    newest.write_bytes(b"{cut off")
    before = plan(made.targets, store).begun
    assert before.get(key, 0) < step


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], ""),
        ([300], "1 begun, at step 300"),
        ([300, 1200], "2 begun, at steps 1,200 and 300"),
        ([1, 2, 3], "3 begun, at steps 3, 2 and 1"),
        (range(100, 600, 100), "5 begun, at steps 100 to 500"),
    ],
)
def test_steps_in_words(steps: list[int], words: str) -> None:
    assert begun_in_words(steps) == words
