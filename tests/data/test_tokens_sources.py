"""What tokens are made from: files, folders, Parquet, data sets of the Hub."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lth.data import prepare_tokens, tokenizer_of
from lth.data.tokens import Cutting, source_of
from lth.data.tokens.texts import count_characters, cut, offset_of

TEXTS = [f"Text {number}, äöü." for number in range(60)]


def texts_of(place: str, cutting: Cutting | None = None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for shard in source_of(place, cutting=cutting).shards:
        for each in shard.texts():
            assert each.ends
            found.setdefault(each.part, []).append(each.text)
    return found


def write_parquet(path: Path, texts: list[Any], column: str = "text") -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import table
    from pyarrow.parquet import write_table

    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(table({"id": list(range(len(texts))), column: texts}), path, row_group_size=7)


def test_a_text_is_cut_by_its_characters(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    text = "äö€🙂a b" * 100
    path.write_text(text)
    assert count_characters(path) == len(text)
    for place in (0, 1, 3, 4, 355, len(text), len(text) + 9):
        assert offset_of(path, place) == len(text[:place].encode())


def test_cuts_stand_before_blanks(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    content = b"ab cd  \n ef " + b"x" * 200_000 + b" y\xc3\xa4 z"
    path.write_bytes(content)
    cuts = cut(path, 0, len(content), 1)
    assert cuts[:4] == [0, 2, 5, 11]
    assert (cuts[0], cuts[-1], cuts) == (0, len(content), sorted(set(cuts)))
    for place in cuts[1:-1]:
        assert content[place - 1 : place].strip()
        assert content[place : place + 1] in (b" ", b"\n")
    assert cut(path, 20, 2000, 100) == [20, 2000]


def test_folders_of_parquet(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data" / "b.parquet", TEXTS[:25])
    write_parquet(tmp_path / "data" / "c" / "d.parquet", TEXTS[25:59])
    (tmp_path / "data" / "a.txt").write_text(TEXTS[59])
    found = texts_of(str(tmp_path / "data"), Cutting(validation=0.2))
    assert len(found["val"]) == 12
    ordered = [TEXTS[59], *TEXTS[:59]]
    assert found["train"] == [each for each in ordered if each not in found["val"]]
    assert sorted(found["train"] + found["val"]) == sorted(TEXTS)
    assert texts_of(str(tmp_path / "data" / "b.parquet"))["train"] == [
        each for each in TEXTS[:25] if each not in texts_of(str(tmp_path / "data" / "b.parquet"))["val"]
    ]


def test_parquet_that_cannot_be(tmp_path: Path) -> None:
    write_parquet(tmp_path / "other.parquet", TEXTS, column="content")
    with pytest.raises(ValueError, match=r"other\.parquet has the columns id, content; a column text is needed"):
        source_of(str(tmp_path / "other.parquet"))
    write_parquet(tmp_path / "holes.parquet", [*TEXTS[:3], None])
    with pytest.raises(ValueError, match="has a NoneType in the column text"):
        texts_of(str(tmp_path / "holes.parquet"))
    (tmp_path / "half.parquet").write_bytes((tmp_path / "other.parquet").read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"half\.parquet is no whole Parquet file"):
        source_of(str(tmp_path / "half.parquet"))
    write_parquet(tmp_path / "one.parquet", TEXTS[:1])
    with pytest.raises(ValueError, match=r"one\.parquet has 1 documents: two are needed"):
        source_of(str(tmp_path / "one.parquet"))


def test_own_parts(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_text(f"{part} text")
    document = prepare_tokens(str(tmp_path), tmp_path / "out", "char")
    for part, text in (("train", "train text"), ("val", "valid text"), ("test", "test text")):
        content = (tmp_path / "out" / f"{part}.bin").read_bytes()
        assert (document.parts[part].tokens, len(content)) == (len(text), 2 * len(text))
    assert document.split == "the source's own parts"
    with pytest.raises(ValueError, match="has a validation part of its own: leave --validation out"):
        source_of(str(tmp_path), cutting=Cutting(validation=0.5))
    (tmp_path / "notes.txt").write_text("more")
    with pytest.raises(ValueError, match=r"and notes\.txt, which is none of these parts"):
        source_of(str(tmp_path))
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "valid.txt").unlink()
    with pytest.raises(ValueError, match=r"has test\.txt, train\.txt, but no valid\.txt"):
        source_of(str(tmp_path))


def test_wikitext(real_data_dir: Path, tmp_path: Path) -> None:
    if not (real_data_dir / "wikitext-2-raw" / "test.txt").is_file():
        pytest.skip(f"no real data: {real_data_dir}/wikitext-2-raw is absent")
    text = (real_data_dir / "wikitext-2-raw" / "test.txt").read_bytes()
    (tmp_path / "wikitext-2-raw").mkdir()
    (tmp_path / "wikitext-2-raw" / "wiki.test.raw").write_bytes(text)
    with pytest.raises(ValueError, match=r"wikitext-2 is not at hand \(.*wikitext-2-raw has wiki\.test\.raw only\)"):
        source_of("wikitext-2", tmp_path)
    for part in ("train", "valid"):
        (tmp_path / "wikitext-2-raw" / f"wiki.{part}.raw").write_bytes(text[:200_000])
    document = prepare_tokens("wikitext-2", tmp_path / "out", "char", folder=tmp_path)
    assert document.parts["test"].tokens == len(text.decode())
    with pytest.raises(ValueError, match="wikitext-2 is not at hand: put wiki"):
        source_of("wikitext-2", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("tiny-shakespear", r"unknown text 'tiny-shakespear'\. Did you mean 'tiny-shakespeare'\? Choices: .*hf:OWNER"),
        ("hf:nobody", "'hf:nobody' is no data set of the Hub: write hf:OWNER/NAME"),
        ("hf:a/b:c:d:train", "is no data set of the Hub"),
        ("hf:a/b:", "is no data set of the Hub"),
    ],
)
def test_what_is_no_source(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        source_of(source)


def test_what_has_too_little_text(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no \.txt, \.raw, \.parquet files"):
        source_of(str(tmp_path))
    for content in ("", "a"):
        (tmp_path / "small.txt").write_text(content)
        with pytest.raises(ValueError, match=r"small\.txt has [01] characters: too few"):
            source_of(str(tmp_path / "small.txt"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which `OWNER/NAME` are data sets, as `datasets` itself looks there before it asks the Hub."""
    pytest.importorskip("datasets")
    import datasets

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    return tmp_path


def test_the_hub_as_nanogpt_splits_it(hub: Path) -> None:
    import datasets

    texts = [f"Text {number}" for number in range(3000)]
    write_parquet(hub / "Skylion007" / "openwebtext" / "train.parquet", texts)
    theirs = datasets.load_dataset("Skylion007/openwebtext")["train"]
    theirs = theirs.train_test_split(test_size=0.0005, seed=2357, shuffle=True)
    assert texts_of("openwebtext") == {"train": theirs["train"]["text"][:], "val": theirs["test"]["text"][:]}
    source = pickle.loads(pickle.dumps(source_of("openwebtext")))  # as worker processes get it
    document = prepare_tokens(source, hub / "out", "char", workers=1)
    assert document.source["rows"] == {"train": 2998, "val": 2}
    ids = np.fromfile(hub / "out" / "train.bin", dtype="<u2")
    assert tokenizer_of(hub / "out").decode(ids).split("\n")[:-1] == theirs["train"]["text"][:]


def test_the_hubs_own_parts(hub: Path) -> None:
    for part, some in (("train", TEXTS[:40]), ("validation", TEXTS[40:55]), ("test", TEXTS[55:])):
        write_parquet(hub / "some" / "body" / f"{part}.parquet", some)
    assert texts_of("hf:some/body") == {"train": TEXTS[:40], "val": TEXTS[40:55], "test": TEXTS[55:]}
    found = texts_of("hf:some/body:test", Cutting(validation=0.2))
    assert (len(found["val"]), sorted(found["train"] + found["val"])) == (1, TEXTS[55:])
    with pytest.raises(ValueError, match="has a validation part of its own"):
        source_of("hf:some/body", cutting=Cutting(validation=0.2))
    write_parquet(hub / "no" / "text" / "train.parquet", TEXTS, column="content")
    with pytest.raises(ValueError, match=r"hf:no/text \(train\) has the columns id, content; text is needed"):
        source_of("hf:no/text")
    with pytest.raises(ValueError, match=r"hf:some/thing cannot be had through datasets \(.*check name and network"):
        source_of("hf:some/thing")


def test_without_its_packages_one_line_says_so(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", TEXTS)
    for missing, source, wanted in (
        ("datasets", "hf:some/body", "hf:some/body needs the package datasets: pip install 'lth[hub]'"),
        ("pyarrow", str(tmp_path / "a.parquet"), "Parquet files need the package pyarrow: pip install 'lth[hub]'"),
    ):
        code = (
            f"import sys; sys.modules[{missing!r}] = None\nfrom lth.data.tokens import source_of\n"
            f"try:\n    source_of({source!r})\nexcept ValueError as error:\n    print(error)"
        )
        shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=200)
        assert shown.stdout.strip() == wanted
