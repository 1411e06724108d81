"""What describes the server: models, /openapi.json, /docs, /metrics."""

from __future__ import annotations

from html.parser import HTMLParser

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.server.conftest import Served

METRICS = {
    "limpid_requests_running": "gauge", "limpid_requests_waiting": "gauge", "limpid_cache_rows_in_use": "gauge",
    "limpid_cache_rows": "gauge", "limpid_requests": "counter", "limpid_http_responses": "counter",
    "limpid_prompt_tokens": "counter", "limpid_generated_tokens": "counter",
    "limpid_time_to_first_token_seconds": "histogram", "limpid_inter_token_seconds": "histogram",
    "limpid_request_seconds": "histogram", "limpid_queue_seconds": "histogram",
}  # fmt: skip


def test_models(http: httpx.Client, server: Served) -> None:
    listed = http.get("/v1/models").json()
    assert listed["object"] == "list"
    assert [(m["id"], m["kind"], m["max_model_len"]) for m in listed["data"]] == [
        ("tiny", "decoder", 1024),
        ("translator", "encoder-decoder", 48),
    ]
    for model in listed["data"]:
        assert (model["object"], model["owned_by"]) == ("model", "limpid")
        assert http.get(f"/v1/models/{model['id']}").json() == model
    for name in ("nothing", "tiny/", "%2e%2e", "a%00b"):
        assert http.get(f"/v1/models/{name}").json()["error"]["code"] == "model_not_found"


def test_every_metric_is_there_and_written_down(http: httpx.Client) -> None:
    families = {f.name: f.type for f in text_string_to_metric_families(http.get("/metrics").text)}
    families = {name: kind for name, kind in families.items() if not name.endswith("_created")}
    assert families == METRICS
    from pathlib import Path

    guide = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    for name, kind in METRICS.items():
        assert f"`{name}{'_total' if kind == 'counter' else ''}`" in guide


@pytest.mark.parametrize("path", ["/docs"])
def test_the_page_for_readers_asks_nobody_else(http: httpx.Client, path: str) -> None:
    response = http.get(path)
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    found: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "link", "img", "iframe")
            found.extend(value or "" for name, value in attributes if name in ("src", "href"))

    Links().feed(response.text)
    assert found == ["/openapi.json"]
    for name in ("/v1/chat/completions", "top_logprobs", "response_format", "encoding_format", "return_token_strs"):
        assert name in response.text
    assert "with <code>stream</code>, as server-sent events" in response.text
    assert "≤ 2147483648<" in response.text
    assert "``" not in response.text


def test_the_page_for_programs(http: httpx.Client) -> None:
    table = http.get("/openapi.json").json()
    assert set(table["paths"]) == {
        "/health", "/metrics", "/v1/models", "/v1/models/{model_id}", "/v1/chat/completions", "/v1/completions",
        "/v1/embeddings", "/tokenize", "/detokenize",
    }  # fmt: skip
    for operations in table["paths"].values():
        for operation in operations.values():
            assert operation["description"]
            for status in ("400", "401", "403", "404", "429", "503"):
                schema = operation["responses"][status]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorBody"}
