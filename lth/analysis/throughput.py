"""How fast token models train: tokens a second, and the share of the device's peak that does useful work."""

from collections.abc import Callable

import torch
from torch import nn

from lth.lineage import Reader, Trained
from lth.models import Gpt2
from lth.training.engines.signature import Signature

PEAKS = {
    "V100": 125e12,
    "T4": 65e12,
    "A100": 312e12,
    "A10": 125e12,
    "L4": 121e12,
    "L40": 181e12,
    "L40S": 362e12,
    "RTX 3090": 71e12,
    "RTX 4090": 165e12,
    "H100": 989e12,
    "H200": 989e12,
    "B200": 2250e12,
}
"""Dense operations a second in bfloat16 (V100, T4: float16), by a part of the name; from NVIDIA's data sheets."""


def flops_per_token(module: nn.Module, block: int) -> float:
    """Return the floating-point operations of a forward and a backward pass, of one token.

    Six for each weight but those of positions, and those of attention's two products.

    Source: Chowdhery et al. 2022 (PaLM), arXiv:2204.02311, Appendix B.
    """
    count = sum(parameter.numel() for parameter in module.parameters())
    if not isinstance(module, Gpt2):
        return 6.0 * count
    return 6.0 * (count - module.wpe.weight.numel()) + 12.0 * len(module.h) * module.wte.embedding_dim * block


def peak_of(device: str) -> float | None:
    """Return the peak of a device of this machine; None where it is not known, as of a CPU."""
    if device == "cpu" or not torch.cuda.is_available():
        return None
    return peak_named(torch.cuda.get_device_name(device))


def peak_named(name: str) -> float | None:
    """Return the peak of a device of this name; None where it is not known."""
    fitting = [part for part in PEAKS if part in name]
    return PEAKS[max(fitting, key=len)] if fitting else None


def speed_of(job: Trained, reader: Reader) -> Callable[[float], dict[str, float]]:
    """Return what makes of the seconds of a step the speed of a finished training, by the names of its columns.

    `ms_per_step`; of tokens `tokens_per_second`, the network's own, and where the peak of the device is known `mfu`,
    the share of it that all networks reach which train together.
    """
    per_example = reader.sources.data[job.data.digest].tokens_per_example
    if per_example is None:
        return lambda seconds: {"ms_per_step": 1e3 * seconds}
    tokens, provenance = per_example * job.training.batch_size, reader.store.manifest(job.key)["provenance"]
    signature = Signature.parse(provenance.get("signature", ""))
    peak = peak_named(provenance["device"]) if job.training.precision == "bfloat16" else None
    flops = tokens * provenance["population"] * flops_per_token(reader.skeleton(job.model), per_example)

    def columns(seconds: float) -> dict[str, float]:
        known = {"ms_per_step": 1e3 * seconds, "tokens_per_second": tokens / seconds}
        if peak is None or signature is None:
            return known
        return known | {"mfu": flops / seconds / (peak * signature.ranks)}

    return columns


def in_words(tokens_per_second: float, flops: float, peak: float | None) -> str:
    """Return tokens a second, with the model's utilisation of the device where its peak is known."""
    count = tokens_per_second
    text = f"{count / 1e6:.2f}M" if count >= 1e6 else f"{count / 1e3:.1f}K" if count >= 1e3 else f"{count:.0f}"
    utilisation = "" if peak is None else f", MFU {100 * count * flops / peak:.1f} %"
    return f"{text} tokens/s{utilisation}"
