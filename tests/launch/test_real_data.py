"""The main job on the real images."""

from pathlib import Path

import pytest

import lth


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_short_search_on_real_images_learns_and_rewinds(name: str, real_data_dir: Path, tmp_path: Path) -> None:
    found = lth.find_ticket(
        "lenet-300-100", name, real_data_dir, store=tmp_path / "store", out=tmp_path / "out",
        execution=lth.Execution(workers=0), levels=1, replicates=1, duration="150it", rewind_to="20it", controls="none",
    )  # fmt: skip
    assert found.study.config.validation == 5000
    assert found.results["dense"]["test_accuracy"]["mean"] > 0.7
    assert found.results["levels"][0]["arms"]["ticket"]["test_accuracy"]["mean"] > 0.7
    assert found.results["levels"][0]["density"] == pytest.approx(0.8, abs=0.001)
    assert lth.read_ticket(found.tickets[0]).start is not None  # a rewound start cannot be drawn from a seed
