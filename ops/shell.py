"""Runs programs and shows each command before it runs; with `dry_run` it only shows.

Everything for people goes to standard error, so that the standard output of `status --json` or
`chat --say` can be piped. Only a dry run's commands are its result, and stand on standard output.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.errors import OpsError


@dataclass(frozen=True)
class Shell:
    """How commands are run."""

    root: Path
    """The repository; the working directory of every command."""
    dry_run: bool = False
    silent: bool = False
    """Shows no command: for what a command looks up, not what it does."""

    def say(self, text: str = "") -> None:
        """One line for the person at the terminal."""
        print(text, file=sys.stderr, flush=True)

    def show(self, command: Sequence[str | Path]) -> None:
        """Print `command` as it would be typed."""
        if self.silent:
            return
        stream = sys.stdout if self.dry_run else sys.stderr
        print("$ " + shlex.join(self._short(str(part)) for part in command), file=stream, flush=True)

    def run(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        only_env: bool = False,
        stdin: str | None = None,
        capture: bool = False,
        check: bool = True,
        quiet: bool = False,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Show and run `command`; in a dry run show it and pretend it succeeded.

        `env` is added to this process's environment (with `only_env` it is the whole); `quiet` is for
        looking (it is not shown, and runs in a dry run too). Raises OpsError where the program is
        missing, fails (with `check`) or takes longer than `timeout` seconds.
        """
        argv = [str(part) for part in command]
        if not quiet:
            self.show(argv)
            if self.dry_run:
                return subprocess.CompletedProcess(argv, 0, "", "")
        try:
            done = subprocess.run(
                argv,
                cwd=self.root,
                env=None if env is None else {**({} if only_env else os.environ), **env},
                input=stdin,
                capture_output=capture,
                # whatever a program writes, showing it must not fail
                encoding="utf-8",
                errors="replace",
                check=False,
                timeout=timeout,
            )
        except FileNotFoundError as exc:
            msg = f"the program {argv[0]!r} is not installed"
            raise OpsError(msg) from exc
        except subprocess.TimeoutExpired as exc:
            msg = f"no end after {timeout:.0f} s: {shlex.join(argv)}"
            raise OpsError(msg) from exc
        if check and done.returncode != 0:
            details = f"\n{(done.stderr or done.stdout).strip()[-4000:]}" if capture else ""
            msg = f"failed with exit code {done.returncode}: {shlex.join(argv)}{details}"
            raise OpsError(msg)
        return done

    def _short(self, part: str) -> str:
        """Paths below the repository as a person in it would type them."""
        return part.replace(f"{self.root}/", "") if part != str(self.root) else "."
