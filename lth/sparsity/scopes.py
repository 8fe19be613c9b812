"""The scopes by name."""

from lth.config.choices import Table
from lth.sparsity.owl import OWL
from lth.sparsity.scope import Scope, erk, global_scope, layerwise, per_pattern, uniform_plus

SCOPES: Table[Scope] = Table(
    "scope",
    {
        "global": global_scope,
        "layerwise": layerwise,
        "per-pattern": per_pattern,
        "erk": erk,
        "uniform-plus": uniform_plus,
        "owl": OWL,
    },
)
"""What is ranked together, and how the density is shared out, by name: `--scope`."""
