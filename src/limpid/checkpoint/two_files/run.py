#!/usr/bin/env python3
"""A large language model is two files: its parameters, and the code that runs them. This is the code, all of it.

    python run.py "ROMEO:" --max-tokens 60 --temperature 0

It needs Python and NumPy. The parameters are in model.safetensors beside it; the header of that file also holds the
model's shape and its vocabulary. Read from the top: the file, the tokens, the model, the choice of a token, the loop.

Letters of shapes: T tokens given now, S tokens known so far, D width of the model, V size of the vocabulary,
H query heads, K key and value heads (each serves H/K queries), C width of a head, F width of the feed-forward layer.
"""

from __future__ import annotations

import argparse
import codecs
import json
import math
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# 1. The file. Eight bytes say how long the header is, the header says where each tensor lies, the rest is numbers.


def read_safetensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Every tensor by name, in float32, and the notes in the header."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    notes = header.pop("__metadata__", {})
    raw = np.memmap(path, np.uint8, mode="r", offset=8 + length)
    tensors = {}
    for name, about in header.items():
        begin, end = about["data_offsets"]
        tensors[name] = as_float32(raw[begin:end], about["dtype"]).reshape(about["shape"])
    return tensors, notes


def as_float32(raw: Array, dtype: str) -> Array:
    """A bfloat16 is the upper half of a float32: the same exponent, and 7 bits of the fraction instead of 23."""
    if dtype == "BF16":
        return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return raw.view({"F32": np.float32, "F16": np.float16}[dtype]).astype(np.float32, copy=False)


# 2. The tokens. Text is cut into pieces, a piece is spelt in bytes, and bytes that often stood together are one token.


class Tokenizer:
    """Text -> token ids -> bytes, by byte-pair encoding (Sennrich et al. 2016; on bytes: Radford et al. 2019)."""

    def __init__(self, notes: dict[str, Any]) -> None:
        self.tokens: list[str] = notes["tokens"]  # by id; bytes are spelt in `byte_alphabet`
        self.special: dict[str, int] = notes["special"]  # control tokens: never found in a text, and never shown
        self.end_of_text, self.opening, self.stops = notes["end_of_text"], notes["opening"], set(notes["stops"])
        self.characters = notes["kind"] == "characters"  # one token a character
        self.unknown = notes["unknown"]
        self.ids = {token: number for number, token in enumerate(self.tokens) if token not in self.special}
        self.rank = {(first, second): number for number, (first, second) in enumerate(notes["merges"])}
        self.whole_first, self.normal_form = notes["whole_first"], notes["normal_form"]
        self.patterns = [shadow_pattern(pattern) for pattern in notes["patterns"]]
        self.spelling = byte_alphabet()

    def encode(self, text: str) -> list[int]:
        """Ids of a text. Control tokens typed in it are text like any other."""
        if self.normal_form:
            text = unicodedata.normalize(self.normal_form, text)
        if self.characters:
            return [self.ids.get(character, self.unknown) for character in text]
        return [number for piece in self.pieces(text) for number in self.merge(piece)]

    def spell(self, number: int) -> bytes:
        """The bytes of one token: perhaps only a part of a character."""
        token = self.tokens[number]
        if token in self.special:
            return b""
        return token.encode() if self.characters else bytes(map(self.spelling.index, token))

    def pieces(self, text: str) -> list[str]:
        """Words, numbers, punctuation and white space apart: no token reaches over their borders."""
        found = [text] if text else []
        for pattern in self.patterns:
            found = [part for piece in found for part in split(pattern, piece)]
        return found

    @lru_cache(maxsize=100_000)  # noqa: B019 - one tokenizer a program
    def merge(self, piece: str) -> tuple[int, ...]:
        """Start from single bytes; join the two neighbours whose pair was learnt earliest, until none is left."""
        parts = [self.spelling[byte] for byte in piece.encode()]
        if self.whole_first and "".join(parts) in self.ids:
            return (self.ids["".join(parts)],)
        while len(parts) > 1:
            ranks = [self.rank.get(pair, math.inf) for pair in pairwise(parts)]
            best = min(ranks)
            if best == math.inf:
                break
            first, second = parts[ranks.index(best)], parts[ranks.index(best) + 1]
            joined: list[str] = []
            for part in parts:
                if joined and joined[-1] == first and part == second:
                    joined[-1] = first + second
                else:
                    joined.append(part)
            parts = joined
        return tuple(self.ids[part] for part in parts)


def byte_alphabet() -> list[str]:
    """The printable character that stands for each byte in the vocabulary: itself, or one from 256 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def shadow_pattern(pattern: str) -> re.Pattern[str]:
    r"""Python's re does not know \p{L}, any letter, and \p{N}, any digit: it will be asked about an ASCII `shadow`."""

    def in_ascii(found: re.Match[str]) -> str:
        ranges = found[0].replace(r"\p{L}", "A-Za-z").replace(r"\p{N}", "0-9")
        return ranges if ranges.startswith("[") else f"[{ranges}]"

    return re.compile(re.sub(r"\[[^\]]*\]|\\p\{[LN]\}", in_ascii, pattern), re.ASCII)


def shadow(text: str) -> str:
    """The text with every letter outside ASCII as "a", number as "0", space as a tab, anything else as "!"."""
    return "".join(c if c.isascii() else _shadow(c) for c in text)


@lru_cache(maxsize=10_000)
def _shadow(character: str) -> str:
    kind = unicodedata.category(character)[0]
    return "a" if kind == "L" else "0" if kind == "N" else "\t" if character.isspace() else "!"


def split(pattern: re.Pattern[str], text: str) -> list[str]:
    """What the pattern finds in the text, and what lies between, in order."""
    borders = {0, len(text)}
    for found in pattern.finditer(shadow(text)):
        borders |= {found.start(), found.end()}
    places = sorted(borders)
    return [text[begin:end] for begin, end in pairwise(places)]


# 3. The model. Each layer adds to every token what it gathers from the tokens before it, then what it makes of that.


def softmax(scores: Array) -> Array:
    """Scores -> probabilities: positive, and one in all."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
}


class Cache:
    """What each layer remembers of the tokens it has seen, so that none is computed twice: keys, values (S, K, C)."""

    def __init__(self, config: dict[str, Any]) -> None:
        shape = tuple(config[name] for name in ("n_layer", "context", "n_kv_head", "head_dim"))
        self.keys, self.values = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.length = 0


class Model:
    """A decoder of the llama or the gpt family; which parts it has is seen from the tensors that are there."""

    def __init__(self, weights: dict[str, Array], config: dict[str, Any]) -> None:
        self.weights, self.config = weights, config
        self.n_head, self.n_kv_head = config["n_head"], config["n_kv_head"]
        self.eps = config["norm_eps"]
        self.post_norm = config.get("norm") == "post"

    def forward(self, ids: list[int], cache: Cache) -> Array:
        """Token ids (T,) that follow those in the cache -> logits (T, V): a score for each possible next token."""
        places = np.arange(cache.length, cache.length + len(ids))
        x = self.weights["embedding.weight"][ids]  # (T, D)
        if "positions.weight" in self.weights:
            x = x + self.weights["positions.weight"][places]
        elif self.config.get("positions") == "sinusoidal":
            x = x + sinusoids(places, x.shape[1])
        for layer in range(self.config["n_layer"]):
            at = f"blocks.{layer}."
            if self.post_norm:  # GPT-1
                x = self.norm(at + "attention_norm", x + self.attention(at, x, places, cache, layer))
                x = self.norm(at + "feed_forward_norm", x + self.feed_forward(at, x))
            else:
                x = x + self.attention(at, self.norm(at + "attention_norm", x), places, cache, layer)
                x = x + self.feed_forward(at, self.norm(at + "feed_forward_norm", x))
        cache.length += len(ids)
        if "norm.weight" in self.weights:
            x = self.norm("norm", x)
        head = self.weights.get("head.weight", self.weights["embedding.weight"])  # absent where it is the embedding
        return x @ head.T

    def attention(self, at: str, x: Array, places: Array, cache: Cache, layer: int) -> Array:
        """Every token asks (query), every token before it answers (key) and gives what it has (value)."""
        tokens = len(x)
        qkv = self.linear(at + "attention.qkv", x).reshape(tokens, self.n_head + 2 * self.n_kv_head, -1)
        q, k, v = np.split(qkv, [self.n_head, self.n_head + self.n_kv_head], axis=1)  # (T, H, C), (T, K, C) twice
        if at + "attention.q_norm.weight" in self.weights:
            q, k = self.norm(at + "attention.q_norm", q), self.norm(at + "attention.k_norm", k)
        if "rope_base" in self.config:
            q, k = rotate(q, places, self.config["rope_base"]), rotate(k, places, self.config["rope_base"])
        cache.keys[layer, places], cache.values[layer, places] = k, v
        seen = places[-1] + 1
        keys = cache.keys[layer, :seen].transpose(1, 2, 0)  # (K, C, S)
        values = cache.values[layer, :seen].transpose(1, 0, 2)  # (K, S, C)
        width = q.shape[-1]
        q = q.transpose(1, 0, 2).reshape(self.n_kv_head, -1, width)  # (K, H/K * T, C): queries beside their keys
        scores = (q @ keys / math.sqrt(width)).reshape(self.n_head, tokens, seen)
        distance = places[:, None] - np.arange(seen)  # (T, S)
        hidden = (distance < 0) | (distance >= (self.config.get("window") or math.inf))  # what comes after; what is far
        scores = np.where(hidden, -np.inf, scores)
        weights = softmax(scores).reshape(self.n_kv_head, -1, seen)
        mixed = (weights @ values).reshape(self.n_head, tokens, width)
        return self.linear(at + "attention.output", mixed.transpose(1, 0, 2).reshape(tokens, -1))

    def feed_forward(self, at: str, x: Array) -> Array:
        """Two layers of neurons, for each token alone. Llama's first layer has a second that opens and shuts it."""
        if at + "feed_forward.router.weight" in self.weights:
            return self.experts(at + "feed_forward.", x)
        if at + "feed_forward.gate_up.weight" in self.weights:
            gate, up = np.split(self.linear(at + "feed_forward.gate_up", x), 2, axis=-1)  # (T, F) each
            return self.linear(at + "feed_forward.down", ACTIVATIONS["silu"](gate) * up)
        hidden = ACTIVATIONS[self.config["activation"]](self.linear(at + "feed_forward.up", x))
        return self.linear(at + "feed_forward.down", hidden)

    def experts(self, at: str, x: Array) -> Array:
        """Many such layers, of which a router chooses a few for each token (a mixture of experts)."""
        chances, out = softmax(self.linear(at + "router", x)), np.zeros_like(x)  # (T, E)
        for token, chance in enumerate(chances):
            best = np.argsort(-chance, kind="stable")[: self.config["experts_per_token"]]
            share = chance[best] / (chance[best].sum() if self.config["normalise_experts"] else 1)
            for expert, weight in zip(best, share, strict=True):
                gate, up = np.split(self.weights[at + "experts.gate_up"][expert] @ x[token], 2)
                out[token] += weight * (self.weights[at + "experts.down"][expert] @ (ACTIVATIONS["silu"](gate) * up))
        return out

    def linear(self, name: str, x: Array) -> Array:
        """x W^T + b; b where the model has one."""
        return x @ self.weights[name + ".weight"].T + self.weights.get(name + ".bias", np.float32(0))

    def norm(self, name: str, x: Array) -> Array:
        """Layer norm where there is a bias, else RMS norm: numbers of about one, whatever came before."""
        weight, bias = self.weights[name + ".weight"], self.weights.get(name + ".bias")
        if bias is None:
            return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.eps) * weight
        x = x - x.mean(axis=-1, keepdims=True)
        return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.eps) * weight + bias


def rotate(x: Array, places: Array, base: float) -> Array:
    """Turn each pair (x[i], x[i + C/2]) by an angle that grows with the place: only distances count (RoPE)."""
    half = x.shape[-1] // 2
    frequencies = np.float32(base) ** (-np.arange(half, dtype=np.float32) / np.float32(half))
    angles = places[:, None, None].astype(np.float32) * frequencies  # (T, 1, C/2)
    first, second = x[..., :half], x[..., half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate((first * cos - second * sin, second * cos + first * sin), axis=-1)


def sinusoids(places: Array, width: int) -> Array:
    """The positions of 2017: sines on even, cosines on odd dimensions, from fast to slow."""
    angles = places[:, None] * 10_000.0 ** (-np.arange(0, width, 2) / width)
    return np.stack((np.sin(angles), np.cos(angles)), axis=-1).reshape(len(places), -1)[:, :width].astype(np.float32)


# 4. The choice. The model says how probable each token is; one is drawn.


def choose(logits: Array, temperature: float, top_k: int, dice: np.random.Generator) -> int:
    """Temperature 0 takes the most probable token; higher ones give the others a chance. logits: (V,)."""
    if temperature == 0:
        return int(logits.argmax())
    scores = logits / temperature
    if 0 < top_k < len(scores):
        scores = np.where(scores < np.partition(scores, -top_k)[-top_k], -np.inf, scores)
    cumulative = softmax(scores.astype(np.float64)).cumsum()
    return int(np.searchsorted(cumulative, dice.random() * cumulative[-1], side="right"))


# 5. The loop. Choose a token, append it, and ask again.


def load(path: Path) -> tuple[Model, Tokenizer]:
    """The model and the tokenizer that a file holds."""
    weights, notes = read_safetensors(path)
    return Model(weights, json.loads(notes["config"])), Tokenizer(json.loads(notes["tokenizer"]))


def generate(model: Model, ids: list[int], args: argparse.Namespace, stops: set[int]) -> Iterator[int]:
    """The tokens that follow ``ids``, until one that stops, or as many as wanted, or the context is full."""
    dice = np.random.default_rng(args.seed)
    cache, new = Cache(model.config), ids
    for _ in range(min(args.max_tokens, model.config["context"] - len(ids))):
        token = choose(model.forward(new, cache)[-1], args.temperature, args.top_k, dice)
        if token in stops:
            return
        yield token
        new = [token]


def main() -> None:
    parser = argparse.ArgumentParser(description="Continue a text with the model in model.safetensors.")
    parser.add_argument("prompt", nargs="?", default="", help="the text to continue, or with --chat a message")
    parser.add_argument("--chat", action="store_true", help="answer the prompt instead of continuing it")
    parser.add_argument("--max-tokens", type=int, default=200, help="stop after this many (200)")
    parser.add_argument("--temperature", type=float, default=0.8, help="0: always the most probable token (0.8)")
    parser.add_argument("--top-k", type=int, default=0, help="draw from the k most probable tokens only (0: from all)")
    parser.add_argument("--seed", type=int, default=None, help="the same seed gives the same text")
    args = parser.parse_args()
    model, tokenizer = load(Path(__file__).with_name("model.safetensors"))
    ids = [*tokenizer.opening, *tokenizer.encode(args.prompt)] or [tokenizer.end_of_text]
    if args.chat:
        if not {"<|user|>", "<|assistant|>", "<|end|>"} <= tokenizer.special.keys():
            sys.exit("run.py: this model writes conversations in another way than run.py knows; leave --chat out.")
        user, assistant, end = (tokenizer.special[mark] for mark in ("<|user|>", "<|assistant|>", "<|end|>"))
        ids = [tokenizer.end_of_text, user, *tokenizer.encode(args.prompt), end, assistant]
    if len(ids) >= model.config["context"]:
        sys.exit(f"run.py: the prompt has {len(ids)} tokens; this model reads fewer than {model.config['context']}.")
    utf8 = codecs.getincrementaldecoder("utf-8")("replace")  # a token may end inside a character
    stops = tokenizer.stops if args.chat else {tokenizer.end_of_text}
    for token in generate(model, ids, args, stops):
        sys.stdout.write(utf8.decode(tokenizer.spell(token)))
        sys.stdout.flush()
    print(utf8.decode(b"", final=True))


if __name__ == "__main__":
    main()
