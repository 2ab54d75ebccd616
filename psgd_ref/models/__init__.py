"""Ready networks: each function returns a `Model` on one flat vector.

Examples
--------
>>> import psgd_ref as pr
>>> pr.models.resnet(20).w.shape
(272474,)
"""

from psgd_ref.models.convnet import convnet
from psgd_ref.models.mlp import mlp
from psgd_ref.models.resnet import resnet
from psgd_ref.models.vgg import vgg

__all__ = ["convnet", "mlp", "resnet", "vgg"]
