"""Bytes to text: strict UTF-8 in blocks, with the place of whatever is wrong in the error."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from limpid.core.errors import LimpidError
from limpid.core.paths import describe_os_error

BLOCK_BYTES = 1 << 20


def text_blocks(file: Path) -> Iterator[str]:
    r"""The text of `file` in blocks of about 1 MiB: UTF-8, no byte-order mark, ``\r\n`` as ``\n``."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset, line = 0, 1  # of the block's first byte: position from 0, line from 1
    at_start = True
    carried = ""  # a "\r" whose "\n" may open the next block
    try:
        with gzip.open(file, "rb") if file.name.lower().endswith(".gz") else open(file, "rb") as stream:
            while True:
                block = stream.read(BLOCK_BYTES)
                pending = decoder.getstate()[0]
                try:
                    text = decoder.decode(block, final=not block)
                except UnicodeDecodeError as err:
                    raise _not_utf8(file, pending + block, offset - len(pending), line, err) from err
                if (nul := block.find(b"\0")) >= 0:
                    raise LimpidError(
                        f"{file} is a binary file (a NUL byte at position {offset + nul:,}): give a text file, "
                        "in UTF-8 (UTF-16 can be turned into it with: iconv -f utf-16 -t utf-8)."
                    )
                if text and at_start:
                    text, at_start = text.removeprefix("\ufeff"), False
                offset += len(block)
                line += block.count(b"\n")
                text, carried = carried + text, ""
                if block and text.endswith("\r"):
                    text, carried = text[:-1], "\r"
                if text:
                    yield text.replace("\r\n", "\n")
                if not block:
                    return
    except (EOFError, zlib.error, gzip.BadGzipFile) as err:
        raise LimpidError(f"{file} is not a whole gzip file ({err}): fetch or make it again.") from err
    except OSError as err:
        raise describe_os_error(err, file) from err


def _not_utf8(file: Path, data: bytes, start: int, line: int, err: UnicodeDecodeError) -> LimpidError:
    """`data` begins at byte `start` of the file, in line `line`; `err` counts from there."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") and start == 0:
        return LimpidError(f"{file} is UTF-16, not UTF-8: convert it with: iconv -f utf-16 -t utf-8 {file} > NEW")
    sample = data[max(0, err.start - 2048) : err.start + 2048]
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in sample)
    if b"\0" in sample or controls > len(sample) // 20:
        return LimpidError(
            f"{file} is a binary file (from byte {start + err.start:,} on it is no text): give a text file."
        )
    line += data.count(b"\n", 0, err.start)
    where = f"byte {start + err.start:,} (line {line:,})"
    return LimpidError(
        f"{file} is not valid UTF-8 at {where}, value 0x{data[err.start]:02x}: "
        "convert it with: iconv -f ENCODING -t utf-8 (Chinese files are often gb18030 or big5)."
    )


def lines(file: Path) -> Iterator[str]:
    r"""The lines of `file`, each with its ``\n`` (the last may lack it). Only ``\n`` ends a line, as JSONL wants."""
    rest: list[str] = []
    for block in text_blocks(file):
        pieces = block.split("\n")
        for piece in pieces[:-1]:
            yield "".join(rest) + piece + "\n"
            rest.clear()
        rest.append(pieces[-1])
    if last := "".join(rest):
        yield last
