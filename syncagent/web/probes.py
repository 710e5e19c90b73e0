"""`/healthz`, `/readyz` and `/metrics`, beside the doors: for whoever keeps the agent running, and whoever watches it.

    /healthz  200: the process answers, and what it decides is stored; else 503: start it anew
    /readyz   200: it decides; else 503, with the reasons: it waits for somebody, and a new start would not help
    /metrics  Prometheus' text format; names and units after its conventions; no label holds data of people

Where others than this machine can come, metrics are for those who show the token, and reasons too.
"""

import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from syncagent.model import HealthSnapshot
from syncagent.model.vitals import Figures, Vitals


class Probes:
    """The three routes. `token` None: nobody needs one."""

    def __init__(
        self,
        vitals: Callable[[], Vitals],
        health: Callable[[], HealthSnapshot],
        figures: Callable[[], Figures],
        token: Callable[[], str] | None,
    ) -> None:
        self._vitals, self._token = vitals, token
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Agent(health, figures))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def routes(self) -> list[Route]:
        """To be mounted beside the doors."""
        return [
            Route("/healthz", self._healthz, methods=["GET"]),
            Route("/readyz", self._readyz, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
        ]

    async def _healthz(self, _: Request) -> Response:
        alive = self._vitals().alive
        return PlainTextResponse("ok\n" if alive else "nothing is stored any more\n", 200 if alive else 503)

    async def _readyz(self, request: Request) -> Response:
        vitals = await run_in_threadpool(self._vitals)
        told = {"ready": vitals.ready, "why": list(vitals.why)} if self._may(request) else {"ready": vitals.ready}
        return JSONResponse(told, 200 if vitals.ready else 503)

    async def _metrics(self, request: Request) -> Response:
        if not self._may(request):
            says = "Metrics are for those who show the token of [probes]: Authorization: Bearer TOKEN.\n"
            return PlainTextResponse(says, 401, {"www-authenticate": "Bearer"})
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        body = await run_in_threadpool(encode, self._registry)
        return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})

    def _may(self, request: Request) -> bool:
        if self._token is None:
            return True
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        # As bytes: what is no ASCII must be refused, not raise.
        return scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), self._token().encode())


class _Agent(Collector):
    """Asked at each scrape: nothing is counted twice, and nothing but figures of the state leaves."""

    def __init__(self, health: Callable[[], HealthSnapshot], figures: Callable[[], Figures]) -> None:
        self._health, self._figures = health, figures

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        health = self._health()
        yield from _of_state(health)
        yield from _of_systems(health, self._figures())


def _of_state(health: HealthSnapshot) -> Iterator[Metric]:
    yield _gauge("people", "People known, without those merged into others.", health.people)
    yield _gauge("people_unsettled", "People who wait to be planned.", health.dirty)
    yield _gauge("people_with_sales", "Handoffs that are with sales.", health.with_sales)
    yield _by("people_held", "People whom the brake holds, by cause.", "cause", health.held)
    yield _by("leads_waiting_for_owner", "Leads that a route holds, by what for.", "what", health.waiting_for_owner)
    yield _gauge("promises_waiting_for_crm", "Promises that are due and wait for a fresh view.", health.waiting_for_crm)
    yield _by("commands", "Commands by state: queued, sending, done, parked, unknown ...", "state", health.outbox)
    yield _by("inbox_deliveries", "Deliveries that wait to be read, or were refused.", "state", health.inbox)
    yield _gauge("disk_full", "1 while the disk is full and nothing is acknowledged.", int(health.disk_full))


def _of_systems(health: HealthSnapshot, figures: Figures) -> Iterator[Metric]:
    info = InfoMetricFamily("syncagent_build", "Version of the agent, and digest of its config.")
    info.add_metric([], {"version": figures.version, "config": figures.config})
    yield info
    lines = CounterMetricFamily("syncagent_journal_lines", "Lines that the journal has had.")
    lines.add_metric([], figures.journal)
    yield lines
    down = {name.partition("/")[0] for name in health.down}
    up = {name: int(name not in down) for name in figures.systems}
    yield _by("system_up", "0 while a system, or a part of it, is left alone after a failure.", "system", up)
    silent = {name: int(name in figures.silent) for name in figures.systems}
    yield _by("system_silent", "1 while a system has not been heard of for too long.", "system", silent)
    read = {name: at.timestamp() for name, at in figures.read.items()}
    yield _by("last_read_timestamp_seconds", "When a system was read last without a failure.", "system", read)
    written = {name: at.timestamp() for name, at in figures.written.items()}
    yield _by("last_write_timestamp_seconds", "When a system took what it was sent last.", "system", written)
    seen = [at for name, at in health.seen_until.items() if at is not None and name == "crm/poll"]
    if seen:
        says = "The CRM's time up to which it is known to have been read."
        yield _gauge("crm_seen_until_timestamp_seconds", says, max(seen).timestamp())
    made = CounterMetricFamily("syncagent_api_calls", "Calls that this process has made.", labels=["system"])
    for name, count in health.calls_today.items():
        if name in figures.systems:
            made.add_metric([name], count)
    yield made
    used = {name: calls["used"] for name, calls in figures.calls.items() if calls.get("limit")}
    yield _by("api_calls_used", "Calls of the vendor's day that all integrations have used.", "system", used)
    limit = {name: calls["limit"] for name, calls in figures.calls.items() if calls.get("limit")}
    yield _by("api_calls_limit", "Calls that the vendor allows a day.", "system", limit)
    hints = {name: count for name, count in health.unanswered.items() if name in figures.systems}
    yield _by("unanswered_hints", "Records that were hinted at and that their system does not know.", "system", hints)
    deliveries = CounterMetricFamily(
        "syncagent_deliveries_answered", "Deliveries by door and answer.", labels=["door", "status"]
    )
    for (door, status), count in sorted(figures.answered.items()):
        deliveries.add_metric([door, str(status)], count)
    yield deliveries


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(f"syncagent_{name}", says, value=value)


def _by(name: str, says: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"syncagent_{name}", says, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
