"""A study that trains on a part of the training examples."""

import pytest

from lth.launch.load import load_studies
from lth.studies import STUDIES


def test_a_subset_is_drawn_after_the_validation_part() -> None:
    train = STUDIES["train"]
    whole, part = load_studies(train, [train.settings(replicates=1), train.settings(replicates=1, subset=100)])
    sizes = [{name: len(each) for name, each in s.sources.parts(s.subject.data).items()} for s in (whole, part)]
    assert sizes[1] == sizes[0] | {"train": 100}
    assert whole.id != part.id
    assert part.subject.data.train_examples == 100
    assert part.subject.clock.steps("1ep") == 100 // part.settings.training.batch_size


def test_a_subset_larger_than_the_training_part_is_refused() -> None:
    train = STUDIES["train"]
    with pytest.raises(ValueError, match=r"^subset: digits has 971 training examples; found 5,000$"):
        load_studies(train, [train.settings(subset=5000)])
