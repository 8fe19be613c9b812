"""The kinds in one table."""

from lth.config import Table
from lth.lineage import kinds
from lth.lineage.nodes import Node

NODES: Table[type[Node]] = Table("node kind", {name: getattr(kinds, name) for name in kinds.__all__})
"""Kinds of nodes by name, as derivations write them."""
