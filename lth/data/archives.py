"""Archives of data sets: the files that are wanted come out of them, and nothing else."""

import hashlib
import shutil
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from filelock import FileLock

from lth.data.download import download
from lth.data.places import mirrors, roots, target

LARGEST = 2**29
"""Bytes of a file of an archive, at most."""


def fetch_archive(
    name: str,
    folder: Path | None,
    archive: str,
    checksum: str,
    inside: str,
    files: Sequence[str],
    public: Sequence[str],
) -> Path:
    """Return a folder with the files of an archive, which is unpacked, and downloaded before unless it is at hand.

    The archive is looked for in FOLDER, FOLDER/NAME and the same places of LTH_DATA_DIR; a downloaded one is removed
    once it is unpacked. None is opened before its bytes are known to be the published ones.

    Args:
        name: of the data set.
        folder: where data sets are kept; the files go to FOLDER/NAME/INSIDE.
        archive: its file name, a .tar.gz.
        checksum: as `md5:HEX` or SHA-256 in hex.
        inside: the folder within it that the files lie in.
        files: names of files.
        public: addresses to download it from.
    Raises:
        ValueError: if the download fails, or the archive is damaged or another one.
    """
    into = target(name, folder)
    at_hand = (place / archive for root in roots(folder) for place in (root, root / name))
    path = next((each for each in at_hand if each.is_file()), None)
    if path is not None:
        _check(path, checksum)
        return unpack(path, into, inside, files)
    download({archive: checksum}, into, mirrors(name, public), name)
    unpacked = unpack(into / archive, into, inside, files)
    (into / archive).unlink(missing_ok=True)
    return unpacked


def unpack(path: Path, into: Path, inside: str, files: Sequence[str]) -> Path:
    """Return the folder INTO/INSIDE with these files out of a .tar.gz; it is there whole or not at all.

    Only files of these very names are written, whatever else an archive holds.

    Raises:
        ValueError: if the archive is damaged, lacks a file, or has one that is too large or no plain file; or if the
            folder is there and lacks one.
    """
    place, incoming = into / inside, into / f"{inside}.incoming"
    into.mkdir(parents=True, exist_ok=True)
    with FileLock(into / "unpack.lock"):
        if place.is_dir() and any(place.iterdir()):
            missing = [file for file in files if not (place / file).is_file()]
            if missing:
                raise ValueError(f"{place} lacks {', '.join(missing)}: remove the folder to have {path.name} unpacked")
            return place
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir()
        wanted = {str(PurePosixPath(inside, file)): file for file in files}
        try:
            with tarfile.open(path, "r:gz") as tar:
                for member in tar:
                    file = wanted.pop(member.name.removeprefix("./"), None)
                    if file is not None:
                        _write(tar, member, incoming / file)
                    if not wanted:
                        break
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            shutil.rmtree(incoming, ignore_errors=True)
            raise ValueError(f"{path} cannot be unpacked ({error}): fetch it again") from error
        if wanted:
            shutil.rmtree(incoming, ignore_errors=True)
            raise ValueError(f"{path} lacks {', '.join(wanted.values())}: it is another archive")
        if place.is_dir():
            place.rmdir()
        incoming.rename(place)
    return place


def _check(path: Path, checksum: str) -> None:
    kind, _, digest = checksum.rpartition(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, kind or "sha256").hexdigest()
    if found != digest:
        raise ValueError(f"{path} has the checksum {found}, expected {digest}: fetch it again, or remove it")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if not member.isfile() or member.size > LARGEST:
        kind = f"has {member.size:,} bytes" if member.isfile() else "is no plain file"
        raise tarfile.TarError(f"{member.name} {kind}")
    content = tar.extractfile(member)
    assert content is not None
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file)
