"""The command line: parse, call the library, print. One file a command."""

import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError

from lth.cli.compact import compact
from lth.cli.doctor import doctor
from lth.cli.errors import CommandError, UsageError
from lth.cli.find_ticket import find_ticket
from lth.cli.ls import ls
from lth.cli.methods import methods
from lth.cli.plan import plan
from lth.cli.report import report
from lth.cli.show import show
from lth.cli.sparsity import sparsity
from lth.cli.supermask import supermask
from lth.cli.ticket import ticket

EPILOGUE = """\
Exit codes: 0 done; 1 failed, with one line that says what to do; 2 the command
line or a settings file cannot be understood; 130 interrupted. --debug after any
command shows the traceback of an error.
"""

app = App(
    name="lth",
    help="Find winning tickets in PyTorch networks, test them with the controls that make a claim hold, and "
    "explain them.",
    help_epilogue=EPILOGUE,
    help_format="plaintext",  # the other formats load a parser each, a quarter of the time of a help page
    version_flags=["--version"],
)
app.command(find_ticket, name="find-ticket")
app.command(supermask)
app.command(compact)
app.command(plan)
app.command(ls)
app.command(methods)
app.command(show)
app.command(sparsity)
app.command(report)
app.command(ticket)
app.command(doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits with its code."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # so that `mypackage.nets:make` is found beside where the user stands
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    is_debug = "--debug" in tokens
    if not is_debug and not sys.warnoptions:
        warnings.showwarning = lambda message, *_: _say(f"warning: {message}")
    tokens = [token for token in tokens if token != "--debug"]
    try:
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
    """Prints one line and gives the exit code."""
    if isinstance(error, UsageError | CycloptsError):
        _say(f"{' '.join(str(error).split()).rstrip('.')}. See --help.")
        return 2
    if _is_for_users(error):
        _say(str(error))
        return 1
    _say(f"this is a bug of lth: {type(error).__name__}: {error}. Run again with --debug and report what it shows")
    return 1


def _is_for_users(error: Exception) -> bool:
    """Whether the message was written for users."""
    if isinstance(error, CommandError | ValueError):
        return True
    # Only a command that ran can raise these, so torch is loaded already.
    from lth.lineage import BuildError, StoreError, WorkerDied

    return isinstance(error, BuildError | StoreError | WorkerDied | OSError)


def _say(message: str) -> None:
    print(f"lth: {message}", file=sys.stderr)
