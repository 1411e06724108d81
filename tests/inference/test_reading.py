from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.conftest import random_llama
from tests.models.encoder_decoders import random_transformer

from limpid.inference.engine import SCORED_TOKENS, Engine
from limpid.inference.reading import embed, read_tokens
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder

IDS = [5, 17, 40, 9, 100, 200, 3]


def reading(model: Decoder) -> Engine:
    return Engine(inference_copy(model, torch.float32))


def test_each_token_has_the_probability_that_the_text_before_it_gave() -> None:
    model = random_llama(context=512)
    ids = IDS * 50  # more places than are looked at at once
    read = read_tokens(reading(model), ids, 3)
    assert [token.token_id for token in read] == ids
    assert (read[0].logprob, read[0].alternatives) == (None, [])
    for place in (1, 2, SCORED_TOKENS - 1, SCORED_TOKENS, SCORED_TOKENS + 1, len(ids) - 1):
        with torch.no_grad():
            own = model.head(model(torch.tensor([ids[:place]])))[0, -1].log_softmax(-1)
        assert read[place].logprob == pytest.approx(float(own[ids[place]]), abs=1e-4)
        best = own.topk(3)
        assert [token for token, _ in read[place].alternatives] == best.indices.tolist()
        np.testing.assert_allclose([p for _, p in read[place].alternatives], best.values.exp(), atol=1e-4)


def test_one_token_has_nothing_before_it() -> None:
    assert len(read_tokens(reading(random_llama()), [5], 0)) == 1


def test_an_embedding_is_the_mean_of_final_states() -> None:
    model = random_llama()
    with torch.no_grad():
        mean = model(torch.tensor([IDS]))[0].numpy().astype(np.float64).mean(0)
    vector = embed(reading(model), IDS)
    np.testing.assert_allclose(vector, mean / np.sqrt((mean**2).sum()), atol=1e-5)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_an_encoder_decoders_is_its_encoders() -> None:
    model = random_transformer()
    ids = [5, 17, 40, 9]
    with torch.no_grad():
        states = model.encode(torch.tensor([ids]), torch.tensor([4])).states
    assert isinstance(states, torch.Tensor)
    mean = states[0].numpy().astype(np.float64).mean(0)
    np.testing.assert_allclose(embed(model, ids), mean / np.sqrt((mean**2).sum()), atol=1e-5)
