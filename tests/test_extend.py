"""How to extend lth: each row is a user's script that adds one thing, with one entry in one table, and trains with it.

The scripts know nothing of these tests, and jobs run in worker processes, which must be given what a script added. Rows
that go together share a script; each row is looked at by itself.
"""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

pytestmark = pytest.mark.slow

TABLE = Path(__file__).parent.parent / "docs" / "extend.md"

ROWS: dict[str, str] = {
    "criterion": '''
from lth.sparsity import CRITERIA, Evidence, Scores


def positive(evidence: Evidence) -> Scores:
    """Keep the largest values, signs and all."""
    return dict(evidence.end)


CRITERIA["positive"] = positive
''',
    "criterion that runs the network": '''
import torch
from lth.sparsity import CRITERIA, Evidence, Scores, network_of


def slopes(evidence: Evidence) -> Scores:
    """Keep weights on which the loss depends most."""
    network = network_of(evidence, "slopes")
    state = {name: value.detach().requires_grad_(name in evidence.end) for name, value in network.end.items()}
    loss = network.task.loss(network.outputs(state, network.batch), network.batch)
    return dict(zip(evidence.end, torch.autograd.grad(loss, [state[name] for name in evidence.end])))


CRITERIA["slopes"] = slopes
''',
    "scope": '''
from lth.sparsity import SCOPES, Group


def all_but_first(shapes, density, by_pattern):
    """Keep the first layer dense, and rank each other one by itself."""
    return [Group((name,), density if number else 1.0) for number, name in enumerate(shapes)]


SCOPES["all-but-first"] = all_but_first
''',
    "granularity": '''
import torch
from lth.sparsity import GRANULARITIES
from lth.sparsity.granularities import Family


def pairs(shapes, structure):
    """Take two neighbours of a row of the first layer."""
    name, (rows, columns) = next(iter(shapes.items()))
    unit = torch.arange(rows * columns).view(rows, columns) // 2
    return [Family(rows * columns // 2, {name: unit})]


GRANULARITIES["pairs"] = pairs
''',
    "schedule": '''
from lth.sparsity import SCHEDULES


def faster(rate, level, listed):
    """Remove more at each level: the rate, twice the rate, and so on."""
    return rate * level


SCHEDULES["faster"] = faster
''',
    "kept action": '''
from lth.lineage import Interpolated, Zeros
from lth.studies import KEPT_ACTIONS, KeptAction


def halved(level):
    return Interpolated(first=level.origin, second=Zeros(like=level.initial), share=0.5)


KEPT_ACTIONS["halved"] = KeptAction("Half of their values at the rewind step.", halved)
''',
    "pruned action": '''
from lth.lineage import Interpolated, Zeros
from lth.studies import PRUNED_ACTIONS, PrunedAction


def quarter(level):
    return Interpolated(first=level.initial, second=Zeros(like=level.initial), share=0.75)


PRUNED_ACTIONS["quarter"] = PrunedAction("A quarter of their initial values, frozen.", quarter)
''',
    "sparsifier": '''
from lth.training import SPARSIFIERS
from lth.training.sparsifiers import Change, SparsifierMethod, View, keep, rising, zeroed


def from_the_end(view: View) -> Change:
    """Prune the first weights of each layer, in the order of their places, more and more of them."""
    places = {name: 1.0 * mask.flatten().cumsum(0).view(mask.shape) for name, mask in view.allowed.items()}
    masks = keep(places, view.masks, view.application.density, "layerwise")
    return Change(masks, zeroed(view.weights, view.masks, masks))


SPARSIFIERS["from-the-end"] = SparsifierMethod(
    from_the_end, rising, "prunes the first weights", ("begin", "end", "applications", "curve", "moments")
)
''',
    "measure": '''
from lth.training import MEASURES, Measure
from lth.training.measures import View


def largest(view: View) -> dict[str, float]:
    """Return the largest weight of each layer."""
    return {f"largest/{name}": float(view.weights[name].abs().max()) for name in view.kept}


MEASURES["largest"] = Measure(largest, "largest weight of each layer")
''',
    "engine": '''
from lth.training import ENGINES, EngineType, TorchEngine


class Patient(TorchEngine):
    """PyTorch, but every step is done twice."""

    name = "patient"

    def advance(self, step, count):
        super().advance(step, count)
        return super().advance(step, count)


ENGINES["patient"] = EngineType(Patient, lambda *_: None, "Any network, with patience.")
''',
    "task": '''
from dataclasses import dataclass
from typing import ClassVar

import torch
from lth.config import Metric
from lth.tasks import TASKS, Adding, unwrapped


@dataclass(frozen=True)
class Distance(Adding):
    """Numbers as targets, by the absolute distance."""

    name: ClassVar[str] = "distance"
    version: ClassVar[int] = 1
    stop_by: ClassVar[str] = "distance"
    metrics: ClassVar[tuple] = (Metric("distance", "lower", "plain", "mean absolute distance"),)

    def forward(self, call, batch):
        return unwrapped(call(batch["x"])).squeeze(-1)

    def loss(self, outputs, batch):
        return (outputs - batch["y"]).abs().mean()

    def tally(self, outputs, batch):
        return {"sum": (outputs - batch["y"]).abs().double().sum(), "count": torch.tensor(len(outputs))}

    def read(self, tally):
        return {"distance": float(tally["sum"] / tally["count"])}

    def relevant(self, outputs, batch):
        return outputs.sum()

    def groups(self, batch):
        return None

    def constant(self, train, test):
        middle = torch.cat([batch["y"] for batch in train]).median()
        return {"distance": float(torch.cat([(batch["y"] - middle).abs() for batch in test]).mean())}

    def check(self, outputs, batch):
        if outputs.shape != batch["y"].shape:
            raise ValueError(f"it gives {tuple(outputs.shape)} for {tuple(batch['y'].shape)} targets")


TASKS["distance"] = Distance
''',
    "node kind": '''
from lth.lineage import NODES, WeightsNode


class Doubled(WeightsNode):
    """The state of `of`, times two."""

    of: WeightsNode

    def derive(self, reader):
        return {name: 2 * value for name, value in reader.weights(self.of).items()}

    def words(self):
        return f"{self.of.key[:8]} times two"


NODES["Doubled"] = Doubled
''',
    "study": '''
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.config import StudySettings
from lth.lineage import Evaluated
from lth.studies import STUDIES, StudyType


class Scale(StudySettings):
    """What happens to a network whose weights are doubled."""


def derive(settings, subject, seeds, replicate):
    trained = subject.train(subject.initial(seeds), None, seeds)
    weights = (trained, Doubled(of=trained))
    job = Evaluated(weights=weights, data=subject.data, task=subject.training.task)
    for item, arm in enumerate(("trained", "doubled")):
        yield Point(job, arm, replicate, {}, item)


def conclude(results, reader, points):
    verdict = {"found": False, "confirmed": None, "summary": "tried", "title": "Doubled", "tiles": [], "at": {}}
    return Conclusion(verdict | {"sentences": ["Doubling was tried."]})


ARMS = (Arm("trained", "as trained", "baseline"), Arm("doubled", "times two"))
PLOTS = (Plot("arms", "Doubled weights", "Test part.", "arm", mark="bar"),)
STUDIES["scale"] = StudyType(
    name="scale", words="Double the weights.", settings=Scale, arms=ARMS, derive=derive, conclude=conclude, plots=PLOTS
)
''',
    "model": '''
from lth.models import MODELS, ModelEntry
from torch import nn


def narrow(input_shape, width=12):
    return nn.Sequential(nn.Linear(input_shape[0], width), nn.Tanh(), nn.Linear(width, 1))


MODELS["narrow"] = ModelEntry(narrow, "2.weight", "one hidden layer")
''',
    "family": '''
import torch
from torch import nn

from lth.superweights.projections import FAMILIES


class Stages(nn.Module):
    """Two blocks whose MLPs are called otherwise; the second has one large path."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(20, 16)
        self.stages = nn.ModuleList(
            nn.ModuleDict({"into": nn.Linear(16, 24), "out": nn.Linear(24, 16)}) for _ in range(2)
        )
        with torch.no_grad():
            self.stages[1]["into"].bias[5] = 50.0
            self.stages[1]["out"].weight[:, 5] = 0.0
            self.stages[1]["out"].weight[3, 5] = 9.0

    def forward(self, tokens):
        hidden = self.tokens(tokens)
        for stage in self.stages:
            hidden = hidden + stage["out"](stage["into"](hidden).relu())
        return hidden


FAMILIES["stages"] = "stages[.]([0-9]+)[.]out"
''',
    "data set": '''
import numpy as np
from lth.data import DATASETS, from_arrays


def waves(folder):
    """Sums of eight numbers, with the sine of one."""
    x = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    y = (x.sum(1) + np.sin(3 * x[:, 0])).astype(np.float32)
    return from_arrays(x[:300], y[:300], x[300:], y[300:], name="waves")


DATASETS["waves"] = waves
''',
    "augmentation": '''
from lth.data import AUGMENTATIONS, Augmentation


def darken(images, draws, number):
    """Take a share of each image's brightness away."""
    return images * draws[:, :, None, None]


AUGMENTATIONS["darken"] = Augmentation(darken, 1, "Some of the brightness taken away.")
''',
    "tracker": '''
from lth.tracking import TRACKERS


class Lines:
    """Adds a line of JSON for each row to a file."""

    def __init__(self, argument):
        self.path = Path(argument)

    def begin(self, study): ...
    def close(self, series): ...
    def end(self): ...

    def log(self, series, rows):
        with self.path.open("a") as file:
            file.writelines(json.dumps([series.name, step, dict(values)]) + "\\n" for step, values in rows)

    def conclude(self, verdict, files):
        with self.path.open("a") as file:
            file.write(json.dumps(sorted(files)) + "\\n")


TRACKERS["lines"] = Lines
''',
    "experiment": '''
from lth.analysis.statistics import interval
from lth.studies import EXPERIMENTS, Experiment, Published
from lth.studies.find_ticket_settings import FindTicket


def settings(scale):
    return FindTicket(model="narrow", data="waves", levels=1, controls="none", duration=f"{round(40 * scale)}it",
                      batch_size=20, evaluate_every=10, replicates=2)


def tickets(results, details):
    values = [row["end"]["test/r2"] for row in results["rows"] if row["arm"] == "ticket"]
    return interval(values, results["confidence"])


EXPERIMENTS["waves"] = Experiment(
    "Waves", "a paper", "find-ticket", settings, (Published("R2 of tickets", tickets, 0.9, (-10.0, 1.0), "Table 1"),)
)
''',
}  # fmt: skip
"""What a user writes."""

HEAD = """
import json, sys
from pathlib import Path

import lth
"""

FOOT = """
from lth.lineage import Reader, Store, derivation, plan
from lth.studies import STUDIES, settings_of
from lth.data import load_data
from lth.models import resolve_factory
from lth.studies.prepare import prepare

SMALL = {"replicates": 1, "duration": "20it", "evaluate_every": 10, "batch_size": 20}


def run(study, model, data, engine="auto", **settings):
    "Run a study in one worker process; return what it left, its points by arm and level, and a reader."
    execution = lth.Execution(workers=1, engine=engine)
    settings = {**SMALL, **settings}
    found = lth.study(study, model, data, store="store", execution=execution, progress=False, **settings)
    given = settings_of(STUDIES[study], {"model": model, "data": data, **settings})
    made = prepare(STUDIES[study], given, resolve_factory(model), load_data(data))
    points = {(point.arm, point.at.get("level", 0)): point.job for point in made.points}
    return found, points, Reader(Store(Path("store")), made.sources)


def main():
    seen = {}
    {check}
    print("SEEN", json.dumps(seen))


if __name__ == "__main__":
    main()
"""

CHECKS: dict[tuple[str, ...], str] = {
    ("criterion", "scope", "schedule", "kept action", "pruned action"): """
    found, points, reader = run("find-ticket", "lenet-300-100", "digits", levels=2, rate=0.2, controls="none",
                                criterion="positive", scope="all-but-first", schedule="faster", kept="halved",
                                pruned="quarter")
    masks = [reader.masks(points["ticket", level].masks) for level in (1, 2)]
    end, initial = (reader.weights(node) for node in (points["dense", 0], points["dense", 0].start))
    start, name = reader.weights(points["ticket", 1].start), "hidden2.weight"
    mask = masks[0][name]
    seen["criterion"] = bool(end[name][mask].min() >= end[name][~mask].max())
    seen["scope"] = bool(masks[1]["hidden1.weight"].all()) and not bool(masks[1]["output.weight"].all())
    kept = [each[name].float().mean().item() for each in masks]
    seen["schedule"] = [round(kept[0], 3), round(kept[1] / kept[0], 3)]
    seen["kept action"] = bool((start[name][mask] == initial[name][mask] / 2).all())
    seen["pruned action"] = bool((start[name][~mask] - initial[name][~mask] / 4).abs().max() < 1e-7)
""",
    ("criterion that runs the network", "granularity", "engine"): """
    found, points, reader = run("find-ticket", "lenet-300-100", "digits", engine="patient", levels=1, rate=0.5,
                                controls="none", criterion="slopes", granularity="pairs", samples=2000)
    masks = reader.masks(points["ticket", 1].masks)
    mask = masks["hidden1.weight"]
    seen["granularity"] = [bool((mask[:, ::2] == mask[:, 1::2]).all()), round(mask.float().mean().item(), 3),
                           bool(masks["hidden2.weight"].all())]
    train = reader.parts(points["dense", 0].data)["train"]
    batch = train.take(torch.arange(len(train)), torch.device("cpu"))
    module = resolve_factory("lenet-300-100")((8, 8), 10)
    module.load_state_dict(reader.weights(points["dense", 0]))
    torch.nn.functional.cross_entropy(module(batch["x"]), batch["y"]).backward()
    slope = module.hidden1.weight.grad.view(300, 32, 2).mean(2)
    kept = mask[:, ::2]
    seen["criterion that runs the network"] = bool(slope[kept].min() > slope[~kept].max() - 1e-7)
    seen["engine"] = found.results["engines"]
""",
    ("sparsifier", "measure"): """
    found, points, reader = run("find-ticket", "lenet-300-100", "digits", levels=1, rate=0.5, controls="none",
                                sparsifier="from-the-end")
    mask = reader.masks(points["ticket", 1].masks)["hidden2.weight"].flatten()
    seen["sparsifier"] = [bool(mask[len(mask) // 2 :].all()), bool(mask[: len(mask) // 2].any())]
    found, points, reader = run("sparsify", "lenet-300-100", "digits", methods="from-the-end", measures="largest")
    weights = reader.weights(points["from-the-end", 0])["output.weight"]
    curves = [each for each in found.details["curves"] if each["arm"] == "from-the-end"][0]["values"]
    seen["measure"] = [abs(curves["largest/output.weight"][-1] - float(weights.abs().max())) < 1e-6,
                       [arm["name"] for arm in found.results["arms"]]]
""",
    ("task", "model", "data set", "node kind", "study"): """
    found, points, reader = run("scale", "narrow:width=6", "waves", task="distance")
    rows = {row["arm"]: row["end"]["test/distance"] for row in found.results["rows"]}
    doubled, trained = (reader.weights(node) for node in reversed(points["doubled", 0].weights))
    test = reader.parts(points["doubled", 0].data)["test"].take(torch.arange(100), torch.device("cpu"))
    module = narrow((8,), 6)
    module.load_state_dict(trained)
    distance = (module(test["x"]).squeeze(-1) - test["y"]).abs().mean().item()
    seen["task"] = [found.results["primary"], abs(rows["trained"] - distance) < 1e-5,
                    0 < found.results["constant"]["distance"] < 10]
    seen["model"] = {name: list(value.shape) for name, value in trained.items()}
    seen["data set"] = [found.results["config"]["data"], round(float(test["y"].std()), 1)]
    seen["node kind"] = [all(bool((doubled[name] == 2 * value).all()) for name, value in trained.items()),
                         rows["doubled"] != rows["trained"]]
    seen["study"] = [found.verdict["title"], [arm["name"] for arm in found.results["arms"]], found.report.exists()]
""",
    ("family",): """
    from lth.lineage import Initial, Sources, SuperWeightsFound, build
    from lth.models import ModelSpec

    job = SuperWeightsFound(weights=Initial(spec=ModelSpec(name="Stages"), seed=1), prompts=((1, 2), (3,), (4, 5)))
    store = Store(Path("store"))
    build([job], store, Sources(models={"Stages": Stages}), lth.Execution(workers=1))
    found = json.loads(store.read(job, "metrics.json"))["findings"]["candidates"]
    seen["family"] = [[each["coordinate"][name] for name in ("block", "output", "input")] for each in found]
""",
    ("augmentation",): """
    settings = {"levels": 1, "controls": "none"}
    _, plain, reader = run("find-ticket", "lenet-300-100", "digits", **settings)
    _, dark, _ = run("find-ticket", "lenet-300-100", "digits", augment=("darken",), **settings)
    ends = [reader.weights(points["dense", 0])["output.weight"] for points in (plain, dark)]
    seen["augmentation"] = [len(ends), bool((ends[0] == ends[1]).all())]
""",
    ("tracker",): """
    lth.study("train", duration="40it", evaluate_every=20, replicates=1, progress=False,
              execution=lth.Execution(workers=1, track=("lines:told.txt",)))
    told = [json.loads(line) for line in Path("told.txt").read_text().splitlines()]
    seen["tracker"] = [[row[:2] for row in told[:-1] if "validation/loss" in row[2]], told[-1]]
""",
    ("experiment",): """
    from lth.cli.main import main as command

    sys.argv = ["lth", "reproduce", "waves", "--scale", "0.5", "--workers", "1", "--json"]
    try:
        command()
    except SystemExit as ended:
        assert not ended.code
    document = json.loads(next(Path("lth-reports").glob("*/reproduction.json")).read_text())
    row = document["rows"][0]
    seen["experiment"] = [row["words"], row["published"], row["ours"]["mean"] is not None, row["verdict"]]
""",
}
"""By the rows that share a script: what is done with them, and what is looked at."""

NEEDS = {("experiment",): ("model", "data set")}
"""Rows that a script takes besides its own."""

EXPECTED: dict[str, Any] = {
    "criterion": True,
    "criterion that runs the network": True,
    "scope": True,
    "granularity": [True, 0.5, True],
    "schedule": [0.8, 0.6],
    "kept action": True,
    "pruned action": True,
    "sparsifier": [True, False],
    "measure": [True, ["dense", "from-the-end", "random static"]],
    "engine": {"patient": 2},
    "task": ["distance", True, True],
    "node kind": [True, True],
    "study": ["Doubled", ["trained", "doubled"], True],
    "model": {"0.weight": [6, 8], "0.bias": [6], "2.weight": [1, 6], "2.bias": [1]},
    "data set": ["waves", 3.0],
    "family": [[1, 3, 5]],
    "augmentation": [2, False],
    "tracker": [[["dense, replicate 0", step] for step in (0, 20, 40)], ["figures", "results", "tickets"]],
    "experiment": ["R2 of tickets", 0.9, True, "not comparable at this scale"],
}


@cache
def run_script(rows: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
    """Run the script of some rows in a folder of its own."""
    own = [ROWS[row] for row in (*NEEDS.get(rows, ()), *rows)]
    with TemporaryDirectory() as folder:
        (Path(folder) / "script.py").write_text("\n".join([HEAD, *own, FOOT.replace("    {check}\n", CHECKS[rows])]))
        command = [sys.executable, "script.py"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=500, check=False)


def seen_by(rows: tuple[str, ...]) -> dict[str, Any]:
    """Return what the script of some rows saw."""
    ended = run_script(rows)
    assert ended.returncode == 0, ended.stderr
    line = next(line for line in ended.stdout.splitlines() if line.startswith("SEEN "))
    return json.loads(line.removeprefix("SEEN "))  # type: ignore[no-any-return]


@pytest.mark.parametrize("row", ROWS)
def test_a_script_adds_one_thing_and_trains_with_it(row: str) -> None:
    rows = next(rows for rows in CHECKS if row in rows)
    assert seen_by(rows)[row] == EXPECTED[row]


@pytest.mark.parametrize("row", ROWS)
def test_one_entry_in_one_table_is_all(row: str) -> None:
    """And nothing of the tests is imported."""
    assert len(re.findall(r"^[A-Z_]+\[.*\] = ", ROWS[row], re.MULTILINE)) == 1
    assert "tests" not in ROWS[row]


def test_every_row_of_the_table_is_here() -> None:
    """By its table."""
    section = TABLE.read_text().partition("## How to extend")[2].partition("\n## ")[0]
    tables = re.findall(r"`(?:[a-z_]+\.)*([A-Z_]+)`", section)
    assert len(tables) >= 12
    assert [table for table in tables if not any(f"\n{table}[" in code for code in ROWS.values())] == []
