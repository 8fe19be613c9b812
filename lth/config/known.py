"""Models whose unknown fields are answered by the nearest name."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, model_validator

from lth.config.choices import check_choice


class KnownFields(BaseModel):
    """A model that answers a field that it lacks by the name that may have been meant."""

    @model_validator(mode="before")
    @classmethod
    def _fields_are_known(cls, given: Any) -> Any:
        known = [info.alias or name for name, info in cls.model_fields.items()]
        for name in given if isinstance(given, Mapping) else ():
            check_choice("setting", str(name), known)
        return given
