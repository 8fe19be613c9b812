"""The wheel, in an environment that knows the dependencies and nothing else of this repository."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

REPOSITORY = Path(__file__).parent.parent
pytestmark = pytest.mark.slow
Installed = Callable[..., str]


@dataclass(frozen=True)
class Built:
    """What `python -m build` made: the wheel from the source archive, and the archive."""

    wheel: Path
    source: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(REPOSITORY))
    [wheel], [source] = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(wheel, source)


@pytest.fixture(scope="module")
def place(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `venv`, where the wheel is installed; dependencies are those of the environment around it."""
    folder = tmp_path_factory.mktemp("clean")
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"))
    python = str(folder / "venv" / "bin" / "python")
    install = ("install", "--quiet", "--no-deps", "--no-index", str(built.wheel))
    _run(sys.executable, "-m", "pip", "--python", python, *install)
    # A folder named in a .pth file is searched last, and its own .pth files (the editable lth) are not read.
    [packages] = (folder / "venv").glob("lib/python*/site-packages")
    outer = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text("\n".join(outer))
    return folder


@pytest.fixture(scope="module")
def lth(place: Path) -> Installed:
    """Run the installed command in the folder beside its environment; return what it prints."""
    return lambda *words: _run(str(place / "venv" / "bin" / "lth"), *words, cwd=place)


def _run(*command: str, cwd: Path = REPOSITORY) -> str:
    done = subprocess.run(command, cwd=cwd, env=_environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _environment() -> dict[str, str]:
    """This one without what would let Python find the repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | {"COLUMNS": "120"}


def test_every_file_of_the_package_is_in_the_wheel(built: Built) -> None:
    package = {path for path in (REPOSITORY / "lth").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    wanted = {path.relative_to(REPOSITORY).as_posix() for path in package}
    assert {"lth/py.typed", "lth/superweights/known.json", "lth/launch/cluster/templates/slurm.sh.j2"} <= wanted
    assert {name for name in zipfile.ZipFile(built.wheel).namelist() if name.startswith("lth/")} == wanted


def test_the_source_archive_has_what_building_and_testing_need(built: Built) -> None:
    with tarfile.open(built.source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile", "tests/test_wheel.py", "docs/limits.md"} <= names
    assert not {name for name in names if name.startswith((".venv", "dist/", "site/"))}


def test_the_installed_package_is_the_one_that_runs(place: Path, lth: Installed) -> None:
    python = str(place / "venv" / "bin" / "python")
    assert Path(_run(python, "-c", "import lth; print(lth.__file__)", cwd=place)).is_relative_to(place / "venv")
    [version] = re.findall(r'^version = "(.+)"', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
    assert version in lth("--version")


def test_a_study_runs_and_is_served(place: Path, lth: Installed) -> None:
    few = ("--levels", "1", "--rate", "0.5", "--replicates", "2", "--duration", "20it", "--workers", "0")
    assert "Report " in lth("find-ticket", *few, "--quiet")
    [report] = place.glob("lth-reports/*/report.html")
    assert "vega" in report.read_text()
    study = report.parent.name.rpartition("-")[2]
    with subprocess.Popen(
        [str(place / "venv" / "bin" / "lth"), "serve", "--port", "0"],
        cwd=place, env=_environment(), stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            [address] = re.findall(r"http://\S+", server.stdout.readline() + server.stdout.readline())
            assert study in urlopen(address, timeout=100).read().decode()
            assert "vega" in urlopen(f"{address}study/{study}", timeout=100).read().decode()
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


def test_scripts_of_clusters_are_made(place: Path, lth: Installed) -> None:
    (place / "study.yaml").write_text("run: find-ticket\nlevels: 2\n")
    (place / "lth-profiles.yaml").write_text("gpu: {gpus: 1, time: 1h}\n")
    assert "#SBATCH" in lth("run", "study.yaml", "--launch", "slurm", "--profile", "gpu", "--dry-run")
    assert "#BSUB" in lth("run", "study.yaml", "--launch", "lsf", "--profile", "gpu", "--dry-run")


def test_published_super_weights_are_listed(lth: Installed) -> None:
    assert "OLMo" in lth("reproduce", "super-weights")
