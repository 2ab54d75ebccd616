"""The array work of the networks, behind one narrow interface."""

from psgd_ref.kernels.reference import (
    avg_pool2d,
    avg_pool2d_backward,
    batch_norm_backward,
    batch_norm_eval,
    batch_norm_train,
    channel_sum,
    conv2d,
    conv2d_backward,
    global_avg_pool,
    global_avg_pool_backward,
    linear,
    linear_backward,
    max_pool2d,
    max_pool2d_backward,
    relu,
    relu_backward,
)

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm_backward",
    "batch_norm_eval",
    "batch_norm_train",
    "channel_sum",
    "conv2d",
    "conv2d_backward",
    "global_avg_pool",
    "global_avg_pool_backward",
    "linear",
    "linear_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "relu",
    "relu_backward",
]
