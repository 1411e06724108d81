"""What /metrics tells Prometheus."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STEPS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2)
_TIMES = ("queue", "time_to_first_token", "inter_token", "request")
_WHOLE = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)


class Metrics:
    """All of one server's numbers, in a registry of their own; each bears the name of its model."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter(
            "limpid_requests", "Answers that have ended, by how: stop, length, cancelled or error.",
            ["model", "finish"], registry=self.registry,
        )  # fmt: skip
        self._http = Counter(
            "limpid_http_responses", "Responses by status.", ["status"], registry=self.registry
        )  # fmt: skip
        self._gauges = {
            name: Gauge(f"limpid_{name}", text, ["model"], registry=self.registry)
            for name, text in (
                ("requests_running", "Answers under way: their prompt is read, or they speak."),
                ("requests_waiting", "Answers that wait for a row."),
                ("cache_rows_in_use", "Rows of the key-value cache that are taken."),
                ("cache_rows", "Rows of the key-value cache that there may be."),
            )
        }
        self._prompt = Counter("limpid_prompt_tokens", "Tokens of prompts read.", ["model"], registry=self.registry)
        self._generated = Counter(
            "limpid_generated_tokens", "Tokens said, those that ended an answer too.", ["model"], registry=self.registry
        )
        self._histograms = {
            name: Histogram(f"limpid_{name}_seconds", text, ["model"], buckets=buckets, registry=self.registry)
            for name, text, buckets in (
                ("queue", "From a request to its row.", _WAITS),
                ("time_to_first_token", "From a request to the first token of an answer.", _WAITS),
                ("inter_token", "Between two tokens of one answer.", _STEPS),
                ("request", "From a request to the end of an answer.", _WHOLE),
            )
        }

    def of(self, model: str) -> ModelMetrics:
        """The numbers of one model."""
        times = (self._histograms[name].labels(model) for name in _TIMES)
        return ModelMetrics(
            model, self._gauges, self._requests, self._prompt.labels(model), self._generated.labels(model), *times
        )

    def count_response(self, status: int) -> None:
        self._http.labels(str(status)).inc()

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class ModelMetrics:
    """Counters and histograms of one model, ready to be counted up."""

    def __init__(
        self,
        model: str,
        gauges: dict[str, Gauge],
        requests: Counter,
        prompt_tokens: Counter,
        generated_tokens: Counter,
        queue: Histogram,
        first_token: Histogram,
        inter_token: Histogram,
        request: Histogram,
    ) -> None:
        self._model, self._gauges, self._requests = model, gauges, requests
        self.prompt_tokens, self.generated_tokens = prompt_tokens, generated_tokens
        self.queue, self.first_token, self.inter_token, self.request = queue, first_token, inter_token, request

    def watch(self, **loads: Callable[[], float]) -> None:
        """Let gauges ask for their values when they are read."""
        for name, load in loads.items():
            self._gauges[name].labels(self._model).set_function(load)

    def unwatch(self) -> None:
        """Forget those gauges: they hold on to whom they ask. What was counted stays."""
        for gauge in self._gauges.values():
            with contextlib.suppress(KeyError):
                gauge.remove(self._model)

    def ended(self, finish: str) -> None:
        self._requests.labels(self._model, finish).inc()
