"""Nearest rows against scikit-learn; maps in a process of their own against maps in this one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

from limpid.core.errors import LimpidError
from limpid.inspection.project_apart import ProjectionProcess
from limpid.inspection.projection import missing, project
from limpid.inspection.token_vectors import cosines, nearest_tokens

TABLE = np.random.default_rng(3).normal(size=(60, 12)).astype(np.float32)


def test_nearest_rows_are_those_of_another_library() -> None:
    judge = NearestNeighbors(n_neighbors=7, metric="cosine").fit(TABLE)
    away, places = judge.kneighbors(TABLE[5:6])
    found = nearest_tokens(TABLE, TABLE[5], 7)
    assert [near.token_id for near in found] == places[0].tolist()
    assert np.allclose([near.cosine for near in found], 1 - away[0], atol=1e-5)
    assert found[2].product == pytest.approx(float(TABLE[5] @ TABLE[found[2].token_id]), rel=1e-5)
    assert [near.token_id for near in nearest_tokens(TABLE, TABLE[5], 6, [5])] == places[0][1:].tolist()
    assert np.allclose(cosines(TABLE), cosine_similarity(TABLE), atol=1e-6)


def test_a_row_of_zeros_is_near_nothing() -> None:
    table = np.vstack([TABLE[:3], np.zeros((1, 12), np.float32)])
    assert {near.token_id: near.cosine for near in nearest_tokens(table, TABLE[0], 4)}[3] == 0


def test_a_map_made_apart_is_the_one_made_here() -> None:
    heard: list[float] = []
    found = ProjectionProcess(TABLE, "tsne").wait(heard.append)
    assert np.allclose(found.points, project(TABLE, "tsne").points, atol=1e-3)
    assert heard == sorted(heard)
    assert heard[-1] > 0.5
    assert missing("pca") is None


def test_what_goes_wrong_apart_is_told_here() -> None:
    with pytest.raises(LimpidError, match="not finite"):
        ProjectionProcess(np.full((4, 3), np.nan, np.float32), "tsne").wait()
    running = ProjectionProcess(np.tile(TABLE, (40, 1)), "tsne")  # seconds of work
    with pytest.raises(LimpidError, match="was ended"):
        running.wait(lambda done: running.end())
