"""Opening the page of a server that has just begun."""

from __future__ import annotations

import os
import platform
import threading
import webbrowser


def there_is_one() -> bool:
    """Whether this process runs where a browser can show itself: a desktop, not a bare terminal of another machine."""
    if platform.system() == "Darwin":
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def show(url: str) -> None:
    """Open ``url`` if there is a browser, without waiting for it."""
    if there_is_one():
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
