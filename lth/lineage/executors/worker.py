"""A worker process: one thread, one job at a time. `Workers` starts it."""

import pickle
import sys
import traceback
import warnings
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lth.lineage.executors.executor import Report
from lth.lineage.files import StoreError
from lth.lineage.lease import LeaseLost, holds
from lth.lineage.nodes import Job, from_documents
from lth.lineage.plan import Work
from lth.lineage.reader import Reader
from lth.lineage.store import Store
from lth.lineage.tables import add_entries
from lth.lineage.work import Diverged, Hooks
from lth.training import Interrupted, Where


def main() -> None:
    """Serve the process that started this one until told to end, or until that one is gone."""
    import torch

    warnings.showwarning = lambda message, *_: print(f"lth: warning: {message}", file=sys.stderr)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # dead units leave denormal moments behind, which cost ten times a normal float
    connection: Any = Connection(int(sys.argv[1]))
    try:
        _serve(connection)
    except (EOFError, OSError):
        sys.exit(1)  # nobody is there any more; the last snapshot is kept


def _serve(connection: "Connection[Any, Any]") -> None:
    content = connection.recv_bytes()  # from the process that started this one, never from a file
    try:
        settings = pickle.loads(content)
        add_entries(settings["entries"])
    except Exception as error:  # whatever the user's modules raise when they are imported
        _answer_all(connection, error)
        return
    reader = Reader(Store(Path(settings["store"])), settings["sources"])

    def progress(key: str, step: int, values: Mapping[str, float]) -> None:
        connection.send(Report("progress", key, step, dict(values)))

    def evaluated(key: str, step: int, values: Mapping[str, float]) -> None:
        connection.send(Report("evaluated", key, step, values))

    def sampled(key: str, step: int, text: str) -> None:
        connection.send(Report("sampled", key, step, text=text))

    def is_ours(key: str) -> bool:
        return holds(reader.store.work_folder(key), settings["token"])

    hooks = Hooks(progress, evaluated, connection.poll, settings["is_forced"], settings["prompt"], sampled, is_ours)
    while (message := connection.recv()) is not None:
        if message == "stop":
            continue
        documents, key, checkpoints, finish, engine = message
        try:
            job = from_documents(documents)[key]
            assert isinstance(job, Job)
            work = Work(job, checkpoints, finish, frozenset())
            where = Where(
                engine=engine, snapshot_seconds=settings["snapshot_seconds"], micro_batch=settings["micro_batch"]
            )
            type(job).run([work], reader, where, hooks)
        except Interrupted:
            connection.send(Report("stopped", key))
        except LeaseLost:
            connection.send(Report("lost", key))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:
            connection.send(_failure(key, error))
        else:
            connection.send(Report("done", key))


def _failure(key: str, error: Exception) -> Report:
    is_for_users = isinstance(error, StoreError | ValueError | Diverged | MemoryError)
    return Report(
        "refused" if is_for_users else "failed",
        key,
        text=str(error) or repr(error),
        traceback="".join(traceback.format_exception(error)),
    )


def _answer_all(connection: "Connection[Any, Any]", error: Exception) -> None:
    """Answer every work with the error that kept this worker from starting."""
    while (message := connection.recv()) is not None:
        if message != "stop":
            connection.send(_failure(message[1], error))


if __name__ == "__main__":
    main()
