"""Masks that hold on live parameters: gradients are masked as they arrive, and values can be put back."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lth.sparsity.types import Masks, Weights


class Hold:
    """Keeps pruned entries of parameters at their fill values.

    Attributes:
        masks: in force; replaced by `set`, never written to.
        is_open: while True, gradients of pruned entries pass.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self._parameters = dict(parameters)
        self.masks: Masks = {}
        self.is_open = False
        self._pruned: Masks = {}
        self._fills: dict[str, Tensor | None] = {}
        # Hooks on a tensor run before its gradient is accumulated: before DDP's average, and before any clipping.
        self._handles: list[RemovableHandle] = [
            value.register_hook(partial(self._masked, name))  # type: ignore[no-untyped-call]
            for name, value in self._parameters.items()
            if value.requires_grad
        ]

    @torch.no_grad()
    def set(self, masks: Masks, fills: Mapping[str, Tensor] | None = None) -> None:
        """Hold these masks from now on.

        Args:
            masks: one for each parameter.
            fills: values of pruned entries, zero where there is none; by default those that they have now.
        """
        self.masks = dict(masks)
        self._pruned = {name: ~mask for name, mask in masks.items() if not bool(mask.all())}
        self._fills = {}
        for name in self._pruned:
            fill = torch.where(masks[name], 0, self._parameters[name].detach()) if fills is None else fills.get(name)
            has_value = fill is not None and bool(fill.count_nonzero() or fill.signbit().any())
            self._fills[name] = fill if has_value else None

    def fills(self) -> Weights:
        """Return the values of pruned entries (kept ones are zero here), of parameters where some are not zero."""
        return {name: fill for name, fill in self._fills.items() if fill is not None}

    @torch.no_grad()
    def apply(self) -> None:
        """Put pruned entries back to their fill values, bit for bit."""
        for name, fill in self._fills.items():
            value = self._parameters[name]
            pruned = self._pruned_on(name, value.device)
            if fill is None:
                value.masked_fill_(pruned, 0.0)
            else:
                value.copy_(torch.where(pruned, fill.to(value), value))

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Zero what the gradients hold for pruned entries now."""
        for name in self._pruned:
            gradient = self._parameters[name].grad
            if gradient is not None:
                gradient.masked_fill_(self._pruned_on(name, gradient.device), 0.0)

    def remove(self) -> None:
        """Let go of the parameters."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _masked(self, name: str, gradient: Tensor) -> Tensor:
        if self.is_open or name not in self._pruned:
            return gradient
        return gradient.masked_fill(self._pruned_on(name, gradient.device), 0.0)

    def _pruned_on(self, name: str, device: torch.device) -> Tensor:
        """Return the pruned entries; they follow a parameter that was moved after the guard was made."""
        if self._pruned[name].device != device:
            self._pruned[name] = self._pruned[name].to(device)
            self.masks[name] = self.masks[name].to(device)
        return self._pruned[name]
