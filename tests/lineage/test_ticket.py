"""The ticket file: complete, checked, and enough to build the ticket again."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE, jobs, metrics_in, study, tiny
from safetensors import safe_open
from safetensors.torch import save_file

from lth.data import load_data
from lth.lineage import (
    Reader,
    Sources,
    Store,
    StoreError,
    Ticket,
    apply_masks,
    build,
    check_fit,
    make_ticket,
    read_ticket,
    write_ticket,
)
from lth.models import LeNet300100
from lth.studies.prepare import Study

SCORES = {"own": {"end": {"test/accuracy": 0.5}}}
LABELS = {"level": 2, "replicate": 0}


def ticket_of(finished: tuple[Study, Store], folder: Path, arm: str = "ticket") -> tuple[Ticket, Path]:
    """The level 2 ticket of a finished study, and its file."""
    made, store = finished
    ticket = make_ticket(jobs(made, arm)[1], Reader(store, made.sources), SCORES, LABELS)
    path = folder / f"{arm}.ticket.safetensors"
    write_ticket(ticket, path)
    return ticket, path


@pytest.fixture(scope="module")
def redrawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Store]:
    """A study rewound to step 0: its tickets start from weights that can be drawn again."""
    made = study(controls=())
    store = Store(tmp_path_factory.mktemp("redrawn"))
    build(made.targets, store, made.sources, HERE)
    return made, store


def test_a_ticket_round_trips(finished: tuple[Study, Store], tmp_path: Path) -> None:
    ticket, path = ticket_of(finished, tmp_path)
    read = read_ticket(path)
    assert read.document == json.loads(json.dumps(ticket.document))
    assert read.masks.keys() == ticket.masks.keys()
    assert all(torch.equal(read.masks[name], mask) for name, mask in ticket.masks.items())
    assert read.start is not None
    assert ticket.start is not None
    assert all(torch.equal(read.start[name], value) for name, value in ticket.start.items())
    made, _ = finished
    assert read.trained == jobs(made, "ticket")[1]
    assert read.model == made.subject.model
    document = read.document
    assert (document["scores"], document["labels"], document["density"]) == (SCORES, LABELS, 0.25)
    assert ticket.scores == SCORES["own"]["end"]
    assert document["density_by_tensor"] == {"1.weight": 0.25, "3.weight": 0.25}
    assert document["seeds"] == read.trained.seeds.model_dump()
    assert list(tmp_path.iterdir()) == [path]


def test_weights_of_step_0_are_drawn_again_and_a_rewound_start_is_kept(
    redrawn: tuple[Study, Store], finished: tuple[Study, Store], tmp_path: Path
) -> None:
    for made, store in (redrawn, finished):
        _, path = ticket_of((made, store), tmp_path)
        ticket = read_ticket(path)
        assert (ticket.start is None) == (store is redrawn[1])
        wanted = Reader(store, made.sources).weights(jobs(made, "ticket")[1].start)
        found = ticket.starting_weights(tiny)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_a_lenet_ticket_is_tens_of_kilobytes(tmp_path: Path) -> None:
    made = study(LeNet300100, model="lenet-300-100", levels=1, controls=(), duration="1it", rates={})
    store = Store(tmp_path / "store")
    build(made.targets, store, made.sources, HERE)
    ticket = make_ticket(jobs(made, "ticket")[0], Reader(store, made.sources), SCORES, LABELS)
    path = tmp_path / "lenet.ticket.safetensors"
    write_ticket(ticket, path)
    num_bytes_of_masks = sum((mask.numel() + 7) // 8 for mask in ticket.masks.values())
    assert num_bytes_of_masks < path.stat().st_size < num_bytes_of_masks + 10_000 < 20_000
    assert read_ticket(path).starting_weights()["hidden1.weight"].shape == (300, 64)


def test_a_ticket_is_rebuilt_from_its_file_alone(finished: tuple[Study, Store], tmp_path: Path) -> None:
    made, store = finished
    _, path = ticket_of(finished, tmp_path)
    ticket = read_ticket(path)
    data = load_data("digits")
    sources = Sources(models={ticket.model.name: tiny}, data={data.digest: data})
    empty = Store(tmp_path / "empty")
    assert build([ticket.trained], empty, sources, HERE) == {}
    masks = Reader(empty, sources).masks(ticket.trained.masks)
    assert all(torch.equal(masks[name], mask) for name, mask in ticket.masks.items())
    assert metrics_in(empty, ticket.trained) == metrics_in(store, jobs(made, "ticket")[1])


def test_no_flipped_byte_goes_unnoticed(redrawn: tuple[Study, Store], tmp_path: Path) -> None:
    """Wherever one byte is altered, reading fails with a ValueError, or gives the same ticket (padding bits)."""
    ticket, path = ticket_of(redrawn, tmp_path)
    content = path.read_bytes()
    altered = tmp_path / "altered"
    num_refused = 0
    for position in [*range(0, 400), *range(400, len(content) - 300, 41), *range(len(content) - 300, len(content))]:
        altered.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        try:
            read = read_ticket(altered)
        except ValueError:
            num_refused += 1
        else:
            assert all(torch.equal(read.masks[name], mask) for name, mask in ticket.masks.items()), position
            assert read.document == ticket.document, position
    assert num_refused > 500


def test_a_flipped_mask_bit_and_an_altered_document_are_told_apart(
    redrawn: tuple[Study, Store], tmp_path: Path
) -> None:
    _, path = ticket_of(redrawn, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 128]))
    with pytest.raises(
        ValueError, match=re.escape(str(path)) + ": the masks have digest .*the file was altered or damaged"
    ):
        read_ticket(path)
    path.write_bytes(content.replace(b'\\"level\\": 2', b'\\"level\\": 3', 1))
    with pytest.raises(ValueError, match=re.escape(str(path)) + ": the ticket's document does not give its checksum"):
        read_ticket(path)


def rewritten(path: Path, **changes: Any) -> Path:
    """The same file with another document, its checksum made to fit: a forgery rather than damage."""
    import hashlib

    with safe_open(str(path), framework="pt") as file:
        document = json.loads(file.metadata()["ticket"].partition("\n")[2]) | changes
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
    text = json.dumps(document)
    other = path.with_name("other.ticket.safetensors")
    save_file(tensors, other, {"ticket": f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}"})
    return other


def test_wrong_digests_and_formats_are_errors(
    redrawn: tuple[Study, Store], finished: tuple[Study, Store], tmp_path: Path
) -> None:
    _, path = ticket_of(redrawn, tmp_path)
    with pytest.raises(ValueError, match=r"has format 'lth.ticket/9'; this lth reads 'lth.ticket/2': update lth"):
        read_ticket(rewritten(path, format="lth.ticket/9"))
    with pytest.raises(ValueError, match=r"has format 'lth.ticket/1'; .*: run the search again"):
        read_ticket(rewritten(path, format="lth.ticket/1"))
    with pytest.raises(ValueError, match=r"the masks have digest .* the ticket says 0000"):
        read_ticket(rewritten(path, masks_digest="0" * 64))
    for each in (path, ticket_of(finished, tmp_path / "rewound")[1]):
        with pytest.raises(
            ValueError, match=r"the starting weights have digest .*the ticket says 0000.*another PyTorch"
        ):
            read_ticket(rewritten(each, start_digest="0" * 64)).starting_weights(tiny)
    documents = read_ticket(path).document["derivation"]
    documents[0]["fields"]["seed"] = 1
    with pytest.raises(ValueError, match="does not give its own key: it was altered"):
        read_ticket(rewritten(path, derivation=documents)).starting_weights(tiny)


def test_what_is_no_ticket_is_said(tmp_path: Path, redrawn: tuple[Study, Store]) -> None:
    with pytest.raises(ValueError, match=f"there is no file {tmp_path}/none"):
        read_ticket(tmp_path / "none")
    (tmp_path / "text").write_text("not a ticket at all, but longer than a header")
    with pytest.raises(ValueError, match="is no whole safetensors file"):
        read_ticket(tmp_path / "text")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match="is no whole safetensors file"):
        read_ticket(tmp_path / "empty")
    with pytest.raises(ValueError, match="is no whole safetensors file"):
        read_ticket(tmp_path)
    save_file({"a": torch.ones(1)}, tmp_path / "plain")
    with pytest.raises(ValueError, match="is a safetensors file, but no ticket"):
        read_ticket(tmp_path / "plain")
    _, path = ticket_of(redrawn, tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="is no whole safetensors file"):
        read_ticket(path)


def test_masks_are_applied_in_place_and_only_where_they_fit(redrawn: tuple[Study, Store], tmp_path: Path) -> None:
    ticket, _ = ticket_of(redrawn, tmp_path)
    module = tiny()
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    apply_masks(ticket, module)
    for name, value in module.named_parameters():
        mask = ticket.masks.get(name, torch.ones_like(value, dtype=torch.bool))
        assert torch.equal(value, torch.where(mask, before[name], 0.0))
    with pytest.raises(
        ValueError, match=r"another architecture \(tiny\): it prunes '1.weight', .* not among hidden1.weight"
    ):
        apply_masks(ticket, LeNet300100((8, 8)))
    wider = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    untouched = wider[1].weight.detach().clone()
    with pytest.raises(ValueError, match=r"its '1.weight' has shape \(16, 64\), here it is \(32, 64\)"):
        apply_masks(ticket, wider)
    assert torch.equal(wider[1].weight, untouched)
    check_fit(ticket, {name: tuple(value.shape) for name, value in before.items()})


def test_a_changed_model_of_the_same_name_is_an_error(redrawn: tuple[Study, Store], tmp_path: Path) -> None:
    _, path = ticket_of(redrawn, tmp_path)

    def changed() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))

    with pytest.raises(ValueError, match="'tiny' no longer has the structure that this result was made with"):
        read_ticket(path).starting_weights(changed)


def test_a_ticket_that_cannot_be_written_is_an_error(redrawn: tuple[Study, Store], tmp_path: Path) -> None:
    ticket, _ = ticket_of(redrawn, tmp_path)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write .*file/one.ticket.safetensors"):
        write_ticket(ticket, tmp_path / "file" / "one.ticket.safetensors")
