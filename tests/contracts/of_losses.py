"""What the functions of the training losses promise."""

import torch

from lacal import losses as of_training
from lacal.losses import margins, pairwise, statistics
from lacal.losses.shell import make_loss
from tests.contracts.given import (
    EACH,
    LOG_PRIOR,
    ORDERED,
    SUMMED,
    Contract,
    K,
    per_class,
    tensor,
    tensors,
)

# Module below lacal and name -> what it promises.
CONTRACTS: dict[str, Contract] = {
    "losses.ala.ala": Contract(
        EACH, tensors(of_training.ala, factors=per_class(-LOG_PRIOR), scale=5.0)
    ),
    "losses.equalised.equalised": Contract(
        EACH, tensors(of_training.equalised, log_prior=per_class(LOG_PRIOR))
    ),
    "losses.equalised.softmax_equalised": Contract(
        EACH,
        lambda logits, labels, dropped: of_training.softmax_equalised(
            tensor(logits), tensor(labels), dropped=tensor(dropped)
        ),
    ),
    "losses.focal.focal": Contract(EACH, tensors(of_training.focal, gamma=2.0)),
    "losses.focal.sigmoid_focal": Contract(EACH, tensors(of_training.sigmoid_focal, gamma=2.0)),
    "losses.lade.lade": Contract(
        ORDERED,
        tensors(of_training.lade, log_prior=per_class(LOG_PRIOR), alpha=0.1, regularisation=0.1),
    ),
    "losses.lade.lade_regulariser": Contract(
        SUMMED,
        tensors(of_training.lade_regulariser, log_prior=per_class(LOG_PRIOR), regularisation=0.1),
    ),
    "losses.margins.target_margin": Contract(
        EACH, tensors(of_training.target_margin, margins=per_class(-LOG_PRIOR))
    ),
    "losses.margins.minus_at_label": Contract(
        EACH,
        lambda logits, labels, values: margins.minus_at_label(
            tensor(logits), tensor(labels), tensor(values)
        ),
    ),
    "losses.pairwise.pairwise_margin": Contract(
        EACH,
        tensors(of_training.pairwise_margin, margins=torch.eye(K), weights=per_class(-LOG_PRIOR)),
    ),
    "losses.pairwise.softmax_cross_entropy": Contract(
        EACH, tensors(of_training.softmax_cross_entropy)
    ),
    "losses.pairwise.class_weighted": Contract(
        EACH,
        lambda values, labels: pairwise.class_weighted(
            tensor(values), tensor(labels), weights=per_class(-LOG_PRIOR)
        ),
    ),
    "losses.pairwise.at_least_float32": Contract(
        EACH, lambda logits: pairwise.at_least_float32(tensor(logits).half())
    ),
    "losses.pairwise.cross_entropy": Contract(EACH, tensors(pairwise.cross_entropy)),
    "losses.pairwise.mean_cross_entropy": Contract(
        SUMMED, tensors(pairwise.mean_cross_entropy, weights=per_class(-LOG_PRIOR))
    ),
    "losses.prior.logit_adjusted": Contract(
        EACH, tensors(of_training.logit_adjusted, log_prior=per_class(LOG_PRIOR))
    ),
    "losses.prior.balanced_softmax": Contract(
        EACH, tensors(of_training.balanced_softmax, log_counts=per_class(LOG_PRIOR))
    ),
    "losses.prior.logit_adjusted_adaptive": Contract(
        EACH,
        tensors(
            of_training.logit_adjusted_adaptive,
            log_prior=per_class(LOG_PRIOR),
            margins=per_class(-LOG_PRIOR),
        ),
    ),
    "losses.prior.vector_scaling": Contract(
        EACH,
        tensors(
            of_training.vector_scaling,
            log_prior=per_class(LOG_PRIOR),
            multipliers=per_class(-LOG_PRIOR),
        ),
    ),
    "losses.shell.ClassLoss.forward": Contract(
        SUMMED, tensors(make_loss("balanced", [9, 4, 3, 2, 1]))
    ),
    "losses.shell.ClassLoss.unreduced": Contract(
        EACH, tensors(make_loss("balanced", [9, 4, 3, 2, 1]).unreduced)
    ),
    "losses.shell.make_loss": Contract(
        ORDERED, lambda class_counts: make_loss("balanced", class_counts).weights
    ),
    "losses.statistics.checked_class_counts": Contract(
        ORDERED, lambda class_counts: statistics.checked_class_counts(class_counts)
    ),
    "losses.statistics.log_prior": Contract(
        ORDERED, lambda class_counts: statistics.log_prior(class_counts)
    ),
    "losses.statistics.prior_power": Contract(
        ORDERED, lambda class_counts: statistics.prior_power(class_counts, -0.25)
    ),
    "losses.statistics.effective_number_weights": Contract(
        ORDERED, lambda class_counts: statistics.effective_number_weights(class_counts, 0.99)
    ),
    "losses.statistics.ldam_margins": Contract(
        ORDERED, lambda class_counts: statistics.ldam_margins(class_counts, 0.5)
    ),
    "losses.statistics.quantity_factors": Contract(
        ORDERED, lambda class_counts: statistics.quantity_factors(class_counts)
    ),
    "losses.statistics.count_ratios": Contract(
        ORDERED, lambda class_counts: statistics.count_ratios(class_counts, 0.3)
    ),
}
