"""The control API of one vendor's server, under `/_sandbox/`. It needs no credentials and costs no quota.

    POST seed {...}                -> ids
    GET dump                       -> everything
    POST act {"do": "...", ...}    -> what came of it
    GET calls[?since=n]            -> {"calls": [{n, at, method, path, query, status, cost, fault, executed}]}
    DELETE calls
    POST faults {...}              -> {"id": n}
    GET faults                     -> {"faults": [{"id", ..., "struck"}]}
    DELETE faults[?id=n]
    GET clock                      -> {"now": iso, "stopped": bool}
    POST clock {"now": iso} | {"advance": seconds} | {"real": true}
    GET quota                      -> {"calls": n, "cost": n}, since the last DELETE calls

What is wrong in a request is told as 400 {"error": "a sentence"}.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncagent.sandbox.clock import SandboxClock
from syncagent.sandbox.faults import Faults
from syncagent.sandbox.ledger import Ledger
from syncagent.sandbox.vendor import Vendor

PREFIX = "/_sandbox/"


def control(vendor: Vendor, clock: SandboxClock, faults: Faults, ledger: Ledger) -> Starlette:
    """The ASGI application that answers everything under `/_sandbox/`."""

    def act(body: dict[str, Any], _: Request) -> object:
        if "do" not in body:
            msg = 'An act needs "do": the name of what to do.'
            raise ValueError(msg)
        return vendor.act(str(body.pop("do")), body)

    def drop_faults(_: dict[str, Any], request: Request) -> object:
        number = request.query_params.get("id")
        faults.clear(int(number) if number is not None else None)
        return {}

    def drop_calls(_: dict[str, Any], __: Request) -> object:
        ledger.clear()
        return {}

    verbs: dict[tuple[str, str], Callable[[dict[str, Any], Request], object]] = {
        ("POST", "seed"): lambda body, _: vendor.seed(body),
        ("GET", "dump"): lambda _, __: vendor.dump(),
        ("POST", "act"): act,
        ("GET", "calls"): lambda _, request: {"calls": ledger.view(int(request.query_params.get("since", "0")))},
        ("DELETE", "calls"): drop_calls,
        ("GET", "quota"): lambda _, __: ledger.totals(),
        ("POST", "faults"): lambda body, _: {"id": faults.plant(body)},
        ("GET", "faults"): lambda _, __: {"faults": faults.view()},
        ("DELETE", "faults"): drop_faults,
        ("POST", "clock"): lambda body, _: _move(clock, body),
        ("GET", "clock"): lambda _, __: _tell(clock),
    }

    async def serve(request: Request) -> Response:
        verb = verbs.get((request.method, request.path_params["verb"]))
        if verb is None:
            there = ", ".join(f"{method} {name}" for method, name in verbs)
            return _json({"error": f"The control API has no {request.method} {request.url.path}; it has {there}."}, 404)
        raw = await request.body()
        try:
            body = msgspec.json.decode(raw or b"{}", type=dict[str, Any])
            return _json(verb(body, request))
        except (ValueError, LookupError, TypeError) as error:
            return _json({"error": str(error) or type(error).__name__}, 400)

    return Starlette(routes=[Route(PREFIX + "{verb:path}", serve, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])])


def _move(clock: SandboxClock, body: dict[str, Any]) -> dict[str, Any]:
    if "now" in body:
        clock.set(datetime.fromisoformat(body["now"]))
    elif "advance" in body:
        clock.advance(float(body["advance"]))
    elif body.get("real") is True:
        clock.real()
    else:
        msg = 'The clock takes {"now": iso}, {"advance": seconds} or {"real": true}.'
        raise ValueError(msg)
    return _tell(clock)


def _tell(clock: SandboxClock) -> dict[str, Any]:
    return {"now": clock.now().isoformat(), "stopped": clock.stopped}


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
