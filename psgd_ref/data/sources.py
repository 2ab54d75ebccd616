"""Where MNIST, Fashion-MNIST and CIFAR come from, with their published sizes and checksums.

The checksums are those of TensorFlow Datasets' `url_checksums`, for the same files that torchvision and
Keras list (CIFAR in its binary version, which needs no pickle).
"""

from psgd_ref.data.source import CifarSource, IdxSource, Remote

MNIST = IdxSource(
    name="mnist",
    classes=10,
    shape=(28, 28, 1),
    counts=(60000, 10000),
    files=(
        Remote(
            "train-images-idx3-ubyte.gz",
            9912422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        Remote(
            "train-labels-idx1-ubyte.gz",
            28881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        Remote(
            "t10k-images-idx3-ubyte.gz",
            1648877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        Remote(
            "t10k-labels-idx1-ubyte.gz",
            4542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    torchvision="MNIST",
)

FASHION_MNIST = IdxSource(
    name="fashion-mnist",
    classes=10,
    shape=(28, 28, 1),
    counts=(60000, 10000),
    files=(
        Remote(
            "train-images-idx3-ubyte.gz",
            26421880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        Remote(
            "train-labels-idx1-ubyte.gz",
            29515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        Remote(
            "t10k-images-idx3-ubyte.gz",
            4422102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        Remote(
            "t10k-labels-idx1-ubyte.gz",
            5148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    torchvision="FashionMNIST",
)

# The University of Toronto lets some 55 kB/s through; an interrupted download goes on where it stopped.
TORONTO = ("https://www.cs.toronto.edu/~kriz/",)

CIFAR10 = CifarSource(
    name="cifar10",
    classes=10,
    shape=(32, 32, 3),
    counts=(50000, 10000),
    files=(
        Remote(
            "cifar-10-binary.tar.gz",
            170052171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
    mirrors=TORONTO,
    inside="cifar-10-batches-bin",
    batches=(*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"),
    label_bytes=1,
)

CIFAR100 = CifarSource(
    name="cifar100",
    classes=100,
    shape=(32, 32, 3),
    counts=(50000, 10000),
    files=(
        Remote(
            "cifar-100-binary.tar.gz",
            168513733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
    ),
    mirrors=TORONTO,
    inside="cifar-100-binary",
    batches=("train.bin", "test.bin"),
    label_bytes=2,
)

SOURCES = {source.name: source for source in (MNIST, FASHION_MNIST, CIFAR10, CIFAR100)}
