"""The loss around trained networks: on planes, and on the way to the grid in both metrics."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.analysis import ModelWarp, Slice, filter_normalised, fitted_plane, loss_at, losses, straight
from psgd_ref.compress import MinMaxGrid, quantize
from psgd_ref.core.arguments import Array, whole_number
from psgd_ref.data import load_digits
from psgd_ref.experiments.reproduction.ends import ended
from psgd_ref.experiments.reproduction.training import demonstrated, restored, train_images
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.experiments.store.arrays import Arrays, ArrayStore
from psgd_ref.nn import Model
from psgd_ref.training.runs.saved import open_saved

BITS, EPS = 3, 0.01
# Along the way to the grid, 0 … 1, and half of it beyond either end.
WAY = np.linspace(-0.5, 1.5, 61)
# In units of the filters' own lengths.
REACH = 1.0
MARGIN = 0.45


@dataclass(frozen=True)
class Strip:
    """Points of a slice that one process looks at."""

    model: Model
    where: Slice
    points: Array
    images: Array
    labels: Any


def run(seeds: Sequence[int], epochs: int, store: ArrayStore, points: int = 51) -> dict[str, Any]:
    """The first seed's SGD and PSGD → W3: their common plane, a random plane around each, ways to the grid.

    Parameters
    ----------
    seeds, epochs
        Of the demonstration's runs; the first seed is shown.
    store : ArrayStore
        Where losses are kept.
    points : int
        Along each side of the common plane; the random planes have half as many.
    """
    jobs = [job for job in demonstrated("convnet", seeds[0], epochs) if job.bits in (None, BITS)]
    found = store.all(ended, jobs, "training")
    models = {job.name: restored(job, arrays) for job, arrays in zip(jobs, found, strict=True)}
    sgd, psgd = models.values()
    images, labels = train_images(load_digits())
    common = fitted_plane([sgd.w, psgd.w, quantize(sgd, BITS).w, quantize(psgd, BITS).w])
    places = {}
    for name, model in models.items():
        for mark, w in ((name, model.w), (f"{name}, rounded", quantize(model, BITS).w)):
            places[mark] = {
                "at": common.coordinates(w).tolist(),
                "loss": loss_at(model, w, images, labels),
                "distance": float(np.linalg.norm(common.point(common.coordinates(w)) - w)),
            }
    sides = _around(np.array([place["at"] for place in places.values()]), points)
    key = {"points": points, "jobs": [asdict(job) for job in jobs], "bits": BITS, "margin": MARGIN}

    def make() -> Arrays:
        plane = _plane(sgd, common, sides, images, labels, store.workers)
        return {"losses": plane}

    data: dict[str, Any] = {
        "seed": seeds[0],
        "epochs": epochs,
        "bits": BITS,
        "common": {
            "a": sides[0].tolist(),
            "b": sides[1].tolist(),
            "losses": store.one(make, {"plane": "common", **key})["losses"].tolist(),
            "places": places,
        },
        "random": {},
        "ways": {},
    }
    for i, (name, model) in enumerate(models.items()):
        part = around(model, BITS, (points + 1) // 2, images, labels, store, {**key, "model": i})
        data["random"][name], data["ways"][name] = part["random"], part["ways"]
    return data


def of_run(
    folder: Path,
    store: ArrayStore,
    points: int = 51,
    bits: int = BITS,
    count: int = 500,
    data: Path | None = None,
) -> dict[str, Any]:
    """The loss around the weights of a run of `psgd-ref train`: a random plane, and the way to its grid.

    Parameters
    ----------
    folder : Path
        Of the run.
    store : ArrayStore
        Where losses are kept.
    points : int
        Along each side of the plane.
    bits : int
        Of the grid.
    count : int
        Of training images, the first.
    data : Path, optional
        Where downloaded data sets live.

    Raises
    ------
    ValueError
        For a folder without a whole checkpoint and for numbers that are not accepted.
    """
    whole_number("bits", bits, 2, 16), whole_number("points", points, 3), whole_number("count", count, 2)
    model, dataset = open_saved(folder, folder=data)
    images, labels = dataset.normalise(dataset.train.images[:count]), dataset.train.labels[:count]
    key = {"run": hashlib.sha256(model.w.tobytes()).hexdigest(), "count": count}
    part = around(model, bits, points, images, labels, store, {**key, "points": points, "bits": bits})
    name = folder.name or str(folder)
    shown = {"random": {name: part["random"]}, "ways": {name: part["ways"]}}
    return {"run": name, "data": dataset.name, "images": len(images), "bits": bits, **shown}


def around(
    model: Model,
    bits: int,
    points: int,
    images: Array,
    labels: Any,
    store: ArrayStore,
    key: dict[str, Any],
) -> dict[str, Any]:
    """A filter-normalised random plane around a model, and the way to its grid in w and in y = F(w).

    Parameters
    ----------
    model : Model
        At the middle of the plane and at the start of the ways.
    bits : int
        Of the min-max grid.
    points : int
        Along each side of the plane.
    images, labels : array
        What the losses are taken on.
    store : ArrayStore
        Where losses are kept.
    key : dict
        What identifies them there.

    Returns
    -------
    dict
        "random": the coordinates "a" and "b" of the plane and its "losses". "ways": the places "way" along
        each line, and the losses of the straight lines in "w" and in "y".
    """
    side = np.linspace(-REACH, REACH, points)
    random = filter_normalised(model, np.random.default_rng(0))
    warp = ModelWarp(model, MinMaxGrid(bits), EPS)
    target = quantize(model, bits).w
    lines = {"w": straight(model.w, target), "y": straight(model.w, target, warp)}

    def make() -> Arrays:
        strips = [Strip(model, line, WAY[:, None], images, labels) for line in lines.values()]
        found = run_all(_losses, strips, store.workers, "ways to the grid")
        plane = _plane(model, random, (side, side), images, labels, store.workers)
        return {"losses": plane, **dict(zip(lines, found, strict=True))}

    arrays = store.one(make, {"plane": "random", **key})
    return {
        "random": {"a": side.tolist(), "b": side.tolist(), "losses": arrays["losses"].tolist()},
        "ways": {"way": WAY.tolist(), **{name: arrays[name].tolist() for name in lines}},
    }


def _plane(
    model: Model,
    where: Slice,
    sides: tuple[Array, Array],
    images: Array,
    labels: Any,
    workers: int | None,
) -> Array:
    """Losses, rows along the second axis: a row a job."""
    strips = [
        Strip(model, where, np.stack([sides[0], np.full_like(sides[0], b)], axis=1), images, labels)
        for b in sides[1]
    ]
    return np.array(run_all(_losses, strips, workers, "landscape"))


def _losses(strip: Strip) -> Array:
    return losses(strip.model, strip.where, strip.points, strip.images, strip.labels, progress=False)


def _around(places: Array, points: int) -> tuple[Array, Array]:
    """Even sides of a square around all places, with a margin."""
    low, high = places.min(axis=0), places.max(axis=0)
    reach = (0.5 + MARGIN) * (high - low).max()
    middle = (low + high) / 2
    first, second = (np.linspace(m - reach, m + reach, points) for m in middle)
    return first, second
