"""How files and data sets name their splits."""

from __future__ import annotations

from limpid.data.document import Split

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
}
