"""Falcon's failures → the error object that a route's clients know: faults, HTTP errors, and exceptions that nobody foresaw."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import falcon
import falcon.asgi

from cortex.edge.errors import JSON_TYPE, Shape, headers_of, internal, shape_of, status_of
from cortex.edge.routes import SHOWN, Routes
from cortex.protocol.faults import Fault, FaultError

log = logging.getLogger("cortex.edge")


def install(app: falcon.asgi.App[Any, Any], routes: Routes) -> None:
    """Make every failure of the app an error object."""
    app.add_error_handler(Exception, _on_exception)
    app.add_error_handler(falcon.HTTPError, partial(_on_http_error, routes))
    app.add_error_handler(FaultError, _on_fault)


def _shape(req: falcon.asgi.Request) -> Shape:
    return shape_of(req.scope["path"], req.scope["headers"])


def _answer(resp: falcon.asgi.Response, status: int, body: bytes) -> None:
    resp.status = status
    resp.content_type = JSON_TYPE
    resp.data = body
    resp.stream = None


async def _on_fault(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: FaultError, _params: dict[str, Any]
) -> None:
    _tell(req, resp, error.fault)


def _tell(req: falcon.asgi.Request, resp: falcon.asgi.Response, fault: Fault) -> None:
    req.context.fault = fault
    _answer(resp, status_of(fault), _shape(req).fault(fault, _id_of(req)))
    resp.set_headers(headers_of(fault))


def _id_of(req: falcon.asgi.Request) -> str:
    request_id: str = req.scope.get("cortex.request_id", "")
    return request_id


async def _on_http_error(
    routes: Routes,
    req: falcon.asgi.Request,
    resp: falcon.asgi.Response,
    error: falcon.HTTPError,
    _params: dict[str, Any],
) -> None:
    status = error.status_code
    _answer(resp, status, _shape(req).http(status, _sentence(routes, req, error), _id_of(req)))
    if error.headers:
        resp.set_headers(error.headers)


def _sentence(routes: Routes, req: falcon.asgi.Request, error: falcon.HTTPError) -> str:
    """What is wrong, and what would be right."""
    match error.status_code:
        case 404:
            return routes.nothing_at(req.path)
        case 405:
            allowed = dict(error.headers or {}).get("Allow", "").removesuffix(", OPTIONS")
            return f"{req.method} is not allowed at {req.path[:SHOWN]}; use {allowed}."
        case 415 if error.description is not None:
            return error.description
        case 415:
            return "The body must be JSON; send it with the header Content-Type: application/json."
    return error.description or "The request cannot be served; it is not valid HTTP."


async def _on_exception(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, _params: dict[str, Any]
) -> None:
    request_id = _id_of(req)
    log.error("request %s failed in our own code", request_id, exc_info=error)
    _tell(req, resp, internal(request_id))
