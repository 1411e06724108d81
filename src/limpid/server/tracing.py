"""POST /api/trace: a text in a model, opened; what the page must know before it asks for numbers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from limpid.inference.translator import Translator
from limpid.inspection.export import next_tokens
from limpid.inspection.trace import Trace, trace
from limpid.models.count import parameters
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.models.task import TaskModel
from limpid.server.errors import bad_request
from limpid.server.insides import BUDGET, Insides, Subject, Taken
from limpid.server.models import ServedModel
from limpid.server.readers import ClassifierModel
from limpid.server.requests import ChatMessage, ModelBody
from limpid.text.tokenizer import Tokenizer

Ids = list[Annotated[int, Field(ge=0)]]


class TraceBody(ModelBody):
    """One of ``text``, ``ids`` and ``messages``. answer: token ids that follow it. target: of a translator, what it has
    said, as text or ids; absent: its own translation. Of a classifier of pairs, the second text."""

    text: str | None = None
    ids: Ids | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1)] | None = None
    answer: Ids | None = None
    target: str | Ids | None = None

    def check(self) -> None:
        if sum(given is not None for given in (self.text, self.ids, self.messages)) != 1:
            raise bad_request("Give one of 'text', 'ids' and 'messages'.", "text")


def take(insides: Insides, served: ServedModel, body: TraceBody) -> dict[str, Any]:
    """Trace what is asked, keep it, and say what it is.

    Raises:
        ApiError, LimpidError: nothing to read, longer than the context, no such token, a target for a model that takes
            none.
    """
    subject = insides.subject(served)
    return described(insides.keep(served, _traced(subject, body)))


def _traced(subject: Subject, body: TraceBody) -> Trace:
    served, model, tokenizer = subject
    if isinstance(model, EncoderDecoder):
        if body.messages is not None or body.answer:
            raise bad_request("A translator reads a 'text', and its 'target' if you have one.", "messages")
        given = body.text if body.ids is None else body.ids
        return Translator(model, tokenizer).trace(given or "", body.target, budget=BUDGET)
    if isinstance(model, TaskModel):
        return trace(_answering(model), _task_ids(served, body), tokenizer, budget=BUDGET)
    if body.target is not None:
        raise bad_request(f"{served.name!r} reads one text; a 'target' is for a translator.", "target")
    if body.messages is not None:
        if not tokenizer.can_chat:
            raise bad_request("This model's vocabulary has no marks for a conversation; give it a 'text'.", "messages")
        turns = [{"role": m.role, "content": m.content or ""} for m in body.messages]
        return trace(model, [*served.chat_ids(turns, []), *(body.answer or [])], tokenizer, budget=BUDGET)
    if body.text is not None and body.answer:
        ids = [*tokenizer.opening, *tokenizer.encode(body.text), *(body.answer or [])]
        return trace(model, ids, tokenizer, budget=BUDGET)
    text: str | list[int] = [*(body.ids or []), *(body.answer or [])] if body.text is None else body.text
    return trace(model, text, tokenizer, budget=BUDGET)


def _answering(model: TaskModel) -> Any:
    """What is traced of a classifier: with its head, unless the answer is made of both orders of a pair."""
    return model.backbone if model.config.task == "similarity" else model


def _task_ids(served: ServedModel, body: TraceBody) -> list[int]:
    assert isinstance(served, ClassifierModel)
    if body.messages is not None or body.answer or isinstance(body.target, list):
        raise bad_request("A classifier reads a 'text', or the 'ids' of what it read.", "messages")
    if body.ids is not None:
        return body.ids
    if not body.text:
        raise bad_request("The text is empty; there is nothing to trace.", "text", "empty_text")
    if body.target:
        return served.sequences([body.text, body.target])[0]
    return served.sequences([body.text], "single")[0]


def described(taken: Taken, count: int = 20) -> dict[str, Any]:
    """A trace before any of its numbers: tokens, shapes, parts, and what comes next."""
    found, served = taken.trace, taken.served
    config: Any = found.subject.model.config
    return {
        "id": taken.id, "model": served.name, "kind": served.kind, "fingerprint": served.fingerprint,
        "run": served.facts["run"], "device": served.facts["device"],
        "parameters": parameters(found.subject.model),
        "stacks": [
            {"name": stack.name, "tokens": _tokens(found, stack), "n_layer": len(stack), "kinds": stack.kinds(),
             "n_head": stack.heads(), "reads": stack.reads.name if stack.reads else None}
            for stack in found.stacks.values()
        ],
        "main": found.main.name, "n_layer": found.n_layer, "n_head": found.n_head, "d_model": config.d_model,
        "vocab_size": found.subject.vocabulary, "outputs": found.subject.outputs,
        "answers": _answers(found), "context": config.context,
        "names": {name: list(shape) for name, shape in found.names().items()},
        "next": next_tokens(found.next_tokens(count)),
    }  # fmt: skip


def _answers(found: Trace) -> dict[str, Any] | None:
    """What the logits of a classifier stand for; mean, deviation: of a score. None: for tokens."""
    task = found.subject.task
    if task is None:
        return None
    labels = [found.label(output) for output in range(found.subject.outputs)]
    return {"task": task.config.task, "labels": labels, "mean": task.config.mean, "deviation": task.config.deviation}


def _tokens(found: Trace, stack: Any) -> list[dict[str, Any]]:
    """label: as it can be read; character: that of which its bytes are a part, and whether it completes it."""
    special = special_ids(found.tokenizer)
    spelt = found.subject.vocabulary if found.tokenizer is None else found.tokenizer.vocab_size
    return [
        {"id": token.token_id, "bytes": token.raw.hex(), "label": token.label, "character": token.character,
         "completes": token.completes, "special": token.token_id in special or token.token_id >= spelt}
        for token in found.tokens_of(stack)
    ]  # fmt: skip


def special_ids(tokenizer: Tokenizer | None) -> frozenset[int]:
    """The ids of control tokens."""
    return frozenset() if tokenizer is None else frozenset(tokenizer.special_ids)
