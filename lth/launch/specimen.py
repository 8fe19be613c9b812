"""A network to look into, from a name: a folder, the hub, a GGUF file, a model of lth's with weights, or a study."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lth.config import SettingsError
from lth.data import Data, load_data
from lth.launch.load import load_studies
from lth.launch.stored import settings_of_study
from lth.launch.tokenizers import Codec, codec_of, codec_of_data
from lth.launch.weights_place import weights_place
from lth.lineage import Dense, Pretrained, Sources, Store, Trained, WeightsNode
from lth.lineage.foreign import check_pretrained, hugging_face_spec, pretrained_digest, stored_types
from lth.models import MODELS, describe, resolve_factory, skeleton
from lth.models.hugging_face import config_of, sees_later_tokens
from lth.studies import STUDIES

NAMES = (
    "a folder with config.json, hub:OWNER/NAME@REVISION, FILE.gguf, a model of lth with data and --start-from, or the "
    "name or ID of a study"
)


@dataclass(frozen=True, slots=True, eq=False)
class Specimen:
    """A network, how text becomes its tokens, and what is known of it.

    Attributes:
        name: as it was given.
        weights: the node of its weights.
        sources: the live objects behind that node.
        codec: text to tokens and back; without functions where the tokenizer is missing.
        vocabulary: number of different tokens.
        context: most tokens that it sees at once; None where there is no such number.
        is_causal: whether it predicts the next token, so that it has a perplexity.
        facts: for documents: architecture, parameters, how tensors are stored, digest, revision.
        data: what a network of lth's was described with.
    """

    name: str
    weights: WeightsNode
    sources: Sources
    codec: Codec
    vocabulary: int
    context: int | None
    is_causal: bool
    facts: dict[str, str | int] = field(default_factory=dict)
    data: Data | None = None

    @property
    def encode(self) -> Callable[[str], list[int]] | None:
        """Text to token ids, without special tokens; None where the tokenizer is missing."""
        return self.codec.encode

    @property
    def decode(self) -> Callable[[Sequence[int]], str] | None:
        """Token ids to text; None where the tokenizer is missing."""
        return self.codec.decode

    @property
    def bos(self) -> int | None:
        """The token that its tokenizer puts before a text; None where it puts none."""
        return self.codec.before[0] if self.codec.before else None

    def prompt(self, text: str) -> tuple[int, ...]:
        """Return the ids of a prompt as its tokenizer gives them: with special tokens before and behind.

        Numbers with commas or blanks between them are ids themselves, if there is no tokenizer.

        Raises:
            SettingsError: if there is no tokenizer, or a token is none of the vocabulary.
        """
        numbers = text.replace(",", " ").split()
        if self.codec.encode is None and numbers and all(each.isdecimal() for each in numbers):
            return self.checked([int(each) for each in numbers])
        return self.checked([*self.codec.before, *self.tokens(text), *self.codec.after])

    def tokens(self, text: str) -> list[int]:
        """Return the ids of a text, without special tokens.

        Raises:
            SettingsError: if there is no tokenizer.
        """
        if self.codec.encode is None:
            raise SettingsError(
                f"{self.name} has no tokenizer ({self.codec.missing}): give prompts as token ids, as '1 15 27', or put "
                "its tokenizer.json beside the weights"
            )
        return self.codec.encode(text)

    def checked(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Return ids that the network knows and that fit into its context.

        Raises:
            SettingsError: if they do not.
        """
        if not ids:
            raise SettingsError("a prompt is empty: give one token at least")
        if wrong := [each for each in ids if not 0 <= each < self.vocabulary]:
            raise SettingsError(f"token {wrong[0]} is none of {self.name}: ids are 0 to {self.vocabulary - 1}")
        if self.context is not None and len(ids) > self.context:
            raise SettingsError(f"a prompt has {len(ids)} tokens; {self.name} sees {self.context} at once: shorten it")
        return tuple(ids)


def load_specimen(
    name: str,
    data: str | None = None,
    folder: Path | None = None,
    *,
    start_from: str | None = None,
    store: Path = Path("lth-store"),
    replicate: int = 0,
    head: str | None = None,
) -> Specimen:
    """Return the network of a name; its weights are not read yet.

    Args:
        name: a folder with config.json, `hub:OWNER/NAME@REVISION`, a GGUF file, the name or ID of a study (its last
            dense network), or an entry of MODELS or `package.module:function` with data and weights.
        data: of a model of lth's, whose facts it asks for; of a study None.
        folder: of data files.
        start_from: of a model of lth's: its weights, as `lth train --start-from` takes them.
        store: where studies are.
        replicate: of a study.
        head: of a model of transformers: entry of HEADS [default: what its config says].
    Raises:
        ValueError: if there is no such network, its files are damaged, or its architecture is unknown.
    """
    path = Path(name).expanduser()
    is_foreign = name.startswith("hub:") or path.is_dir() or path.is_file()
    if is_foreign:
        if data is not None or start_from is not None:
            raise SettingsError(f"{name} has weights of its own: leave out data and --start-from")
        return _foreign(name, weights_place(name) if name.startswith("hub:") else path, head)
    if data is not None or start_from is not None:
        return _ours(name, data, folder, start_from)
    if name.endswith((".gguf", ".safetensors")) or "/" in name:
        raise SettingsError(f"there is no {name}: name {NAMES}")
    if name.partition(":")[0] in MODELS:
        raise SettingsError(f"{name} is a model without weights: give data and --start-from, as `lth train` takes them")
    return _of_study(name, folder, store, replicate)


def _foreign(name: str, path: Path, head: str | None) -> Specimen:
    spec = hugging_face_spec(path, head)
    digest = pretrained_digest(path)
    config = config_of(spec.arguments["config"])
    text = config.get_text_config()
    vocabulary = getattr(text, "vocab_size", None)
    if vocabulary is None:
        raise SettingsError(f"{name} ({config.model_type}) reads no tokens: super weights are those of language models")
    facts: dict[str, str | int] = {
        "architecture": config.model_type,
        "head": spec.arguments["head"],
        "parameters": _parameters(spec),
        "stored": stored_types(path),
        "digest": digest,
    }
    if name.startswith("hub:"):
        facts["revision"] = path.name
    return Specimen(
        name=name,
        weights=Pretrained(spec=spec, digest=digest),
        sources=Sources(weights={digest: path}),
        codec=codec_of(path),
        vocabulary=vocabulary,
        context=getattr(text, "max_position_embeddings", None),
        is_causal=spec.arguments["head"] == "causal-lm" and not sees_later_tokens(config.to_dict()),
        facts=facts,
    )


def _ours(name: str, source: str | None, folder: Path | None, start_from: str | None) -> Specimen:
    if source is None or start_from is None:
        lacking = "--start-from, its weights" if source is not None else "data, whose facts it asks for"
        raise SettingsError(f"{name} needs {lacking}; or name {NAMES}")
    factory, data = resolve_factory(name), load_data(source, folder)
    spec = describe(name, factory, data.facts)
    place = weights_place(start_from)
    digest = pretrained_digest(place)
    check_pretrained(place, skeleton(spec, factory))
    sources = Sources({spec.name: factory}, {data.digest: data}, {}, {digest: place})
    return _of_data(name, Pretrained(spec=spec, digest=digest), sources, data, {"digest": digest})


def _of_study(name: str, folder: Path | None, store: Path, replicate: int) -> Specimen:
    study, settings = settings_of_study(name, store, f"name {NAMES}")
    study_type = STUDIES.pick(study)
    [prepared] = load_studies(study_type, [study_type.settings(**settings)], folder)
    held = Store(store)
    dense = [
        point.job
        for point in prepared.points
        if isinstance(point.job, Trained) and isinstance(point.job.masks, Dense) and point.replicate == replicate
    ]
    finished = [job for job in dense if held.has(job)]
    if not finished:
        raise SettingsError(
            f"the study {prepared.id} has no finished dense network of replicate {replicate}: run it first"
        )
    data = prepared.sources.data[prepared.subject.data.digest]
    facts: dict[str, str | int] = {"study": prepared.id, "replicate": replicate, "weights": finished[-1].key}
    return _of_data(name, finished[-1], prepared.sources, data, facts)


def _of_data(name: str, weights: WeightsNode, sources: Sources, data: Data, facts: dict[str, str | int]) -> Specimen:
    if "vocabulary" not in data.facts:
        raise SettingsError(f"{name}: {data.name!r} is no text, and super weights are those of language models")
    known: dict[str, str | int] = {
        "architecture": weights.model.name,
        "parameters": _parameters(weights.model, sources),
        "stored": "float32",
    }
    return Specimen(
        name=name,
        weights=weights,
        sources=sources,
        codec=codec_of_data(data),
        vocabulary=data.facts["vocabulary"],
        context=data.facts["block"],
        is_causal=True,
        facts=known | facts,
        data=data,
    )


def _parameters(spec: Any, sources: Sources | None = None) -> int:
    module = (sources or Sources()).skeleton(spec)
    return sum(value.numel() for value in module.parameters())
