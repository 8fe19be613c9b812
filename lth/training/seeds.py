"""Three seeds a replicate: initialisation, data order, augmentation. Each can be fixed alone."""

import hashlib

from pydantic import BaseModel, ConfigDict, Field


class Seeds(BaseModel):
    """The randomness of one replicate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    init: int = Field(description="draws of the initial weights")
    order: int = Field(description="order of the training examples")
    augmentation: int = Field(description="what is drawn within a step: augmentation, dropout")


def seeds_of(base: int, replicate: int) -> Seeds:
    """Return the seeds of a replicate, derived from the study's seed: the same numbers on every machine."""
    return Seeds(**{role: derive_seed(base, replicate, role) for role in ("init", "order", "augmentation")})


def derive_seed(*parts: object) -> int:
    """Return a 63-bit seed from the SHA-256 of the parts' text."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
