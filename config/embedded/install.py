"""Makes .venv from a lock: `PYTHON config/embedded/install.py requirements.lock STAMP`. Standard library only."""

import fcntl
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(".venv")


def main(lock: Path, stamp: Path) -> int:
    """Installs what the lock names, by hash, and leaves a copy of the lock as the stamp that says so."""
    FOLDER.mkdir(exist_ok=True)
    with open(FOLDER / ".making", "w") as turn:
        # `make run` and `make test` of a fresh clone may meet here.
        fcntl.flock(turn, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_bytes() == lock.read_bytes():
            stamp.touch()
            return 0
        python = FOLDER / "bin" / "python"
        if not _is_new_enough(python):
            print(f"Making {FOLDER}/ with Python {sys.version.split()[0]}", flush=True)
            venv.EnvBuilder(with_pip=True, symlinks=True, upgrade_deps=False).create(FOLDER)
        print(f"Installing what {lock} names", flush=True)
        # Bytecode is made when a module is first used, which is a third quicker than all of it at once.
        flags = ["--require-hashes", "--no-deps", "--no-compile", "--no-input", "--disable-pip-version-check"]
        done = subprocess.run(
            [str(python), "-m", "pip", "install", *flags, "-r", str(lock)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout[-4000:], f"Installing {lock} failed; pip's own words are above.", sep="\n")
            return 1
        stamp.write_bytes(lock.read_bytes())
    return 0


def _is_new_enough(python: Path) -> bool:
    try:
        asked = [str(python), "-c", "import sys, pip; sys.exit(sys.version_info < (3, 12))"]
        return subprocess.run(asked, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
