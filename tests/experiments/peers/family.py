"""The family without packages, as the near side sees it."""

from psgd_ref.experiments.peers.registry import Family
from tests.experiments.peers import stub


class Stub(Family):
    """A family whose module is the stub, also where only the folder `peers` is."""

    module = "psgd_ref.experiments.peers.families.stub"
    quantizers, meetings, optimizers = stub.QUANTIZERS, stub.MEETINGS, stub.OPTIMIZERS


STUB = Stub("stub", (), ())
