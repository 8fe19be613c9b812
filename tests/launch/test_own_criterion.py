"""A criterion that a script puts into the table reaches the worker processes."""

import subprocess
import sys
from pathlib import Path

SCRIPT = '''
import lth
from lth.sparsity import CRITERIA, Evidence, Scores


def flipped(evidence: Evidence) -> Scores:
    """1 where training kept the weight's sign, 0 where it flipped: those go first."""
    return {name: (final * evidence.initial[name] > 0).float() for name, final in evidence.final.items()}


CRITERIA["flipped"] = flipped
found = lth.find_ticket("lenet-300-100", "digits", criterion="flipped", levels=1, replicates=1, duration="20it",
                        controls=(), execution=lth.Execution(workers=1))
print(found.results["levels"][0]["density"], len(found.tickets))
'''


def test_own_criterion_in_worker_processes(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    density, tickets = done.stdout.split()
    assert 0.79 < float(density) < 0.81
    assert tickets == "1"
