"""`lth data`: tokens for language models, and where data sets lie."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from lth.cli.help import FILES, description, with_examples
from lth.cli.options import Flag

if TYPE_CHECKING:
    from lth.data.tokens import Progress, TokensDocument

data = App(
    name="data",
    help=with_examples(
        "Make token data of texts, look into it, list data sets.",
        ("lth data prepare tiny-shakespeare shakespeare --tokens char", "lth data show shakespeare", "lth data ls"),
    ),
    group=FILES,
)


CLEAR = "\r\x1b[K"
"""What empties the line that a terminal is in."""


def prepare(
    source: str,
    out: Path,
    /,
    *,
    tokens: str = "gpt2",
    workers: int | None = None,
    validation: float | None = None,
    bpe: Path | None = None,
    folder: Path | None = None,
    quiet: Flag = False,
) -> int:
    """Write a text's tokens as nanoGPT reads them: train.bin and val.bin, and tokens.json, which says what they are.

        lth data prepare tiny-shakespeare shakespeare --tokens char
        lth data prepare ./books books --workers 8
        lth data prepare openwebtext openwebtext

    After an interruption the same command goes on. The bytes are the same for any number of workers. The folder that it
    writes is data for every study: lth find-ticket gpt-char ./shakespeare:block=128.

    Args:
        source: tiny-shakespeare, wikitext-2, openwebtext; a folder of .txt or .parquet files (column text); one such
            file; or hf:OWNER/NAME[:CONFIGURATION][:SPLIT] of the Hugging Face Hub.
        out: folder to write into.
        tokens: char (a token per character) or gpt2 (byte pairs).
        workers: processes [default: one a core].
        validation: share that is held out [default: 0.1 of the characters of one text, 0.0005 of many documents].
        bpe: folder of GPT-2's encoder.json [default: looked for as the data sets are, and downloaded].
        folder: where data sets are kept, and downloaded to.
        quiet: no progress.
    """
    from lth.data.tokens import prepare_tokens
    from lth.data.tokens.document import FILE

    is_shown, was_there = sys.stderr.isatty() and not quiet, (out / FILE).exists()
    try:
        document = prepare_tokens(
            source,
            out,
            tokens,
            folder=folder,
            bpe=bpe,
            validation=validation,
            workers=workers,
            progress=_show_progress if is_shown else None,
        )
    except KeyboardInterrupt:
        said = f"interrupted. Finished pieces are kept in {out / 'incoming'}; the same command goes on from there"
        print(f"{CLEAR if is_shown else ''}lth: {said}", file=sys.stderr)
        return 130
    finally:
        if is_shown:
            _line("")
    _print(out, document)
    if was_there:
        print(
            "Kept       as it was: the source has the name and the sizes of files that tokens.json notes; their content"
            f" was not compared (remove {out} to prepare it anew)"
        )
    return 0


def show(folder: Path, /, *, json_: Flag = False) -> int:
    """Show what a folder of tokens holds, and check every byte of it.

    Args:
        folder: a folder with train.bin and val.bin, of lth or nanoGPT.
        json_: print JSON.
    """
    from lth.data.tokens.folder import check_content, open_folder

    opened = open_folder(folder)
    if opened.document is not None:
        check_content(folder, opened.document)
    if json_:
        parts = {part: {"tokens": len(ids), "sha256": opened.digests[part]} for part, ids in opened.ids.items()}
        bare = {"parts": parts, "tokenizer": {"vocabulary": opened.vocabulary}}
        print(json.dumps(bare if opened.document is None else opened.document.model_dump(exclude_none=True), indent=1))
    elif opened.document is None:
        print(f"Tokens     {folder}, with no tokens.json: what they stand for is not known")
        print(f"Vocabulary {opened.vocabulary:,} (by the largest token)")
        for part, ids in opened.ids.items():
            print(f"  {part:6} {len(ids):>15,} tokens   sha256 {opened.digests[part][:16]}")
    else:
        _print(folder, opened.document)
        print("Checked    every file has the size and the checksum that tokens.json notes")
    return 0


def ls(*, folder: Path | None = None, json_: Flag = False) -> int:
    """List the data sets by name, what a name is good for, and where each lies on this machine.

    Args:
        folder: where data sets are kept [default: LTH_DATA_DIR, then the user's cache].
        json_: print JSON.
    """
    from lth.data.catalogue import catalogue

    rows = [{"name": each.name, "use": list(each.use), "where": each.where} for each in catalogue(folder)]
    if json_:
        print(json.dumps(rows, indent=1))
        return 0
    print(f"{'NAME':17} {'USE':15} WHERE")
    for row in rows:
        print(f"{row['name']:17} {', '.join(row['use']):15} {row['where']}")
    return 0


def _print(folder: Path, document: "TokensDocument") -> None:
    tokenizer = document.tokenizer
    print(f"Tokens     {folder}, {tokenizer.name} of {document.source.get('name')}")
    print(f"Vocabulary {tokenizer.vocabulary:,}")
    print(f"Split      {document.split}")
    for part, noted in document.parts.items():
        documents = f"   {noted.documents:,} documents" if noted.documents else ""
        ratio = noted.bytes / noted.tokens
        print(f"  {part:6} {noted.tokens:>15,} tokens   {ratio:.3f} bytes of text a token{documents}")


def _show_progress(progress: "Progress") -> None:
    from lth.analysis.numbers import duration

    left = "" if progress.seconds_left is None else f"   {duration(progress.seconds_left)} left"
    tokens = f"   {progress.tokens:,} tokens" if progress.tokens else ""
    _line(f"{progress.doing}   {100 * progress.share:.0f} %{tokens}{left}")


def _line(text: str) -> None:
    print(f"{CLEAR}{text}", end="", file=sys.stderr, flush=True)


COMMANDS: tuple[Callable[..., int], ...] = (prepare, show, ls)
for _command in COMMANDS:
    data.command(_command, help=description(_command))
