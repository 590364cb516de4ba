"""`./manage.py owner`: a new code, for an owner who has lost the account, or has never used the first code.

The order leaves no moment in which the old code makes an owner: the bot knows the new one before the owner
becomes a member. Each step may be interrupted and the command given again.
"""

import os
from collections.abc import Callable

from ops import envfile
from ops.environment import ENV_FILE
from ops.errors import OpsError
from ops.http_json import call
from ops.project import Project
from ops.runtime import Runtime
from ops.shell import Shell

VARIABLE = "OWNER_CODE"
OWNERS = "/api/users?role=owner"


def renew(shell: Shell, load: Callable[[], Project], make: Callable[[Project], Runtime]) -> None:
    """A new code in `.env` and in the bot; whoever sends it first is the owner.

    `load` reads the settings anew, `make` gives the runtime for them. Raises OpsError.
    """
    if os.environ.get(VARIABLE):
        msg = f"{VARIABLE} is set in the shell, which goes before {ENV_FILE}: unset it first"
        raise OpsError(msg)
    project = load()
    shell.say(f"{VARIABLE} in {ENV_FILE}: a new code.")
    if not shell.dry_run:
        path = project.root / ENV_FILE
        code = envfile.GENERATORS[VARIABLE]()
        envfile.write(path, envfile.replace_value(envfile.read(path), VARIABLE, code))
        project = load()
    make(project).restart(["tg_bot"])
    _dismiss(shell, project)


def _dismiss(shell: Shell, project: Project) -> None:
    """The present owner becomes a member, so that the code makes another one."""
    rest, key = project.url("REST_SERVICE_PORT"), project.values["ADMIN_API_KEY"]
    if shell.dry_run:
        shell.say(f"GET {rest}{OWNERS}, then PATCH {rest}/api/users/ID: role member")
        return
    for user in call("GET", rest + OWNERS, key=key):
        call("PATCH", f"{rest}/api/users/{user['id']}", {"role": "member"}, key=key)
        name = user["first_name"] or user["username"] or user["telegram_id"]
        shell.say(f"{name} is a member now.")
    print(f"Send this to the bot, and you are its owner:  /start {project.values[VARIABLE]}")
