"""Whatever is left out of the measure of coverage, or of the mutants, says why."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def patterns() -> list[re.Pattern[str]]:
    report = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["report"]
    return [re.compile(one) for one in (*report["exclude_lines"], *report["partial_branches"])]


def test_every_pragma_has_its_reason() -> None:
    known = [*patterns(), re.compile(r"# pragma: no mutate - \w.{10,}")]
    for path in (ROOT / "lacal").rglob("*.py"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if "pragma: no" in line:
                assert any(one.search(line) for one in known), f"{path}:{number}: {line}"


def test_a_pragma_without_a_reason_counts_for_nothing() -> None:
    bare = ("x  # pragma: no cover", "x  # pragma: no cover -", "x  # pragma: no branch - why")
    assert not [line for line in bare for one in patterns() if one.search(line)]
