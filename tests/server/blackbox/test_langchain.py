"""LangChain's client. Optional: pip install langchain-openai."""

from __future__ import annotations

import httpx
import pytest
from tests.server.blackbox.asking import Live, said

langchain_openai = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")


def test_invoke_stream_and_tools(http: httpx.Client, live: Live) -> None:
    asked = {"model": live.model, "temperature": 0, "max_tokens": 24, "max_retries": 0}
    chat = langchain_openai.ChatOpenAI(base_url=f"{live.url}/v1", api_key=live.key or "none", **asked)
    wanted = said(http, live.greedy("What is a cat?"))
    found = chat.invoke("What is a cat?")
    assert found.content == wanted
    assert found.usage_metadata["total_tokens"] == sum(
        found.usage_metadata[side] for side in ("input_tokens", "output_tokens")
    )
    pieces = list(chat.stream([("system", "Be brief."), ("human", "What is a cat?")]))
    assert len(pieces) > 3
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a cat?"}]
    assert "".join(piece.content for piece in pieces) == said(http, live.greedy(messages=talk))
    assert [text.content for text in chat.batch(["Hi", "What is a cat?"])][1] == wanted


def test_structured_output(live: Live) -> None:
    schema = {
        "title": "Person",
        "description": "Somebody.",
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 120}, "mood": {"enum": ["glad", "sad"]}},
        "required": ["age", "mood"],
        "additionalProperties": False,
    }
    asked = {"model": live.model, "temperature": 0, "max_tokens": 100, "max_retries": 0}
    chat = langchain_openai.ChatOpenAI(base_url=f"{live.url}/v1", api_key=live.key or "none", **asked)
    for method in ("json_schema", "function_calling"):
        found = chat.with_structured_output(schema, method=method).invoke("Who?")
        assert set(found) == {"age", "mood"}
        assert 0 <= found["age"] <= 120
        assert found["mood"] in ("glad", "sad")


def test_embeddings(live: Live) -> None:
    embed = langchain_openai.OpenAIEmbeddings(
        base_url=f"{live.url}/v1", api_key=live.key or "none", model=live.model, check_embedding_ctx_length=False
    )
    first, second = embed.embed_documents(["The cat", "床前"])
    assert first != second
    assert embed.embed_query("The cat") == pytest.approx(first, abs=1e-5)
