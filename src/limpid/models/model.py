"""What models of every kind have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from torch import nn

if TYPE_CHECKING:
    from limpid.models.lora import LoraSection

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Model(nn.Module):
    """A module that keeps the config it was assembled from, and whose class says what kind of model it is.

    config: that of its family. noun: the kind, for messages: "a decoder". lora: of the adapters it has, if any.
    """

    noun: ClassVar[str]
    config: Any
    lora: LoraSection | None = None
