"""Layers with explicit forward and backward passes, on one flat parameter vector."""

from psgd_ref.nn.containers import Residual, Sequential
from psgd_ref.nn.hessian import Hessian, hessian_vector
from psgd_ref.nn.layer import Layer
from psgd_ref.nn.layers.activation import (
    GELU,
    Elementwise,
    LeakyReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Tanh,
)
from psgd_ref.nn.layers.batch_norm import BatchNorm
from psgd_ref.nn.layers.conv import Conv2d
from psgd_ref.nn.layers.dropout import Dropout
from psgd_ref.nn.layers.flatten import Flatten
from psgd_ref.nn.layers.layer_norm import LayerNorm
from psgd_ref.nn.layers.linear import Linear
from psgd_ref.nn.layers.pool import AvgPool2d, GlobalAvgPool, MaxPool2d
from psgd_ref.nn.model import Model
from psgd_ref.nn.parameters import Parameter, Segment
from psgd_ref.nn.weighted import Weighted

__all__ = [
    "GELU",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "Elementwise",
    "Flatten",
    "GlobalAvgPool",
    "Hessian",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Model",
    "Parameter",
    "ReLU",
    "ReLU6",
    "Residual",
    "Segment",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Tanh",
    "Weighted",
    "hessian_vector",
]
