"""A study's ID: 12 hex digits that follow from everything that determines its results."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from lth.config import Recipe
from lth.lineage import Trained

LATER: tuple[str, ...] = ("loss",)
"""Settings younger than the IDs: at their default they are left out, so that older studies keep theirs."""


def study_id(document: dict[str, Any], config: Recipe, trainings: Iterable[Trained]) -> str:
    """The ID of a study.

    Args:
        document: its settings as JSON values, with the digests that they were resolved to.
        config: its settings.
        trainings: what it trains.
    """
    defaults = {name: type(config).model_fields[name].default for name in LATER}
    told = {name: value for name, value in document.items() if name not in LATER or value != defaults[name]}
    canonical = json.dumps([told, [trained.key for trained in trainings]], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
