"""The choice of networks: by flags, by the files present, and by the face model."""

import argparse
import json
import os

import numpy as np
import pytest

from checkpoints.record import BFM09_VERTICES, record_path
from face_model import load_face_model
from face_model.fingerprint import approximate_fingerprint
from reconstruction import arguments as reconstruction_arguments
from reconstruction import network_choice
from reconstruction.regressor import CoefficientRegressor
from tests.toy_reconstruction import toy_face_model
from utils.errors import InputError
from utils.json_files import write_json
from utils.paths import BFM_DIR


@pytest.fixture
def network(tmp_path, monkeypatch):
    """A stand-in for the shipped network, for the toy model."""
    path = str(tmp_path / "shipped.pb")
    with open(path, "wb") as file:
        file.write(b"a graph")
    write_json(
        record_path(path),
        {"face_model": {"name": "toy", "fingerprint": toy_face_model().fingerprint()}},
    )
    monkeypatch.setattr(network_choice, "SHIPPED_NETWORK", path)
    monkeypatch.setattr(network_choice, "PUBLISHED_NETWORK", str(tmp_path / "FaceReconModel.pb"))
    return path


def flags(*words):
    parser = argparse.ArgumentParser()
    reconstruction_arguments.add_reconstruction_flags(parser)
    return parser.parse_args(list(words))


def choose(model, *words):
    return network_choice.choose_networks(network_choice.read_network_request(flags(*words)), model)


def test_the_shipped_network_serves_its_face_model_only(network):
    model = toy_face_model()
    assert choose(model).weights == network and choose(model).source == "shipped"
    other = model._replace(mean_shape=model.mean_shape + 1)
    assert choose(other).weights is None and choose(other).method == "fit"
    with pytest.raises(InputError, match="--method network needs it"):
        choose(other, "--method", "network")
    with pytest.raises(InputError, match="was trained for the face model toy"):
        CoefficientRegressor(network, other)


def test_a_face_model_that_differs_by_rounding_is_the_same_one(network):
    model = toy_face_model()
    record = {"fingerprint": "of another build", "sketch": approximate_fingerprint(model)}
    write_json(record_path(network), {"face_model": record})
    noise = 1 + 1e-5 * np.random.RandomState(0).standard_normal(model.identity_basis.shape)
    rounded = model._replace(identity_basis=np.float32(model.identity_basis * noise))
    assert rounded.fingerprint() != model.fingerprint()
    assert choose(rounded).weights == network
    turned = model.expression_basis.copy()
    turned[:, 1] *= -1
    assert choose(model._replace(expression_basis=turned)).weights is None
    swapped = np.ascontiguousarray(model.identity_basis[:, ::-1])
    assert choose(model._replace(identity_basis=swapped)).weights is None
    write_json(record_path(network), {"face_model": dict(record, sketch=["nonsense"])})
    assert choose(model).weights is None


def test_networks_of_the_user_come_first(network):
    model = toy_face_model()
    named = choose(model, "--pretrain_weights", "mine.pb")
    assert (named.weights, named.source) == ("mine.pb", "named")
    assert choose(model, "--method", "fit").weights is None
    put(network_choice.PUBLISHED_NETWORK, model)
    published = choose(model)
    assert (published.weights, published.source) == (network_choice.PUBLISHED_NETWORK, "published")


def put(path, model=None):
    """Write a stand-in for a frozen graph, with a record beside it if a model is given."""
    with open(path, "wb") as file:
        file.write(b"a graph")
    if model is not None:
        record = {"face_model": {"name": model.name, "fingerprint": model.fingerprint()}}
        write_json(record_path(path), record)


@pytest.fixture
def choices(monkeypatch):
    """The ``NetworkChoice`` of each pipeline that is made; no pipeline reads a network here."""
    made = []
    monkeypatch.setattr(
        reconstruction_arguments,
        "FacePipeline",
        lambda model, network, **keywords: made.append(network),
    )
    return made


def make_pipeline(model, *words):
    arguments = flags(*words)
    reconstruction_arguments.make_pipeline(
        arguments, network_choice.read_network_request(arguments), model
    )


def test_the_published_network_is_for_bfm09_only(network, choices, capsys):
    """Its record is missing, and its number of coefficients is that of the open face model."""
    published, model = network_choice.PUBLISHED_NETWORK, toy_face_model()
    put(published)
    bfm09 = model._replace(mean_shape=np.zeros((BFM09_VERTICES, 3), np.float32))
    for here in (bfm09, model):
        make_pipeline(here)
        said = capsys.readouterr().err
        assert said.count("\n") == (0 if here is bfm09 else 1)
    assert "FaceReconModel.pb: the network of this name is for BFM09" in said
    assert "it is not used" in said
    assert [made.weights for made in choices] == [published, network]
    assert [made.method for made in choices] == ["network", "both"]
    os.remove(network)
    assert choose(model).weights is None
    assert choose(bfm09, "--method", "both").weights == published
    with pytest.raises(
        InputError, match="FaceReconModel.pb: is for BFM09, and --method both needs a network for"
    ):
        choose(model, "--method", "both")


def test_steps_have_the_prediction_of_a_network_refined(network, choices, tmp_path, capsys):
    mine, model = str(tmp_path / "mine.pb"), toy_face_model()
    put(mine, model)
    for words, method in (
        ((), "network"),
        (("--steps", "0"), "network"),
        (("--steps", "7"), "both"),
        (("--steps", "7", "--method", "fit"), "fit"),
    ):
        make_pipeline(model, "--pretrain_weights", mine, *words)
        assert choices[-1].method == method and capsys.readouterr().err == ""
    put(network_choice.PUBLISHED_NETWORK, model)
    make_pipeline(model, "--steps", "7")
    assert choices[-1].method == "both" and choices[-1].weights == network_choice.PUBLISHED_NETWORK
    make_pipeline(model, "--steps", "7", "--method", "network")
    assert "--steps 7: not used, --method network does not fit" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, method, steps",
    [
        ((), "both", network_choice.REFINING_STEPS),
        (("--steps", "0"), "network", 0),
        (("--method", "network"), "network", network_choice.DEFAULT_STEPS),
        (("--method", "both", "--steps", "9"), "both", 9),
        (("--method", "both", "--steps", "0"), "network", 0),
        (("--method", "fit"), "fit", network_choice.DEFAULT_STEPS),
        (("--method", "fit", "--steps", "0"), "fit", 0),
    ],
)
def test_method_and_steps_are_resolved(network, words, method, steps):
    choice = choose(toy_face_model(), *words)
    assert (choice.method, choice.steps) == (method, steps)


def test_a_named_network_without_record_is_used_and_doubted(network, choices, tmp_path, capsys):
    mine, model = str(tmp_path / "mine.pb"), toy_face_model()
    for recorded in (None, model):
        put(mine, recorded)
        make_pipeline(model, "--pretrain_weights", mine)
        said = capsys.readouterr().err
        assert ("mine.pb: no record beside it says which face model" in said) == (recorded is None)
        assert said.count("\n") == (recorded is None)
    make_pipeline(model, "--pretrain_weights", "nowhere.pb")
    assert capsys.readouterr().err == ""
    assert [made.weights for made in choices] == [mine, mine, "nowhere.pb"]


def test_without_a_network_faces_are_fitted(network):
    os.remove(network)
    assert choose(toy_face_model()).weights is None
    with pytest.raises(InputError, match="missing, and --method both needs it"):
        network_choice.read_network_request(flags("--method", "both"))


def test_a_flag_for_named_weights_needs_their_name(network):
    with pytest.raises(InputError, match="--use_pb 0 needs --pretrain_weights"):
        network_choice.read_network_request(flags("--use_pb", "0"))
    assert choose(toy_face_model(), "--use_pb", "0", "--method", "fit").method == "fit"


@pytest.mark.skipif(
    not os.path.isfile(network_choice.SHIPPED_NETWORK), reason="no network in network/"
)
@pytest.mark.skipif(
    not os.path.isfile(os.path.join(BFM_DIR, "open_face_model.mat")),
    reason="the open face model is not built ('make face-model')",
)
def test_the_shipped_network_is_the_open_models():
    assert (
        network_choice.find_shipped_network(load_face_model("open"))
        == network_choice.SHIPPED_NETWORK
    )
    assert os.path.getsize(network_choice.SHIPPED_NETWORK) < 60e6


def test_the_record_of_the_shipped_network_names_no_folder_of_any_machine():
    with open(network_choice.SHIPPED_NETWORK + ".json") as file:
        options = json.load(file)["options"]
    assert options["image_size"] == 112
    assert not [
        value for value in options.values() if isinstance(value, str) and os.path.isabs(value)
    ]
