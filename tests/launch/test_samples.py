"""Samples of a language model's text while it trains: in a file, below the progress, and never in the numbers."""

import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE, Notes, interrupt
from test_progress import text_of

from lth.config import SettingsError
from lth.launch.live import LiveTable
from lth.launch.load import load_studies
from lth.launch.run import build_study, run_study
from lth.launch.sample import sample_text
from lth.lineage import Execution, Plan, Reader, Store, Trained, build
from lth.lineage.journal import SAMPLE_TOKENS, ReadOnlyJournal
from lth.lineage.times import times_of
from lth.lineage.work import Hooks
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study
from lth.training import Interrupted, Where

WORDS = "the wood has eyes and the field has ears so i will see and hear and say no word "
SHORT = {"replicates": 2, "duration": "20it", "batch_size": 4, "evaluate_every": 10, "lr": 0.01}
ASKED = Execution(workers=0, sample="the wood")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("text") / "short.txt"
    path.write_text(WORDS * 40)
    return f"{path}:block=16"


def prepared(text: str, name: str = "train", **settings: Any) -> Study:
    given = {"model": "gpt-char:n_embd=16,n_layer=1,n_head=2,dropout=0.1", "data": text, **SHORT, **settings}
    return load_studies(STUDIES[name], [settings_of(STUDIES[name], given)])[0]


def samples(folder: Path) -> dict[str, str]:
    """What stands in the file, by the words of its titles."""
    parts = re.split(r"^--- (.*) ---\n", (folder / "samples.txt").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], (each.strip("\n") for each in parts[2::2]), strict=True))


def bits(made: Study, store: Store) -> list[bytes]:
    names = ("weights.safetensors", "metrics.json")
    return [store.read(job, name) for job in made.targets for name in names]


def test_the_numbers_are_the_same_with_samples_and_without(text: str, tmp_path: Path) -> None:
    made, stores = prepared(text), [Store(tmp_path / name) for name in ("with", "without")]
    before = torch.get_rng_state()
    build_study(made, stores[0], ASKED, out=tmp_path / "out")
    assert torch.equal(torch.get_rng_state(), before)
    build_study(made, stores[1], HERE, out=tmp_path / "out without")
    assert bits(made, stores[0]) == bits(made, stores[1])
    assert not (tmp_path / "out without" / "samples.txt").exists()
    found = samples(tmp_path / "out")
    keys = [job.key[:12] for job in made.targets]
    assert list(found) == [
        f"step {step}, dense, replicate {number}, {keys[number]}" for number in (0, 1) for step in (0, 10, 20)
    ]
    assert len(set(found.values())) == 6
    assert all(each.startswith("the wood") for each in found.values())
    last = sample_text(made, stores[0], "the wood", num_tokens=SAMPLE_TOKENS)
    assert found[f"step 20, dense, replicate 0, {keys[0]}"] == last.text.strip("\n")


def test_through_worker_processes_the_same_text(text: str, tmp_path: Path) -> None:
    made = prepared(text, replicates=1)
    for name, workers in (("here", 0), ("workers", 1)):
        build_study(
            made, Store(tmp_path / name), Execution(workers=workers, sample="the"), out=tmp_path / f"{name} out"
        )
    assert samples(tmp_path / "workers out") == samples(tmp_path / "here out")
    assert len(samples(tmp_path / "here out")) == 3


def test_of_a_stack_the_first_network_writes(text: str, tmp_path: Path) -> None:
    made = prepared(text)
    build_study(made, Store(tmp_path), Execution(workers=0, population=2, sample="the"), out=tmp_path / "out")
    assert [title.split(", ")[2] for title in samples(tmp_path / "out")] == ["replicate 0"] * 3


def test_after_an_interruption_each_step_stands_there_once(text: str, tmp_path: Path) -> None:
    made, store, out = prepared(text, replicates=1), Store(tmp_path / "store"), tmp_path / "out"
    often = Execution(workers=0, snapshot_seconds=0.0, sample="the")
    stopping = Notes(at_step=12, act=interrupt)
    with pytest.raises(Interrupted):
        build_study(made, store, often, lambda study: nullcontext(stopping), out)
    unfinished = sample_text(made, store, "the")
    assert not unfinished.is_finished
    step = int(unfinished.words.split()[1].rstrip(","))
    assert 12 <= step < 20
    assert unfinished.words == f"step {step}, dense, replicate 0"
    first = samples(out)
    assert [title.split(",")[0] for title in first] == ["step 0", "step 10"]
    build_study(made, store, often, out=out)
    both = samples(out)
    assert [title.split(",")[0] for title in both] == ["step 0", "step 10", "step 20"]
    assert first.items() <= both.items()
    [job] = made.targets
    assert list(times_of(job, store)) == [10, 20]  # the first part's time was kept beside its snapshot
    assert all(0 < seconds < 10 for seconds in times_of(job, store).values())
    straight = Store(tmp_path / "straight")
    build(made.targets, straight, made.sources, HERE)
    assert bits(made, store) == bits(made, straight)
    build_study(made, Store(tmp_path / "other"), Execution(workers=0, sample="see"), out=out)
    assert all(each.startswith("see") for each in samples(out).values())  # another prompt begins the file anew


def test_other_ranks_write_nothing(text: str, tmp_path: Path) -> None:
    made = prepared(text, replicates=1)
    job = made.targets[0]
    assert isinstance(job, Trained)
    said: list[str] = []
    hooks = Hooks(prompt="the", sampled=lambda key, step, text: said.append(text))
    reader = Reader(Store(tmp_path), made.sources)
    journal = ReadOnlyJournal(reader, {job.key: job}, (), None, Where(), hooks, {job.key: ""})
    journal.evaluated(job.key, 10, 0.1, dict)
    assert (said, journal.times) == ([], {})


@pytest.mark.parametrize(
    ("settings", "prompt", "words"),
    [
        ({"model": "lenet-300-100", "data": "digits"}, "the", "sample: 'digits' is no text: samples are of language"),
        ({}, "Ω", "sample: the character 'Ω' at position 0 is none of the"),
        ({"train": "test_samples:nothing"}, "the", "sample: your own training function writes its own"),
    ],
)
def test_what_cannot_write_is_said_before_anything_runs(
    text: str, tmp_path: Path, settings: dict[str, Any], prompt: str, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        run_study(prepared(text, **settings), Store(tmp_path / "store"), Execution(workers=0, sample=prompt))
    assert not list(tmp_path.iterdir())


def nothing(network: torch.nn.Module, run: object) -> None:
    """Train not at all."""


@pytest.mark.parametrize(("width", "height"), [(60, 20), (80, 24), (60, 12)])
def test_the_newest_sample_stands_below_the_progress(text: str, width: int, height: int) -> None:
    live = LiveTable(prepared(text))
    super(LiveTable, live).planned(Plan(works=(), done=(), begun={}))
    bare = text_of(live, width, height).splitlines()
    live.sampled(live.study.points[1].job.key, 1250, "the wood\thas \x1b[31meyes\nand " + "ears " * 200)
    lines = text_of(live, width, height).splitlines()
    assert lines[: len(bare)] == bare
    assert lines[len(bare)].strip() == "step 1,250, dense, replicate 1:"
    assert lines[len(bare) + 1].strip() == "the wood has  [31meyes"  # what a terminal would obey is left out
    assert len(lines) < height
    assert max(map(len, lines)) <= width
