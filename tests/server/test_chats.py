"""The history of chats: trees of messages in SQLite, by the class and through HTTP."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.conftest import served

from limpid.core.errors import LimpidError
from limpid.server.chats import Chats

ROW = [5, "e5ba8a", "床", 0, -0.5, 1.5, 2, [5, 0.6, 0.9]]
TOKENS = {"version": 1, "spellings": {"5": ["e5ba8a", "床", 0]}, "rows": [ROW]}


def said(parent: str | None, content: str, **more: Any) -> dict[str, Any]:
    return {"parent": parent, "role": "user", "content": content, "about": {}, "tokens": None} | more


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    made = Chats(tmp_path / "deep" / "chats.sqlite3")
    made.write("a", title="Apples", settings={"temperature": 0.5}, current=None)
    made.write_message("a", "m1", said(None, "床前明月光 100%"))
    made.write_message("a", "m2", said("m1", "An answer", role="assistant", tokens=TOKENS, about={"model": "x"}))
    made.write_message("a", "m3", said("m1", "A branch", role="assistant"))
    return made


def test_a_tree_comes_back(chats: Chats) -> None:
    chats.write("a", title="Pears", settings={}, current="m3")
    found = chats.read("a")
    assert found is not None
    assert (found["title"], found["current"], found["settings"]) == ("Pears", "m3", {})
    assert [(m["id"], m["parent"], m["tokens"]) for m in found["messages"]] == [
        ("m1", None, False), ("m2", "m1", True), ("m3", "m1", False),
    ]  # fmt: skip
    assert chats.tokens("a", "m2") == TOKENS
    assert chats.tokens("a", "m3") is None
    assert chats.read("b") is None
    assert stat.S_IMODE(chats.path.stat().st_mode) == 0o600


def test_writing_a_message_again_keeps_the_tokens_of_its_text(chats: Chats) -> None:
    chats.write_message("a", "m2", said("m1", "An answer", role="assistant", about={"finish": "stop"}))
    assert chats.tokens("a", "m2") == TOKENS
    chats.write_message("a", "m2", said("m1", "An answer that went on", role="assistant"))
    assert chats.tokens("a", "m2") is None  # they would stand for other words
    chats.write_message("a", "m2", said("m1", "x", tokens={"rows": []}))
    assert chats.tokens("a", "m2") == {"rows": []}
    assert not chats.write_message("b", "m1", said(None, "no such chat"))


def test_a_conversation_and_its_messages_at_once(chats: Chats) -> None:
    """What an earlier page put aside never takes the place of what was said since."""
    late = [
        {"id": "m2", **said("m1", "An", role="assistant", about={"finish": "open"})},
        {"id": "m3", **said("m1", "A branch that went on", role="assistant", tokens=TOKENS)},
        {"id": "m4", **said("m3", "And then?")},
    ]
    chats.write("a", title="Apples", settings={}, current="m4", messages=late)
    chats.write("new", title="Plums", settings={}, current="x", messages=[{"id": "x", **said(None, "Plums?")}])
    found = chats.read("a")
    assert found is not None
    assert [(m["content"], m["about"], m["tokens"]) for m in found["messages"]] == [
        ("床前明月光 100%", {}, False), ("An answer", {"model": "x"}, True), ("A branch that went on", {}, True),
        ("And then?", {}, False),
    ]  # fmt: skip
    assert [chat["id"] for chat in chats.list("Plums?")] == ["new"]


@pytest.mark.parametrize(("query", "found"), [("", 1), ("明月", 1), ("apples", 1), ("100%", 1), ("1%0", 0), ("_", 0)])
def test_search(chats: Chats, query: str, found: int) -> None:
    assert len(chats.list(query)) == found


def test_delete_takes_the_messages_along(chats: Chats) -> None:
    assert chats.delete("a")
    assert not chats.delete("a")
    assert sqlite3.connect(chats.path).execute("SELECT count(*) FROM messages").fetchone() == (0,)


def test_out_and_in(chats: Chats, tmp_path: Path) -> None:
    table = chats.export()
    other = Chats(tmp_path / "other.sqlite3")
    assert other.bring_in(table) == 1
    assert other.export() == table
    other.write_message("a", "m1", said(None, "changed here"))
    other.bring_in(table)  # what is there stays
    found = other.read("a")
    assert found is not None
    assert found["messages"][0]["content"] == "changed here"
    for wrong in ({}, {"limpid_chats": 2, "chats": []}, {"limpid_chats": 1, "chats": [{"id": "x"}]},
                  {"limpid_chats": 1, "chats": [table["chats"][0] | {"settings": 3}]}):  # fmt: skip
        with pytest.raises(LimpidError, match="export"):
            Chats(tmp_path / "third.sqlite3").bring_in(wrong)
    assert Chats(tmp_path / "third.sqlite3").list() == []  # all or nothing


@pytest.mark.parametrize(
    "wrong",
    [
        {"current": {"a": 1}}, {"current": 2**70}, {"id": "a/b"}, {"created": "yesterday"}, {"settings": [1]},
        {"messages": [{"id": "m", "parent": ["x"], "role": "user", "content": "", "about": {}, "created": 1.0}]},
        {"messages": [{"id": 2**70, "parent": None, "role": "user", "content": "", "about": {}, "created": 1.0}]},
        {"messages": ["m"]},
    ],
)  # fmt: skip
def test_a_wrong_export_leaves_what_is_there(chats: Chats, wrong: dict[str, Any]) -> None:
    before = chats.export()
    good = {"id": "z", "title": "", "settings": {}, "current": None, "created": 1.0, "updated": 1.0, "messages": []}
    with pytest.raises(LimpidError, match="This export of chats is damaged"):
        chats.bring_in({"limpid_chats": 1, "chats": [good, {**good, "id": "y"} | wrong]})
    assert chats.kept_aside is None
    assert chats.export() == before


def test_a_damaged_file_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "chats.sqlite3"
    path.write_bytes(b"no database at all, but of some length" * 200)
    chats = Chats(path)
    assert chats.list() == []
    assert chats.kept_aside is not None
    assert chats.kept_aside.read_bytes().startswith(b"no database")
    chats.write("a", title="t", settings={}, current=None)
    assert len(Chats(path).list()) == 1


def test_a_file_damaged_within_is_kept_aside(chats: Chats) -> None:
    for i in range(200):
        chats.write_message("a", f"x{i}", said("m1", "words " * 200))
    chats._connection.close()  # type: ignore[union-attr]
    raw = bytearray(chats.path.read_bytes())
    raw[4096 * 3 : 4096 * 20] = b"\xff" * 4096 * 17
    chats.path.write_bytes(raw)
    again = Chats(chats.path)
    assert again.list() == []
    assert again.kept_aside is not None


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LimpidError):
        Chats(tmp_path / "file" / "chats.sqlite3").list()


def test_many_writers(chats: Chats) -> None:
    """Threads of one server, and another server on the same file."""
    other = Chats(chats.path)

    def work(own: Chats, name: str) -> None:
        for i in range(20):
            own.write_message("a", f"{name}{i}", said("m1", "x"))

    threads = [threading.Thread(target=work, args=(own, f"{n}-")) for n, own in enumerate((chats, chats, other, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = chats.read("a")
    assert found is not None
    assert len(found["messages"]) == 3 + 80


@pytest.fixture(scope="module")
def with_chats(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with served([run], chats=tmp_path_factory.mktemp("keep") / "chats.sqlite3") as running, running.http() as client:
        yield client


def test_through_http(with_chats: httpx.Client) -> None:
    http = with_chats
    assert http.put("/api/chats/c1", json={"title": "T", "settings": {}}).status_code == 200
    assert http.put("/api/chats/c1/messages/m1", json=said(None, "hello", tokens=TOKENS)).status_code == 200
    assert http.get("/api/chats", params={"q": "hell"}).json()["chats"][0]["id"] == "c1"
    assert http.get("/api/chats/c1").json()["messages"][0]["content"] == "hello"
    assert http.get("/api/chats/c1/messages/m1/tokens").json() == TOKENS
    table = http.get("/api/export", params={"chat": "c1"}).json()
    assert http.delete("/api/chats/c1").status_code == 200
    assert http.post("/api/import", json=table).json() == {"chats": 1}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/chats/none", None, 404),
        ("DELETE", "/api/chats/none", None, 404),
        ("GET", "/api/chats/none/messages/x/tokens", None, 404),
        ("PUT", "/api/chats/none/messages/x", said(None, "x"), 404),
        ("PUT", "/api/chats/a%20b", {"title": "x", "settings": {}}, 400),
        ("PUT", "/api/chats/a", {"title": "x" * 201, "settings": {}}, 400),
        ("PUT", "/api/chats/a", {"title": "x"}, 400),
        ("PUT", "/api/chats/a", {"title": "x", "settings": {}, "current": "../x"}, 400),
        ("PUT", "/api/chats/a/messages/m", said(None, "x", role="robot"), 400),
        ("POST", "/api/import", {"chats": []}, 400),
    ],
)
def test_errors(with_chats: httpx.Client, method: str, path: str, body: Any, status: int) -> None:
    response = with_chats.request(method, path, json=body) if body is not None else with_chats.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["message"]


def test_a_key_guards_the_api_and_not_the_page(run: Path, tmp_path: Path) -> None:
    with served([run], key="sesame", chats=tmp_path / "chats.sqlite3") as own, own.http() as http:
        assert http.get("/").status_code == 200
        assert http.get("/static/app.js").status_code == 200
        for path in ("/api/app", "/api/chats", "/api/export"):
            assert http.get(path).status_code == 401
        assert http.get("/api/app", headers={"authorization": "Bearer sesame"}).status_code == 200


def test_pages_of_others_may_not_ask(with_chats: httpx.Client) -> None:
    response = with_chats.post("/api/import", json={}, headers={"origin": "https://evil.example"})
    assert response.status_code == 403
