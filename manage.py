#!/usr/bin/env python3
"""The one program an operator needs: ./manage.py --help.

This file must be readable by every Python from 3.6 on, so that an old one gets a sentence instead of a
SyntaxError; everything else is in ops/ and needs Python 3.11.
"""

import os
import shutil
import sys

OLDEST = (3, 11)


def refuse_old_python() -> None:
    """End with advice where this Python is too old."""
    if sys.version_info >= OLDEST:
        return
    names = ["python3.13", "python3.12", "python3.11", "python3.14"]
    better = [name for name in names if shutil.which(name)]
    wanted = f"{OLDEST[0]}.{OLDEST[1]}"
    version = sys.version.split()[0]
    sys.stderr.write(f"manage.py needs Python {wanted} or newer; this is {version} ({sys.executable}).\n")
    if better:
        sys.stderr.write(f"This machine has a newer one. Run:  {better[0]} manage.py …\n")
    else:
        sys.stderr.write("Install one (Debian, Ubuntu: apt install python3 python3-venv) and try again.\n")
    sys.exit(2)


def open_streams() -> None:
    """Open standard streams that the caller has closed (`>&-`); files would get their numbers otherwise."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def use_utf8() -> None:
    """Begin again in UTF-8 mode where the locale says otherwise: files, their names and texts are UTF-8."""
    said = {sys.getfilesystemencoding(), sys.stdout.encoding, sys.stderr.encoding}
    if {name.lower() for name in said} != {"utf-8"} and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.environ.pop("PYTHONIOENCODING", None)
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    open_streams()
    refuse_old_python()
    use_utf8()
    from ops.cli import main

    sys.exit(main(sys.argv[1:]))
