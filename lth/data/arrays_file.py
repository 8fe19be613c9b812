"""Files of numpy arrays (.npz), read within bounds: a small file cannot take much memory, and no object is made."""

import math
import zipfile
from collections.abc import Container
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lth.config.errors import reason_of

ROOM = 2**30
"""Bytes that the arrays of any file may take."""

RATIO = 100
"""Bytes that they may take beyond it, in multiples of the file's."""


def read_arrays(path: Path, wanted: Container[str] | None = None) -> dict[str, NDArray[np.generic]]:
    """Return the arrays in a file by name; of those that are not wanted the name, with an array of no entries.

    Raises:
        ValueError: if the file is damaged, an array is not of plain numbers, or they take far more than the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {each.filename.removesuffix(".npy"): each for each in archive.infolist()}
            read = {name: each for name, each in members.items() if wanted is None or name in wanted}
            if sum(each.file_size for each in read.values()) > ROOM + RATIO * path.stat().st_size:
                raise ValueError("its arrays take far more memory than so small a file should")
            none: NDArray[np.generic] = np.empty(0)
            return {name: _read(archive, each) if name in read else none for name, each in members.items()}
    except Exception as error:  # of many kinds: of zip, of its compressions, of numpy's header
        raise ValueError(f"{path} cannot be read: {reason_of(error)}") from error


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.generic]:
    with archive.open(member) as file:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read_header(file)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds Python objects, and only plain numbers are read")
        # Before anything is allocated: numpy takes the memory that a header asks for, whatever follows it.
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - file.tell():
            raise ValueError(f"{member.filename} has another size than its header says")
        content = file.read()
    return np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C").copy()
