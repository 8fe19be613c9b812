"""`lth resume`: a study of the store goes on."""

import inspect
from typing import Annotated, Any

from cyclopts import Parameter

from lth.cli.errors import settings_as_usage
from lth.cli.options import running_parameters
from lth.cli.stored import load_stored
from lth.cli.study import run_studies
from lth.config import Running, as_settings_error


def resume(id: str, /, **given: Any) -> int:
    """Go on with a study of the store, of any kind, with the settings that it has, and write its report.

        lth resume 192b
        lth resume slow-pruning --workers 1   # by its name

    A model, data or functions that a script gave as objects are not in the store: then the line says which command made
    the study. What `lth ls` calls unfinished can be looked at with `lth report ID` at any time.
    """
    with settings_as_usage(), as_settings_error():
        running = Running(**{name: value for name, value in given.items() if value is not None})
    return run_studies([load_stored(id, running.store, running.folder)], running)


_WORDS = Parameter(help="name or ID of the study; a beginning of the ID is enough")
_ID = inspect.Parameter("id", inspect.Parameter.POSITIONAL_ONLY, annotation=Annotated[str, _WORDS])
_PARAMETERS = [_ID, *running_parameters(left_out=("name", "tags", "allow_partial"))]
resume.__annotations__ = {each.name: each.annotation for each in _PARAMETERS} | {"return": int}
vars(resume)["__signature__"] = inspect.Signature(_PARAMETERS, return_annotation=int)
