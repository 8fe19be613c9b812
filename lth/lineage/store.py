"""The store: where results lie. Existence means finished, and nothing is trusted without its checksum.

objects/ab/abcdef.../   one finished result: manifest.json (node, checksums, provenance) and its files
work/abcdef.../         one unfinished result: lease, last snapshot
studies/ID/             a study's configuration and results
"""

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lth.config.json_text import parse_json
from lth.lineage.files import (
    StoreError,
    cannot_write,
    json_to_bytes,
    pack_masks,
    remove_stale,
    unpack_masks,
    weights_from_bytes,
    weights_to_bytes,
)
from lth.lineage.nodes import Node
from lth.sparsity import Masks

FORMAT = "lth.object/2"
DAY_SECONDS = 86_400.0
LISTED_FROM = 8
"""Above so many keys in one folder, the folder is listed instead of asked for each."""


class Store:
    """Results by the key of their node, in one folder that any number of processes may share."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check_writable(self) -> None:
        """Make the folder, and try to write into it.

        Raises:
            StoreError: if nothing can be written there.
        """
        probe = self.root / f".probe-{uuid.uuid4().hex[:8]}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"lth")
            probe.unlink()
            self._sweep()
        except OSError as error:
            raise cannot_write(self.root, error) from error

    def _sweep(self) -> None:
        """Remove what killed processes left more than a day ago: temporary files, and snapshots of finished results."""
        finished = (path for path in self.root.glob("work/[!.]*") if self.folder(path.name).is_dir())
        for pattern in ("work/.*-*", ".probe-*", "studies/*/.*.*"):
            remove_stale(self.root.glob(pattern), DAY_SECONDS)
        for folder in finished:  # a kill between their commit and the end of their work left these
            with contextlib.suppress(OSError):  # another process has just removed it, or something younger is in it
                remove_stale(folder.iterdir(), DAY_SECONDS)
                folder.rmdir()

    def folder(self, key: str) -> Path:
        """Return the folder of a finished result."""
        return self.root / "objects" / key[:2] / key

    def work_folder(self, key: str) -> Path:
        """Return the folder in which an unfinished result is worked on."""
        return self.root / "work" / key

    def study_folder(self, study: str) -> Path:
        """Return the folder of a study's configuration and results."""
        return self.root / "studies" / study

    def has(self, node: Node) -> bool:
        """Return whether this result is finished."""
        return self.folder(node.key).is_dir()

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Return which of some results are finished; of many, by listing folders instead of asking for each."""
        shards: dict[str, list[str]] = {}
        for key in keys:
            shards.setdefault(key[:2], []).append(key)
        found: set[str] = set()
        for shard, wanted in shards.items():
            if len(wanted) > LISTED_FROM:
                found |= set(_names(self.root / "objects" / shard)).intersection(wanted)
            else:
                found |= {key for key in wanted if self.folder(key).is_dir()}
        return found

    def unfinished(self) -> set[str]:
        """Return the keys of results that are worked on, or were."""
        return {name for name in _names(self.root / "work") if not name.startswith(".")}

    def keys(self, prefix: str = "") -> list[str]:
        """Return keys of the finished results that start with `prefix`."""
        return sorted(path.name for path in self.root.glob("objects/*/*") if path.name.startswith(prefix))

    def commit(self, node: Node, files: dict[str, bytes], provenance: dict[str, Any]) -> None:
        """Put a finished result in place, all of it or nothing; one that is there already stays.

        Args:
            node: what the result is.
            files: content by name.
            provenance: how it came about (versions, engine, seconds): for people, not part of the result.
        Raises:
            StoreError: if it cannot be written.
        """
        final = self.folder(node.key)
        temporary = self.root / "work" / f".{node.key[:16]}-{uuid.uuid4().hex[:8]}"
        checksums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        manifest = {
            "format": FORMAT,
            "key": node.key,
            "node": node.document,
            "settings": node.settings,
            "files": checksums,
            "provenance": provenance,
        }
        try:
            try:
                temporary.mkdir(parents=True)
                for name, content in {**files, "manifest.json": json_to_bytes(manifest)}.items():
                    with open(temporary / name, "wb") as file:
                        file.write(content)
                        file.flush()
                        os.fsync(file.fileno())
                final.parent.mkdir(parents=True, exist_ok=True)
                _sync_folder(temporary)
                try:
                    os.rename(temporary, final)
                except OSError:
                    if not final.is_dir():
                        raise
                _sync_folder(final.parent)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise cannot_write(final, error) from error

    def manifest(self, key: str) -> dict[str, Any]:
        """Return what is kept beside a finished result: its node, checksums and provenance.

        Raises:
            StoreError: if there is none, or it is damaged or foreign.
        """
        path = self.folder(key) / "manifest.json"
        try:
            manifest = parse_json(path.read_text())
            is_ours = manifest["format"] == FORMAT and manifest["key"] == key
            if not isinstance(manifest["files"], dict) or "node" not in manifest:
                raise ValueError("it does not say what was written")
        except FileNotFoundError as error:
            raise StoreError(f"{path} is missing. {_remove(self.folder(key))}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} is damaged ({error}). {_remove(self.folder(key))}") from error
        if not is_ours:
            raise StoreError(f"{path} belongs to another result or another lth. {_remove(self.folder(key))}")
        return manifest  # type: ignore[no-any-return]

    def read(self, node: Node, name: str) -> bytes:
        """Return one file of a finished result, verified.

        Raises:
            StoreError: if it is missing, damaged, or was made from something else.
        """
        manifest, path = self.manifest(node.key), self.folder(node.key) / name
        if manifest["node"] != json.loads(json.dumps(node.document)):
            raise StoreError(f"{path} was derived differently from what its key says. {_remove(path.parent)}")
        # The key leaves out what is at its default: a default that changed would go unseen without this look.
        if not _agree(manifest.get("settings"), json.loads(json.dumps(node.settings))):
            raise StoreError(f"{path} was made by an lth with other defaults. {_remove(path.parent)}")
        return _content(path, manifest)

    def read_key(self, key: str, name: str) -> bytes:
        """Return one file of a finished result by its key alone, verified; what it was made from is not looked at.

        Raises:
            StoreError: if it is missing or damaged.
        """
        return _content(self.folder(key) / name, self.manifest(key))

    def diverged_at(self, node: Node) -> int | None:
        """Return the step at which a finished job diverged; None if it did not."""
        step = json.loads(self.read(node, "metrics.json")).get("diverged_at")
        return None if step is None else int(step)

    def read_masks(self, node: Node) -> Masks:
        """Return stored masks."""
        return unpack_masks(
            weights_from_bytes(self.read(node, "masks.safetensors")), json.loads(self.read(node, "shapes.json"))
        )

    def commit_masks(self, node: Node, masks: Masks, provenance: dict[str, Any]) -> None:
        """Put masks in place, bit-packed."""
        shapes = {name: list(mask.shape) for name, mask in masks.items()}
        files = {"masks.safetensors": weights_to_bytes(pack_masks(masks)), "shapes.json": json_to_bytes(shapes)}
        self.commit(node, files, provenance)

    def finish_work(self, key: str) -> None:
        """Remove what an unfinished result left, once it is finished."""
        with contextlib.suppress(StoreError):  # another process has removed it
            self.remove(self.work_folder(key))

    def remove(self, folder: Path) -> None:
        """Remove a folder of this store: out of sight at one stroke, leases in it too, and then from the disk.

        Raises:
            StoreError: if it cannot be removed.
        """
        gone = self.root / "work" / f".{folder.name[:16]}-{uuid.uuid4().hex[:8]}"
        try:
            gone.parent.mkdir(exist_ok=True)
            os.rename(folder, gone)
        except OSError as error:
            raise StoreError(f"cannot remove {folder}: {error.strerror or error}") from error
        shutil.rmtree(gone, ignore_errors=True)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _content(path: Path, manifest: dict[str, Any]) -> bytes:
    """Return a file of a finished result, verified."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}. {_remove(path.parent)}") from error
    found, expected = hashlib.sha256(content).hexdigest(), manifest["files"].get(path.name)
    if found != expected:
        raise StoreError(
            f"{path} is damaged: its SHA-256 is {found[:12]}..., {str(expected)[:12]}... was written. "
            f"{_remove(path.parent)}"
        )
    return content


def _agree(stored: Any, present: Any) -> bool:
    """Return whether two settings are equal where both have a field: one that came later had its default before."""
    if isinstance(stored, dict) and isinstance(present, dict):
        return all(_agree(stored[name], present[name]) for name in stored.keys() & present.keys())
    return stored is None or bool(stored == present)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> str:
    return f"Nothing else is lost: remove the folder {folder} and run again, it will be built anew"
