"""Many vectors as points of a plane: principal components here, t-SNE and UMAP through optional libraries."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError

Floats = npt.NDArray[np.float32]
Method = Literal["pca", "tsne", "umap"]


class Projection(NamedTuple):
    """points: (N, d). explained: the share of the variance along each axis, for principal components; else None."""

    points: Floats
    explained: Floats | None


def project(
    vectors: Floats, method: Method = "pca", *, dimensions: int = 2, seed: int = 0, verbose: bool = False
) -> Projection:
    """Vectors (N, D) as points.

    pca: principal components, from the singular values of the centred vectors; each axis is signed so that its largest
    number is positive. tsne, umap: neighbours stay neighbours, distances mean little; the same for the same seed; with
    ``verbose`` the library prints how far it is.

    Raises:
        LimpidError: too few vectors, numbers that are not finite, or a library that is not installed.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) < 2:
        raise LimpidError(f"a map needs two vectors or more, as a matrix; this is of shape {vectors.shape}.")
    if not np.isfinite(vectors).all():
        raise LimpidError("some of the vectors hold numbers that are not finite; they have no place on a map.")
    if not 1 <= dimensions <= min(vectors.shape):
        raise LimpidError(f"{len(vectors)} vectors of width {vectors.shape[1]} span no {dimensions} dimensions.")
    methods: dict[str, Callable[[Floats, int, int, bool], Projection]] = {"pca": _pca, "tsne": _tsne, "umap": _umap}
    if method not in methods:
        raise LimpidError(f"there is no projection '{method}'. There are: {', '.join(methods)}.")
    return methods[method](vectors, dimensions, seed, verbose)


def _pca(vectors: Floats, dimensions: int, seed: int, verbose: bool) -> Projection:
    centred = vectors.astype(np.float64) - vectors.mean(0, dtype=np.float64)
    variances, axes = np.linalg.eigh(centred.T @ centred)  # (D,) ascending: D is small where N may be large
    variances, axes = variances[::-1].clip(min=0), axes[:, ::-1]
    best = axes[:, :dimensions]
    best = best * np.sign(best[np.abs(best).argmax(0), np.arange(dimensions)])
    share = variances[:dimensions] / max(variances.sum(), 1e-300)
    return Projection((centred @ best).astype(np.float32), share.astype(np.float32))


def _tsne(vectors: Floats, dimensions: int, seed: int, verbose: bool) -> Projection:
    manifold: Any = _library("sklearn.manifold", "scikit-learn")
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    reducer = manifold.TSNE(dimensions, perplexity=perplexity, random_state=seed, init="pca", verbose=2 * verbose)
    found = reducer.fit_transform(vectors)
    return Projection(found.astype(np.float32), None)


def _umap(vectors: Floats, dimensions: int, seed: int, verbose: bool) -> Projection:
    umap: Any = _library("umap", "umap-learn")
    near = min(15, len(vectors) - 1)
    few = "random" if len(vectors) <= dimensions + 1 else "spectral"
    reducer = umap.UMAP(
        n_neighbors=max(2, near), n_components=dimensions, random_state=seed, n_jobs=1, init=few, verbose=verbose
    )
    return Projection(np.asarray(reducer.fit_transform(vectors), dtype=np.float32), None)


def missing(method: Method) -> str | None:
    """What to install before ``method`` can be used; None: nothing."""
    needs = {"tsne": ("sklearn", "scikit-learn"), "umap": ("umap", "umap-learn")}
    module, package = needs.get(method, ("numpy", ""))
    return None if find_spec(module) else package


def _library(module: str, package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise LimpidError(f"this map needs {package}, which is not installed: pip install 'limpid[maps]'.") from None
