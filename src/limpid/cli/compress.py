"""``limpid compress``: a language model as a compressor, beside gzip, xz and zstd."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limpid.cli import answering
from limpid.core.errors import LimpidError

if TYPE_CHECKING:
    from limpid.inference.compression import Codec

Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]


def compress(
    run: answering.Run,
    file: Annotated[Path, typer.Argument(help="Any file: text, binary, empty.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The compressed file.", show_default=False)],
    verify: Annotated[bool, typer.Option(help="Bring it back at once and compare, before anything is written.")] = True,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the sizes as JSON.")] = False,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16: what probabilities are computed in.")] = "float32",
) -> None:
    """Compress a file, without loss: what the model expects takes few bits.

    The same model is needed to bring it back, and its size is not counted.
    """
    data = readable(file)
    free_place(out, force)
    codec = open_codec(run, dtype)
    began = time.perf_counter()
    with progress("compressing") as told:
        made = codec.compress(data, told)
    seconds = time.perf_counter() - began
    if verify:
        from limpid.inference.compression import container

        with progress("bringing it back") as told:
            codec.decompress(*container.unpack(made.data), told)  # raises where a bit is not the same
    from limpid.core.paths import atomic_write_bytes

    atomic_write_bytes(out, made.data)
    sizes = {"limpid": len(made.data), **others(data)}
    about = {
        "bytes": len(data), "symbols": made.symbols, "plain_bytes": made.plain, "seconds": round(seconds, 3),
        "verified": verify, "sizes": sizes,
    }  # fmt: skip
    if as_json:
        print(json.dumps(about, indent=2))
    else:
        _show(out, about)


def open_codec(run: str, dtype: str) -> Codec:
    """The codec of a run's model."""
    from rich.console import Console

    with Console(stderr=True).status(f"loading {run}"):
        import torch

        from limpid.checkpoint import store
        from limpid.inference.compression import Codec
        from limpid.inference.compression.container import DTYPES
        from limpid.parallel.hardware import keep_memory

        if dtype not in DTYPES:
            raise LimpidError(f"--dtype {dtype}: give one of {', '.join(DTYPES)}.")
        keep_memory()
        checkpoint = store.read(answering.run_path(run))
        mark = store.fingerprint(checkpoint.path)
        return Codec(checkpoint.model.eval(), checkpoint.tokenizer, mark, getattr(torch, dtype))


def others(data: bytes) -> dict[str, int]:
    """What gzip, xz and zstd make of it, each as hard as it can."""
    import gzip
    import lzma

    import pyarrow

    zstd = pyarrow.Codec("zstd", compression_level=22)
    return {
        "gzip -9": len(gzip.compress(data, 9, mtime=0)),
        "xz -9e": len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
        "zstd -22": len(zstd.compress(data, asbytes=True)),
    }


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, which a terminal shows; the function in it is told symbols done and their number."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def readable(file: Path) -> bytes:
    """The whole of a file."""
    if file.is_dir():
        raise LimpidError(f"{file} is a folder; compress a file (tar makes one of a folder).")
    return file.read_bytes()


def free_place(out: Path, force: bool) -> None:
    """Raises LimpidError where a file must not be written."""
    if out.is_dir():
        raise LimpidError(f"{out} is a folder; name the file to write.")
    from limpid.core.paths import check_replaceable

    check_replaceable(out)  # now, not when all is computed
    if out.exists() and not force:
        raise LimpidError(f"{out} is there already; --force writes over it.")


def _show(out: Path, about: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    size = about["bytes"]
    table = Table("", "bytes", "of the file", "bits a byte", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("the file", f"{size:,}", "", "")
    for name, taken in about["sizes"].items():
        share, bits = (f"{taken / size:.1%}", f"{8 * taken / size:.3f}") if size else ("", "")
        table.add_row(name, f"{taken:,}", share, bits)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    plain = f", {about['plain_bytes']:,} of them plain bytes" if about["plain_bytes"] else ""
    same = "brought back and the same to the byte" if about["verified"] else "not brought back (--no-verify)"
    console.print(f"{about['symbols']:,} symbols{plain} in {about['seconds']:.1f} s; {same}.")
    console.print(f"{out} needs this model to be read; the model's size is not counted.", markup=False)
