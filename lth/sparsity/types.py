"""The values that the pure functions of this room work on: plain dicts keyed by parameter name."""

from collections.abc import Mapping

import torch
from torch import Tensor

Weights = dict[str, Tensor]
"""Values by parameter name: of the prunable parameters, or of those in question."""

State = dict[str, Tensor]
"""A full state of a network, parameters and buffers, by the names of its state dict."""

Traces = dict[str, Weights]
"""Sums over the steps of a training, by kind (`movement_pruning`) and parameter name."""

Masks = dict[str, Tensor]
"""`torch.bool` tensors by parameter name, True keeps. A parameter without a mask is dense."""

Scores = dict[str, Tensor]
"""One score per weight, by parameter name; the lowest scores are pruned first."""

Shapes = Mapping[str, torch.Size]
"""Shapes of the prunable parameters, by name."""
