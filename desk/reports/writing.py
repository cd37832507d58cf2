"""From a document to files: reproducible bytes, each file whole or not at all."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from desk.reports.blocks import Chart, Document, Map
from settings import ConfigError, os_problem
from wholefile import whole_file

FORMATS = ("docx", "xlsx", "html")


def formats_of(text: str) -> tuple[str, ...]:
    """ "docx,html" -> their names, each once. Raises ConfigError."""
    found = tuple(dict.fromkeys(f.strip().lower() for f in text.split(",") if f.strip()))
    wrong = [f for f in found if f not in FORMATS]
    if wrong or not found:
        raise ConfigError(f"--format {text[:40]}: есть {', '.join(FORMATS)}; назовите нужные через запятую")
    return found


def check_folder(folder: Path, names: Sequence[str], force: bool) -> None:
    """Say beforehand what would fail: counting takes time. Makes the folder. Raises ConfigError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        problem = "такой файл уже есть" if isinstance(e, FileExistsError) else os_problem(e)
        raise ConfigError(f"{folder}: каталог не создаётся ({problem}); укажите другой в -o") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder}: в каталог нельзя писать (нет прав); укажите другой в -o")
    for name in names:
        path = folder / name
        if path.is_dir():
            raise ConfigError(f"{path}: это каталог; уберите его или укажите другое место в -o")
        if path.exists() and not force:
            raise ConfigError(f"{path}: файл уже есть; добавьте --force или укажите другое место в -o")


def render(document: Document, formats: Sequence[str]) -> dict[str, bytes]:
    """File name -> bytes. The same document gives the same bytes."""
    pictures = draw(document)
    return {f"{document.name}.{f}": _write(f)(document, pictures) for f in formats}


def draw(document: Document) -> dict[str, bytes]:
    """Every chart and map as PNG, by name."""
    from desk.reports.pictures import chart_png, map_png

    found = {}
    for block in document.blocks:
        if isinstance(block, Chart):
            found[block.name] = chart_png(block)
        elif isinstance(block, Map):
            found[block.name] = map_png(block)
    return found


def _write(kind: str) -> Callable[[Document, Mapping[str, bytes]], bytes]:
    if kind == "html":
        from desk.reports import page

        return page.write
    if kind == "docx":
        from desk.reports import word

        return lambda d, p: same_zip(word.write(d, p))
    from desk.reports import workbook

    return lambda d, p: same_zip(workbook.write(d, p))


def same_zip(data: bytes) -> bytes:
    """The same ZIP without the time at which its parts were written."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            info = zipfile.ZipInfo(entry.filename, (1980, 1, 1, 0, 0, 0))
            info.compress_type, info.external_attr, info.create_system = zipfile.ZIP_DEFLATED, 0o600 << 16, 3
            new.writestr(info, old.read(entry), compresslevel=6)
    return out.getvalue()


def save(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write every file beside its name first, then give all of them their names. Raises ConfigError."""
    try:
        with ExitStack() as ready:
            for name, data in files.items():
                file = ready.enter_context(whole_file(folder / name, mode=None))
                file.write(data)
                file.flush()  # a full disk is met before any of them has its name
                os.fsync(file.fileno())
        return [folder / name for name in files]
    except OSError as e:
        raise ConfigError(f"{folder}: отчёт не записан ({os_problem(e)}); проверьте место и права") from None
