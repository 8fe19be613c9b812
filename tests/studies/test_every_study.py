"""One contract for every study and every task: it runs, its documents are whole, its words fit, and nothing is lost.

A study or a task that is new in the tables is run here without a word; what it needs stands in the two tables below.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builds import HERE, Notes, assert_same_content, built, files_in
from pydantic import TypeAdapter
from torch import Tensor, nn

import lth
from lth.analysis import read_documents
from lth.analysis.documents import Details, Results, Verdict
from lth.analysis.table import caption, text_table
from lth.cli.main import main
from lth.data import from_arrays, load_data
from lth.lineage import Store, build, plan
from lth.models import resolve_factory
from lth.report.early import drawn_plots
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import all_arms, prepare
from lth.tasks import TASKS

SMALL: dict[str, dict[str, Any]] = {
    "find-ticket": {"levels": 2, "rewind_to": "5it"},
    "supermask": {"draws": 2},
    "connect": {"points": 3, "connect_levels": "0,2", "rewind_to": "0it,5it"},
    "stability": {"levels": 2},
    "few-shot": {"shots": "4,8", "validation": 10},
    "ablate": {"levels": 2, "level": 2, "branches": "criterion=random; kept=reinit,pruned=freeze"},
    "sparsify": {"sparsities": "0.5,0.9", "methods": "gradual,soft"},
    "rewinding": {"levels": 2, "rewind_steps": "0it,5it", "lr_decay": "step", "lr_milestones": "10it"},
    "transfer": {"levels": 2, "source_optimizer": "sgd", "source_lr": 0.1},
    "merge": {"levels": 2, "rewind_to": "5it"},
    "remove": {"tickets": 3, "levels": 1},
    "regrow": {"limit": 2},
    "selective-noise": {"shares": "0.5"},
}
"""What makes a study small; another one runs by its own defaults and `COMMON`."""

COMMON: dict[str, Any] = {"replicates": 2, "duration": "20it", "evaluate_every": 10, "batch_size": 20}

NOT_RUN: dict[tuple[str, str], str] = (
    {
        (study, "yours"): "a task of the user's own functions, which tests/training and tests/launch run"
        for study in STUDIES
    }
    | {
        (study, task): "measured as another task is, which this study runs: what is its own, two studies show"
        for study in STUDIES
        for task in ("sequence-classification", "sequence-regression", "masked-language-model")
        if study not in ("train", "supermask")
    }
    | {
        (study, task): f"measured as {other} is, which this study runs beside classification"
        for study, other in (
            ("rewinding", "language-model"),
            ("transfer", "regression"),
            ("merge", "regression"),
            ("remove", "regression"),
            ("regrow", "regression"),
            ("selective-noise", "language-model"),
        )
        for task in {"regression", "language-model"} - {other}
    }
    | {("ablate", "language-model"): "its trainings are those of find-ticket, which runs it"}
)
"""Pairs that do not apply or show nothing new, and why. Supermasks apply to all tasks."""


def regressor(input_shape: tuple[int, ...], num_targets: int) -> nn.Module:
    """A small perceptron for numbers."""
    return nn.Sequential(nn.Linear(input_shape[0], 16), nn.ReLU(), nn.Linear(16, num_targets))


def text_file(folder: Path) -> str:
    """A short text as a data set."""
    words = "the wood has eyes and the field has ears so i will see and hear and say no word "
    (folder / "short.txt").write_text(words * 40)
    return f"{folder / 'short.txt'}:block=16"


class Words(nn.Module):
    """A small encoder of token ids: the mean of what attention lets it see beside each token; an output for either."""

    def __init__(self, outputs: int, *, is_each: bool = False) -> None:
        super().__init__()
        self.embedding, self.hidden, self.output = nn.Embedding(11, 8), nn.Linear(16, 16), nn.Linear(16, outputs)
        self.is_each = is_each

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:  # (batch, position) twice
        seen = attention_mask.unsqueeze(-1).to(self.embedding.weight.dtype)
        words = self.embedding(input_ids)
        mean = (words * seen).sum(1, keepdim=True) / seen.sum(1, keepdim=True)
        outputs = self.output(torch.tanh(self.hidden(torch.cat([words, mean.expand_as(words)], -1))))
        return outputs if self.is_each else (outputs * seen).sum(1) / seen.sum(1)


def words_classifier(num_classes: int) -> nn.Module:
    """Classes of sentences."""
    return Words(num_classes)


def words_scorer(num_targets: int) -> nn.Module:
    """A number for each sentence."""
    return Words(num_targets)


def words_guesser(vocabulary: int) -> nn.Module:
    """Each token of a sentence."""
    return Words(vocabulary, is_each=True)


def sentences(task: str) -> lth.Data:
    """Sentences of six tokens, padded: whether token 3 is there, how many are above 5, and some of them hidden."""
    draw = np.random.default_rng(0)
    ids, lengths = draw.integers(1, 10, (300, 6)), draw.integers(2, 7, (300, 1))
    mask = (np.arange(6) < lengths).astype(np.int64)
    ids *= mask
    hidden = (draw.random((300, 6)) < 0.3) & (mask > 0)
    targets = {
        "sequence-classification": (ids == 3).any(1).astype(np.int64),
        "sequence-regression": (ids > 5).sum(1, keepdims=True) / 6,
        "masked-language-model": np.where(hidden, ids, -100),
    }[task]
    shown = np.where(hidden, 10, ids) if task == "masked-language-model" else ids
    inputs = {"input_ids": shown, "attention_mask": mask}
    train, test = ({name: array[part] for name, array in inputs.items()} for part in (slice(200), slice(200, 300)))
    data = from_arrays(train, targets[:200], test, targets[200:], "sentences", task=task)
    measures = {"measures": ("f1", "accuracy")} if task == "sequence-classification" else {}
    return replace(data, facts={**data.facts, **measures})


SUBJECTS: dict[str, Callable[[Path], tuple[str | Callable[..., nn.Module], str | lth.Data]]] = {
    "classification": lambda _: ("lenet-300-100", "digits"),
    "regression": lambda _: (regressor, "diabetes"),
    "language-model": lambda folder: ("gpt-char:n_embd=16,n_layer=1,n_head=2", text_file(folder)),
    "sequence-classification": lambda _: (words_classifier, sentences("sequence-classification")),
    "sequence-regression": lambda _: (words_scorer, sentences("sequence-regression")),
    "masked-language-model": lambda _: (words_guesser, sentences("masked-language-model")),
}
"""By task: a model and data."""

LEAST: dict[str, dict[str, Any]] = {
    "classification": {"num_classes": 10},
    "language-model": {"vocabulary": 20, "bytes_per_token": 1.0},
    "sequence-classification": {"num_classes": 2, "measures": ("f1", "accuracy")},
    "masked-language-model": {"vocabulary": 11},
}
"""The least that makes a task."""

KILLS = {
    "find-ticket": 60,
    "train": 12,
    "supermask": 12,
    "connect": 90,
    "stability": 50,
    "sparsify": 70,
    "few-shot": 25,
    "rewinding": 60,
    "transfer": 60,
    "merge": 60,
    "remove": 60,
    "regrow": 60,
    "selective-noise": 35,
    "ablate": 60,
}
"""By study: reports of progress after which it is killed."""

PAIRS = [(study, task) for study in STUDIES for task in TASKS if (study, task) not in NOT_RUN]


def run(study: str, task: str, folder: Path, out: str = "out", notes: Notes | None = None) -> lth.Found:
    """A small study of this kind, run in this process."""
    model, data = SUBJECTS[task](folder)
    progress: Any = False if notes is None else lambda _: Attached(notes)
    return lth.study(
        study, model, data, store=folder / "store", out=folder / out, execution=HERE,
        progress=progress, **COMMON, **SMALL.get(study, {}),
    )  # fmt: skip


class Attached:
    """A context that gives an observer."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def __enter__(self) -> Notes:
        return self._notes

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize(("study", "task"), PAIRS)
def test_every_study_speaks_of_every_task(
    study: str, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(study, task, tmp_path)
    arms = all_arms(STUDIES[study], settings_of(STUDIES[study], {**COMMON, **SMALL.get(study, {})}))
    study_type, own = STUDIES[study], TASKS[task](**LEAST.get(task, {}))
    capsys.readouterr()

    results, details = read_documents(found.folder)  # checked against their types
    TypeAdapter(Results).validate_python(results)
    TypeAdapter(Details).validate_python(details)
    TypeAdapter(Verdict).validate_python(results["verdict"])
    assert (results["study"], results["axis"]) == (study, study_type.axis)
    primary = (*study_type.metrics, *own.metrics)[0]
    assert results["primary"] == primary.name
    assert results["metrics"][primary.name] == {"better": primary.better, "unit": primary.unit, "words": primary.words}
    assert {metric.name for metric in own.metrics} <= results["metrics"].keys()
    assert results["constant"].keys() == {metric.name for metric in own.metrics}
    assert all(row["end"] and row["diverged_at"] is None for row in results["rows"])
    assert {row["replicate"] for row in results["rows"]} == {0, 1}
    assert [arm["name"] for arm in results["arms"]] == [
        arm.name for arm in arms if any(row["arm"] == arm.name for row in results["rows"])
    ]
    measured = {name.rpartition("/")[2] for row in results["rows"] for name in row["end"]}
    assert primary.name in measured or primary.name in {name.partition("/")[0] for name in measured}

    page = found.report.read_text()
    drawn = {plot["name"] for plot in drawn_plots([results])}
    for plot in study_type.plots:
        if plot.name not in drawn:
            assert plot.title not in page
            assert "Early stopping is not drawn: " in page
            continue
        has_data = not plot.table or bool(found.details["tables"].get(plot.table))
        assert (plot.title in page) == has_data
        assert has_data or plot.table in (
            "watched_survival",
            "super_weights_survival",
            "spikes",
            "comparisons",
            "differences",
        )  # of none
    assert (found.folder / "figures").is_dir()

    compared = details["tables"].get("statistics", [])
    assert (found.folder / "statistics.csv").is_file() == bool(compared)
    assert {(row["arm"], row["against"]) for row in compared} <= {(a.name, b.name) for a in arms for b in arms}
    assert (f"Statistics of {len(compared)} differences" in page) == bool(compared)

    words = primary.name.replace("_", " ")
    others = {
        metric.name.replace("_", " ") for each in SUBJECTS for metric in TASKS[each](**LEAST.get(each, {})).metrics
    }
    others -= {metric.name.replace("_", " ") for metric in (*study_type.metrics, *own.metrics)}
    shown = {}
    for command in (["ls"], ["show", found.id]):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--store", str(tmp_path / "store")])
        assert ended.value.code == 0
        shown[command[0]] = capsys.readouterr().out
    assert found.id in shown["ls"]
    assert results["verdict"]["summary"] in shown["ls"]
    assert words in shown["show"]
    assert all(sentence in shown["show"] for sentence in results["verdict"]["sentences"])
    for text in (*shown.values(), repr(found), " ".join(results["verdict"]["sentences"])):
        assert [name for name in others if f" {name} " in text] == [], text
    head, *rows = text_table(results)
    assert {len(row) for row in rows} == {len(head)}
    assert {arm["name"] for arm in results["arms"]} <= {*head}
    assert (" in %" in caption(results)) == (primary.unit == "fraction")
    assert caption(results) in shown["show"]

    notes = Notes()
    before = files_in(tmp_path / "store" / "objects")
    again = run(study, task, tmp_path, "again", notes)
    assert ([len(each.works) for each in notes.plans], notes.started_keys) == ([0], [])
    assert {**again.results, "created": ""} == {**found.results, "created": ""}
    assert files_in(tmp_path / "store" / "objects") == before


def test_every_pair_is_run_or_left_out_for_a_reason() -> None:
    assert set(NOT_RUN) <= {(study, task) for study in STUDIES for task in TASKS}
    assert {task for _, task in PAIRS} == SUBJECTS.keys()
    assert {study for study, _ in PAIRS} == KILLS.keys() == STUDIES.keys()


KILLED = """
import os, signal, sys
import lth
from lth.lineage import Unobserved

class Killer(Unobserved):
    "Ends the process, with no time to say goodbye, in a training after so many reports."
    left = int(sys.argv[2])
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def progress(self, key, step, values):
        Killer.left -= 1
        if Killer.left <= 0 and step % 10 == 7:
            print(key, step, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

import json
execution = lth.Execution(workers=0, snapshot_seconds=0.0)
lth.study(sys.argv[1], "lenet-300-100", "digits", store="store", out="out", execution=execution,
          progress=lambda _: Killer(), **json.loads(sys.argv[3]))
"""


@pytest.mark.parametrize(("study", "reports"), KILLS.items())
def test_a_study_that_was_killed_goes_on_with_the_same_bits(study: str, reports: int, tmp_path: Path) -> None:
    """By a real SIGKILL in the middle of a training; what was done is not done again."""
    settings = {**COMMON, **SMALL.get(study, {}), "replicates": 1}
    (tmp_path / "killed.py").write_text(KILLED)
    command = [sys.executable, "killed.py", study, str(reports), json.dumps(settings)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    key, step = ended.stdout.split()
    killed = Store(tmp_path / "store")
    left = killed.work_folder(key)
    assert {path.name for path in left.iterdir()} >= {"lease.json", "snapshot"}
    done = set(killed.keys())

    kind = STUDIES[study]
    given = settings_of(kind, {"model": "lenet-300-100", "data": "digits", **settings})
    made = prepare(kind, given, resolve_factory("lenet-300-100"), load_data("digits"))
    assert len(plan(made.targets, killed).works) > 0
    notes = Notes()
    assert build(made.targets, killed, made.sources, HERE, notes) == {}
    assert notes.steps[key][0] >= int(step) - 1  # from its snapshot, not from the start
    assert not done & set(notes.started_keys)
    assert_same_content(killed, built(tmp_path / "undisturbed", made), *made.targets)
    assert {path.name for path in (killed.root / "work").iterdir()} <= {".clock"}
