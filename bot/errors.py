"""Every error that Bạn Đường raises on purpose.

BanDuongError
├── ConfigError        config.yml, the environment or a path cannot be used
├── ContentError       content/ breaks a rule; carries all problems found
├── NluDataError       nlu/ cannot be read or learned from
├── ModelError         a cached model is damaged or of another making
├── StoreError         the database cannot be used
│   ├── SchemaError    it belongs to another version
│   └── KeyringError   the keys are missing, unreadable or wrong
├── RasaError          the Rasa server cannot be used; `lasting` where asking again at once is no use
├── ChannelError       a provider does not answer or refuses us; `lasting` where waiting is no use
├── AddressInUseError  the port is taken
├── TrendsError        trends cannot be counted or released
├── OutreachError      what was wanted of a broadcast cannot be done; `why` is a word that content/console knows
├── CaseError          what was wanted of a case cannot be done; `why` is a word that content/console knows
└── UsageError         a command was called in a way it cannot work
    ├── CronError      a schedule cannot be read, never comes, or comes too often; `reason` tells which
    └── StaffError     an account cannot be made or changed so; `reason` is a name in content/console

The message of each is one plain sentence that says what to do; `exit_status` is what the command line returns.
"""

from collections.abc import Sequence


class BanDuongError(Exception):
    """Something that the person at the keyboard can mend."""

    exit_status = 1


class ConfigError(BanDuongError):
    exit_status = 2


class ContentError(BanDuongError):
    exit_status = 2

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class NluDataError(BanDuongError):
    exit_status = 2


class ModelError(BanDuongError):
    pass


class StoreError(BanDuongError):
    pass


class SchemaError(StoreError):
    exit_status = 2


class KeyringError(StoreError):
    exit_status = 2


class TrendsError(BanDuongError):
    pass


class ChannelError(BanDuongError):
    def __init__(self, text: str, *, lasting: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.lasting = lasting
        self.retry_after = retry_after


class RasaError(BanDuongError):
    """Its text is no sentence: it stands behind "Rasa at URL cannot be used:"."""

    def __init__(self, text: str, *, lasting: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting


class AddressInUseError(BanDuongError):
    pass


class CaseError(BanDuongError):
    def __init__(self, why: str) -> None:
        super().__init__(f"This cannot be done with the case now ({why}).")
        self.why = why


class OutreachError(BanDuongError):
    def __init__(self, why: str) -> None:
        super().__init__(f"This cannot be done with the broadcast now ({why}).")
        self.why = why


class UsageError(BanDuongError):
    exit_status = 2


class CronError(UsageError):
    """`reason` is form, never or often."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class StaffError(UsageError):
    """Its sentence names nobody; `reason` tells a page which words to show."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
