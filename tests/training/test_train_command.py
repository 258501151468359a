"""train.py with the real network on a tiny face model and tiny data."""

import contextlib
import glob
import io
import json
import os
import shutil
import signal

import numpy as np
import pytest

import train
from checkpoints.variables import read_variables, variable_shapes
from face_model import read_face_model
from reconstruction.regressor import CoefficientRegressor
from tests.paths import TOY_MODEL
from tests.training_data import write_faces
from training.options import TrainingOptions
from training.picture_strip import LABEL_COLOR, PREDICTION_COLOR, draw_picture_strip
from training.progress import Progress, StopRequest
from training.run_folder import locked_run_folder
from training.summaries import SummaryWriter, mesh_plugin_available, outline_graph
from utils.errors import InputError
from utils.tf_compat import tf
from utils.version import VERSION

COLUMNS = ("photo", "overlay", "render", "albedo", "error", "landmarks")  # of a picture strip


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder with training faces, removed right after the tests: checkpoints are large."""
    folder = tmp_path_factory.mktemp("training")
    write_faces(folder / "faces", 5)
    yield folder
    shutil.rmtree(str(folder))


def run(workshop, name, *flags):
    return train.main(
        [
            "--data_path",
            str(workshop / "faces"),
            "--face_model",
            TOY_MODEL,
            "--batch_size",
            "2",
            "--result_path",
            str(workshop),
            "--model_name",
            name,
            "--val_faces",
            "2",
            "--init_weights",
            "none",
            "--identity",
            "none",
            "--seed",
            "5",
            "--augment",
            "--deterministic",
        ]
        + list(flags)
    )


@pytest.fixture(scope="module")
def straight(workshop):
    """The folder of a run of four steps."""
    assert (
        run(
            workshop,
            "straight",
            "--steps",
            "4",
            "--checkpoint_interval",
            "2",
            "--image_interval",
            "2",
            "--scalar_interval",
            "1",
        )
        == 0
    )
    return workshop / "straight"


@pytest.fixture(scope="module")
def resumed(workshop, straight):
    """The folder of the same run, resumed at its half; what that printed, noted and logged."""
    folder, out, err = workshop / "resumed", io.StringIO(), io.StringIO()
    shutil.copytree(str(straight), str(folder))
    for path in glob.glob(str(folder / "iter_4*")):
        os.remove(path)
    before = set(glob.glob(str(folder / "summary/train/*")))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert run(workshop, "resumed", "--steps", "4", "--resume", "--quiet") == 0
    logs = set(glob.glob(str(folder / "summary/train/*"))) - before
    return folder, out.getvalue(), err.getvalue(), logs


def variables(prefix):
    shapes = variable_shapes(str(prefix))
    return read_variables(str(prefix), shapes)


def events(folder, side):
    """Return (step, tag) -> summary value."""
    paths = sorted(glob.glob(str(folder / "summary" / side / "*")))
    return {
        (event.step, value.tag): value
        for path in paths
        for event in tf.train.summary_iterator(path)
        for value in event.summary.value
    }


def test_resumed_run_ends_with_the_same_bits(straight, resumed):
    folder, out, err, _ = resumed
    assert "resumed from" in err and "iter_2.ckpt" in err
    assert "step 4 of 4 reached, 2 steps" in out
    expected, found = variables(straight / "iter_4.ckpt"), variables(folder / "iter_4.ckpt")
    assert set(expected) == set(found) and expected["global_step"] == 4
    different = [name for name in expected if not np.array_equal(expected[name], found[name])]
    assert not different


@pytest.mark.slow
def test_decay_of_moving_averages_follows_the_first_weights(workshop, straight, capsys):
    """Random weights: the ramp; given weights: the constant; a resumed run: as it began."""
    record = json.loads((straight / "iter_4.json").read_text())
    assert record["options"]["batch_norm_decay"] == "ramp"
    weights = str(straight / "iter_4.ckpt")
    name = "resnet_v1_50/conv1/BatchNorm/moving_variance"
    before = variables(weights)[name]
    capsys.readouterr()
    assert run(workshop, "tuned", "--steps", "1", "--init_weights", weights) == 0
    assert "decay by the published constant 0.997" in capsys.readouterr().err
    assert run(workshop, "tuned", "--steps", "2", "--resume") == 0
    said = capsys.readouterr().err
    assert "decay by the published constant 0.997" in said and "batch_norm_decay" not in said
    for step in (1, 2):
        record = json.loads((workshop / "tuned" / "iter_{}.json".format(step)).read_text())
        assert record["options"]["batch_norm_decay"] == "constant"
    options = json.loads((workshop / "tuned" / "options.json").read_text())["options"]
    assert options["batch_norm_decay"] == "constant"
    after = variables(workshop / "tuned" / "iter_1.ckpt")[name]
    assert 0 < np.abs(after - 0.997 * before).max()
    assert np.all(after >= 0.997 * before * (1 - 1e-6))  # 0.003 of a variance is added
    shutil.rmtree(str(workshop / "tuned"))


@pytest.mark.slow
def test_finished_run_resumes_to_nothing(workshop, straight, capsys):
    assert run(workshop, "straight", "--steps", "4", "--resume") == 0
    assert "nothing to do" in capsys.readouterr().out


def test_records_lie_beside_the_checkpoints(straight):
    names = [name for name in sorted(os.listdir(str(straight))) if not name.startswith(".")]
    assert names == ["checkpoint"] + [
        name
        for step in (2, 4)
        for name in (
            "iter_{}.ckpt.data-00000-of-00001".format(step),
            "iter_{}.ckpt.index".format(step),
            "iter_{}.json".format(step),
        )
    ] + ["options.json", "summary"]
    assert tf.train.latest_checkpoint(str(straight)) == str(straight / "iter_4.ckpt")
    record = json.loads((straight / "iter_4.json").read_text())
    model = read_face_model(TOY_MODEL)
    assert record["step"] == 4 and record["options"]["seed"] == 5
    assert record["face_model"]["fingerprint"] == model.fingerprint()
    assert record["loss_weights"]["reflectance"] == 5.0
    assert record["version"] == VERSION and "git_revision" in record
    assert (
        json.loads((straight / "options.json").read_text())["options"]["model_name"] == "straight"
    )


def test_event_files_hold_scalars_pictures_histograms_and_a_mesh(straight):
    values = events(straight, "train")
    for step in (1, 2, 3, 4):
        for tag in (
            "loss/photometric",
            "loss/total",
            "gradient_norm/landmark",
            "gradient_norm/all_weights",
            "learning_rate",
            "images_per_second",
            "metrics/landmark_error_pixels",
        ):
            assert np.isfinite(values[step, tag].simple_value)
    assert values[4, "coefficients/gamma"].histo.num == 2 * 27
    picture = values[2, "faces"].image
    assert (picture.height, picture.width) == (2 * 224, len(COLUMNS) * 224)
    assert picture.encoded_image_string.startswith(b"\xff\xd8")
    values = events(straight, "val")
    assert np.isfinite(values[4, "loss/total"].simple_value)
    if mesh_plugin_available():
        assert tf.make_ndarray(values[4, "face_VERTEX"].tensor).shape == (1, 625, 3)
        assert tf.make_ndarray(values[4, "face_FACE"].tensor).max() == 624


PUBLISHED_TAGS = {  # tag -> (our tag, function of its value)
    "photo_error": ("loss/photometric", float),
    "lm_error": ("loss/landmark", np.sqrt),
    "reflect_error": ("loss/reflectance", float),
    "gamma_error": ("loss/gamma", float),
    "train_error": ("loss/total", float),
}


def test_event_files_hold_the_published_tags(straight):
    values = events(straight, "train")
    for tag, (own, function) in PUBLISHED_TAGS.items():
        for step in (1, 2, 3, 4):
            expected = function(values[step, own].simple_value)
            assert values[step, tag].simple_value == pytest.approx(expected, rel=1e-5)
    assert (4, "id_sim_error") not in values  # without an identity network
    for tag, own in (("id_coeff", "identity"), ("ex_coeff", "expression"), ("tex_coeff", "albedo")):
        assert values[4, tag].histo == values[4, "coefficients/" + own].histo
    values = events(straight, "val")
    for tag, (own, function) in PUBLISHED_TAGS.items():
        expected = function(values[4, own].simple_value)
        assert values[4, tag + "_1"].simple_value == pytest.approx(expected, rel=1e-5)
        assert (4, tag) not in values


def test_published_pictures_show_photos_beside_renders(straight):
    values = events(straight, "train")
    for index in range(2):
        image = values[2, "imgs/image/{}".format(index)].image
        assert (image.height, image.width, image.colorspace) == (224, 448, 3)
        assert image.encoded_image_string.startswith(b"\xff\xd8")
    assert (2, "imgs/image/2") not in values and (3, "imgs/image/0") not in values


def test_published_tags_are_those_of_tensorflow(tmp_path):
    """The tags of an image summary of several pictures, and of at most eight."""
    photos = np.zeros((9, 224, 224, 3), np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        summary = tf.Summary.FromString(session.run(tf.summary.image("imgs", photos, 8)))
    writer = SummaryWriter(str(tmp_path))
    batch, pictures = _Pictures(photos=photos), _Pictures(rendered=photos)
    writer.write_published_pictures(1, batch, pictures)
    writer.close()
    (path,) = glob.glob(str(tmp_path / "events.out.tfevents.*"))
    *_, event = tf.train.summary_iterator(path)
    assert [value.tag for value in event.summary.value] == [value.tag for value in summary.value]
    assert len(event.summary.value) == 8


def graphs(folder):
    """Return the graphs in the event files of training, in their order."""
    paths = sorted(glob.glob(str(folder / "summary" / "train" / "*")))
    found = [event.graph_def for path in paths for event in tf.train.summary_iterator(path)]
    return [tf.GraphDef.FromString(content) for content in found if content]


def test_graph_is_written_once_per_run(straight, resumed):
    (graph,) = graphs(straight)
    operations = {node.name: node.op for node in graph.node}
    assert operations["resnet_v1_50/conv1/weights"] == "VariableV2"
    assert graph.ByteSize() < 5e6
    assert len(resumed[3]) == 1
    assert len(graphs(resumed[0])) == 1


def test_outline_of_a_graph_omits_the_numbers_of_large_constants():
    with tf.Graph().as_default() as graph:
        large = tf.constant(
            np.random.RandomState(0).rand(300, 1000).astype(np.float32), name="large"
        )
        total = tf.reduce_sum(large * tf.constant(2.0, name="small"), name="total")
        tf.get_variable("v", [3]).assign_add(tf.fill([3], total))
    full, outline = graph.as_graph_def(), outline_graph(graph)
    assert full.ByteSize() > 1.2e6 and outline.ByteSize() < 5e3
    for node, other in zip(full.node, outline.node):
        if node.name == "large":
            assert other.attr["dtype"].type == node.attr["dtype"].type
            shape = other.attr["value"].tensor.tensor_shape
            assert [dimension.size for dimension in shape.dim] == [300, 1000]
            assert not other.attr["value"].tensor.tensor_content
        else:
            assert node == other
    assert len(full.node) == len(outline.node) and outline.versions == full.versions


def test_checkpoint_predicts_coefficients(straight):
    regressor = CoefficientRegressor(str(straight / "iter_4.ckpt"), read_face_model(TOY_MODEL))
    coefficients = regressor.predict(np.zeros((1, 224, 224, 3), np.uint8))
    regressor.close()
    assert coefficients.shape == (1, 257) and np.isfinite(coefficients).all() and coefficients.any()


def test_sigterm_saves_first_and_broken_faces_are_counted(workshop, monkeypatch, capsys):
    os.truncate(str(workshop / "faces" / "face_03.png"), 300)
    step = Progress.step

    def step_and_terminate(self, loss):
        step(self, loss)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Progress, "step", step_and_terminate)
    assert run(workshop, "terminated") == 143
    write_faces(workshop / "faces", 5)
    captured = capsys.readouterr()
    assert (
        "stopped by SIGTERM after step 1 of 200000" in captured.out
        and "1 broken face skipped" in captured.out
    )
    assert (
        "SIGTERM: finishing this step" in captured.err
        and "face_03.png: it is damaged" in captured.err
    )
    assert variables(workshop / "terminated" / "iter_1.ckpt")["global_step"] == 1
    shutil.rmtree(str(workshop / "terminated"))


@pytest.mark.slow
def test_loss_that_is_not_finite_stops_and_names_the_batch(workshop, capsys):
    with pytest.raises(InputError) as caught:
        run(
            workshop, "exploded", "--learning_rate", "1e25", "--checkpoint_interval", "1", "--quiet"
        )
    message = str(caught.value)
    assert message.startswith("step 2: the ") and "not finite" in message and "loss" in message
    assert (
        message.count("face_0") == 2
        and "last good checkpoint is" in message
        and "iter_1.ckpt" in message
    )
    assert [
        name
        for name in os.listdir(str(workshop / "exploded"))
        if name.endswith(".json") and name.startswith("iter")
    ] == ["iter_1.json"]
    shutil.rmtree(str(workshop / "exploded"))


def test_run_is_not_overwritten(workshop, straight):
    with pytest.raises(
        InputError, match="straight: holds a run of 4 steps; continue it with --resume"
    ):
        run(workshop, "straight")


def test_two_processes_do_not_write_into_one_run(workshop):
    options = TrainingOptions(result_path=str(workshop), model_name="shared")
    with locked_run_folder(options):
        with pytest.raises(InputError, match="another training run writes here"):
            with locked_run_folder(options):
                pass
    with locked_run_folder(options):
        pass


def test_run_does_not_write_through_links(workshop, tmp_path):
    options = TrainingOptions(result_path=str(tmp_path), model_name="run")
    bystander, elsewhere, place = tmp_path / "bystander", tmp_path / "elsewhere", tmp_path / "run"
    bystander.write_text("not to be touched")
    elsewhere.mkdir()
    place.mkdir()
    for name, target, told in (
        (".lock", bystander, "cannot be written"),
        ("summary", elsewhere, "not a folder of"),
    ):
        (place / name).symlink_to(target)
        with pytest.raises(InputError, match=told):
            with locked_run_folder(options):
                pass
        (place / name).unlink()
    assert bystander.read_text() == "not to be touched" and not os.listdir(str(elsewhere))
    (place / ".lock").unlink()
    os.mkfifo(str(place / ".lock"))
    with pytest.raises(InputError, match="cannot be written"):  # instead of waiting for a reader
        with locked_run_folder(options):
            pass


@pytest.mark.parametrize("name", ["./test1", "test1/", ".//./test1"])
def test_published_way_to_name_a_run_is_accepted(tmp_path, name):
    options = read_options("--model_name", name)
    assert options.model_name == "test1"
    for model_name in (options.model_name, name):
        options = TrainingOptions(result_path=str(tmp_path), model_name=model_name)
        with locked_run_folder(options) as path:
            assert path == str(tmp_path / "test1")
    assert os.listdir(str(tmp_path)) == ["test1"]


@pytest.mark.parametrize(
    "name", ["", ".", "./", "..", "a/b", "./a/b", "./..", "../a", "a/../b", "a/..", "/a", "//a"]
)
def test_run_stays_in_the_result_folder(workshop, name):
    with pytest.raises(InputError, match="plain folder name"):
        run(workshop, name)


def read_options(*flags):
    arguments = train.parse_arguments(flags)
    return train._read_options(arguments, train._choose_task(arguments))


def test_loss_weights_are_set_by_name():
    options = read_options("--loss_weights", "landmark=0.5", "gamma=0")
    assert options.loss_weights.landmark == 0.5 and options.loss_weights.gamma == 0
    assert options.loss_weights.photometric == 1.92
    for setting in ("landmark", "landmark=x", "landmark=-1", "landmark=inf", "nose=1"):
        with pytest.raises(InputError, match="--loss_weights " + setting):
            read_options("--loss_weights", setting)


def test_defaults_are_the_published_ones():
    arguments = train.parse_arguments([])
    assert (arguments.batch_size, arguments.steps, arguments.learning_rate) == (16, 200000, 1e-4)
    assert (arguments.scalar_interval, arguments.image_interval, arguments.val_interval) == (
        50,
        200,
        1000,
    )
    assert (arguments.checkpoint_interval, arguments.keep) == (10000, 50)


@pytest.mark.parametrize(
    "flags, steps",
    [
        (["--model", "r_net"], 200000),
        (["--model", "gcn"], 500000),
        (["--model", "gcn", "--steps", "7"], 7),
    ],
)
def test_number_of_steps_is_that_of_the_published_network(flags, steps):
    assert train.parse_arguments(flags).steps == read_options(*flags).steps == steps


def test_help_names_both_published_numbers_of_steps(capsys):
    with pytest.raises(SystemExit):
        train.parse_arguments(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "200000 for --model r_net and 500000 for --model gcn" in said


@pytest.mark.parametrize(
    "flags",
    [
        ["--batch_size", "0"],
        ["--steps", "-1"],
        ["--learning_rate", "nan"],
        ["--seed", "4294967296"],
        ["--keep", "0"],
    ],
)
def test_numbers_out_of_range_are_refused(flags):
    with pytest.raises(SystemExit) as caught:
        train.parse_arguments(flags)
    assert caught.value.code == 2


@pytest.fixture
def interruptible():
    """Handle Ctrl-C, which is ignored in processes in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_first_ctrl_c_is_noted_and_second_interrupts(interruptible):
    said = []
    with StopRequest(said.append) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT and "Ctrl-C" in said[0]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_picture_strip_columns():
    size = 224
    photo = np.full((1, size, size, 3), (10, 20, 30), np.float32)  # BGR
    mask = np.zeros((1, size, size, 1), np.float32)
    mask[:, 100:] = 1
    shown = draw_picture_strip(
        photo,
        _Pictures(
            rendered=photo + 300 * mask,
            mask=mask,
            albedo=photo * 2,
            landmarks=np.full((1, 68, 2), 50.0),
        ),
        np.full((1, 68, 2), 150.0),
    )
    columns = dict(zip(COLUMNS, np.split(shown, 6, axis=1)))
    assert columns["photo"][0, 0].tolist() == [30, 20, 10]
    assert (
        columns["overlay"][0, 0].tolist() == [30, 20, 10]
        and (columns["overlay"][200, 0] == 255).all()
    )
    assert (columns["error"][0, 0] == 0).all() and (columns["error"][200, 0] == 255).all()
    assert columns["landmarks"][size - 1 - 150, 150].tolist() == list(LABEL_COLOR)
    assert columns["landmarks"][size - 1 - 50, 50].tolist() == list(PREDICTION_COLOR)


class _Pictures:
    def __init__(self, **fields):
        self.__dict__.update(fields)


def test_unwritable_event_file_is_named(tmp_path):
    (tmp_path / "train").write_text("not a folder")
    with pytest.raises(InputError, match="train.*cannot be written.*--resume"):
        SummaryWriter(str(tmp_path / "train"))


def test_events_after_the_checkpoint_become_void(tmp_path):
    writer = SummaryWriter(str(tmp_path), first_step=7)
    writer.write_scalars(8, {"a": 1.5})
    writer.close()
    (path,) = glob.glob(str(tmp_path / "events.out.tfevents.*"))
    version, start, scalar = tf.train.summary_iterator(path)
    assert version.file_version == "brain.Event:2"
    assert (start.session_log.status, start.step) == (tf.SessionLog.START, 8)
    assert (scalar.step, scalar.summary.value[0].tag, scalar.summary.value[0].simple_value) == (
        8,
        "a",
        1.5,
    )
