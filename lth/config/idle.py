"""Settings that have no effect beside the others: they are named, and leave no trace in what determines a result."""

import warnings
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel

B = TypeVar("B", bound=BaseModel)


def without_idle(settings: B, idle: Mapping[str, str]) -> B:
    """Return settings with those that nothing reads put back to their defaults, after one warning that names them.

    Args:
        settings: any settings.
        idle: by the names of settings, why nothing reads them; those at their defaults are passed over.
    """
    fields = type(settings).model_fields
    given = {name: why for name, why in idle.items() if getattr(settings, name) != fields[name].default}
    if not given:
        return settings
    listed = "; ".join(f"{name} {getattr(settings, name)!r}: {why}" for name, why in given.items())
    warnings.warn(f"settings without effect: {listed}", stacklevel=3)
    return settings.model_copy(update={name: fields[name].default for name in given})
