"""`psgd-ref reproduce`: the paper's figures, and those its reviewers asked for, run again."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psgd_ref.commands.data import add_folder
from psgd_ref.commands.numbers import count, seed, whole

if TYPE_CHECKING:
    from psgd_ref.experiments.store.arrays import ArrayStore

NAMES = ("fig1", "fig2", "fig3", "fig4", "landscape", "clustering", "all")
TABLES = TABLE, *BRANCHES = "table-cifar10", "table-cifar16", "table-resnet20"


def add(commands: Any) -> None:
    """Declare the command."""
    reproduce = commands.add_parser(
        "reproduce",
        help="the paper's figures on the digits, with numbers and captions",
        description="Runs what the figures need, unless the same was run before, and writes pictures (PNG, "
        "SVG), numbers (JSON) and captions, in minutes. table-cifar10 takes hours: the epochs of all its "
        "runs times the seconds of an epoch, over the number of cores. By default that is some 250 epochs of "
        "ResNet-20 (2 seeds; 30 epochs to a model, of which the first half is shared); at about three "
        "minutes for an epoch on one core of an AMD EPYC (Zen 3), six hours on two. It first times a step "
        "and prints its estimate for this computer; killed and called again it resumes. table-cifar16, with "
        "images of half the size, 5 seeds and every method, whose options are chosen on validation images, "
        "takes some two core hours and resumes likewise; table-resnet20, its main rows at full size, 2 "
        "seeds and the options chosen at half of it, takes six.",
    )
    reproduce.add_argument("figures", nargs="+", metavar="FIGURE", help=", ".join((*NAMES, *TABLES)))
    reproduce.add_argument(
        "--out", type=Path, default=Path("out/figures"), help="folder (default: %(default)s)"
    )
    reproduce.add_argument(
        "--seeds", type=count, default=None, help=f"runs of each (default: 5, {TABLE} and {BRANCHES[1]} 2)"
    )
    reproduce.add_argument("--seed", type=seed, default=0, help="the first run's seed (default: %(default)s)")
    reproduce.add_argument(
        "--epochs", type=count, default=None, help="of each run (default: the demonstration's, the table 30)"
    )
    reproduce.add_argument(
        "--points", type=count, default=51, help="of the landscape, along each side (default: %(default)s)"
    )
    reproduce.add_argument(
        "--run", dest="folder", type=Path, metavar="RUN", help="landscape of a folder of `psgd-ref train`"
    )
    reproduce.add_argument(
        "--bits", type=whole, default=3, help="of the grid, with --run, 2 … 16 (default: %(default)s)"
    )
    reproduce.add_argument(
        "--images", type=count, default=500, help="training images, with --run (default: %(default)s)"
    )
    reproduce.add_argument(
        "--model", default="resnet20", help="of the table, or resnet32 (default: %(default)s)"
    )
    reproduce.add_argument(
        "--ablation", action="store_true", help="the table also with one change each to PSGD"
    )
    reproduce.add_argument(
        "--status", action="store_true", help="only say what there is of the table; it may be running"
    )
    add_folder(reproduce)
    reproduce.add_argument(
        "--cache",
        type=Path,
        default=None,
        metavar="FOLDER",
        help="where results are kept (default: the user's cache)",
    )
    reproduce.add_argument(
        "--workers", type=count, default=None, help="processes (default: one for each core)"
    )
    reproduce.add_argument("--json", action="store_true", help="print the paths as an object")
    reproduce.set_defaults(run=_reproduce)


def _reproduce(options: argparse.Namespace) -> int:
    from psgd_ref.experiments.reproduction.gallery import Settings, reproduce, reproduce_run
    from psgd_ref.experiments.store.arrays import ArrayStore, default_folder

    if options.points < 3:
        raise ValueError(f"--points must be a whole number >= 3; got {options.points}")
    for table in TABLES:
        if table in options.figures and len(options.figures) > 1:
            raise ValueError(f"{table} is reproduced alone; got {' '.join(options.figures)}")
    if options.figures == [TABLE]:
        return _table(options)
    if options.status:
        raise ValueError(f"--status goes with {TABLE} alone; got {' '.join(options.figures)}")
    # A folder that cannot be made is found out before minutes of work, not after.
    options.out.mkdir(parents=True, exist_ok=True)
    store = ArrayStore(options.cache or default_folder(), options.workers)
    if options.figures[0] in BRANCHES:
        return _branches(options, store)
    if options.folder is not None:
        if options.figures != ["landscape"]:
            raise ValueError(f"--run goes with landscape alone; got {' '.join(options.figures)}")
        paths = reproduce_run(
            options.folder, store, options.out, options.points, options.bits, options.images, options.data_dir
        )
    else:
        seeds = tuple(range(options.seed, options.seed + (options.seeds or 5)))
        settings = Settings(seeds, options.epochs or Settings.epochs, options.points)
        paths = reproduce(options.figures, settings, store, options.out)
    if options.json:
        print(json.dumps({name: str(path) for name, path in paths.items()}))
    else:
        print("\n".join(f"{name}: {path}" for name, path in paths.items()))
    return 0


def _branches(options: argparse.Namespace, store: "ArrayStore") -> int:
    from psgd_ref.data import check, fetch
    from psgd_ref.experiments.reproduction.branches.files import save
    from psgd_ref.experiments.reproduction.branches.sizes import SIZES
    from psgd_ref.experiments.reproduction.branches.study import run
    from psgd_ref.experiments.reproduction.branches.text import text

    (name,) = options.figures
    size = SIZES[name.removeprefix("table-")]
    number = options.seeds or size.seeds
    if number < 2:
        raise ValueError(f"{name} compares over seeds, at least 2; got --seeds {number}")
    fetch("cifar10", options.data_dir)
    seeds = tuple(range(options.seed, options.seed + number))
    result = run(size, seeds, store, options.data_dir)
    words = text(result, not check("cifar10", options.data_dir).own)
    paths = save(result, options.out / size.name, words)
    if options.json:
        print(json.dumps(result.as_json(), ensure_ascii=False))
    else:
        print(words)
        print("\n".join(f"{name}: {path}" for name, path in paths.items()), file=sys.stderr)
    return 0


def _table(options: argparse.Namespace) -> int:
    from psgd_ref.data import check, fetch
    from psgd_ref.experiments.reproduction.cifar10.recipe import Recipe
    from psgd_ref.experiments.reproduction.cifar10.table import estimate, run, save, so_far
    from psgd_ref.experiments.reproduction.cifar10.text import text
    from psgd_ref.experiments.shared.workers import cores
    from psgd_ref.experiments.sweeps.engines import engine

    seeds = tuple(range(options.seed, options.seed + (options.seeds or 2)))
    recipe = Recipe(options.model, options.epochs or Recipe.epochs, seeds, options.ablation)
    folder = options.out / f"cifar10-{recipe.model}-{recipe.epochs}"
    if options.status:
        result = so_far(recipe, folder)
    else:
        fetch("cifar10", options.data_dir)
        hours = estimate(recipe, options.workers or cores())
        print(f"about {hours:.1f} hours if nothing is there yet", file=sys.stderr)
        result = run(recipe, folder, engine(None, options.workers), options.data_dir)
    words = text(result, not check("cifar10", options.data_dir).own)
    if not options.status:
        save(result, folder, words)
    print(json.dumps(result.as_json(), indent=1, ensure_ascii=False) if options.json else words)
    return 1 if result.problems and not options.status else 0
