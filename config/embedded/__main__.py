"""`python -m config.embedded run` and `python -m config.embedded exec -- CMD…`."""

import argparse
import os
import secrets
import signal
import subprocess
import sys

from config.embedded.process import Refusal, set_death_signal, spawn
from config.embedded.servers import throw_away
from config.embedded.supervisor import Supervisor


def execute(command: list[str]) -> int:
    """Runs the command against throw-away servers, or against those the environment names; gives its exit code."""
    wanted = {"postgres": "DATABASE_URL" not in os.environ, "valkey": "REDIS_URL" not in os.environ}
    defaults = {"SECRET_KEY": secrets.token_urlsafe(50), "DEBUG": "1", "DEMO": "0", **os.environ}
    if not any(wanted.values()):
        return _run(command, defaults)
    with throw_away(**wanted) as variables:
        return _run(command, defaults | variables)


def _run(command: list[str], env: dict[str, str]) -> int:
    try:
        # In our own group, so that a terminal's Ctrl-C reaches it; we wait for how it takes that.
        child = spawn(command, env=env, on_death=signal.SIGTERM, stderr=None, own_group=False)
    except FileNotFoundError:
        raise Refusal(f"There is no command {command[0]!r}.") from None
    for sent in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sent, lambda number, _: child.send_signal(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code if (code := child.wait()) >= 0 else 128 - code


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m config.embedded")
    parser.add_argument(
        "--with-parent", action="store_true", help="stop when the process that started this ends"
    )
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("run", help="everything, on this machine, until Ctrl-C")
    words = actions.add_parser("exec", help="a command against throw-away servers")
    words.add_argument("command", nargs="+")
    options = parser.parse_args()
    try:
        if options.with_parent:
            set_death_signal(signal.SIGUSR1 if options.action == "run" else signal.SIGTERM)
        if options.action == "run":
            return Supervisor().run()
        return execute(options.command)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except subprocess.SubprocessError as error:
        print(f"A process could not be started: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
