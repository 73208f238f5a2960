"""The routes: who asks, what for, and the answer.

Plain ASGI: there are nine paths and no parameters in them. Whatever goes wrong becomes
problem+json; a fault of the server's own is told on standard error, without the data
that it was about, and the answer says nothing of it.

A request of a few rows is answered where it is read: handing it to a thread would take
longer than its work. Larger ones go to a few threads, and look at the clock and let
others work as they go.
"""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from gradline.hosts import Hosts
from gradline.serving.answers import JSON, predictions_json
from gradline.serving.arrows import ARROW_STREAM, Stream, predictions_stream
from gradline.serving.bodies import Bodies, Gone, throw_away
from gradline.serving.heads import Head, target
from gradline.serving.limits import Deadline, Limits
from gradline.serving.metrics import TEXT, Metrics
from gradline.serving.page import POLICY
from gradline.serving.parsing import parse
from gradline.serving.predictor import Predictor
from gradline.serving.problems import PROBLEM_JSON, Problem, busy
from gradline.serving.rows import Request
from gradline.serving.wishes import Options, query_options

#: Bytes of a body, and numbers per row, up to which a request is answered on the spot:
#: Arrow's bytes are read faster than JSON's.
QUICK_JSON, QUICK_ARROW, QUICK_TERMS = 4096, 131_072, 512

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_SAME_ORIGIN = (b"cross-origin-resource-policy", b"same-origin")


class Answer(NamedTuple):
    """What is sent back.

    rows: how many were predicted, for the counters.
    """

    status: int
    kind: str
    body: bytes
    headers: dict[str, str]
    rows: int = 0


class Pages(NamedTuple):
    """What does not change: the answers to GET, by path, with their types."""

    model: bytes
    openapi: bytes
    page: bytes


class Service:
    """A model's server, as an ASGI application.

    Args:
        predictor: of the model.
        model: its name and version.
        pages: what is told of it.
        limits: of requests.
        hosts: the names by which it may be asked.
        origins: pages of other sites that may ask it.
        threads: for work that takes long.
        log: is told of each answer, in a line.

    Attributes:
        pages: what is told of it.
        stopping: set when no more requests are wanted.
    """

    def __init__(
        self,
        predictor: Predictor,
        model: dict[str, str],
        pages: Pages,
        limits: Limits,
        hosts: Hosts,
        origins: frozenset[str] = frozenset(),
        threads: ThreadPoolExecutor | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self._predictor = predictor
        self._model = model
        self.pages = pages
        self._limits = limits
        self._hosts = hosts
        self._origins = origins
        self._threads = threads
        self._log = log
        self._bodies = Bodies(limits)
        self._known: frozenset[str] = frozenset()  # hosts that were looked at
        self._hands = 0
        self.stopping = False
        target = predictor.fit.target
        self._metrics = Metrics(target, model["version"], lambda: self._hands)
        page = partial(self._page, pages.page)
        self._routes: dict[str, dict[str, Callable[..., Awaitable[Answer]]]] = {
            "/predict": {"POST": self._predict},
            "/predict/arrow": {"POST": self._predict_arrow},
            "/model": {"GET": partial(self._constant, JSON, pages.model)},
            "/openapi.json": {"GET": partial(self._constant, JSON, pages.openapi)},
            "/healthz": {"GET": self._health},
            "/readyz": {"GET": self._ready},
            "/metrics": {"GET": self._counters},
            "/": {"GET": page},
            "/docs": {"GET": page},
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        start = time.perf_counter()
        authority, path = target(scope["path"])
        scope = {**scope, "path": path}
        route = path if path in self._routes else "other"
        asked = Head(scope, receive)
        close = self.stopping
        try:
            self._check_caller(asked, authority)
            answer = await self._answer(asked)
        except Problem as problem:
            answer = _refused(problem)
            close = close or problem.close
        except Gone:
            return
        except Exception as error:
            _tell(error)
            text = "the server made a mistake with this request: nothing was predicted"
            answer = _refused(Problem(500, text))
        unread = not asked.read and asked.has_body
        headers = self._headers(asked, answer)
        if close or unread or self.stopping:
            headers.append((b"connection", b"close"))
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": headers,
            }
        )
        empty = scope["method"] == "HEAD" or answer.status == 204
        body = b"" if empty else answer.body
        message = {"type": "http.response.body", "body": body}
        if unread:
            await send({**message, "more_body": True})
            await throw_away(receive)
            message["body"] = b""
        await send({**message, "more_body": False})
        seconds = time.perf_counter() - start
        self._metrics.answered(route, scope["method"], answer.status, seconds)
        if answer.rows:
            self._metrics.predicted(answer.rows)
        if self._log is not None:
            method = scope["method"] if scope["method"].isalpha() else "?"
            self._log(
                f"{method[:10]} {route} {answer.status} {answer.rows} rows "
                f"{seconds * 1000:.1f} ms"
            )

    def close(self) -> None:
        """Let go of the threads; what they work on has nobody waiting for it."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _headers(self, asked: Head, answer: Answer) -> list[tuple[bytes, bytes]]:
        found = list(_HEADERS)
        more = dict(answer.headers)
        if "content-security-policy" not in more:
            found.append(_POLICY)
        if answer.status != 204:
            found.append((b"content-type", answer.kind.encode("ascii")))
            found.append((b"content-length", str(len(answer.body)).encode("ascii")))
        if asked.origin is not None and asked.origin in self._origins:
            more["access-control-allow-origin"] = asked.origin
            more["access-control-expose-headers"] = "retry-after"
            more["cross-origin-resource-policy"] = "cross-origin"
            more["vary"] = "origin"
        else:
            found.append(_SAME_ORIGIN)
        found += [(k.encode("ascii"), v.encode("latin-1")) for k, v in more.items()]
        return found

    def unreadable(self) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """The head and body of the answer to what is no HTTP, which counts too."""
        answer = _refused(
            Problem(
                400,
                "the request is no HTTP/1.1: send one Host, one length, and a head "
                "without control characters, of 32 kB at most",
            )
        )
        self._metrics.answered("other", "other", answer.status, 0.0)
        if self._log is not None:
            self._log("? other 400 0 rows 0.0 ms")
        headers = [
            *_HEADERS,
            _POLICY,
            _SAME_ORIGIN,
            (b"content-type", answer.kind.encode("ascii")),
            (b"content-length", str(len(answer.body)).encode("ascii")),
            (b"connection", b"close"),
        ]
        return headers, answer.body

    def _check_caller(self, asked: Head, authority: str | None) -> None:
        """Refuse other hosts, foreign pages (see hosts.py), and two requests in one."""
        if asked.told(b"content-length") and asked.told(b"transfer-encoding"):
            raise Problem(
                400,
                "the request tells its length in two ways: send Content-Length or "
                "Transfer-Encoding",
                close=True,
            )
        hosts = asked.told(b"host")
        host = hosts[0] if len(hosts) == 1 else ""
        if host not in self._known and host in self._hosts:
            self._known = frozenset([host, *list(self._known)[:7]])
        known = host in self._known
        if not known or (authority is not None and authority not in self._hosts):
            raise Problem(
                421,
                f"{'the address' if known else 'the Host header'} names another "
                "server: ask by the address that was said at the start, or start with "
                "--allow-host NAME",
            )
        origins = asked.told(b"origin")
        if not origins:
            return
        if len(origins) == 1:
            asked.origin = origins[0]
        own = f"http://{host}"
        if origins != [own] and asked.origin not in self._origins:
            raise Problem(
                403,
                "a page of another site asks: start with --allow-origin ORIGIN to "
                "let it",
            )

    async def _answer(self, asked: Head) -> Answer:
        scope = asked.scope
        methods = self._routes.get(scope["path"])
        if methods is None:
            raise Problem(404, "there is nothing here: see / for what there is")
        allowed = [*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"]
        method = scope["method"]
        if method == "OPTIONS":
            return self._options(asked, allowed)
        run = methods.get("GET" if method == "HEAD" else method)
        if run is None:
            raise Problem(
                405,
                f"this takes {' and '.join(allowed[:-1])}: see / for how to ask",
                {"allow": ", ".join(allowed)},
            )
        return await run(asked)

    def _options(self, asked: Head, allowed: list[str]) -> Answer:
        names = ", ".join(allowed)
        headers = {"allow": names}
        if asked.origin in self._origins:
            headers |= {
                "access-control-allow-methods": names,
                "access-control-allow-headers": "content-type, accept",
                "access-control-max-age": "600",
            }
        return Answer(204, "", b"", headers)

    # What is told.

    async def _constant(self, kind: str, body: bytes, _: Head) -> Answer:
        return Answer(200, kind, body, {})

    async def _page(self, body: bytes, _: Head) -> Answer:
        headers = {"content-security-policy": POLICY}
        return Answer(200, "text/html; charset=utf-8", body, headers)

    async def _health(self, _: Head) -> Answer:
        return Answer(200, JSON, b'{"status": "ok"}', {})

    async def _ready(self, _: Head) -> Answer:
        if self.stopping:
            raise busy("the server stops: send no more requests here")
        return Answer(200, JSON, b'{"status": "ready"}', {})

    async def _counters(self, _: Head) -> Answer:
        return Answer(200, TEXT, self._metrics.text(), {})

    # Predictions.

    async def _predict(self, asked: Head) -> Answer:
        if asked.scope["query_string"]:
            raise Problem(
                400,
                "the address has a query, which is not looked at here: put interval, "
                "kind and missing into the body",
            )
        asked.check_type(JSON, "/predict/arrow takes Arrow streams")
        kind = asked.best(JSON, ARROW_STREAM)
        work = partial(self._from_json, kind)
        return await self._worked(asked, work, QUICK_JSON)

    async def _predict_arrow(self, asked: Head) -> Answer:
        asked.check_type(ARROW_STREAM, "/predict takes JSON")
        kind = asked.best(ARROW_STREAM, JSON)
        options = query_options(asked.scope["query_string"])
        work = partial(self._from_arrow, kind, options)
        return await self._worked(asked, work, QUICK_ARROW)

    async def _worked(
        self, asked: Head, work: Callable[[bytes, Deadline], Answer], quick: int
    ) -> Answer:
        """Read the body and work on it, within the limits."""
        due = Deadline(self._limits.seconds)
        with self._hand(), self._bodies.room() as held:
            length = asked.length()
            body = await self._bodies.read(held, length, asked.receive, due)
            asked.read = True
            if len(body) <= quick and self._predictor.terms <= QUICK_TERMS:
                return work(body, due)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, work, body, due)

    @contextmanager
    def _hand(self) -> Iterator[None]:
        """One of the requests in hand."""
        if self._hands >= self._limits.concurrency:
            raise busy(
                f"there are {self._limits.concurrency:,} requests in hand already: "
                "try again soon"
            )
        self._hands += 1
        try:
            yield
        finally:
            self._hands -= 1

    def _from_json(self, kind: str, body: bytes, due: Deadline) -> Answer:
        due.check()
        asked = parse(body, self._predictor.features, self._limits, due)
        few = self._predictor.predict_few(asked.columns, asked.rows, asked.options)
        if few is not None:
            return self._told(kind, few, asked.options, due, asked.rows)
        source = Request(asked.columns, asked.rows, due, self._predictor.step)
        parts = self._predictor.predict(source, asked.options)
        return self._told(kind, parts, asked.options, due, asked.rows)

    def _from_arrow(
        self, kind: str, options: Options, body: bytes, due: Deadline
    ) -> Answer:
        due.check()
        predictor = self._predictor
        source = Stream(body, predictor.features, self._limits, due, predictor.step)
        if not source.rows:
            raise Problem(422, "the stream has no rows: give one at least")
        predictor.check(source)
        parts = predictor.predict(source, options)
        return self._told(kind, parts, options, due, source.rows)

    def _told(
        self, kind: str, parts: Any, options: Options, due: Deadline, rows: int
    ) -> Answer:
        if kind == ARROW_STREAM:
            body = predictions_stream(parts)
        else:
            target = self._predictor.fit.target
            body = predictions_json(target, self._model, parts, options, due)
        return Answer(200, kind, body, {}, rows)


def _refused(problem: Problem) -> Answer:
    return Answer(problem.status, PROBLEM_JSON, problem.body(), problem.headers)


def _tell(error: Exception) -> None:
    """A fault of ours, for whoever runs the server: where, but not with what data."""
    where = "".join(traceback.format_tb(error.__traceback__))
    print(f"gradline: {type(error).__name__} in\n{where}", file=sys.stderr, flush=True)  # noqa: T201
