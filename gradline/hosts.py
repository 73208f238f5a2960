"""By which names a server is asked, and whether it is meant.

A page of another site may send requests to this machine too; its Origin gives it away.
A name of another site may be made to point here (DNS rebinding); its Host gives it
away. So a server looks at both before anything is done.

The names are those of this machine's loopback. Where a server listens for others too,
they are any address as numbers, which no foreign site can pretend to be, the name that
--host gave, the machine's own name, and those it was told of.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping
from typing import Any

#: A name or [an IPv6 address], and perhaps a port: nothing else is a Host.
_HOST = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::[0-9]{1,5})?")


class Hosts:
    """The names by which a server may be asked.

    Args:
        host: where it listens.
        further: names that lead here, such as that of a proxy.
    """

    def __init__(self, host: str, further: Iterable[str] = ()) -> None:
        self._for_all = is_open(host)
        own = socket.gethostname().lower()
        self._names = {"localhost", *(name.lower() for name in further)}
        if self._for_all:
            self._names |= {host.lower(), own, f"{own}.local"}

    def __contains__(self, host: str) -> bool:
        """Whether a Host header, in lower case, means this server."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        six, name = found.groups()
        try:
            address = ipaddress.ip_address(six or name)
        except ValueError:
            return not six and name in self._names
        return self._for_all or address.is_loopback


def is_open(host: str) -> bool:
    """Whether other machines can reach what listens there."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() != "localhost"


def values_of(scope: Mapping[str, Any], name: bytes) -> list[str]:
    """Every header of one name in an ASGI scope, in lower case, as hosts compare."""
    return [v.decode("latin-1").lower() for k, v in scope["headers"] if k == name]
