"""Linear layers through oneDNN, which uses the full vector width of processors where MKL uses half of it."""

import os
from functools import cache
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lth.config.choices import check_choice
from lth.training.engines.processor import vendor_and_avx512

VARIABLE = "LTH_LINEAR"
"""The environment variable that decides over the processor's head: `torch` or `onednn`."""

Path = Literal["torch", "onednn"]

MIN_WORK = 2**22
"""Multiplications from which a product goes through oneDNN: calling it costs about 30 microseconds more."""


def linear_path() -> Path:
    """Return how Linear layers compute here: `onednn` on an AMD processor with AVX-512, else `torch`.

    Decided by the processor and the environment variable LTH_LINEAR, never by a clock: one key must give one result on
    one machine. `lth doctor` measures whether that was right.

    Raises:
        ValueError: if LTH_LINEAR is unknown, or asks for a oneDNN that this torch does not have.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return "onednn" if vendor_and_avx512() == ("AuthenticAMD", True) and onednn_works() else "torch"
    check_choice(VARIABLE, wanted, get_args(Path))
    if wanted == "onednn":
        if not onednn_works():
            raise ValueError(f"{VARIABLE} is onednn, but this torch has no oneDNN that gives right products: unset it")
        return "onednn"
    return "torch"


def check_linear_path() -> None:
    """Raise the ValueError of `linear_path`, if there is one: before anything starts."""
    linear_path()


@cache
def onednn_works() -> bool:
    """Return whether torch ships the product, and it gives the right numbers forward and backward."""
    generator = torch.Generator().manual_seed(0)
    inputs, weight, outputs = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((5, 17), (11, 17), (5, 11))
    )
    try:
        products = [
            (_onednn(left.float(), right.float(), None), left @ right.t())
            for left, right in ((inputs, weight), (outputs, weight.t()), (outputs.t(), inputs.t()))
        ]
    except (AttributeError, RuntimeError):  # not built in, or not for this processor
        return False
    return all(bool(((found - wanted).abs() < 1e-4).all()) for found, wanted in products)


class OneDnnLinear(nn.Linear):
    """A Linear whose large products go through oneDNN; the same numbers but for rounding."""

    def forward(self, input: Tensor) -> Tensor:  # (..., in) -> (..., out)
        return _Linear.apply(input, self.weight, self.bias)  # type: ignore[no-any-return, no-untyped-call]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _product(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        flat = gradient.reshape(-1, gradient.shape[-1])  # (example, out)
        to_inputs = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            to_inputs = _product(flat, weight.t(), None).view(inputs.shape)
        if ctx.needs_input_grad[1]:
            to_weight = _product(flat.t(), inputs.reshape(-1, inputs.shape[-1]).t(), None)
        if ctx.needs_input_grad[2]:
            to_bias = flat.sum(0)
        return to_inputs, to_weight, to_bias


def _product(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute (..., in), (out, in), (out,) -> (..., out)."""
    if inputs.numel() * len(weight) < MIN_WORK:
        return F.linear(inputs, weight, bias)
    return _onednn(inputs, weight, bias)


def _onednn(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")  # type: ignore[no-any-return]
