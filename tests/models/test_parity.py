"""Every decoder that transformers has as well computes what transformers computes."""

from __future__ import annotations

import pytest
import torch
import transformers
from tests.models.references import reference
from tests.models.variants import VARIANTS, random_decoder
from torch import Tensor

from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling
from limpid.inference.weights import inference_copy
from limpid.nn.experts import balance

TOLERANCE = {"gpt2": 1e-5, "llama": 1e-5}
JUDGED = [name for name in VARIANTS if not name.startswith("speedrun") and name != "gpt-sinusoidal"]


def random_ids(rows: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(97, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", JUDGED)
def test_logits_are_those_of_transformers(name: str) -> None:
    model = random_decoder(name, 1)
    ids = random_ids(2, 48)
    with torch.no_grad():
        mine, theirs = model.head(model(ids)), reference(model)(ids).logits
    assert float(theirs.std()) > 0.1
    assert float((mine - theirs).abs().max()) <= TOLERANCE.get(name.partition("-")[0], 1e-4)


@pytest.mark.parametrize("name", JUDGED)
def test_greedy_generation_is_that_of_transformers_token_for_token(name: str) -> None:
    changes = {"tie_embeddings": False} if name == "gpt2" else {}  # tied and random, it repeats one token
    model = random_decoder(name, 2, **changes)
    engine = Engine(inference_copy(model, torch.float32))
    prompt = random_ids(1, 9, seed=5)
    theirs = reference(model).generate(prompt, do_sample=False, max_new_tokens=24, use_cache=True)[0, 9:].tolist()
    events = engine.generate([prompt[0].tolist()], Sampling(temperature=0, max_tokens=24), stop_ids=set())
    assert [event.token_id for (event,) in events] == theirs
    assert len(set(theirs)) > 3


@pytest.mark.parametrize("part", ["activation=gelu", "activation=relu", "tie_embeddings=False"])
def test_parts_of_gpt2_that_can_be_chosen(part: str) -> None:
    key, _, value = part.partition("=")
    model = random_decoder("gpt2", 3, **{key: False if value == "False" else value})
    ids = random_ids(2, 40)
    with torch.no_grad():
        assert float((model.head(model(ids)) - reference(model)(ids).logits).abs().max()) <= 1e-5


@pytest.mark.parametrize("name", ["gpt1", "qwen2", "mistral", "mixtral"])
def test_gradients_are_those_of_transformers(name: str) -> None:
    model = random_decoder(name, 4)
    theirs = reference(model)
    ids = random_ids(2, 24)
    model.head(model(ids)).logsumexp(-1).mean().backward()
    theirs(ids).logits.logsumexp(-1).mean().backward()
    mine = torch.sort(torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None])).values
    embedding = next(theirs.parameters()).grad
    torch.testing.assert_close(model.embedding.weight.grad, embedding, atol=1e-4, rtol=1e-4)
    assert float(mine[0]) > 0
    if name == "mixtral":
        expected = theirs.model.layers[1].mlp
        found = model.blocks[1].feed_forward
        torch.testing.assert_close(found.router.weight.grad, expected.gate.weight.grad, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(found.experts.gate_up.grad, expected.experts.gate_up_proj.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("each", [1, 2, 4])
def test_the_balance_of_experts_is_that_of_transformers(each: int) -> None:
    logits = 2 * torch.randn(50, 7, generator=torch.Generator().manual_seed(each))
    probabilities = logits.softmax(-1)
    chosen = probabilities.topk(each, dim=-1).indices
    judge = transformers.models.mixtral.modeling_mixtral.load_balancing_loss_func
    assert float(balance(probabilities, chosen)) == pytest.approx(float(judge((logits,), 7, each)), rel=1e-5)
    assert float(balance(probabilities, chosen)) > each
    counted = torch.arange(50).view(2, 25) % 25 < torch.tensor([[25], [9]])
    expected = float(judge((logits,), 7, each, counted.long()))
    assert float(balance(probabilities, chosen, counted.flatten())) == pytest.approx(expected, rel=1e-5)
    uniform = torch.full((70, 7), 1 / 7)
    spread = torch.stack([torch.arange(70).add(i) % 7 for i in range(each)], dim=1)
    assert float(balance(uniform, spread)) == pytest.approx(each, rel=1e-5)
