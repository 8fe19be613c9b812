"""Where a single weight of a transformer stands, whatever the layout on disk."""

from pydantic import BaseModel, ConfigDict, Field


class Coordinate(BaseModel):
    """One weight of an MLP's down-projection: block, output and input channel, and the expert where there are several.

    Written as `11,507,1229`; with an expert as `11,507,1229,3`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    block: int = Field(ge=0)
    output: int = Field(ge=0)
    input: int = Field(ge=0)
    expert: int | None = Field(default=None, ge=0)

    def __str__(self) -> str:
        last = "" if self.expert is None else f",{self.expert}"
        return f"{self.block},{self.output},{self.input}{last}"

    @classmethod
    def parse(cls, text: str) -> "Coordinate":
        """Return the coordinate that a text names.

        Raises:
            ValueError: if it is not three or four whole numbers.
        """
        parts = [part.strip() for part in text.strip("() ").split(",")]
        if len(parts) not in (3, 4) or not all(part.isdecimal() for part in parts):
            raise ValueError(
                f"{text!r} is no coordinate: give block, output channel and input channel, as 11,507,1229 (of a "
                "mixture of experts the expert behind them)"
            )
        block, output, input_, *expert = map(int, parts)
        return cls(block=block, output=output, input=input_, expert=expert[0] if expert else None)
