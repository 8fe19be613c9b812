"""Each tracker holds what the store holds, as its own reader tells."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tracked_runs import NAMES, SMALL, Curves, Tracked, events_in, tensorboard_curves

import lth
from lth.launch import load_studies
from lth.lineage import Store, build
from lth.studies import STUDIES, settings_of
from lth.tracking.tracker import for_files


def only(folder: Path, pattern: str) -> Path:
    [path] = folder.glob(pattern)
    return path


def test_tensorboard(tracked: Tracked) -> None:
    study = tracked.store.parent / "runs" / "find-ticket-lenet-300-100-digits" / tracked.found.id
    assert tensorboard_curves(study, NAMES) == tracked.curves
    [settings] = events_in(study / for_files(NAMES[0])).Tensors("settings/text_summary")
    assert "| replicate | 0 |" in settings.tensor_proto.string_val[0].decode()
    whole = events_in(study)
    figures = sorted(path.stem for path in (tracked.found.folder / "figures").glob("*.png"))
    assert sorted(whole.Tags()["images"]) == [f"figures/{name}" for name in figures]
    [image] = whole.Images(f"figures/{figures[0]}")
    assert image.encoded_image_string == (tracked.found.folder / "figures" / f"{figures[0]}.png").read_bytes()
    [verdict] = whole.Tensors("verdict/text_summary")
    assert tracked.found.verdict["sentences"][0] in verdict.tensor_proto.string_val[0].decode()


def records(path: Path) -> Iterator[Any]:
    """Give what a .wandb file holds: W&B's own messages in the log format of LevelDB, after seven bytes of head."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, data = path.read_bytes(), 7, b""
    assert content[:4] == b":W&B"
    while at < len(content):
        if 32768 - at % 32768 < 7:  # no head fits into what is left of the block
            at += 32768 - at % 32768
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        data += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(data)
            data = b""


def test_wandb_offline(tracked: Tracked) -> None:
    curves: Curves = {}
    names, artifacts, summary = {}, set(), {}
    for path in (tracked.store.parent / "wandb").glob("offline-run-*/*.wandb"):
        own: dict[str, list[tuple[int, float]]] = {}
        for record in records(path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                run = record.run
                names[run.display_name] = {item.key: json.loads(item.value_json) for item in run.config.update}
                assert (run.project, run.run_group) == ("find-ticket-lenet-300-100-digits", tracked.found.id)
            elif kind == "history":
                values = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in
                          record.history.item}  # fmt: skip
                for name in values.keys() - {"_step", "_timestamp", "_runtime"}:
                    own.setdefault(name, []).append((values["_step"], values[name]))
            elif kind == "artifact":
                artifacts |= {(record.artifact.type, entry.path) for entry in record.artifact.manifest.contents}
            elif kind == "summary":
                summary |= {item.key or item.nested_key[0]: item.value_json for item in record.summary.update}
        if run.job_type != "study":
            curves[run.display_name] = own
    assert curves == tracked.curves
    assert set(names) == {*NAMES, f"find-ticket {tracked.found.id}"}
    assert names[NAMES[1]]["level"] == 1
    assert names[NAMES[1]]["model"] == "lenet-300-100"
    assert ("results", "results.json") in artifacts
    assert ("tickets", tracked.found.tickets[0].name) in artifacts
    pictures = list((tracked.found.folder / "figures").glob("*.png"))
    assert sum(kind == "figures" for kind, _ in artifacts) == len(pictures)
    assert json.loads(summary["verdict"]).startswith(tracked.found.verdict["sentences"][0])


def test_trackio(tracked: Tracked) -> None:
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    runs = {run.name: run for run in trackio.Api().runs("small")}
    curves: Curves = {}
    for name in NAMES:
        run = runs[f"{name}, {tracked.found.id}"]
        assert run.config["model"] == "lenet-300-100"
        assert run.config["_Group"] == tracked.found.id
        for row in SQLiteStorage.get_logs("small", run.name, run_id=run.id):
            for metric in row.keys() - {"step", "timestamp"}:
                curves.setdefault(name, {}).setdefault(metric, []).append((row["step"], row[metric]))
    assert curves == tracked.curves
    study = runs[f"find-ticket {tracked.found.id}"]
    assert tracked.found.verdict["sentences"][0] in study.config["verdict"]
    blobs = trackio.utils.ARTIFACTS_DIR / "small" / "blobs" / "sha256"
    held = {path.name for path in blobs.glob("*/*")}
    files = [tracked.found.folder / "results.json", *tracked.found.tickets, *tracked.found.folder.glob("figures/*.png")]
    assert held == {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_training_is_the_same_beside_trackers(tracked: Tracked, tmp_path: Path) -> None:
    [alone] = load_studies(STUDIES["find-ticket"], [settings_of(STUDIES["find-ticket"], SMALL)])
    assert alone.id == tracked.found.id
    store = Store(tmp_path)
    build(alone.targets, store, alone.sources, lth.Execution(workers=0, engine="torch"))
    for job in alone.targets:
        assert store.read(job, "weights.safetensors") == Store(tracked.store).read(job, "weights.safetensors")
