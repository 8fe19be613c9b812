"""A script that builds the study of the process tests: `python build_study.py STORE WORKERS`; prints what it starts."""

import sys
from pathlib import Path

import builds

from lth.lineage import Execution, Store, build
from lth.studies.prepare import Study
from lth.training import Interrupted

STUDY = {"replicates": 2, "controls": ("reinit",), "duration": "60it", "rewind_to": "20it"}


def process_study() -> Study:
    """Two replicates, two levels, one control, rewound to step 20: ten trainings."""
    return builds.study(**STUDY)


class Printer(builds.Notes):
    """Prints the key of each training when it starts."""

    def started(self, key: str) -> None:
        """A line for the test that reads it."""
        print(key, flush=True)


if __name__ == "__main__":
    made = process_study()
    execution = Execution(workers=int(sys.argv[2]), snapshot_seconds=0.0)
    try:
        skipped = build(made.targets, Store(Path(sys.argv[1])), made.sources, execution, Printer())
    except Interrupted:
        sys.exit(3)
    sys.exit(0 if skipped == {} else 4)
