"""Few-shot transfer of tickets of a tiny BERT, trained for real: masks, draws, scores, and what is said of them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from few_shots import MODEL, data, few_shot, find, write_glue

import lth
from lth.analysis.statistics import paired_difference
from lth.cli.main import main
from lth.config import SettingsError
from lth.data import Rows, Subset
from lth.launch.load import load_studies
from lth.lineage import Grafted, Initial, Reader, Store, Trained
from lth.models import head_of
from lth.studies import STUDIES, settings_of
from lth.studies.few_shot_sources import opened
from lth.studies.prepare import Study
from lth.tasks import make_task

HEAD = ("classifier.weight", "classifier.bias")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_glue(tmp_path_factory.mktemp("few-shot"))


@pytest.fixture(scope="module")
def tickets(folder: Path) -> tuple[Path, Path, Path]:
    """Tickets of SST-2 and of QQP from one initialisation, and both merged."""
    own, other = (
        shutil.copy(find(folder, name, name), folder / f"{name}.ticket.safetensors") for name in ("qqp", "sst2")
    )
    merged = folder / "merged.ticket.safetensors"
    lth.merge_tickets(own, other, out=merged)
    return Path(own), Path(other), merged


@pytest.fixture(scope="module")
def head_alone(folder: Path, tickets: tuple[Path, Path, Path]) -> lth.Found:
    return few_shot(folder, *tickets, mode="head", shots_of="class", shots="3,6", names="own,other,merged")


def prepared(folder: Path, *sources: Path, **settings: object) -> Study:
    given = {"sources": tuple(map(str, sources)), "target": data("qqp", folder), "validation": 4, "shots": "4,8"}
    return load_studies(STUDIES["few-shot"], [settings_of(STUDIES["few-shot"], {**given, **settings})], folder)[0]


def same_study(folder: Path, found: lth.Found) -> tuple[Study, Reader]:
    """The study that left this, prepared again from its config.yaml, and a reader of its store."""
    study_type = STUDIES["few-shot"]
    written = yaml.safe_load((found.folder / "config.yaml").read_text())
    settings = settings_of(study_type, {name: value for name, value in written.items() if name != "run"})
    [again] = load_studies(study_type, [settings], folder)
    assert again.id == found.id
    return again, Reader(Store(folder / "store"), again.sources)


def test_a_head_trains_alone_over_masked_weights(
    folder: Path, tickets: tuple[Path, Path, Path], head_alone: lth.Found
) -> None:
    study, reader = same_study(folder, head_alone)
    assert len(study.points) == len(head_alone.results["rows"]) == 2 * 2 * (1 + 3 + 3)
    masks = {name: lth.read_ticket(path).masks for name, path in zip(("own", "other", "merged"), tickets, strict=True)}
    assert all(
        torch.equal(masks["merged"][name], masks["own"][name] | masks["other"][name]) for name in masks["merged"]
    )
    root = reader.weights(opened(tickets[0], study.settings.digests[0]).root)  # type: ignore[attr-defined]
    for point in study.points:
        assert isinstance(point.job, Trained)
        start, end = reader.weights(point.job.start), reader.weights(point.job)
        kept = masks.get(point.arm) or (reader.masks(point.job.masks) if point.arm != "dense" else {})
        for name, value in end.items():
            if name in HEAD:
                assert not torch.equal(value, start[name])
            else:
                assert torch.equal(value, root[name] * kept[name] if name in kept else root[name]), name
        if point.arm.startswith("random "):
            own = masks[point.arm.removeprefix("random ")]
            sizes = [{name: int(mask.sum()) for name, mask in each.items() if name not in HEAD} for each in (kept, own)]
            assert sizes[0] == sizes[1]
            assert any(not torch.equal(mask, own[name]) for name, mask in kept.items())


def test_arms_of_a_replicate_share_examples_order_and_head(folder: Path, head_alone: lth.Found) -> None:
    study, reader = same_study(folder, head_alone)
    drawn: dict[tuple[int, float | str], set[str]] = {}
    chosen: dict[tuple[int, float | str], set[int]] = {}
    for point in study.points:
        job = point.job
        assert isinstance(job, Trained)
        train = reader.parts(job.data)["train"]
        assert isinstance(train, Subset)
        assert isinstance(train.examples, Subset)
        place = (point.replicate, point.at["shots"])
        start = reader.weights(job.start)
        drawn.setdefault(place, set()).add(f"{job.data.shots_seed} {job.seeds} {start[HEAD[0]].sum().item()}")
        chosen[place] = set(train.examples.indices[train.indices].tolist())
        labels = train.take(torch.arange(len(train)), torch.device("cpu"))["y"].bincount().tolist()
        assert labels == [point.at["shots"]] * 2
    assert {len(each) for each in drawn.values()} == {1}
    assert chosen[0, 3] < chosen[0, 6]
    assert chosen[0, 6] != chosen[1, 6]
    assert drawn[0, 6] != drawn[1, 6]


def test_scores_are_of_the_whole_dev_set_and_verdicts_of_the_rows(folder: Path, head_alone: lth.Found) -> None:
    study, reader = same_study(folder, head_alone)
    test = reader.parts(study.subject.data)["test"]
    assert isinstance(test, Rows)
    assert len(test) == 23
    batch, task = test.take(torch.arange(23), torch.device("cpu")), make_task(study.subject.training.task)
    scores: dict[tuple[str, float | str], list[float | None]] = {}
    for row in head_alone.results["rows"]:
        job = next(point.job for point in study.points if point.job.key == row["key"])
        assert isinstance(job, Trained)
        module = reader.module(job.model).eval()
        module.load_state_dict(reader.weights(job))
        with torch.no_grad():
            answers = task.forward(module, batch).argmax(-1)
        assert row["end"]["test/accuracy"] == pytest.approx(float((answers == batch["y"]).float().mean()))
        scores.setdefault((row["arm"], row["at"]["shots"]), []).append(row["end"]["test/accuracy"])
    table = head_alone.details["tables"]["comparisons"]
    assert {(row["arm"], row["against"]) for row in table} == {
        ("own", "dense"), ("own", "random own"), ("own", "other"), ("own", "merged"), ("other", "dense"),
        ("other", "random other"), ("other", "merged"), ("merged", "dense"), ("merged", "random merged"),
    }  # fmt: skip
    for row in table:
        own, other = (scores[arm, row["shots"]] for arm in (row["arm"], row["against"]))
        assert {end: row[end] for end in ("mean", "low", "high", "values")} == paired_difference(own, other, 0.95)
    sentences = head_alone.verdict["sentences"]
    assert any(each.startswith("With 6 examples of each class, own: test accuracy ") for each in sentences)
    assert "From few examples" in head_alone.report.read_text()


def test_all_kept_weights_train_by_default(folder: Path, tickets: tuple[Path, Path, Path]) -> None:
    found = few_shot(folder, tickets[1], shot_seeds="42,123", shots="8", names="other")
    study, reader = same_study(folder, found)
    masks = lth.read_ticket(tickets[1]).masks
    for point in study.points:
        job = point.job
        assert isinstance(job, Trained)
        assert (job.data.shots, job.data.shots_by_class, job.data.shots_seed) == (8, False, (42, 123)[point.replicate])
        start, end = reader.weights(job.start), reader.weights(job)
        name = next(iter(masks))
        assert not torch.equal(start[name], end[name])
        if point.arm == "other":
            assert not any(end[name][~mask].any() for name, mask in masks.items() if name not in HEAD)


def test_sources_without_effect_are_named(folder: Path, tickets: tuple[Path, Path, Path]) -> None:
    """Two copies of a ticket, and one that keeps all: what masks that were not loaded look like."""
    copy = shutil.copy(tickets[0], folder / "copy.ticket.safetensors")
    said = "the source had no effect: qqp and copy have the same scores in all 2 cells"
    with pytest.warns(UserWarning, match="no effect") as warned:
        found = few_shot(folder, tickets[0], Path(copy), shots="8", mode="head")
    assert next(str(each.message) for each in warned if "no effect" in str(each.message)) == said
    assert found.verdict["sentences"][0] == f"T{said[1:]}."
    assert found.verdict["summary"].startswith("8 examples: qqp ")


def test_another_task_may_have_other_classes(folder: Path, tickets: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """The head of another size; the weights under it are those that the ticket grew from."""
    study = prepared(folder, tickets[0], model=f"{MODEL},num_classes=3")
    job = study.points[-1].job
    assert isinstance(job, Trained)
    dense = next(point.job for point in study.points if point.arm == "dense")
    assert isinstance(dense, Trained)
    assert isinstance(dense.start, Grafted)
    assert isinstance(dense.start.donor, Initial)
    state = Reader(Store(tmp_path), study.sources).weights(dense.start)
    assert state["classifier.weight"].shape == (3, 16)
    assert head_of("bert", study.subject.module) == HEAD


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shots": "400"}, "shots: 400 examples were asked for, and there are 36 to draw from"),
        (
            {"shots": "19", "shots_of": "class"},
            "shots: 19 examples of each class were asked for, and there are 1[0-9] of",
        ),
        ({"shots": "8,8"}, r"shots: found \[8, 8\]; give different numbers from 1"),
        ({"shot_seeds": "1,2"}, r"shot_seeds: found \[1, 2\] for 3 replicates"),
        ({"names": "dense"}, "names: 'dense' is an arm of the study"),
        ({"names": "a,b"}, "names: found 2 for 1 ticket files"),
        ({"model": "bert:hidden_size=32,num_hidden_layers=1,num_attention_heads=2"}, "another architecture"),
        ({"target": "digits"}, "the model 'bert' needs vocabulary, which the data do not have"),
        ({"data": "digits"}, "target 'glue/qqp.*' and data 'digits' say one thing"),
    ],
)
def test_what_does_not_fit_is_said(
    folder: Path, tickets: tuple[Path, Path, Path], settings: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as refused:
        prepared(folder, tickets[0], **settings)
    assert "\n" not in str(refused.value)


def test_tickets_of_other_origins_are_refused(folder: Path, tickets: tuple[Path, Path, Path]) -> None:
    stranger = find(folder, "sst2", "stranger", seed=5)
    with pytest.raises(
        SettingsError,
        match="qqp.ticket.safetensors grew from a draw of bert:.*, .* from a draw of bert:.* of one --seed",
    ):
        prepared(folder, tickets[0], stranger, names="one,two")
    with pytest.raises(SettingsError, match="'qqp.ticket' would name two|'qqp' would name two"):
        prepared(folder, tickets[0], tickets[0])
    with pytest.raises(SettingsError, match=r"vocab\.txt is no whole safetensors file"):
        prepared(folder, folder / "vocab.txt")


def test_the_grid_of_36_cells_is_one_file(
    folder: Path, tickets: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Two tasks, two modes, three seeds, and own ticket, merged ticket and dense; and the command line's order."""
    example = Path(__file__).parents[2] / "examples" / "few_shot_grid.yaml"
    grid = yaml.safe_load(example.read_text())
    assert grid.pop("run") == "few-shot"
    monkeypatch.chdir(tmp_path)
    for path in {path for each in grid["sweep"]["zip"]["sources"] for path in each}:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tickets[0], path)
    grid["sweep"]["zip"]["target"] = [data(each.partition("/")[2], folder) for each in grid["sweep"]["zip"]["target"]]
    grid |= {"shots": 8, "validation": 4}
    fixed = {name: value for name, value in grid.items() if name != "sweep"}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid))

    def planned(*command: str) -> object:
        with pytest.raises(SystemExit) as ended:
            main(["plan", "few-shot", *command, "--json"])
        shown = capsys.readouterr()
        assert ended.value.code == 0, shown.err
        return json.loads(shown.out)

    documents = planned("--config", "grid.yaml", "--folder", str(folder))
    assert isinstance(documents, list)
    assert len(documents) == 4
    swept = grid["sweep"]["zip"]
    settings = [
        settings_of(STUDIES["few-shot"], {**fixed, "mode": mode, "sources": sources, "target": target})
        for mode in grid["sweep"]["grid"]["mode"]
        for sources, target in zip(swept["sources"], swept["target"], strict=True)
    ]
    studies = load_studies(STUDIES["few-shot"], settings, folder)
    cells = [point for study in studies for point in study.points if not point.arm.startswith("random ")]
    assert len(cells) == 36
    one = planned(str(tickets[0]), str(tickets[1]), "--target", data("qqp", folder), str(folder), "--shots", "8",
                  "--validation", "4")  # fmt: skip
    assert isinstance(one, dict)
