"""When a spike is a candidate for a super weight. No torch."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

PROMPTS = ("Apple Inc. is a worldwide tech company.", "Summer is hot. Winter is cold.", "Transformer architecture is")
"""What networks read unless told otherwise; the first is Yu et al.'s."""


class Search(BaseModel):
    """When a weight that stands between a large input and a large output of an MLP is a candidate.

    Source: Yu et al. 2024, "The super weight in large language models", arXiv:2411.07191; the limits are ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    group: ClassVar[str] = "Search"

    share: float = Field(
        default=0.5, ge=0, description="least |input * weight| / |output|: how much of the output this weight makes"
    )
    over_channels: float = Field(
        default=30, gt=0, description="least |output| over the median of its block's channel maxima, or the next"
    )
    over_blocks: float = Field(
        default=5, gt=0, description="least |output| over the median of the blocks' largest, where over_channels fails"
    )
    prompts: int = Field(
        default=3, ge=1, description="prompts that show the same coordinate; all where fewer are given"
    )
    top: int = Field(default=3, ge=1, description="input channels and output channels of a block that are looked at")
    rounds: int = Field(
        default=5, ge=1, description="looks at most; before each but the first the candidates so far are zeroed"
    )
