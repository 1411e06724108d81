"""What is refused before the port opens: each in one line that says what to do."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import served

from limpid.cli.serve import _checked
from limpid.core.errors import LimpidError
from limpid.server.loading import Opened, Sizes, open_runs, place_of
from limpid.server.memory import free_bytes
from limpid.server.process import bind, url_of

PLACE = place_of("cpu", "float32")


def opened(runs: list[str], sizes: Sizes = Sizes(), find: Callable[[str], Path] = Path) -> list[Opened]:  # noqa: B008
    return open_runs(runs, find, sizes, PLACE)


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def test_names_are_the_folders_or_those_given(run: Path, translator_run: Path) -> None:
    names = [found.name for found in opened([str(run), f"my-model={run}", str(translator_run)])]
    assert names == ["tiny", "my-model", "translator"]


def test_a_folder_with_an_equals_sign_is_a_folder(run: Path, tmp_path: Path) -> None:
    odd = shutil.copytree(run, tmp_path / "lr=3e-4")
    assert [found.name for found in opened([str(odd)])] == ["lr=3e-4"]


@pytest.mark.parametrize("name", ["", "a/b", "a b", "..\\x", "a\0b", "x" * 129])
def test_names_that_are_none(run: Path, name: str) -> None:
    with pytest.raises(LimpidError, match="cannot be a model's name"):
        opened([f"{name}={run}"], find=lambda given: run)


def test_a_name_given_twice(run: Path) -> None:
    with pytest.raises(LimpidError, match="two models would be called 'tiny'"):
        opened([str(run), str(run)])


@pytest.mark.parametrize("given", ["lr=0.1", "optim.lr=0.1", "b=runs/nowhere"])
def test_a_name_for_what_is_no_run(run: Path, given: str) -> None:
    with pytest.raises(LimpidError, match=rf"^'{given}': there is no run at .*NAME=RUN.*keys of a recipe"):
        opened([str(run), given])


def test_half_written_damaged_and_other_versions(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(LimpidError, match="there is no run at"):
        opened([str(tmp_path / "nowhere")])
    (weights,) = copy.rglob("model*.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-7])
    with pytest.raises(LimpidError, match="model.*safetensors is damaged"):
        opened([str(copy)])
    weights.unlink()
    with pytest.raises(LimpidError, match="no whole checkpoint: model.*safetensors is missing"):
        opened([str(copy)])
    weights.write_bytes(whole)
    (state,) = copy.rglob("state.json")
    state.write_text(json.dumps(json.loads(state.read_text()) | {"format": 99}))
    sums = state.with_name("checksums.json")
    digest = hashlib.sha256(state.read_bytes()).hexdigest()
    sums.write_text(json.dumps(json.loads(sums.read_text()) | {"state.json": digest}))
    with pytest.raises(LimpidError, match="checkpoint format 99; this limpid reads"):
        opened([str(copy)])
    sums.unlink()
    with pytest.raises(LimpidError, match="holds no finished checkpoint"):
        opened([str(copy)])


# ------------------------------------------------------------------ memory


def test_rows_are_as_many_as_fit(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = 2 * 2 * 1024 * 2 * 8 * 4  # keys and values, layers, tokens, heads, numbers, bytes
    for free, rows in ((10**12, 32), (2 * 5 * row + 7, 5), (2 * row, 1)):
        monkeypatch.setattr("limpid.server.loading.free_bytes", lambda device, free=free: free)
        assert [found.rows for found in opened([str(run)])] == [rows]
    monkeypatch.setattr("limpid.server.loading.free_bytes", lambda device: 2 * 5 * row)
    assert opened([str(run)], Sizes(rows=5))[0].rows == 5
    assert [found.rows for found in opened([str(run), f"b={run}"])] == [2, 2]
    remedy = r"8 answers of 1024 tokens need .* of cache.*: give --rows 5, or --context 640\."
    with pytest.raises(LimpidError, match=remedy):
        opened([str(run)], Sizes(rows=8))
    assert opened([str(run)], Sizes(rows=8, context=640))[0].context == 640
    monkeypatch.setattr("limpid.server.loading.free_bytes", lambda device: row)
    with pytest.raises(LimpidError, match=r"1 answer of 1024 tokens need .*: give --context 512\."):
        opened([str(run)])


@pytest.mark.parametrize("context", [0, 1, 1025, -5])
def test_a_context_that_the_model_does_not_have(run: Path, context: int) -> None:
    with pytest.raises(LimpidError, match="tiny has a context of 1024 tokens"):
        opened([str(run)], Sizes(context=context))


def test_a_smaller_context_holds(run: Path) -> None:
    with served([run], sizes=Sizes(rows=2, queue=2, context=40)) as server, server.http() as http:
        assert http.get("/v1/models/tiny").json()["max_model_len"] == 40
        found = http.post("/v1/completions", json={"prompt": [7] * 30, "max_tokens": 40, "temperature": 0}).json()
        assert found["usage"]["completion_tokens"] == 10
        for body in ({"prompt": [7] * 40}, {"prompt": "a", "max_tokens": 41}):
            assert http.post("/v1/completions", json=body).status_code == 400


def test_a_server_without_a_model_has_its_page() -> None:
    assert opened([]) == []
    with served([]) as server, server.http() as http:
        assert http.get("/health").status_code == 200
        assert http.get("/v1/models").json()["data"] == []
        assert http.get("/api/app").json()["models"] == []
        assert http.get("/api/lessons").status_code == 200
        asked = {"messages": [{"role": "user", "content": "Hello"}]}
        for body in (asked, asked | {"model": "tiny"}):
            answer = http.post("/v1/chat/completions", json=body)
            assert answer.status_code == 404
            assert "No model is served here." in answer.json()["error"]["message"]


def test_this_machine_has_memory() -> None:
    assert 10**6 < free_bytes(PLACE.device) < 10**14


# ------------------------------------------------------------------ addresses and keys


def test_a_port_in_use_and_addresses_of_others() -> None:
    with bind("127.0.0.1", 0) as sock:
        sock.listen()
        port = sock.getsockname()[1]
        assert url_of(sock) == f"http://127.0.0.1:{port}"
        with pytest.raises(LimpidError, match=f"port {port} of 127.0.0.1 is in use"):
            bind("127.0.0.1", port)
    with bind("127.0.0.1", port):  # a port that has just been left is free
        pass
    with pytest.raises(LimpidError, match="no address of this machine"):
        bind("192.0.2.1", 0)
    with pytest.raises(LimpidError, match="is not known"):
        bind("no such host", 0)


def test_nobody_can_connect_before_the_models_are_known_to_be_good() -> None:
    with bind("127.0.0.1", 0) as sock, socket.socket() as probe:
        assert probe.connect_ex(sock.getsockname()) != 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("0.0.0.0", None, []), "clients must show a key: set LIMPID_API_KEY"),
        (("0.0.0.0", "", []), "clients must show a key"),
        (("0.0.0.0", "   ", []), "clients must show a key"),
        (("127.0.0.1", None, ["*"]), "lets any page ask"),
        (("127.0.0.1", "schlüssel", []), "printable ASCII"),
    ],
)
def test_what_would_be_open_to_strangers_does_not_start(arguments: Any, complaint: str) -> None:
    host, key, origins = arguments
    with pytest.raises(LimpidError, match=complaint):
        _checked(host, key, origins, public=host == "0.0.0.0")


def test_a_key_makes_it_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_API_KEY", "sk-x")
    assert _checked("0.0.0.0", " sk-x ", ["*"], public=True) == "sk-x"
    assert _checked("127.0.0.1", None, [], public=False) is None
    assert "LIMPID_API_KEY" not in os.environ  # nor in that of a training started from the page


# ------------------------------------------------------------------ loading and leaving


def test_while_it_loads_and_while_it_drains_it_says_so(run: Path) -> None:
    with served([run]) as server, server.http() as http:
        models, server.state.models = server.state.models, None
        for path in ("/health", "/v1/models", "/v1/models/tiny"):
            loading = http.get(path)
            assert loading.status_code == 503
            assert loading.headers["retry-after"]
            assert loading.json()["error"] == {
                "message": "The models are being loaded; try again in a moment.",
                "type": "server_error", "param": None, "code": "service_unavailable",
            }  # fmt: skip
        assert http.post("/v1/completions", json={"prompt": "a"}).status_code == 503
        server.state.models = models
        assert http.get("/health").json() == {"status": "ok", "models": ["tiny"]}
        server.state.draining = True
        assert http.get("/health").json()["error"]["message"] == "The server is stopping; it takes nothing new."
        assert http.post("/v1/completions", json={"prompt": "a"}).status_code == 503
        assert http.get("/metrics").status_code == 200  # whoever watches may go on watching
