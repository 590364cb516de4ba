"""The one error of the operator's side: a sentence that says what is wrong and what to do."""


class OpsError(Exception):
    """Ends the command with its text on standard error and `exit_code`; never with a traceback."""

    def __init__(self, text: str, *, exit_code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = exit_code
