"""Damaged files of every kind: one clear line, or what they held; no other exception, and no other bits in silence."""

import random
import shutil
from pathlib import Path

import pytest
from builds import built, jobs, metrics_in, study, weights_in
from formats import DATA, Format, plain
from fuzz import findings, look
from hypothesis import given, settings
from hypothesis import strategies as st

from lth.analysis.documents import read_documents
from lth.cli.stored import study_documents
from lth.launch import conclude
from lth.launch.notes import register
from lth.lineage import Store, read_ticket
from lth.lineage.times import times_of
from lth.studies.prepare import Study


@pytest.mark.parametrize("form", DATA, ids=lambda form: form.name)
def test_damage_is_named(form: Format, tmp_path: Path) -> None:
    draws = (random.Random(f"{form.name} {number}") for number in range(30))
    assert [wrong for wrong in findings(form, tmp_path, draws) if wrong] == []


@pytest.mark.parametrize("form", DATA, ids=lambda form: form.name)
def test_empty_cut_and_flipped(form: Format, tmp_path: Path) -> None:
    """What a full disk, a cut connection or a bad sector leaves: an empty file, a short one, one bit."""
    path = tmp_path / form.name
    form.make(path)
    check_cut_and_flipped(form, path)


def check_cut_and_flipped(form: Format, path: Path) -> None:
    """All of these are named, or change nothing that is read; the file is whole again at the end."""
    content, whole = path.read_bytes(), form.read(path)
    middle = len(content) // 2
    for changed in (b"", content[:1], content[:middle], content[:-1], flipped(content, middle), flipped(content, -1)):
        path.write_bytes(changed)
        assert look(form, path, whole) is None
    path.write_bytes(content)


def flipped(content: bytes, place: int) -> bytes:
    """A content with one other bit."""
    changed = bytearray(content)
    changed[place] ^= 1
    return bytes(changed)


@pytest.fixture(scope="module")
def concluded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path]:
    """A study of one level with all that it leaves but the page, and the folder of store, report and tickets."""
    folder, made = tmp_path_factory.mktemp("concluded"), study(levels=1, controls=(), duration="10it", rewind_to="5it")
    store = built(folder / "store", made)
    register(made, store)
    with pytest.MonkeyPatch.context() as patch:  # the page is drawn from these documents, and read by people
        patch.setattr("lth.report.write_report", lambda *_: None)
        conclude.conclude_study(made, store, folder / "out")
    return made, folder


def left_by(made: Study, folder: Path) -> list[tuple[Path, Format]]:
    """The files that a study leaves, each with its reader."""
    store, [ticket] = Store(folder / "store"), jobs(made, "ticket")
    at, notes, [file] = store.folder(ticket.key), store.study_folder(made.id), (folder / "out" / "tickets").iterdir()
    masks = store.folder(ticket.masks.key)

    def read_ticket_whole(path: Path) -> object:
        found = read_ticket(path)
        try:
            return plain(found.masks), plain(found.starting_weights(made.sources)), found.document
        except ValueError as error:  # a ticket does not know its file
            raise ValueError(f"{path}: {error}") from error

    def result(path: Path) -> object:
        return plain(weights_in(store, ticket)), metrics_in(store, ticket), times_of(ticket, store)

    def stored_masks(path: Path) -> object:
        return plain(store.read_masks(ticket.masks))

    sealed = {
        at / "weights.safetensors": result,
        at / "metrics.json": result,
        at / "times.json": result,
        at / "manifest.json": result,
        masks / "masks.safetensors": stored_masks,
        masks / "shapes.json": stored_masks,
        file: read_ticket_whole,
    }
    forms = [(path, Format(path.name, lambda _: None, read, is_sealed=True)) for path, read in sealed.items()]
    notes_read = Format("study.json", lambda _: None, lambda _: study_documents(store.root))
    forms.append((notes / "study.json", notes_read))
    for name in ("results.json", "details.json"):
        read = Format(name, lambda _: None, lambda _: read_documents(folder / "out"))
        forms.append((folder / "out" / name, read))
    return forms


def test_every_file_that_a_study_leaves(concluded: tuple[Study, Path], tmp_path: Path) -> None:
    made, source = concluded
    shutil.copytree(source, tmp_path / "copy")
    for path, form in left_by(made, tmp_path / "copy"):
        check_cut_and_flipped(form, path)
        content = path.read_bytes()
        draws = (random.Random(f"{form.name} {number}") for number in range(10))
        assert [wrong for wrong in findings(form, path.parent, draws) if wrong] == []
        path.write_bytes(content)


def test_every_file_that_a_study_leaves_drawn(concluded: tuple[Study, Path]) -> None:
    made, source = concluded
    forms = left_by(made, source)

    @settings(max_examples=40)
    @given(draw=st.randoms(use_true_random=False), place=st.integers(0, len(forms) - 1))
    def check(draw: random.Random, place: int) -> None:
        path, form = forms[place]
        content = path.read_bytes()
        try:
            assert list(findings(form, path.parent, iter([draw]))) == [None]
        finally:
            path.write_bytes(content)

    check()
