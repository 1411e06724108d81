"""The encoder-decoder: source ids -> encoder -> memory; target ids and memory -> decoder -> hidden states."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from limpid.models.model import Model
from limpid.nn.attention import Context, LayerCache, cache_mask, causal_mask
from limpid.nn.cross_attention import padding_mask
from limpid.nn.dropout import Dropout
from limpid.nn.heads import Embedding, LanguageModelHead


class Memory(NamedTuple):
    """What a decoder reads of its source.

    states: the encoder's output (B, S, D), or for each decoder layer the keys and values made from it.
    mask: (B, 1, 1, S) additive, -inf at padding.
    """

    states: Tensor | list[LayerCache]
    mask: Tensor


class Stack(nn.Module):
    """What encoder and decoder share: embedded tokens plus positions, normalised, dropped out, through blocks, normed.

    positions: (T,) or (B, T) -> (.., T, D), added to the embedding. position_offset: rows of a learned table before the
    first place (BART has two). embedding_norm, norm: nn.Identity where a family has none.
    """

    def __init__(
        self,
        *,
        positions: nn.Module,
        embedding_norm: nn.Module,
        blocks: Sequence[nn.Module],
        norm: nn.Module,
        dropout: float,
        position_offset: int = 0,
    ) -> None:
        super().__init__()
        self.positions = positions
        self.position_offset = position_offset
        self.embedding_norm = embedding_norm
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm

    def begin(self, embedded: Tensor, places: Tensor, dtype: torch.dtype) -> Tensor:
        """(B, T, D) that enters the first block, in ``dtype``."""
        x = embedded + self.positions(places + self.position_offset)
        return self.dropout(self.embedding_norm(x).to(dtype))


class EncoderDecoder(Model):
    """Two stacks over one vocabulary; `head` turns the decoder's hidden states into logits.

    Args:
        config: with vocab_size, context, d_model, n_layer (the decoder's), n_head, n_kv_head, head_dim.
        embedding: ids -> (B, T, D), the source's and the target's. scale: what its vectors are multiplied by
            (sqrt(D) in section 3.4).
        encoder: blocks map (x, context) -> x. decoder: blocks map (x, context, memory, memory_mask, cache) -> x.
        head: (..., D) -> (..., V).
    """

    noun = "an encoder-decoder"

    def __init__(
        self,
        config: Any,
        *,
        embedding: Embedding,
        scale: float,
        encoder: Stack,
        decoder: Stack,
        head: LanguageModelHead,
    ) -> None:
        super().__init__()
        self.config = config
        self.embedding = embedding
        self.scale = scale
        self.encoder = encoder
        self.decoder = decoder
        self.head = head

    @property
    def blocks(self) -> list[nn.Module]:
        """Every block, the encoder's first."""
        return list(chain(self.encoder.blocks, self.decoder.blocks))

    def encode(self, source: Tensor, lengths: Tensor, *, dtype: torch.dtype = torch.float32) -> Memory:
        """Read the source.

        Args:
            source: (B, S) ids; what stands from ``lengths`` on is padding, never looked at.
            lengths: (B,) integers, each at least 1.

        Returns:
            (B, S, D) in ``dtype`` and the mask of its padding.
        """
        mask = padding_mask(lengths, source.shape[1], dtype)
        places = torch.arange(source.shape[1], device=source.device)
        x = self.encoder.begin(self.embedding(source) * self.scale, places, dtype)
        context = Context(None, None, mask)
        for block in self.encoder.blocks:
            x = block(x, context)
        return Memory(self.encoder.norm(x), mask)

    def prepare(self, memory: Memory) -> Memory:
        """The memory as keys and values of every decoder layer: made once, for decoding step by step."""
        assert isinstance(memory.states, Tensor)
        states = [block.cross_attention.keys_values(memory.states) for block in self.decoder.blocks]  # type: ignore[union-attr, operator]
        return Memory(states, memory.mask)

    def decode(
        self,
        target: Tensor,
        memory: Memory,
        *,
        dtype: torch.dtype = torch.float32,
        positions: Tensor | None = None,
        cache: list[LayerCache] | None = None,
        seen: int | None = None,
    ) -> Tensor:
        """Hidden states of the target (B, T), each place seeing itself and what came before it, and all of the source.

        positions, cache, seen: as in `Decoder.forward`. Padding at the end of a target needs no mask: nothing before it
        sees it.

        Returns:
            (B, T, D) in ``dtype``.
        """
        places = torch.arange(target.shape[1], device=target.device) if positions is None else positions
        x = self.decoder.begin(self.embedding(target) * self.scale, places, dtype)
        slots = None
        if cache is not None:
            slots = places.expand(target.shape)
            mask = cache_mask(slots, seen or cache[0].keys.shape[1], dtype)
        else:
            mask = causal_mask(target.shape[1], dtype, target.device)
        context = Context(None, None, mask, slots)
        for index, block in enumerate(self.decoder.blocks):
            states = memory.states if isinstance(memory.states, Tensor) else memory.states[index]
            x = block(x, context, states, memory.mask, None if cache is None else cache[index])
        return self.decoder.norm(x)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """(B, T, D): `encode`, then `decode`."""
        return self.decode(target, self.encode(source, lengths, dtype=dtype), dtype=dtype)


def embedding_scale(scaled: bool, d_model: int) -> float:
    """sqrt(D) as in the paper's section 3.4, or 1."""
    return math.sqrt(d_model) if scaled else 1.0
