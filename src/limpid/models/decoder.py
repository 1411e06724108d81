"""The decoder: token ids -> embedding and positions -> blocks -> norm. Families assemble its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from limpid.models.model import Model
from limpid.nn.attention import Context, LayerCache, cache_mask, causal_mask, segment_mask
from limpid.nn.dropout import Dropout
from limpid.nn.heads import Embedding, LanguageModelHead
from limpid.nn.position import Rotary
from limpid.nn.shared_prefixes import SharedPrefixes


class Decoder(Model):
    """A stack of causal blocks that gives final hidden states; `head` turns those into logits.

    Args:
        config: the family's config, with at least vocab_size, context, d_model, n_layer, n_head, n_kv_head, head_dim.
        embedding: ids -> (B, T, D).
        blocks: each maps (x, context, cache) -> x, shapes (B, T, D).
        norm: what stands between the last block and the head; nn.Identity where a family has none.
        head: (..., D) -> (..., V).
        positions: added to the embedding, (B, T) or (T,) -> (.., T, D): learned or sinusoidal; None: nothing is added.
        rotary: turns queries and keys in every block; None: they are left as they are.
        dropout: of the sum of embedding and positions.
        windows: for each block, how many positions its queries see, their own counted; 0: all. None: all of them.
    """

    noun = "a decoder"

    def __init__(
        self,
        config: Any,
        *,
        embedding: Embedding,
        blocks: Sequence[nn.Module],
        norm: nn.Module,
        head: LanguageModelHead,
        positions: nn.Module | None = None,
        rotary: Rotary | None = None,
        dropout: float = 0.0,
        windows: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.embedding = embedding
        self.positions = positions
        self.rotary = rotary
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(blocks)
        self.windows = list(windows) if windows is not None else [0] * len(self.blocks)
        self.norm = norm
        self.head = head

    def forward(
        self,
        ids: Tensor,
        *,
        dtype: torch.dtype = torch.float32,
        segments: Tensor | None = None,
        positions: Tensor | None = None,
        cache: list[LayerCache] | None = None,
        seen: int | None = None,
        penalties: list[Tensor] | None = None,
        counted: Tensor | None = None,
        shared: SharedPrefixes | None = None,
    ) -> Tensor:
        """Hidden states after the final norm.

        Args:
            ids: (B, T) integers.
            dtype: compute dtype of the residual stream and the matrix products.
            segments: (B, T) document numbers; a token sees only its own document. None: one document a row.
            positions: (B, T) place of each token in its text; None: counted from the beginning of its document (where
                only the distance between places counts, as with rotary ones, from that of the row). With a cache these
                are also its slots.
            cache: one `LayerCache` a layer, written in place.
            seen: with a cache, how many of its slots may be looked at (at least the largest position + 1).
            penalties: a list to which blocks append what they add to the loss, a mean a token (balance of experts).
            counted: (B, T) bool, the tokens of which that is the mean; None: all.
            shared: the texts that one row, (1, T), is made of, instead of segments or a cache.

        Returns:
            (B, T, D) in ``dtype``.
        """
        if positions is None:
            places = torch.arange(ids.shape[1], device=ids.device) if shared is None else shared.positions(ids.shape[1])
        else:
            places = positions
        if positions is None and segments is not None and self.positions is not None:
            places = places_in(segments)
        x = self.embedding(ids)
        if self.positions is not None:
            x = x + self.positions(places)
        x = self.dropout(x.to(dtype))
        cos, sin = (None, None) if self.rotary is None else self.rotary(places)
        slots = None if cache is None else places.expand(ids.shape)

        def mask(window: int) -> Tensor | None:
            if cache is not None and slots is not None:
                return cache_mask(slots, seen or cache[0].keys.shape[1], dtype, window)
            if segments is not None:
                return segment_mask(segments, dtype, window)
            narrow = shared is None and 0 < window < ids.shape[1]
            return causal_mask(ids.shape[1], dtype, ids.device, window) if narrow else None

        windows = sorted(set(self.windows))
        attend = {w: None if shared is None else shared.attention(dtype, w) for w in windows}
        contexts = {w: Context(cos, sin, mask(w), slots, ids, x, penalties, counted, attend[w]) for w in windows}
        for index, (block, window) in enumerate(zip(self.blocks, self.windows, strict=True)):
            x = block(x, contexts[window], cache[index] if cache is not None else None)
        return self.norm(x)


def places_in(segments: Tensor) -> Tensor:
    """(B, T) place of each token in its own document, from 0, for segments (B, T) of neighbours."""
    places = torch.arange(segments.shape[1], device=segments.device).expand(segments.shape)
    begins = torch.ones_like(segments, dtype=torch.bool)
    begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
    return places - (places * begins).cummax(dim=1).values
