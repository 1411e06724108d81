"""The OpenAPI page: it names what there is, and whatever it allows is answered without a failure of the server's."""

from __future__ import annotations

from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from tests.server.blackbox.asking import Live


@pytest.fixture(scope="session")
def schema(live: Live) -> Any:
    page = httpx.get(f"{live.url}/openapi.json", headers=live.auth).raise_for_status().json()
    return schemathesis.openapi.from_dict(page)


def test_the_page_names_every_path(http: httpx.Client) -> None:
    page = http.get("/openapi.json").raise_for_status().json()
    assert page["openapi"].startswith("3.")
    wanted = {
        "/v1/models": "get", "/v1/chat/completions": "post", "/v1/completions": "post", "/v1/embeddings": "post",
        "/tokenize": "post", "/detokenize": "post", "/health": "get",
    }  # fmt: skip
    for path, method in wanted.items():
        operation = page["paths"][path][method]
        assert operation.get("summary") or operation.get("description")
        if method == "post":
            assert operation["requestBody"]["content"]["application/json"]["schema"]
    chat = page["components"]["schemas"]
    assert any("messages" in schema.get("properties", {}) for schema in chat.values())


def ask(case: Any, live: Live) -> None:
    """Send what schemathesis has thought up; answers of several thousand tokens are not what is tested here."""
    if isinstance(case.body, dict):
        for name in ("max_tokens", "max_completion_tokens"):
            if isinstance(value := case.body.get(name), int) and value > 16:
                case.body[name] = 16
        case.body.setdefault("max_tokens", 16)
        if case.method == "POST" and "model" in case.body and isinstance(case.body["model"], str):
            case.body["model"] = live.model  # or else all there is to see is model_not_found
    response = case.call(base_url=live.url, headers=live.auth, timeout=30)
    case.validate_response(response, checks=(not_a_server_error,))
    if response.status_code >= 400 and "json" in response.headers.get("content-type", ""):
        assert set(response.json()) == {"error"}


QUIET = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much, hypothesis.HealthCheck.data_too_large]


def ask_about_everything(schema: Any, live: Live, examples: int, **settings: Any) -> list[str]:
    """Every operation of the page, each with so many requests; their labels."""
    labels = []
    for found in schema.get_all_operations():
        operation = found.ok()
        labels.append(operation.label)

        @hypothesis.settings(max_examples=examples, deadline=None, suppress_health_check=QUIET, **settings)
        @hypothesis.given(case=operation.as_strategy())
        def ask_one(case: Any) -> None:
            ask(case, live)

        ask_one()
    return labels


def test_nothing_that_is_allowed_breaks_it(schema: Any, live: Live) -> None:
    labels = ask_about_everything(schema, live, 15, derandomize=True)
    assert "POST /v1/chat/completions" in labels
    assert len(labels) >= 8


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_that_is_allowed_breaks_it_however_long(schema: Any, live: Live) -> None:
    ask_about_everything(schema, live, 400)
