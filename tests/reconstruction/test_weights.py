"""Which coefficient network is used where nobody says."""

import argparse
import json
import os

import numpy as np
import pytest

from checkpoints.record import BFM09_VERTICES, record_path
from face_model import load_face_model
from face_model.fingerprint import approximate_fingerprint
from reconstruction import arguments as reconstruction_flags
from reconstruction import regressor as regression
from tests.toy_reconstruction import toy_face_model
from utils.errors import InputError
from utils.json_files import write_json
from utils.paths import BFM_DIR


@pytest.fixture
def network(tmp_path, monkeypatch):
    """A stand-in for the network that comes along, for the toy model."""
    path = str(tmp_path / "shipped.pb")
    with open(path, "wb") as file:
        file.write(b"a graph")
    write_json(record_path(path), {"face_model": {"name": "toy", "fingerprint": toy_face_model().fingerprint()}})
    for module in (regression, reconstruction_flags):
        monkeypatch.setattr(module, "SHIPPED_NETWORK", path)
    monkeypatch.setattr(reconstruction_flags, "shipped_network", lambda model: regression.shipped_network(model, path))
    monkeypatch.setattr(reconstruction_flags, "FROZEN_NETWORK", str(tmp_path / "FaceReconModel.pb"))
    return path


def flags(*words):
    parser = argparse.ArgumentParser()
    reconstruction_flags.add_reconstruction_flags(parser)
    return parser.parse_args(list(words))


def test_it_serves_its_face_model_only(network):
    model = toy_face_model()
    assert reconstruction_flags.network_weights(flags(), model) == network
    other = model._replace(mean_shape=model.mean_shape + 1)
    assert reconstruction_flags.network_weights(flags(), other) is None
    with pytest.raises(InputError, match="--method network needs it"):
        reconstruction_flags.network_weights(flags("--method", "network"), other)
    with pytest.raises(InputError, match="was trained for the face model toy"):
        regression.CoefficientRegressor(network, other)


def test_a_face_model_that_differs_by_rounding_is_the_same_one(network):
    model = toy_face_model()
    write_json(record_path(network), {"face_model": {"fingerprint": "of another build", "sketch": approximate_fingerprint(model)}})
    noise = 1 + 1e-5 * np.random.RandomState(0).standard_normal(model.identity_basis.shape)
    rounded = model._replace(identity_basis=np.float32(model.identity_basis * noise))
    assert rounded.fingerprint() != model.fingerprint()
    assert reconstruction_flags.network_weights(flags(), rounded) == network
    turned = model.expression_basis.copy()
    turned[:, 1] *= -1
    assert reconstruction_flags.network_weights(flags(), model._replace(expression_basis=turned)) is None
    swapped = model._replace(identity_basis=np.ascontiguousarray(model.identity_basis[:, ::-1]))
    assert reconstruction_flags.network_weights(flags(), swapped) is None
    write_json(record_path(network), {"face_model": {"fingerprint": "of another build", "sketch": ["nonsense"]}})
    assert reconstruction_flags.network_weights(flags(), model) is None


def test_what_the_user_put_there_comes_first(network):
    model = toy_face_model()
    assert reconstruction_flags.network_weights(flags("--pretrain_weights", "mine.pb"), model) == "mine.pb"
    assert reconstruction_flags.network_weights(flags("--method", "fit"), model) is None
    put(reconstruction_flags.FROZEN_NETWORK, model)
    assert reconstruction_flags.network_weights(flags(), model) == reconstruction_flags.FROZEN_NETWORK


def put(path, model=None):
    """Write a stand-in for a frozen graph; without a model there is no record beside it."""
    with open(path, "wb") as file:
        file.write(b"a graph")
    if model is not None:
        write_json(record_path(path), {"face_model": {"name": model.name, "fingerprint": model.fingerprint()}})


@pytest.fixture
def pipelines(monkeypatch):
    """The arguments of each pipeline that is made: none reads a network here."""
    made = []
    monkeypatch.setattr(reconstruction_flags, "FacePipeline", lambda model, **keywords: made.append(keywords))
    monkeypatch.setattr(reconstruction_flags, "detection_shortfalls", lambda names: [])
    return made


def test_the_published_network_is_for_bfm09_only(network, pipelines, capsys):
    """Its record is missing, and its number of coefficients is that of the open face model."""
    frozen, model = reconstruction_flags.FROZEN_NETWORK, toy_face_model()
    put(frozen)
    bfm09 = model._replace(mean_shape=np.zeros((BFM09_VERTICES, 3), np.float32))
    for here in (bfm09, model):
        reconstruction_flags.make_pipeline(flags(), here)
        said = capsys.readouterr().err
        assert said.count("\n") == (0 if here is bfm09 else 1)
    assert "FaceReconModel.pb: the network of this name is for BFM09" in said and "left aside" in said
    assert [made["weights"] for made in pipelines] == [frozen, network]
    assert [made["method"] for made in pipelines] == ["auto", "both"]
    os.remove(network)
    assert reconstruction_flags.network_weights(flags(), model) is None
    assert reconstruction_flags.network_weights(flags("--method", "both"), bfm09) == frozen
    with pytest.raises(InputError, match="FaceReconModel.pb: is for BFM09, and --method both needs a network for"):
        reconstruction_flags.network_weights(flags("--method", "both"), model)


def test_who_asks_for_steps_has_the_networks_answer_refined(network, pipelines, tmp_path, capsys):
    mine, model = str(tmp_path / "mine.pb"), toy_face_model()
    put(mine, model)
    for words, method in (((), "auto"), (("--steps", "0"), "auto"), (("--steps", "7"), "both"),
                          (("--steps", "7", "--method", "fit"), "fit")):
        reconstruction_flags.make_pipeline(flags("--pretrain_weights", mine, *words), model)
        assert pipelines[-1]["method"] == method and capsys.readouterr().err == ""
    put(reconstruction_flags.FROZEN_NETWORK, model)
    reconstruction_flags.make_pipeline(flags("--steps", "7"), model)
    assert pipelines[-1]["method"] == "both" and pipelines[-1]["weights"] == reconstruction_flags.FROZEN_NETWORK
    reconstruction_flags.make_pipeline(flags("--steps", "7", "--method", "network"), model)
    assert "--steps 7: not used, --method network does not fit" in capsys.readouterr().err


def test_a_named_network_without_record_is_used_and_doubted(network, pipelines, tmp_path, capsys):
    mine, model = str(tmp_path / "mine.pb"), toy_face_model()
    for recorded in (None, model):
        put(mine, recorded)
        reconstruction_flags.make_pipeline(flags("--pretrain_weights", mine), model)
        said = capsys.readouterr().err
        assert ("mine.pb: no record beside it says which face model" in said) == (recorded is None)
        assert said.count("\n") == (recorded is None)
    reconstruction_flags.make_pipeline(flags("--pretrain_weights", "nowhere.pb"), model)
    assert capsys.readouterr().err == "" and [made["weights"] for made in pipelines] == [mine, mine, "nowhere.pb"]


def test_without_it_faces_are_fitted(network):
    os.remove(network)
    assert reconstruction_flags.network_weights(flags(), toy_face_model()) is None
    with pytest.raises(InputError, match="missing, and --method both needs it"):
        reconstruction_flags.network_weights(flags("--method", "both"))


@pytest.mark.skipif(not os.path.isfile(regression.SHIPPED_NETWORK), reason="no network in network/")
@pytest.mark.skipif(not os.path.isfile(os.path.join(BFM_DIR, "open_face_model.mat")),
                    reason="the open face model is not built ('make face-model')")
def test_the_network_that_comes_along_is_the_open_models():
    assert regression.shipped_network(load_face_model("open")) == regression.SHIPPED_NETWORK
    assert os.path.getsize(regression.SHIPPED_NETWORK) < 60e6


def test_its_record_names_no_folder_of_any_machine():
    with open(regression.SHIPPED_NETWORK + ".json") as file:
        options = json.load(file)["options"]
    assert options["image_size"] == 112
    assert not [value for value in options.values() if isinstance(value, str) and os.path.isabs(value)]
