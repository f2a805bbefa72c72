"""One HTTP request to the outside: never to an address inside, never redirected, never longer than its time."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from dataclasses import dataclass
from email.message import Message as Headers
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from time import monotonic
from urllib.parse import urlsplit

from django.conf import settings

MOST_READ = 65_536
_NAT64 = IPv6Network("64:ff9b::/96")


class Blame(Enum):
    """Whose fault it is that a message did not leave, which decides how it goes on."""

    MESSAGE = "It is tried again, and given up after a while."
    MESSAGE_FOR_GOOD = "It is given up at once."
    CHANNEL = "Every message waits a little."
    CHANNEL_BUSY = "Every message waits as long as was asked, and nothing is counted."
    CHANNEL_FOR_GOOD = "The channel is shut until a lead opens it."


class NotSent(Exception):
    """A message did not leave: the sentence to show, whose fault it is, and the seconds we were asked to wait."""

    def __init__(self, sentence: str, blame: Blame, wait: int = 0) -> None:
        super().__init__(sentence)
        self.sentence, self.blame, self.wait = sentence, blame, wait


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the headers, and the beginning of the body."""

    status: int
    headers: Headers
    text: str


def refusal(url: str) -> str:
    """Why we do not send to this address, as far as it can be told without asking for its name; else empty."""
    try:
        parts = urlsplit(url)
        port_is_fine, host = parts.port != 0, parts.hostname or ""
    except ValueError:
        return "is no address"
    if parts.scheme not in ("https", "http") or not host or not port_is_fine or parts.username is not None:
        return "is no https address"
    try:
        inside = not may_reach(ip_address(host))
    except ValueError:
        inside = host == "localhost" and not settings.DEBUG
    if inside:
        return "lies inside a private network"
    return "" if parts.scheme == "https" or _is_loopback(host) else "is not https"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def may_reach(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is out in the world; in development this machine may be reached as well."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return may_reach(inner)
    if address.is_loopback:
        return settings.DEBUG
    return address.is_global and not address.is_multicast


def post(url: str, body: bytes, headers: dict[str, str], *, seconds: float) -> Answer:
    """Post ``body`` and return what came back. Raises ``NotSent`` where the address is not for us or nobody answers."""
    wrong = refusal(url)
    if wrong:
        raise NotSent(f"The address {wrong}.", Blame.CHANNEL)
    until = monotonic() + seconds
    try:
        with _connected(url, until) as connection:
            connection.sendall(_request(url, body, headers))
            return _read(connection, until)
    except TimeoutError:
        raise NotSent(f"No answer within {seconds:.0f} seconds.", Blame.CHANNEL) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotSent(f"No answer: {str(error)[:200] or type(error).__name__}.", Blame.CHANNEL) from error


def _connected(url: str, until: float) -> socket.socket:
    """A connection to one of the addresses of the host, each looked at before it is used."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    found = [info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not all(may_reach(ip_address(str(address).partition("%")[0])) for address in found):
        raise NotSent("The address lies inside a private network.", Blame.CHANNEL)
    connection = socket.create_connection((str(found[0]), port), timeout=_left(until))
    if not secure:
        return connection
    connection.settimeout(_left(until))
    return ssl.create_default_context().wrap_socket(connection, server_hostname=host)


def _request(url: str, body: bytes, headers: dict[str, str]) -> bytes:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = {"Host": parts.netloc, "Connection": "close", "Content-Length": str(len(body)), **headers}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode("ascii") + b"\r\n" + body


def _read(connection: socket.socket, until: float) -> Answer:
    """The answer, as soon as its head is there: who keeps the line open afterwards has answered all the same."""
    read = b""
    while b"\r\n\r\n" not in read and len(read) < MOST_READ:
        connection.settimeout(_left(until))
        part = connection.recv(4096)
        if not part:
            break
        read += part
    head, ended, rest = read.partition(b"\r\n\r\n")
    first, _, fields = head.partition(b"\r\n")
    words = first.split(b" ", 2)
    if not ended or not first.startswith(b"HTTP/1.") or len(words) < 2:
        raise ValueError("what came back is no HTTP")
    headers = http.client.parse_headers(io.BytesIO(fields + b"\r\n\r\n"))
    return Answer(int(words[1]), headers, rest[:200].decode(errors="replace").strip())


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
