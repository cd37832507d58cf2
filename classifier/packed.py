"""Reading a model's files as if a stranger had sent them: plain numbers of a bounded size, or ValueError.

Nothing is unpickled, no size that a file claims is believed before it is checked, nothing outside the folder is read.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

MAX_FILE = 64_000_000
MAX_UNPACKED = 256_000_000
MAX_META = 16_000_000
_MAX_ARRAYS = 64
_NAME = re.compile(r"([a-z][a-z0-9_]{0,40})\.npy")


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` by name: numbers only, all finite. Raises ValueError, OSError."""
    if path.stat().st_size > MAX_FILE:
        raise ValueError("the file is too large")
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > _MAX_ARRAYS or sum(i.file_size for i in infos) > MAX_UNPACKED:
                raise ValueError("too much inside")
            found = {}
            for info in infos:
                name = _NAME.fullmatch(info.filename)
                if name is None or name.group(1) in found:
                    raise ValueError("a strange name inside")
                found[name.group(1)] = _array(archive.read(info))
            return found
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as e:
        raise ValueError(f"not an archive of arrays ({type(e).__name__})") from None


def _array(data: bytes) -> np.ndarray:
    """One `.npy`, whose claimed shape must be exactly what it holds."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array of another format")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject or dtype.kind not in "iufb" or len(shape) > 2 or any(n < 0 for n in shape):
        raise ValueError("not an array of numbers")
    rest = data[stream.tell() :]
    size = dtype.itemsize
    for n in shape:
        size *= n
    if size != len(rest):
        raise ValueError("an array of another size")
    found = np.frombuffer(rest, dtype).reshape(shape, order="F" if fortran else "C")
    if dtype.kind == "f" and not np.isfinite(found).all():
        raise ValueError("not a number in an array")
    return found


def meta(path: Path) -> dict[str, Any]:
    """The facts of a model as a dict. Raises ValueError, OSError."""
    with path.open("rb") as file:
        data = file.read(MAX_META + 1)
    if len(data) > MAX_META:
        raise ValueError("the file is too large")
    try:
        found = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found
