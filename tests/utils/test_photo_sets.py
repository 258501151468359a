"""Folders of people, and photos that are declared as one person's."""

import os

import pytest

from utils.errors import InputError
from utils.lock import output_folder
from utils.photo_sets import declare_person, split_people
from utils.photos import find_photos


@pytest.fixture
def people(tmp_path):
    for name in ("anna/1.jpg", "anna/2.png", "anna/anna.jpg", "bert/1.jpg", "empty/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"photo")
    return tmp_path


def test_a_folder_of_folders_is_one_person_a_folder(people, capsys):
    others, (anna, bert) = split_people([str(people)])
    assert others == [] and (anna.title, bert.title) == ("anna", "bert")
    assert anna.folder == "anna" and anna.name == os.path.join("anna", "anna")
    # the photo of her name is not called as the files of the person
    assert [photo.name for photo in anna.photos] == ["anna/1", "anna/2", "anna/anna_jpg"]
    assert [photo.name for photo in bert.photos] == ["bert/1"]
    assert capsys.readouterr().err == ""  # nothing is left out


def test_a_folder_with_photos_of_its_own_holds_no_people(people):
    (people / "me.jpg").write_bytes(b"photo")
    single = str(people / "bert" / "1.jpg")
    assert split_people([str(people), single]) == ([str(people), single], [])


def test_equal_names_of_people_are_told_apart(tmp_path):
    for name in ("x/anna/1.jpg", "y/anna/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"photo")
    _, sets = split_people([str(tmp_path / "x"), str(tmp_path / "y")])
    assert [one.folder for one in sets] == ["anna", "anna_2"]


def test_a_missing_path_is_an_error(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        paths, _ = split_people([str(tmp_path / "none")])
        find_photos(paths)


def test_declared_photos_get_the_name_of_their_folder_or_none(people):
    folder = str(people / "anna")
    person = declare_person([folder], find_photos(folder))
    assert (person.name, person.folder) == ("anna", "")
    assert [photo.name for photo in person.photos] == ["1", "2", "anna_jpg"]
    files = [str(people / "anna" / "1.jpg"), str(people / "bert" / "1.jpg")]
    assert declare_person(files, find_photos(files)).name == "person"


def test_results_never_replace_photos_of_people(people):
    _, sets = split_people([str(people)])
    photos = [photo for one in sets for photo in one.photos]
    with pytest.raises(InputError, match="lies in the output folder"):
        with output_folder(str(people), [one.folder for one in sets], photos):
            pass
