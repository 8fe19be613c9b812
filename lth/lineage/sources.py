"""The live objects behind the names in nodes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lth.data import Data, Parts, draw_shots, num_classes, split
from lth.lineage.nodes import DataSpec
from lth.models.spec import Factory, ModelSpec, make_model, resolve_factory, skeleton


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """The live objects behind the names in nodes; they are sent to worker processes by value.

    Attributes:
        models: factories by the name in ModelSpec; names that are missing here are looked up in MODELS or imported.
        data: data sets by digest.
        functions: the user's own training and evaluation functions, by name.
        weights: files or folders of pre-trained weights, by digest.
    """

    models: dict[str, Factory] = field(default_factory=dict)
    data: dict[str, Data] = field(default_factory=dict)
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    weights: dict[str, Path] = field(default_factory=dict)

    def factory(self, model: ModelSpec) -> Factory:
        return self.models.get(model.name) or resolve_factory(model.name)

    def module(self, model: ModelSpec, seed: int = 0) -> torch.nn.Module:
        """Return a fresh module of this model."""
        return make_model(model, self.factory(model), seed)

    def skeleton(self, model: ModelSpec) -> torch.nn.Module:
        """Return a module whose values do not matter, for names, shapes and ties; not to be changed."""
        return skeleton(model, self.factory(model))

    def parts(self, spec: DataSpec) -> Parts:
        """Return the examples of this data, validation held out.

        Raises:
            ValueError: if the data set is not at hand, or has not so many examples.
        """
        if spec.digest not in self.data:
            raise ValueError(f"the data set with digest {spec.digest[:12]}... is not at hand: load it first")
        data = self.data[spec.digest]
        parts = split(data, spec.validation, spec.split_seed, spec.train_examples)
        if spec.shots is None:
            return parts
        classes = num_classes(data) if spec.shots_by_class else None
        return {**parts, "train": draw_shots(parts["train"], spec.shots, spec.shots_seed, classes)}

    def weights_file(self, digest: str) -> Path:
        """Return where pre-trained weights lie.

        Raises:
            ValueError: if they are not at hand.
        """
        if digest not in self.weights:
            raise ValueError(f"the pre-trained weights {digest[:12]}... are not at hand: name their folder")
        return self.weights[digest]

    def bytes_each(self) -> int:
        """Return about how many bytes of data a process that trains on these takes."""
        return sum(3 * getattr(part, "num_bytes", 0) for data in self.data.values() for part in data.parts.values())
