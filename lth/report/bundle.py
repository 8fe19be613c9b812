"""The script that draws figures in a browser: Vega-Lite as one file, about 0.9 MB."""

import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import vl_convert

SNIPPET = "window.vegaEmbed = vegaEmbed;"
PROGRAM = f"import sys, vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle({SNIPPET!r}).encode())"


@cache
def bundle() -> Future[str]:
    """Return the script, once it is made: in a process of its own, as it takes longer than all figures."""
    executor = ThreadPoolExecutor(max_workers=1)
    made = executor.submit(_made)
    executor.shutdown(wait=False)
    return made


def _made() -> str:
    if sys.executable:
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=False)
        if done.returncode == 0:
            return done.stdout.decode()
    script: str = vl_convert.javascript_bundle(SNIPPET)
    return script
