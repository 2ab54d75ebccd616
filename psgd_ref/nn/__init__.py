"""Layers with explicit forward and backward passes, on one flat parameter vector."""

from psgd_ref.nn.containers import Residual, Sequential
from psgd_ref.nn.hessian import Hessian, hessian_vector
from psgd_ref.nn.layer import Layer
from psgd_ref.nn.layers.activation import Flatten, ReLU
from psgd_ref.nn.layers.batch_norm import BatchNorm
from psgd_ref.nn.layers.conv import Conv2d
from psgd_ref.nn.layers.linear import Linear
from psgd_ref.nn.layers.pool import AvgPool2d, GlobalAvgPool, MaxPool2d
from psgd_ref.nn.model import Model
from psgd_ref.nn.parameters import Parameter, Segment
from psgd_ref.nn.weighted import Weighted

__all__ = [
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Flatten",
    "GlobalAvgPool",
    "Hessian",
    "Layer",
    "Linear",
    "MaxPool2d",
    "Model",
    "Parameter",
    "ReLU",
    "Residual",
    "Segment",
    "Sequential",
    "Weighted",
    "hessian_vector",
]
