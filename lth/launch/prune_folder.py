"""The folder of a pruned language model, to load as it was loaded before."""

import copy
from pathlib import Path
from typing import Any

from torch import nn

from lth.launch.specimen import Specimen
from lth.launch.tokenizers import save_tokenizer
from lth.lineage import Pretrained, json_to_bytes, weights_to_bytes, write_file
from lth.lineage.foreign import is_gguf, save_gpt2
from lth.models import Gpt2
from lth.models.hugging_face import NAME as HUGGING_FACE
from lth.models.hugging_face import quiet


def write_pruned(module: nn.Module, specimen: Specimen, out: Path, document: dict[str, Any]) -> None:
    """Write `prune.json` and the model: as `transformers` loads it, or of lth's own as safetensors.

    Args:
        module: the pruned network.
        specimen: what it was loaded from.
        out: the folder.
        document: what was done.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_file(out / "prune.json", json_to_bytes(document))
    if specimen.weights.model.name == HUGGING_FACE:
        assert isinstance(specimen.weights, Pretrained)
        path = specimen.sources.weights[specimen.weights.digest]
        saved: Any = _without_gguf(module, specimen) if is_gguf(path) else module
        saved.config.use_cache = True  # for whoever generates text with it
        with quiet():
            saved.save_pretrained(out)
        if specimen.encode is not None:
            save_tokenizer(path, out)
    elif isinstance(module, Gpt2) and module.h[0].attn.sink_key is None:  # type: ignore[union-attr]
        save_gpt2(module, out)
    else:
        write_file(out / "model.safetensors", weights_to_bytes(module.state_dict()))


def _without_gguf(module: nn.Module, specimen: Specimen) -> nn.Module:
    """Return a network with the same tensors that knows nothing of GGUF, which transformers does not write."""
    bare = copy.deepcopy(specimen.sources.skeleton(specimen.weights.model))
    bare.load_state_dict(module.state_dict(), assign=True)
    bare.tie_weights()  # type: ignore[operator]
    return bare
