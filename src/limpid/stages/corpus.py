"""A recipe's text made ready: splits -> tokenizer -> token stores, each made once and found again."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

from limpid.core.errors import LimpidError
from limpid.core.paths import atomic_write_text
from limpid.data import token_store
from limpid.data.corpus import resolve
from limpid.data.document import Document, Split
from limpid.data.token_store import TokenStore
from limpid.parallel.environment import World
from limpid.stages.recipe import Recipe
from limpid.text.tokenizer import Tokenizer, train

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def splits(recipe: Recipe) -> dict[Split, Iterable[Document]]:
    """The documents that ``data.path`` means."""
    return resolve(recipe.data.path, text_key=recipe.data.text_key or "text")


def tokenizer_for(recipe: Recipe, path: Path) -> Tokenizer:
    """The tokenizer at ``path``, or one learnt from the training text and saved there."""
    if path.exists():
        return Tokenizer.load(path)
    tokenizer = train(recipe.tokenizer, (document.text for document in splits(recipe)["train"]))
    atomic_write_text(path, tokenizer.to_json())
    return tokenizer


def stores_for(recipe: Recipe, tokenizer: Tokenizer, folder: Path, world: World) -> dict[Split, TokenStore]:
    """Token stores of all splits in ``folder``; a split that is whole there already is only opened.

    Of several processes the leader makes them, the others wait and open them.
    """
    if not world.leads:
        world.wait()
    stores = _open_or_write(recipe, tokenizer, folder)
    if world.leads:
        world.wait()
    return stores


def stores_of_line(
    recipe: Recipe, tokenizer: Tokenizer, folder: Path, source: Path, world: World
) -> dict[Split, TokenStore]:
    """As `stores_for`, but where the run of checkpoint ``source`` read the same text, the stores that lie there."""
    before = source.parent.parent
    try:
        same = tomllib.loads((before / "recipe.toml").read_text(encoding="utf-8")).get(
            "data"
        ) == recipe.data.model_dump(exclude_none=True)
    except (OSError, tomllib.TOMLDecodeError):
        same = False
    whole = same and all(token_store.exists(before / "tokens" / f"{s}.bin", tokenizer) for s in SPLITS)
    return stores_for(recipe, tokenizer, before / "tokens" if whole else folder, world)


def test_split(stores: dict[Split, TokenStore]) -> tuple[str, TokenStore]:
    """(name, store) of the text a stage is finally measured on: the test split, or validation where there is none."""
    if len(stores["test"].ids) > 1:
        return "test bits per byte", stores["test"]
    return "validation bits per byte", stores["validation"]


def _open_or_write(recipe: Recipe, tokenizer: Tokenizer, folder: Path) -> dict[Split, TokenStore]:
    documents = None
    stores: dict[Split, TokenStore] = {}
    for split in SPLITS:
        path = folder / f"{split}.bin"
        if token_store.exists(path, tokenizer):
            stores[split] = token_store.open_store(path, tokenizer)
            continue
        documents = documents or splits(recipe)
        stores[split] = token_store.write(path, tokenizer, documents.get(split, ()))
    if len(stores["validation"].ids) < 2:
        raise LimpidError(f"data.path = {recipe.data.path} leaves no validation text; bring more text.")
    return stores
