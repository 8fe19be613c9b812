"""Training alone: what a search begins with, from drawn or given weights; batches in tokens; text from the result."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from builds import HERE

import lth
from lth.cli.study import batch_lines
from lth.config import SettingsError
from lth.data import tokenizer_of
from lth.launch.load import load_studies
from lth.launch.sample import sample_text
from lth.launch.weights_place import weights_place
from lth.lineage import Pretrained, Store, Trained
from lth.lineage.foreign import save_gpt2
from lth.lineage.text import tokens
from lth.models import Gpt2
from lth.report import figures, read_study
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study
from lth.training.ranks import Ranks

MODEL = "gpt-char:n_embd=16,n_layer=1,n_head=2"
SHORT = {"replicates": 2, "duration": "20it", "batch_size": 4, "evaluate_every": 10, "lr": 0.01}


@pytest.fixture
def text(tmp_path: Path) -> str:
    words = "the wood has eyes and the field has ears so i will see and hear and say no word "
    (tmp_path / "short.txt").write_text(words * 40)
    return f"{tmp_path / 'short.txt'}:block=16"


def prepared(study: str, text: str, **settings: Any) -> Study:
    study_type = STUDIES[study]
    given = {"model": MODEL, "data": text, **SHORT, **settings}
    if "batch_tokens" in given:
        del given["batch_size"]
    return load_studies(study_type, [settings_of(study_type, given)])[0]


def train(text: str, folder: Path, **settings: Any) -> lth.Found:
    return lth.study(
        "train", MODEL, text, store=folder / "store", out=folder / "out", execution=HERE, progress=False,
        **{**SHORT, **settings},
    )  # fmt: skip


def test_a_search_finds_its_dense_networks_in_the_store(text: str, tmp_path: Path) -> None:
    found = train(text, tmp_path)
    assert [row["arm"] for row in found.results["rows"]] == ["dense", "dense"]
    assert found.verdict["sentences"][0].startswith("loss ")
    search = prepared("find-ticket", text, levels=1)
    dense = [point.job for point in search.points if point.arm == "dense"]
    assert {job.key for job in dense} == {row["key"] for row in found.results["rows"]}
    assert all(Store(tmp_path / "store").has(job) for job in dense)


def test_batches_in_tokens(text: str) -> None:
    assert prepared("train", text, batch_tokens=64).points[0].job == prepared("train", text).points[0].job
    for wrong in (63, 8):
        with pytest.raises(
            SettingsError, match=f"batch_tokens: {wrong} is no whole number of examples of 16 tokens; take"
        ):
            prepared("train", text, batch_tokens=wrong)
    study_type = STUDIES["train"]
    with pytest.raises(SettingsError, match="these examples are no tokens; give --batch-size"):
        load_studies(study_type, [settings_of(study_type, {"batch_tokens": 64})])


@pytest.mark.parametrize(
    ("micro_batch", "ranks", "line"),
    [
        (None, 1, []),
        (8, 1, []),
        (3, 1, ["batch: 4 examples, 64 tokens: 2 passes of at most 3 examples"]),
        (None, 2, ["batch: 4 examples, 64 tokens: 2 processes"]),
        (1, 2, ["batch: 4 examples, 64 tokens: 2 processes x 2 passes of at most 1 examples"]),
    ],
)
def test_how_a_batch_is_cut_is_said(text: str, micro_batch: int | None, ranks: int, line: list[str]) -> None:
    execution = lth.Execution(micro_batch=micro_batch, ranks=Ranks(0, ranks))
    assert batch_lines(prepared("train", text), execution) == line


def test_a_batch_size_goes_before_the_presets_tokens() -> None:
    study_type = STUDIES["train"]
    settings = settings_of(study_type, {"preset": "nanogpt-124m", "batch_size": 12})
    assert (settings.training.batch_size, settings.training.batch_tokens) == (12, None)
    with pytest.raises(SettingsError, match="both say how large a batch is"):
        settings_of(study_type, {"batch_size": 12, "batch_tokens": 64})


def test_a_batch_below_the_presets_is_warned_of() -> None:
    study_type = STUDIES["train"]
    with pytest.warns(UserWarning, match="49,152 tokens a step are fewer than the 491,520 of the preset"):
        settings_of(study_type, {"preset": "nanogpt-124m", "batch_tokens": 49_152})
    settings_of(study_type, {"preset": "nanogpt-124m", "batch_tokens": 983_040})


def saved(folder: Path, vocabulary: int, seed: int = 5) -> Path:
    torch.manual_seed(seed)
    save_gpt2(Gpt2(vocabulary, 16, n_layer=1, n_head=2, n_embd=16, pad_to=1), folder)
    return folder


def test_training_from_given_weights(text: str, tmp_path: Path) -> None:
    vocabulary = prepared("train", text).sources.data
    size = next(iter(vocabulary.values())).facts["vocabulary"]
    folder = saved(tmp_path / "given", size)
    biased = {"model": f"{MODEL},bias=true", "start_from": str(folder)}
    made = prepared("train", text, **biased)
    job = made.points[0].job
    assert isinstance(job, Trained)
    assert isinstance(job.start, Pretrained)
    assert made.id != prepared("train", text, model=biased["model"]).id
    elsewhere = saved(tmp_path / "copy", size)
    assert prepared("train", text, **{**biased, "start_from": str(elsewhere)}).id == made.id  # content, not place
    with pytest.raises(SettingsError, match="holds transformer"):
        prepared("train", text, start_from=str(folder))  # the model has no biases
    search = prepared("find-ticket", text, levels=1, **biased)
    roots = {point.arm: point.job.start.root for point in search.points if isinstance(point.job, Trained)}
    assert roots["dense"] == roots["ticket"] == job.start
    assert roots["reinit"] != job.start
    with pytest.raises(ValueError, match="there is no file"):
        prepared("train", text, start_from=str(tmp_path / "nowhere"))


def test_weights_of_the_hub_are_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match="hub:openai-community/gpt2 is fetched by `huggingface_hub`: pip install"):
        weights_place("hub:openai-community/gpt2")
    assert weights_place("~/weights") == Path.home() / "weights"


def test_text_from_a_trained_network(text: str, tmp_path: Path) -> None:
    train(text, tmp_path)
    made, store = prepared("train", text), Store(tmp_path / "store")
    sample = sample_text(made, store, "the wood", num_tokens=30, seed=1)
    assert sample.is_finished
    assert sample.text.startswith("the wood")
    assert len(sample.text) == len("the wood") + 30
    assert sample == sample_text(made, store, "the wood", num_tokens=30, seed=1)
    assert sample != sample_text(made, store, "the wood", num_tokens=30, seed=2)
    with pytest.raises(ValueError, match="no network of arm 'ticket' and replicate 0, finished or begun: its arms are"):
        sample_text(made, store, "the", arm="ticket")
    with pytest.raises(ValueError, match="the prompt is empty"):
        sample_text(made, store, "")
    assert tokenizer_of(next(iter(made.sources.data.values()))).decode(tokenizer_of(made.sources.data[
        made.subject.data.digest]).encode("the wood")) == "the wood"  # fmt: skip


def test_the_likeliest_token_and_the_k_likeliest() -> None:
    """A network whose logits are fixed: token 2 is likeliest, then 1, then 0."""

    class Fixed(torch.nn.Module):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            assert ids.shape[1] <= 4
            return torch.tensor([0.0, 1.0, 2.0]).expand(*ids.shape, 3)

    start = torch.tensor([0])
    assert list(tokens(Fixed(), start, 4, 6, 0.0, None, 0)) == [2] * 6
    assert set(tokens(Fixed(), start, 4, 200, 1.0, 2, 0)) == {1, 2}
    assert set(tokens(Fixed(), start, 4, 200, 5.0, None, 0)) == {0, 1, 2}


@pytest.mark.slow
def test_torchrun_on_the_command_line(text: str, tmp_path: Path) -> None:
    """Two processes that share a store leave one report; with another number of processes nothing is trained anew."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"model": MODEL, "data": text, **SHORT}
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "lth", "train", "--config", "settings.yaml", "--quiet", "--micro-batch", "1"]
    command += ["--sample", "the wood"]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    environment = os.environ | place | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    ranks = [
        subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, text=True,
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]  # fmt: skip
    shown = [process.communicate(timeout=120)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0]
    assert "loss" in shown[0]
    assert shown[1] == ""
    assert (tmp_path / "lth-store").is_dir()
    [written] = tmp_path.glob("lth-reports/*/samples.txt")  # the first process writes, once a training and evaluation
    assert written.read_text().count("--- step ") == 2 * 3
    alone = lth.study(
        "train", MODEL, text, store=tmp_path / "lth-store", out=tmp_path / "again", execution=HERE, progress=False,
        **SHORT,  # type: ignore[arg-type]
    )  # fmt: skip
    other = train(text, tmp_path / "other")
    for mine, theirs in zip(alone.results["rows"], other.results["rows"], strict=True):
        assert mine["end"] == pytest.approx(theirs["end"], rel=1e-4)


def test_births_are_a_table_and_a_figure(text: str, tmp_path: Path) -> None:
    found = train(text, tmp_path, measures="super_weights")
    table = found.details["tables"]["spikes"]
    assert [row["step"] for row in table if row["curve"] == "largest |input|"] == [0, 10, 20]
    assert all(len(row["values"]) == 2 and row["low"] <= row["mean"] <= row["high"] for row in table)
    figure = next(each for each in figures(read_study(found.folder)) if each.name == "births")
    assert len(figure.panels) == 4
    drawn = json.dumps(figure.panels[0])
    assert all(f"{row['mean']:.6f}"[:6] in drawn for row in table if row["curve"] == "largest |input|")
    with pytest.raises(ValueError, match="measures: 'super_weights' needs another network"):
        lth.study("train", "lenet-300-100", store=tmp_path / "none", measures="super_weights", progress=False)
