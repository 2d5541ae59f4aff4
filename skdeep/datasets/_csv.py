"""Text files: decompressed, decoded and split into rows of cells with line numbers."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

LONGEST_QUOTE = 100  # number of characters of a line that an error message quotes

# UTF-32 before UTF-16: its little-endian mark begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class CsvRow(NamedTuple):
    """The cells of one record, and the number of its first line, counted from 1."""

    line: int
    cells: list[str]


class TextFile:
    """The lines of a file, which may be compressed.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file, or it is a folder.
    ValueError
        If it cannot be read as text.
    """

    def __init__(self, path: Path):
        self.name = repr(str(path))
        data = _unpack(_read_bytes(path), self.name)
        self.encoding = _choose_encoding(data)
        text = data.decode(self.encoding, errors="replace")
        if not text.strip():
            raise ValueError(f"{self.name} is empty.")
        # Universal newlines. str.splitlines would also split at form feeds and similar
        # characters, and line numbers would differ from those of an editor.
        self.lines = list(io.StringIO(text, newline=None))

    def error(self, line: int, problem: str, date: str = "") -> ValueError:
        """Return an error that names a line and the problem, and quotes the line."""
        content = self.lines[line - 1].rstrip("\n")
        if len(content) > LONGEST_QUOTE:
            content = content[:LONGEST_QUOTE] + "..."
        where = f"{self.name}, line {line}" + (f", {date}" if date else "")
        return ValueError(f"{where}: {problem} The line reads: {content!r}")

    def split(self, sep: str, n_lines: int | None = None) -> list[CsvRow]:
        """Split the lines into cells, without rows whose cells are all empty.

        Parameters
        ----------
        sep : str
            The character between two cells.
        n_lines : int or None
            Number of lines to read; None reads all.
        """
        if len(sep) != 1 or sep in '\r\n"':
            raise ValueError(f"sep must be a single character, got {sep!r}.")
        reader = csv.reader(self.lines[:n_lines], delimiter=sep, skipinitialspace=True)
        rows, start = [], 1
        try:
            for cells in reader:
                rows.append(CsvRow(start, [cell.strip() for cell in cells]))
                start = reader.line_num + 1
        except csv.Error as error:
            raise self.error(start, f"the line is not CSV: {error}.") from error
        return [row for row in rows if any(row.cells)]


def _read_bytes(path: Path) -> bytes:
    name = repr(str(path))
    try:
        if not path.exists():
            raise FileNotFoundError(f"There is no file {name}.")
        if path.is_dir():
            raise IsADirectoryError(f"{name} is a folder, not a CSV file of prices.")
        if not path.is_file():  # reading a device may never end
            raise ValueError(f"{name} is not a regular file.")
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"ticker={name} cannot be read: {reason}.") from error


def _unpack(data: bytes, name: str) -> bytes:
    """Decompress gzip, bzip2, xz and zip, recognized by their first bytes."""
    unpackers = {
        b"\x1f\x8b": gzip.decompress,
        b"BZh": bz2.decompress,
        b"\xfd7zXZ": lzma.decompress,
        b"PK\x03\x04": lambda data: _unzip(data, name),
    }
    for start, unpack in unpackers.items():
        if data.startswith(start):
            try:
                return unpack(data)
            except (OSError, EOFError, RuntimeError, zlib.error) as error:
                raise ValueError(f"{name} cannot be unpacked: {error}.") from error
            except (lzma.LZMAError, zipfile.BadZipFile) as error:
                raise ValueError(f"{name} cannot be unpacked: {error}.") from error
    return data


def _unzip(data: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        files = [file for file in files if not file.startswith("__MACOSX/")]
        if "xl/workbook.xml" in files:
            raise ValueError(f"{name} is an Excel workbook; save it as a CSV file.")
        if len(files) != 1:
            raise ValueError(
                f"{name} holds {len(files)} files ({', '.join(files[:5])}); unpack it "
                "and pass the path of one of them."
            )
        return archive.read(files[0])


def _choose_encoding(data: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    if b"\0" in data[:4]:  # ASCII characters in two bytes each, without a mark
        return "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
