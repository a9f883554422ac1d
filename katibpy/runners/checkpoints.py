"""Checkpoint directories of trials: where they are, and how one begins as a copy of another.

Each trial whose `spec.checkpointPath` says where it sees one has a directory
`<root>/<uid of the Experiment>/<name>-<digest of its uid>`. It stays when the trial has ended, so that others
can begin with a copy of it, until the trial or its Experiment is deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from katibpy.api.lineage import parent_of
from katibpy.api.trial import Trial
from katibpy.runners.graveyard import Graveyard

_DIGEST_LENGTH = 10
_DRAFT_SUFFIX = ".copied"
_OWN_MODE = 0o700
_SHARED_DIRECTORY = 0o777
_SHARED_FILE = 0o666


class CopyStopped(Exception):
    """The trial was stopped while its directory was being copied; nothing of it is left."""


def file_name_of(trial: Trial) -> str:
    """What is called after a trial: its name, and a digest of its uid, so that namesakes are told apart."""
    return _file_name(trial.metadata.name, trial.metadata.uid or "")


@lru_cache(maxsize=256)
def _file_name(trial_name: str, trial_uid: str) -> str:
    # Asked for at every step of a trial's run.
    digest = hashlib.sha256(trial_uid.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{quote(trial_name, safe='')}-{digest}"


def checkpoint_directory(trial: Trial, root: Path) -> Path:
    """Where the checkpoint directory of a trial is below a root, or would be."""
    owners = trial.metadata.owner_references
    uid = next((owner.uid for owner in owners if owner.kind == "Experiment"), "")
    return _experiment_directory(root, uid) / file_name_of(trial)


def _experiment_directory(root: Path, uid: str) -> Path:
    return root / (quote(uid, safe="").replace(".", "%2E") or "none")


class Checkpoints:
    """The checkpoint directories below one root. Holds no state: whoever asks looks at the disk."""

    def __init__(self, root: Path, graveyard: Graveyard) -> None:
        """Takes the root, which need not exist, and where directories go that are not wanted any more."""
        self._root = root
        self._graveyard = graveyard
        graveyard.sweep(root)

    def directory_of(self, trial: Trial) -> Path | None:
        """Where the trial has its checkpoints; None when it is to have none."""
        return checkpoint_directory(trial, self._root) if trial.spec.checkpoint_path else None

    def begin(self, trial: Trial, *, is_over: Callable[[], bool]) -> str:
        """Makes the directory as the trial is to find it when it starts anew.

        What a start that came to nothing left there is removed. A copy of the parent's is made beside and put
        in its place when it is whole.

        Args:
            trial: which has not been started.
            is_over: tells when nobody wants the copy any more.

        Returns:
            Why it is empty although the trial has a parent; else "".

        Raises:
            CopyStopped: as `is_over` said.
            OSError: the directory cannot be made, or the parent's not be copied.
        """
        place = self.directory_of(trial)
        if place is None:
            return ""
        for directory in (self._root, place.parent):
            directory.mkdir(mode=_OWN_MODE, exist_ok=True)
        draft = place.with_name(f".{place.name}{_DRAFT_SUFFIX}")
        for left in (draft, place):
            if os.path.lexists(left):
                self._graveyard.bury(left, into=self._root)
        parent_name = parent_of(trial.metadata.labels)
        parent = self._find(place, parent_name) if parent_name else None
        if parent is None:
            place.mkdir(mode=_OWN_MODE)
        else:
            try:
                _copy_tree(parent, draft, retarget=(parent, place), is_over=is_over)
            except BaseException:
                self._graveyard.bury(draft, into=self._root)
                raise
            os.replace(draft, place)
        if not parent_name or (parent is not None and any(parent.iterdir())):
            return ""
        return f"trial {parent_name} left no checkpoints, so this one begins with an empty directory"

    def discard(self, trial: Trial) -> bool:
        """Removes a trial's directory; False when it had none."""
        place = checkpoint_directory(trial, self._root)
        if not place.is_dir() or not self._graveyard.bury(place, into=self._root):
            return False
        with contextlib.suppress(OSError):  # others of the Experiment have theirs there
            place.parent.rmdir()
        return True

    def names_of(self, experiment_uid: str) -> tuple[str, ...]:
        """File names of the trials of an Experiment that have a directory."""
        try:
            found = sorted(
                entry.name for entry in os.scandir(_experiment_directory(self._root, experiment_uid))
            )
        except OSError:
            return ()
        return tuple(name for name in found if not name.startswith("."))

    def _find(self, place: Path, name: str) -> Path | None:
        """The directory of another trial of the Experiment; of namesakes the last that was written to."""
        wanted = quote(name, safe="")
        try:
            entries = list(os.scandir(place.parent))
        except OSError:
            return None
        found = [
            entry
            for entry in entries
            if entry.name[: -_DIGEST_LENGTH - 1] == wanted
            and entry.name != place.name
            and entry.is_dir(follow_symlinks=False)
        ]
        return Path(max(found, key=lambda entry: entry.stat().st_mtime)) if found else None


def open_to_all(directory: Path) -> None:
    """Lets every user write there: a container may run as any, and none but the trial gets that far."""
    for parent, _, files in os.walk(directory):
        _add_mode(parent, _SHARED_DIRECTORY)
        for name in files:
            _add_mode(os.path.join(parent, name), _SHARED_FILE)


def _add_mode(path: str, wanted: int) -> None:
    # What belongs to the user of an earlier container stays as he made it.
    with contextlib.suppress(OSError):
        mode = os.lstat(path).st_mode
        if not stat.S_ISLNK(mode) and mode & wanted != wanted:
            os.chmod(path, stat.S_IMODE(mode) | wanted)


def _copy_tree(
    source: Path, target: Path, *, retarget: tuple[Path, Path], is_over: Callable[[], bool]
) -> None:
    """Copies directories, files and links as such; what is none of these (a socket, say) is left out."""
    if is_over():
        raise CopyStopped
    target.mkdir(mode=_OWN_MODE)
    with os.scandir(source) as found:
        entries = list(found)
    for entry in entries:
        path, copy = Path(entry.path), target / entry.name
        if entry.is_symlink():
            os.symlink(_link_text(path, retarget), copy)
        elif entry.is_dir(follow_symlinks=False):
            _copy_tree(path, copy, retarget=retarget, is_over=is_over)
        elif entry.is_file(follow_symlinks=False):
            if is_over():
                raise CopyStopped
            shutil.copy2(path, copy, follow_symlinks=False)
    os.chmod(target, stat.S_IMODE(os.lstat(source).st_mode) | _OWN_MODE)
    times = os.lstat(source)
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def _link_text(path: Path, retarget: tuple[Path, Path]) -> str:
    """What a link says in the copy: one into the old directory points into the new one."""
    old, new = retarget
    text = os.readlink(path)
    inside = Path(text)
    return str(new / inside.relative_to(old)) if inside.is_relative_to(old) else text
