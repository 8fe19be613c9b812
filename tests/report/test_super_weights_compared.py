"""Documents of several models side by side."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_super_weights import FOUND, ONE, super_weights_document

from lth.analysis.super_weights_compared import compared


def written(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    (folder / "superweights.json").write_text(json.dumps({**super_weights_document(), **changes}))
    return folder


def test_each_coordinate_has_a_row_for_each_model(tmp_path: Path) -> None:
    document = super_weights_document()
    other = [each for each in document["candidates"] if each["coordinate"] != ONE]
    text = compared({"base": written(tmp_path / "a"), "chat": written(tmp_path / "b", candidates=other)})
    head, *lines = text.splitlines()
    assert head.split("  ")[0] == "coordinate"
    assert [line.split()[:2] for line in lines] == [[name, model] for name in FOUND for model in ("base", "chat")]
    [zeroed] = [row for row in document["interventions"] if (row["label"], row["coordinate"]) == ("zeroed", ONE)]
    ratio = f"{zeroed['ratio']['value']:.3g} [{zeroed['ratio']['low']:.3g}, {zeroed['ratio']['high']:.3g}]"
    assert lines[0].split("super weight")[1].strip() == ratio
    assert lines[1].split() == [ONE, "chat", "no", "candidate"]
    assert "not measured" not in text
    text = compared({"looked at": written(tmp_path / "c", interventions=[])})
    assert all(line.endswith("not measured") for line in text.splitlines()[1:])


def test_other_protocols_do_not_compare(tmp_path: Path) -> None:
    protocol = {**super_weights_document()["protocol"], "name": "blocks:1024"}  # type: ignore[dict-item]
    folders = {"base": written(tmp_path / "a"), "chat": written(tmp_path / "b", protocol=protocol)}
    with pytest.raises(ValueError, match="base: blocks:512 on 20,440 tokens of ab12cd34ef56; chat: blocks:1024 on"):
        compared(folders)
    written(tmp_path / "c", protocol=None, interventions=[])
    assert "base" in compared({"base": tmp_path / "a", "looked at": tmp_path / "c"})
