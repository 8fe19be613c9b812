"""Few-shot transfer of tickets of a pre-trained encoder: its weights, what it lacks, and tickets without a pooler."""

from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE
from few_shots import SHORT, WORDS, write_glue

import lth
from lth.launch.load import load_studies
from lth.lineage import Pretrained, Reader, Sources, Store, Trained, read_ticket
from lth.lineage.foreign import pretrained_digest
from lth.lineage.origin import AtHand
from lth.studies import STUDIES, settings_of

transformers = pytest.importorskip("transformers")

POOLER = ("bert.pooler.dense.weight", "bert.pooler.dense.bias")
HEAD = ("classifier.weight", "classifier.bias")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks, a text, and two encoders: `whole` has a pooler, `bare` was a masked language model and has none."""
    place = write_glue(tmp_path_factory.mktemp("few-shot-pretrained"))
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=5 + len(WORDS), max_position_embeddings=32, **sizes)
    transformers.BertForPreTraining(config).save_pretrained(place / "whole")
    transformers.BertForMaskedLM(config).save_pretrained(place / "bare")
    for name in ("whole", "bare"):
        (place / name / "vocab.txt").write_text((place / "vocab.txt").read_text())
    (place / "text.txt").write_text(
        "\n".join(" ".join(WORDS[row % 5 :] + WORDS[: row % 5]) for row in range(60)) + "\n"
    )
    return place


def find(folder: Path, model: str, data: str) -> Path:
    """A ticket, found for real in a few steps: half of the weights."""
    settings = {"replicates": 1, "levels": 1, "rate": 0.5, "controls": "none", "duration": "6it", **SHORT}
    found = lth.find_ticket(
        model, data, folder, store=folder / "store", out=folder / f"{model}-{data[:10].replace('/', '-')}",
        execution=HERE, progress=False, **settings,
    )  # fmt: skip
    return found.tickets[0]


@pytest.fixture(scope="module")
def tickets(folder: Path) -> dict[str, Path]:
    """Tickets of `whole` on both tasks and of its masked language model, and merged ones."""
    made = {task: find(folder, "whole", f"glue/{task}:length=16") for task in ("sst2", "qqp")}
    made["mlm"] = find(folder, "whole", f"masked-text:file={folder / 'text.txt'},block=16")
    for name, pair in {"merged": ("sst2", "qqp"), "with-mlm": ("mlm", "sst2")}.items():
        made[name] = folder / f"{name}.ticket.safetensors"
        lth.merge_tickets(*(made[each] for each in pair), out=made[name], start_from=folder / "whole")
    made["union"] = folder / "union.ticket.safetensors"
    lth.merge_tickets(made["sst2"], made["qqp"], out=made["union"], start_from=folder / "whole", random_union=0)
    return made


def shots(folder: Path, tickets: dict[str, Path], *names: str, **settings: Any) -> tuple[lth.Found, Any, Reader]:
    usual = {"replicates": 2, "shots": "8", "validation": 4, "duration": "4it", "names": ",".join(names), **SHORT}
    files = [tickets[name] for name in names]
    found = lth.few_shot(
        files, "glue/qqp:length=16", folder, store=folder / "store", out=folder / "out", execution=HERE,
        progress=False, **{**usual, **settings},
    )  # fmt: skip
    given = {**usual, **settings, "sources": tuple(map(str, files)), "target": "glue/qqp:length=16"}
    [study] = load_studies(STUDIES["few-shot"], [settings_of(STUDIES["few-shot"], given)], folder)
    assert study.id == found.id
    return found, study, Reader(Store(folder / "store"), study.sources)


def theta(folder: Path, ticket: Path) -> dict[str, torch.Tensor]:
    root = read_ticket(ticket).start_node.root
    assert isinstance(root, Pretrained)
    return AtHand({}, {}, Sources(weights={root.digest: folder / "whole"})).weights(root)


@pytest.mark.parametrize(("mode", "names"), [("head", ("qqp", "merged", "mlm", "union")), ("full", ("merged",))])
def test_tickets_over_pretrained_weights(
    folder: Path, tickets: dict[str, Path], mode: str, names: tuple[str, ...]
) -> None:
    found, study, reader = shots(folder, tickets, *names, mode=mode)
    subjects = [name for name in names if name != "union"]
    assert {arm.name: arm.role for arm in study.arms} == {
        "dense": "baseline",
        **{name: "subject" if name in subjects else "control" for name in names},
        **{f"random {name}": "control" for name in subjects},
    }
    ends = {arm.name: arm.words.rpartition("; ")[2] for arm in study.arms}
    said = "was chosen with all training examples of this task"
    assert ends["merged"] == f"a part of its mask {said}"
    assert ends.get("qqp", f"its mask {said}") == f"its mask {said}"
    assert not any("chosen" in ends.get(name, "") for name in ("mlm", "union", "dense"))
    whole = theta(folder, tickets["sst2"])
    assert study.subject.pretrained == pretrained_digest(folder / "whole")
    heads = set()
    for point in study.points:
        assert isinstance(point.job, Trained)
        start, end = reader.weights(point.job.start), reader.weights(point.job)
        kept = reader.masks(point.job.masks) if point.arm != "dense" else {}
        for name in start.keys() - set(HEAD):
            wanted = torch.where(kept[name], whole[name], 0.0) if name in kept else whole[name]
            assert torch.equal(start[name], wanted), (point.arm, name)
            if mode == "head":
                assert torch.equal(end[name], start[name])
        assert not torch.equal(end[HEAD[0]], start[HEAD[0]])
        heads.add((point.replicate, float(start[HEAD[0]].sum())))
    assert len(heads) == 2
    assert not any(name in POOLER for name in read_ticket(tickets["mlm"]).masks)
    assert found.verdict["summary"].startswith(f"8 examples: {subjects[0]} ")


def test_what_the_checkpoint_lacks_is_drawn_and_trained_with_the_head(folder: Path) -> None:
    ticket = find(folder, "bare", "glue/sst2:length=16")
    assert POOLER[0] in read_ticket(ticket).masks
    _, study, reader = shots(folder, {"a": ticket}, "a", mode="head")
    starts: dict[int, set[float]] = {}
    for point in study.points:
        start, end = reader.weights(point.job.start), reader.weights(point.job)
        assert {name for name in start if not torch.equal(start[name], end[name])} == {*POOLER, *HEAD}
        assert point.arm == "dense" or POOLER[0] not in reader.masks(point.job.masks)
        starts.setdefault(point.replicate, set()).add(float(start[POOLER[0]].sum()))
    assert [len(each) for each in starts.values()] == [1, 1]
    assert starts[0] != starts[1]


def test_a_masked_language_model_keeps_the_pooler_that_it_lacks(folder: Path, tickets: dict[str, Path]) -> None:
    merged, one, other = (read_ticket(tickets[name]) for name in ("with-mlm", "mlm", "sst2"))
    assert merged.document["merged"]["not_pruned"] == [[POOLER[0]], []]
    assert merged.masks[POOLER[0]].all()
    assert merged.model == other.model
    for name, mask in one.masks.items():
        assert torch.equal(merged.masks[name], mask | other.masks[name])
    assert torch.equal(merged.starting_weights()[POOLER[0]], theta(folder, tickets["sst2"])[POOLER[0]])


def test_names_of_arms_and_the_seed_make_another_study(folder: Path, tickets: dict[str, Path]) -> None:
    def prepared(**settings: Any) -> Any:
        given = {"sources": (str(tickets["sst2"]),), "target": "glue/qqp:length=16", "shots": "8", "validation": 4}
        [study] = load_studies(STUDIES["few-shot"], [settings_of(STUDIES["few-shot"], {**given, **settings})], folder)
        return study

    plain, renamed = prepared(), prepared(names="own")
    assert plain.id != renamed.id
    assert plain.id == prepared(names="level-01-replicate-0").id  # what its file is called
    draws = [study.points[-1].job.masks.draw for study in (plain, prepared(seed=1))]
    assert draws[0] != draws[1]
