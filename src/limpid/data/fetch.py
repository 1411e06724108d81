"""Fetching the catalogue's files: resumed after a cut, checked against their digest, put in place in one step."""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import http.client
import io
import os
import re
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from limpid.core.errors import LimpidError
from limpid.core.paths import RunLock, describe_os_error, ensure_directory
from limpid.data.catalogue import Entry, RemoteFile, download_folder

Progress = Callable[[RemoteFile, int, int | None], None]
"""Called with the file, the bytes that have come so far, and how many there will be (None: the server does not say)."""

TIMEOUT_SECONDS = 30.0
ATTEMPTS = 3
"""How often one file is taken up again after a cut connection before the user is asked to."""
MOST_UNPACKED = 100
"""Texts shrink to a fifth; a small archive that becomes a hundred times as large is made to fill a disk."""


class _Cut(Exception):
    """The connection ended early; what came is kept in the ``.part`` file."""


class _TooLarge(Exception):
    """An archive holds more than it may."""


def is_fetched(entry: Entry) -> bool:
    """Whether `fetch` has nothing left to do: all files are there, with the right size where it is known."""
    return all(_is_whole(file, download_folder() / file.path) for file in entry.files)


def _is_whole(file: RemoteFile, path: Path) -> bool:
    return path.is_file() and (file.bytes is None or path.stat().st_size == file.bytes)


def fetch(entry: Entry, progress: Progress | None = None) -> list[Path]:
    """Bring the entry's files into `download_folder()` and return their paths; files that are there stay.

    A cut download is kept as ``NAME.part`` and resumed (HTTP Range), now or in the next call. A file whose digest or
    size is wrong is removed. Raises LimpidError (no network, no such address, wrong digest, full disk).
    """
    folder = download_folder()
    paths = [folder / file.path for file in entry.files]
    missing = [(file, path) for file, path in zip(entry.files, paths, strict=True) if not _is_whole(file, path)]
    if missing:
        with RunLock(folder):
            for file, path in missing:
                _fetch_file(entry, file, path, progress or (lambda *_: None))
    return paths


def _fetch_file(entry: Entry, file: RemoteFile, path: Path, progress: Progress) -> None:
    ensure_directory(path.parent)
    part = path.with_name(path.name + (".gz" if file.gzipped else "") + ".part")
    try:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                _download(file, part, progress)
                break
            except _Cut as err:
                if attempt == ATTEMPTS:
                    size = part.stat().st_size if part.exists() else 0
                    raise LimpidError(
                        f"The connection to {file.url} was cut after {size:,} bytes ({err}): "
                        f"run 'limpid data fetch {entry.name}' again; it goes on from there."
                    ) from err
        _put_in_place(file, part, path)
    except urllib.error.HTTPError as err:
        raise LimpidError(f"{file.url} answered {err.code} {err.reason}. {_by_hand(file, path)}") from err
    except urllib.error.URLError as err:
        raise LimpidError(f"Cannot reach {file.url} ({err.reason}). {_by_hand(file, path)}") from err
    except OSError as err:
        raise describe_os_error(err, path) from err


def _by_hand(file: RemoteFile, path: Path) -> str:
    unpack = " and gunzip it" if file.gzipped else ""
    if file.table is not None:
        unpack += f", make it a tab-separated table (columns: {', '.join(file.table.columns)})"
    return f"Download it elsewhere{unpack}, put it at {path}, or give a text of your own with data.path=."


def _download(file: RemoteFile, part: Path, progress: Progress) -> None:
    """Bring `part` to its full length. Raises _Cut when the connection ends before that."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(file.url, headers={"User-Agent": "limpid", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as err:
        with err:
            if err.code != 416:  # 416: there is nothing after what we have
                raise
            total = re.fullmatch(r"bytes \*/(\d+)", err.headers.get("Content-Range", ""))
        if total is None or int(total[1]) != have:
            part.unlink()
            raise _Cut("the kept part does not fit; it was dropped") from err
        return
    except (ConnectionError, TimeoutError, http.client.HTTPException) as err:
        raise _Cut(err) from err
    with response:
        resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        have = have if resumed else 0  # a server without Range sends it all again
        length = response.headers.get("Content-Length")
        total_bytes = have + int(length) if length and length.isdigit() else None
        with open(part, "ab" if resumed else "wb") as out:
            progress(file, have, total_bytes)
            while True:
                try:
                    block = response.read(1 << 16)
                except (ConnectionError, TimeoutError, http.client.HTTPException) as err:
                    raise _Cut(err) from err
                if not block:
                    break
                out.write(block)
                have += len(block)
                progress(file, have, total_bytes)
            out.flush()
            os.fsync(out.fileno())
    if total_bytes is not None and have < total_bytes:
        raise _Cut(f"of {total_bytes:,}")


def _put_in_place(file: RemoteFile, part: Path, path: Path) -> None:
    """Unpack `part` and make it a table if need be, check it, and rename it to `path`; a wrong one is removed."""
    made: list[Path] = []
    whole = part
    try:
        try:
            if file.gzipped:
                made.append(part.with_name(part.name + ".unpacked"))
                with gzip.open(part) as packed:
                    _write(made[-1], packed, _most_unpacked(file, part))
                whole = made[-1]
            if file.table is not None:
                made.append(part.with_name(part.name + ".table"))
                _write(made[-1], io.BytesIO(file.table.converted(whole.read_bytes())))
                whole = made[-1]
        except (_TooLarge, gzip.BadGzipFile, EOFError, zlib.error) as err:
            part.unlink()
            raise LimpidError(
                f"{file.url} did not give the gzip file that it should ({err}): it was removed; try again."
            ) from err
        except (ValueError, csv.Error) as err:
            part.unlink()
            raise LimpidError(
                f"{file.url} is not the table it should be ({err}): it was removed; try again, perhaps later."
            ) from err
        digest = hashlib.sha256()
        with open(whole, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        size = whole.stat().st_size
        if file.sha256 is not None and digest.hexdigest() != file.sha256:
            wrong = f"sha256 {digest.hexdigest()} instead of {file.sha256}"
        elif file.bytes is not None and size != file.bytes:
            wrong = f"{size:,} bytes instead of {file.bytes:,}"
        else:
            os.replace(whole, path)
            return
        part.unlink(missing_ok=True)
        raise LimpidError(
            f"{file.url} is not the file it should be ({wrong}): it was removed; try again, perhaps later."
        )
    finally:
        for between in made:
            between.unlink(missing_ok=True)
        if path.exists():
            with contextlib.suppress(FileNotFoundError):
                part.unlink()


def _most_unpacked(file: RemoteFile, part: Path) -> int:
    """Bytes that an archive may become: what it is known to hold, else `MOST_UNPACKED` times what came."""
    if file.bytes is not None and file.table is None:
        return file.bytes
    return MOST_UNPACKED * part.stat().st_size


def _write(path: Path, stream: IO[bytes] | gzip.GzipFile, most: int | None = None) -> None:
    with open(path, "wb") as out:
        while block := stream.read(1 << 20):
            if most is not None and out.tell() + len(block) > most:
                raise _TooLarge(f"it holds more than {most:,} bytes")
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
