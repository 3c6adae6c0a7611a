"""What went wrong, named by what happens next. The message is one sentence for the admin: what to do, no secrets."""


class ConnectorError(Exception):
    """Base of the four. `str(error)` is shown to people as it is."""

    @property
    def says(self) -> str:
        return str(self)


class RetryLater(ConnectorError):
    """429, 5xx, no answer to a read: the slice ends and is woken after so many seconds."""

    def __init__(self, message: str, after: float = 60.0) -> None:
        super().__init__(message)
        self.after = after  # seconds


class NotNow(RetryLater):
    """A limit, or a sign-in that is being renewed: no other call is worth trying before that time either."""


class NotAuthorized(ConnectorError):
    """401, 403, a dead refresh token: the run stops, the admin is asked to connect again.

    `permission` names what is missing when signing in again alone will not help.
    """

    def __init__(self, message: str, permission: str = "") -> None:
        super().__init__(message)
        self.permission = permission


class SettingsNeeded(ConnectorError):
    """No bank account chosen, a tag deleted: stops the run only when every row is affected."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field  # where on the settings page


class RecordRejected(ConnectorError):
    """This row cannot go as it is: it goes back to due with the sentence, the run goes on."""

    def __init__(self, message: str, cause: str = "rejected", field: str = "") -> None:
        super().__init__(message)
        self.cause = cause  # short stable word for grouping
        self.field = field


class NoAnswer(Exception):
    """A write whose fate is unknown. Never leaves a connector: it becomes the outcome `Unknown`."""


class NotReached(Exception):
    """A write that surely never arrived (connection refused, deadline passed). Becomes the outcome `NotSent`."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after
