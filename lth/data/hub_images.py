"""Images of the Hugging Face hub as data, by name, through the package `datasets`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lth.data.pictures import Pictures, data_of_pictures
from lth.data.tokens.hub import load_rows
from lth.data.types import Data

VALIDATION = ("validation", "valid", "val", "dev")
"""Names that the hub has for a validation part."""


def load_hub_images(
    folder: Path | None = None,
    name: str = "",
    configuration: str = "",
    image: str = "",
    label: str = "",
    size: int | None = None,
    channels: int = 3,
    normalise: bool = True,
) -> Data:
    """Load a data set of images and classes of the hub (parquet), as `hub-images:name=OWNER/NAME`.

    The split `test` is the test part, and a validation split the source's own validation part; without `test`, the
    validation split is the test part.

    Args:
        folder: not needed: the package `datasets` has a cache of its own.
        name: OWNER/NAME, or a folder of parquet files.
        configuration: where there are several.
        image: column of the images [default: the only one of images].
        label: column of the classes [default: the only one of classes].
        size: pixels of a side, as for folders of pictures.
        channels: 3 for colour, 1 for grey.
        normalise: whether each channel is taken less its mean and over its deviation in the training part.
    Raises:
        ValueError: if the data cannot be had, a column or a part is missing, or a picture is broken.
    """
    if not name:
        raise ValueError("hub-images needs a name: hub-images:name=OWNER/NAME")
    rows = load_rows(f"hub-images:name={name}", name, configuration or None, None)
    validation = next((split for split in VALIDATION if split in rows), None)
    splits = {"train": "train", "test": "test" if "test" in rows else validation}
    if "test" in rows and validation is not None:
        splits["validation"] = validation
    if "train" not in rows or splits["test"] is None:
        raise ValueError(f"{name} has the splits {', '.join(rows)}: train, and test or validation, are needed")
    features = rows["train"].features
    image, label = (
        _column(name, features, "Image", image, "image"),
        _column(name, features, "ClassLabel", label, "label"),
    )
    parts = {part: _part(name, str(split), rows[str(split)], image, label) for part, split in splits.items()}
    classes = len(features[label].names)
    example = f"hub-images:name={name},size=32"
    return data_of_pictures(name.rpartition("/")[2], parts, classes, size, channels, normalise, example)


def _column(name: str, features: Mapping[str, Any], kind: str, asked: str, argument: str) -> str:
    """Return the column of this kind: the one that is asked for, or the only one."""
    fitting = [each for each, feature in features.items() if type(feature).__name__ == kind]
    if asked in fitting:
        return asked
    if asked or len(fitting) != 1:
        found = ", ".join(fitting) or f"none among {', '.join(features)}"
        raise ValueError(f"{name}: columns of type {kind}: {found}; name one, as {argument}=COLUMN")
    return fitting[0]


def _part(name: str, split: str, rows: Any, image: str, label: str) -> Pictures:
    from datasets import Image

    held = rows.select_columns([image, label]).cast_column(image, Image(decode=False))
    labels = [int(each) for each in held[label]]
    if wrong := [number for number, each in enumerate(labels) if each < 0]:
        raise ValueError(f"{name} ({split}), row {wrong[0]}: it has no class, as where answers are hidden")

    def read(number: int) -> Path | bytes:
        one = held[number][image]
        content: bytes | None = one["bytes"]
        return Path(one["path"]) if content is None else content

    return Pictures([f"{name} ({split}), row {number}" for number in range(len(labels))], read, labels)
