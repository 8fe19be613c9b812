"""`lth superweights`: single weights that a language model needs, found and tested."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lth.cli.errors import CommandError, UsageError, settings_as_usage
from lth.cli.options import Flag, Several
from lth.cli.study import stopped

if TYPE_CHECKING:
    from lth.launch.superweights import SuperWeights
    from lth.lineage import Execution
    from lth.superweights.coordinates import Coordinate


def superweights(
    model: str,
    data: str | None = None,
    folder: Path | None = None,
    /,
    *,
    text: str | None = None,
    protocol: str | None = None,
    tokens: int | None = None,
    bos: Flag = False,
    join: Literal["file", "rows"] = "file",
    find_only: Flag = False,
    prompt: Several = None,
    tokens_prompt: Several = None,
    coordinates: Several = None,
    verify: Flag = False,
    most: int = 12,
    memory: Flag = False,
    start_from: str | None = None,
    head: str | None = None,
    replicate: int = 0,
    precision: str = "float32",
    offload: Path | None = None,
    seed: int = 0,
    store: Path = Path("lth-store"),
    out: Path | None = None,
    workers: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    quiet: Flag = False,
    json_: Flag = False,
) -> int:
    """Find the super weights of a language model, single weights whose removal ruins it, and test that they are.

        lth superweights ./SmolLM2.gguf --text wikitext-2 --tokens 20480
        lth superweights ./model --text test.txt --protocol sliding:2048:512 --bos
        lth superweights hub:OWNER/NAME@REVISION --find-only
        lth superweights gpt-char tiny-shakespeare --start-from ./weights
        lth superweights ./model --text test.txt --coordinates 2,447,666
        lth superweights ./model --memory   # what it takes, before it is loaded

    A spike in one forward pass makes a candidate. Each candidate is zeroed;
    what does harm is tested beside its row, its neuron and controls: random
    weights, the largest others, whole rows.

    What the store already holds is not done again; after an interruption the same command goes on.

    Args:
        model: a folder with config.json, hub:OWNER/NAME@REVISION, FILE.gguf, a model of lth (with data and
            --start-from), or the name or ID of a study, whose last dense network is taken; MODEL=FOLDER where the name
            of a folder does not say which published model it is, as gpt2=./weights.
        data: of a model of lth; its test part is the text, unless --text names one.
        folder: folder of data files.
        text: what perplexity is measured on: a file, or wikitext-2 (its raw test part); token ids where the model has
            no tokenizer.
        protocol: blocks:512, sliding:2048:512 or lines:512x100 [default: blocks of 512 tokens, or of the context].
        tokens: only so many of the text's first tokens; 0 takes all [default: 20,480, or all that --protocol says where
            it is given].
        bos: put the BOS token before each block.
        join: file, the text as it stands; rows, its lines joined by two newlines, as most published numbers have it.
        find_only: look, and measure nothing.
        prompt: that is looked at, in place of the usual three; may be given several times.
        tokens_prompt: a prompt as token ids, as 1,15,27; may be given several times.
        coordinates: block,output,input of a weight to test, whether it spikes or not; may be given several times.
        verify: test the published coordinates of this model.
        most: candidates that are tested, the likeliest first.
        memory: show what the model takes in memory; nothing is loaded.
        start_from: weights of a model of lth: a file or folder.
        head: causal-lm, masked-lm, encoder [default: what its config says].
        replicate: of a study.
        precision: of the weights: float32, bfloat16, float16.
        offload: folder for a model larger than memory: one block at a time is read from there.
        seed: of the order of shuffled lines.
        store: folder of results.
        out: folder of the page [default: lth-reports/superweights-MODEL-ID].
        workers: one-thread worker processes [default: one per core]; 0 runs in this process.
        device: where the model runs.
        quiet: show no progress.
        json_: print the document, nothing else.
    """
    _check(find_only, text=text, protocol=protocol, tokens=tokens, most=most)
    with settings_as_usage():
        if memory:
            return _show_memory(model, precision, protocol, head)
        from lth.launch.passages import protocol_for
        from lth.launch.specimen import load_specimen
        from lth.launch.superweights import run_super_weights
        from lth.launch.superweights_progress import steps_observer
        from lth.launch.superweights_wanted import WantedSearch, published
        from lth.lineage import Store
        from lth.superweights.known import model_of, place_of
        from lth.training import Interrupted

        specimen = load_specimen(
            place_of(model), data, folder, start_from=start_from, store=store, replicate=replicate, head=head
        )
        is_proved = not find_only and (specimen.is_causal or text is not None or protocol is not None)
        wanted = WantedSearch(
            prompts=tuple(prompt or ()),
            token_prompts=tuple(_ids(each) for each in tokens_prompt or ()),
            coordinates=(*_coordinates(coordinates or ()), *(published(model) if verify else ())),
            most=most,
            text=text,
            protocol=(
                protocol_for(specimen, protocol, tokens=tokens, bos=bos, join=join, seed=seed) if is_proved else None
            ),
            precision=precision,
            registered=model_of(model),
        )
        observer = None if quiet or json_ else steps_observer()
        execution = _execution(device, workers, offload)
        try:
            result = run_super_weights(specimen, wanted, Store(store), execution, observer, out, folder)
        except Interrupted:
            return stopped(store)
    if json_:
        print(json.dumps(result.document, indent=1, allow_nan=False))
    else:
        _print(result)
    return 0


def _show_memory(model: str, precision: str, protocol: str | None, head: str | None) -> int:
    from lth.launch.memory import memory_of
    from lth.superweights.known import place_of

    for name, value in memory_of(place_of(model), precision, protocol, head).rows():
        print(f"{name:32} {value}")
    return 0


def _check(find_only: bool, *, text: str | None, protocol: str | None, tokens: int | None, most: int) -> None:
    given = [name for name, value in (("--text", text), ("--protocol", protocol)) if value is not None]
    if find_only and given:
        raise UsageError(f"--find-only measures nothing: leave out {' and '.join(given)}, or --find-only")
    if tokens is not None and tokens < 0:
        raise UsageError(f"--tokens {tokens}: give how many of the text's first tokens are read, or 0 for all")
    if most < 1:
        raise UsageError(f"--most {most}: 1 candidate at least is tested; to look only, --find-only")


def _ids(text: str) -> tuple[int, ...]:
    parts = text.replace(",", " ").split()
    if not parts or not all(part.isdecimal() for part in parts):
        raise UsageError(f"--tokens-prompt {text!r} is no list of token ids: write it as 1,15,27")
    return tuple(map(int, parts))


def _coordinates(texts: Sequence[str]) -> "list[Coordinate]":
    from lth.superweights.coordinates import Coordinate

    try:
        return [Coordinate.parse(text) for text in texts]
    except ValueError as error:
        raise UsageError(f"--coordinates: {error}") from error


def _execution(device: str, workers: int | None, offload: Path | None) -> "Execution":
    import torch

    from lth.lineage import Execution

    if device == "cuda" and not torch.cuda.is_available():
        raise CommandError("--device cuda: PyTorch sees no GPU here. Leave the option out, or see `lth doctor`")
    if workers is not None and workers < 0:
        raise UsageError(f"--workers {workers}: 0 runs in this process, 1 or more are worker processes")
    usual = Execution(device=device, offload=offload)
    return usual if workers is None else replace(usual, workers=workers)


def _print(found: "SuperWeights") -> None:
    """Print the verdict, the candidates, published coordinates, and where the page lies."""
    from lth.analysis.super_weights_words import amount
    from lth.launch.superweights_words import candidate_lines, known_lines
    from lth.launch.words import for_terminal

    document = found.document
    print(document["verdict"]["title"])
    for sentence in document["verdict"]["sentences"]:
        print(for_terminal(sentence, sys.stdout))
    for lines in (candidate_lines(document), known_lines(document)):
        if lines:
            print("", *lines, sep="\n")
    if (protocol := document["protocol"]) is not None:
        base = amount(document["interventions"][0]["perplexity"]["value"])
        print(f"\nPerplexity {base}: {for_terminal(protocol['words'], sys.stdout)}")
    for note in document["notes"]:
        print(for_terminal(note, sys.stdout))
    print(f"\nReport     {found.report}\nResults    {found.folder / 'superweights.json'}")
