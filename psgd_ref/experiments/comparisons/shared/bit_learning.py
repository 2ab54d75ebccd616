"""Bayesian Bits: bits and pruned channels learned in the second half of a run."""

from psgd_ref.compress import BayesianBits, BitCost, fix_gates, insert_fake_quantizers, multiplications
from psgd_ref.data import Shift
from psgd_ref.experiments.digits import recipe
from psgd_ref.nn import Model
from psgd_ref.training import CrossEntropy, Penalized, cosine
from psgd_ref.training.loop import train_epochs
from psgd_ref.training.optimizers.qat import QAT
from psgd_ref.training.progress import Progress
from psgd_ref.training.recipe import Recipe

BAYESIAN_BITS = "Bayesian Bits"
# Images that ranges of activations start from; the bit-width that every quantizer starts from.
OBSERVED, WIDEST = 500, 8
# Fraction of the second half in which the gates are random, as 30 of 40 epochs in the paper.
RANDOM = 0.75
# Learning rates of weights and of gates.
RATE, GATES = 0.1, 0.3


def learn_bits(
    model: Model,
    cost: float,
    seed: int,
    activations: int | None = None,
    rate: float = RATE,
    gates: float = GATES,
) -> None:
    """Train by Bayesian Bits for the second half of the recipe's epochs: gates random, then fixed.

    Parameters
    ----------
    model : Model
        Modified; quantizers stay in place.
    cost : float
        μ, what a bit costs in the loss.
    seed : int
        Of batches, shifts and gates.
    activations : int, optional
        Bits that inputs start from; None: they are not quantized.
    rate, gates : float
        Learning rates of weights and gates.
    """
    epochs, data = recipe.EPOCHS - recipe.EPOCHS // 2, recipe.data()
    images = data.normalise(data.train.images[:OBSERVED])
    insert_fake_quantizers(model, BayesianBits, WIDEST, activations, images, seed)
    bit_cost = BitCost(cost, multiplications(model, images[0]))
    schedule = cosine(rate, recipe.steps(epochs))
    optimizer = QAT(schedule, weight_decay=recipe.WEIGHT_DECAY, gates=gates)
    progress = Progress.of(model, optimizer.init(model), seed)
    objective = Penalized(CrossEntropy(recipe.LABEL_SMOOTHING), [bit_cost])
    shift = Shift(recipe.SHIFT)
    for until in (round(RANDOM * epochs), epochs):
        list(
            train_epochs(
                model,
                optimizer,
                data,
                progress,
                until,
                Recipe(recipe.BATCH_SIZE, augment=shift),
                objective=objective,
                show_progress=False,
            )
        )
        fix_gates(model)
