"""`lth prune`: a language model made sparse at once, without training."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lth.cli.errors import UsageError, settings_as_usage
from lth.cli.options import Flag, Several

if TYPE_CHECKING:
    from lth.superweights.coordinates import Coordinate


def prune(
    model: str,
    data: str | None = None,
    folder: Path | None = None,
    /,
    *,
    method: str = "wanda",
    sparsity: float = 0.5,
    pattern: str | None = None,
    scope: str = "layerwise",
    calibrate: str | None = None,
    sequences: int = 128,
    length: int | None = None,
    protect: Several = None,
    text: str | None = None,
    protocol: str | None = None,
    tokens: int | None = None,
    bos: Flag = False,
    join: Literal["file", "rows"] = "file",
    out: Path | None = None,
    start_from: str | None = None,
    replicate: int = 0,
    seed: int = 0,
    store: Path = Path("lth-store"),
    quiet: Flag = False,
    json_: Flag = False,
) -> int:
    """Prune a language model at once, without training, and measure its perplexity before and after.

        lth prune ./model --calibrate train.txt --text wikitext-2 --out sparse
        lth prune ./model --method magnitude --text test.txt --protocol blocks:512
        lth prune ./model --pattern 2:4 --calibrate train.txt --protect 11,507,1229
        lth prune gpt-char tiny-shakespeare --start-from ./weights --scope owl

    The linear matrices of the blocks are pruned, each to the same share; embeddings and head stay. Blocks are scored
    one after the other, on what the pruned ones before them give. Numbers: docs/superweights_prune.md.

    Args:
        model: a folder with config.json, hub:OWNER/NAME@REVISION, FILE.gguf, a model of lth (with data and
            --start-from), or the name or ID of a study, whose last dense network is taken.
        data: of a model of lth; its parts are calibration and text, unless --calibrate and --text name others.
        folder: folder of data files.
        method: magnitude, wanda (times the norm of the inputs, a rank within each output), ria (relative importance).
        sparsity: share of each matrix that goes.
        pattern: N:M, keep N of every M weights of an output, as 2:4; the sparsity follows from it.
        scope: layerwise, or owl: matrices with more outliers lose less.
        calibrate: text that wanda, ria and owl look at: a file, or wikitext-2.
        sequences: how many blocks of it are drawn.
        length: tokens of each [default: 2048, or the model's context].
        protect: block,output,input of a weight that stays; may be given several times; super: those that `lth
            superweights` finds by looking.
        text: what perplexity is measured on: a file, or wikitext-2 (its raw test part).
        protocol: blocks:512, sliding:2048:512 or lines:512x100 [default: blocks of 512 tokens, or of the context].
        tokens: only so many of the text's first tokens; 0 takes all [default: 20,480, or all that --protocol says where
            it is given].
        bos: put the BOS token before each block.
        join: file, the text as it stands; rows, its lines joined by two newlines, as most published numbers have it.
        out: a new folder: the model as transformers loads it, and prune.json.
        start_from: weights of a model of lth: a file or folder.
        replicate: of a study.
        seed: of the draw of sequences, and of shuffled lines.
        store: folder of results, for a study.
        quiet: show no progress.
        json_: print the document, nothing else.
    """
    _check(sparsity=sparsity, sequences=sequences, length=length)
    with settings_as_usage():
        from lth.launch.passages import protocol_for
        from lth.launch.prune import WantedPruning, prune_model
        from lth.launch.prune_calibration import Calibration
        from lth.launch.specimen import load_specimen
        from lth.lineage import Store

        wanted = WantedPruning(
            method=method,
            sparsity=sparsity,
            pattern=pattern,
            scope=scope,
            calibration=Calibration(calibrate, sequences, length, seed),
            protect=_protected(protect or ()),
            text=text,
        )
        _ = wanted.pruning  # what does not go together is said before a model is loaded
        if wanted.needs_examples and calibrate is None and data is None and Path(model).expanduser().exists():
            what = "--scope owl" if scope == "owl" else f"--method {method}"
            raise UsageError(f"{what} looks at activations: name a text with --calibrate")
        specimen = load_specimen(model, data, folder, start_from=start_from, store=store, replicate=replicate)
        wanted = wanted.measured_by(protocol_for(specimen, protocol, tokens=tokens, bos=bos, join=join, seed=seed))
        say = _silent if quiet or json_ else _say
        pruned = prune_model(specimen, wanted, Store(store), out, folder, say)
    print(json.dumps(pruned.document, indent=1, allow_nan=False) if json_ else _text(pruned.document, out))
    return 0


def _check(*, sparsity: float, sequences: int, length: int | None) -> None:
    if not 0 < sparsity < 1:
        raise UsageError(f"--sparsity {sparsity:g}: the share that goes lies between 0 and 1, as 0.5")
    if sequences < 1 or (length is not None and length < 2):
        raise UsageError("--sequences is 1 or more, --length 2 or more")


def _protected(texts: list[str] | tuple[str, ...]) -> "tuple[Coordinate, ...] | str":
    from lth.superweights.coordinates import Coordinate

    named = [text for text in texts if text != "none"]
    if "super" in named:
        if len(named) > 1:
            raise UsageError("--protect super names all that are found: leave the others out")
        return "super"
    try:
        return tuple(map(Coordinate.parse, named))
    except ValueError as error:
        raise UsageError(f"--protect: {error}") from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _silent(text: str) -> None:
    pass


def _text(document: dict[str, Any], out: Path | None) -> str:
    sparsity, densities = document["sparsity"], document["density"]
    shape = document["pattern"] or document["scope"]
    lines = [
        f"{document['model']['name']}: {100 * sparsity['reached']:.2f} % of {sparsity['weights']:,} weights are zero "
        f"({document['method']}, {shape}); {len(densities)} matrices keep {100 * min(densities.values()):.2f} to "
        f"{100 * max(densities.values()):.2f} %"
    ]
    if document["protected"]:
        lines.append(f"Protected   {'; '.join(document['protected'])}")
    if found := document["calibration"]:
        lines.append(
            f"Calibrated  {found['sequences']} sequences of {found['length']} tokens of {found['text']}, seed "
            f"{found['seed']}"
        )
        if found["is_the_text_that_is_measured"]:
            lines.append("            on the text that is measured: the perplexity after is too good")
    if document["after"] is not None:
        lines.append(f"Text        {document['words']}")
        for name in document["after"]:
            first, second = (_number(document[when][name]) for when in ("before", "after"))
            lines.append(f"{name.replace('_', ' '):11} {first} before, {second} after")
    if out is not None:
        lines.append(f"Wrote       {out}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4f}"
