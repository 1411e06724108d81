"""When a browser is opened, and when not."""

from __future__ import annotations

import platform
import threading
import webbrowser

import pytest

from limpid.cli import browser


@pytest.mark.parametrize(
    ("system", "environment", "there"),
    [
        ("Linux", {}, False), ("Linux", {"DISPLAY": ":0"}, True), ("Linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("Darwin", {}, True), ("Darwin", {"SSH_CONNECTION": "1.2.3.4 1 1.2.3.4 22"}, False),
    ],
)  # fmt: skip
def test_only_where_there_is_a_desktop(
    monkeypatch: pytest.MonkeyPatch, system: str, environment: dict[str, str], there: bool
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(platform, "system", lambda: system)
    opened: list[str] = []
    done = threading.Event()
    monkeypatch.setattr(webbrowser, "open", lambda url: (opened.append(url), done.set()))
    browser.show("http://127.0.0.1:8000")
    if there:
        assert done.wait(5)
    assert opened == (["http://127.0.0.1:8000"] if there else [])
