"""The files of the web app: from memory, compressed, revalidated, and under a policy that lets nothing else in."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import mimetypes
import posixpath
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

STATIC = Path(__file__).parent / "static"
PREFIX = "/static/"
_TYPES = {
    ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8",
    ".json": "application/json", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".md": "text/plain; charset=utf-8",
}  # fmt: skip
_IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)
_ENTRIES = ("app.js", "chat/page.js")
"""What a first visit runs; other pages, and what they alone need, come when they are first shown."""
_IMPORT = re.compile(
    r"""^(?:import|export)\s[^"'();]*?from\s*["']([^"']+)["']|^import\s*["']([^"']+)["']""", re.MULTILINE
)
_VENDOR_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*["']([^"']+)["']""")
"""Vendored files are minified: their imports stand in the middle of a line."""


class Asset(NamedTuple):
    """packed: compressed, where that makes it smaller. tag: of the content, for revalidation."""

    kind: str
    raw: bytes
    packed: bytes | None
    tag: str


class Assets:
    """The files under a folder, read once; ``policy`` is the Content-Security-Policy of its page."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder
        self._paths = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
        page = self._paths["index.html"].read_text(encoding="utf-8")
        maps = _IMPORT_MAP.findall(page)
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in maps]
        scripts = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in hashes)])
        self.policy = (
            f"default-src 'self'; script-src {scripts}; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )
        self._bare = {name: to for text in maps for name, to in json.loads(text)["imports"].items()}
        preload = "\n".join(f'<link rel="modulepreload" href="{PREFIX}{name}">' for name in self.first_modules())
        self.page = _asset("index.html", page.replace("<!-- modules -->", preload).encode())

    def first_modules(self) -> list[str]:
        """The modules that a first visit runs: `_ENTRIES` and what they import, directly or not."""
        found, waiting = set[str](), list(_ENTRIES)
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            text = self._paths[name].read_text(encoding="utf-8")
            pattern = _VENDOR_IMPORT if name.startswith("vendor/") else _IMPORT
            for match in pattern.finditer(text):
                target = next(filter(None, match.groups()))
                target = self._bare.get(target) or posixpath.join(PREFIX, posixpath.dirname(name), target)
                waiting.append(posixpath.normpath(target).removeprefix(PREFIX))
        return sorted(found)

    def find(self, name: str) -> Asset:
        """Raises KeyError."""
        return _read(self._paths[name], name)


@lru_cache(maxsize=512)
def _read(path: Path, name: str) -> Asset:
    return _asset(name, path.read_bytes())


def _asset(name: str, raw: bytes) -> Asset:
    suffix = Path(name).suffix
    kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    packed = None if suffix in (".woff2", ".png") else gzip.compress(raw, 9, mtime=0)
    if packed is not None and len(packed) >= len(raw):
        packed = None
    return Asset(kind, raw, packed, f'"{hashlib.sha256(raw).hexdigest()[:20]}"')


def add_app(app: FastAPI) -> None:
    """``/`` is the web app, ``/static/...`` its files."""
    assets = Assets()

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(request: Request) -> Response:
        return _respond(assets.page, request, assets.policy)

    @app.api_route(PREFIX + "{name:path}", methods=["GET", "HEAD"], include_in_schema=False)
    async def static(name: str, request: Request) -> Response:
        try:
            asset = assets.find(name)
        except KeyError:
            raise HTTPException(404, "no such file") from None
        return _respond(asset, request, assets.policy)


def _respond(asset: Asset, request: Request, policy: str) -> Response:
    headers = {
        "etag": asset.tag, "cache-control": "no-cache", "vary": "Accept-Encoding", "content-security-policy": policy,
        "referrer-policy": "no-referrer", "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }  # fmt: skip
    tags = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if asset.tag in tags or "*" in tags:
        return Response(status_code=304, headers=headers)
    body = asset.raw
    if asset.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        body = asset.packed
        headers["content-encoding"] = "gzip"
    return Response(body, headers={**headers, "content-type": asset.kind})
