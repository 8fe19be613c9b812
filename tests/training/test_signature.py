"""The signature of an engine is text on disk: it must stay what it was, and damaged text must not count."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lth.training import History, Snapshot
from lth.training.engines.resume import choose_snapshots
from lth.training.engines.signature import Signature
from lth.training.stacking import STACKINGS

WORDS = st.text("abcdefgh-0123", min_size=1, max_size=9)
SIGNATURES = st.builds(
    Signature,
    WORDS,
    WORDS,
    st.integers(1, 300),
    st.none() | st.sampled_from(STACKINGS),
    st.lists(WORDS, max_size=3).map(tuple),
)


@given(SIGNATURES)
def test_it_is_read_as_it_was_written(signature: Signature) -> None:
    assert Signature.parse(str(signature)) == signature


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        ("torch/cpu/1", Signature("torch", "cpu")),
        ("torch/cpu/1/channels-last/onednn", Signature("torch", "cpu", paths=("channels-last", "onednn"))),
        ("torch/cpu/1/chunked/micro-12", Signature("torch", "cpu", paths=("chunked", "micro-12"))),
        ("torch/cuda/16-vmap", Signature("torch", "cuda", 16, "vmap")),
        ("torch/cuda/2-loop/compiled", Signature("torch", "cuda", 2, "loop", ("compiled",))),
        ("sparse/cpu/1", Signature("sparse", "cpu")),
    ],
)
def test_the_text_that_stores_hold(text: str, signature: Signature) -> None:
    assert str(signature) == text
    assert Signature.parse(text) == signature


UNKNOWN = ["", "torch", "torch/cpu", "torch/cpu/", "torch/cpu/one", "torch/cpu/0", "torch/cpu/016-vmap", "/cpu/1"]
UNKNOWN += ["torch/cpu/2-swap", "torch/cpu/2-", "torch/cpu/1/", "torch/cpu/1//onednn", "torch/cpu/-1", "torch/cpu/1\n"]


@given(st.text(max_size=20) | st.sampled_from(UNKNOWN))
def test_any_other_text_is_none_or_itself(text: str) -> None:
    signature = Signature.parse(text)
    assert signature is None or str(signature) == text
    assert signature is None or text not in UNKNOWN


def test_a_training_goes_on_from_its_own_signature_alone() -> None:
    own = Signature("torch", "cuda", 4, "vmap", ("compiled",))
    others = (
        replace(own, size=8),
        replace(own, stacking="loop"),
        replace(own, device="cpu"),
        replace(own, engine="sparse"),
        replace(own, paths=()),
    )
    for begun in (own, *others):
        chosen = choose_snapshots([[Snapshot(3, History(), {}, str(begun))]], str(own), 0, ())
        assert len(chosen) == (begun == own)


def test_of_one_member_the_newest_snapshot_alone_is_read() -> None:
    """Reading one may take long; the one before is read only where the newest does not count."""
    read: list[int] = []

    def snapshots(*engines: str) -> Iterator[Snapshot]:
        for age, engine in enumerate(engines):
            read.append(age)
            yield Snapshot(10 - age, History(), {}, engine)

    (newest,) = choose_snapshots([snapshots("torch/cpu/1", "torch/cpu/1")], "torch/cpu/1", 0, ())
    assert (newest.step, read) == (10, [0])
    read.clear()
    (before,) = choose_snapshots([snapshots("sparse/cpu/1", "torch/cpu/1", "torch/cpu/1")], "torch/cpu/1", 0, ())
    assert (before.step, read) == (9, [0, 1])
    assert choose_snapshots([snapshots("torch/cpu/1", "torch/cpu/1")], "torch/cpu/1", 0, checkpoints=(10,))[0].step == 9
    assert choose_snapshots([snapshots("torch/cpu/1", "torch/cpu/1")], "torch/cpu/1", 0, checkpoints=(9,)) == []


def test_snapshots_of_unknown_form_do_not_count() -> None:
    """A training that finds none other starts over."""

    def kept(*engines: str) -> list[Snapshot]:
        return [Snapshot(10 - age, History(), {}, engine) for age, engine in enumerate(engines)]

    found = choose_snapshots([kept("torch/cpu/newest", "", "torch/cpu/1")], "torch/cpu/1", 0, ())
    assert [snapshot.step for snapshot in found] == [8]
    assert choose_snapshots([kept("warp", "torch/cpu/1/onednn")], "torch/cpu/1", 0, ()) == []
