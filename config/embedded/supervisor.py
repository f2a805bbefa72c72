"""What `make run` runs: database, broker, web, worker and beat on this machine, each watched until the end."""

import getpass
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import environ
import psycopg
import redis

from config.embedded.process import Refusal, spawn, stop
from config.embedded.servers import Postgres, Server, State, Valkey, show, tail

ROOT = Path(__file__).resolve().parent.parent.parent
LOGINS = ("admin", "lead", "specialist", "specialist2", "revenue", "viewer")
DEMO_PASSWORD = "demo-onboarding"
# Made on the first start, so that the doors for other systems are open here; a deployment brings its own.
# How each begins: mail services that sign nothing are given a user and a password.
DOOR_SECRETS = {
    "STRIPE_WEBHOOK_SECRETS": "whsec_",
    "CALENDLY_SIGNING_KEYS": "whsec_",
    "SHOPIFY_WEBHOOK_SECRETS": "whsec_",
    "INGEST_WEBHOOK_SECRETS": "whsec_",
    "MAIL_WEBHOOK_SECRETS": "hooks:",
}
# What the samples of `manage.py send_sample_event` speak of.
SAMPLED = {
    "CALENDLY_EVENT_TYPES": "https://api.calendly.com/event_types/onramp-sample-intro=intro",
    "SHOPIFY_CONSULTATION_SKUS": "ONRAMP-SAMPLE-CONSULTATION",
    "MAIL_LOG_ADDRESS": "log@in.onramp.example",
}
# A stop takes ten seconds at most, of which the last belongs to the kernel.
STOP_SECONDS = 9.0
# When make was killed nobody waits for a worker's last task: the tables know it was not done.
HURRIED_SECONDS = 5.0
LONGEST_PAUSE = 15.0


class Stopped(Exception):
    """Somebody asked us to stop."""


def say(part: str, word: str, rest: str = "") -> None:
    print(f"{part:<10} {word:<5} {rest}".rstrip(), flush=True)


class Part:
    """A child process of ours that is started again when it dies."""

    def __init__(
        self,
        name: str,
        command: list[str],
        env: dict[str, str],
        log: Path,
        is_up: Callable[[], bool],
        where: str,
    ) -> None:
        self.name = name
        self.command = command
        self.env = env
        self.log = log
        self.is_up = is_up
        self.where = where
        self.child: subprocess.Popen[bytes] | None = None
        self.up = False
        self.pause = 0.5
        self.started = self.again_at = 0.0

    def start(self) -> None:
        self.started = time.monotonic()
        self.up = False
        with open(self.log, "ab") as log:
            # Errors of the web server go to the terminal too, by its standard error.
            stderr = None if self.name == "web" else subprocess.STDOUT
            self.child = spawn(
                self.command, env=self.env, on_death=signal.SIGKILL, stdout=log, stderr=stderr, cwd=ROOT
            )

    def watch(self) -> None:
        """Says that it is up once it is; starts it again when it died, each time after a longer pause."""
        now = time.monotonic()
        if self.child is None:
            if now >= self.again_at:
                self.start()
        elif (code := self.child.poll()) is not None:
            # What it leaves behind of its own children goes with it.
            stop(self.child, by=signal.SIGKILL, within=0)
            self.child, self.up = None, False
            self.pause = 0.5 if now - self.started > 60 else min(self.pause * 2, LONGEST_PAUSE)
            self.again_at = now + self.pause
            say(self.name, "died", f"{ending(code)}, again in {self.pause:.0f} s; see {show(self.log)}")
        elif not self.up and self.is_up():
            self.up = True
            say(self.name, "up", self.where)

    def stop(self, within: float) -> None:
        if self.child:
            stop(self.child, by=signal.SIGTERM, within=within)
            self.child = None


def ending(code: int) -> str:
    """How a process ended, in words."""
    return f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


class Supervisor:
    def __init__(self) -> None:
        self.state = State(Path(os.environ.get("STATE_DIR") or ROOT / ".state").absolute())
        self.port = self._port()
        self.demo = os.environ.get("DEMO", "1").lower() not in {"0", "false", "no", "off", ""}
        self.servers: list[Server] = []
        self.pauses: dict[str, float] = {}
        self.parts: list[Part] = []
        self.one_off: subprocess.Popen[bytes] | None = None
        self.env: dict[str, str] = {}
        self.asked = 0
        self.hurried = self.stopping = False

    def run(self) -> int:
        """Everything, until a signal; gives the exit code."""
        if os.environ.get("DEBUG", "1").lower() in {"0", "false", "no", "off"}:
            raise Refusal(
                "`make run` is for this machine alone and needs DEBUG: take DEBUG=0 out of the environment."
            )
        self.state.prepare()
        held = self.state.lock()
        self._listen_to_signals()
        try:
            self._end_orphans()
            self._refuse_taken_port()
            self._start_servers()
            self._write_env()
            self._manage("migrate", "--no-input", "--verbosity", "0")
            logins = self._first_people()
            self._start_parts()
            self._watch(logins)
        except Stopped:
            return 0
        finally:
            self._stop_all()
            held.close()
        return 0

    # Before the start

    @staticmethod
    def _port() -> int:
        given = os.environ.get("PORT", "").strip() or "8000"
        if not given.isdigit() or not 1 <= int(given) <= 65535:
            raise Refusal(f"PORT must be a number from 1 to 65535, and not {given!r}.")
        return int(given)

    def _refuse_taken_port(self) -> None:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", self.port))
            except OSError as error:
                raise Refusal(
                    f"Port {self.port} cannot be used ({(error.strerror or 'unknown error').lower()}): stop what holds "
                    f"it, or choose another, for example PORT={self.port % 65535 + 1} make run."
                ) from error

    def _end_orphans(self) -> None:
        """Ends what a killed supervisor left, should the kernel not have done so yet."""
        file = self._children_file
        for pid in map(int, file.read_text().split() if file.exists() else []):
            ours = partial(_has_in_environment, pid, f"STATE_DIR={self.state.folder}")
            end = time.monotonic() + 3
            while ours():
                if time.monotonic() > end:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.05)
        file.unlink(missing_ok=True)

    @property
    def _children_file(self) -> Path:
        return self.state.folder / "children"

    def _remember_children(self) -> None:
        pids = [part.child.pid for part in self.parts if part.child]
        self._children_file.write_text(" ".join(map(str, pids)))

    # Starting

    def _start_servers(self) -> None:
        given: dict[str, type[Server]] = {"DATABASE_URL": Postgres, "REDIS_URL": Valkey}
        for variable, kind in given.items():
            if url := os.environ.get(variable):
                self.env[variable] = url
                say(kind.name, "given", f"{urlsplit(url).hostname or 'a socket'}, by {variable}")
                continue
            server = kind(self.state)
            self.servers.append(server)
            server.start()
            self.env[variable] = server.url
            say(server.name, "up", f"{server.version()}, {show(server.data)}")
            self._heed()

    def _write_env(self) -> None:
        """Leaves what `manage.py` needs in a second terminal, for our eyes only."""
        kept = _read_env(self.state.env_file)
        made = {
            name: f"{begins}{b64encode(secrets.token_bytes(24)).decode()}"
            for name, begins in DOOR_SECRETS.items()
        } | SAMPLED
        doors = {name: os.environ.get(name) or kept.get(name) or made[name] for name in made}
        base_url = os.environ.get("BASE_URL") or f"http://127.0.0.1:{self.port}"
        self.env |= {
            "DEBUG": "1",
            "DEMO": "1" if self.demo else "0",
            "SECRET_KEY": os.environ.get("SECRET_KEY") or kept.get("SECRET_KEY") or secrets.token_urlsafe(50),
            "ALLOWED_HOSTS": os.environ.get("ALLOWED_HOSTS") or "127.0.0.1,localhost,[::1]",
            "BASE_URL": base_url,
            "PORT": str(self.port),
            **doors,
        }
        lines = "".join(f"{key}='{value}'\n" for key, value in self.env.items())
        fresh = self.state.env_file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(
            f"# Written by `make run`; read by manage.py for what the environment lacks.\n{lines}"
        )
        fresh.replace(self.state.env_file)
        self.env |= {"STATE_DIR": str(self.state.folder), "PYTHONUNBUFFERED": "1"}

    def _child_env(self, **more: str) -> dict[str, str]:
        return {**os.environ, **self.env, **more}

    def _manage(self, *words: str, needed: bool = True, **env: str) -> bool:
        """Runs one of Django's commands to its end; a needed one that fails ends the start."""
        log_path = self.state.log(words[0])
        with open(log_path, "wb") as log:
            self.one_off = spawn(
                [sys.executable, ROOT / "manage.py", *words],
                env=self._child_env(**env),
                on_death=signal.SIGKILL,
                stdout=log,
                cwd=ROOT,
            )
        while self.one_off.poll() is None:
            self._heed()
            time.sleep(0.02)
        if self.one_off.returncode == 0:
            return True
        sentence = f"`manage.py {words[0]}` failed; the end of {show(log_path)}:\n{tail(log_path)}"
        if needed:
            raise Refusal(sentence)
        print(sentence, flush=True)
        return False

    def _has_people(self) -> bool:
        with psycopg.connect(self.env["DATABASE_URL"], connect_timeout=5) as connection:
            return connection.execute("SELECT EXISTS (SELECT FROM crm_user)").fetchone() == (True,)

    def _first_people(self) -> bool:
        """Fills an empty database, with demo data or with one admin; gives whether demo logins are there."""
        seeding = self.state.folder / "seeding"
        empty = not self._has_people()
        if self.demo and (empty or seeding.exists()):
            # The mark outlasts a start that was broken off, so that half a seed is not taken for data.
            seeding.touch()
            print("Filling in demo data…", flush=True)
            if self._manage("seed_demo", needed=False):
                seeding.unlink()
        elif empty:
            self._first_admin()
        return self.demo and self._has_people()

    def _first_admin(self) -> None:
        """Makes `admin`, from ADMIN_PASSWORD or by asking; without either says how it can be done later."""
        password = os.environ.get("ADMIN_PASSWORD", "")
        if not password and sys.stdin.isatty():
            print("Nobody can log in yet: choose a password for the login `admin`.", flush=True)
            while not password:
                try:
                    password = getpass.getpass("Password: ")
                    if password != getpass.getpass("Again:    "):
                        print("They differ.")
                        password = ""
                except EOFError:
                    break
        if not password:
            print(
                "Nobody can log in yet, and there is no terminal to ask for a password: start again with "
                "ADMIN_PASSWORD=…, or run `.venv/bin/python manage.py createsuperuser` in a second terminal.",
                flush=True,
            )
            return
        self._manage(
            *(
                "createsuperuser",
                "--no-input",
                "--username",
                "admin",
                "--email",
                "admin@localhost.localdomain",
            ),
            DJANGO_SUPERUSER_PASSWORD=password,
        )
        say("admin", "made", "log in as `admin`")

    def _start_parts(self) -> None:
        env = self._child_env()
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        celery = [sys.executable, "-m", "celery", "--app", "config"]
        address = f"http://127.0.0.1:{self.port}"
        self.parts = [
            Part(
                "web",
                [
                    *(sys.executable, "-m", "granian", "--interface", "wsgi", "config.wsgi:application"),
                    *(
                        "--host",
                        "127.0.0.1",
                        "--port",
                        str(self.port),
                        "--workers",
                        "2",
                        "--blocking-threads",
                        "4",
                    ),
                    *("--blocking-threads-idle-timeout", "600", "--workers-kill-timeout", "2"),
                    *("--respawn-failed-workers", "--no-ws", "--no-access-log"),
                ],
                env,
                self.state.log("web"),
                lambda: _answers(self.port),
                address,
            ),
            Part(
                "worker",
                [
                    *(*celery, "worker", "--loglevel", "INFO", "--concurrency", "2"),
                    *("--without-gossip", "--without-mingle"),
                ],
                # TERM is how anybody stops a process; with this it is the soft way of stopping a worker.
                env | {"REMAP_SIGTERM": "SIGQUIT"},
                self.state.log("worker"),
                lambda: self._beats("worker"),
                show(self.state.log("worker")),
            ),
            Part(
                "beat",
                # Another version of Python may not read the file of this one.
                [
                    *(*celery, "beat", "--loglevel", "INFO", "--pidfile", ""),
                    *("--schedule", str(self.state.folder / f"beat-{python}")),
                ],
                env,
                self.state.log("beat"),
                lambda: self._beats("beat"),
                show(self.state.log("beat")),
            ),
        ]
        for part in self.parts:
            part.start()
        self._remember_children()

    def _beats(self, name: str) -> bool:
        """Whether that part has told Redis of itself since it was started."""
        part = next(part for part in self.parts if part.name == name)
        try:
            with redis.Redis.from_url(
                self.env["REDIS_URL"], socket_timeout=1, decode_responses=True
            ) as client:
                said = client.get(f"onramp:{name}")
        except redis.RedisError:
            return False
        return said is not None and time.time() - float(str(said)) < time.monotonic() - part.started

    # Running

    def _watch(self, logins: bool) -> None:
        told = False
        while True:
            self._heed()
            for server in self.servers:
                self._watch_server(server)
            children = [part.child for part in self.parts]
            for part in self.parts:
                part.watch()
            if children != [part.child for part in self.parts]:
                self._remember_children()
            if not told and all(part.up for part in self.parts):
                told = True
                if logins:
                    print(
                        f"Log in as {', '.join(LOGINS)}; the password of each is {DEMO_PASSWORD}", flush=True
                    )
                print("Ctrl-C stops all of it.", flush=True)
            time.sleep(0.1)

    def _watch_server(self, server: Server) -> None:
        if not server.has_ended():
            return
        assert server.child is not None
        pause = self.pauses[server.name] = min(self.pauses.get(server.name, 0.25) * 2, LONGEST_PAUSE)
        say(server.name, "died", f"{ending(server.child.returncode)}, again at once; see {show(server.log)}")
        try:
            server.start()
        except Refusal as refusal:
            print(refusal, flush=True)
            self._sleep(pause)
        else:
            self.pauses.pop(server.name)
            say(server.name, "up", "again")

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._heed()
            time.sleep(0.1)

    # Stopping

    def _listen_to_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            # Whoever runs us under nohup does not want a closed terminal to count.
            if signal.getsignal(number) is not signal.SIG_IGN or number != signal.SIGHUP:
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.asked += 1
        # SIGUSR1 is what the kernel sends when make was killed.
        if number == signal.SIGUSR1 or self.asked > 1:
            self.hurried = True
        if not self.stopping:
            raise Stopped

    def _heed(self) -> None:
        if self.asked:
            raise Stopped

    def _stop_all(self) -> None:
        self.stopping = True
        if self.asked:
            print("\nStopping…", flush=True)
        begun = time.monotonic()

        def left(at_most: float) -> float:
            whole = HURRIED_SECONDS if self.hurried else STOP_SECONDS
            return max(min(at_most, begun + whole - 2 - time.monotonic()), 0.2)

        if self.one_off:
            stop(self.one_off, by=signal.SIGTERM, within=left(1))
        # granian may miss a signal that comes while its workers start, so it gets no more than it needs.
        for name, seconds in (("beat", 1), ("web", 3), ("worker", 6)):
            for part in self.parts:
                if part.name == name:
                    part.stop(left(seconds))
        for server in reversed(self.servers):
            server.stop(left(3))
        self._children_file.unlink(missing_ok=True)
        if self.asked:
            print("Stopped.", flush=True)


def _read_env(file: Path) -> dict[str, str]:
    """What a file of settings says, if it is there; our own environment stays as it is."""
    found: dict[str, str] = {}

    class Kept(environ.Env):
        ENVIRON = found

    if file.is_file():
        Kept.read_env(file)
    return found


def _has_in_environment(pid: int, mark: str) -> bool:
    try:
        return mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
