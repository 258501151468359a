"""The published commands, word for word, in a clone without any of the published files."""

import os

import pytest

from tests.clone import OPEN_MODEL, Clone

MISSING = "--use_pb 0 --pretrain_weights X.ckpt"
REPEATED = [pytest.mark.slow, pytest.mark.any_tensorflow]  # other ways into the same refusal
SCRIPTS = ["demo.py"] + [pytest.param(name, marks=REPEATED) for name in ("renderer.py", "obj.py")]


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A clone as it comes from git."""
    return Clone(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A clone after ``make setup``, which builds the open face model."""
    if not os.path.isfile(OPEN_MODEL):
        pytest.skip("the open face model is not built ('make face-model')")
    clone = Clone(tmp_path_factory.mktemp("made"))
    clone.add(OPEN_MODEL, "BFM/open_face_model.mat")
    return clone


@pytest.mark.parametrize("script", SCRIPTS)
def test_reconstruction_as_cloned_names_the_missing_face_model(bare, script):
    sentence = bare.refuse("python {} {}".format(script, MISSING))
    assert sentence.endswith(
        "open_face_model.mat: the open face model is not built yet; run 'make face-model' or "
        "'python -m face_model.open_model'"
    )


def test_training_as_cloned_names_the_missing_face_model(bare):
    assert "run 'make face-model'" in bare.refuse("python train.py")


def test_measuring_as_cloned_names_the_missing_photos(bare):
    sentence = bare.refuse("python nme.py " + MISSING)
    assert sentence.startswith(bare.path("input", "AFLW2000") + ": no such folder; put the photos")


def test_preprocessing_a_missing_folder_names_it(bare):
    sentence = bare.refuse("python preprocess_img.py --img_path P --save_path Q")
    assert sentence == "P does not exist; name a photo or a folder of photos"
    assert "Q" not in bare.files()


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_reconstruction_names_the_missing_checkpoint(made, script):
    sentence = made.refuse("python {} {}".format(script, MISSING))
    assert sentence.startswith("X.ckpt: no such checkpoint")
    assert made.files("output") == {"README.md"}


@pytest.mark.parametrize(
    "flags", ["", pytest.param(" --model gcn --head absolute", marks=REPEATED)]
)
def test_training_names_the_missing_faces(made, flags):
    sentence = made.refuse("python train.py" + flags)
    assert sentence.startswith(made.path("processed_data") + ": no training faces here; run ")


@pytest.mark.slow
@pytest.mark.any_tensorflow
def test_training_names_the_missing_folder(made):
    sentence = made.refuse("python train.py --data_path P --val_data_path Q --model_name ./name")
    assert sentence.startswith("P: cannot be read as a data folder")


@pytest.mark.slow
def test_preprocessing_as_cloned_takes_the_portrait(bare):
    pytest.importorskip("skimage")
    sentence = bare.refuse("python preprocess_img.py")
    assert "open face model is not built yet; run 'make face-model'" in sentence
    if not os.path.isfile(OPEN_MODEL):
        pytest.skip("the open face model is not built")
    bare.add(OPEN_MODEL, "BFM/open_face_model.mat")
    said = bare.run("python preprocess_img.py")
    os.remove(bare.path("BFM", "open_face_model.mat"))
    assert said.startswith("1 photo preprocessed")
    assert {"astronaut.png", "mask", "lm", "lm_bin"} < bare.files("processed_data")
