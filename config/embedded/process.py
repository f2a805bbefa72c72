"""Starting processes that leave nothing behind, also when whoever started them is killed."""

import ctypes
import functools
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG = 1
# The user that servers believe to be inside a user namespace; outside of it they are whoever started them.
INNER_ID = 1000


class Refusal(Exception):
    """Something a person has to settle; the text is the whole sentence they read."""


def die_with_parent(by: int = signal.SIGKILL) -> None:
    """Has the kernel send `by` to this process when its parent ends. Linux only; nothing elsewhere.

    Called in a process that `multiprocessing` started, or between fork and exec.
    """
    if LINUX and multiprocessing.parent_process() is not None:
        set_death_signal(by)


def set_death_signal(by: int) -> None:
    if LINUX:
        _libc().prctl(PR_SET_PDEATHSIG, int(by), 0, 0, 0)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _enter_user_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    os.unshare(os.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"{INNER_ID} {gid} 1")
    Path("/proc/self/uid_map").write_text(f"{INNER_ID} {uid} 1")


@dataclass(frozen=True)
class Unprivileged:
    """How to run a server that refuses root: who then owns its files, what stands before its command, and what
    happens between fork and exec."""

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()
    enter: Callable[[], None] | None = None

    def own(self, folder: Path) -> None:
        """Makes the folder, 0700, with all in it belong to the server; its parents stay as they are."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != self.uid:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)
        folder.chmod(0o700)


@functools.cache
def unprivileged() -> Unprivileged:
    """The way that this machine allows: as we are, in a user namespace, or as `nobody`."""
    if os.geteuid() != 0:
        return Unprivileged(os.geteuid(), os.getegid())
    if LINUX and _runs(["true"], _enter_user_namespace):
        return Unprivileged(0, os.getegid(), enter=_enter_user_namespace)
    import pwd

    nobody = pwd.getpwnam("nobody")
    # The one right kept is to pass through folders closed to others, which the project may well lie in.
    setpriv = (
        *("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *("--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"),
    )
    if shutil.which("setpriv") and _runs([*setpriv, "true"], None):
        return Unprivileged(nobody.pw_uid, nobody.pw_gid, prefix=setpriv)

    def become_nobody() -> None:
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)

    return Unprivileged(nobody.pw_uid, nobody.pw_gid, enter=become_nobody)


def _runs(command: Sequence[str], enter: Callable[[], None] | None) -> bool:
    try:
        done = subprocess.run(
            command,
            preexec_fn=enter,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    on_death: int,
    stdout: IO[bytes] | int | None = None,
    stderr: IO[bytes] | int | None = subprocess.STDOUT,
    own_group: bool = True,
    server: Unprivileged | None = None,
    cwd: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Starts a child that gets the signal `on_death` when we end, however we end.

    Call it from the main thread only: the kernel counts the thread that forked as the parent. A group of its own
    keeps Ctrl-C in a terminal from reaching the child before its turn to stop has come.
    """
    us = os.getpid()
    prefix = list(server.prefix) if server else []
    if prefix and LINUX:
        # Changing the user clears the wish, so setpriv has to make it.
        prefix[1:1] = [f"--pdeathsig={signal.Signals(on_death).name.removeprefix('SIG')}"]
    _libc()

    def between_fork_and_exec() -> None:
        if server and server.enter:
            server.enter()
        set_death_signal(on_death)
        # Where user ids are mapped our own number stays the same, so a parent that is gone already shows.
        if LINUX and os.getppid() != us:
            os._exit(1)

    return subprocess.Popen(
        [*prefix, *map(str, command)],
        env=dict(env),
        cwd=cwd,
        stdin=None if not own_group else subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        process_group=0 if own_group else None,
        preexec_fn=between_fork_and_exec,
    )


def stop(child: "subprocess.Popen[bytes]", *, by: int, within: float) -> None:
    """Asks the child to end with the signal `by`, and ends its whole group when it has not after `within` seconds."""
    if child.poll() is None:
        child.send_signal(by)
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(within, 0))
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def runs_with(pid: int, mark: str) -> bool:
    """Whether a process of that number runs whose command line holds `mark`: numbers are given out again."""
    try:
        if LINUX:
            # A process that ended and was not yet reaped has an empty one.
            return os.fsencode(mark) in Path(f"/proc/{pid}/cmdline").read_bytes()
        shown = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return mark in shown.stdout
    except OSError:
        return False


def wait_until(true: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Whether it became true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True
