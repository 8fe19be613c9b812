"""Networks with their values, ready to run; a process keeps the last one, since many jobs in a row want the same."""

from pathlib import Path

import torch
from torch import nn

from lth.config import check_choice
from lth.lineage.foreign.hugging_face import load_hugging_face
from lth.lineage.kinds import Pretrained
from lth.lineage.nodes import WeightsNode
from lth.lineage.reader import Reader
from lth.models.hugging_face import NAME as HUGGING_FACE

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}
"""Types that weights may have."""

_last: dict[tuple[str, str, str, str], nn.Module] = {}


def module_of(
    reader: Reader,
    node: WeightsNode,
    precision: str = "float32",
    device: torch.device | str = "cpu",
    offload: Path | None = None,
) -> nn.Module:
    """Return a node's network in evaluation mode; the next call for the same gives the same module.

    Whoever changes it puts it back: `forget` drops it where that is not done.

    Args:
        reader: of a store.
        node: whose weights it has.
        precision: entry of PRECISIONS; buffers that are no weights (of rotary positions) stay in float32.
        device: where it runs.
        offload: a folder: blocks stay on disk, and one at a time is in memory. For networks of `transformers` in
            safetensors.
    Raises:
        ValueError: if the precision is unknown, or the weights cannot be read.
    """
    dtype = PRECISIONS[check_choice("precision", precision, PRECISIONS)]
    key = (node.key, precision, str(device), str(offload or ""))
    if key not in _last:
        _last.clear()  # before the next one takes its memory
        _last[key] = _loaded(reader, node, dtype, device, offload)
    return _last[key].eval()


def forget() -> None:
    """Drop the network that is kept."""
    _last.clear()


def _loaded(
    reader: Reader, node: WeightsNode, dtype: torch.dtype, device: torch.device | str, offload: Path | None
) -> nn.Module:
    if isinstance(node, Pretrained) and node.spec.name == HUGGING_FACE:
        path = reader.sources.weights_file(node.digest)
        return load_hugging_face(
            path, node.spec, dtype, device, fresh=node.fresh, seed=node.seed, offload=offload
        ).requires_grad_(False)
    if offload is not None:
        raise ValueError("only networks of transformers that lie in safetensors can stay on disk")
    module = reader.module(node.model)
    module.load_state_dict(reader.weights(node))
    for parameter in module.parameters():
        parameter.data = parameter.data.to(dtype)
    return module.to(device).eval().requires_grad_(False)
