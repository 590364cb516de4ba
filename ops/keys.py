"""`./manage.py rotate-keys`: another first key for the calendar tokens, and all of them encrypted with it.

The order keeps every moment readable: the new key is known beside the old ones before anything is
encrypted with it, and an old one goes (`--drop-old`) only after nothing needs it any more. Each step may
be interrupted and the command given again.
"""

import os
from collections.abc import Callable

from ops import envfile
from ops.environment import ENV_FILE
from ops.errors import OpsError
from ops.project import Project
from ops.runtime import Runtime
from ops.shell import Shell

VARIABLE = "CREDENTIALS_ENCRYPTION_KEYS"
ROTATE = ["python", "-m", "rest_service.app.rotate"]


def rotate(
    shell: Shell, load: Callable[[], Project], make: Callable[[Project], Runtime], *, drop_old: bool
) -> int:
    """The exit code of the rotation. `load` reads the settings anew, `make` gives the runtime for them.

    Raises:
        OpsError: the keys do not stand in `.env`, or a step failed.
    """
    if os.environ.get(VARIABLE):
        msg = f"{VARIABLE} is set in the shell, which goes before .env: change it there, or unset it first"
        raise OpsError(msg)
    project = load()
    keys = [key.strip() for key in project.values[VARIABLE].split(",") if key.strip()]
    if not drop_old:
        keys = [envfile.GENERATORS[VARIABLE](), *keys]
        _keep(shell, project, keys)
    # the running API must know the new key before a token is encrypted with it
    make(load()).restart(["rest_service"])
    done = make(load()).run_in("rest_service", ROTATE)
    if done.returncode != 0 or not drop_old:
        return done.returncode
    if len(keys) > 1:
        _keep(shell, project, keys[:1])
        make(load()).restart(["rest_service"])
    return 0


def _keep(shell: Shell, project: Project, keys: list[str]) -> None:
    shell.say(
        f"{VARIABLE} in {ENV_FILE}: {len(keys)} key{'s' if len(keys) > 1 else ''}, the first one encrypts."
    )
    if not shell.dry_run:
        path = project.root / ENV_FILE
        envfile.write(path, envfile.replace_value(envfile.read(path), VARIABLE, ",".join(keys)))
