"""The processor: what decides which of several ways of computing the same is the faster one."""

from pathlib import Path


def vendor_and_avx512() -> tuple[str, bool]:
    """The vendor as in /proc/cpuinfo, such as "AuthenticAMD", and whether it has AVX-512; "" and False elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "", False
    pairs = (line.partition(":") for line in lines)
    entries = {key.strip(): value.strip() for key, _, value in pairs}
    return entries.get("vendor_id", ""), "avx512f" in entries.get("flags", "").split()
