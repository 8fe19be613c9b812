"""Rewind steps, learning-rate rewinding and fine-tuning: chains that find-ticket shares, equal lengths, the verdict."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from builds import tiny

from lth.analysis.documents import Results
from lth.config import SettingsError
from lth.config.sweep import expand_sweep
from lth.data import load_data
from lth.launch.load import load_studies
from lth.lineage import Job, Trained, derivation
from lth.models import LeNet300100
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study, prepare
from lth.studies.rewinding import FINE, LR, Rewinding
from lth.studies.rewinding_verdict import Step, judge

DIGITS = load_data("digits")
SMALL: dict[str, Any] = {
    "model": "tiny", "levels": 2, "rate": 0.5, "replicates": 1, "duration": "30it", "batch_size": 20,
    "lr_decay": "step", "lr_milestones": "10it,20it", "warmup": "3it",
}  # fmt: skip


def made(name: str = "rewinding", **fields: Any) -> Study:
    study = STUDIES[name]
    return prepare(study, study.settings(**{**SMALL, **fields}), tiny, DIGITS)


def keys(study: Study) -> set[str]:
    return {key for key, node in derivation(*study.targets).items() if isinstance(node, Job)}


def training(study: Study, arm: str, level: int) -> Trained:
    [job] = [point.job for point in study.points if point.arm == arm and point.at["level"] == level]
    assert isinstance(job, Trained)
    return job


def test_find_ticket_shares_every_chain() -> None:
    own = keys(made(rewind_steps="0it,5it"))
    found: set[str] = set()
    for fields in (
        {"controls": "none"},
        {"rewind_to": "5it"},
        {"kept": "lr_rewind", "rewind_to": "5it", "controls": "none"},
        {"kept": "keep", "rewind_to": "5it", "controls": "none"},
    ):
        search = keys(made("find-ticket", **fields))
        assert search <= own  # it adds no training
        found |= search
    assert found == own
    assert not keys(made("find-ticket", rewind_to="6it", controls="none")) <= own


@pytest.mark.parametrize("retrain_from", [None, "12it"])
def test_all_methods_retrain_equally_long(retrain_from: str | None) -> None:
    study = made(rewind_steps="0it,5it", retrain_from=retrain_from)
    start = 12 if retrain_from else 5
    for arm, first in (("rewound to step 0", 0), ("rewound to step 5", 5), (LR, start), (FINE, start), ("random", 5)):
        for level in (1, 2):
            job = training(study, arm, level)
            assert (job.first_step, job.steps) == (first, 30 - first)
    assert training(study, "reinit", 2).first_step == 0
    lr, fine = training(study, LR, 2).training, training(study, FINE, 2).training
    assert [lr.lr_at(step) for step in range(30)] == [study.subject.training.lr_at(step) for step in range(30)]
    assert {fine.lr_at(step) for step in range(30)} == {study.subject.training.lr_at(29)}


def test_arms_follow_from_the_settings() -> None:
    def names(**fields: Any) -> list[str]:
        return [arm.name for arm in made(**fields).arms]

    assert names(rewind_steps="0it,1ep", duration="60it") == [
        "dense", "rewound to step 0", "rewound to epoch 1", LR, FINE, "random", "reinit"
    ]  # fmt: skip
    assert names(methods="lr", controls="none", rewind_steps="5it") == ["dense", LR]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rewind_steps": "5it,0it"}, r"the steps \[5, 0\]: they must rise"),
        ({"rewind_steps": "0it,0ep"}, r"the steps \[0, 0\]: they must rise"),
        ({"rewind_steps": "0it,0it"}, "rewind_steps: found 0it, 0it; give one or more, each once"),
        ({"methods": "none"}, "methods: found none; give one or more"),
        ({"methods": "lr"}, "controls: they stand beside weights that were rewound"),
        ({"retrain_from": "30it"}, "training ends at step 30"),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**fields)


@pytest.mark.parametrize(("name", "value"), [("rewind_steps", "5"), ("methods", "weigths")])
def test_what_is_wrong_in_a_list_is_said_of_its_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}: .*'{value}'"):
        settings_of(STUDIES["rewinding"], {name: value})


DENSE = [0.9, 0.91, 0.92, 0.9]
GOOD, BAD = [0.902, 0.911, 0.921, 0.903], [0.85, 0.86, 0.85, 0.84]
SCORES = {
    ("early", 1): GOOD, ("early", 2): BAD, ("late", 1): GOOD, ("late", 2): GOOD, (LR, 1): GOOD, (LR, 2): BAD,
    (FINE, 1): BAD, (FINE, 2): BAD, ("random", 1): BAD, ("random", 2): BAD,
}  # fmt: skip


def results_of(scores: dict[tuple[str, int], list[float]], margin: float = 0.005) -> Results:
    rows = [("dense", 0, DENSE), *((arm, level, values) for (arm, level), values in scores.items())]
    roles = {arm: "subject" for arm, _, _ in rows} | {"dense": "baseline", "random": "control"}
    return {
        "config": {"model": "m", "data": "d", "margin": margin}, "confidence": 0.95, "primary": "accuracy",
        "constant": {"accuracy": 0.1},
        "metrics": {"accuracy": {"unit": "fraction", "better": "higher", "words": "accuracy"}},
        "arms": [{"name": name, "words": name, "role": role} for name, role in roles.items()],
        "rows": [
            {"arm": arm, "at": {"level": level, "density": 0.5**level}, "replicate": number, "at_best": {},
             "end": {"test/accuracy": value}, "best_step": None, "diverged_at": None, "key": f"{arm}{level}{number}"}
            for arm, level, values in rows for number, value in enumerate(values)
        ],
    }  # type: ignore[typeddict-item, typeddict-unknown-key, return-value]  # fmt: skip


STEPS = {"early": Step(0, True), "late": Step(100, True), LR: Step(100, False), FINE: Step(100, False)}


def test_the_verdict_names_steps_levels_and_methods() -> None:
    conclusion = judge(results_of(SCORES), STEPS)
    verdict, said = conclusion.verdict, " ".join(conclusion.verdict["sentences"])
    assert "50 % from step 0 on; 25 % at step 100 alone, the last." in said
    assert "Late: the sparsest match is 25 % of the prunable weights (level 2), 90.92 %, +0.18 points" in said
    assert f"{FINE.capitalize()}: no level matches the dense network." in said
    assert "late reaches test accuracy 90.92 %: +5.93 points" in said
    assert "Of 8 comparisons with dense, 4 are matches with their whole 95 % interval, 4 when all" in said
    assert (verdict["found"], verdict["confirmed"], verdict["at"]) == (True, True, {"level": 2, "density": 0.25})
    assert verdict["title"] == "m on d: tickets late match the dense network with 25 % of the weights"
    assert "late 25 %," in verdict["summary"]
    rows = conclusion.tables["by_step"]
    assert {(row["rewind_step"], row["density"]) for row in rows} == {(0, 0.5), (0, 0.25), (100, 0.5), (100, 0.25)}
    first = [row["difference"] for row in rows if (row["rewind_step"], row["density"]) == (100, 0.25)]
    assert first == pytest.approx([0.2, 0.1, 0.1, 0.3])


def test_a_match_by_its_mean_alone_is_not_settled() -> None:
    loose = {**SCORES, ("late", 2): [0.88, 0.95, 0.89, 0.93], ("late", 1): GOOD}
    verdict = judge(results_of(loose), STEPS).verdict
    assert "50 % from step 0 on; 25 % at no step" in verdict["sentences"][0]
    assert verdict["at"] == {"level": 1, "density": 0.5}
    alone = judge(results_of({("late", 2): loose["late", 2]}), {"late": STEPS["late"]}).verdict
    assert (alone["found"], alone["confirmed"]) == (True, False)
    assert "by its mean alone, not settled" in alone["sentences"][1]
    assert alone["title"] == (
        "m on d: whether tickets late match the dense network is not settled (on average with 25 % of the weights)"
    )
    assert alone["summary"] == "matches dense: late 25 % (not settled)"


def test_an_early_match_that_no_later_step_has_is_named() -> None:
    verdict = judge(results_of({**SCORES, ("early", 2): GOOD, ("late", 2): BAD}), STEPS).verdict
    assert "50 % from step 0 on; 25 % at step 0, not at the last." in verdict["sentences"][0]


def test_nothing_matches_a_dense_network_that_has_learned_nothing() -> None:
    results = results_of(SCORES)
    results["constant"] = {"accuracy": 0.95}
    verdict = judge(results, STEPS).verdict
    assert (verdict["found"], verdict["confirmed"]) == (False, None)


def test_arms_that_are_one_training_are_named() -> None:
    said = judge(results_of({**SCORES, (FINE, 1): GOOD}), STEPS).verdict["sentences"]
    assert any(f"{LR.capitalize()} and {FINE} have the same values throughout" in each for each in said)


def test_the_preset_of_the_digits_tells_all_methods_apart() -> None:
    usual = STUDIES["rewinding"].presets["digits"]()
    assert isinstance(usual, Rewinding)
    study = prepare(STUDIES["rewinding"], usual.with_(replicates=1, levels=1), LeNet300100, DIGITS)
    starts = {point.arm: point.job.key for point in study.points}
    assert len(set(starts.values())) == len(starts) == 8


@pytest.mark.parametrize(("name", "count"), [("rewinding", 6), ("transfer", 4)])
def test_the_grids_over_optimizers_plan(name: str, count: int) -> None:
    """The second one goes on with what the first has trained: four networks of the source, five of the target."""
    studies = grid(name)
    assert len({study.id for study in studies}) == count
    if name == "transfer":
        trained = set().union(*(keys(study) for study in grid("rewinding")))
        assert all(len(keys(study) & trained) == 9 for study in studies)


def grid(name: str) -> list[Study]:
    """The studies of an example file, with one replicate each."""
    example = Path(__file__).parents[2] / "examples" / f"optimizers_{name}.yaml"
    written = yaml.safe_load(example.read_text())
    assert written.pop("run") == name
    found = expand_sweep(written | {"replicates": 1})
    return load_studies(STUDIES[name], [settings_of(STUDIES[name], each) for each in found])
