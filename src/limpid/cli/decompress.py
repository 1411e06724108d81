"""``limpid decompress``: the very bytes that `limpid compress` was given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limpid.cli import answering
from limpid.cli.compress import Force, free_place, open_codec, progress, readable
from limpid.core.errors import LimpidError


def decompress(
    run: answering.Run,
    file: Annotated[Path, typer.Argument(help="What compress wrote.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The file to write.", show_default=False)],
    force: Force = False,
) -> None:
    """Bring back a file that compress made, with the same model; nothing is written unless every byte is the same."""
    from limpid.inference.compression import container

    data = readable(file)
    free_place(out, force)
    try:
        header, payload = container.unpack(data)
        codec = open_codec(run, header.dtype)
        with progress("bringing it back") as told:
            found = codec.decompress(header, payload, told)
    except LimpidError as error:
        raise LimpidError(f"{file}: {error}") from None
    from limpid.core.paths import atomic_write_bytes

    atomic_write_bytes(out, found)
    print(f"{out}: {len(found):,} bytes, the same as went in")
