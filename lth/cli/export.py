"""`lth export`: a study of the store, sent to trackers later."""

from pathlib import Path

from lth.cli.errors import CommandError, UsageError, settings_as_usage
from lth.cli.options import Flag
from lth.cli.stored import stored_study


def export(id: str, /, *, to: list[str] | None = None, store: Path = Path("lth-store"), again: Flag = False) -> int:
    """Send a study to trackers from the store alone: what `--track` would have sent, and what it has not sent yet.

        lth export 192b --to mlflow:http://127.0.0.1:5000
        lth export 192b --to tensorboard:runs,wandb

    Finished trainings are sent whole, one that goes on up to its newest snapshot; nothing is sent twice.

    Args:
        id: name or ID of the study; a beginning of the ID is enough.
        to: wandb[:PROJECT], mlflow:URI, tensorboard[:DIR], trackio[:PROJECT]; several with commas.
        store: folder of results.
        again: send everything, as if nothing had been sent: where the tracker's own files are gone.
    """
    from lth.config.text import split_each

    names = split_each(to or [])
    if not names:
        raise UsageError("name where it goes, as --to tensorboard:runs")
    note = stored_study(id, store)
    for name in names:
        print(_exported(note["id"], store, name, again))
    return 0


def _exported(id: str, store: Path, name: str, again: bool) -> str:
    """Send a study to one tracker; return what was sent, in words."""
    from lth.launch.tracked import export_study
    from lth.lineage import Store, StoreError
    from lth.tracking import tracker_of

    with settings_as_usage():
        tracker_of(name)
    try:
        done = export_study(id, Store(store), name, again=again)
    except (ValueError, StoreError):
        raise
    except Exception as error:  # whatever a tracker raises
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CommandError(f"tracker {name}: {reason}. The same command sends what is left") from error
    if not done.told and not done.files and done.before:
        return f"{name}: all was sent before ({_trainings(done.before)}); --again sends it anew"
    parts = [f"{_trainings(done.told)} sent"]
    parts += [f"{done.before} sent before"] if done.before else []
    parts += [f"{done.missing} not begun"] if done.missing else []
    results = f"results and {done.files - 1} files" if done.files else "results were sent before"
    parts += [results if done.is_concluded else "no results yet"]
    return f"{name}: {', '.join(parts)}"


def _trainings(count: int) -> str:
    return f"{count} training{'s' * (count != 1)}"
