"""A hub id is fetched through huggingface_hub; the hub here is a server on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.checkpoint.conftest import Saved, randomise
from tests.checkpoint.hugging_face.test_import import MODELS

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """GET /api/models/ID/revision/REV lists the files; /ID/resolve/REV/FILE is one."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *words: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        type(self).asked.append(self.path)
        path = self.path.partition("?")[0]
        files = {p.name: p for p in self.folder.iterdir()}
        if path.startswith("/api/models/someone/tiny/revision/"):
            table = {"id": "someone/tiny", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
            self._send(json.dumps(table).encode(), "application/json", body)
        elif path.startswith("/api/models/someone/tiny/tree/"):
            listed = [
                {"type": "file", "path": n, "size": p.stat().st_size, "oid": _digest(p)} for n, p in files.items()
            ]
            self._send(json.dumps(listed).encode(), "application/json", body)
        elif path.startswith("/someone/tiny/resolve/") and (name := path.rpartition("/")[2]) in files:
            self._send(files[name].read_bytes(), "application/octet-stream", body, etag=_digest(files[name]))
        else:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()

    def _send(self, data: bytes, kind: str, body: bool, etag: str = "x") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(data)


def _digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


@pytest.fixture
def hub(save: Saved) -> Iterator[str]:
    folder, _ = save(randomise(MODELS["llama"]()))
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "README.md").write_text("words")
    Hub.folder, Hub.asked = folder, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def limpid(folder: Path, endpoint: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "cache"), "HF_HUB_DISABLE_XET": "1"}
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-m", "limpid", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=200,
    )  # fmt: skip


def test_a_hub_id_comes_in_without_its_pickles(hub: str, tmp_path: Path) -> None:
    done = limpid(tmp_path, hub, "import", "someone/tiny", "run")
    assert done.returncode == 0, done.stderr
    assert "LlamaForCausalLM came in as a llama model" in done.stdout
    assert any(path.endswith("/model.safetensors") for path in Hub.asked)
    assert not any(path.endswith((".bin", "README.md")) for path in Hub.asked)
    unknown = limpid(tmp_path, hub, "import", "someone/else", "other")
    assert unknown.returncode == 1
    assert "someone/else is no folder here, and could not be fetched" in unknown.stderr
    assert unknown.stderr.count("\n") == 1
