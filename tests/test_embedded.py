"""The embedded servers and their supervisor, with real processes: what starts, what is refused, what is left."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import SystemRandom

import psutil
import pytest

from config.embedded.process import wait_until

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = [sys.executable, "-m", "config.embedded"]
OURS = (
    *(
        "DATABASE_URL",
        "REDIS_URL",
        "STATE_DIR",
        "SECRET_KEY",
        "DEBUG",
        "DEMO",
        "PORT",
        "BASE_URL",
        "ALLOWED_HOSTS",
    ),
    "ADMIN_PASSWORD",
)
ASK_BOTH = (
    "import os, psycopg, redis;"
    "print(os.geteuid(), os.environ['STATE_DIR'],"
    " psycopg.connect(os.environ['DATABASE_URL']).execute('select 40 + 2').fetchone()[0],"
    " redis.Redis.from_url(os.environ['REDIS_URL']).ping())"
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
# Root that maps other users and cannot make a further user namespace, as in most containers.
IN_A_CONTAINER = """
import os, sys
(ready, say_ready), (go, say_go) = os.pipe(), os.pipe()
if not (child := os.fork()):
    os.unshare(os.CLONE_NEWUSER)
    os.write(say_ready, b".")
    os.read(go, 1)
    open("/proc/sys/user/max_user_namespaces", "w").write("0")
    os.execv(sys.argv[1], sys.argv[1:])
os.read(ready, 1)
for kind in ("uid", "gid"):
    open(f"/proc/{child}/{kind}_map", "w").write("0 0 65536")
os.write(say_go, b".")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
# Somebody else, who may read the project and its Python wherever they lie.
AS_NOBODY = [
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
]


def environment(**variables: str) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in OURS} | variables


def ended(command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder with a path short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="run-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def port() -> int:
    # Below those that the system gives to whoever connects anywhere: it is to be free in half a minute, too.
    given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        number = SystemRandom().randrange(given // 2, given)
        with suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", number))
            return number


class Run:
    """One `run`, under a parent of its own as under make."""

    PARENT = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"

    def __init__(self, state: Path, port: int) -> None:
        self.state = state
        self.log = state.with_suffix(".log")
        variables = environment(STATE_DIR=str(state), PORT=str(port), DEMO="0")
        with open(self.log, "w") as log:
            self.parent = subprocess.Popen(
                [sys.executable, "-c", self.PARENT, *EMBEDDED, "--with-parent", "run"],
                cwd=ROOT,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def said(self) -> str:
        return self.log.read_text()

    def has_said(self, line: str, times: int = 1) -> bool:
        return self.said().count(line) >= times

    def wait_until_up(self) -> None:
        words = ("postgres   up", "valkey     up", "web        up", "worker     up", "beat       up")
        # A loaded machine takes its time; what is measured here is what is left, not how soon it came.
        assert wait_until(lambda: all(map(self.has_said, words)), 170), self.said()

    @property
    def supervisor(self) -> int:
        return int((self.state / "run.pid").read_text())

    def family(self) -> list[psutil.Process]:
        process = psutil.Process(self.supervisor)
        return [process, *process.children(recursive=True)]

    def clean_up(self) -> None:
        if self.parent.poll() is None:
            os.kill(self.supervisor, signal.SIGTERM)
            self.parent.wait(60)
        self.log.unlink()


def alive(family: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in family if is_alive(one)]


def is_alive(process: psutil.Process) -> bool:
    try:
        # psutil compares start times, so a number given out again does not count.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        # It ended between the two questions.
        return False


def all_gone(family: list[psutil.Process]) -> bool:
    return not alive(family)


def names(family: list[psutil.Process]) -> str:
    found = []
    for one in family:
        # The database's helpers come and go.
        with suppress(psutil.NoSuchProcess):
            found += one.cmdline()
    return " ".join(found)


def test_a_command_gets_servers_that_are_gone_afterwards():
    done = ended([*EMBEDDED, "exec", "--", sys.executable, "-c", ASK_BOTH + "; raise SystemExit(7)"])
    assert done.returncode == 7, done.stderr
    user, folder, *answers = done.stdout.split()
    assert int(user) == os.geteuid()
    assert answers == ["42", "True"]
    assert not Path(folder).exists()
    assert not [
        one for one in psutil.process_iter(["cmdline"]) if folder in " ".join(one.info["cmdline"] or [])
    ]


def test_a_command_takes_the_servers_it_is_given():
    code = "import os; print(os.environ['DATABASE_URL'], os.environ['REDIS_URL'])"
    done = ended([*EMBEDDED, "exec", "--", sys.executable, "-c", code], DATABASE_URL="d", REDIS_URL="r")
    assert done.stdout.split() == ["d", "r"]


@as_root
def test_an_ordinary_user_gets_servers_too():
    done = ended([*AS_NOBODY, *EMBEDDED, "exec", "--", sys.executable, "-c", ASK_BOTH], TMPDIR="/tmp")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0::2] == ["65534", "42"]


@as_root
def test_root_without_user_namespaces_gets_servers_as_nobody(state: Path):
    show_owner = f"{ASK_BOTH}; print(os.stat(os.environ['STATE_DIR'] + '/pg').st_uid)"
    inner = [*EMBEDDED, "exec", "--", sys.executable, "-c", show_owner]
    # A folder closed to others on the way there stays closed, and is no hindrance.
    done = ended([sys.executable, "-c", IN_A_CONTAINER, *inner], TMPDIR=str(state))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[2:] == ["42", "True", "65534"]
    assert state.stat().st_mode & 0o777 == 0o700


# Three starts, each as slow as the machine: only what they leave behind is measured.
@pytest.mark.timeout(900)
def test_everything_starts_stops_and_leaves_nothing_however_it_ends(state: Path, port: int):
    for end in ("kill the supervisor", "kill its parent", "ask it to stop"):
        run = Run(state, port)
        try:
            run.wait_until_up()
            family = run.family()
            for part in ("postgres", "valkey-server", "granian", "celery"):
                assert part in names(family)

            if end == "kill the supervisor":
                os.kill(run.supervisor, signal.SIGKILL)
            elif end == "kill its parent":
                # While it runs, nobody else gets its folder or its port.
                second = ended([*EMBEDDED, "run"], STATE_DIR=str(state), PORT=str(port))
                assert (second.returncode, second.stderr[:20]) == (1, "It runs already on /")
                with tempfile.TemporaryDirectory() as other:
                    second = ended([*EMBEDDED, "run"], STATE_DIR=other, PORT=str(port))
                assert second.returncode == 1
                assert f"Port {port} cannot be used (address already in use)" in second.stderr
                run.parent.kill()
            else:
                # What dies on its own is started again.
                for one in psutil.Process(run.supervisor).children():
                    with suppress(psutil.NoSuchProcess):
                        one.kill()
                for part in ("postgres", "valkey", "worker", "beat", "web"):
                    assert wait_until(partial(run.has_said, f"{part:<10} died  killed by SIGKILL"), 60), (
                        run.said()
                    )
                assert wait_until(partial(run.has_said, "worker     up", times=2), 120), run.said()
                assert run.said().count("postgres   up") == run.said().count("valkey     up") == 2
                family = run.family()
                os.kill(run.supervisor, signal.SIGTERM)
            # What the commands promise, on whatever machine.
            assert wait_until(partial(all_gone, family), 8), names(alive(family))
            assert run.parent.wait(20) == {"kill its parent": -signal.SIGKILL, "ask it to stop": 0}.get(
                end, 247
            )
        finally:
            run.clean_up()
        # A dead server's pid file may name a process of somebody else at the next start.
        if not (pid_file := state / "pg" / "postmaster.pid").exists():
            pid_file.write_text(f"{os.getpid()}\n{state / 'pg'}\n")


def test_a_path_too_long_for_a_socket_is_named(state: Path):
    done = ended([*EMBEDDED, "run"], STATE_DIR=str(state / ("long" * 25)))
    assert done.returncode == 1
    assert "bytes too long for a socket" in done.stderr
    assert "STATE_DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_named(state: Path):
    (state / "file").touch()
    done = ended([*EMBEDDED, "run"], STATE_DIR=str(state / "file" / "inside"))
    assert done.returncode == 1
    assert "is not writable" in done.stderr
    assert "Traceback" not in done.stderr


@as_root
def test_a_folder_of_somebody_else_is_named(state: Path):
    done = ended([*AS_NOBODY, *EMBEDDED, "run"], STATE_DIR=str(state / "inside"))
    assert done.returncode == 1
    assert "is not writable (Permission denied)" in done.stderr


@pytest.mark.parametrize("wrong", ["web", "0", "65536", "-1"])
def test_a_port_that_is_none_is_named(state: Path, wrong: str):
    done = ended([*EMBEDDED, "run"], STATE_DIR=str(state), PORT=wrong)
    assert (done.returncode, done.stderr) == (
        1,
        f"PORT must be a number from 1 to 65535, and not {wrong!r}.\n",
    )


def test_manage_says_how_to_start_when_nothing_was_set_up(state: Path):
    done = ended([sys.executable, "manage.py", "migrate"], STATE_DIR=str(state))
    assert done.returncode == 1
    assert "make run" in done.stderr
    assert "Traceback" not in done.stderr


def test_manage_says_how_to_start_when_the_servers_are_not_running(state: Path):
    (state / "env").write_text(
        f"SECRET_KEY='x'\nDEBUG='1'\nDATABASE_URL='postgres://onramp@/onramp?host={state}'\n"
    )
    done = ended([sys.executable, "manage.py", "migrate"], STATE_DIR=str(state))
    assert done.returncode == 1
    assert done.stderr.startswith("The database does not answer. Start it with `make run`")
    assert "Traceback" not in done.stderr
