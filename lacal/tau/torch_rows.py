"""`lacal.tau.intervals` and `lacal.rows.fingerprint` for torch tensors, wherever they are.

All in whole-array steps that never make the host wait for the device.

Which rival bounds a row is decided by the same float64 quotients, and the end comes from the same division,
so the linear family's intervals are the same to the last bit. The power family's logs are torch's own, which
may differ from NumPy's in their last bit.
"""

from typing import Any

import torch

from lacal.rows.fingerprint import ODD

Tensor = Any  # torch.Tensor


def linear(
    scores: Tensor, labels: Tensor, slopes: Tensor, sign: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The taus at which each label wins by `scores_j - tau * sign * slopes_j`.

    Args:
        scores: (m, k) float64; -inf is a rival that never wins.
        labels: (m,) int64.
        slopes: (k,) float64.
        sign: (m, 1) of 1 and -1; None for all 1.

    Returns:
        low (m,) and high (m,), closed; low > high where no tau is right.
    """
    label = labels[:, None]
    columns = torch.arange(scores.shape[1], device=scores.device)
    lead = scores.gather(1, label) + 0.0 - scores
    gap = slopes[label] - slopes
    if sign is not None:
        gap = gap * sign
    lead.scatter_(1, label, torch.inf)
    behind, commoner, rarer, equal = lead < 0, gap < 0, gap > 0, gap == 0
    turn = torch.where(behind | (equal & (lead == 0)), 0.0, gap / lead)
    most, nearest = turn.max(1, keepdim=True)
    least, farthest = turn.min(1, keepdim=True)
    high = torch.where(most > 0, lead.gather(1, nearest) / gap.gather(1, nearest), torch.inf)
    low = torch.where(least < 0, lead.gather(1, farthest) / gap.gather(1, farthest), -torch.inf)
    high = _inwards(high, -torch.inf, nearest < label)
    low = _inwards(low, torch.inf, farthest < label)
    # Rivals ahead at tau = 0; of several at the same tau the first is found, and opens the end if any does.
    crossing = lead / gap
    cut, rival = torch.where(behind & commoner, crossing, -torch.inf).max(1, keepdim=True)
    low = low.maximum(_inwards(cut, torch.inf, rival < label))
    cut, rival = torch.where(behind & rarer, crossing, torch.inf).min(1, keepdim=True)
    high = high.minimum(_inwards(cut, -torch.inf, rival < label))
    beaten = behind | ((lead == 0) & (columns < label))
    never = (equal & beaten).any(1, keepdim=True)
    return torch.where(never, torch.inf, low)[:, 0], torch.where(never, -torch.inf, high)[:, 0]


def power(scores: Tensor, labels: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """The same for `scores_j * exp(-tau * slopes_j)`: linear in the logs, upside down if all are negative."""
    own = scores.gather(1, labels[:, None])
    negative = (scores < 0).all(1, keepdim=True)
    sign = torch.where(negative, -1.0, 1.0).double()
    low, high = linear((scores * sign).clamp(min=0).log() * sign, labels, slopes, sign)
    neutral = (own[:, 0] == 0) & first_best(scores, labels)
    by_logs = (own > 0)[:, 0] | negative[:, 0]
    low = torch.where(by_logs, low, torch.where(neutral, -torch.inf, torch.inf))
    return low, torch.where(by_logs, high, torch.where(neutral, torch.inf, -torch.inf))


def first_best(scores: Tensor, labels: Tensor) -> Tensor:
    """(m,) whether argmax, which takes the lowest index of a tie, gives the label."""
    label = labels[:, None]
    own = scores.gather(1, label)
    columns = torch.arange(scores.shape[1], device=scores.device)
    return ~((scores > own) | ((scores == own) & (columns < label))).any(1)


def hashes_of(logits: Tensor, columns: Tensor, multipliers: Tensor) -> Tensor:
    """`lacal.rows.fingerprint.row_hashes`, (n,) as int64 of the same bits.

    Args:
        logits: (n, k).
        columns: (c,) and
        multipliers: (c,) as int64 of the same bits: see `lacal.rows.fingerprint.hashed_columns`.
    """
    values = logits.index_select(1, columns).float() + 0.0
    bits = values.view(torch.int32).long()
    # Beyond float32, where all would be infinite: both halves of the number
    if logits.dtype == torch.float64:
        double = logits.index_select(1, columns).view(torch.int64)
        bits = torch.where(values.isinf(), double ^ (double >> 32), bits)
    bits = bits & 0xFFFFFFFF
    mixed = (bits + 1) * multipliers
    mixed = mixed ^ _shifted(mixed, 29)
    odd = int(ODD.astype("int64"))
    hashes = (mixed * odd).sum(1) * odd
    return hashes ^ _shifted(hashes, 32)


def _inwards(ends: Tensor, inside: float, open_end: Tensor) -> Tensor:
    """As `lacal.tau.screen.inwards`."""
    moved = torch.nextafter(ends, torch.full_like(ends, inside))
    return torch.where(open_end & torch.isfinite(ends), moved, ends)


def _shifted(words: Tensor, bits: int) -> Tensor:
    """A right shift that fills in zeros, which torch has not for int64."""
    return (words >> bits) & ((1 << (64 - bits)) - 1)
