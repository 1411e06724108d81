"""Answers of a schema, whatever the model would rather say; judged by jsonschema."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import torch
from tests.conftest import TEXTS, random_llama

from limpid.core.errors import LimpidError
from limpid.inference.engine import Engine
from limpid.inference.grammar import SCHEMA_BYTES, JsonGrammars
from limpid.inference.request import Request
from limpid.inference.sampler import Sampling
from limpid.inference.weights import inference_copy
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 6},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "mood": {"enum": ["glad", "安静", "🙂"]},
        "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
    },
    "required": ["name", "age", "mood", "tags"],
    "additionalProperties": False,
}
TREE = {"type": "array", "items": {"$ref": "#"}, "maxItems": 3}
ALPHABET = [*TEXTS, '{}[]":, 0123456789 abcdefghijklmnopqrstuvwxyz 安静 \\']
KINDS: list[dict[str, Any]] = [
    {"kind": "bpe", "vocab_size": 340}, {"kind": "char"}, {"kind": "unigram", "vocab_size": 280},
]  # fmt: skip


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind["kind"])
def vocabulary(request: pytest.FixtureRequest) -> Tokenizer:
    return train(TokenizerSection(**request.param), ALPHABET, exact=False)


def engine_of(tokenizer: Tokenizer) -> Engine:
    return Engine(inference_copy(random_llama(vocab_size=tokenizer.vocab_size, context=512), torch.float32))


def finished(engine: Engine, *requests: Request) -> None:
    while not all(request.ended for request in requests):
        engine.step()


@pytest.mark.parametrize("schema", [PERSON, TREE], ids=["person", "tree"])
def test_a_schema_is_kept(vocabulary: Tokenizer, schema: dict[str, Any]) -> None:
    mask = JsonGrammars(vocabulary, vocabulary.chat_stops).compile(schema)
    engine = engine_of(vocabulary)
    stops = vocabulary.chat_stops
    asked = [
        engine.submit([5, 17], Sampling(temperature=1, seed=seed, max_tokens=400), stop_ids=stops, mask=mask.copy())
        for seed in range(6)
    ]
    finished(engine, *asked)
    said = set()
    for request in asked:
        text = vocabulary.decode(request.said)
        said.add(text)
        if request.said[-1] in stops:
            jsonschema.validate(json.loads(text), schema)
        else:
            assert schema is TREE  # which may go on for ever
    assert len(said) > 1


def test_neighbours_without_a_mask_are_left_alone(tokenizer: Tokenizer) -> None:
    engine = engine_of(tokenizer)
    sampling = Sampling(temperature=1, seed=3, max_tokens=20)
    alone = engine.submit([7, 8], sampling)
    finished(engine, alone)
    mask = JsonGrammars(tokenizer, tokenizer.chat_stops).compile({"enum": ["abc"]})
    masked = engine.submit([7, 9], sampling, stop_ids=tokenizer.chat_stops, mask=mask)
    beside = engine.submit([7, 8], sampling)
    finished(engine, masked, beside)
    assert beside.said == alone.said
    assert tokenizer.decode(masked.said) == '"abc"'


def test_probabilities_are_the_models_own_and_those_it_was_drawn_from(tokenizer: Tokenizer) -> None:
    engine = engine_of(tokenizer)
    mask = JsonGrammars(tokenizer, tokenizer.chat_stops).compile({"enum": ["abc"]})
    request = engine.submit([7], Sampling(temperature=1, seed=0, max_tokens=1, alternatives=3), mask=mask)
    (event,) = engine.step()
    own = engine.logits([7])[-1].log_softmax(-1)
    assert event.logprob == pytest.approx(float(own[event.token_id]), abs=1e-4)
    assert event.sampled_logprob > event.logprob  # few tokens were left
    assert [token for token, _ in event.alternatives] == own.topk(3).indices.tolist()
    assert request.ended


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "poem"},
        {"$ref": "http://127.0.0.1:1/schema"},
        {"type": "string", "pattern": "("},
        {"type": "string", "pattern": "(?=a)b"},
        {"not": {}},
        {"enum": ["x" * SCHEMA_BYTES]},
        False,
    ],
    ids=lambda schema: str(schema)[:30],
)
def test_schemas_that_cannot_be_kept_are_refused(tokenizer: Tokenizer, schema: Any) -> None:
    with pytest.raises(LimpidError, match="schema"):
        JsonGrammars(tokenizer, tokenizer.chat_stops).compile(schema)


def test_a_vocabulary_that_cannot_write_json_says_so(char_tokenizer: Tokenizer) -> None:
    with pytest.raises(LimpidError, match=r"vocabulary lacks \{ \}"):
        JsonGrammars(char_tokenizer, char_tokenizer.chat_stops).compile({"type": "object"})
