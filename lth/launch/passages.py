"""The text that perplexity is measured on, from its name."""

import hashlib
from pathlib import Path

import numpy as np

from lth.config import SettingsError, check_choice
from lth.data import Windows
from lth.data.tokens.sources import locate_wikitext
from lth.launch.specimen import Specimen
from lth.superweights.protocol import Protocol
from lth.superweights.texts import Passage, passage

WIKITEXT = "wikitext-2"

TOKENS = 20_480
"""So many of a text's first tokens are scored where no protocol is named."""


def protocol_for(
    specimen: Specimen, name: str | None, *, tokens: int | None, bos: bool = False, join: str = "file", seed: int = 0
) -> Protocol:
    """Return the protocol of a name; without one blocks of 512 tokens, or of the model's context if that is shorter.

    Args:
        specimen: the model.
        name: as `Protocol.parse` takes it; None leaves it to the default.
        tokens: only so many of the text's first tokens; 0 takes all, None TOKENS of the default protocol, and all that
            a named one says.
        bos: whether the BOS token stands before each block.
        join: `file` or `rows`.
        seed: of shuffled lines.
    """
    usual = f"blocks:{min(512, specimen.context or 512)}"
    cut = TOKENS if tokens is None and name is None else tokens or None
    check_choice("join", join, ("file", "rows"))
    return Protocol.parse(name or usual, tokens=cut, bos=bos, join=join, seed=seed)


def passage_of(specimen: Specimen, text: str | None, protocol: Protocol, folder: Path | None = None) -> Passage:
    """Return a text under a protocol, in the tokens of a model.

    Args:
        specimen: the model.
        text: a file; `wikitext-2`, whose raw test part is taken; None takes the test part of the model's own data. For
            a model without tokenizer a file holds token ids, with blanks or commas between them.
        protocol: which tokens are scored.
        folder: of data files.
    Raises:
        SettingsError: if there is no such text, or it does not fit the protocol or the model.
    """
    if not specimen.is_causal:
        raise SettingsError(
            f"{specimen.name} is no causal language model ({specimen.facts.get('head', 'no head')}): it predicts no "
            "next token, so that it has no perplexity. Its weights can be found, not proved: --find-only"
        )
    if specimen.context is not None and protocol.context > specimen.context:
        raise SettingsError(
            f"protocol {protocol.name}: {specimen.name} sees {specimen.context:,} tokens at once, no more"
        )
    name, digest, ids = _of_data(specimen, protocol) if text is None else _of_file(specimen, text, protocol, folder)
    return passage(
        name,
        ids,
        protocol,
        vocabulary=specimen.vocabulary,
        text_digest=digest,
        bos=specimen.bos,
        decode=specimen.decode,
    )


def _of_file(
    specimen: Specimen, text: str, protocol: Protocol, folder: Path | None
) -> tuple[str, str, "np.ndarray[tuple[int], np.dtype[np.int64]]"]:
    path = _place(text, folder)
    try:
        raw = path.read_bytes()
        content = raw.decode("utf-8")
    except OSError as error:
        raise SettingsError(
            f"cannot read the text {text}: {error.strerror}. Name a file, or {WIKITEXT} (its raw test part)"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"the text {text} is not UTF-8 ({error.reason} at byte {error.start})") from error
    name = "/".join(path.parts[-2:])
    digest = hashlib.sha256(raw).hexdigest()
    if specimen.encode is not None:
        return name, digest, protocol.ids(content, specimen.encode)
    numbers = content.replace(",", " ").split()
    if not numbers or not all(each.isdecimal() for each in numbers):
        raise SettingsError(
            f"{specimen.name} has no tokenizer ({specimen.codec.missing}): give a text of token ids, as 1 15 27, or "
            "put its tokenizer.json beside the weights"
        )
    if protocol.kind == "lines":
        raise SettingsError("protocol lines shuffles lines of text; this one is token ids: choose blocks or sliding")
    return name, digest, np.asarray([int(each) for each in numbers], dtype=np.int64)[: protocol.tokens]


def _place(text: str, folder: Path | None) -> Path:
    if text != WIKITEXT or Path(text).is_file():
        return Path(text).expanduser()
    tests = [path for path, part in locate_wikitext(folder).items() if part == "test"]
    if not tests:
        raise SettingsError(
            f"the raw test part of {WIKITEXT} is not at hand: put wiki.test.raw into FOLDER/{WIKITEXT}-raw, and name "
            "FOLDER behind the data, or with LTH_DATA_DIR; or name a file"
        )
    return tests[0]


def _of_data(specimen: Specimen, protocol: Protocol) -> tuple[str, str, "np.ndarray[tuple[int], np.dtype[np.int64]]"]:
    if specimen.data is None:
        raise SettingsError(
            f"no text to measure {specimen.name} on: name one with --text (a file, or {WIKITEXT}), or look only, with "
            "--find-only"
        )
    examples = specimen.data.parts["test"]
    if not isinstance(examples, Windows) or protocol.kind == "lines":
        raise SettingsError(f"{specimen.data.name} has no stream of tokens to cut by {protocol.name}: give --text")
    ids = np.asarray(examples.tokens[: protocol.tokens], dtype=np.int64)
    return f"{specimen.data.name}, test part", examples.digest, ids
