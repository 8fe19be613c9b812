"""The store: whole or not at all, and nothing trusted without its checksum."""

import errno
import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from builds import example_nodes, files_in, jobs, metrics_in, weights_in

from lth.lineage import Node, Pruned, Store, StoreError, weights_to_bytes, write_file
from lth.studies.prepare import Study

NODE = example_nodes()["Trained"]
WEIGHTS = {"b": torch.randn(3, 2), "a": torch.arange(5), "scalar": torch.tensor(2.5, dtype=torch.float64)}
FILES = {"weights.safetensors": weights_to_bytes(WEIGHTS), "metrics.json": b'{"end": {"test/accuracy": 0.5}}\n'}


def committed(folder: Path, node: Node = NODE) -> Store:
    """A store with one result."""
    store = Store(folder / "store")
    store.commit(node, FILES, {"seconds": 1.0})
    return store


def test_commit_and_read_round_trip(tmp_path: Path) -> None:
    store = committed(tmp_path)
    assert store.has(NODE)
    read = weights_in(store, NODE)
    assert {name: (value.dtype, value.tolist()) for name, value in read.items()} == {
        name: (value.dtype, value.tolist()) for name, value in WEIGHTS.items()
    }
    assert metrics_in(store, NODE) == {"end": {"test/accuracy": 0.5}}
    assert store.manifest(NODE.key)["provenance"] == {"seconds": 1.0}
    assert store.keys() == store.keys(NODE.key[:6]) == [NODE.key]
    assert store.keys("zz") == []


def test_masks_round_trip_bit_packed(tmp_path: Path) -> None:
    node = example_nodes()["Pruned"]
    masks = {"b": torch.rand(7, 3) < 0.5, "a": torch.rand(1) < 2, "empty": torch.zeros(0, 4, dtype=torch.bool)}
    store = Store(tmp_path)
    store.commit_masks(node, masks, {})
    read = store.read_masks(node)
    assert {name: value.tolist() for name, value in read.items()} == {
        name: value.tolist() for name, value in masks.items()
    }
    assert {value.dtype for value in read.values()} == {torch.bool}
    assert read["empty"].shape == (0, 4)


def test_a_result_that_is_there_already_stays(tmp_path: Path) -> None:
    store = committed(tmp_path)
    before = files_in(store.folder(NODE.key))
    store.commit(NODE, {"metrics.json": b"{}"}, {})
    assert files_in(store.folder(NODE.key)) == before
    assert list((store.root / "work").iterdir()) == []


@pytest.mark.parametrize("kind", ["flipped", "cut", "removed"])
@pytest.mark.parametrize("name", ["weights.safetensors", "metrics.json"])
def test_a_damaged_file_is_named(name: str, kind: str, tmp_path: Path) -> None:
    store = committed(tmp_path)
    path = store.folder(NODE.key) / name
    content = path.read_bytes()
    if kind == "removed":
        path.unlink()
    else:
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:] if kind == "flipped" else content[:-1])
    read = weights_in if name == "weights.safetensors" else metrics_in
    with pytest.raises(StoreError, match=re.escape(str(path)) + r".*remove the folder .* and run again"):
        read(store, NODE)


def test_a_damaged_mask_is_named(finished: tuple[Study, Store], tmp_path: Path) -> None:
    made, source = finished
    shutil.copytree(source.root, tmp_path / "store")
    store, node = Store(tmp_path / "store"), jobs(made, "ticket")[0].masks
    assert isinstance(node, Pruned)
    for name in ("masks.safetensors", "shapes.json"):
        path = store.folder(node.key) / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 4]))
        with pytest.raises(StoreError, match=f"{path} is damaged"):
            store.read_masks(node)
        path.write_bytes(content)
    assert store.read_masks(node).keys() == source.read_masks(node).keys()


@pytest.mark.parametrize(
    "content", [b"", b'{"format": "lth.ob', b"[]", b"null", b"\xff\xfe", b"{}", b'{"format": "lth.object/9"}'], ids=repr
)
def test_a_manifest_that_is_none_is_named(content: bytes, tmp_path: Path) -> None:
    store = committed(tmp_path)
    path = store.folder(NODE.key) / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=re.escape(str(path)) + ".*remove the folder"):
        weights_in(store, NODE)


@pytest.mark.parametrize(("field", "value"), [("files", None), ("files", []), ("node", None), ("node", "x")])
def test_a_manifest_that_lacks_a_part_is_named(field: str, value: object, tmp_path: Path) -> None:
    store = committed(tmp_path)
    path = store.folder(NODE.key) / "manifest.json"
    manifest = json.loads(path.read_text()) | {field: value}
    if value is None:
        del manifest[field]
    path.write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="remove the folder"):
        weights_in(store, NODE)


def test_a_result_that_another_process_tidies_up_meanwhile_stops_nobody(tmp_path: Path) -> None:
    """Between the look at a finished work's folder and the look into it, it goes."""

    class Slow(Store):
        def folder(self, key: str) -> Path:
            if self.work_folder(key).is_dir():
                self.finish_work(key)
            return super().folder(key)

    store = committed(tmp_path)
    store.work_folder(NODE.key).mkdir(parents=True)
    Slow(store.root).check_writable()
    assert store.unfinished() == set()


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    store = committed(tmp_path)
    path = store.folder(NODE.key) / "manifest.json"
    path.unlink()
    with pytest.raises(StoreError, match=re.escape(str(path))):
        metrics_in(store, NODE)


def test_a_result_of_another_key_or_derivation_is_not_trusted(tmp_path: Path) -> None:
    store, other = committed(tmp_path), example_nodes()["ticket"]
    shutil.copytree(store.folder(NODE.key), store.folder(other.key))
    with pytest.raises(StoreError, match="belongs to another result"):
        weights_in(store, other)
    path = store.folder(NODE.key) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["node"]["fields"]["seeds"]["init"] = 8
    path.write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="was derived differently from what its key says"):
        weights_in(store, NODE)


def test_a_store_under_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "store")
    assert not store.has(NODE)
    for act in (store.check_writable, lambda: store.commit(NODE, FILES, {})):
        with pytest.raises(StoreError, match="cannot write .*/file/store.*Not a directory.*--store"):
            act()


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever in a commit the disk fills up: nothing is there, nothing is left over, and the next try works."""
    sync = os.fsync
    for writes_before in range(4):
        store, left = Store(tmp_path / f"store-{writes_before}"), writes_before

        def full(descriptor: int) -> None:
            nonlocal left
            if left == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left -= 1
            sync(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(StoreError, match="cannot write .*No space left on device.*free space"):
                store.commit(NODE, FILES, {})
        assert not store.has(NODE)
        assert files_in(store.root) == {}
        store.commit(NODE, FILES, {})
        assert metrics_in(store, NODE) == {"end": {"test/accuracy": 0.5}}


def test_a_file_on_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.json"
    write_file(path, b"before")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=f"cannot write {path}: No space left on device"):
            write_file(path, b"after")
    assert files_in(tmp_path) == {"results.json": b"before"}
    write_file(path, b"after")
    assert files_in(tmp_path) == {"results.json": b"after"}


def test_a_really_full_device_is_reported() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(StoreError, match="cannot write /dev/full/x"):
        write_file(Path("/dev/full/x"), b"x")


def test_a_field_that_was_added_later_keeps_old_results_but_another_default_does_not(tmp_path: Path) -> None:
    store = committed(tmp_path)
    path = store.folder(NODE.key) / "manifest.json"
    manifest = json.loads(path.read_text())
    clip = manifest["settings"]["training"].pop("clip")
    path.write_text(json.dumps(manifest))
    assert metrics_in(store, NODE) == {"end": {"test/accuracy": 0.5}}
    manifest["settings"]["training"] |= {"clip": clip, "batch_size": 61}
    path.write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="other defaults"):
        metrics_in(store, NODE)
