"""Measurements as jobs: planned, leased, interrupted and done again like trainings; their numbers by hand."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE, Notes, built, files_in, interrupt, jobs, metrics_in, study, tiny, weights_in
from torch import Tensor, nn

from lth.config import TaskSpec
from lth.data import Parts
from lth.launch.plan import plan_document
from lth.lineage import (
    BuildError,
    Dense,
    Evaluated,
    Execution,
    Initial,
    Interpolated,
    Job,
    Overlapped,
    Reader,
    Shuffled,
    Store,
    Trained,
    build,
    plan,
)
from lth.lineage.lease import Leases
from lth.lineage.work import Hooks
from lth.sparsity import Weights
from lth.studies.prepare import Study
from lth.training import Interrupted, Where


def line(made: Study, points: int = 4, **fields: Any) -> Evaluated:
    """The networks between the dense one and the first ticket of a study, measured."""
    dense, ticket = jobs(made, "dense")[0], jobs(made, "ticket")[0]
    shares = [index / (points - 1) for index in range(points)]
    weights = tuple(Interpolated(first=dense, second=ticket, share=share) for share in shares)
    return Evaluated(weights=weights, data=dense.data, task=dense.training.task, **fields)


def overlapped(made: Study) -> Overlapped:
    first, second = (ticket.masks for ticket in jobs(made, "ticket")[:2])
    return Overlapped(first=first, second=second)


MAKE: list[Callable[[Study], Job]] = [line, overlapped]


@pytest.fixture(scope="module")
def made() -> Study:
    """Two levels without controls."""
    return study(controls=())


@pytest.fixture(scope="module")
def store(made: Study, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with its trainings."""
    return built(tmp_path_factory.mktemp("jobs"), made)


@pytest.mark.parametrize("make", MAKE)
def test_what_a_job_needs_is_planned_before_it(make: Callable[[Study], Job], made: Study, tmp_path: Path) -> None:
    job = make(made)
    todo = plan([job], Store(tmp_path))
    behind = [work.key for work in todo.works[:-1]]
    trained = [jobs(made, "dense")[0].key, jobs(made, "ticket")[0].key]
    assert behind == trained
    last = todo.works[-1]
    assert (last.key, last.finish, last.until, last.checkpoints) == (job.key, True, None, ())
    assert last.needs == (set(trained) if isinstance(job, Evaluated) else {trained[0], trained[1]})
    assert last.steps == (4 if isinstance(job, Evaluated) else 1)
    assert todo.steps == 60 + last.steps


@pytest.mark.parametrize("make", MAKE)
@pytest.mark.parametrize("execution", [HERE, Execution(workers=1)], ids=["here", "workers"])
def test_a_job_is_done_once(
    make: Callable[[Study], Job], execution: Execution, made: Study, store: Store, tmp_path: Path
) -> None:
    job, notes = make(made), Notes()
    own = Store(tmp_path / "store")
    assert build([*made.targets, job], own, made.sources, HERE if execution is HERE else execution, notes) == {}
    assert notes.finished_keys[-1] == job.key
    assert plan([job], own).works == ()
    assert [path.name for path in (own.root / "work").iterdir()] == []
    again = Notes()
    assert build([job], own, made.sources, execution, again) == {}
    assert (again.started_keys, [len(each.works) for each in again.plans]) == ([], [0])
    provenance = own.manifest(job.key)["provenance"]
    assert (provenance["threads"], provenance["device"]) == (1, "cpu")
    assert metrics_in(own, job)["items"] == reference(job, made, store)


def reference(job: Job, made: Study, store: Store) -> Any:
    """What the job gives where it is called by itself."""
    reader = Reader(store, made.sources)
    with torch.no_grad():
        if not store.has(job):
            type(job).run(plan([job], store).works, reader, Where(), Hooks())
    return metrics_in(store, job)["items"]


def test_the_plan_of_a_study_counts_jobs(made: Study, tmp_path: Path) -> None:
    from dataclasses import replace

    points = [replace(made.points[0], job=line(made)), replace(made.points[0], job=overlapped(made))]
    more = replace(made, points=(*made.points, *points))
    document = plan_document(more, Store(tmp_path / "none"), HERE)
    assert (document["jobs"], document["done"], document["to_do"], document["steps"]) == (5, 0, 5, 90 + 4 + 1)
    assert document["seconds"] > 0


def test_an_interrupted_measurement_is_done_again(made: Study, store: Store, tmp_path: Path) -> None:
    """It is not kept in part, and nothing is left behind."""
    job = line(made, points=7)
    before = files_in(store.root)
    with pytest.raises(Interrupted):
        build([job], store, made.sources, HERE, Notes(2, interrupt))
    after = {name for name in files_in(store.root) if not name.startswith("objects/")}
    assert after - before.keys() == set()
    assert not store.has(job)
    assert [work.key for work in plan([job], store).works] == [job.key]
    notes = Notes()
    assert build([job], store, made.sources, HERE, notes) == {}
    assert notes.steps[job.key] == list(range(7))


@pytest.mark.parametrize("make", MAKE)
def test_a_job_of_another_process_is_waited_for(
    make: Callable[[Study], Job], made: Study, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease is held elsewhere: nothing starts before that is given back."""
    monkeypatch.setattr("lth.lineage.backoff.WAIT_SECONDS", 0.01)
    job = line(made, points=5) if make is line else Overlapped(first=overlapped(made).second, second=Dense())
    waits = threading.Event()

    class Waiting(Notes):
        def waiting(self, keys: object) -> None:
            assert self.started_keys == []
            waits.set()

    notes = Waiting()
    with Leases() as others:
        assert others.acquire(store.work_folder(job.key))
        thread = threading.Thread(target=build, args=([job], store, made.sources, HERE, notes))
        thread.start()
        assert waits.wait(timeout=60)
        assert not store.has(job)
        others.release(store.work_folder(job.key))
        thread.join(timeout=60)
    assert store.has(job)
    assert notes.started_keys == [job.key]


def test_what_stands_on_a_diverged_training_is_left_out(made: Study, tmp_path: Path) -> None:
    dense = jobs(made, "dense")[0]
    wild = Trained(
        start=dense.start, masks=Dense(), data=dense.data, training=dense.training.with_(lr=1e30, optimizer="sgd"),
        seeds=dense.seeds,
    )  # fmt: skip
    job = Evaluated(weights=(dense, wild), data=dense.data, task=dense.training.task)
    skipped = build([job], Store(tmp_path), made.sources, HERE)
    assert list(skipped) == [job.key]
    assert "diverged at step" in skipped[job.key]


def measured_by_hand(module: nn.Module, state: Weights, parts: Parts, part: str) -> tuple[float, float]:
    """Accuracy and mean cross-entropy, by PyTorch alone."""
    module.load_state_dict(state)
    module.eval()
    batch = parts[part].take(torch.arange(len(parts[part])), torch.device("cpu"))
    dtype = next(value.dtype for value in state.values() if value.is_floating_point())
    with torch.no_grad():
        logits = module(batch["x"].to(dtype))
    loss = nn.functional.cross_entropy(logits, batch["y"])
    return float((logits.argmax(1) == batch["y"]).double().mean()), float(loss)


@pytest.mark.parametrize("part", ["test", "validation"])
def test_evaluated_by_hand(part: str, made: Study, store: Store) -> None:
    job, reader = line(made, part=part), Reader(store, made.sources)
    assert build([job], store, made.sources, HERE) == {}
    items = reader.measured(job)
    assert len(items) == 4
    for node, item in zip(job.weights, items, strict=True):
        accuracy, loss = measured_by_hand(tiny(), reader.weights(node), reader.parts(job.data), part)
        assert item.end[f"{part}/accuracy"] == accuracy
        assert item.end[f"{part}/loss"] == pytest.approx(loss, rel=1e-5)
    end = metrics_in(store, jobs(made, "dense")[0])["end"]
    if part == "test":
        assert items[0].end["test/accuracy"] == end["test/accuracy"]
        assert items[0].end["test/loss"] == pytest.approx(end["test/loss"], rel=1e-6)


def test_an_unknown_part_is_an_error_in_one_line(made: Study, store: Store) -> None:
    for execution, error in ((HERE, ValueError), (Execution(workers=1), BuildError)):
        with pytest.raises(error, match="unknown part of the data 'tset'. Did you mean 'test'") as caught:
            build([line(made, part="tset")], store, made.sources, execution)
        assert "\n" not in str(caught.value)


class Normed(nn.Module):
    """Two batch norms, the second over what the first one gives, and dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.norm = nn.Linear(64, 12), nn.BatchNorm1d(12, momentum=0.3)
        self.dropout, self.second, self.last = nn.Dropout(0.5), nn.Linear(12, 10), nn.BatchNorm1d(10)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        hidden = self.norm(self.hidden(inputs.flatten(1))).relu()
        return self.last(self.second(self.dropout(hidden)))


def test_norms_are_renewed_as_plain_means(tmp_path: Path) -> None:
    """Means and unbiased variances over batches of 200 training examples, without dropout; nothing else changes."""
    made = study(Normed, controls=(), levels=1, precision="float64")
    own = built(tmp_path, made)
    reader, dense = Reader(own, made.sources), jobs(made, "dense")[0]
    task: TaskSpec = dense.training.task
    renewed, plain = (
        Evaluated(weights=(dense, dense), data=dense.data, task=task, precision="float64", renew_norms=renew)
        for renew in (True, False)
    )
    assert build([renewed, plain], own, made.sources, HERE) == {}

    state, parts = weights_in(own, dense), reader.parts(dense.data)
    train = parts["train"]
    means: dict[str, list[Tensor]] = {"norm": [], "last": []}
    variances: dict[str, list[Tensor]] = {"norm": [], "last": []}
    for start in range(0, len(train), 200):
        taken = train.take(torch.arange(start, min(start + 200, len(train))), torch.device("cpu"))
        hidden = taken["x"].flatten(1).double() @ state["hidden.weight"].T + state["hidden.bias"]
        normed = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + 1e-5).sqrt()
        active = (normed * state["norm.weight"] + state["norm.bias"]).relu()
        second = active @ state["second.weight"].T + state["second.bias"]
        for name, values in (("norm", hidden), ("last", second)):
            means[name].append(values.mean(0))
            variances[name].append(values.var(0))
    by_hand = dict(state)
    for name in ("norm", "last"):
        by_hand[f"{name}.running_mean"] = torch.stack(means[name]).mean(0)
        by_hand[f"{name}.running_var"] = torch.stack(variances[name]).mean(0)
    accuracy, loss = measured_by_hand(Normed().double(), by_hand, parts, "test")
    first, again = reader.measured(renewed)
    assert first.end == again.end  # the second measurement starts from its own state, and nothing is drawn
    assert first.end["test/accuracy"] == accuracy
    assert first.end["test/loss"] == pytest.approx(loss, rel=1e-9)
    unchanged = measured_by_hand(Normed().double(), state, parts, "test")
    assert reader.measured(plain)[0].end["test/loss"] == pytest.approx(unchanged[1], rel=1e-9)
    assert abs(unchanged[1] - loss) > 1e-3


def test_networks_without_norms_are_measured_as_they_are(made: Study, store: Store) -> None:
    plain, renewed = line(made), line(made, renew_norms=True)
    assert build([plain, renewed], store, made.sources, HERE) == {}
    assert metrics_in(store, plain)["items"] == metrics_in(store, renewed)["items"]


def test_overlapped_by_hand(made: Study, store: Store) -> None:
    """Intersection over union, and the expected one of random masks with as many weights in every tensor."""
    reader, tickets = Reader(store, made.sources), jobs(made, "ticket")
    job = Overlapped(first=tickets[0].masks, second=Shuffled(masks=tickets[1].masks))
    assert build([job], store, made.sources, HERE) == {}
    found, chance = (item.end for item in reader.measured(job))
    first, second = reader.masks(job.first), reader.masks(job.second)
    both, either, expected = 0.0, 0.0, 0.0
    for name in first:
        one, other = first[name], second[name]
        assert found[f"overlap/{name}"] == float((one & other).sum()) / float((one | other).sum())
        random = float(one.sum()) * float(other.sum()) / one.numel()
        kept = float(one.sum() + other.sum())
        assert chance[f"overlap/{name}"] == pytest.approx(random / (kept - random))
        both, either, expected = both + float((one & other).sum()), either + kept, expected + random
    assert found["overlap"] == both / (either - both)
    assert chance["overlap"] == pytest.approx(expected / (either - expected))
    assert found.keys() == chance.keys() == {"overlap", *(f"overlap/{name}" for name in first)}


def test_equal_masks_overlap_wholly(made: Study, store: Store) -> None:
    masks = jobs(made, "ticket")[0].masks
    job = Overlapped(first=masks, second=masks)
    assert build([job], store, made.sources, HERE) == {}
    assert Reader(store, made.sources).measured(job)[0].end["overlap"] == 1.0


def test_weights_that_were_never_trained_are_measured_too(made: Study, store: Store) -> None:
    dense = jobs(made, "dense")[0]
    job = Evaluated(weights=(Initial(spec=dense.model, seed=3),), data=dense.data, task=dense.training.task)
    assert [work.key for work in plan([job], store).works] == [job.key]
    assert build([job], store, made.sources, HERE) == {}
    assert 0 <= Reader(store, made.sources).measured(job)[0].end["test/accuracy"] < 0.4
