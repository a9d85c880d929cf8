"""All series of the edge, named in this one file. They work across processes when PROMETHEUS_MULTIPROC_DIR is set.

A token costs nothing here: a request is observed when it ends. Model labels come from the catalogue, because a label
that a client could choose would be a way to fill memory.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from cortex.protocol.faults import Code, Fault
from cortex.protocol.toolcalls.steps import MADE, MALFORMED, Step
from cortex.protocol.values import Usage

log = logging.getLogger("cortex.edge")

DURATION = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200)
FIRST_TOKEN = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)
SPEED = (1, 2.5, 5, 10, 15, 20, 30, 40, 60, 80, 120, 200)
STEPS = frozenset(step.value for step in Step)
NONE: Mapping[str, int] = {}
SHORTEST_WINDOW = 0.1
"""Seconds between first and last token below which a speed would say nothing; then the whole request counts."""


@dataclass(frozen=True, slots=True)
class ModelSeries:
    """What a request of one model moves: found once, because looking a label up costs more than counting."""

    prompt_tokens: Counter
    completion_tokens: Counter
    cached_prompt_tokens: Counter
    duration: Histogram
    first_token: Histogram
    speed: Histogram


class Metrics:
    """The series, in the registry given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "cortex_requests", "Requests answered", ["model", "route", "status"], registry=registry
        )
        self.errors = Counter(
            "cortex_request_errors", "Requests that failed", ["model", "code"], registry=registry
        )
        self.prompt_tokens = Counter(
            "cortex_prompt_tokens", "Tokens of prompts", ["model"], registry=registry
        )
        self.completion_tokens = Counter(
            "cortex_completion_tokens", "Tokens generated", ["model"], registry=registry
        )
        self.cached_prompt_tokens = Counter(
            "cortex_cached_prompt_tokens", "Tokens of prompts found in a cache", ["model"], registry=registry
        )

        def histogram(name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, what, ["model"], buckets=buckets, registry=registry)

        self.duration = histogram(
            "cortex_request_duration_seconds", "From the request to the end of its answer", DURATION
        )
        self.first_token = histogram(
            "cortex_time_to_first_token_seconds",
            "From the request to the first text, reasoning or tool call",
            FIRST_TOKEN,
        )
        self.speed = histogram(
            "cortex_tokens_per_second", "Tokens per second from the first to the last", SPEED
        )
        self.tool_calls = Counter("cortex_tool_calls", "Tool calls made", ["model"], registry=registry)
        self.malformed_tool_calls = Counter(
            "cortex_tool_calls_malformed",
            "Bodies of tool calls that could not be read and went out as text",
            ["model"],
            registry=registry,
        )
        self.tool_call_repairs = Counter(
            "cortex_tool_call_repairs", "Repairs of tool calls, by kind", ["model", "step"], registry=registry
        )
        self.inflight = Gauge(
            "cortex_edge_inflight", "Requests being answered", multiprocess_mode="livesum", registry=registry
        )
        self.wire_errors = Counter(
            "cortex_wire_errors", "Messages from brokers that were dropped", ["reason"], registry=registry
        )
        self.disconnects = Counter(
            "cortex_client_disconnects",
            "Clients that left before their answer was complete",
            registry=registry,
        )

        self._of_model: dict[str, ModelSeries] = {}
        self._answers: dict[tuple[str, str, int], Counter] = {}

    def of(self, model: str) -> ModelSeries:
        """The series of one model."""
        found = self._of_model.get(model)
        if found is None:
            found = self._of_model[model] = ModelSeries(
                self.prompt_tokens.labels(model),
                self.completion_tokens.labels(model),
                self.cached_prompt_tokens.labels(model),
                self.duration.labels(model),
                self.first_token.labels(model),
                self.speed.labels(model),
            )
        return found

    def wire_error(self, reason: str) -> None:
        """A message was dropped."""
        self.wire_errors.labels(reason).inc()

    def answered(self, model: str, route: str, status: int) -> None:
        """A request was answered that generates nothing, or was refused."""
        key = (model, route, status)
        found = self._answers.get(key)
        if found is None:
            found = self._answers[key] = self.requests.labels(model, route, str(status))
        found.inc()

    def failed(self, model: str, fault: Fault) -> None:
        """A request failed with this fault."""
        if fault.code is Code.CANCELLED:
            self.disconnects.inc()
        else:
            self.errors.labels(model, fault.code.value).inc()

    def called(self, model: str, calls: Mapping[str, int]) -> None:
        """An answer has ended that called tools, or tried to; `calls` as `Finished` has them."""
        for what, count in calls.items():
            if what == MADE:
                self.tool_calls.labels(model).inc(count)
            elif what == MALFORMED:
                self.malformed_tool_calls.labels(model).inc(count)
            elif what in STEPS:
                self.tool_call_repairs.labels(model, what).inc(count)

    def begin(self, request: str, model: str, route: str) -> Record:
        """A request was submitted."""
        self.inflight.inc()
        return Record(self, request, model, route)


class Record:
    """One request that generates, as it is measured; at its end it is one line of the debug log."""

    __slots__ = ("_metrics", "_model", "_open", "_request", "_route", "_started", "first_at")

    def __init__(self, metrics: Metrics, request: str, model: str, route: str) -> None:
        self._metrics = metrics
        self._request = request
        self._model = model
        self._route = route
        self._started = monotonic()
        self._open = True
        self.first_at: float | None = None

    def content(self) -> None:
        """The first text, reasoning or tool call is there."""
        self.first_at = monotonic()

    def end(
        self,
        status: int,
        *,
        usage: Usage | None = None,
        fault: Fault | None = None,
        calls: Mapping[str, int] = NONE,
    ) -> None:
        """The answer has ended; only the first call counts."""
        if not self._open:
            return
        self._open = False
        metrics, model, now = self._metrics, self._model, monotonic()
        series = metrics.of(model)
        metrics.inflight.dec()
        metrics.answered(model, self._route, status)
        series.duration.observe(now - self._started)
        if self.first_at is not None:
            series.first_token.observe(self.first_at - self._started)
        if fault is not None:
            metrics.failed(model, fault)
        if calls:
            metrics.called(model, calls)
        if usage is not None:
            series.prompt_tokens.inc(usage.prompt)
            series.completion_tokens.inc(usage.completion)
            series.cached_prompt_tokens.inc(usage.cached)
            if usage.completion:
                series.speed.observe(usage.completion / self._window(now))
        log.debug(
            "%s %s: %s after %.3f s, %d + %d tokens",
            self._request,
            model,
            "done" if fault is None else fault.code.value,
            now - self._started,
            usage.prompt if usage is not None else 0,
            usage.completion if usage is not None else 0,
        )

    def _window(self, now: float) -> float:
        since = self.first_at if self.first_at is not None else self._started
        if now - since < SHORTEST_WINDOW:
            since = self._started
        return max(now - since, 1e-3)
