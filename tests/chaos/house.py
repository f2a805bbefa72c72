"""The whole of Onramp as `make run` starts it, on servers of its own, to be killed part by part and started again."""

import os
import shutil
import signal
import sys
from contextlib import contextmanager, redirect_stdout, suppress

import psutil

from config.embedded.process import wait_until
from config.embedded.servers import Postgres, Valkey
from config.embedded.supervisor import Supervisor

AGAIN_AFTER = 0.25
# Whom a kill hits: a part with all its processes, or one child of it.
VICTIMS = ("web", "postgres", "worker", "valkey", "a web child", "beat", "a pool child")
# What a negative control goes without: the part that runs another app for it, and that app.
WITHOUT = {"sweep": ("beat", "tests.chaos.unswept"), "claim": ("worker", "tests.chaos.unclaimed")}


class House(Supervisor):
    """``without`` is one of ``WITHOUT``, or nothing; ``down`` names servers that stay down when they were killed."""

    def __init__(self, *, without=""):
        super().__init__()
        self.without = without
        self.down = set()

    @contextmanager
    def open(self):
        """Servers and an empty database; at the end nothing is left of either."""
        self.state.prepare()
        held = self.state.lock()
        self._listen_to_signals()
        try:
            with self.quiet():
                self._start_servers()
                self._write_env()
                self._manage("migrate", "--no-input", "--verbosity", "0")
            yield self
        finally:
            self._stop_all()
            held.close()
            for server in self.servers:
                shutil.rmtree(server.data, ignore_errors=True)

    def _start_servers(self):
        for variable, kind in {"DATABASE_URL": Postgres, "REDIS_URL": Valkey}.items():
            server = kind(self.state)
            self.servers.append(server)
            server.start()
            self.env[variable] = server.url

    def start(self):
        """Web, worker and beat, until all are up."""
        with self.quiet():
            self._start_parts()
            if self.without:
                name, app = WITHOUT[self.without]
                part = self.part(name)
                part.stop(0.2)
                part.command[part.command.index("config")] = app
                part.start()
        if not wait_until(self.all_up, 180):
            raise SystemExit("Not all parts came up; see above.")

    def all_up(self):
        self.tend()
        return all(part.up for part in self.parts)

    def tend(self):
        """Start again what has ended, as the supervisor does, only sooner."""
        self._heed()
        with self.quiet():
            for server in self.servers:
                if server.has_ended() and server.name not in self.down:
                    server.start()
            for part in self.parts:
                part.pause = AGAIN_AFTER
                part.watch()

    def wait(self, seconds, enough=lambda: False):
        """Tend it for so long, or until it is enough; whether it was."""
        return wait_until(lambda: self.tend() or enough(), seconds)

    def part(self, name):
        return next(part for part in (*self.parts, *self.servers) if part.name == name)

    def kill(self, victim, chance):
        """SIGKILL one of ``VICTIMS`` that is up; how many processes it hit. Only children of ours are ever meant."""
        name = {"a web child": "web", "a pool child": "worker"}.get(victim, victim)
        part, child = self.part(name), self.part(name).child
        if child is None or child.poll() is not None or not getattr(part, "up", True):
            return 0
        whole = psutil.Process(child.pid)
        below = whole.children(recursive=True)
        doomed = [whole, *below] if name == victim else [chance.choice(below)] if below else []
        for process in doomed:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        if name == victim:
            child.wait()
        return len(doomed)

    def empty(self, name):
        """Take from a server that is down all that it kept."""
        shutil.rmtree(self.part(name).data)

    @contextmanager
    def quiet(self):
        """What the supervisor says goes to its log; a table is printed at the end."""
        with self.state.log("chaos").open("a") as log, redirect_stdout(log):
            yield


def silence_errors(path):
    """Have what parts write on standard error go to a file, for being killed they say much; what we say is printed."""
    with path.open("ab") as log:
        os.dup2(log.fileno(), 2)
    sys.stderr = sys.stdout
