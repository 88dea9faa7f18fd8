"""The errors lacal raises on purpose, and the exit code of each.

    LacalError              2   anything a user can mend
    ├── DataError           2   a file or array of numbers, labels, counts, names
    ├── CalibrationError    2   a calibration file
    ├── UsageError          2   options that contradict each other
    ├── MissingExtra        2   an optional package that is not installed
    └── RunError            3   the run failed: disk, device, memory

A message is one sentence: *place: what is wrong; got ..., expected ...; how to mend*.
"""


class LacalError(Exception):
    """Base of every error that is the input's fault or the machine's, never lacal's own."""

    exit_code = 2


class DataError(LacalError):
    """A file or array cannot be what the user says it is."""


class CalibrationError(LacalError):
    """A calibration file is malformed, foreign, or does not fit the data."""


class UsageError(LacalError):
    """Options that cannot be combined, or a value outside its range."""


class MissingExtra(LacalError):  # noqa: N818 - the name says what to do
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        """Name the package, the extra that brings it, and what it is needed for."""
        super().__init__(
            f"{purpose} needs {package}, which is not installed; run: pip install 'lacal[{extra}]'"
        )


class RunError(LacalError):
    """The machine failed the run: a full disk, an unwritable folder, a lost file."""

    exit_code = 3


class Interruption(BaseException):
    """Somebody outside asked the run to end: it passes through every seam that catches what user code raises."""
