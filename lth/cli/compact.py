"""`lth compact`: a ticket's network, physically smaller."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from lth.cli.errors import UsageError
from lth.cli.options import Flag

if TYPE_CHECKING:
    from lth.launch.compact import CompactReport


def compact(
    file: Path,
    /,
    *,
    out: Path,
    store: Path | None = None,
    checkpoint: Path | None = None,
    model: str | None = None,
    input_shape: str | None = None,
    drop_inputs: Flag = False,
    onnx: Flag = False,
    batch_size: int = 64,
    json_: Flag = False,
) -> int:
    """Make a ticket's network physically smaller: units, filters, channels and attention heads that the masks made dead
    go, and the outputs stay equal.

        lth compact FILE --out small --store lth-store   # the trained weights
        lth compact FILE --out small --onnx

    Writes DIR/compact.safetensors and DIR/compact.json, and prints what was gained. Times are medians of one thread on
    this machine. In Python, lth.load_compact(module, path) loads it into a fresh module of the original class.

    Of a network of transformers (BERT and its kin) it also writes DIR/config.json and DIR/model.safetensors, which
    transformers loads. There all blocks have as many neurons as the one that keeps most, and dead heads stay as zeros.

    Args:
        file: a .ticket.safetensors file.
        out: the folder to write into.
        store: the store in which the ticket was trained: its trained weights are taken from there. Without it and
            without a checkpoint, the ticket's starting weights.
        checkpoint: safetensors file of weights of the same architecture, instead.
        model: package.module:function of the model, where it is none of lth's. Code named in a file is never run
            unasked.
        input_shape: shape of one example, as 3,32,32, where the ticket does not say it; tokens of a network of
            transformers, as 64 [default there: 128].
        drop_inputs: let layers read only those inputs that a weight is left for.
        onnx: also write DIR/compact.onnx, and compare it with onnxruntime if that is installed.
        batch_size: examples in the batch that is timed.
        json_: print JSON in place of the table.
    """
    if batch_size < 1:
        raise UsageError(f"--batch-size {batch_size} is no batch: give 1 or more")
    shape = None if input_shape is None else _shape(input_shape)
    from lth.launch.compact import compact_ticket

    report = compact_ticket(
        file,
        out,
        store=store,
        checkpoint=checkpoint,
        model=model,
        input_shape=shape,
        drop_inputs=drop_inputs,
        onnx=onnx,
        batch_size=batch_size,
    )
    if json_:
        document = report.notes | {
            "files": [str(path) for path in report.files],
            "left_alone": report.compacted.left_alone,
            "largest_difference": report.compacted.largest_difference,
            "onnx_difference": report.onnx_difference,
        }
        print(json.dumps(document, indent=1, allow_nan=False))
    else:
        _print(report, batch_size, onnx)
    return 0


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(size) for size in text.replace("x", ",").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise UsageError(f"--input-shape {text!r} is no shape: give the sizes of one example, as 3,32,32")
    return shape


def _print(report: "CompactReport", batch_size: int, onnx: bool) -> None:
    from lth.models import MODELS

    print(f"Weights    {report.weights}")
    costs = report.notes["cost"]
    networks = list(costs["ms"])
    print(" ".join([" " * 22, *(f"{name:>15}" for name in networks), f"{'ratio':>8}"]))
    for name, values in costs.items():
        label = f"ms for {batch_size} examples" if name == "ms" else name
        numbers = [f"{values[each]:,.3f}" if name == "ms" else f"{values[each]:,}" for each in networks]
        ratio = f"{values['before'] / values['after']:.2f}x" if values["after"] else ""
        print(" ".join([f"{label:22}", *(f"{number:>15}" for number in numbers), f"{ratio:>8}"]))
    median, least, most = report.speed
    print(f"Speed      {median:.2f} times as fast ({least:.2f} to {most:.2f} over turns in which each runs once)")
    for line in report.folder:
        print(f"Folder     {line}")
    print(f"Outputs differ from the masked network's by {report.compacted.largest_difference:.1e} at most")
    for place, reason in report.compacted.left_alone.items():
        print(f"Left alone {place}: {reason}")
    for path in report.files:
        print(f"Wrote      {path}")
    model = report.notes["model"]
    arguments = ", ".join(f"{name}={value!r}" for name, value in model["arguments"].items())
    make = f"lth.models.MODELS[{model['name']!r}].make" if model["name"] in MODELS else "make"
    print(f"In Python  lth.load_compact({make}({arguments}), {str(report.files[0])!r})")
    if onnx:
        difference = report.onnx_difference
        compared = "onnxruntime is not installed, so it was not run" if difference is None else f"{difference:.1e}"
        print(f"ONNX       difference to PyTorch: {compared}")
