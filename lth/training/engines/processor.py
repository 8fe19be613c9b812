"""The processor: what decides which of several ways of computing the same is the faster one."""

from pathlib import Path


def vendor_and_avx512() -> tuple[str, bool]:
    """Return the vendor as in /proc/cpuinfo, such as "AuthenticAMD", and whether it has AVX-512; else "" and False."""
    entries = cpu_info()
    return entries.get("vendor_id", ""), "avx512f" in entries.get("flags", "").split()


def cpu_info() -> dict[str, str]:
    """Return the entries of /proc/cpuinfo, of its last processor; empty where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
