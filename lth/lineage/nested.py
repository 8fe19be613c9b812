"""No search within a search: processes would start processes without end."""

import os

from lth.lineage.executors.workers import IN_WORKER
from lth.models import is_importing


def refuse_nested() -> None:
    """Refuse a search inside a worker process, or while a module is being imported for another search.

    Raises:
        ValueError: with what to do.
    """
    guard = 'put the search under `if __name__ == "__main__":`'
    if os.environ.get(IN_WORKER):
        raise ValueError(f"a search was started inside a worker process of another search: {guard}")
    if is_importing():
        raise ValueError(f"a search was started by a module that is being imported for its model or function: {guard}")
