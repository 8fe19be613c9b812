"""Sparsification during training: arms, controls, the schedule and its checks, and what is concluded."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE

import lth
from lth.data import load_data
from lth.lineage import Reader, Sparsified, Store, Trained
from lth.models import MODELS
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study, prepare
from lth.training import MEASURES, SPARSIFIERS, read_history

SHORT: dict[str, Any] = {"duration": "40it", "evaluate_every": 4, "batch_size": 20, "replicates": 2}


def made(name: str = "sparsify", **settings: Any) -> Study:
    """A study of LeNet-300-100 on the digits."""
    given = settings_of(STUDIES[name], {**SHORT, **settings})
    return prepare(STUDIES[name], given, MODELS["lenet-300-100"].make, load_data("digits"))


def jobs_of(study: Study) -> dict[tuple[str, Any], Trained]:
    """The trainings of the first replicate, by arm and target."""
    found = {(each.arm, each.at["target"]): each.job for each in study.points if each.replicate == 0}
    assert all(isinstance(job, Trained) for job in found.values())
    return found  # type: ignore[return-value]


def test_methods_of_one_scope_share_their_control() -> None:
    study = made(methods="gradual,soft,rigl,set", sparsities="0.5,0.9")
    roles = [(arm.name, arm.role) for arm in study.arms]
    assert roles == [
        ("dense", "baseline"), ("gradual", "subject"), ("soft", "subject"), ("rigl", "subject"), ("set", "subject"),
        ("random static", "control"), ("random static (erk)", "control"),
    ]  # fmt: skip
    jobs = jobs_of(study)
    assert len(jobs) == 1 + 2 * 6
    assert jobs["random static", 0.9].masks.inputs == [Sparsified(trained=jobs["gradual", 0.9])]
    assert jobs["random static (erk)", 0.9].masks.inputs == [Sparsified(trained=jobs["rigl", 0.9])]
    assert "with the density of rigl in every layer" in study.arms[-1].words
    assert [arm.name for arm in made(methods="gradual,rigl", scope="erk").arms] == [
        "dense", "gradual", "rigl", "random static",
    ]  # fmt: skip


def test_a_method_of_a_script_is_an_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPARSIFIERS, "mine", SPARSIFIERS["gradual"])
    assert [arm.name for arm in made(methods="mine").arms] == ["dense", "mine", "random static"]


def test_without_measures_the_dense_network_is_that_of_other_studies() -> None:
    own = jobs_of(made(measures="none"))["dense", 0.0]
    other = next(each.job for each in made("find-ticket", levels=1).points if each.arm == "dense")
    assert own == other
    assert jobs_of(made())["dense", 0.0] != other


def test_all_measures_of_any_network_are_made_unless_others_are_asked_for() -> None:
    of_any = tuple(name for name, measure in MEASURES.items() if measure.check is None)
    assert made().settings.measures == of_any  # type: ignore[attr-defined]


def test_begin_and_end_are_shares_or_durations() -> None:
    """The digits have 48 batches of 20 an epoch."""
    by_share, by_duration = (
        jobs_of(made(begin=begin, end=end, duration="100it"))["gradual", 0.5].training.sparsifier
        for begin, end in ((0.48, "0.9"), ("1ep", "90it"))
    )
    assert by_share is not None
    assert by_share == by_duration
    assert (by_share.begin, by_share.end, by_share.density) == (0.48, 0.9, 0.5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"begin": "1ep"}, "begin: 1ep is step 48, but the training ends at step 40 (40it): begin earlier, or train"),
        ({"begin": "1"}, "begin: 1 is step 40, but the training ends at step 40 (40it)"),
        ({"end": "41it"}, "end: 41it is step 41, but the training ends at step 40 (40it)"),
        ({"begin": "0.5", "end": "0.2"}, "end: 0.2 is step 8, before begin 0.5 (step 20): it must come after"),
        ({"begin": "-0.1"}, "begin: found -0.1; a share of the training is needed (0.15), or a duration (2ep, 300it)"),
        ({"end": "soon"}, "end: 'soon' is not a duration"),
        ({"sparsities": "0.5,1"}, "sparsities: found 1; a sparsity lies between 0 and 1, both excluded"),
        ({"sparsities": "0.5,0.5"}, "names one twice"),
        ({"methods": "none"}, "methods: found none; give one at least"),
        ({"methods": "gradul"}, "unknown sparsifier 'gradul'. Did you mean 'gradual'"),
        ({"measures": "revial"}, "unknown measure 'revial'. Did you mean 'revival'"),
        ({"criterion": "snip"}, "criterion: 'snip' runs the network on examples of its own"),
        ({"scope": "gobal"}, "unknown scope 'gobal'. Did you mean 'global'"),
        ({"train": "mine:train"}, "train: a training function of your own prunes by lth.guard"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_trained(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as raised:
        made(**settings)
    assert "\n" not in str(raised.value)


def test_few_changes_and_idle_settings_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="gradual changes its masks 2 times: with fewer than 3 applications"):
        made(applications=2)
    with pytest.warns(UserWarning, match="gradual changes its masks 1 time: with"):
        made(begin="0.5", end="0.5")
    with pytest.warns(UserWarning, match=r"without effect: update_fraction 0.5: none of gradual, soft reads it"):
        assert made(update_fraction=0.5, methods="gradual,soft").id == made(methods="gradual,soft").id


def test_the_plan_shows_what_is_pruned_at_each_step(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from lth.launch.plan import plan_document, print_plan

    study = made(sparsities="0.5,0.9", curve="linear", applications=4, begin="0.1", end="0.9", methods="gradual,rigl")
    document = plan_document(study, Store(tmp_path), HERE)
    assert [(row["arm"], row["at"]["target"]) for row in document["mask_changes"]] == [
        ("gradual", 0.5), ("rigl", 0.5), ("gradual", 0.9), ("rigl", 0.9),
    ]  # fmt: skip
    print_plan(document)
    lines = capsys.readouterr().out.splitlines()
    first = lines.index("  weights that gradual has pruned at target 0.5, target 0.9:")
    assert [line.split()[2:7] for line in lines[first + 1 : first + 5]] == [
        ["12", "12.50", "%", "22.50", "%"], ["20", "25.00", "%", "45.00", "%"],
        ["28", "37.50", "%", "67.50", "%"], ["36", "50.00", "%", "90.00", "%"],
    ]  # fmt: skip
    assert "  weights that rigl has pruned at target 0.5, target 0.9:" in lines


def test_what_is_concluded_is_what_is_stored(tmp_path: Path) -> None:
    settings = {**SHORT, "methods": "gradual,rigl", "sparsities": "0.37,0.9"}
    found = lth.sparsify("lenet-300-100", "digits", store=tmp_path / "store", out=tmp_path / "out",
                         execution=HERE, progress=False, **settings)  # fmt: skip
    study = made(**{name: value for name, value in settings.items() if name not in SHORT})
    reader, tables = Reader(Store(tmp_path / "store"), study.sources), found.details["tables"]

    total = 64 * 300 + 300 * 100 + 100 * 10
    assert len(tables["reached"]) == 2 * 2 * 4
    for row in tables["reached"]:
        assert row["weights"] == total
        assert row["pruned"] == row.get("planned", row["pruned"])
        assert row["reached"] == pytest.approx(row["target"], abs=2 / total)
    jobs = jobs_of(study)
    for arm in ("gradual", "random static"):
        weights = reader.weights(jobs[arm, 0.37])
        zeros = sum(int((weights[name] == 0).sum()) for name in study.subject.prunable(study.settings.masks))  # type: ignore[attr-defined]
        assert zeros == round(0.37 * total)
    masks = [
        reader.masks(node) for node in (Sparsified(trained=jobs["gradual", 0.9]), jobs["random static", 0.9].masks)
    ]
    assert all(int(masks[0][name].sum()) == int(mask.sum()) for name, mask in masks[1].items())
    assert any(not torch.equal(masks[0][name], mask) for name, mask in masks[1].items())

    history = read_history(json.loads(reader.store.read(jobs["rigl", 0.9], "metrics.json")))
    zeros_row = next(
        row for row in tables["zeros"] if (row["arm"], row["replicate"], row["target"]) == ("rigl", 0, 0.9)
    )
    assert zeros_row["never_revived"] == 100 * history.end["zero_lifetime/never_revived"] < 100
    assert {row["never_revived"] for row in tables["zeros"] if row["arm"] == "gradual"} == {100.0}
    progress = [row for row in tables["progress"] if (row["arm"], row["replicate"], row["target"]) == ("rigl", 0, 0.9)]
    assert [row["step"] for row in progress] == history.steps
    assert [row["revival"] / 100 for row in progress] == pytest.approx(history.curves["weight_revival/revival_rate"])
    assert not any("revival" in row for row in tables["progress"] if row["arm"] in ("dense", "random static"))
    for arm in ("gradual", "rigl"):
        layers = [row for row in found.details["layers"] if (row["at"]["target"], row["arm"]) == (0.9, arm)]
        assert sum(row["kept"] for row in layers) == pytest.approx(0.1 * total, abs=1)  # what is left at the end

    differences = {(row["arm"], row["target"], row["from"]): row for row in tables["compared"]}
    assert len(differences) == 2 * 2 * 2
    accuracy = {
        (row["arm"], row["at"]["target"], row["replicate"]): row["end"]["test/accuracy"]
        for row in found.results["rows"]
    }
    for rival, key in (("dense", ("dense", 0.0)), ("random static (erk)", ("random static (erk)", 0.9))):
        by_hand = [accuracy["rigl", 0.9, index] - accuracy[(*key, index)] for index in (0, 1)]  # type: ignore[operator]
        assert differences["rigl", 0.9, rival]["mean"] == pytest.approx(sum(by_hand) / 2)
    sentences = " ".join(found.verdict["sentences"])
    assert "37 % -> 37 %, 90 % -> 90 %; every training pruned exactly the count that was planned" in sentences
    assert f"({total:,} prunable weights)" in sentences
    assert "Gradual: none of the weights that were ever pruned came back. At 90 % a zero lasts" in sentences
