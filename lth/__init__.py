"""lth: find winning tickets in any PyTorch network, test them with the controls a claim needs, and explain them.

Rooms, each importing only from those before it:

    config     what users write: settings, recipes, presets, sweeps
    sparsity   pure functions on weights and masks: criteria, scopes, selection, schedules, actions
    models     networks by name, and any module of yours
    data       data sets by name, arrays, splits, batch order
    training   populations, engines, what is measured on the way
    lineage    the derivation graph: nodes, store, plan, build, ticket files
    studies    the science: which trainings a question needs
    analysis   intervals, verdict, result documents
    report     figures and one HTML page, from result files alone
    launch     a study from settings to report
    cli        the command line

Names below are imported when they are first used, so that `import lth` stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lth.config import FindTicket as FindTicket
    from lth.config import Pruning as Pruning
    from lth.config import Recipe as Recipe
    from lth.data import Data as Data
    from lth.data import from_arrays as from_arrays
    from lth.data import load_data as load_data
    from lth.launch import Found as Found
    from lth.launch import find_ticket as find_ticket
    from lth.launch import run_study as run_study
    from lth.lineage import BuildError as BuildError
    from lth.lineage import Execution as Execution
    from lth.lineage import Store as Store
    from lth.lineage import StoreError as StoreError
    from lth.lineage import apply_masks as apply_masks
    from lth.lineage import build as build
    from lth.lineage import plan as plan
    from lth.lineage import read_ticket as read_ticket
    from lth.report import read_study as read_study
    from lth.report import write_report as write_report
    from lth.sparsity import select as select
    from lth.studies import find_ticket_study as find_ticket_study

_ROOMS = {
    "config": ("FindTicket", "Pruning", "Recipe"),
    "data": ("Data", "from_arrays", "load_data"),
    "launch": ("Found", "find_ticket", "run_study"),
    "lineage": ("BuildError", "Execution", "Store", "StoreError", "apply_masks", "build", "plan", "read_ticket"),
    "report": ("read_study", "write_report"),
    "sparsity": ("select",),
    "studies": ("find_ticket_study",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [*_ROOM_OF]


def __getattr__(name: str) -> Any:
    if name in _ROOM_OF:
        return getattr(import_module(f"lth.{_ROOM_OF[name]}"), name)
    raise AttributeError(f"module 'lth' has no attribute {name!r}; it has {', '.join(sorted(_ROOM_OF))}")


def __dir__() -> list[str]:
    return sorted(_ROOM_OF)
