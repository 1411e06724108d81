"""What clients may ask for: the bodies of requests, as OpenAI's API has them, with the extensions of vLLM's.

null means absent, and unknown fields are ignored. Types are strict: "5", 5.0 and true are no 5.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from limpid.inference.sampler import Sampling
from limpid.server.errors import bad_request
from limpid.server.fields import Bias, Content, Prompts, Refused, Stops

ALTERNATIVES = 20
"""The most candidates that a request may see for each token."""
ANSWERS = 128
"""The most answers to one prompt, and to one request."""


class Body(BaseModel):
    """Base of every body and part of one."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, populate_by_name=False)


class ModelBody(Body):
    """Base of every whole body. model: a name that /v1/models lists; absent: the first of them."""

    model: str | None = None

    def check(self) -> None:
        """Raise ApiError where fields do not go together."""


class StreamOptions(Body):
    """include_usage: one more chunk at the end, with no choices, says how many tokens there were."""

    include_usage: bool | None = None


class GenerationBody(ModelBody):
    """What chat and text completions have in common.

    seed: the same seed gives the same answer, whatever
    else the server does. top_k: 0 or -1: all tokens. beam, length_penalty: of a translator's beam search.
    """

    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=ANSWERS)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=2**31)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=10)] | None = None  # nearer to 0, scores are infinite
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: Bias | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Stops | None = None
    beam: Annotated[int, Field(ge=1, le=32)] | None = None
    length_penalty: Annotated[float, Field(ge=0, le=10)] | None = None

    @property
    def copies(self) -> int:
        """How many answers each prompt gets."""
        return self.n or 1

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with the number of tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def check(self) -> None:
        if self.stream_options is not None and not self.stream:
            raise bad_request("'stream_options' is for streams: it needs 'stream': true.", "stream_options")

    def sampling(self, max_tokens: int, alternatives: int, vocab_size: int) -> Sampling:
        """How answers are drawn, with OpenAI's defaults. Raises ApiError for a bias of an unknown token."""
        bias = self.logit_bias or {}
        if unknown := [token for token in bias if token >= vocab_size]:
            raise bad_request(f"Token {unknown[0]} is not in this model's vocabulary of {vocab_size}.", "logit_bias")
        settings = {
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "top_p": 1.0 if self.top_p is None else max(self.top_p, 1e-9),  # of 0, only the most probable token is left
            "top_k": max(self.top_k or 0, 0),
            "min_p": self.min_p or 0.0,
            "repetition_penalty": 1.0 if self.repetition_penalty is None else self.repetition_penalty,
            "frequency_penalty": self.frequency_penalty or 0.0,
            "presence_penalty": self.presence_penalty or 0.0,
            "logit_bias": tuple(sorted(bias.items())),
            "max_tokens": max_tokens,
            "seed": None if self.seed is None else self.seed % 2**64,
            "stop": tuple(self.stop or ()),
            "alternatives": alternatives,
        }
        return Sampling.model_validate(settings).with_seed()


class FunctionCall(Body):
    name: str
    arguments: str


class Call(Body):
    """A call the assistant made in an earlier turn."""

    id: str
    type: Literal["function"] | None = None
    function: FunctionCall


class ChatMessage(Body):
    """One turn. A developer is a system; a tool's turn answers the call that ``tool_call_id`` names."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None


class Function(Body):
    """parameters: the JSON schema of its arguments."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(Body):
    type: Literal["function"]
    function: Function


class FunctionName(Body):
    name: str


class NamedTool(Body):
    """The one tool that must be called."""

    type: Literal["function"]
    function: FunctionName


class SchemaFormat(Body):
    name: str | None = None
    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class ResponseFormat(Body):
    """text: anything. json_object: any JSON object. json_schema: JSON that the schema allows."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaFormat | None = None


class ChatBody(GenerationBody):
    """POST /v1/chat/completions. A last message of the assistant's is continued."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=ALTERNATIVES)] | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    response_format: ResponseFormat | None = None
    chat_template: Refused = None
    functions: Refused = None
    function_call: Refused = None

    @property
    def limit(self) -> int | None:
        """The most tokens an answer may have, under either of its names."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def schema_wanted(self) -> dict[str, Any] | None:
        """The JSON schema that an answer must satisfy."""
        form = self.response_format
        if form is None or form.type == "text":
            return None
        return {"type": "object"} if form.json_schema is None else form.json_schema.schema_

    def check(self) -> None:
        super().check()
        if self.chat_template is not None:
            raise bad_request("The chat template is the model's own; a request cannot bring one.", "chat_template")
        if self.functions is not None or self.function_call is not None:
            raise bad_request("'functions' and 'function_call' are of old; use 'tools' and 'tool_choice'.", "functions")
        if self.top_logprobs and not self.logprobs:
            raise bad_request("'top_logprobs' needs 'logprobs': true.", "top_logprobs")
        form = self.response_format
        if form is not None and (form.type == "json_schema") != (form.json_schema is not None):
            raise bad_request("'json_schema' goes with the type json_schema, and with no other.", "response_format")
        self._check_tools()
        self.check_messages()

    def _check_tools(self) -> None:
        names = [tool.function.name for tool in self.tools or ()]
        if len(set(names)) < len(names):
            raise bad_request("Two tools have the same name.", "tools")
        if isinstance(self.tool_choice, NamedTool) and self.tool_choice.function.name not in names:
            raise bad_request(f"No tool is called {self.tool_choice.function.name[:64]!r}.", "tool_choice")
        if self.tool_choice not in (None, "none") and not names:
            raise bad_request("'tool_choice' needs 'tools'.", "tool_choice")
        if self.tool_choice not in (None, "none", "auto") and self.schema_wanted is not None:
            raise bad_request("An answer cannot be both a forced tool call and JSON of a schema.", "tool_choice")

    def check_messages(self) -> None:
        """Raise ApiError for a turn without content, arguments that are none, or a result that nothing asked for."""
        open_calls: set[str] = set()
        for number, message in enumerate(self.messages):
            where = f"messages[{number}]"
            if message.role == "tool":
                if message.tool_call_id not in open_calls:
                    raise bad_request(
                        f"'{where}' is a tool's result, but no call before it has the id {message.tool_call_id!r:.80}.",
                        f"{where}.tool_call_id",
                    )
            elif message.role == "assistant":
                open_calls |= {call.id for call in message.tool_calls or ()}
                for place, call in enumerate(message.tool_calls or ()):
                    _arguments(call, f"{where}.tool_calls[{place}].function.arguments")
            if message.content is None and not message.tool_calls:
                raise bad_request(f"'{where}' has no content.", f"{where}.content")

    def turns(self) -> list[dict[str, Any]]:
        """The messages as a chat template wants them: a developer is a system, arguments are objects."""
        turns: list[dict[str, Any]] = []
        for message in self.messages:
            turn: dict[str, Any] = {
                "role": "system" if message.role == "developer" else message.role,
                "content": message.content or "",
            }
            if message.role == "assistant" and message.tool_calls:
                turn["tool_calls"] = [
                    {"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": _arguments(c)}}
                    for c in message.tool_calls
                ]
            if message.role == "tool":
                turn["tool_call_id"] = message.tool_call_id
            turns.append(turn)
        return turns


def _arguments(call: Call, where: str = "") -> dict[str, Any]:
    try:
        table = json.loads(call.function.arguments or "{}")
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise bad_request(f"'{where}' is not a JSON object in a string.", where)
    return table


class CompletionBody(GenerationBody):
    """POST /v1/completions. max_tokens: 16 unless given; 0 only with echo, to score a prompt."""

    prompt: Prompts
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=ALTERNATIVES)] | None = None
    echo: bool | None = None
    best_of: Annotated[int, Field(ge=1, le=ANSWERS)] | None = None
    suffix: str | None = None

    def check(self) -> None:
        super().check()
        if self.suffix:
            raise bad_request("Filling in before a suffix is not something these models have learnt.", "suffix")
        if self.max_tokens == 0 and not self.echo:
            raise bad_request("'max_tokens' = 0 says nothing; it is for scoring a prompt, with 'echo'.", "max_tokens")
        if self.best_of is not None and self.best_of < self.copies:
            raise bad_request("'best_of' is less than 'n'.", "best_of")
        if self.best_of is not None and self.best_of > self.copies and self.stream:
            raise bad_request("The best of several answers is known at the end: it cannot be streamed.", "best_of")


class EmbeddingBody(ModelBody):
    """POST /v1/embeddings. dimensions: the model's own number, or absent."""

    input: Prompts
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None


class TokenizeBody(ModelBody):
    """POST /tokenize: of a text, or of a conversation as the chat template writes it."""

    prompt: str | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1)] | None = None
    return_token_strs: bool | None = None

    def check(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise bad_request("Give either 'prompt' or 'messages'.", "prompt")


class DetokenizeBody(ModelBody):
    """POST /detokenize."""

    tokens: list[Annotated[int, Field(ge=0)]]
