"""The words of `gradline serve`, and what a port and a size are."""

from __future__ import annotations

import argparse
import re

#: Where it listens unless told.
PORT = 8000


def add_serve(parser: argparse.ArgumentParser) -> None:
    """What to serve, where, for whom, and how much at once."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="a file that fit saved")
    where = parser.add_argument_group("where, and for whom").add_argument
    where(
        "--host",
        default="127.0.0.1",
        help="on which address (127.0.0.1: this machine alone; 0.0.0.0: for everyone)",
    )
    where(
        "--port",
        type=port,
        default=PORT,
        help="where to listen (default: %(default)s; 0: any that is free)",
    )
    where(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        type=_host,
        help="a further name by which it may be asked, such as that of a proxy",
    )
    where(
        "--allow-origin",
        metavar="ORIGIN",
        action="append",
        default=[],
        type=_origin,
        help="a page that may ask it from a browser, such as https://shop.example",
    )
    limits = parser.add_argument_group("limits").add_argument
    limits(
        "--max-body",
        type=size,
        default=10 * 10**6,
        metavar="SIZE",
        help="of one request, such as 500kB (default: 10MB)",
    )
    limits(
        "--max-rows",
        type=_count,
        default=100_000,
        metavar="N",
        help="in one request (default: 100000)",
    )
    limits(
        "--timeout",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="for one request, from its head to its answer (default: 30)",
    )
    limits(
        "--concurrency",
        type=_count,
        default=64,
        metavar="N",
        help="requests in hand at one time; more are told to come back (default: 64)",
    )
    add(
        "--log",
        action="store_true",
        help="a line on standard error for each request, without its data",
    )


def port(text: str) -> int:
    """A number of a port."""
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 0 to 65535")
    return int(text)


def size(text: str) -> int:
    """A number of bytes, with or without a unit."""
    found = re.fullmatch(r"(\d{1,12}) ?([kmgt]?)b?", text.strip().lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give 500MB or 2GB")
    bytes_ = int(found[1]) * int(1000 ** " kmgt".index(found[2] or " "))
    if not bytes_:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give 1 or more")
    return bytes_


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:12]) <= 10**9):
        raise argparse.ArgumentTypeError(f"{text!r} is no count: give 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text) or float(text) < 0.1:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: give 0.1 or more")
    return float(text)


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no host: give a name alone, such as predict.example.org"
        )
    return text.lower()


def _origin(text: str) -> str:
    found = re.fullmatch(r"https?://[a-z0-9._\[\]:-]{1,260}", text.lower())
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no origin: give scheme and host, such as https://shop.example"
        )
    return text.lower()
