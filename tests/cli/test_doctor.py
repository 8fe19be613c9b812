import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lth.cli.doctor import (
    DISK_FAIL,
    DISK_WARN,
    doctor,
    examine,
    judge_disk,
    judge_threads,
    judge_torch,
)
from lth.data import DATASETS

NAMES = ["Python", "torch", "threads", "BLAS", "Linear", "sparse", "GPU", "data", "store", "disk"]


@pytest.fixture(autouse=True)
def no_outside_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LTH_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_this_machine_can_run_lth(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    checks = examine(tmp_path / "new" / "store", None)
    assert [check.name for check in checks] == NAMES
    by_name = {check.name: check for check in checks}
    for name in ("Python", "torch", "data", "store"):
        assert by_name[name].status == "ok"
    assert by_name["torch"].found == torch.__version__
    assert by_name["data"].found.startswith("digits: comes with scikit-learn; mnist: not here yet")
    assert all(name in by_name["data"].found for name in DATASETS)
    assert by_name["store"].found.endswith("store does not exist yet, can be created")
    for check in checks:
        assert (check.advice == "") == (check.status == "ok")
    assert list(tmp_path.iterdir()) == []  # it looks, and leaves nothing behind
    assert torch.get_num_threads() == threads


def test_store_that_is_there(tmp_path: Path) -> None:
    checks = {check.name: check for check in examine(tmp_path, None)}
    assert (checks["store"].status, checks["store"].found) == ("ok", f"{tmp_path} can be written to")
    assert str(tmp_path) in checks["disk"].found


@pytest.mark.parametrize("below", [".", "store"])
def test_store_that_is_a_file(tmp_path: Path, below: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert doctor(store=tmp_path / "file" / below, json_=True) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"] is False
    failed = [check for check in report["checks"] if check["status"] == "fail"]
    assert [check["name"] for check in failed] == ["store"]
    assert failed[0]["found"] == f"{tmp_path / 'file'} is a file, not a folder"
    assert "--store" in failed[0]["advice"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that not even root can write to")
def test_store_that_cannot_be_written() -> None:
    checks = {check.name: check for check in examine(Path("/proc/store"), None)}
    assert checks["store"].status == "fail"
    assert "cannot write to /proc" in checks["store"].found


def test_data_folder_with_some_files_only(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-labels-idx1-ubyte.gz").write_bytes(b"")
    check = next(check for check in examine(tmp_path, tmp_path) if check.name == "data")
    assert check.status == "warn"
    assert "mnist is not usable" in check.found
    assert "lacks train-images-idx3-ubyte" in check.advice


def test_data_folder_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTH_DATA_DIR", str(tmp_path / "absent"))
    check = next(check for check in examine(tmp_path, None) if check.name == "data")
    assert check.status == "warn"
    assert f"LTH_DATA_DIR names {tmp_path / 'absent'}, which is no folder" in check.found


def test_data_sets_are_found(real_data_dir: Path, tmp_path: Path) -> None:
    check = next(check for check in examine(tmp_path, real_data_dir) if check.name == "data")
    assert check.status == "ok"
    assert f"mnist: {real_data_dir / 'mnist'}; " in check.found


def test_plain_output_without_a_terminal(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from lth.cli.doctor import doctor; "
    code += f"sys.exit(doctor(store=Path({str(tmp_path)!r})))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert [line.split()[1] for line in lines] == NAMES
    assert done.stdout.isascii()


def test_importing_is_fast_because_torch_waits() -> None:
    code = "import sys, lth.cli.doctor; print(sorted({'torch', 'numpy', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_torch_that_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libmissing.so: cannot open shared object file')")
    code = "import sys; from pathlib import Path; from lth.cli.doctor import doctor; sys.exit(doctor(store=Path('.')))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "fail  torch    cannot be imported: libmissing.so" in done.stdout
    assert "Traceback" not in done.stderr


def test_versions() -> None:
    assert judge_torch("2.8.0").status == "ok"
    assert judge_torch("2.13.0+cpu").status == "ok"
    assert judge_torch("2.10.0a0+git1234").status == "ok"
    assert judge_torch("2.7.1+cu126").status == "fail"


def test_threads() -> None:
    assert judge_threads(2, usable=2, physical=2, omp_num_threads=None).status == "ok"
    check = judge_threads(64, usable=4, physical=2, omp_num_threads="64")
    assert check.status == "warn"
    assert check.found == "torch uses 64 of 4 CPUs (2 physical cores); OMP_NUM_THREADS is 64"
    assert "OMP_NUM_THREADS=2" in check.advice


@pytest.mark.parametrize(
    ("free", "status"), [(DISK_WARN, "ok"), (DISK_WARN - 1, "warn"), (DISK_FAIL, "warn"), (DISK_FAIL - 1, "fail")]
)
def test_disk(free: int, status: str) -> None:
    assert judge_disk(free, Path("here")).status == status
