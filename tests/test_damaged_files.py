"""Damaged files of every kind that commands read: the right answer, or a refusal that names the file.

`--damaged-files 10000` tries so many; by default a few of each kind.
"""

import gzip
import json
from contextlib import closing
from random import Random

import numpy as np
import pytest

from psgd_ref.compress import quantize
from psgd_ref.experiments.store.arrays import ArrayStore as KeptResults
from psgd_ref.experiments.store.sweeps import Entry, RunStore
from psgd_ref.interop import save_safetensors
from psgd_ref.interop.model_file import load_model, load_quantized, save
from psgd_ref.interop.safetensors import read
from psgd_ref.models import mlp
from psgd_ref.training import SGD
from psgd_ref.training.progress import Progress
from psgd_ref.training.runs.checkpoint import last_whole, save_checkpoint
from psgd_ref.training.runs.configuration import configuration, read_toml
from psgd_ref.training.runs.run import METRICS, _trim_metrics, read_metrics, whole_metrics
from tests.data.archives import packed, small_cifar, small_mnist


def damaged(content, random):
    """The content after one of the accidents that happen to files."""
    kind = random.choice(["bit", "bytes", "cut", "empty", "zeros", "longer", "other", "hole", "swapped"])
    place = random.randrange(len(content))
    length = random.randint(1, 64)
    end = place + length
    match kind:
        case "bit":
            return (
                content[:place] + bytes([content[place] ^ (1 << random.randrange(8))]) + content[place + 1 :]
            )
        case "bytes":
            return content[:place] + random.randbytes(length) + content[end:]
        case "cut":
            return content[:place]
        case "empty":
            return b""
        case "zeros":
            return content[:place] + bytes(len(content) - place)
        case "longer":
            return content + random.randbytes(length)
        case "hole":
            return content[:place] + content[end:]
        case "swapped":
            return content[end:] + content[:end]
    return random.choice([b"<html>404</html>", b"null", b"\xff" * 200, random.randbytes(300)])


class Kind:
    """A file as written, and how it is read: `answer` returns what must be the same, or raises an error."""

    # Whether every change that matters is noticed; else the answer may be another of the same form.
    checked = True

    def __init__(self, folder):
        self.folder = folder
        self.path = self.written()
        self.whole = self.path.read_bytes()
        self.right = self.answer()


class Checkpoint(Kind):
    def written(self):
        model = mlp((2, 6, 2))
        progress = Progress.of(model, SGD(0.1).init(model), 3)
        save_checkpoint(self.folder, model, progress, {"data": "moons"})
        progress.state = {**progress.state, "step": np.asarray(progress.state["step"]) + 1}
        return save_checkpoint(self.folder, model, progress, {"data": "moons"})

    def answer(self):
        said = []
        found = last_whole(self.folder, said.append)
        if found.path != self.path:
            assert len(said) == 1
            assert self.path.name in said[0]
            raise ValueError(said[0])
        return found.record, {name: t.tobytes() for name, t in found.tensors.items()}


class SweepStore(Kind):
    def written(self):
        with closing(RunStore(self.folder)) as store:
            for k in range(20):
                result = {"accuracies": [k / 20] * 30}
                store.record(Entry(f"{k:064}", "{}", "code", result, seconds=k / 7, place="here"))
        return self.folder / "results.sqlite"

    def answer(self):
        with closing(RunStore(self.folder)) as store:
            found = store.entries(f"{k:064}" for k in range(20))
        # An empty file is what a sweep that was killed at its start leaves.
        return self.right if found == {} and hasattr(self, "right") and self.emptied else found

    emptied = False


class Metrics(Kind):
    checked = False

    def written(self):
        path = self.folder / METRICS
        path.write_text("".join(json.dumps({"epoch": k, "loss": 1 / k}) + "\n" for k in range(1, 9)))
        return path

    def answer(self):
        lines, problems = whole_metrics(self.folder)
        assert [line["epoch"] for line in lines] == sorted({line["epoch"] for line in lines})
        before, said = self.path.read_bytes(), []
        try:
            read_metrics(self.folder)
        except ValueError:
            _trim_metrics(self.folder, 4, said.append)
            assert str(self.path) in said[0]
            (aside,) = self.folder.glob("*.damaged*")
            assert aside.read_bytes() == before
            assert read_metrics(self.folder) == [line for line in lines if line["epoch"] <= 4]
            aside.unlink()
            raise ValueError(problems[0]) from None
        return lines


class KeptResult(Kind):
    def written(self):
        self.store = KeptResults(self.folder)
        self.made = 0
        self.answer()
        (path,) = self.folder.iterdir()
        return path

    def make(self):
        self.made += 1
        return {"a": np.arange(40.0), "b": np.eye(3, dtype=np.float32)}

    def answer(self):
        found = self.store.one(self.make, {"it": 1})
        assert {name: array.tolist() for name, array in found.items()} == {
            name: array.tolist() for name, array in self.make().items()
        }
        # What was damaged was made again: the right answer, always.
        return "made"


class Options(Kind):
    checked = False

    def written(self):
        path = self.folder / "config.toml"
        path.write_text(configuration({"data": "moons"}).as_toml())
        return path

    def answer(self):
        try:
            return configuration(read_toml(self.path))
        except ValueError as error:
            # The values' errors name the option, the file's the file.
            raise ValueError(f"{self.path} {error}") from None


class Weights(Kind):
    checked = False

    def written(self):
        save_safetensors(mlp((2, 6, 2)), self.folder / "w.safetensors", (2,))
        return self.folder / "w.safetensors"

    def answer(self):
        tensors, _ = read(self.path)
        return tensors


class ModelFile(Kind):
    checked = False

    def written(self):
        save(mlp((2, 6, 2)), self.folder / "model.safetensors")
        return self.folder / "model.safetensors"

    def answer(self):
        return load_model(self.path)


class QuantizedFile(Kind):
    checked = False

    def written(self):
        save(quantize(mlp((2, 6, 2)), 4), self.folder / "model.safetensors")
        return self.folder / "model.safetensors"

    def answer(self):
        return load_quantized(self.path)


class PackedImages(Kind):
    def written(self):
        self.source, files, _ = small_mnist()
        place = self.folder / "mnist"
        place.mkdir()
        for name, content in files.items():
            (place / name).write_bytes(content)
        return place / next(iter(files))

    def answer(self):
        train, test = self.source.read(self.source.find(self.folder))
        return train.images.tobytes(), train.labels.tobytes(), test.images.tobytes()


class UnpackedImages(PackedImages):
    checked = False

    def written(self):
        path = super().written()
        path.write_bytes(gzip.decompress(path.read_bytes()))
        return path


class Archive(Kind):
    def written(self):
        self.source, archive, members, _ = small_cifar()
        ((name, _),) = archive.items()
        (self.folder / name).write_bytes(packed(members))
        return self.folder / name

    def answer(self):
        train, test = self.source.read(self.source.find(self.folder))
        return train.images.tobytes(), train.labels.tobytes(), test.images.tobytes()


KINDS = [
    Checkpoint,
    SweepStore,
    Metrics,
    KeptResult,
    Options,
    Weights,
    ModelFile,
    QuantizedFile,
    PackedImages,
    UnpackedImages,
    Archive,
]


@pytest.mark.parametrize("kind", KINDS)
def test_damage_gives_the_right_answer_or_a_clear_refusal(kind, tmp_path, capsys, pytestconfig):
    total = pytestconfig.getoption("--damaged-files") or 20 * len(KINDS)
    subject, random = kind(tmp_path), Random(kind.__name__)
    refused = 0
    for _ in range(-(-total // len(KINDS))):
        content = damaged(subject.whole, random)
        subject.path.write_bytes(content)
        subject.emptied = content == b""
        capsys.readouterr()
        try:
            found = subject.answer()
        except ValueError as error:
            refused += 1
            assert subject.path.name in str(error)  # noqa: PT017
            assert len(str(error).splitlines()) == 1  # noqa: PT017
            # Nothing is lost by asking.
            assert kind is Metrics or subject.path.read_bytes() == content
        else:
            assert not subject.checked or found == subject.right
            assert type(found) is type(subject.right)
    assert refused > 0 or kind is KeptResult
