"""Files: the one to read, checked first; the one to write, whole or not at all.

Every fault of a file becomes a FileError of one sentence here, whichever library met
it: what was given, what was needed, what to type next.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gradline.errors import FileError, GradlineError, UsageError, closest

#: No option is named: the same is said in Python.
_ELSEWHERE = "name another place"

#: What a system error means to the person who reads, and what to do about it.
_NOT_READ = {
    errno.EACCES: "permission denied; ask for the right to read it, or for a copy",
    errno.EPERM: "permission denied; ask for the right to read it, or for a copy",
    errno.EIO: "the disk failed; copy the file elsewhere and try again",
    errno.ELOOP: "its links lead in a circle; name the file itself",
    errno.ENAMETOOLONG: "no file has so long a name; check it",
    errno.EMFILE: "too many files are open; close some and try again",
}

#: The same for the person who writes.
_NOT_WRITTEN = {
    errno.ENOSPC: f"no space left on the device; free some or {_ELSEWHERE}",
    errno.EDQUOT: f"your disk quota is used up; free some or {_ELSEWHERE}",
    errno.EACCES: f"permission denied; {_ELSEWHERE}",
    errno.EPERM: f"permission denied; {_ELSEWHERE}",
    errno.EROFS: f"the file system is read-only; {_ELSEWHERE}",
    errno.ENAMETOOLONG: "the name is too long; give a shorter one",
    errno.ELOOP: f"its links lead in a circle; {_ELSEWHERE}",
    errno.EFBIG: f"the file grew too large for this file system; {_ELSEWHERE}",
}


class InputFile:
    """A file to read, perhaps several times: there, readable and not empty.

    Attributes:
        path: where it is.
        name: what messages call it, its name without folders unless given.
        magic: its first eight bytes, by which formats know themselves.

    Raises:
        FileError: it is missing (a near name is suggested), a folder, a pipe, a link
            to nothing, not allowed to be read, or empty.
    """

    def __init__(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        self.path = Path(path)
        self.name = name or one_line(self.path.name)
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", os.fspath(path)):
            raise FileError(
                f"{os.fspath(path)!r} is an address: download the file first, then "
                "give its path"
            )
        try:
            if not self.path.exists():  # a file may be called ~x
                with suppress(RuntimeError):
                    self.path = self.path.expanduser()
            self._stamp = self._looked_at()
            with self.path.open("rb") as opened:
                self.magic = opened.read(8)
        except GradlineError:
            raise
        except (OSError, ValueError, RuntimeError) as error:
            raise self._not_there(error) from error
        if not self.magic:
            raise FileError(
                f"{self.name} is empty: it needs column names and at least one row"
            )

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A block that reads the file: what goes wrong in it becomes a FileError.

        Two passes over different data would give an answer to neither, so a file
        that has changed since it was first looked at is refused.
        """
        try:
            if self._looked_at() != self._stamp:
                raise FileError(
                    f"{self.name} changed while gradline was reading it: run again "
                    "once nothing writes to it"
                )
            yield
        except GradlineError:
            raise
        except OSError as error:
            raise self._not_there(error) from error
        except Exception as error:
            if not _about_content(error):
                raise
            raise self._unreadable(error) from error

    def _looked_at(self) -> tuple[int, int, int]:
        """Which file this is and when it was written, if it is a plain file."""
        status = self.path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise FileError(f"{str(self.path)!r} is a folder: name one file in it")
        if not stat.S_ISREG(status.st_mode):
            raise FileError(
                f"{str(self.path)!r} is a pipe or a device, and gradline may read data "
                "more than once: save them to a file first"
            )
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _not_there(self, error: Exception) -> FileError:
        """The error for a path that cannot be opened at all."""
        if isinstance(error, NotADirectoryError):
            return FileError(
                f"there is no file {str(self.path)!r}: a part of the path before the "
                "last is itself a file; check the path"
            )
        if not isinstance(error, FileNotFoundError):
            return self._unreadable(error)
        if self.path.is_symlink():
            goal = str(self.path.readlink())
            return FileError(
                f"cannot read {self.name}: it is a link to {goal!r}, which is not "
                "there; name the file itself"
            )
        folder = self.path.parent
        if not folder.is_dir():
            return FileError(
                f"there is no folder {str(folder)!r}, so no file "
                f"{str(self.path)!r}: check the path"
            )
        near = None
        with suppress(OSError):
            # Two names are not alike for ending in .jsonl both.
            files = [f for f in folder.iterdir() if closest(self.path.stem, [f.stem])]
            near = closest(self.name, (f.name for f in files))
        hint = f"did you mean {str(folder / near)!r}?" if near else "check the path"
        return FileError(f"there is no file {str(self.path)!r}: {hint}")

    def _unreadable(self, error: Exception) -> FileError:
        number = error.errno if isinstance(error, OSError) else None
        reason = _NOT_READ.get(number or 0)
        if reason is None:
            reason = f"{said(error)}; give a whole file of the kind its name says"
        return FileError(f"cannot read {self.name}: {reason}")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary file that takes the place of `path` when the block ends well.

        with replacing("model.safetensors") as temporary:
            save_file(tensors, temporary)

    The temporary file lies in the same folder, exists and is empty when the block
    begins, and keeps the suffix, for libraries that go by it. When the block ends it
    is flushed to the disk and renamed, in one step: a reader never sees half a file.
    When the block raises anything, KeyboardInterrupt included, it is removed and what
    was at `path` stays. A link is followed; a device such as /dev/null is written to,
    not replaced.

    Raises:
        FileError: for every OSError, inside the block too: no such folder, a folder
            in the way, no permission, no space. Errors of gradline's own pass.
    """
    path = Path(path)
    target = _place(path)
    special = target.exists() and not target.is_file()
    folder = Path(tempfile.gettempdir()) if special else target.parent
    suffix = "".join(path.suffixes[-2:])[-24:]
    temporary = folder / f".gradline-{secrets.token_hex(6)}{suffix}"
    try:
        # Made here and now: a folder that forbids it is found out before the work.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        if special:
            with temporary.open("rb") as done, target.open("wb") as device:
                shutil.copyfileobj(done, device)
        else:
            if target.exists():
                shutil.copymode(target, temporary)
            _flush(temporary)
            temporary.replace(target)
            with suppress(OSError):  # the file is in place; this is for a power cut
                _flush(target.parent)
    except GradlineError:
        raise
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_place(path: str | os.PathLike[str]) -> None:
    """Refuse a place where no file can be written, before any work is done.

    Raises:
        FileError: there is no such folder, or a folder is in the way.
    """
    _place(Path(path))


#: Files of other kinds: a model under such a name would be taken for one of them.
_OTHER_KINDS = (
    *(".csv", ".tsv", ".txt", ".gz", ".parquet", ".arrow", ".feather", ".npy", ".npz"),
    *(".xlsx", ".json", ".jsonl", ".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt"),
    *(".h5", ".onnx", ".py", ".sql", ".html", ".htm", ".png", ".svg", ".pdf"),
)


def check_model_name(path: str | Path) -> None:
    """Refuse a name under which a model would be taken for something else.

    Raises:
        UsageError: it ends in what is known as another kind of file.
    """
    if Path(path).suffix.lower() in _OTHER_KINDS:
        better = Path(path).with_suffix(".safetensors").name
        raise UsageError(
            f"a model is a safetensors file, and {str(path)!r} is the name of another "
            f"kind: call it {better!r}"
        )


def cannot_write(path: str | Path, error: Exception) -> FileError:
    """The one-sentence error for a file that could not be written."""
    number = error.errno if isinstance(error, OSError) else None
    reason = _NOT_WRITTEN.get(number or 0, f"{said(error)}; {_ELSEWHERE}")
    return FileError(f"cannot write {one_line(str(path))}: {reason}")


def one_line(name: str) -> str:
    """A name for a message: as it is, or quoted where it holds a line break."""
    return name if name.isprintable() else repr(name)


def said(error: Exception) -> str:
    """What a library or the system said, cut to a clause that fits a message."""
    text = error.strerror if isinstance(error, OSError) else None
    first = (text or str(error) or type(error).__name__).strip().splitlines()[0]
    first = re.split(r"(?:\. |; | Detail: )", first)[0].rstrip(".:")
    first = first if len(first) <= 100 else f"{first[:97]}..."
    # "No such file" reads on from "cannot write x: "; "HTTP" and "Arrow" stay.
    return first[:1].lower() + first[1:] if first[1:2].islower() else first


def _about_content(error: Exception) -> bool:
    """Whether an error says that a file's content is at fault, not the program."""
    raised_by = {c.__module__.split(".")[0] for c in type(error).__mro__}
    return "pyarrow" in raised_by or isinstance(
        error, EOFError | zlib.error | UnicodeError | MemoryError
    )


def _place(path: Path) -> Path:
    """Where a file will really lie; refused before any work if it cannot."""
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise FileError(
                f"cannot write {path}: it is a folder; add a file name to it"
            )
        if not target.parent.is_dir():
            raise FileError(
                f"cannot write {path}: there is no folder {str(path.parent)!r}; "
                f"make it first or {_ELSEWHERE}"
            )
    except GradlineError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise cannot_write(path, error) from error
    return target


def _flush(path: Path) -> None:
    """Have the system write a file, or a folder's entries, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
