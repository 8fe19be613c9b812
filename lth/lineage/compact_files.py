"""A compact network in files: safetensors with the plan to load it by, JSON to read, and ONNX for other runtimes.

The original class, made anew, takes the compact shape by the plan and its values from the file. `torch.export.save` is
not used: its archives hold pickles, and nothing here is ever unpickled.
"""

import hashlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lth.config.json_text import parse_json
from lth.lineage.files import json_to_bytes, state_digest, write_file
from lth.lineage.provenance import environment
from lth.sparsity.compact import Compacted, Cut, apply_cut
from lth.sparsity.compact.tape import tensors_in

FORMAT = "lth.compact-file/2"
NAMES = ("compact.safetensors", "compact.json", "compact.onnx")

ONNX_TOLERANCE = 1e-5


def save_compact(compacted: Compacted, folder: Path, notes: Mapping[str, Any] | None = None) -> list[Path]:
    """Write `compact.safetensors`, weights with the document in its metadata, and `compact.json`, the document alone.

    The document holds the plan, the layers with their sizes, the shape of each tensor, a digest of all, what was left
    alone and why, and the environment.

    Args:
        compacted: what `compact` gave.
        folder: where to; made if need be.
        notes: further JSON values for the document, such as the model's name and what was measured.
    Returns:
        The files' paths.
    Raises:
        StoreError: if they cannot be written.
    """
    state = {name: value.detach().cpu().contiguous().clone() for name, value in compacted.module.state_dict().items()}
    document = {
        "format": FORMAT,
        **(notes or {}),
        "layers": {
            path: f"{layer}"
            for path, layer in compacted.module.named_modules()
            if not any(True for _ in layer.children())
        },
        "shapes": {name: list(value.shape) for name, value in state.items()},
        "digest": state_digest(state),
        "largest_difference": compacted.largest_difference,
        "left_alone": compacted.left_alone,
        "environment": environment(),
        "plan": compacted.cut.model_dump(mode="json"),
    }
    weights, readable = (folder / name for name in NAMES[:2])
    text = json.dumps(document, allow_nan=False)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    write_file(weights, save(state, {"compact": f"{checksum}\n{text}"}))
    write_file(readable, json_to_bytes(document))
    return [weights, readable]


def load_compact(module: nn.Module, path: Path | str) -> nn.Module:
    """Return the compact network in a file, in evaluation mode.

    Args:
        module: a network of the original architecture, such as the original's factory makes; it is left as it is.
        path: `compact.safetensors`, or the folder that it lies in.
    Raises:
        ValueError: if the file is missing, damaged or no compact network, or belongs to another architecture.

    Example:
        >>> network = load_compact(LeNet300100(), Path("out/compact.safetensors"))  # doctest: +SKIP
    """
    path = Path(path) / NAMES[0] if Path(path).is_dir() else Path(path)
    document, state = read_compact(path)
    try:
        cut = Cut.model_validate(document["plan"])
    except (KeyError, ValidationError) as error:
        raise ValueError(f"{path} holds no plan that this lth reads: update lth, or make the file anew") from error
    small = apply_cut(module, cut)
    try:
        small.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"{path} is for another architecture ({' '.join(str(error).split())}): give a fresh module of the class "
            "and arguments that the compact network was made from"
        ) from error
    return small.eval()


def read_compact(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the document and the weights in a file.

    Raises:
        ValueError: if it is missing, damaged or no compact network.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get("compact")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {path}") from error
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no whole safetensors file ({error}): copy it again, or make it anew") from error
    if text is None:
        raise ValueError(f"{path} is a safetensors file, but no compact network: `lth compact` writes such")
    checksum, _, content = text.rpartition("\n")
    if hashlib.sha256(content.encode()).hexdigest() != checksum:
        raise ValueError(
            f"{path}: its plan does not give its checksum: the file was altered or damaged, or is of an older lth; "
            "make it anew"
        )
    document: dict[str, Any] = parse_json(content)
    if document.get("format") != FORMAT:
        raise ValueError(f"{path} has format {document.get('format')!r}; this lth reads {FORMAT!r}: update lth")
    if state_digest(state) != document["digest"]:
        raise ValueError(f"{path}: the weights do not give their digest: the file was altered or damaged")
    return document, state


def export_onnx(module: nn.Module, example: tuple[Tensor, ...], path: Path) -> float | None:
    """Write a network as ONNX, for any number of examples; return the largest difference that onnxruntime finds.

    Args:
        module: in evaluation mode, on the CPU.
        example: inputs of two examples or more, examples along the first axis of each.
        path: the file to write, weights included.
    Returns:
        The largest difference of outputs to PyTorch's on the example; None if onnxruntime is not installed.
    Raises:
        ValueError: if a package is missing, PyTorch cannot export the network, or the difference is over 1e-5 (for
            outputs of size one; in proportion for larger ones).
        StoreError: if the file cannot be written.
    """
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ValueError(f"ONNX export needs {' and '.join(missing)}: pip install onnx onnxscript")
    names = [f"input{index}" for index in range(len(example))] if len(example) > 1 else ["input"]
    with _quiet():
        try:
            program = torch.onnx.export(
                module, example, input_names=names, dynamo=True, dynamic_shapes=({0: "batch"},) * len(example),
                verbose=False,
            )  # fmt: skip
        except Exception as error:  # whatever the exporter stumbles over
            reason = str(error).strip().splitlines()[:1]
            raise ValueError(
                f"PyTorch cannot export this network to ONNX ({type(error).__name__}: {' '.join(reason)}): leave ONNX "
                "out, or write its forward so that torch.export can follow it"
            ) from error
    assert program is not None
    content = program.model_proto.SerializeToString()
    difference = _difference_to_onnxruntime(module, example, content)
    write_file(path, content)
    return difference


def _difference_to_onnxruntime(module: nn.Module, example: tuple[Tensor, ...], content: bytes) -> float | None:
    if find_spec("onnxruntime") is None:
        return None
    onnxruntime: Any = import_module("onnxruntime")  # it has no types
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    feed = {given.name: tensor.numpy() for given, tensor in zip(session.get_inputs(), example, strict=True)}
    actual = torch.from_numpy(session.run(None, feed)[0])
    with torch.no_grad():
        outputs = module(*example)
    expected = next(tensors_in(outputs))
    difference = float((actual - expected).abs().max())
    if not difference <= ONNX_TOLERANCE * max(1.0, expected.abs().max().item()):
        raise ValueError(
            f"onnxruntime's outputs differ by {difference:.2g} from PyTorch's, so nothing was written: leave ONNX out"
        )
    return difference


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says of itself on the way; errors still arrive."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
