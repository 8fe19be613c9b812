"""A worker process: one thread, one network at a time. The pool runs it as `python -m lth.lineage.worker FD`."""

import pickle
import sys
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lth.lineage.derive import Deriver, Diverged
from lth.lineage.execute import execute
from lth.lineage.files import StoreError
from lth.lineage.nodes import from_documents
from lth.lineage.plan import Work
from lth.lineage.store import Store
from lth.sparsity import CRITERIA
from lth.training import History, Interrupted


def main() -> None:
    """Serves the pool that started it until told to end, or until the pool is gone."""
    import torch

    warnings.showwarning = lambda message, *_: print(f"lth: warning: {message}", file=sys.stderr)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # dead units leave denormal moments behind, which cost ten times a normal float
    connection: Any = Connection(int(sys.argv[1]))
    try:
        _serve(connection)
    except (EOFError, OSError):
        sys.exit(1)  # the pool is gone; the last snapshot is kept


def _serve(connection: "Connection[Any, Any]") -> None:
    settings = pickle.loads(connection.recv_bytes())  # from the process that started this one, never from a file
    CRITERIA.update(settings["criteria"])
    deriver = Deriver(Store(Path(settings["store"])), settings["sources"])
    splits: dict[Any, Any] = {}

    def progress(key: str, step: int, history: History) -> None:
        last = history.validation_accuracy[-1] if history.validation_accuracy else None
        connection.send(("progress", key, step, last))

    while True:
        message = connection.recv()
        if message is None:
            return
        if message == "stop":
            continue
        documents, key, checkpoints, finish, engine = message
        trained = from_documents(documents)[key]
        work = Work(trained, checkpoints, finish, frozenset())  # type: ignore[arg-type]
        try:
            execute(
                [work],
                deriver,
                splits,
                engine=engine,
                is_forced=settings["is_forced"],
                device="cpu",
                snapshot_seconds=settings["snapshot_seconds"],
                progress=progress,
                should_stop=connection.poll,
            )
        except Interrupted:
            connection.send(("stopped", key, "", ""))
        except Diverged as error:
            connection.send(("diverged", key, str(error), ""))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:
            kind = "refused" if isinstance(error, StoreError | ValueError) else "failed"
            connection.send((kind, key, str(error) or repr(error), traceback.format_exc()))
        else:
            connection.send(("done", key, "", ""))


if __name__ == "__main__":
    main()
