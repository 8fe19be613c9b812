"""A folder of pictures as data: train/CLASS/*.png, and a folder like it to test on."""

from pathlib import Path

from lth.data.pictures import Pictures, data_of_pictures
from lth.data.types import Data

ENDINGS = (".png", ".jpg", ".jpeg")
PARTS = ("train", "val", "test")


def is_image_folder(folder: Path) -> bool:
    """Return whether a folder has a part `train` with a folder for each class."""
    train = folder / "train"
    return train.is_dir() and bool(_folders(train))


def load_image_folder(
    folder: Path, size: int | None = None, channels: int = 3, normalise: bool = True, name: str | None = None
) -> Data:
    """Load a folder with `train/CLASS/*.png` (or .jpg, .jpeg), and `test/` or `val/` like it, for classification.

    With both, `val/` is the source's own validation part; with one of them, that is the test part. Classes are numbered
    by the names of their folders in `train/`, in alphabetical order. Pictures are decoded once and stay uint8.

    Args:
        folder: the folder.
        size: pixels of a side: pictures are cut to a square in their middle and resized [default: as they are; then
            they must have one size].
        channels: 3 for colour, 1 for grey.
        normalise: whether each channel is taken less its mean and over its deviation in the training part; else values
            are 0 to 1.
        name: for reports [default: the folder's name].
    Raises:
        ValueError: if a part or a class is missing, a picture is broken or of another size, or Pillow is missing.
    """
    there = [part for part in PARTS if (folder / part).is_dir()]
    if there in ([], ["train"]):
        raise ValueError(f"{folder} has no folder test or val: put pictures there, as {folder / 'test'}/CLASS/*.png")
    names = [path.name for path in _folders(folder / "train")]
    if len(names) < 2:
        raise ValueError(f"{folder / 'train'} has {len(names)} folder: a folder for each class is needed, two at least")
    found = {part: _part(folder / part, names) for part in there}
    parts = {"train": found["train"], "test": found.get("test") or found["val"]}
    if "test" in found and "val" in found:
        parts["validation"] = found["val"]
    return data_of_pictures(
        folder.resolve().name if name is None else name,
        parts,
        len(names),
        size,
        channels,
        normalise,
        f"{folder}:size=32",
    )


def _part(place: Path, classes: list[str]) -> Pictures:
    files: list[Path] = []
    labels: list[int] = []
    for each in _folders(place):
        if each.name not in classes:
            raise ValueError(f"{each} is no class of the training part. Its classes: {', '.join(classes)}")
        own = sorted(path for path in each.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
        files += own
        labels += [classes.index(each.name)] * len(own)
        if not own and place.name == "train":
            raise ValueError(f"{each} has no pictures ({', '.join(ENDINGS)}): put some there, or remove the folder")
    if not files:
        raise ValueError(f"{place} has no pictures ({', '.join(ENDINGS)}) in folders of its classes")
    return Pictures([str(path) for path in files], files.__getitem__, labels)


def _folders(place: Path) -> list[Path]:
    """Return the folders within one, by name; hidden ones are passed over."""
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))
