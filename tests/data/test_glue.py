"""GLUE's files as distributed, and as the hub has them."""

from pathlib import Path

import pytest
import torch
from glue_files import FIRST, FOLDERS, LABELS, SECOND, write_glue

from lth.data import Data, Sentences, load_data, tokenised
from lth.data.catalogue import catalogue
from lth.data.glue import GLUE
from lth.tasks import TASKS

PAIRS = set(FOLDERS) - {"cola", "sst2"}


def part(data: Data, name: str = "train") -> Sentences:
    found = data.parts[name]
    assert isinstance(found, Sentences)
    return found


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_all_tasks(name: str, end: str, tmp_path: Path) -> None:
    write_glue(tmp_path, name, end)
    data = load_data(f"glue/{name}", tmp_path)
    assert {each: len(some) for each, some in data.parts.items()} == {
        "train": 6, "test": 3, **({"test_mismatched": 4} if name == "mnli" else {}),
    }  # fmt: skip
    train = part(data)
    last = f"5 {SECOND}" if name not in PAIRS else SECOND
    assert train.first == tuple(f"{row} {FIRST}" for row in range(6))
    assert train.second == ((SECOND,) * 6 if name in PAIRS else None), last
    if name == "stsb":
        assert data.task == "sequence-regression"
        assert train.y.tolist() == [[0.0], [2.5], [5.0]] * 2
        assert data.facts["num_targets"] == 1
    else:
        assert data.task == "sequence-classification"
        classes = len(LABELS.get(name, "01"))
        assert train.y.tolist() == [row % classes for row in range(6)]
        assert data.facts["num_classes"] == classes
        task = TASKS[data.task](classes, measures=data.facts["measures"])
        assert [metric.name for metric in task.metrics][:-1] == list(GLUE[name].measures)
    where = {entry.name: entry.where for entry in catalogue(tmp_path)}
    assert where[f"glue/{name}"] == str(tmp_path / "glue" / FOLDERS[name])
    assert where["glue/" + ("rte" if name == "cola" else "cola")] == "not here"


def test_other_numbers_of_rows_are_said(tmp_path: Path) -> None:
    write_glue(tmp_path, "wnli", rows=635)
    with pytest.warns(UserWarning, match=r"not GLUE's split: 635 in place of 635 \(train\) and 3 in place of 71"):
        data = load_data("glue/wnli", tmp_path)
    assert "do not compare" in data.facts["note"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sst2", b"sentence\tgrade\na\t1\n", r"has no column 'label'; it has sentence, grade"),
        ("sst2", b"sentence\tlabel\na\t1\nb\t2\n", r"train.tsv, line 3: '2' is no label of this task; allowed: 0, 1"),
        ("sst2", b"sentence\tlabel\na\t1\nb\n", r"line 3: found 1 columns; 2 are wanted"),
        ("sst2", b"sentence\tlabel\na\tb\t1\n", r"line 2: found 3 columns; 2 are wanted"),
        ("sst2", b"", r"train.tsv is empty"),
        ("sst2", b"sentence\tlabel\n", r"train.tsv has no examples"),
        ("sst2", b"sentence\tlabel\na\t1\nb\xe9c\t1\n", r"line 3: byte 0xe9 is no UTF-8"),
        ("cola", b"gj04\t1\t\n", r"line 1: found 3 columns; 4 are wanted"),
        ("stsb", None, r"line 2: '5.5' is no score of this task; allowed: numbers from 0 to 5"),
        ("qqp", b"id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n" + 11 * b"1\t2\n", "11 lines have too few"),
    ],
)
def test_what_is_no_file_of_glue(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    file = write_glue(tmp_path, name) / "train.tsv"
    file.write_bytes(file.read_bytes().replace(b"\t0.0\n", b"\t5.5\n") if content is None else content)
    with pytest.raises(ValueError, match=message):
        load_data(f"glue/{name}", tmp_path)


def test_missing_files_and_a_wrong_length(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"put train.tsv, dev_matched.tsv and dev_mismatched.tsv of GLUE into .*MNLI"):
        load_data("glue/mnli", tmp_path)
    with pytest.raises(ValueError, match="length is 1; an example has two special tokens"):
        load_data("glue/mnli:length=1", tmp_path)


def test_cut_lines_of_qqp_are_left_out_with_a_warning(tmp_path: Path) -> None:
    file = write_glue(tmp_path, "qqp") / "train.tsv"
    file.write_bytes(file.read_bytes() + b"1\t2\t3\tnothing more\n")
    with pytest.warns(UserWarning, match="left out lines with too few columns: 8"):
        assert len(load_data("glue/qqp", tmp_path).parts["train"]) == 6


@pytest.mark.parametrize("name", ["sst2", "mrpc", "mnli", "stsb", "rte"])
def test_parquet_files_of_the_hub_give_the_same(name: str, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    place = write_glue(tmp_path / "tsv", name)
    wanted = load_data(f"glue/{name}", tmp_path / "tsv")
    folder = tmp_path / "hub" / "glue" / name
    folder.mkdir(parents=True)
    task = GLUE[name]
    columns = [task.renamed.get(column, column) for column in task.columns]
    splits = {"train": "train", "test": "validation", "test_mismatched": "validation_mismatched"}
    if name == "mnli":
        splits["test"] = "validation_matched"
    for each in wanted.parts:
        texts = part(wanted, each)
        values = dict(zip(columns, (list(texts.first), list(texts.second or ())), strict=False))
        table = pa.table(values | {"label": texts.y.flatten().tolist()})
        parquet.write_table(table, folder / f"{splits[each]}-00000-of-00001.parquet")
    found = load_data(f"glue/{name}", tmp_path / "hub")
    assert found.digest == wanted.digest
    assert place.is_dir()
    (folder / f"{splits['test']}-00000-of-00001.parquet").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="cannot be read as parquet"):
        load_data(f"glue/{name}", tmp_path / "hub")


def test_a_hidden_answer_of_the_hub_is_refused(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    folder = tmp_path / "glue" / "sst2"
    folder.mkdir(parents=True)
    for split in ("train", "validation"):
        parquet.write_table(pa.table({"sentence": ["a"], "label": [-1]}), folder / f"{split}.parquet")
    with pytest.raises(ValueError, match="line 1: '-1' is no label"):
        load_data("glue/sst2", tmp_path)
    parquet.write_table(pa.table({"text": ["a"], "label": [1]}), folder / "train.parquet")
    with pytest.raises(ValueError, match="has no column 'sentence'; it has text, label"):
        load_data("glue/sst2", tmp_path)


def test_real_files(real_data_dir: Path) -> None:
    """The counts of rows are those of the published files: nothing but a line feed ends a line."""
    sst2, qqp = (load_data(f"glue/{name}", real_data_dir) for name in ("sst2", "qqp"))
    assert [len(each) for each in (*sst2.parts.values(), *qqp.parts.values())] == [67_349, 872, 20_140, 3_356]
    assert part(sst2).y.bincount().tolist() == [29_780, 37_569]
    assert part(qqp, "test").y.bincount().tolist() == [2_074, 1_282]
    assert "note" not in sst2.facts
    assert qqp.facts["note"].startswith("not GLUE's split: 20,140 in place of 363,846 (train)")


def test_tokens_of_a_pair(tmp_path: Path) -> None:
    write_glue(tmp_path, "rte")
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "say", '"', "no", "it", "'", "s"]))
    rows = tokenised(load_data("glue/rte:length=7", tmp_path), vocabulary)
    batch = rows.parts["train"].take(torch.arange(1), torch.device("cpu"))
    assert batch["input_ids"].tolist() == [[2, 1, 4, 3, 7, 8, 3]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1]]
    assert (rows.facts["vocabulary"], rows.facts["length"]) == (10, 7)


@pytest.mark.parametrize("missing", ["[CLS]", "[SEP]", "[PAD]", "[UNK]"])
def test_a_vocabulary_without_special_tokens_is_refused(missing: str, tmp_path: Path) -> None:
    write_glue(tmp_path, "sst2")
    words = [each for each in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "say") if each != missing]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    with pytest.raises(ValueError, match=rf"vocab.txt lacks \[{missing[1:-1]}\]; .* BERT"):
        tokenised(load_data("glue/sst2", tmp_path), tmp_path / "vocab.txt")


@pytest.mark.parametrize("lower", [True, False, None])
def test_capitals_are_kept_where_the_tokenizer_says_so(lower: bool | None, tmp_path: Path) -> None:
    write_glue(tmp_path, "sst2")
    place = tmp_path / "tokenizer"
    place.mkdir()
    (place / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "say", "Say"]))
    if lower is not None:
        (place / "tokenizer_config.json").write_text(f'{{"do_lower_case": {str(lower).lower()}}}')
    file = tmp_path / "glue" / "SST-2" / "train.tsv"
    file.write_text("sentence\tlabel\nSay\t1\n")
    batch = tokenised(load_data("glue/sst2", tmp_path), place).parts["train"].take(torch.arange(1), torch.device("cpu"))
    assert batch["input_ids"].tolist() == [[2, 5 if lower is False else 4, 3]]
