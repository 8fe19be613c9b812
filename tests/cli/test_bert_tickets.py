"""Tickets of one pre-trained BERT, found on two tasks of GLUE: merged, compared, and heads that differ in size."""

from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE, assert_same_weights, jobs
from cli_runs import outcome, run
from tickets import ticket_of_masks

import lth
from lth.launch import load_studies
from lth.lineage import (
    Grafted,
    Pretrained,
    Reader,
    Sources,
    Store,
    Ticket,
    build,
    make_ticket,
    read_ticket,
    write_ticket,
)
from lth.lineage.foreign import hugging_face_spec, pretrained_digest
from lth.lineage.origin import AtHand, held_origin
from lth.sparsity import Masks, State
from lth.studies import settings_of
from lth.studies.find_ticket import FIND_TICKET

transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film", "is", "it", "why", "what"]
HEADERS = {"SST-2": "sentence\tlabel", "QQP": "question1\tquestion2\tis_duplicate"}
SENTENCES = {"SST-2": ("a good film\t1", "a bad film\t0"), "QQP": ("why is it\twhat is it\t0", "what is it\tis it\t1")}
HEAD = ("classifier.weight", "classifier.bias")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random BERT in `bert`, and files of two tasks beside it."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=16,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder / "bert")
    (folder / "bert" / "vocab.txt").write_text("\n".join(WORDS))
    for task, header in HEADERS.items():
        (folder / task).mkdir()
        for part, times in (("train", 12), ("dev", 4)):
            (folder / task / f"{part}.tsv").write_text("\n".join([header, *(SENTENCES[task] * times)]) + "\n")
    return folder


def found_on(place: Path, task: str, **chosen: Any) -> Path:
    """The file of a ticket of a short search on a task."""
    settings = {"model": str(place / "bert"), "data": f"glue/{task}:length=8", "levels": 1, "replicates": 1}
    settings |= {"duration": "4it", "batch_size": 4, "evaluate_every": 4, "lr": 0.01, "controls": (), "rate": 0.5}
    (study,) = load_studies(FIND_TICKET, [settings_of(FIND_TICKET, {**settings, **chosen})], place)
    store, path = Store(place / "store"), place / f"{task}-{len(chosen)}.ticket.safetensors"
    build(study.targets, store, study.sources, HERE)
    labels = {"data": task, "level": 1, "replicate": 0}
    write_ticket(make_ticket(jobs(study, "ticket")[-1], Reader(store, study.sources), {}, labels), path)
    return path


@pytest.fixture(scope="module")
def both(place: Path) -> list[Path]:
    """A ticket of each task, from the same pre-trained weights."""
    return [found_on(place, task) for task in ("sst2", "qqp")]


def theta(place: Path, ticket: Ticket) -> State:
    """The pre-trained weights of a ticket, read from their folder."""
    root = ticket.start_node.root
    assert isinstance(root, Pretrained)
    return AtHand({}, {}, Sources(weights={root.digest: place / "bert"})).weights(root)


def without_head(ticket: Ticket) -> Masks:
    return {name: mask for name, mask in ticket.masks.items() if name not in HEAD}


def test_tickets_of_two_tasks_are_merged_from_their_files(
    capsys: pytest.CaptureFixture[str], place: Path, both: list[Path]
) -> None:
    out = place / "both.ticket.safetensors"
    shown = run(capsys, "ticket", "merge", *map(str, both), "--out", str(out))
    one, other = map(read_ticket, both)
    assert one.document["key"] != other.document["key"]
    merged, whole = read_ticket(out), theta(place, one)
    for name, mask in merged.masks.items():
        assert torch.equal(mask, one.masks[name] | other.masks[name])
    assert not any("embedding" in name for name in merged.masks)
    wanted = {
        name: torch.where(merged.masks[name], value, 0.0) if name in merged.masks else value
        for name, value in whole.items()
    }
    assert merged.start is not None
    assert_same_weights(merged.starting_weights(), wanted)
    root = one.start_node.root
    assert isinstance(root, Pretrained)
    assert root.digest == pretrained_digest(place / "bert")
    assert f"the same theta_0, hugging-face (digest {root.digest[:12]})" in " ".join(shown.split())
    assert run(capsys, "ticket", "verify", str(out)).count("ok  ") == 4
    document = lth.compare_tickets(*both, store=place / "store")
    assert document["same_theta_0"] is True
    assert document["mean_cosine"]["starting"]["kept_by_both"] == pytest.approx(1.0)
    assert 0 < (document["mean_cosine"]["trained"]["all"] or 0) < 1
    assert "bert.embeddings.word_embeddings.weight" in document["unpruned"]["trained"]


def test_tickets_rewound_to_a_later_step_need_the_folder(
    capsys: pytest.CaptureFixture[str], place: Path, both: list[Path]
) -> None:
    later = found_on(place, "qqp", rewind_to="2it")
    files, out = [str(both[0]), str(later)], str(place / "later.ticket.safetensors")
    code, _, error = outcome(capsys, "ticket", "merge", *files, "--out", out)
    assert (code, "name them with --start-from" in error, error.count("\n")) == (1, True, 0)
    run(capsys, "ticket", "merge", *files, "--out", out, "--start-from", str(place / "bert"))
    run(capsys, "ticket", "merge", *files, "--out", out, "--start-from", str(place / "bert"), "--random-union", "3")
    control, whole = read_ticket(Path(out)), theta(place, read_ticket(both[0]))
    for name, mask in control.masks.items():
        assert torch.equal(control.starting_weights()[name], torch.where(mask, whole[name], 0.0))


def test_heads_of_different_sizes_and_draws(place: Path, both: list[Path]) -> None:
    masks = [
        {name: mask for name, mask in read_ticket(path).masks.items() if "classifier" not in name} for path in both
    ]
    spec = hugging_face_spec(place / "bert", "sequence-classification")
    digest = pretrained_digest(place / "bert")
    sources, tickets = Sources(weights={digest: place / "bert"}), []
    for num_classes, seed, each in zip((2, 3), (1, 2), masks, strict=True):
        own = spec.model_copy(update={"arguments": spec.arguments | {"num_classes": num_classes}})
        root = Pretrained(spec=own, digest=digest, seed=seed, fresh=HEAD)
        tickets.append(ticket_of_masks(each, root, sources))
    assert tickets[1].starting_weights()["classifier.weight"].shape == (3, 16)
    merged = lth.merge_tickets(*tickets)
    head = merged.starting_weights()["classifier.weight"]
    assert torch.equal(head, tickets[0].starting_weights()["classifier.weight"])
    swapped = lth.merge_tickets(*tickets[::-1])
    assert swapped.starting_weights()["classifier.weight"].shape == (3, 16)
    assert lth.compare_tickets(*tickets)["same_theta_0"] is True


def test_a_ticket_whose_head_was_drawn_anew_does_not_hold_its_origin(place: Path, both: list[Path]) -> None:
    ticket = read_ticket(both[0])
    masks = without_head(ticket)
    root = ticket.start_node.root
    assert isinstance(root, Pretrained)
    sources = Sources(weights={root.digest: place / "bert"})
    donor = Pretrained(spec=root.spec, digest=root.digest, seed=root.seed + 1, fresh=root.fresh)
    grafted = Grafted(of=root, donor=donor, names=HEAD)
    anew = ticket_of_masks(masks, root, sources, kept=grafted)
    plain = ticket_of_masks(masks, root, sources)
    assert not torch.equal(anew.starting_weights()[HEAD[0]], plain.starting_weights()[HEAD[0]])
    assert held_origin([anew, plain], masks) is None
    held = held_origin([plain, anew], masks)
    assert held is not None
    assert all(torch.equal(held[name][mask], theta(place, ticket)[name][mask]) for name, mask in masks.items())
    with pytest.raises(ValueError, match="do not hold all of the weights .*--start-from"):
        lth.merge_tickets(anew, plain)
    merged = lth.merge_tickets(anew, plain, start_from=place / "bert")
    assert torch.equal(merged.starting_weights()[HEAD[0]], plain.starting_weights()[HEAD[0]])
