"""What became of one gate."""

from dataclasses import dataclass

from lacal.formats.shown import printable

_MOST_SHOWN = 200  # characters of a gate: a class name may have thousands


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate, judged.

    Attributes:
        gate: As the user wrote it.
        passed: Whether the run may go on; False too where the gate cannot be judged.
        found: The numbers it looked at, with their intervals, in words.
        reason: Why, in a sentence.
    """

    gate: str
    passed: bool
    found: str
    reason: str

    @property
    def shown(self) -> str:
        """The gate as it may be shown to a person: cut to a width, with class names that steer no terminal."""
        return printable(self.gate, _MOST_SHOWN)

    @property
    def became(self) -> str:
        """`passed` or `FAILED`."""
        return "passed" if self.passed else "FAILED"

    def json(self) -> dict[str, str | bool]:
        """As it stands in a command's JSON, under `verdicts`."""
        return {
            "gate": self.gate,
            "passed": self.passed,
            "found": self.found,
            "reason": self.reason,
        }
