"""How the head of a network of `transformers` and the tensors of a file fit."""

from dataclasses import dataclass
from pathlib import Path

from lth.lineage.foreign.hugging_face import check_names, other_heads, read_loosely
from lth.models import ModelSpec
from lth.sparsity.heads import POOLER, head_parameters


@dataclass(frozen=True, slots=True)
class HeadMatch:
    """How the head of a network and the tensors of a file fit, by name.

    Attributes:
        drawn: parameters of the head, or of a pooler, that the file lacks, or has in another shape.
        kept: parameters of the head that the file holds.
        left_over: tensors of other heads, which fill nothing.
    """

    drawn: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """Return a line for each kind that there is."""
        said = (("drawn anew", self.drawn), ("head kept", self.kept), ("passed over", self.left_over))
        return [f"{what}: {', '.join(names)}" for what, names in said if names]


def head_match(path: Path, spec: ModelSpec) -> HeadMatch:
    """Return which parameters of a head a folder or GGUF file holds, which are drawn, and what it holds beside them.

    Raises:
        ValueError: as `load_hugging_face`, of anything else that does not match.
    """
    module, info = read_loosely(path, spec)
    lacking = {*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])}
    names, head = [name for name, _ in module.named_parameters()], set(head_parameters(module))
    drawn = tuple(name for name in names if name in lacking and (name in head or POOLER in name.split(".")[:2]))
    check_names(path, module, info, drawn)
    kept = tuple(name for name in names if name in head and name not in lacking)
    return HeadMatch(drawn, kept, tuple(other_heads(module, info["unexpected_keys"])))
