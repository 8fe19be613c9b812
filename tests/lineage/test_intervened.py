"""A network measured under interventions: against a direct computation, and a build that goes on after a kill."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from builds import HERE, Notes, metrics_in

from lth.lineage import DataSpec, Execution, Initial, Intervened, Reader, Sources, Store, build
from lth.models import ModelSpec
from lth.superweights.coordinates import Coordinate
from lth.superweights.interventions import INTERVENTIONS, Intervention, InterventionType
from lth.superweights.projections import down_projections
from lth.superweights.protocol import Protocol
from lth.superweights.texts import passage
from lth.training import Interrupted

SPEC = ModelSpec(
    name="gpt-char", arguments={"vocabulary": 40, "block": 16, "n_layer": 2, "n_head": 2, "n_embd": 16, "bias": False}
)
AT = Coordinate(block=1, output=3, input=5)
ZEROED = Intervention(kind="scale", coordinates=(AT,))


def sources() -> Sources:
    ids = np.random.default_rng(0).integers(0, 40, 100)
    text = passage("made", ids, Protocol.parse("blocks:16"), vocabulary=40, text_digest="a" * 64)
    return Sources(data={text.data.digest: text.data})


def job(intervention: Intervention, **fields: object) -> Intervened:
    data = DataSpec(digest=next(iter(sources().data)), validation="own")
    return Intervened(
        weights=Initial(spec=SPEC, seed=1), data=data, intervention=intervention, stop_words=(1, 7), **fields
    )


def test_losses_and_stop_words_by_block_are_those_of_the_changed_network(tmp_path: Path) -> None:
    store, made = Store(tmp_path), sources()
    assert build([job(Intervention()), job(ZEROED)], store, made, HERE) == {}
    module = Reader(store, made).module(SPEC, 1).eval()
    examples = made.data[job(ZEROED).data.digest].parts["test"]
    for intervention in (Intervention(), ZEROED):
        document = metrics_in(store, job(intervention))
        if intervention.coordinates:
            with torch.no_grad():
                down_projections(module)[1].weight[3, 5] = 0.0
        with torch.no_grad():
            batch = examples.take(torch.arange(6), torch.device("cpu"))
            logs = module(batch["x"])[:, :-1].log_softmax(-1)
        nats = -logs.gather(-1, batch["x"][:, 1:, None]).sum((1, 2))
        assert document["nats"] == pytest.approx(nats.tolist(), rel=1e-5)
        assert document["tokens"] == [15] * 6
        assert document["stop_words"] == pytest.approx(logs.exp()[..., [1, 7]].sum(-1).mean(1).tolist(), rel=1e-4)
        (item,) = document["items"]
        assert item["test/loss"] == pytest.approx(float(nats.sum()) / 90)
        assert item["test/perplexity"] == pytest.approx(math.exp(item["test/loss"]))
        assert Reader(store, made).measured(job(intervention))[0].end == item


def test_a_network_that_breaks_is_recorded_as_such(tmp_path: Path) -> None:
    broken = job(Intervention(kind="scale", coordinates=(AT,), factor=1e42))
    assert build([broken], Store(tmp_path), sources(), HERE) == {}
    document = metrics_in(Store(tmp_path), broken)
    assert None in document["nats"]
    assert "test/loss" not in document["items"][0]


def test_a_killed_build_goes_on_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    changes = [Intervention(kind="random", coordinates=(AT,), seed=seed) for seed in range(4)]
    jobs = [job(each) for each in changes]
    whole, parts = Store(tmp_path / "whole"), Store(tmp_path / "parts")
    assert build(jobs, whole, sources(), HERE) == {}

    class Killed(Notes):
        def finished(self, key: str) -> None:
            super().finished(key)
            if len(self.finished_keys) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(jobs, parts, sources(), HERE, Killed())
    assert [parts.has(each) for each in jobs] == [True, True, False, False]
    notes = Notes()
    assert build(jobs, parts, sources(), HERE, notes) == {}
    assert notes.finished_keys == [each.key for each in jobs[2:]]
    assert [metrics_in(parts, each) for each in jobs] == [metrics_in(whole, each) for each in jobs]


def test_it_stops_between_blocks_when_asked(tmp_path: Path) -> None:
    from lth.lineage.plan import Work
    from lth.lineage.work import Hooks
    from lth.training import Where

    asked: list[None] = []

    def should_stop() -> bool:
        asked.append(None)
        return len(asked) > 3

    store, one = Store(tmp_path), job(ZEROED)
    with pytest.raises(Interrupted):
        Intervened.run(
            [Work(one, (), True, frozenset())], Reader(store, sources()), Where(), Hooks(should_stop=should_stop)
        )
    assert not store.has(one)
    assert build([one], store, sources(), HERE) == {}  # the network that the process keeps has its bits back
    fresh = Store(tmp_path / "fresh")
    assert build([one], fresh, sources(), Execution(workers=1)) == {}
    assert metrics_in(store, one) == metrics_in(fresh, one)


def test_an_intervention_of_a_scripts_own_reaches_worker_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def block_rows(matrix: torch.Tensor, places: object, count: int, seed: int) -> torch.Tensor:
        return (torch.arange(len(matrix)) < count)[:, None].expand(matrix.shape)

    mine = InterventionType(lambda each: f"the first {each.count} rows zeroed", block_rows)
    monkeypatch.setitem(INTERVENTIONS, "first-rows", mine)
    one = job(Intervention(kind="first-rows", coordinates=(AT,), count=4))
    assert build([one], Store(tmp_path), sources(), Execution(workers=1)) == {}
    rows = [job(Intervention(kind="row", coordinates=(AT.model_copy(update={"output": at}),))) for at in range(4)]
    together = Intervention(kind="row", coordinates=tuple(each.intervention.coordinates[0] for each in rows))
    assert build([job(together)], Store(tmp_path), sources(), HERE) == {}
    assert metrics_in(Store(tmp_path), one)["nats"] == metrics_in(Store(tmp_path), job(together))["nats"]
    assert one.intervention.words() == "the first 4 rows zeroed"
