"""Profiles: where they are found, what they may say, and how wrong ones are answered."""

from pathlib import Path

import pytest

from lth.config import SettingsError
from lth.config.profile import Profile, read_profile, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400),
        ("4h", 14_400),
        ("2d", 172_800),
        ("30s", 30),
        ("01:30:00", 5400),
        ("1-00:00:10", 86_410),
        ("05:00", 300),
    ],
)
def test_times(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "4", "four hours", "1:2:3:4", "-5m", "1-05:00:00:00"])
def test_wrong_times_are_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        seconds_of(text)


def test_a_profile_is_found_here_then_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    (home / ".config" / "lth").mkdir(parents=True)
    (home / ".config" / "lth" / "profiles.yaml").write_text("gpu: {time: 1h}\nmine: {time: 2h}\n")
    (tmp_path / "lth-profiles.yaml").write_text("gpu: {time: 3h, most-parts: 7, modules: cuda}\n")
    assert read_profile("gpu", "slurm").seconds == 3 * 3600
    assert read_profile("gpu", "slurm").most_parts == 7
    assert read_profile("gpu", "slurm").modules == ("cuda",)
    assert read_profile("mine", "slurm").seconds == 2 * 3600
    assert read_profile(f"{home}/.config/lth/profiles.yaml:gpu", "lsf").seconds == 3600
    assert read_profile(None, "lsf") == Profile(launch="lsf")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("gpu: {tiem: 1h}", "lth-profiles.yaml: profile 'gpu'.*tiem"),
        ("gpu: {time: soon}", "is no time"),
        ("gpu: {cpus: 0}", "cpus"),
        ("gpu: {time: 5m}", "smaller save_before"),
        ("gpu: {qos: 2026-99-99}", "is no YAML"),
        ("gpu: {launch: lsf}", "is for --launch lsf"),
        ("gpu: fast", "must be a table"),
        ("gpus: {}", "unknown profile 'gpu'. Did you mean 'gpus'"),
        ("[]", "must hold profiles"),
        ("gpu: {", "is no YAML"),
        ('gpu: {partition: "a\\n#SBATCH --exclusive"}', "must be one line"),
        ("gpu: {environment: {'A B': x}}", "is no name of an environment variable"),
    ],
)
def test_wrong_profiles_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "lth-profiles.yaml").write_text(content)
    with pytest.raises(SettingsError, match=message) as caught:
        read_profile("gpu", "slurm")
    assert "\n" not in str(caught.value)


def test_no_file_of_profiles_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SettingsError, match="neither lth-profiles.yaml nor"):
        read_profile("gpu", "slurm")
