"""Web servers under measurement, and the clients that ask them over connections that stay open."""

from __future__ import annotations

import http.client
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import psutil

from config.embedded.process import spawn, stop, wait_until
from tests.bench import HOST

# A token of the shape that Django's protection against forged forms compares with its cookie.
CSRF = "b" * 32


def peak_mb(pid: str = "self") -> float:
    """The most memory a process has held; the number that `getrusage` tells is its parent's, too."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


class Server(NamedTuple):
    """A web server that runs, and the processor time it has taken so far."""

    port: int
    process: psutil.Process

    def cpu(self) -> float:
        """Seconds, of all its processes; whatever else this machine does has no part in them."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in family)

    def peak_mb(self) -> float:
        """The most memory that any of its processes has held."""
        family = [self.process, *self.process.children(recursive=True)]
        return max(peak_mb(str(one.pid)) for one in family)


@contextmanager
def serving(application: str, database: str, **environment: str) -> Iterator[Server]:
    """A granian as `make run` and the image start it, in processes of their own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", application),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "2", "--blocking-threads", "4"),
        *(
            "--blocking-threads-idle-timeout",
            "600",
            "--workers-kill-timeout",
            "2",
            "--no-ws",
            "--no-access-log",
        ),
    ]
    log = Path(os.environ["BENCH_STATIC"], f"{application.partition(':')[0]}.log")
    with open(log, "ab") as lines:
        child = spawn(
            command,
            env=os.environ | {"DATABASE_URL": database} | environment,
            on_death=signal.SIGTERM,
            stdout=lines,
        )
    try:
        if (
            not wait_until(lambda: _listens(port) or child.poll() is not None, 120)
            or child.poll() is not None
        ):
            raise SystemExit(f"{application} did not start:\n{log.read_text()[-2000:]}")
        yield Server(port, psutil.Process(child.pid))
    finally:
        stop(child, by=signal.SIGTERM, within=4)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Answer(NamedTuple):
    status: int
    body: bytes
    seconds: float


class Client:
    """One signed-in person at one server, with a connection that stays open."""

    def __init__(self, server: Server, session: str) -> None:
        self.server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._headers = {
            "Host": HOST,
            "Origin": f"https://{HOST}",
            "X-Forwarded-Proto": "https",
            "Cookie": f"__Host-sessionid={session}; __Host-csrftoken={CSRF}",
            "X-CSRFToken": CSRF,
            "HX-Request": "true",
            "Content-Type": "application/x-www-form-urlencoded",
        }

    def get(self, path: str) -> Answer:
        return self._ask("GET", path, None)

    def post(self, path: str, **fields: str | int) -> Answer:
        return self._ask("POST", path, urlencode(fields))

    def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """What a program asks, who brings headers of its own."""
        return self._ask(method, path, body, headers)

    def _ask(
        self, method: str, path: str, body: str | bytes | None, headers: dict[str, str] | None = None
    ) -> Answer:
        begin = time.perf_counter()
        self._connection.request(method, path, body, self._headers | (headers or {}))
        answer = self._connection.getresponse()
        content = answer.read()
        return Answer(answer.status, content, time.perf_counter() - begin)

    def close(self) -> None:
        self._connection.close()
