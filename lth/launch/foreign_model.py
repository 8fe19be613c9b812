"""A model of `transformers` as a study names it: by folder, by its place on the hub, or by a known name."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lth.config import SettingsError
from lth.data import Data
from lth.data.wordpieces import named_tokenizer, tokenizer_at, tokenizer_file
from lth.launch.weights_place import hub_name, weights_place
from lth.lineage.foreign import hugging_face_spec
from lth.lineage.foreign.files import read_json
from lth.models import MODELS
from lth.models.hugging_face import NAME, sees_later_tokens

HEADS_OF_TASKS = {"language-model": "causal-lm", "masked-language-model": "masked-lm"}
"""The head that a task asks for; all others ask for a classifier (of a number: with one output)."""


@dataclass(frozen=True, slots=True)
class ForeignModel:
    """A model of `transformers`.

    Attributes:
        place: its folder, with config.json.
        weights: where its weights lie; None where the folder has none, and they are drawn.
    """

    place: Path
    weights: Path | None

    @property
    def name(self) -> str:
        """Its entry in MODELS."""
        return NAME

    def arguments(self, task: str) -> dict[str, Any]:
        """Return the arguments of that entry, for a task.

        Raises:
            ValueError: if its config cannot be used, or is that of a causal decoder and the task is none.
        """
        head = HEADS_OF_TASKS.get(task, "sequence-classification")
        arguments = dict(hugging_face_spec(self.place, head).arguments)
        config = json.loads(arguments["config"])
        if head != "causal-lm" and not sees_later_tokens(config):
            kind = config["model_type"]
            raise SettingsError(f"{self.place}: {kind!r} is a causal decoder; task {task!r} needs an encoder, as BERT")
        return arguments

    def check_texts(self, data: Data, task: str) -> None:
        """Check the config, and that the tokenizer which the data name numbers words as this model does.

        Raises:
            ValueError: if the config cannot be used, or the same token has another number.
        """
        config = json.loads(self.arguments(task)["config"])
        named = named_tokenizer(data)
        if named is None:
            return
        other = tokenizer_at(named).get_vocab()
        if tokenizer_file(self.place) is None:
            held = config.get("vocab_size")
            if held is not None and len(other) < held:
                warnings.warn(
                    f"{self.place} holds no tokenizer, and has {held:,} tokens where {named} has {len(other):,}: if "
                    "the model was trained with another one, numbers mean other words",
                    stacklevel=2,
                )
            return
        own = tokenizer_at(self.place).get_vocab()
        differing = sorted(own.items() ^ other.items(), key=lambda item: (item[1], item[0]))
        if differing:
            token = differing[0][0]
            there, here = (
                f"number {vocabulary[token]:,}" if token in vocabulary else "no token" for vocabulary in (own, other)
            )
            raise SettingsError(
                f"{named} is not the vocabulary of {self.place}: {token!r} is {there} there and {here} here; leave "
                "tokenizer= out, so that the model's own is read"
            )

    @property
    def has_types(self) -> bool:
        """Whether it tells the first sentence from the second."""
        return int(read_json(self.place / "config.json").get("type_vocab_size") or 0) > 1


def foreign_model(name: str, folder: Path | None = None) -> ForeignModel | None:
    """Return the model of `transformers` that a name means; None where it means none.

    Args:
        name: a folder with config.json (also one inside `folder`; where it is called as an entry of MODELS, that goes
            before and the folder is ./NAME), `hub:OWNER/NAME@REVISION`, or one of CHECKPOINTS,
            which is looked for as a folder first.
        folder: where data files are.
    Raises:
        ValueError: if the hub does not have it.
    """
    if name.partition(":")[0] in MODELS:
        return None
    path = Path(name).expanduser()
    places = [path] if folder is None else [path, folder.expanduser() / path]
    place = next((each for each in places if (each / "config.json").is_file()), None)
    if place is None and (on_hub := hub_name(name)).startswith("hub:"):
        place = weights_place(on_hub)
        if not any(place.glob("*.safetensors")):
            raise ValueError(f"{name} holds no safetensors on the hub, and pickles are not read: name another model")
    if place is None:
        return None
    has_weights = any(place.glob("*.safetensors")) or any(place.glob("pytorch_model*.bin"))
    return ForeignModel(place, place if has_weights else None)
