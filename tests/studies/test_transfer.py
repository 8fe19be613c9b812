"""Tickets of one task on another: which weights and masks move, what stays of the head, keys, and what is said."""

from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE

from lth.analysis.documents import Results
from lth.data import load_data
from lth.launch.load import Given, load_studies
from lth.lineage import Combined, Job, Reader, Store, Trained, build, derivation
from lth.models import LeNet300100
from lth.studies import STUDIES
from lth.studies.prepare import Study, prepare
from lth.studies.transfer_verdict import compare_sources

SMALL: dict[str, Any] = {
    "levels": 2, "rate": 0.5, "replicates": 1, "duration": "20it", "batch_size": 20, "evaluate_every": 10,
}  # fmt: skip


def made(name: str = "transfer", data: str = "digits", **fields: Any) -> Study:
    study = STUDIES[name]
    [prepared] = load_studies(study, [study.settings(data=data, **{**SMALL, **fields})], given=Given())
    return prepared


def keys(study: Study) -> set[str]:
    return {key for key, node in derivation(*study.targets).items() if isinstance(node, Job)}


def training(study: Study, arm: str, level: int) -> Trained:
    [job] = [point.job for point in study.points if point.arm == arm and point.at["level"] == level]
    assert isinstance(job, Trained)
    return job


@pytest.fixture(scope="module")
def across(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Reader]:
    """From the classes of digits to the disease of patients, through one trunk, trained."""
    study = made(data="diabetes", source_data="digits", rewind_to="5it")
    store = Store(tmp_path_factory.mktemp("transfer"))
    assert build(study.targets, store, study.sources, HERE) == {}
    return study, Reader(store, study.sources)


def test_masks_and_trunk_move_and_the_head_is_the_targets(across: tuple[Study, Reader]) -> None:
    study, reader = across
    source = study.subject.others["source"]
    ticket, own = training(study, "source ticket", 2), training(study, "target ticket", 2)
    found_on = {node.data.digest for node in derivation(ticket.masks).values() if isinstance(node, Trained)}
    assert found_on == {load_data("digits").digest} == {source.data.digest}
    assert ticket.data == own.data == study.subject.data != source.data
    assert (ticket.training, ticket.training.task.name, ticket.first_step) == (own.training, "regression", 5)
    dense = next(
        node for node in derivation(ticket).values()
        if isinstance(node, Trained) and node.data == source.data and node.masks.planned_density == 1
    )  # fmt: skip
    origin, start = reader.weights(dense.at(5)), reader.weights(ticket.start)
    target, masks = reader.weights(training(study, "dense", 0).start), reader.masks(ticket.masks)
    assert set(masks) == {"hidden1.weight", "hidden2.weight"}
    for name, mask in masks.items():
        assert torch.equal(start[name], origin[name] * mask)
    for name in ("output.weight", "output.bias"):
        assert torch.equal(start[name], target[name])
        assert start[name].shape != origin[name].shape
    assert torch.equal(target["hidden1.weight"], reader.weights(dense.start)["hidden1.weight"])  # one trunk for both


def test_controls_have_the_source_masks_density_and_their_own_weights(across: tuple[Study, Reader]) -> None:
    study, reader = across
    ticket, random, reinit = (training(study, arm, 2) for arm in ("source ticket", "random", "reinit"))
    masks, drawn = reader.masks(ticket.masks), reader.masks(random.masks)
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {n: int(m.sum()) for n, m in drawn.items()}
    assert not torch.equal(masks["hidden1.weight"], drawn["hidden1.weight"])
    assert reinit.masks == ticket.masks
    assert isinstance(random.start, Combined)
    assert isinstance(ticket.start, Combined)
    assert random.start.kept == ticket.start.kept
    fresh, start = reader.weights(reinit.start), reader.weights(ticket.start)
    kept = masks["hidden1.weight"]
    assert not torch.equal(fresh["hidden1.weight"][kept], start["hidden1.weight"][kept])
    assert (reinit.first_step, random.first_step) == (0, 5)


def test_the_record_names_rule_and_both_data(across: tuple[Study, Reader]) -> None:
    study, _ = across
    document = study.document()
    assert document["source_data_digest"] == load_data("digits").digest
    assert document["data_digest"] not in (load_data("diabetes").digest, document["source_data_digest"])
    assert study.notes == ["The data are adapted from inputs of 10 features to the 8x8 of digits by the rule 'pad'."]


def test_the_id_knows_data_by_their_content_and_what_the_source_has_of_its_own() -> None:
    base = made(source_lr=0.1)
    given = Given(data={"copy": load_data("digits"), "digits": load_data("digits")})
    settings = STUDIES["transfer"].settings(data="digits", source_data="copy", source_lr=0.1, **SMALL)
    [renamed] = load_studies(STUDIES["transfer"], [settings], given=given)
    assert renamed.id == base.id
    others = [
        made(source_lr=0.2),
        made(source_lr=0.1, source_optimizer="sgd"),
        made(data="diabetes", source_data="digits"),
    ]
    assert len({each.id for each in (base, *others)}) == 4


def test_a_source_that_is_the_target_finds_its_tickets_and_shares_them_with_find_ticket() -> None:
    same = made(head="rewind", controls=("random", "reinit"))
    assert training(same, "source ticket", 2) == training(same, "target ticket", 2)
    search = keys(made("find-ticket"))
    assert keys(same) == search
    other = made(head="rewind", source_optimizer="sgd", source_lr=0.1)
    assert keys(made("find-ticket", controls="none")) <= keys(other)
    assert keys(made("find-ticket", controls="none", levels=1, optimizer="sgd", lr=0.1)) <= keys(other)


def test_a_source_has_the_targets_settings_where_it_has_none_of_its_own() -> None:
    study = made(optimizer="sgd", optimizer_options="momentum=0.9", lr=0.1, source_optimizer="adam", source_lr=0.01)
    source = study.subject.others["source"].training
    assert (source.optimizer, source.optimizer_options, source.lr, source.steps) == ("adam", {}, 0.01, 20)
    study = made(optimizer="sgd", optimizer_options="momentum=0.9", source_duration="30it", weight_decay=0.1)
    source = study.subject.others["source"].training
    assert (source.optimizer_options, source.steps, source.weight_decay) == ({"momentum": 0.9}, 30, 0.1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": "diabetes", "source_data": "digits", "head": "rewind"}, r"output.weight is \[1, 100\] on the target"),
        (
            {"data": "diabetes", "source_data": "digits", "adapt": "none"},
            "inputs of diabetes are 10 features and those",
        ),
        ({"source_data": "diabetes"}, "64 features do not fit into 10 inputs"),
        ({"adapt": "pod"}, "unknown rule for inputs 'pod'. Did you mean 'pad'"),
        ({"source_task": "regression"}, "source_task goes with --source-data"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**fields)


class Headless(torch.nn.Sequential):
    """A network whose last layer is not linear."""

    def __init__(self) -> None:
        layers = torch.nn.Flatten(), torch.nn.Linear(64, 10), torch.nn.LayerNorm(10)
        super().__init__(*layers)


def test_a_network_without_a_head_has_none_to_draw_anew() -> None:
    study, given = STUDIES["transfer"], Given(models={"headless": Headless})
    fields = {**SMALL, "model": "headless", "source_lr": 0.1}
    with pytest.raises(ValueError, match="head: 'headless' has no head of its own to draw anew: take --head rewind"):
        load_studies(study, [study.settings(**fields)], given=given)
    [moved] = load_studies(study, [study.settings(**fields, head="rewind")], given=given)
    assert "1.weight" in moved.subject.prunable(moved.settings.masks)  # type: ignore[attr-defined]


def test_data_of_a_source_must_be_loaded() -> None:
    study = STUDIES["transfer"]
    with pytest.raises(ValueError, match="source: lenet-300-100 on diabetes was not loaded"):
        prepare(study, study.settings(source_data="diabetes"), LeNet300100, load_data("digits"))


DENSE, OWN = [0.95, 0.96, 0.94, 0.95], [0.93, 0.94, 0.925, 0.93]
CLOSE, RANDOM = [0.929, 0.941, 0.924, 0.931], [0.85, 0.87, 0.84, 0.86]


def results_of(scores: dict[tuple[str, int], list[float]], **config: Any) -> Results:
    rows = [("dense", 0, DENSE), *((arm, level, values) for (arm, level), values in scores.items())]
    roles = {arm: "subject" for arm, _, _ in rows} | {"dense": "baseline", "random": "control"}
    usual = {"model": "m", "data": "d", "source_data": "s", "margin": 0.005, "controls": ["random"]}
    return {
        "config": usual | config, "confidence": 0.95, "primary": "accuracy", "constant": {"accuracy": 0.1},
        "metrics": {"accuracy": {"unit": "fraction", "better": "higher", "words": "accuracy"}},
        "arms": [{"name": name, "words": name, "role": role} for name, role in roles.items()],
        "rows": [
            {"arm": arm, "at": {"level": level, "density": 0.5**level}, "replicate": number, "at_best": {},
             "end": {"test/accuracy": value}, "best_step": None, "diverged_at": None, "key": f"{arm}{level}{number}"}
            for arm, level, values in rows for number, value in enumerate(values)
        ],
    }  # type: ignore[typeddict-item, typeddict-unknown-key, return-value]  # fmt: skip


def scores_of(first: list[float], second: list[float]) -> dict[tuple[str, int], list[float]]:
    found = {}
    for level, source in ((1, first), (2, second)):
        found |= {("source ticket", level): source, ("target ticket", level): OWN, ("random", level): RANDOM}
    return found


def test_a_ticket_serves_where_it_is_as_good_as_the_targets_and_better_than_random() -> None:
    verdict = compare_sources(results_of(scores_of(CLOSE, RANDOM))).verdict
    assert verdict["sentences"][0] == (
        "Tickets found on s serve d down to 50 % of the prunable weights (level 1): as good as the target's own "
        "(margin 0.5 points) and better than random masks of the same layer-wise densities (confirmed)."
    )
    said = " ".join(verdict["sentences"])
    assert "With 50 % of the prunable weights (level 1), it keeps 100 % (95 % interval 98 to 103 %, Fieller)" in said
    assert "With 25 % of the prunable weights (level 2), it keeps 0 %" in said
    assert "(Holm, 4 tests) it holds with 50 % of the weights" in said
    assert (verdict["found"], verdict["confirmed"], verdict["at"]) == (True, True, {"level": 1, "density": 0.5})


def test_a_ticket_that_is_better_than_the_targets_is_called_better() -> None:
    better = [value + 0.02 + 0.001 * index for index, value in enumerate(OWN)]
    first = compare_sources(results_of(scores_of(better, RANDOM))).verdict["sentences"][0]
    assert "(level 1): better than the target's own and better than random masks" in first
    assert "as good as" not in first


def test_no_share_is_stated_where_the_own_ticket_is_not_better_than_random() -> None:
    scores = scores_of(CLOSE, CLOSE) | {("target ticket", 2): [0.85, 0.871, 0.839, 0.861]}
    said = compare_sources(results_of(scores)).verdict["sentences"]
    assert any("level 2), no share of the gain is stated" in each for each in said)


def test_a_ticket_that_serves_on_average_alone_has_no_title_that_says_it_serves() -> None:
    scores = scores_of([0.85, 0.99, 0.9, 0.99], RANDOM)
    config = {"source_data": None, "source_optimizer_options": {"momentum": 0.9}, "optimizer_options": {}}
    verdict = compare_sources(results_of(scores, **config)).verdict
    assert verdict["title"].endswith("whether they serve is not settled (on average down to 50 % of the weights)")
    assert "found with momentum 0.9" in verdict["title"]
    assert verdict["confirmed"] is False


@pytest.mark.parametrize(
    ("scores", "config", "words"),
    [
        (scores_of(RANDOM, RANDOM), {}, "are at no level both as good as the target's own"),
        (scores_of(CLOSE, CLOSE), {"source_data": None}, "Source and target are one training"),
        (
            {k: v for k, v in scores_of(CLOSE, CLOSE).items() if k[0] != "random"},
            {"controls": []},
            "no random masks ran",
        ),
    ],
)
def test_what_is_not_shown_is_not_found(scores: dict[tuple[str, int], list[float]], config: Any, words: str) -> None:
    verdict = compare_sources(results_of(scores, **config)).verdict
    assert words in verdict["sentences"][0]
    assert verdict["found"] is False


def test_tickets_serve_only_where_no_replicate_diverged() -> None:
    results = results_of(scores_of(CLOSE, CLOSE))
    lost = next(row for row in results["rows"] if row["arm"] == "source ticket" and row["at"]["level"] == 2)
    lost["diverged_at"] = 7
    verdict = compare_sources(results).verdict
    assert (verdict["found"], verdict["confirmed"], verdict["at"]) == (True, True, {"level": 1, "density": 0.5})


def test_nothing_is_found_where_the_dense_network_has_learned_nothing(tmp_path: Path) -> None:
    results = results_of(scores_of(CLOSE, CLOSE))
    results["constant"] = {"accuracy": 0.96}
    verdict = compare_sources(results).verdict
    assert verdict["found"] is False
    assert "no ticket can be judged" in verdict["sentences"][0]
