"""What a server's /metrics page says, as numbers."""

from __future__ import annotations

import re
import urllib.request

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{.*\})?\s+(\S+)")


def read_metrics(url: str, key: str | None = None) -> dict[str, float]:
    """Every sample of ``url``/metrics by its name, summed over labels (so that models are counted together)."""
    request = urllib.request.Request(f"{url}/metrics", headers={"Authorization": f"Bearer {key}"} if key else {})
    with urllib.request.urlopen(request, timeout=30) as response:
        return totals(response.read().decode("utf-8"))


def totals(page: str) -> dict[str, float]:
    """The samples of a page in Prometheus' format. Buckets of histograms are left out: their sum means nothing."""
    found: dict[str, float] = {}
    for line in page.splitlines():
        sample = _SAMPLE.match(line)
        if sample and not sample[1].endswith("_bucket"):
            found[sample[1]] = found.get(sample[1], 0.0) + float(sample[2])
    return found
