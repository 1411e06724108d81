"""How far limpid's numbers are from others': every family against transformers, and run.py against torch.

    python -m bench.parity

Tiny models of random weights, float32: transformers saves one, limpid imports it, and both are asked for the logits of
48 random tokens. The same models are then exported as two files, and NumPy is asked.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from tests.checkpoint.conftest import randomise, save_tokenizer
from tests.checkpoint.hugging_face.test_import import MODELS, TIGHT

from bench.report import Row, arguments, show, single
from limpid.checkpoint.parity import logits
from limpid.checkpoint.store import read
from limpid.core.errors import LimpidError
from limpid.stages.export_model import export_model
from limpid.stages.import_model import import_model


def main() -> None:
    args = arguments(__doc__ and __doc__.splitlines()[0]).parse_args()
    rows = [row for name in MODELS for row in measure(name)]
    show("Parity of logits", rows, as_json=args.json)


def measure(name: str) -> list[Row]:
    """The largest absolute differences of two logits for one architecture."""
    theirs = randomise(MODELS[name]())
    with torch.no_grad():
        theirs.get_output_embeddings().weight.mul_(0.5)  # logits of a deviation of about one
    with tempfile.TemporaryDirectory() as place:
        folder, run, two = Path(place, "theirs"), Path(place, "run"), Path(place, "two")
        theirs.save_pretrained(folder)
        save_tokenizer(folder)
        import_model(str(folder), run)
        ids = torch.randint(320, (48,), generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = theirs(ids[None]).logits[0].numpy()
        found = logits(read(run).model.eval(), ids.tolist())
        bound = 1e-5 if name.startswith(TIGHT) else 1e-4
        rows = [
            single(f"{name}: logits, transformers", "max abs", float(np.abs(found - expected).max()), at_most=bound)
        ]
        try:
            (result,) = export_model(run, two, "two-files")
        except LimpidError:  # run.py does not know every part
            return rows
        return [*rows, single(f"{name}: logits, run.py", "max abs", result.difference, at_most=1e-4)]


if __name__ == "__main__":
    main()
