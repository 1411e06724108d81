"""Every shipped recipe parses, and a wrong key or value is one line that helps."""

import pytest

from limpid.core.errors import LimpidError
from limpid.core.recipe import dumps, load, override, parse, shipped
from limpid.models.model import Model
from limpid.stages.recipe import Recipe
from limpid.stages.skipgram import WordsRecipe

WORDS = "words"  # a recipe of word vectors has no model


@pytest.mark.parametrize("name", sorted(set(shipped()) - {WORDS}))
def test_every_shipped_recipe_parses_and_gives_a_model(name):
    recipe = load(Recipe, name)
    config = recipe.model.config(recipe.tokenizer.vocab_size, Model)
    assert config.n_layer >= 1
    assert config.d_model % 32 == 0
    assert recipe.train.tokens_per_step % config.context == 0


def test_the_recipe_of_word_vectors_parses():
    recipe = load(WordsRecipe, WORDS)
    assert recipe.tokenizer.kind == "word"
    with pytest.raises(LimpidError, match=r"unknown key 'skipgram.windw'. Did you mean 'window'"):
        load(WordsRecipe, WORDS, ["skipgram.windw=3"])


def test_the_recipes_the_readme_speaks_of_are_there():
    assert {"demo", "shakespeare", "shakespeare-bpe", "poems"} <= set(shipped())


def test_a_recipe_saved_and_read_again_is_the_same(tmp_path):
    recipe = load(Recipe, "shakespeare", ["optim.lr=3e-4", "data.path=mine.txt", "train.compile=false"])
    path = tmp_path / "again.toml"
    path.write_text(dumps(recipe), encoding="utf-8")
    assert load(Recipe, str(path)) == recipe
    assert recipe.optim.lr == 3e-4
    assert recipe.data.path == "mine.txt"
    assert recipe.train.compile is False


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("optim.lrr=1", ["unknown key 'optim.lrr'", "Did you mean 'lr'"]),
        ("optm.lr=1", ["unknown key 'optm'", "Did you mean 'optim'"]),
        ("optim.lr=fast", ["'optim.lr' = 'fast'", "valid number"]),
        ("optim.lr=-1", ["'optim.lr' = -1", "greater than 0"]),
        ("model.family=lama", ["model: no model family is called 'lama'", "Did you mean 'llama'"]),
        ("model.preset=gpt-2", ["no preset is called 'gpt-2'", "Did you mean 'gpt2'"]),
        ("model.d_modl=64", ["the llama family has no key 'd_modl'", "Did you mean 'd_model'"]),
        ("model.positions=learned", ["the llama family has no key 'positions'"]),
        ("model.vocab_size=9", ["vocab_size is the tokenizer's"]),
        ("model.n_head=wide", ["'model.n_head' = 'wide'", "valid integer"]),
        ("model.n_kv_head=3", ["n_head 4 must be a multiple of n_kv_head 3"]),
        ("model.d_model=0", ["'model.d_model' = 0", "greater than or equal to 1"]),
        ("model.depth=0", ["depth is 0"]),
        ("train.steps=0", ["'train.steps' = 0"]),
        ("steps=5", ["'steps' is not a recipe key", "section.key=value"]),
        ("nonsense", ["'nonsense' is not an override"]),
        ("tokenizer.kind=words", ["'tokenizer.kind' = 'words'", "'bpe', 'unigram', 'wordpiece', 'word' or 'char'"]),
    ],
)
def test_a_wrong_override_says_what_is_wrong(assignment, words):
    with pytest.raises(LimpidError) as caught:
        load(Recipe, "demo", [assignment])
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(LimpidError, match="no recipe is called 'shakespear'. Did you mean 'shakespeare'"):
        load(Recipe, "shakespear")


def test_recipes_are_frozen():
    recipe = parse(Recipe, override({}, []), "empty")
    with pytest.raises(ValueError, match="frozen"):
        recipe.train = None  # type: ignore[misc, assignment]


def test_the_depth_dial_sets_width_heads_and_feed_forward():
    config = load(Recipe, "demo", {"model.depth": 12, "model.d_model": 768}).model.config(50_000)
    assert (config.n_layer, config.n_head, config.n_kv_head, config.d_ff) == (12, 12, 6, 2048)
