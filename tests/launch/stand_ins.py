"""Commands that stand in for LSF's: they keep what is submitted in a folder."""

import stat
import sys
from pathlib import Path

BSUB = """\
#!{python}
import pathlib, sys
here = pathlib.Path({folder!r})
number = len(list(here.glob("*.job"))) + 101
(here / f"{{number}}.job").write_text(" ".join(sys.argv[1:]) + "\\n" + sys.stdin.read())
print(f"Job <{{number}}> is submitted to default queue <normal>.")
"""
BJOBS = """\
#!/bin/bash
for last; do :; done
[ -f {folder}/$last.job ] || {{ echo "Job <$last> is not found" >&2; exit 255; }}
grep -q "\\[1-" {folder}/$last.job && printf '1|RUN\\n2|PEND\\n3|DONE\\n' || echo '0|PEND'
"""
BKILL = "#!/bin/bash\nrm {folder}/$1.job\n"


def put_lsf(folder: Path) -> None:
    """Write the commands into a folder."""
    folder.mkdir()
    for name, text in (("bsub", BSUB), ("bjobs", BJOBS), ("bkill", BKILL)):
        path = folder / name
        path.write_text(text.format(folder=str(folder), python=sys.executable))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
