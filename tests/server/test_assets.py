"""The files of the web app as HTTP gives them, and that the libraries among them are the ones that are listed."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import httpx
import pytest

from limpid.server.assets import STATIC

VENDOR = STATIC / "vendor"
FILES = ["app.js", "css/base.css", "vendor/preact.js", "icon.svg", "vendor/katex/katex.min.css"]
NOT_FILES = ["", "absent.js", "../app.py", "%2e%2e/app.py", "/etc/passwd"]


def test_vendored_files_are_as_listed_and_bring_their_licences() -> None:
    table = json.loads((VENDOR / "VENDORED.json").read_text(encoding="utf-8"))
    listed = {name: of["sha256"] for package in table for name, of in package["files"].items()}
    there = {p.relative_to(VENDOR).as_posix(): p for p in VENDOR.rglob("*") if p.is_file() and p.suffix != ".json"}
    assert listed == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()}
    for package in table:
        licences = [name for name in package["files"] if name.endswith("LICENSE")]
        assert len(licences) == 1, package["name"]
        words = (VENDOR / licences[0]).read_text(encoding="utf-8")
        assert "Copyright" in words or "copyright" in words
        assert package["licence"].split()[0].split("-")[0] in words


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_compressed_and_revalidated(http: httpx.Client, name: str) -> None:
    raw = (STATIC / name).read_bytes()
    with http.stream("GET", f"/static/{name}", headers={"accept-encoding": "gzip"}) as response:
        packed = b"".join(response.iter_raw())
        assert response.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed) == raw
    plain = http.get(f"/static/{name}", headers={"accept-encoding": "identity"})
    assert plain.content == raw
    assert "content-encoding" not in plain.headers
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert plain.headers["content-type"].startswith(kinds[Path(name).suffix])
    again = http.get(f"/static/{name}", headers={"if-none-match": f'"other", W/{plain.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert http.head(f"/static/{name}").headers["etag"] == plain.headers["etag"]


@pytest.mark.parametrize("name", NOT_FILES)
def test_nothing_else_is_a_file(http: httpx.Client, name: str) -> None:
    response = http.get(f"/static/{name}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "unknown_url"


def test_the_page_names_what_a_first_visit_runs(http: httpx.Client) -> None:
    page = http.get("/").text
    preloaded = set(re.findall(r'<link rel="modulepreload" href="/static/([^"]+)"', page))
    modules = {p.relative_to(STATIC).as_posix() for p in STATIC.rglob("*.js")}
    assert preloaded <= modules
    assert {"app.js", "parts/shell.js", "chat/page.js", "lib/i18n.js", "i18n/zh.js", "vendor/preact.js"} <= preloaded
    assert not [name for name in preloaded if "katex" in name]
    for path in (STATIC / name for name in preloaded):
        for name in re.findall(r'^import [^"]* from "(\.[^"]+)"', path.read_text(), re.MULTILINE):
            assert (path.parent / name).resolve().relative_to(STATIC).as_posix() in preloaded


def test_every_style_sheet_belongs_to_the_page_or_to_one_of_its_pages() -> None:
    page, pages = ((STATIC / name).read_text(encoding="utf-8") for name in ("index.html", "parts/pages.js"))
    lazy = {name for names in re.findall(r"sheets: \[([^\]]*)\]", pages) for name in re.findall(r'"([^"]+)"', names)}
    linked = set(re.findall(r'href="/static/css/([^"]+)\.css"', page))
    assert linked | lazy == {sheet.stem for sheet in STATIC.glob("css/*.css")}
    assert not linked & lazy
