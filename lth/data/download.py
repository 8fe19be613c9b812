"""Fetching files once: pinned checksums, several mirrors in turn, and nothing half-done under a final name."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import FileLock


def download(files: Mapping[str, str], folder: Path, mirrors: Sequence[str], what: str, timeout: float = 30.0) -> None:
    """Fetch files so that `folder` holds all of them, each with the bytes that its checksum pins.

    Each mirror in turn is asked for the files that are still missing. Files wait in `folder/incoming` until all of them
    are there, so an interrupted download continues where it stopped, and `folder` is complete or has none of them.
    Several processes may ask at once: one downloads, the others wait for it.

    Args:
        files: SHA-256, in hex, by file name; another checksum as `md5:HEX`.
        folder: where the files go; it is created.
        mirrors: base URLs, tried in this order; a file's address is the base, a slash where it lacks one, and the name.
        what: name of the data set, for messages.
        timeout: seconds that a server may stay silent.
    Raises:
        ValueError: if no mirror gives all of the files; the message says why, and what to do by hand.
    """
    incoming = folder / "incoming"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"cannot create {folder} to download {what} ({error.strerror}): give a folder that can be written to"
        ) from error
    with FileLock(folder / "download.lock"):
        if all((folder / name).is_file() for name in files):
            return
        incoming.mkdir(exist_ok=True)
        failures = []
        for mirror in mirrors:
            failure = _fetch(files, incoming, mirror, timeout)
            if failure is None:
                break
            failures.append(failure)
        else:
            if not any(incoming.iterdir()):
                incoming.rmdir()
            raise ValueError(
                f"{what} could not be downloaded ({'; '.join(failures) or 'no mirrors given'}). "
                f"If you are offline, put {', '.join(files)} into {folder}, or into a folder that the environment "
                f"variable LTH_DATA_DIR names (LTH_DATA_DIR/{what}); LTH_MIRROR names another server"
            )
        for name in files:
            os.replace(incoming / name, folder / name)
        incoming.rmdir()


def _fetch(files: Mapping[str, str], incoming: Path, mirror: str, timeout: float) -> str | None:
    """Return what went wrong with this mirror, in a few words; None when all files are there."""
    import pooch  # with requests a quarter of a second, and most loads download nothing

    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=timeout)
    for name, checksum in files.items():
        url = f"{mirror.rstrip('/')}/{name}"
        try:
            known = checksum if ":" in checksum else f"sha256:{checksum}"
            pooch.retrieve(url, known_hash=known, fname=name, path=incoming, downloader=downloader)
        except ValueError:  # pooch has deleted the file
            return f"{url}: wrong checksum, so the file was not kept"
        except OSError as error:  # every failure of requests is one
            return f"{url}: {_reason(error)}"
    return None


def _reason(error: OSError) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answers {response.status_code}"
    return error.strerror or f"no answer ({type(error).__name__})"
