"""What is answered to a name that is no measure: what it lacks, or what was probably meant."""

import difflib

from lacal.errors import UsageError
from lacal.formats.shown import listed
from lacal.gates.lookup import ENDS, base_of
from lacal.gates.quoting import quoted, quotes_missing, typed
from lacal.measure import GROUP_METRICS

# Numbers that go by other names elsewhere.
_ELSEWHERE = {
    "error": "balanced_error",
    "accuracy": "micro_error",
    "micro_accuracy": "micro_error",
    "balanced_accuracy": "balanced_error",
    "macro_recall": "balanced_error",
    "ece": "calibration.top_label",
    "nll": "log_loss",
}
_COMPLEMENTS = ("recall", "accuracy")
_MOST_LISTED = 6


def unknown(
    name: str, known: tuple[str, ...], option: str, *, text: str = "", whose: str = "this run"
) -> UsageError:
    """What a name that is not among these is answered.

    Args:
        name: As it was read.
        known: Names of measures.
        option: Where it was given.
        text: The gate that it stands in.
        whose: Measures they are.
    """
    start = f"{option}: {quoted(name)} is no measure of {whose}"
    return UsageError(f"{start}{_remedy(name, known, text, whose)}")


def _remedy(name: str, known: tuple[str, ...], text: str, whose: str) -> str:
    name = base_of(name)
    base, _, end = name.rpartition(".")
    if base in known or base.endswith(tuple(f".{one}" for one in GROUP_METRICS)):
        near = _nearest(end, ENDS)
        return f"; behind a name stand .low, .high and .n.{_meant(near and f'{base}.{near}')}"
    missing = quotes_missing(text, text.find(name), spaces=False) if name in text else ""
    if name.startswith("class."):
        return f"; {missing}" if missing else _of_class(name, known)
    if (end == "gain" and "micro_gain" not in known) or name == "micro_gain":
        return (
            "; lacal evaluate has the gain of the balanced error alone, gain; for others there is "
            "lacal compare BEFORE AFTER"
        )
    meant = _of_groups(name, known, whose) or _other(name, known)
    if meant or missing:
        return meant or f"; {missing}"
    some = [one for one in known if not one.startswith("class.")][:_MOST_LISTED]
    return f"; expected one such as {', '.join(map(quoted, some))}"


def _of_class(name: str, known: tuple[str, ...]) -> str:
    """Of a class there is its error, under the class's name."""
    classes = tuple(one for one in known if one.startswith("class."))
    base, _, end = name.rpartition(".")
    if "mcnemar.p" in known:
        return "; of single classes lacal compare has no measure, lacal evaluate has"
    error = f"{name if base == 'class' else base}.error"
    if end != "error" and (error in classes or not classes):
        return f"; of a class there is its error.{_meant(error)}{_complement(end, error)}"
    return f".{_meant(_nearest(name, classes))}"


def _of_groups(name: str, known: tuple[str, ...], whose: str) -> str:
    """Of a group's measure where there are no groups, or others."""
    base, _, end = name.rpartition(".")
    if not base or end not in (*GROUP_METRICS, "gain") or name.replace(".", "_") in known:
        return ""
    groups = [one.removesuffix(".error") for one in known if _is_group(one)]
    if not groups and whose != "this run":
        return "; groups need the training counts: write it anew with --counts or --calibration"
    if not groups:
        counts = "--counts" if "mcnemar.p" in known else "--counts (or --calibration)"
        return f"; groups of classes need the training counts: give {counts}"
    near = _nearest(base, tuple(groups))
    return _meant(f"{near}.{end}", ".") if near else f"; its groups are {listed(groups)}"


def _is_group(name: str) -> bool:
    return name.endswith(".error") and not name.startswith(("class.", "first."))


def _other(name: str, known: tuple[str, ...]) -> str:
    """What is spelt nearly so, or goes by another name elsewhere."""
    base, _, end = name.rpartition(".")
    error = f"{base}.error" if base else _ELSEWHERE.get(name, "")
    if error in known and (not base or end in _COMPLEMENTS):
        return _meant(error, ".") + _complement(end, error)
    return _meant(_nearest(name, tuple(one for one in known if not one.startswith("class."))), ".")


def _nearest(word: str, known: tuple[str, ...]) -> str:
    return next(iter(difflib.get_close_matches(word, known, n=1)), "")


def _meant(name: str, before: str = "") -> str:
    return f"{before} Did you mean {quoted(name)}?" if name else ""


def _complement(end: str, error: str) -> str:
    """A recall below a half is an error above a half."""
    word = end.rpartition("_")[2]
    return f" Its {word} is 1 - {typed(error)}." if word in _COMPLEMENTS else ""
