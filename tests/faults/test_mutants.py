"""Damaged files of every kind through the command line; what each round promises stands in tests/soak/mutants."""

import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import lacal.pipeline
from lacal.errors import DataError
from tests.soak.mutants import play, soak
from tests.soak.mutants import watch as watching
from tests.soak.mutants.promises import Stage
from tests.soak.mutants.rounds import KINDS, Kind, Round, round_of
from tests.soak.mutants.worker import Share

ROUNDS = 20_000


@pytest.mark.soak
def test_damage_ends_in_a_sentence() -> None:
    found = play(ROUNDS, 0, math.inf)
    assert not found.faults, "\n".join(found.faults)
    assert found.rounds == ROUNDS
    for kind in KINDS:  # damage that always kills shows nothing of what lies behind the first door
        ended = {code: found.figures.get(f"{kind.name}: {code}", 0) for code in (0, 2)}
        assert min(int(each) for each in ended.values()) >= kind.share // 10, (kind.name, ended)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage in a folder that the test goes to, and comes back from."""
    monkeypatch.chdir(tmp_path)
    yield (made := Stage(tmp_path))
    made.close()


def undamaged(kind: Kind, line: str) -> Round:
    return Round.of(kind, "mutant" + kind.suffix, kind.whole(), line)


def test_whole_files_are_taken(stage: Stage) -> None:
    seen: set[str] = set()
    for kind in KINDS:
        taken = False
        for line in dict.fromkeys(kind.lines):
            if not (taken and line in seen):
                code, broken = stage.play(undamaged(kind, line))
                assert not broken, (kind.name, line)
                taken |= code == 0
        assert taken, kind.name
        seen |= set(kind.lines)


def _raises() -> None:
    raise RuntimeError("of its own")


def _stops() -> None:
    raise KeyboardInterrupt


def _leaves() -> None:
    Path("left.tmp").touch()
    raise DataError("a sentence")


def _talks() -> None:
    print("half a result")
    raise DataError("a sentence")


def _obeys() -> None:
    sys.stdout.write("\u202egnp.exe")
    raise DataError("a sentence")


def _runs_out() -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("does", "broken"),
    [
        (_raises, "a fault that nobody expected"),
        (_stops, "exit code 130"),
        (_leaves, "left 'left.tmp' behind"),
        (_talks, "failed and printed a result"),
        (_obeys, "said what is not printable"),
        (_runs_out, "asked for more memory"),
    ],
)
def test_a_broken_promise_is_seen(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, does: object, broken: str
) -> None:
    monkeypatch.setattr(lacal.pipeline, "inspect", lambda *args, **more: does())  # type: ignore[operator]
    one = undamaged(KINDS[0], "inspect @ --json")
    assert any(what.startswith(broken) for what in stage.play(one)[1])


DIES = "import os, struct, sys; open(sys.argv[-1] + '/place', 'wb').write(struct.pack('<qdd', 5, {}, 0)); {}"


@pytest.mark.parametrize(
    ("started", "ends", "told"),
    [
        ("1e18", "os.kill(os.getpid(), 11)", "killed the process (-11)"),
        ("0", "import time; time.sleep(60)", "took too long"),
    ],
)
def test_a_worker_that_is_gone_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, started: str, ends: str, told: str
) -> None:
    monkeypatch.setattr(watching, "COMMAND", [sys.executable, "-c", DIES.format(started, ends)])
    monkeypatch.setattr(watching, "STOPS", 0.1)
    monkeypatch.setattr(watching, "MOST_FAULTS", 1)
    found = watching.watch([Share(0, 0, 10, 1)], time.monotonic() + 60)
    assert len(found.faults) == 1
    assert told in found.faults[0]
    assert found.faults[0].endswith("python -m tests.soak.mutants --seed 0 --round 5")


# Tells of three rounds, and stays in its sixth; the next one goes on where nothing was told
STAYS = """
import json, struct, sys, time
first, rounds, _, again = map(int, sys.argv[2:6])
if again == 5:
    print(json.dumps([rounds, {"kind: 0": rounds - first}, []]))
    raise SystemExit
print(json.dumps([2, {"kind: 0": 3}, []]), flush=True)
open(sys.argv[-1] + "/place", "wb").write(struct.pack("<qdd", 5, 0, 0))
time.sleep(60)
"""


def test_a_worker_that_is_replaced_leaves_no_round_uncounted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "COMMAND", [sys.executable, "-c", STAYS])
    found = watching.watch([Share(0, 0, 10, 1)], time.monotonic() + 60)
    assert not found.faults
    assert found.rounds == 10
    assert found.figures == {"kind: 0": 10, "workers replaced": 1}


@pytest.mark.soak
def test_the_soak_sums_it_up() -> None:
    found = soak(30, 1, math.inf)
    assert found.rounds == 30
    assert not found.faults
    ended = [int(times) for name, times in found.figures.items() if name.startswith("ended with")]
    assert sum(ended) == 30


def test_one_round_can_be_brought_back(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "tests.soak.mutants", "--seed", "3", "--round", "8", "--folder", tmp_path / "here"],
        capture_output=True,
        text=True,
    )  # fmt: skip
    one = round_of(3, 8)
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "here" / one.name).read_bytes() == one.data
    assert "lacal " in said.stdout
    assert "exit code" in said.stdout
