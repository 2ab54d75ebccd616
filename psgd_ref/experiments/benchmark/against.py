"""Another build of this package, in an environment of its own: its code with this version's timing over it.

A build is a wheel or a checkout. Its package is copied into a folder, which a process finds first, and the
files that time it are those of this version, so that both builds are measured alike. It has a kernel cache of
its own. Other packages are those of this environment.
"""

import shutil
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
NAME = HERE.parents[1].name
# What is laid over the build: the timing, and the cases that any build can do.
TIMING = ("worker.py", "build.py")


def prepare(build: Path, folder: Path) -> dict[str, str]:
    """Copy the build into `folder`, where a process can run it.

    Parameters
    ----------
    build : Path
        A wheel, a checkout, or a folder that holds the package.
    folder : Path
        An empty folder.

    Returns
    -------
    dict of str
        The environment variables of a process that runs the build there.

    Raises
    ------
    ValueError
        If there is no such build.
    """
    if build.is_dir() and (build / NAME / "__init__.py").exists():
        shutil.copytree(build / NAME, folder / NAME, ignore=shutil.ignore_patterns("__pycache__"))
    elif build.suffix == ".whl" and zipfile.is_zipfile(build):
        with zipfile.ZipFile(build) as wheel:
            wheel.extractall(folder)
    if not (folder / NAME / "__init__.py").exists():
        raise ValueError(f"a build must be a wheel or a checkout of {NAME}; got {str(build)!r}")
    place = folder / NAME / HERE.parent.name / HERE.name
    place.mkdir(parents=True, exist_ok=True)
    for name in TIMING:
        shutil.copy(HERE / name, place / name)
    (place / "__init__.py").touch()
    return {"PYTHONPATH": str(folder), "PSGD_REF_CACHE": str(folder / "cache")}
