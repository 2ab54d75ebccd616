"""Optimisers, schedules, the training loop and evaluation."""

from psgd_ref.training.divergence import DivergenceError
from psgd_ref.training.evaluation import accuracy, evaluate
from psgd_ref.training.gradient_l1 import GradientL1
from psgd_ref.training.halp import fit_halp
from psgd_ref.training.loop import Epoch, fit
from psgd_ref.training.objective import CrossEntropy, Objective, Penalized, Penalty
from psgd_ref.training.optimizers.adam import Adam, PSGDAdam
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.optimizers.parq import PARQ
from psgd_ref.training.optimizers.proximal_l1 import ProximalL1
from psgd_ref.training.optimizers.proxquant import ProxQuant
from psgd_ref.training.optimizers.psgd import PSGD
from psgd_ref.training.optimizers.qat import QAT
from psgd_ref.training.optimizers.quadratic_pull import QuadraticPull
from psgd_ref.training.optimizers.schedules import constant, cosine, piecewise, ramp
from psgd_ref.training.optimizers.sgd import SGD
from psgd_ref.training.recipe import Recipe

__all__ = [
    "PARQ",
    "PSGD",
    "QAT",
    "SGD",
    "Adam",
    "CrossEntropy",
    "DivergenceError",
    "Epoch",
    "GradientL1",
    "Objective",
    "Optimizer",
    "PSGDAdam",
    "Penalized",
    "Penalty",
    "ProxQuant",
    "ProximalL1",
    "QuadraticPull",
    "Recipe",
    "accuracy",
    "constant",
    "cosine",
    "evaluate",
    "fit",
    "fit_halp",
    "piecewise",
    "ramp",
]
