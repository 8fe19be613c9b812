"""lth: find winning tickets in any PyTorch network, test them with the controls a claim needs, and explain them.

Rooms, each importing only from those before it:

    config       what users write: settings, recipes, sweeps; no torch
    tasks        what is learned and how it is measured
    sparsity     pure functions on weights and masks: criteria, scopes, selection, schedules, actions
    data         data sets by name, arrays, token streams, splits, batch order
    models       networks by name, and any module of yours
    superweights single weights that a language model needs: found, tested by intervention, listed
    training     populations, engines, sparsifiers; guard: masks in a training loop of yours
    lineage      the derivation graph: nodes (one kind per file), store, plan, build, ticket files
    analysis     intervals, verdicts, the documents of a study
    studies      the science, one study per file; experiments: published ones with their numbers
    report       figures and one HTML page, from documents alone
    tracking     trackers that are told of trainings: Weights & Biases, MLflow, TensorBoard, trackio
    launch       a study from settings to report
    serve        pages of a whole store in a browser, read-only
    cli          the command line

Names below are imported when they are first used, so that `import lth` stays fast.
"""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lth.data import Data as Data
    from lth.data import from_arrays as from_arrays
    from lth.data import load_data as load_data
    from lth.launch import Found as Found
    from lth.launch import few_shot as few_shot
    from lth.launch import find_ticket as find_ticket
    from lth.launch import results as results
    from lth.launch import resume as resume
    from lth.launch import run_study as run_study
    from lth.launch import study as study
    from lth.launch.compact import compact_ticket as compact_ticket
    from lth.launch.superweights import super_weights as super_weights
    from lth.launch.ticket_hub import pull_ticket as pull_ticket
    from lth.launch.ticket_hub import push_ticket as push_ticket
    from lth.lineage import BuildError as BuildError
    from lth.lineage import Execution as Execution
    from lth.lineage import Store as Store
    from lth.lineage import StoreError as StoreError
    from lth.lineage import apply_masks as apply_masks
    from lth.lineage import build as build
    from lth.lineage import compare_tickets as compare_tickets
    from lth.lineage import load_compact as load_compact
    from lth.lineage import merge_tickets as merge_tickets
    from lth.lineage import plan as plan
    from lth.lineage import read_ticket as read_ticket
    from lth.report import read_study as read_study
    from lth.report import write_report as write_report
    from lth.sparsity import select as select
    from lth.studies.connect import Connect as Connect
    from lth.studies.few_shot_settings import FewShot as FewShot
    from lth.studies.find_ticket_settings import FindTicket as FindTicket
    from lth.studies.rewinding import Rewinding as Rewinding
    from lth.studies.sparsify_settings import Sparsify as Sparsify
    from lth.studies.stability import Stability as Stability
    from lth.studies.supermask import LearnSupermask as LearnSupermask
    from lth.studies.transfer_settings import Transfer as Transfer
    from lth.training import train as train
    from lth.training.guard import guard as guard
    from lth.training.guard import levels as levels
    from lth.training.guard import load_masks as load_masks
    from lth.training.guard import masks as masks
    from lth.training.guard import save_masks as save_masks
    from lth.training.guard import sparsity_of as sparsity_of

_PLACES = {
    "data": ("Data", "from_arrays", "load_data"),
    "launch": ("Found", "few_shot", "find_ticket", "results", "resume", "run_study", "study"),
    "launch.compact": ("compact_ticket",),
    "launch.superweights": ("super_weights",),
    "launch.ticket_hub": ("pull_ticket", "push_ticket"),
    "lineage": (
        "BuildError",
        "Execution",
        "Store",
        "StoreError",
        "apply_masks",
        "build",
        "compare_tickets",
        "load_compact",
        "merge_tickets",
        "plan",
        "read_ticket",
    ),
    "report": ("read_study", "write_report"),
    "sparsity": ("select",),
    "studies.connect": ("Connect",),
    "studies.few_shot_settings": ("FewShot",),
    "studies.find_ticket_settings": ("FindTicket",),
    "studies.rewinding": ("Rewinding",),
    "studies.sparsify_settings": ("Sparsify",),
    "studies.stability": ("Stability",),
    "studies.supermask": ("LearnSupermask",),
    "studies.transfer_settings": ("Transfer",),
    "training": ("train",),
    "training.guard": ("guard", "levels", "load_masks", "masks", "save_masks", "sparsity_of"),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}
_STUDIES = (
    "supermask", "connect", "stability", "sparsify", "rewinding", "transfer", "merge", "remove", "regrow",
    "selective_noise",
)  # fmt: skip
"""Studies that are functions too: `lth.connect(...)` is `lth.study("connect", ...)`; a hyphen is an underscore."""

__all__ = [*_PLACE_OF, *_STUDIES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _PLACE_OF:
        return getattr(import_module(f"lth.{_PLACE_OF[name]}"), name)
    if name in _STUDIES:
        return partial(import_module("lth.launch").study, name.replace("_", "-"))
    if name == "__version__":
        return import_module("importlib.metadata").version("lth")
    near = import_module("difflib").get_close_matches(name, __all__, n=1)
    hints = [f"did you mean {near[0]!r}?"] if near else []
    hints += [f"for the room of that name `import lth.{name}` first"] if f"    {name} " in (__doc__ or "") else []
    raise AttributeError(
        f"module 'lth' has no attribute {name!r}; {' Or '.join(hints) or 'it has ' + ', '.join(sorted(__all__))}"
    )


def __dir__() -> list[str]:
    return sorted(__all__)
