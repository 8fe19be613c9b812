"""`lth label`: what a study is called."""

from pathlib import Path

from lth.analysis.labels import Labels, add_labels, checked_labels
from lth.cli.errors import UsageError, settings_as_usage
from lth.cli.options import Several
from lth.cli.stored import stored_study
from lth.config import as_settings_error
from lth.config.labels import check_name, check_tags
from lth.config.text import split_each


def label(
    id: str, /, *, name: str | None = None, tag: Several = None, untag: Several = None, store: Path = Path("lth-store")
) -> int:
    """Give a study a name and tags; without options show them. No result depends on them.

        lth label 192b --name slow-pruning --tag paper
        lth label slow-pruning --untag paper

    Args:
        id: name or ID of the study; a beginning of the ID is enough.
        name: what it is called from now on, wherever an ID is taken.
        tag: a word that `lth ls --tag` finds it by; several with commas, or the option several times.
        untag: a tag to take away.
        store: folder of results.
    """
    note = stored_study(id, store)
    checked_labels(note["folder"])  # where they are damaged, the command line is not what is wrong
    with settings_as_usage(), as_settings_error():
        given = Labels(None if name is None else check_name(name), check_tags(split_each(tag or ())))
        removed = split_each(untag or ())
        if both := {*removed} & {*given.tags}:
            raise UsageError(f"--tag and --untag both name {', '.join(sorted(both))}")
        labels = add_labels(note["folder"], given, removed)
    print(f"Study {note['id']}: {labels.name or 'no name'}; tags: {', '.join(labels.tags) or 'none'}")
    return 0
