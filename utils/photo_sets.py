"""Photos of one person each: folders of people, and photos that the user declares as one."""

import os
from typing import List, NamedTuple, Sequence, Tuple

from utils.photos import Photo, distinct_names, find_photos, list_folder

_UNNAMED = "person"  # the person whose photos lie in several places


class PhotoSet(NamedTuple):
    """The photos of one person."""

    name: str  # stem of the person's output files; with a folder in the output, if it has one
    photos: Tuple[Photo, ...]

    @property
    def title(self) -> str:
        """Return the name of the person without the folder, for messages."""
        return os.path.basename(self.name)

    @property
    def folder(self) -> str:
        """Return the folder of the person's files in the output folder; "" for itself."""
        return os.path.dirname(self.name)


def person_stems(name: str) -> Tuple[str, ...]:
    """Return the stems of the files of a person, which the person's photos may not have.

    Args:
        name: name of the person, without a folder.
    """
    return (name, name + "_neutral")


def split_people(paths: Sequence[str]) -> Tuple[List[str], List[PhotoSet]]:
    """Find folders of people: those without photos of their own whose subfolders hold photos.

    The files of a person get a folder of the person's name.

    Args:
        paths: files and folders.

    Returns:
        The paths that are no such folders, and the people, in the order of ``paths``.

    Raises:
        InputError: one of the paths does not exist or cannot be listed.
    """
    others: List[str] = []
    folders: List[str] = []
    for path in paths:
        inside = _folders_with_photos(path) if os.path.isdir(path) else []
        folders += inside
        if not inside:
            others.append(path)
    names = distinct_names(folders, extensions=False)
    return others, [_make_set(name, folder) for name, folder in zip(names, folders)]


def declare_person(paths: Sequence[str], photos: Sequence[Photo]) -> PhotoSet:
    """Return photos as the set of one person, named after the only folder, if they are in one.

    Args:
        paths: files and folders in which the photos were found.
        photos: the photos. One whose name is that of the person is renamed.
    """
    name = _UNNAMED
    if len(paths) == 1 and os.path.isdir(paths[0]):
        (name,) = distinct_names([os.path.abspath(paths[0])], extensions=False)
        name = name or _UNNAMED  # of the root folder
    files = [photo.path for photo in photos]
    return PhotoSet(name, tuple(_name_photos(files, name)))


def _folders_with_photos(path: str) -> List[str]:
    """Return the subfolders of a folder that hold photos, by name; none if it has photos itself."""
    photos, others = list_folder(path)
    if photos:
        return []
    return [folder for folder in others if os.path.isdir(folder) and list_folder(folder)[0]]


def _make_set(name: str, folder: str) -> PhotoSet:
    """Return the set of a person whose photos lie in a folder."""
    photos = _name_photos([photo.path for photo in find_photos(folder)], name)
    return PhotoSet(
        os.path.join(name, name),
        tuple(photo._replace(name=os.path.join(name, photo.name)) for photo in photos),
    )


def _name_photos(files: Sequence[str], person: str) -> List[Photo]:
    names = distinct_names(files, reserved=person_stems(person))
    return [Photo(*pair) for pair in zip(files, names)]
