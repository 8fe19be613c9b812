"""The open tables: what a script added to them must reach worker processes."""

from typing import Any

from lth.config import Table
from lth.data.augment import AUGMENTATIONS
from lth.data.datasets import DATASETS
from lth.lineage.kinds.table import NODES
from lth.models import MODELS
from lth.sparsity import CRITERIA, GRANULARITIES, SCHEDULES, SCOPES
from lth.sparsity.actions import DISTRIBUTIONS
from lth.sparsity.merge import MERGES
from lth.superweights.interventions import INTERVENTIONS
from lth.superweights.projections import FAMILIES
from lth.tasks import TASKS, losses_of
from lth.training import ENGINES, MEASURES, OPTIMIZERS, SPARSIFIERS, SUMS

OPEN: tuple[Table[Any], ...] = (
    CRITERIA, SCOPES, GRANULARITIES, SCHEDULES, MERGES, DISTRIBUTIONS, TASKS, MODELS, DATASETS, OPTIMIZERS,
    SPARSIFIERS, SUMS, MEASURES, ENGINES, NODES,
    INTERVENTIONS, FAMILIES, AUGMENTATIONS,
    *{id(losses): losses for task in TASKS.values() if (losses := losses_of(task)) is not None}.values(),
)  # fmt: skip


def own_entries() -> dict[str, dict[str, Any]]:
    """Return what a script added to each open table, by the table's kind."""
    return {table.kind: own for table in OPEN if (own := table.own())}


def add_entries(entries: dict[str, dict[str, Any]]) -> None:
    """Add entries to the open tables, as `own_entries` gave them."""
    for table in OPEN:
        table.update(entries.get(table.kind, {}))
