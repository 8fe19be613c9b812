"""CSV files beside a report: speed and learning rate of each evaluation, and the columns of nanoGPT's log."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from builds import HERE

from lth.analysis.csv_files import csv_files
from lth.analysis.throughput import PEAKS, flops_per_token, speed_of
from lth.launch.load import load_studies
from lth.lineage import Execution, Reader, Store, Trained, build
from lth.lineage.times import times_of
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study

SHORT = {"replicates": 2, "duration": "20it", "batch_size": 4, "evaluate_every": 10, "lr": 0.01}


def prepared(folder: Path, **settings: Any) -> Study:
    path = folder / "short.txt"
    path.write_text("the wood has eyes and the field has ears " * 60)
    given = {"model": "gpt-char:n_embd=16,n_layer=1,n_head=2", "data": f"{path}:block=16", **SHORT, **settings}
    return load_studies(STUDIES["train"], [settings_of(STUDIES["train"], given)])[0]


def files(made: Study, store: Store) -> dict[str, list[dict[str, str]]]:
    found = csv_files(made.points, {}, Reader(store, made.sources))
    return {name: list(csv.DictReader(io.StringIO(content))) for name, content in found}


def test_a_language_model(tmp_path: Path) -> None:
    made, store = prepared(tmp_path, lr_decay="cosine", final_lr=0.001), Store(tmp_path / "store")
    build(made.targets, store, made.sources, HERE)
    found = files(made, store)
    curves, history = found["curves.csv"], found["history-1.csv"]
    assert set(found) == {"curves.csv", "history-0.csv", "history-1.csv"}
    assert {"train/loss", "validation/loss", "validation/perplexity"} <= curves[0].keys()
    assert "mfu" not in curves[0]  # of a processor no peak is known
    times = {row.job.key: times_of(row.job, store) for row in made.points}
    for row in curves:
        assert (row["ms_per_step"] == "") == (row["step"] == "0")
        if row["ms_per_step"]:
            seconds = times[made.points[int(row["replicate"])].job.key][int(row["step"])]
            assert float(row["ms_per_step"]) == pytest.approx(1000 * seconds)
            assert float(row["tokens_per_second"]) == pytest.approx(4 * 16 / seconds)
    assert [float(row["lr"]) for row in curves[:3]] == pytest.approx([0.01, 0.0055, 0.001])
    assert list(history[0]) == ["iter", "train/loss", "val/loss", "lr", "mfu"]
    mine = [row for row in curves if row["replicate"] == "1"]
    assert [(row["iter"], row["val/loss"]) for row in history] == [
        (row["step"], row["validation/loss"]) for row in mine
    ]


def test_images_have_no_tokens_and_no_such_history(tmp_path: Path) -> None:
    made, store = prepared(tmp_path, model="lenet-300-100", data="digits", replicates=1), Store(tmp_path / "store")
    build(made.targets, store, made.sources, Execution(workers=0, engine="torch"))
    found = files(made, store)
    assert set(found) == {"curves.csv"}
    assert float(found["curves.csv"][1]["ms_per_step"]) > 0
    assert "tokens_per_second" not in found["curves.csv"][0]


def test_utilisation_is_of_all_that_train_together(tmp_path: Path) -> None:
    """Two networks in one stack, over four GPUs, 10 ms a step."""
    made, store = prepared(tmp_path, precision="bfloat16"), Store(tmp_path / "store")
    job = made.targets[0]
    assert isinstance(job, Trained)
    provenance = {"device": "NVIDIA H100 80GB HBM3", "population": 2, "signature": "torch/cuda/2-vmap/ranks-4"}
    store.commit(job, {}, provenance)
    speed = speed_of(job, Reader(store, made.sources))(0.01)
    flops = 2 * 64 * flops_per_token(made.subject.module, 16) / 0.01
    assert speed["tokens_per_second"] == pytest.approx(6400)
    assert speed["mfu"] == pytest.approx(flops / (4 * PEAKS["H100"]))
