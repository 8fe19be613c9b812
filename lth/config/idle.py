"""Settings that have no effect beside the others: they are named, and leave no trace in what determines a result."""

import warnings
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel

B = TypeVar("B", bound=BaseModel)


def without_idle(settings: B, idle: Mapping[str, str]) -> B:
    """Return settings with those that nothing reads put back to their defaults; a warning names what was written.

    Args:
        settings: any settings; what a preset gave is none of their `model_fields_set`, and goes without a warning.
        idle: by the names of settings, why nothing reads them; those at their defaults are passed over.
    """
    fields = type(settings).model_fields
    changed = {name: why for name, why in idle.items() if getattr(settings, name) != fields[name].default}
    listed = [f"{name} {getattr(settings, name)!r}: {why}" for name, why in changed.items()
              if name in settings.model_fields_set]  # fmt: skip
    if listed:
        warnings.warn(f"settings without effect: {'; '.join(listed)}", stacklevel=3)
    return settings.model_copy(update={name: fields[name].default for name in changed}) if changed else settings
