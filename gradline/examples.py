"""The files that the documents read, so that their code runs in any folder.

    write_examples("docs")      docs/penguins.csv, ..., and the folder docs/images

They are part of the package (lab/data), and the lab shows most of them.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

from gradline.errors import FileError
from gradline.files import replacing, said

#: Without their endings, in the order in which a reader meets them.
NAMES = ("penguins", "engel", "flights", "rents")


def packaged(name: str) -> Any:
    """A file of the package: penguins, engel, flights or rents."""
    return resources.files("gradline.lab").joinpath("data", f"{name}.csv")


def write_examples(folder: str | os.PathLike[str]) -> list[Path]:
    """Write the files that the documents read, and the folder of their pictures.

    Args:
        folder: where; it is made if it is not there.

    Returns:
        The files, also those that were there already, with the same content.

    Raises:
        FileError: a file of that name holds something else, or cannot be written;
            then none is.
    """
    where = Path(folder)
    wanted = {where / f"{n}.csv": packaged(n).read_bytes() for n in NAMES}
    elsewhere = "run it in another folder, or name one, such as --examples examples"
    try:
        (where / "images").mkdir(parents=True, exist_ok=True)
        missing = [path for path in wanted if not path.exists()]
        for path, text in wanted.items():
            if path not in missing and path.read_bytes() != text:
                raise FileError(
                    f"{str(path)!r} is there and holds something else: {elsewhere}"
                )
    except FileError:
        raise
    except OSError as error:
        raise FileError(
            f"cannot write into {str(where)!r}: {said(error)}; {elsewhere}"
        ) from error
    for path in missing:
        with replacing(path) as temporary:
            temporary.write_bytes(wanted[path])
    return list(wanted)
