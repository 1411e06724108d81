"""Positions as matrices, and vectors as points: against definitions and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from tests.models.encoder_decoders import BART, MARIAN, random_transformer
from tests.models.test_encoder import random_encoder
from tests.models.variants import random_decoder

from limpid.core.errors import LimpidError
from limpid.inspection.positions import position_table, rope_matrix, rope_similarity, rope_tables, similarity
from limpid.inspection.projection import project
from limpid.inspection.trace import trace

IDS = [3, 5, 9, 2, 7, 11]


def test_tables_that_are_added() -> None:
    sines = position_table(random_decoder("gpt-sinusoidal"), 20)
    for place in (0, 1, 19):
        for pair in (0, 3, 15):
            angle = place / 10_000 ** (2 * pair / 32)
            assert sines[place, 2 * pair] == pytest.approx(np.sin(angle), abs=1e-5)
            assert sines[place, 2 * pair + 1] == pytest.approx(np.cos(angle), abs=1e-5)
    learned: Any = random_decoder("gpt2")
    assert np.array_equal(position_table(learned), learned.positions.weight.detach().numpy())
    bart: Any = random_transformer(**BART)
    assert np.array_equal(position_table(bart, 5), bart.decoder.positions.weight.detach().numpy()[2:7])
    assert position_table(random_transformer(**MARIAN), stack="encoder").shape == (48, 32)
    encoder: Any = random_encoder()
    assert np.array_equal(position_table(encoder, 6), trace(encoder, IDS)["hook_pos_embed"])
    cosines = similarity(sines)
    assert np.allclose(np.diagonal(cosines), 1, atol=1e-5)
    assert cosines[2, 7] == pytest.approx(sines[2] @ sines[7] / 16, abs=1e-5)  # 16 pairs, each of length one


def test_rotary_turns() -> None:
    model = random_decoder("llama")
    mine = trace(model, IDS)
    q, turned = mine["blocks.1.attn.hook_q"], mine["blocks.1.attn.hook_rot_q"]
    for place in (0, 1, 5):
        matrix = rope_matrix(model, place)
        assert np.allclose(matrix @ matrix.T, np.eye(8), atol=1e-5)
        assert np.allclose(q[place] @ matrix.T, turned[place], atol=1e-4)
    cos, sin = rope_tables(model, 10)
    assert np.allclose(cos**2 + sin**2, 1, atol=1e-5)
    assert cos[3, 1] == pytest.approx(np.cos(3 * 500.0 ** (-2 / 8)), abs=1e-6)
    relative = rope_similarity(model, 10)
    wanted = np.cos((7 - 2) * 500.0 ** (-np.arange(4) * 2 / 8)).mean()
    assert relative[2, 7] == relative[7, 2] == pytest.approx(wanted, abs=1e-5)


def test_positions_that_are_not_there() -> None:
    with pytest.raises(LimpidError, match="see rope_tables"):
        position_table(random_decoder("llama"))
    with pytest.raises(LimpidError, match="no rotary positions"):
        rope_tables(random_decoder("gpt2"))
    with pytest.raises(LimpidError, match="length 65 is outside 1 to 64"):
        rope_tables(random_decoder("llama"), 65)


def test_principal_components_are_those_of_scikit_learn() -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32) * np.arange(1, 13)
    mine, theirs = project(vectors, dimensions=3), PCA(3).fit(vectors)
    wanted = theirs.transform(vectors)
    signs = np.sign((mine.points * wanted).sum(0))
    assert np.allclose(mine.points, wanted * signs, atol=1e-3)
    assert mine.explained is not None
    assert np.allclose(mine.explained, theirs.explained_variance_ratio_, atol=1e-5)
    assert np.array_equal(project(vectors, dimensions=3).points, mine.points)


@pytest.mark.parametrize("method", ["tsne", pytest.param("umap", marks=pytest.mark.slow)])
def test_neighbours_stay_neighbours(method: Any) -> None:
    vectors, cluster = make_blobs(60, 10, centers=3, random_state=0)
    found = project(vectors, method, seed=1)
    assert found.points.shape == (60, 2)
    near = NearestNeighbors(n_neighbors=5).fit(found.points).kneighbors(return_distance=False)
    assert (cluster[near] == cluster[:, None]).mean() > 0.95
    assert np.array_equal(project(vectors, method, seed=1).points, found.points)


def test_what_has_no_place_on_a_map(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.eye(4, dtype=np.float32)
    for bad, message in ((vectors[:1], "two vectors or more"), (vectors * np.nan, "not finite")):
        with pytest.raises(LimpidError, match=message):
            project(bad)
    with pytest.raises(LimpidError, match="span no 5 dimensions"):
        project(vectors, dimensions=5)
    with pytest.raises(LimpidError, match="no projection 'mds'"):
        project(vectors, "mds")  # type: ignore[arg-type]
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    with pytest.raises(LimpidError, match=r"needs umap-learn, which is not installed: pip install 'limpid\[maps\]'"):
        project(vectors, "umap")
