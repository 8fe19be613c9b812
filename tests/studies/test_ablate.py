"""Branches of a level of a stored search: what is trained, from what, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from builds import HERE, jobs, weights_in

import lth
from lth.cli.main import main
from lth.config import SettingsError
from lth.launch.load import load_studies
from lth.launch.stored import filled
from lth.lineage import Combined, Pruned, Reader, Shuffled, Store, Trained, plan
from lth.studies import STUDIES, settings_of
from lth.studies.ablate_settings import changed, changes_of, spoken
from lth.studies.find_ticket_settings import FindTicket
from lth.studies.prepare import Study

SMALL: dict[str, Any] = {
    "levels": 3, "replicates": 2, "duration": "20it", "evaluate_every": 10, "batch_size": 20, "rewind_to": "5it",
    "rate": 0.3,
}  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with a finished search, and the search's ID."""
    folder = tmp_path_factory.mktemp("search")
    found = lth.study("find-ticket", "lenet-300-100", "digits", store=folder / "store", out=folder / "out",
                      execution=HERE, progress=False, **SMALL)  # fmt: skip
    return folder / "store", found.id


def prepared(stored: tuple[Path, str], **given: Any) -> Study:
    """An ablation of the stored search, ready to plan."""
    study = STUDIES["ablate"]
    settings = filled(study, {"study": stored[1][:6], **given}, stored[0])
    return load_studies(study, [settings_of(study, settings)])[0]


def to_do(made: Study, stored: tuple[Path, str]) -> set[str]:
    """The jobs that the store lacks."""
    return {work.job.key for work in plan(made.targets, Store(stored[0])).works}


@pytest.mark.parametrize("controls", ["none", "random", "random,reinit"])
def test_only_branches_and_their_controls_are_trained(stored: tuple[Path, str], controls: str) -> None:
    made = prepared(stored, level=2, criterion="movement,random", controls=controls)
    arms = [arm.name for arm in made.arms]
    names = [] if controls == "none" else controls.split(",")
    branches = ["criterion=movement", "criterion=random"]
    assert arms == ["dense", "ticket", *branches, *(f"{name} {branch}" for branch in branches for name in names)]
    new = [point.job.key for point in made.points if point.arm not in ("dense", "ticket")]
    assert to_do(made, stored) == set(new)
    assert len(new) == 2 * 2 * (1 + len(names))


def test_a_branch_starts_from_what_the_ticket_did(stored: tuple[Path, str]) -> None:
    made = prepared(stored, level=2, criterion="movement", kept="reinit")
    ticket, moved, drawn, random = (
        jobs(made, arm)[0] for arm in ("ticket", "criterion=movement", "kept=reinit", "random kept=reinit")
    )
    for job in (ticket, moved, drawn, random):
        assert isinstance(job.start, Combined)
    assert isinstance(ticket.masks, Pruned)
    assert isinstance(moved.masks, Pruned)
    assert (moved.masks.end, moved.masks.among) == (ticket.masks.end, ticket.masks.among)
    assert (moved.masks.pruning.criterion, ticket.masks.pruning.criterion) == ("movement", "large_final")
    assert moved.start.kept == ticket.start.kept  # type: ignore[attr-defined]
    assert drawn.masks == ticket.masks
    assert drawn.start.kept != ticket.start.kept  # type: ignore[attr-defined]
    assert random.masks == Shuffled(masks=drawn.masks)
    assert (moved.training.first_step, ticket.training.first_step) == (5, 5)


def test_a_branch_of_fine_tuning_trains_as_long_as_the_ticket() -> None:
    """It keeps the search's rewind point, which says how many steps are left; a new draw goes back to no step."""
    search = FindTicket(**SMALL)
    tuned = changed(search, "kept=keep")
    assert (tuned.restart.kept, tuned.restart.rewind_to) == ("keep", "5it")
    assert changed(tuned, "criterion=movement").restart == tuned.restart
    assert changed(search, "kept=reinit").restart.rewind_to == "0it"


def test_it_runs_and_says_what_each_branch_is_worth(
    stored: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, id_of_search = stored
    found = lth.study("ablate", study=id_of_search[:5], store=store, out=tmp_path / "out", execution=HERE,
                      progress=False, level=3, branches="kept=shuffle; criterion=random,scope=global")  # fmt: skip
    warning, *sentences = found.verdict["sentences"]
    assert warning.startswith("No finding: the dense network's accuracy of")  # of 20 steps and two replicates
    assert found.verdict["found"] is False
    assert "(2 branches tested together, Holm)" in sentences[0]
    assert sentences[2].startswith("With kept shuffle: ")
    assert sentences[3].startswith("With criterion random and scope global: ")
    assert all(" from ticket; " in each and " from dense; " in each for each in sentences[2:4])
    assert found.results["config"]["study"] == id_of_search
    rows = found.details["tables"]["statistics"]
    assert [(row["arm"], row["against"]) for row in rows] == [
        (branch, against) for branch in ("kept=shuffle", "criterion=random,scope=global")
        for against in ("dense", "ticket", f"random {branch}")
    ]  # fmt: skip
    shown = {(entry["arm"], entry["at"]["level"]) for entry in found.details["layers"]}
    assert shown == {("dense", 0), ("ticket", 3), ("kept=shuffle", 3), ("criterion=random,scope=global", 3)}
    assert shown == {(entry["arm"], entry["at"]["level"]) for entry in found.details["distributions"]}
    assert "of the weights, where the ticket has" not in sentences[2]
    assert "with 34.3 % of the weights, where the ticket has 34.8 %." in sentences[3]  # one rate for all layers
    files = {path.name for path in (tmp_path / "out" / "tickets").iterdir()}
    names = [f"{branch}-level-03" for branch in ("kept-shuffle", "criterion-random-scope-global")]
    assert files == {f"{name}-replicate-{each}.ticket.safetensors" for name in names for each in (0, 1)}
    # Its settings file stands by itself, also where the store lacks the search.
    config = tmp_path / "out" / "config.yaml"
    for place, done in ((store, 0), (tmp_path / "empty", None)):
        with pytest.raises(SystemExit):
            main(["plan", "ablate", "--config", str(config), "--store", str(place), "--out", "x", "--json"])
        document = json.loads(capsys.readouterr().out)
        assert document["study"] == found.id
        assert done is None or document["to_do"] == done
    assert yaml.safe_load(config.read_text())["branches"] == ["kept=shuffle", "criterion=random,scope=global"]


def test_a_level_is_named_by_number_or_density(stored: tuple[Path, str]) -> None:
    """Levels keep 70, 49 and 34 % (and more of the output layer)."""
    assert prepared(stored).settings.level == 3  # type: ignore[attr-defined]
    by_density = prepared(stored, density=0.5)
    assert by_density.settings.level == 2  # type: ignore[attr-defined]
    assert by_density.id == prepared(stored, level=2).id
    with pytest.raises(SettingsError, match="level: the search has levels 1 to 3; found 4"):
        prepared(stored, level=4)
    with pytest.raises(SettingsError, match="level, density: both say"):
        prepared(stored, level=1, density=0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": 0.5}, "lr: it would change trainings before the level.*can be changed: criterion, scope, .*kept, "),
        ({"data": "mnist"}, "data: it would change trainings before"),
        ({"rate": 0.5}, "rate: it would change trainings before"),
        ({"branches": "lr=0.5"}, "lr: it would change trainings before"),
        ({"criterion": "large_final"}, "criterion: study .* has it so, and nothing would change"),
        ({"branches": "kept=rewind"}, "'kept=rewind' changes nothing"),
        ({"criterion": "movemant"}, "Did you mean 'movement'"),
        ({"criterion": "movement_pruning"}, "needs movement_pruning, which the trainings of this search did not keep"),
        ({"branches": "moments=keep,kept=keep"}, "needs moments, .*lth find-ticket ... --moments keep"),
        ({"branches": "movement"}, "write a setting and its value, as criterion=movement; found 'movement'"),
        ({"replicates": 3}, "replicates: study .* has 2; found 3"),
        ({"study": "zzz"}, "'zzz' is no study of the store"),
    ],
)
def test_what_cannot_be_a_branch_is_refused_in_one_line(
    stored: tuple[Path, str], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        prepared(stored, **given)
    assert "\n" not in str(caught.value)


def test_only_searches_are_ablated(stored: tuple[Path, str], tmp_path: Path) -> None:
    other = lth.study("train", "lenet-300-100", "digits", store=tmp_path / "store", out=tmp_path / "out",
                      execution=HERE, progress=False, replicates=1, duration="10it", evaluate_every=5)  # fmt: skip
    with pytest.raises(SettingsError, match="is of kind 'train'; an ablation takes one of find-ticket"):
        prepared((tmp_path / "store", other.id))


def test_a_branch_is_one_branch_however_often_it_is_named(stored: tuple[Path, str]) -> None:
    made = prepared(stored, branches="kept = reinit; kept=reinit", kept="reinit")
    assert made.settings.branches == ("kept=reinit",)  # type: ignore[attr-defined]


def test_branches_are_read_and_spoken() -> None:
    assert changes_of("protect=h.2.mlp:4,6,kept=reinit") == {"protect": "h.2.mlp:4,6", "kept": "reinit"}
    assert spoken("rewind-to=5it,kept=reinit") == "rewind to 5it and kept reinit"
    with pytest.raises(ValueError, match="found 'kept'"):
        changes_of("kept")


def test_random_branches_keep_as_many_weights(stored: tuple[Path, str]) -> None:
    """The criterion changes which weights stay, and not how many."""
    made = prepared(stored, level=2, criterion="random")
    reader = Reader(Store(stored[0]), made.sources)
    ticket, random = (jobs(made, arm)[0].masks for arm in ("ticket", "criterion=random"))
    kept, drawn = reader.masks(ticket), reader.masks(random)
    assert {name: int(mask.sum()) for name, mask in kept.items()} == {
        name: int(mask.sum()) for name, mask in drawn.items()
    }
    assert any(not bool((kept[name] == drawn[name]).all()) for name in kept)
    before = next(job for job in jobs(made, "ticket"))
    assert isinstance(before, Trained)
    assert weights_in(Store(stored[0]), before)
