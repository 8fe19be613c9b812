"""Supermasks: networks whose weights stay as they were drawn, and whose masks are learned.

Masks stand in `forward` here, as nowhere else, because the method trains through them.

Sources: `bernoulli`, Zhou et al. 2019, arXiv:1905.01067, Section 5; `edge_popup`, Ramanujan et al. 2020,
    arXiv:1911.13299, Section 3.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from lth.config.supermask import SupermaskSettings
from lth.sparsity.prunable import prunable
from lth.sparsity.types import Masks, Scores, State, Weights


class Supermask(nn.Module):
    """A network whose weights are frozen and whose masks are trained, as one score per weight.

    In training mode every forward pass makes its masks anew: `bernoulli` draws each entry with probability
    sigmoid(score), `edge_popup` keeps the largest |score| of each tensor. Backwards the gradient passes straight
    through, as if the mask were sigmoid(score) or |score|, and so do the authors' programs. In evaluation mode the
    masks are the thresholded ones, which draw nothing; for sampled masks see `sampled` and `under`. In the state,
    scores stand as `scores.NAME` and the network's frozen tensors as `network.NAME`.

    `rescale` multiplies a tensor's masked weights. With `bernoulli` the factor is number of weights / number kept in
    this very mask (dynamic weight rescaling), and gradients flow through that number too, as in the authors' program;
    with `edge_popup` it is density ** -0.5, by which the paper scales the weights as they are drawn. Biases and all
    other parameters stay as they were drawn. Scores start at one constant, by default the logit of the density
    (the paper's 0 at 0.5), with `bernoulli`; with `edge_popup` they are Kaiming-uniform, as in the authors' program.
    There the count of pruned weights is rounded down; here the count of kept ones is rounded, as everywhere in lth.

    Args:
        network: any module; it is taken over, and its parameters become buffers.
        settings: how masks follow from scores.
    Raises:
        ValueError: if nothing can be masked, a weight is out of reach, or a mask would keep nothing.
    """

    def __init__(self, network: nn.Module, settings: SupermaskSettings) -> None:
        super().__init__()
        self.settings = settings
        self.names = _reachable(network)
        for name in self.names:
            _kept_count(name, network.get_parameter(name), settings)
        self._aliases = _aliases(network, self.names)
        with torch.no_grad():
            if settings.weights == "signed_constant":
                for name in self.names:
                    weight = network.get_parameter(name)
                    weight.copy_(torch.where(weight < 0, -1.0, 1.0) * weight.std(unbiased=False))
            scores = {name: _first_score(network.get_parameter(name), settings) for name in self.names}
        self.network = _frozen(network)
        self.scores = _tree(scores)

    def forward(self, *inputs: Any, **keywords: Any) -> Any:
        """Return what the masked network makes of the inputs."""
        return self._call({name: self._mask(name, score) for name, score in self._scores().items()}, inputs, keywords)

    def under(self, masks: Masks, *inputs: Any, **keywords: Any) -> Any:
        """Return what the network makes of the inputs under these masks instead of its own, rescaled if it rescales."""
        scores = self._scores()
        return self._call({name: masks[name].to(scores[name]) for name in self.names}, inputs, keywords)

    def thresholded(self) -> Masks:
        """Return the masks of the likeliest entries (sigmoid(score) > 1/2), or of the largest scores."""
        return {name: _threshold(name, score, self.settings) for name, score in self._scores().items()}

    def sampled(self, generator: torch.Generator) -> Masks:
        """Return masks drawn with the learned probabilities; they depend on scores and generator (a CPU one) alone.

        Raises:
            ValueError: if the method does not draw.
        """
        if self.settings.method != "bernoulli":
            raise ValueError(f"method {self.settings.method!r} draws no masks: use thresholded()")
        return {
            name: torch.rand(score.shape, generator=generator).to(score.device) < torch.sigmoid(score.detach())
            for name, score in self._scores().items()
        }

    def masked_state(self, masks: Masks) -> State:
        """Return the network's state under these masks, rescaled if it rescales: a plain network, same outputs."""
        scores = self._scores()
        state = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        for name in self.names:
            mask = masks[name].to(scores[name])
            factor = self._factor(mask) if self.settings.rescale else 1.0
            masked = (state[name] * mask * factor).detach()
            state |= {alias: masked.clone() for alias in self._aliases[name]}
        return state

    def extra_repr(self) -> str:
        """Return the settings, for `print`."""
        return repr(self.settings)

    def _scores(self) -> Scores:
        return {name: attrgetter(name)(self.scores) for name in self.names}

    def _mask(self, name: str, score: Tensor) -> Tensor:
        """Return zeros and ones as floats, through which gradients reach the score in training mode."""
        if not self.training:
            return _threshold(name, score, self.settings).to(score.dtype)
        if self.settings.method == "bernoulli":
            soft = torch.sigmoid(score)
            hard = torch.rand_like(soft) < soft
        else:
            soft = score.abs()
            hard = _threshold(name, score, self.settings)
        return hard.to(score.dtype) + (soft - soft.detach())  # the bracket is zero, but for its gradient

    def _call(self, masks: Mapping[str, Tensor], inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        values: Weights = {}
        for name, mask in masks.items():
            masked = attrgetter(name)(self.network) * mask
            if self.settings.rescale:
                masked = masked * self._factor(mask)
            values |= dict.fromkeys(self._aliases[name], masked)  # tied weights need all their names
        return torch.func.functional_call(self.network, values, inputs, keywords)

    def _factor(self, mask: Tensor) -> Tensor | float:
        if self.settings.method == "edge_popup":
            return float(self.settings.density**-0.5)
        return mask.numel() / mask.sum().clamp(min=1.0)


def masks_of(state: State, settings: SupermaskSettings) -> Masks:
    """Return the thresholded masks, by the network's own parameter names, from the full state of a `Supermask`.

    Args:
        state: what `Supermask.state_dict()` gives, or a training leaves.
        settings: those that the supermask was made with.
    Raises:
        ValueError: if the state holds no scores.
    """
    prefix = "scores."
    scores = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    if not scores:
        raise ValueError(f"the state holds no scores ({prefix}NAME), only {', '.join(state)}: it is of no supermask")
    return {name: _threshold(name, score, settings) for name, score in scores.items()}


def largest(values: Tensor, keep: int) -> Tensor:
    """Return a mask of exactly `keep` entries, the largest ones; of equal ones the lower canonical index goes first.

    The rule of `lth.sparsity.select`, in operations that `torch.vmap` takes and that leave the device alone.

    Args:
        values: not negative; any shape.
        keep: between 1 and the number of values.
    """
    flat = values.reshape(-1)
    remove = flat.numel() - keep
    if remove == 0:
        return torch.ones_like(values, dtype=torch.bool)
    threshold = flat.kthvalue(remove).values
    equal = flat == threshold
    ties = remove - (flat < threshold).sum()
    return ((flat > threshold) | (equal & (equal.cumsum(0, dtype=torch.int32) > ties))).reshape(values.shape)


def _threshold(name: str, score: Tensor, settings: SupermaskSettings) -> Tensor:
    if settings.method == "bernoulli":
        return score.detach() > 0
    return largest(score.detach().abs(), _kept_count(name, score, settings))


def _reachable(network: nn.Module) -> tuple[str, ...]:
    """Return the prunable parameters but those of recurrent layers, which masks do not reach."""
    names = prunable(network)
    owners = {name: network.get_submodule(name.rpartition(".")[0]) for name in names}
    beyond = [name for name in names if isinstance(owners[name], nn.RNNBase)]
    if len(beyond) == len(names):
        raise ValueError(
            f"{beyond[0]} belongs to a {type(owners[beyond[0]]).__name__}, which reads its weights from a list that "
            "masks do not reach, and so do all prunable weights here: give the network another kind of layer too"
        )
    if beyond:
        warnings.warn(f"masks do not reach {', '.join(beyond)}: these stay dense", stacklevel=3)
    return tuple(name for name in names if name not in beyond)


def _kept_count(name: str, score: Tensor, settings: SupermaskSettings) -> int:
    # As `lth.sparsity.select` counts: a half must not fall either way by an ulp.
    keep = int(score.numel() * settings.density + 0.5 + 1e-9)
    if keep == 0 and settings.method == "edge_popup":
        raise ValueError(
            f"density {settings.density:g} keeps none of the {score.numel()} weights of {name}: ask for more"
        )
    return keep


def _first_score(weight: Tensor, settings: SupermaskSettings) -> Tensor:
    if settings.method == "edge_popup":
        bound = 1 / math.sqrt(math.prod(weight.shape[1:]))  # Kaiming-uniform with a = sqrt(5)
        return torch.empty_like(weight).uniform_(-bound, bound)
    score = settings.initial_score
    return torch.full_like(weight, math.log(settings.density / (1 - settings.density)) if score is None else score)


def _aliases(network: nn.Module, names: Sequence[str]) -> dict[str, list[str]]:
    """Return every name of each of these parameters."""
    everything = list(network.named_parameters(remove_duplicate=False))
    return {name: [other for other, value in everything if value is network.get_parameter(name)] for name in names}


def _frozen(network: nn.Module) -> nn.Module:
    """Return the network with a buffer in the place of each parameter."""
    for layer in network.modules():
        for name, value in list(layer.named_parameters(recurse=False, remove_duplicate=False)):
            delattr(layer, name)
            layer.register_buffer(name, value.detach())
    return network


def _tree(values: Mapping[str, Tensor]) -> nn.Module:
    """Return bare modules that hold each value as a parameter under its dotted name."""
    root = nn.Module()
    for name, value in values.items():
        *path, leaf = name.split(".")
        node = root
        for part in path:
            if part not in dict(node.named_children()):
                node.add_module(part, nn.Module())
            node = node.get_submodule(part)
        node.register_parameter(leaf, nn.Parameter(value))
    return root
