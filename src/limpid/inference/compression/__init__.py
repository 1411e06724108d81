"""A language model as a compressor: what it expects takes few bits, and nothing is lost.

A symbol of probability p takes -log2 p bits (Shannon 1948), so a text takes as many bits as the model's loss on it
says. Whoever has the same model can undo it: it computes the same probabilities, one symbol after the other.
"""

from limpid.inference.compression.codec import Codec, Compressed

__all__ = ["Codec", "Compressed"]
