"""The command line: parse, call the library, print. One file a command."""

import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cyclopts import App, CycloptsError, Group, UnknownCommandError

from lth.cli.compact import compact
from lth.cli.data import data
from lth.cli.doctor import doctor
from lth.cli.errors import CommandError, UsageError
from lth.cli.export import export
from lth.cli.help import FILES, HELP, STORED, STUDY, description, with_examples
from lth.cli.label import label
from lth.cli.launches import cancel, logs, status
from lth.cli.ls import ls
from lth.cli.methods import methods
from lth.cli.options import defaults_in_words, study_command
from lth.cli.prune import prune
from lth.cli.report import report
from lth.cli.resume import resume
from lth.cli.rm import rm
from lth.cli.run import run as run_file
from lth.cli.sample import sample
from lth.cli.save import save
from lth.cli.serve import serve
from lth.cli.show import show
from lth.cli.sparsity import sparsity
from lth.cli.study import plan, reproduce, run
from lth.cli.superweights import superweights
from lth.cli.ticket import ticket
from lth.cli.typed import note_typed
from lth.config import check_choice, stopping
from lth.studies import STUDIES, StudyType

EPILOGUE = """\
Exit codes: 0 done; 1 failed, with one line that says what to do; 2 the command
line or a settings file is wrong (a name, a value, or what does not go together);
130 interrupted, 143 by SIGTERM, 75 by SIGUSR1 or SIGUSR2 (start me again): work
is saved. --debug after any command shows the traceback of an error.
"""

EXAMPLES = (
    "lth find-ticket                   # lenet-300-100 on digits, about a minute",
    "lth find-ticket mynets:make own.npz --duration 20ep   # your model and data",
    "lth plan mynets:make own.npz      # what would run, and how long it takes",
    "lth ls                            # what the store holds",
)
PLAN = "Show what a study would do with the same arguments: what is done already, steps, time. Nothing is kept."
AGAIN = (
    "What the store already holds is not done again; after an interruption the same command goes on where it was, and "
    "ends with the same bits."
)

BUILDING = {*STUDIES, "run", "reproduce", "resume", "superweights"}
"""Commands that a scheduler may start and stop."""

app = App(
    name="lth",
    help=with_examples(
        "Find winning tickets in PyTorch networks, test them with the controls that make a claim hold, and explain "
        "them.",
        EXAMPLES,
    ),
    help_epilogue=EPILOGUE,
    help_format="plaintext",  # the other formats load a parser each, a quarter of the time of a help page
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,  # `main` says that a command was interrupted
)
plans = App(
    name="plan",
    help=with_examples(
        PLAN,
        (
            "lth plan --levels 20      # of find-ticket, where no study is named",
            "lth plan supermask lenet-300-100 mnist",
        ),
    ),
    group=STORED,
)


def _add_study(study: StudyType[Any]) -> None:
    """Make a study a command, and its plan another."""
    more = [*([study.help] if study.help else []), defaults_in_words(study)]
    text, end = with_examples(study.words, study.examples), "\n\n".join([*more, AGAIN])
    app.command(study_command(study, run), name=study.name, help=text, help_epilogue=end, group=STUDY)
    examples = [each.replace("lth ", "lth plan ", 1) for each in study.examples]
    text = with_examples(f"Show what `lth {study.name}` would do: what is done already, steps, time.", examples)
    end = "\n\n".join(more)
    plans.command(study_command(study, plan), name=study.name, help=text, help_epilogue=end, group=STUDY)


def _add(group: Group, *functions: Callable[..., int]) -> None:
    """Make functions commands, with their docstrings as help."""
    for function in functions:
        app.command(function, help=description(function), group=group)


for _study in STUDIES.values():
    _add_study(_study)
plans.default(study_command(STUDIES["find-ticket"], plan))
app.command(plans)
_add(STORED, run_file, reproduce, resume, status, cancel, logs)
_add(STORED, ls, show, report, label, rm, serve, export, sample, save)
app.command(ticket)
app.command(data)
_add(FILES, superweights, prune, sparsity, compact)
_add(HELP, methods, doctor)
app.register_install_completion_command(
    help="Let the shell complete commands and options: writes a file for bash, zsh or fish, and a line in its start-up "
    "file that reads it.",
    group=HELP,
)
for _flag in ("--help", "--version"):
    app[_flag].group = HELP
for _app in (app, plans):
    for _place, _name in enumerate(_app):
        _app[_name].sort_key = _place  # as they stand here, the most used first


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # so that `mypackage.nets:make` is found beside where the user stands
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    is_debug = "--debug" in tokens
    if not is_debug and not sys.warnoptions:
        warnings.showwarning = lambda message, *_: _say(f"warning: {message}")
    tokens = [token for token in tokens if token != "--debug"]
    note_typed(tokens)
    try:
        with stopping.catching(bool(tokens) and tokens[0] in BUILDING):
            code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except KeyboardInterrupt:
        _say("interrupted")
        code = 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left; nothing is wrong
        code = 0
    except Exception as error:
        if is_debug:
            traceback.print_exc()
            print(getattr(error, "traceback", ""), file=sys.stderr)
        code = _fail(error)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(error: Exception) -> int:
    """Print one line and return the exit code."""
    if isinstance(error, UsageError | CycloptsError):
        message = " ".join(_unknown_command(error).split())
        _say(f"{message if message.endswith('?') else message.rstrip('?.') + '.'} See --help.")
        return 2
    if _is_for_users(error):
        _say(str(error))
        return 1
    _say(f"this is a bug of lth: {type(error).__name__}: {error}. Run again with --debug and report what it shows")
    return 1


def _unknown_command(error: Exception) -> str:
    """Return the message of a usage error; that of an unknown command suggests the nearest one."""
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        try:
            check_choice("command", error.unused_tokens[0], [name for name in app if not name.startswith("-")])
        except ValueError as unknown:
            return str(unknown)
    return str(error).replace("?.", "?")


def _is_for_users(error: Exception) -> bool:
    """Return whether the message was written for users."""
    if isinstance(error, CommandError | ValueError):
        return True
    # Only a command that ran can raise these, so torch is loaded already.
    from lth.lineage import BuildError, StoreError, WorkerDied

    return isinstance(error, BuildError | StoreError | WorkerDied | OSError)


def _say(message: str) -> None:
    print(f"lth: {message}", file=sys.stderr)
