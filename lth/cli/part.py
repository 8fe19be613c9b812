"""What jobs of a cluster run: `lth run MANIFEST --part N`, and `--conclude` at the end."""

import os
from typing import TYPE_CHECKING

from lth.cli.errors import CommandError, settings_as_usage
from lth.cli.study import batch_lines, engine_lines, execution_of, reproduce, start_lines, stopped
from lth.cli.study import run as run_here
from lth.config import Running
from lth.studies import STUDIES

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lth.launch.cluster import Launch
    from lth.launch.tracked import ObserverFactory
    from lth.lineage import Execution, Observer
    from lth.studies.prepare import Study


def run_part(launch: "Launch", part: int) -> int:
    """Do a part of a launch; exit code 75 or 143 if it was told to stop."""
    from lth.launch import cluster
    from lth.training import Interrupted

    os.chdir(launch.place)
    with settings_as_usage():
        execution = execution_of(launch.running, over_ranks=True)
        is_one_of_several = execution.ranks.size > 1
        try:
            cluster.run_part(launch, part, execution, _observed(launch.running, execution))
        except Interrupted:
            return stopped(launch.running.store, is_one_of_several=is_one_of_several)
    if execution.ranks.is_first:
        print(f"Part {part} of {launch.id} is done.")
    return 0


def _observed(running: Running, execution: "Execution") -> "ObserverFactory":
    """Return what makes the progress of a part: lines in its log, first how each study is trained."""
    from lth.launch.progress import make_progress
    from lth.lineage import Store

    store = Store(running.store)

    def observer(study: "Study") -> "AbstractContextManager[Observer]":
        lines = [*start_lines(study), *engine_lines(study, execution, store), *batch_lines(study, execution)]
        return make_progress(is_quiet=running.quiet, notes=lines, execution=execution, store=store)(study)

    return observer


def conclude_launch(launch: "Launch") -> int:
    """Write results and report of a launch, if nothing is missing."""
    from lth.launch.cluster import lacking
    from lth.launch.cluster.run import load, parts_lacking
    from lth.lineage import Store

    os.chdir(launch.place)
    with settings_as_usage():
        studies = load(launch, launch.studies)
        if missing := lacking(studies, Store(launch.running.store)):
            parts = ", ".join(map(str, parts_lacking(launch, missing))) or "none of its parts"
            raise CommandError(
                f"{len(missing)} jobs of {launch.id} are missing, of part {parts} (`lth logs {launch.id} --part N`): "
                "submit the study again, which does what is missing"
            )
        # The studies were called by their names when they were submitted; a user may have renamed them since.
        changes = {"device": "cpu", "compiled": False, "shard": False, "name": None, "tags": ()}
        running = launch.running.model_copy(update=changes)
        if launch.experiment is not None:
            arguments = dict(launch.experiment)
            name = arguments.pop("name")
            return reproduce(name, running.folder, store=running.store, out=running.out, quiet=True, **arguments)
        [study] = {each.kind for each in launch.studies}
        return run_here(STUDIES.pick(study), [each.settings for each in studies], running)
