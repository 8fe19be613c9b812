"""What studies are called, checked before they are run; and the command of a script."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from lth.analysis.labels import Labels, check_free, ran_now
from lth.config import as_settings_error
from lth.config.labels import check_name, check_tags
from lth.config.text import split_each
from lth.lineage import Store
from lth.studies.prepare import Study


def check_names(studies: Sequence[Study], labels: Sequence[Labels], store: Store) -> None:
    """Check that studies can be called as asked.

    Raises:
        SettingsError: if another study of the store has one of the names.
    """
    with as_settings_error():
        for prepared, each in zip(studies, labels, strict=True):
            check_free(each.name, store.study_folder(prepared.id))


def labels_in_script(name: str | None, tags: str | Sequence[str]) -> Labels:
    """Return labels that are given in Python, with the command of the script, where there is one.

    Raises:
        SettingsError: if the name or a tag is none.
    """
    command = script_command()
    with as_settings_error():
        name = None if name is None else check_name(name)
        return Labels(name, check_tags(split_each(tags)), (ran_now(command),) if command else ())


def script_command() -> str | None:
    """Return the command that runs this script again; None in a notebook or a prompt."""
    main = sys.modules.get("__main__")
    path, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if path is None:
        return None
    what = ["-m", spec.name.removesuffix(".__main__")] if spec else [str(Path(path))]
    return shlex.join(["python", *what, *sys.argv[1:]])
