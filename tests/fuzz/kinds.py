"""Every kind of file that the commands read: its place, the files around it, its commands."""

import glob
import os
import shutil
from typing import Any, Callable, Dict, NamedTuple, Tuple

from identity import features
from tests.fuzz import forged_arrays, forged_networks, forgeries, originals, places, stand_ins
from tests.paths import TOY_MODEL


class Stage(NamedTuple):
    """The folders of a case."""

    root: str
    stem: str  # of the damaged file: a plain one, or one that is hard to bear

    @property
    def inputs(self) -> str:
        """The folder that the command reads."""
        return os.path.join(self.root, "in")

    @property
    def outputs(self) -> str:
        """The only folder that the command may write into."""
        return os.path.join(self.root, "out")

    @property
    def outside(self) -> str:
        """A folder with a file that the command must not touch."""
        return os.path.join(self.root, "outside")


class Kind(NamedTuple):
    """A kind of file."""

    # of the damaged file in the stage; {stem} where its name is free, * where the command decides
    place: str
    # (original, place in the stage), the damaged file among them
    files: Tuple[Tuple[str, str], ...]
    commands: Tuple[Callable[[Stage], Tuple[str, list]], ...]  # stage -> (module, arguments)
    forgeries: Dict[str, Any] = {}
    turns: int = 1  # number of its cases in each round of all kinds; more for quick ones


def prepare(kind: Kind, stage: Stage, folder: str) -> str:
    """Put the whole files of a case in place.

    Args:
        kind: a :class:`Kind`.
        stage: a :class:`Stage`.
        folder: what ``originals.write_originals`` wrote.

    Returns:
        The path of the file to be damaged.
    """
    for original, place in kind.files:
        target = os.path.join(stage.root, place.format(stem=stage.stem))
        source = os.path.join(folder, original)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copytree(source, target) if os.path.isdir(source) else shutil.copyfile(
            source, target
        )
    return os.path.join(stage.root, kind.place.format(stem=stage.stem))


def found(victim: str) -> str:
    """Return the path of the file to be damaged when its folder is complete."""
    return glob.glob(victim)[0] if "*" in victim else victim


def _network(stage):
    return [
        "--method",
        "network",
        "--use_pb",
        "0",
        "--pretrain_weights",
        os.path.join(stage.inputs, "net.pb"),
        "--detector",
        "dlib",
        "--quiet",
    ]


def _face(stage, module, *more):
    return module, [
        "--input",
        os.path.join(stage.inputs, "photos"),
        "--output",
        stage.outputs,
        "--face_model",
        os.path.join(stage.inputs, "model.mat"),
    ] + _network(stage) + list(more)


def _demo(stage):
    return _face(stage, "demo")


def _demo_without_page(stage):
    return _face(stage, "demo", "--page", "0")


def _obj(stage):
    return _face(stage, "obj", "--texture_size", "64")


def _renderer(stage):
    return _face(stage, "renderer", "--frames", "2", "--size", "96")


def _preprocess(stage):
    return "preprocess_img", [
        "--img_path",
        os.path.join(stage.inputs, "photos"),
        "--save_path",
        stage.outputs,
        "--keep_uncertain",
        "--detector",
        "dlib",
        "--quiet",
    ]


def _preprocess_with_sheet(stage):
    module, arguments = _preprocess(stage)
    return module, arguments + ["--check", os.path.join(stage.outputs, "check.png")]


def _demo_of(extension):
    def command(stage):
        module, arguments = _demo_without_page(stage)
        arguments[1] = os.path.join(stage.inputs, "photos", stage.stem + "." + extension)
        return module, arguments

    return command


def _backgrounds(stage):
    return "synthesis.__main__", [
        "--output",
        stage.outputs,
        "--count",
        "1",
        "--face_model",
        TOY_MODEL,
        "--backgrounds",
        os.path.join(stage.inputs, "photos"),
        "--workers",
        "1",
        "--quiet",
    ]


def _with(command, flag, value):
    """Return a command (module, arguments) with another value of one of its flags."""
    module, arguments = command
    place = arguments.index(flag) + 1
    return module, arguments[:place] + [value] + arguments[place + 1 :]


def _demo_of_bfm(stage):
    stand_ins.use_bfm_folder(os.path.join(stage.outputs, "BFM"))
    return _with(_demo_without_page(stage), "--face_model", "bfm")


def _demo_with_landmark_network(stage):
    stand_ins.use_landmark_network(os.path.join(stage.inputs, "landmarks.pb"))
    return _demo_without_page(stage)


def _stored(module, *more):
    def command(stage):
        return module, [
            "--input",
            os.path.join(stage.inputs, "photos"),
            "--output",
            stage.outputs,
            "--face_model",
            os.path.join(stage.inputs, "model.mat"),
            "--coefficients",
            os.path.join(stage.inputs, "stored"),
            "--quiet",
        ] + list(more)

    return command


def _refine(stage):
    stand_ins.use_pyramids(os.path.join(stage.outputs, "cache"))
    return _stored(
        "obj",
        "--texture_size",
        "64",
        "--formats",
        "ply",
        "--refine",
        os.path.join(stage.inputs, "generator", "iter_7.ckpt"),
        "--pretrain_weights",
        os.path.join(stage.inputs, "net.pb"),
    )(stage)


def _demo_of_checkpoint(stage):
    return _with(
        _demo_without_page(stage), "--pretrain_weights", os.path.join(stage.inputs, "net.ckpt")
    )


def _export(name):
    def command(stage):
        return "checkpoints.__main__", [
            os.path.join(stage.inputs, name),
            os.path.join(stage.outputs, "made.pb"),
        ]

    return command


def _training(stage, *more):
    return "train", [
        "--data_path",
        os.path.join(stage.inputs, "faces"),
        "--face_model",
        TOY_MODEL,
        "--result_path",
        stage.outputs,
        "--model_name",
        "run",
        "--steps",
        "3",
        "--batch_size",
        "2",
        "--val_faces",
        "2",
        "--threads",
        "1",
        "--identity",
        "none",
        "--init_weights",
        "none",
        "--quiet",
    ] + list(more)


def _train(stage):
    return _training(stage, "--mesh_targets", "coefficients", "--augment")


def _train_on_text(stage):
    shutil.rmtree(os.path.join(stage.inputs, "faces", "lm_bin"))
    return _train(stage)


def _train_on_meshes(stage):
    return _training(stage, "--mesh_targets", "truth")


def _resume(stage):
    return _training(stage, "--mesh_targets", "coefficients", "--resume")


def _start_from(name):
    def command(stage):
        return _with(
            _training(stage, "--mesh_targets", "coefficients"),
            "--init_weights",
            os.path.join(stage.inputs, name),
        )

    return command


def _train_with_dlib(stage):
    stand_ins.use_weights_folder(os.path.join(stage.inputs, "weights"))
    return _with(_train(stage), "--identity", "dlib")


def _train_with_face_net(stage):
    stand_ins.use_face_net(os.path.join(stage.inputs, "face_net"))
    return _with(_train(stage), "--identity", "facenet")


def _train_on_truth(stage):
    stand_ins.use_face_cache(os.path.join(stage.outputs, "cache"))
    return _training(stage, "--supervision", "truth", "--image_size", "56")


def _train_on_cache(stage):
    module, arguments = _train_on_truth(stage)
    stand_ins.fill_face_cache(os.path.join(stage.inputs, "faces"))
    return module, arguments


def _nme(stage, *more):
    return "nme", [
        "--data_path",
        os.path.join(stage.inputs, "aflw"),
        "--output",
        stage.outputs,
        "--predictions",
        os.path.join(stage.inputs, "predicted.npz"),
        "--quiet",
    ] + list(more)


def _nme_of_truth(stage):
    return _nme(stage, "--ground_truth", os.path.join(stage.inputs, "truth.npy"))


def _nme_of_yaw(stage):
    return _nme(stage, "--yaw", os.path.join(stage.inputs, "yaw.npy"))


def _nme_of_folder(stage):
    return _with(_nme(stage), "--predictions", os.path.join(stage.inputs, "predicted"))


def _nme_by_network(stage):
    return "nme", [
        "--data_path",
        os.path.join(stage.inputs, "aflw"),
        "--align",
        "gt",
        "--output",
        stage.outputs,
        "--face_model",
        os.path.join(stage.inputs, "model.mat"),
    ] + _network(stage)


def _synthesize_again(stage):
    return "synthesis.__main__", [
        "--output",
        os.path.join(stage.outputs, "synthetic"),
        "--count",
        "3",
        "--face_model",
        TOY_MODEL,
        "--workers",
        "1",
        "--quiet",
        "--check",
        os.path.join(stage.outputs, "sheet.png"),
    ]


def _photo(extension):
    files = (
        ("photos/photo." + extension, "in/photos/{stem}." + extension),
        ("photos/photo.txt", "in/photos/{stem}.txt"),
        ("model.mat", "in/model.mat"),
        ("network/net.pb", "in/net.pb"),
    )
    commands = (
        _preprocess,
        _preprocess_with_sheet,
        _preprocess,
        _demo,
        _preprocess,
        _backgrounds,
        _preprocess,
        _obj,
        _preprocess,
        _renderer,
    )
    # read where they are named, not where a folder is
    if extension in (
        "gif",
        "jp2",
        "ppm",
        "tga",
    ):
        commands = (_demo_of(extension),)
    return Kind(
        "in/photos/{stem}." + extension,
        files,
        commands,
        forgeries.PHOTOS_OF.get(extension, {}),
        2 if extension == "png" else 1,
    )


_WITH_PHOTO = (
    ("photos/photo.png", "in/photos/photo.png"),
    ("photos/photo.txt", "in/photos/photo.txt"),
    ("network/net.pb", "in/net.pb"),
)
_FACES = (("faces", "in/faces"),)
_AFLW = (
    ("aflw/{}.jpg".format(originals.NAME), "in/aflw/{}.jpg".format(originals.NAME)),
    ("aflw/{}.mat".format(originals.NAME), "in/aflw/{}.mat".format(originals.NAME)),
    ("aflw/truth.npy", "in/truth.npy"),
    ("aflw/yaw.npy", "in/yaw.npy"),
    ("aflw/predicted", "in/predicted"),
)
_PLAIN = _AFLW + (("aflw/plain.npz", "in/predicted.npz"),)
_CHECKPOINT = tuple(
    ("network/" + name, "in/" + name)
    for name in ("net.ckpt.index", "net.ckpt.data-00000-of-00001", "net.ckpt.meta", "old.ckpt")
)
_BFM = _WITH_PHOTO + (("bfm", "out/BFM"),)
_STORED = (
    ("photos/photo.png", "in/photos/photo.png"),
    ("stored/photo.mat", "in/stored/photo.mat"),
    ("model.mat", "in/model.mat"),
)
_GENERATOR = _STORED + (
    ("generator", "in/generator"),
    ("pyramids", "out/cache"),
    ("network/net.pb", "in/net.pb"),
)
_FACE_NET = _FACES + (("face_net", "in/face_net"),)
_FACE_NET_PREFIX = "in/face_net/" + os.path.basename(features.FACE_NET_CHECKPOINT)
_RUN, _SYNTHETIC = _FACES + (("run", "out/run"),), (("synthetic", "out/synthetic"),)
_DLIB_FILE = "id_net/dlib_face_recognition_resnet_model_v1.dat"

KINDS = {extension + " photo": _photo(extension) for extension in originals.PHOTO_FORMATS}
KINDS.update(
    {
        "five points": Kind(
            "in/photos/photo.txt",
            _WITH_PHOTO + (("model.mat", "in/model.mat"),),
            (_preprocess, _preprocess, _demo_without_page),
            forgeries.NUMBERS_AS_TEXT,
        ),
        "training picture": Kind(
            "in/faces/face_01.png", _FACES, (_train,), forgeries.TRAINING_PICTURES
        ),
        "skin mask": Kind(
            "in/faces/mask/face_01.png", _FACES, (_train,), forgeries.TRAINING_PICTURES
        ),
        "landmarks, binary": Kind(
            "in/faces/lm_bin/face_01.bin", _FACES, (_train,), forgeries.NUMBERS_AS_BYTES
        ),
        "landmarks, text": Kind(
            "in/faces/lm/face_01.txt", _FACES, (_train_on_text,), forgeries.NUMBERS_AS_TEXT
        ),
        "true mesh": Kind(
            "in/faces/mesh/face_01.npy", _FACES, (_train_on_meshes,), forged_arrays.NPY_FILES
        ),
        "face model": Kind(
            "in/model.mat",
            _WITH_PHOTO + (("model.mat", "in/model.mat"),),
            (_demo_without_page, _demo, _demo_without_page, _obj),
            forged_arrays.MATLAB_FILES,
        ),
        "Basel model": Kind(
            "out/BFM/01_MorphableModel.mat", _BFM, (_demo_of_bfm,), forged_arrays.MATLAB_FILES
        ),
        "Exp_Pca.bin": Kind(
            "out/BFM/Exp_Pca.bin", _BFM, (_demo_of_bfm,), forgeries.NUMBERS_AS_BYTES
        ),
        "std_exp.txt": Kind(
            "out/BFM/std_exp.txt", _BFM, (_demo_of_bfm,), forgeries.NUMBERS_AS_TEXT
        ),
        "BFM indices": Kind(
            "out/BFM/BFM_front_idx.mat", _BFM, (_demo_of_bfm,), forged_arrays.MATLAB_FILES
        ),
        "BFM mesh": Kind(
            "out/BFM/facemodel_info.mat", _BFM, (_demo_of_bfm,), forged_arrays.MATLAB_FILES
        ),
        "frozen network": Kind(
            "in/net.pb",
            _WITH_PHOTO + _FACES + (("model.mat", "in/model.mat"),),
            (_demo_without_page, _demo_without_page, _export("net.pb"), _start_from("net.pb")),
            forged_networks.GRAPHS,
        ),
        "landmark network": Kind(
            "in/landmarks.pb",
            _WITH_PHOTO
            + (("model.mat", "in/model.mat"), ("network/landmarks.pb", "in/landmarks.pb")),
            (_demo_with_landmark_network,),
            forged_networks.GRAPHS,
        ),
        "checkpoint index": Kind(
            "in/net.ckpt.index",
            _CHECKPOINT + _WITH_PHOTO + (("model.mat", "in/model.mat"),),
            (_export("net.ckpt"), _export("net.ckpt"), _demo_of_checkpoint),
            forged_networks.CHECKPOINT_INDICES,
        ),
        "checkpoint data": Kind(
            "in/net.ckpt.data-00000-of-00001",
            _CHECKPOINT + _WITH_PHOTO + (("model.mat", "in/model.mat"),),
            (_export("net.ckpt"), _export("net.ckpt"), _demo_of_checkpoint),
            forged_networks.CHECKPOINT_DATA,
        ),
        "checkpoint graph": Kind("in/net.ckpt.meta", _CHECKPOINT, (_export("net.ckpt"),)),
        "old checkpoint": Kind(
            "in/old.ckpt",
            _CHECKPOINT + _FACES,
            (_export("old.ckpt"), _start_from("old.ckpt")),
            forged_networks.CHECKPOINT_INDICES,
        ),
        "index to resume from": Kind(
            "out/run/iter_2.ckpt.index", _RUN, (_resume,), forged_networks.CHECKPOINT_INDICES
        ),
        "data to resume from": Kind(
            "out/run/iter_2.ckpt.data-00000-of-00001",
            _RUN,
            (_resume,),
            forged_networks.CHECKPOINT_DATA,
        ),
        "record to resume from": Kind(
            "out/run/iter_2.json", _RUN, (_resume,), forgeries.JSON_FILES
        ),
        "lock of a run": Kind("out/run/.lock", _RUN, (_resume,)),
        "options of a run": Kind("out/run/options.json", _RUN, (_resume,), forgeries.JSON_FILES),
        "summaries of a run": Kind(
            "out/run/summary/train/events*", _RUN, (_resume,), places.FOLDERS
        ),
        "FaceNet index": Kind(
            _FACE_NET_PREFIX + ".index",
            _FACE_NET,
            (_train_with_face_net,),
            forged_networks.CHECKPOINT_INDICES,
        ),
        "FaceNet data": Kind(
            _FACE_NET_PREFIX + ".data-00000-of-00001",
            _FACE_NET,
            (_train_with_face_net,),
            forged_networks.CHECKPOINT_DATA,
        ),
        "FaceNet graph": Kind(
            "in/face_net/FaceNetModel.pb",
            _FACES + (("face_net/FaceNetModel.pb", "in/face_net/FaceNetModel.pb"),),
            (_train_with_face_net,),
            forged_networks.GRAPHS,
        ),
        "record of a graph": Kind(
            "in/net.pb.json",
            _WITH_PHOTO
            + (("model.mat", "in/model.mat"), ("network/net.pb.json", "in/net.pb.json")),
            (_demo_without_page,),
            forgeries.JSON_FILES,
        ),
        "record of a checkpoint": Kind(
            "in/net.json",
            _CHECKPOINT + (("network/net.pb.json", "in/net.json"),),
            (_export("net.ckpt"),),
            forgeries.JSON_FILES,
        ),
        "stored face": Kind(
            "in/stored/photo.mat",
            _STORED,
            (
                _stored("obj", "--texture_size", "64", "--formats", "obj"),
                _stored("renderer", "--frames", "0", "--size", "64"),
            ),
            forged_arrays.MATLAB_FILES,
        ),
        "true coefficients of training": Kind(
            "in/faces/coeff/face_01.bin", _FACES, (_train_on_truth,), forgeries.NUMBERS_AS_BYTES
        ),
        "cached pictures": Kind(
            "out/cache/faces-*/images.npy", _FACES, (_train_on_cache,), forged_arrays.NPY_FILES
        ),
        "cached landmarks": Kind(
            "out/cache/faces-*/landmarks.npy", _FACES, (_train_on_cache,), forged_arrays.NPY_FILES
        ),
        "cached index": Kind(
            "out/cache/faces-*/kept.npy", _FACES, (_train_on_cache,), forged_arrays.NPY_FILES
        ),
        "mesh generator index": Kind(
            "in/generator/iter_7.ckpt.index",
            _GENERATOR,
            (_refine,),
            forged_networks.CHECKPOINT_INDICES,
        ),
        "record of a mesh generator": Kind(
            "in/generator/iter_7.json", _GENERATOR, (_refine,), forgeries.JSON_FILES
        ),
        "mesh pyramid": Kind(
            "out/cache/pyramid-*.npz", _GENERATOR, (_refine,), forged_arrays.NPZ_FILES
        ),
        "annotated photo": Kind(
            "in/aflw/{}.jpg".format(originals.NAME),
            _PLAIN + (("model.mat", "in/model.mat"), ("network/net.pb", "in/net.pb")),
            (_nme_by_network,),
            forgeries.PHOTOS,
        ),
        "identity network": Kind(
            "in/weights/" + _DLIB_FILE,
            _FACES + ((_DLIB_FILE, "in/weights/" + _DLIB_FILE),),
            (_train_with_dlib,),
        ),
        "annotation": Kind(
            "in/aflw/{}.mat".format(originals.NAME),
            _PLAIN + (("model.mat", "in/model.mat"), ("network/net.pb", "in/net.pb")),
            (_nme, _nme, _nme_by_network),
            forged_arrays.MATLAB_FILES,
        ),
        "predictions": Kind("in/predicted.npz", _PLAIN, (_nme,), forged_arrays.NPZ_FILES),
        "packed predictions": Kind(
            "in/predicted.npz",
            _AFLW + (("aflw/packed.npz", "in/predicted.npz"),),
            (_nme,),
            forged_arrays.NPZ_FILES,
        ),
        "coefficient file": Kind(
            "in/predicted/{}.mat".format(originals.NAME),
            _PLAIN,
            (_nme_of_folder,),
            forged_arrays.MATLAB_FILES,
        ),
        "other annotations": Kind(
            "in/truth.npy", _PLAIN, (_nme_of_truth,), forged_arrays.NPY_FILES
        ),
        "other yaw": Kind("in/yaw.npy", _PLAIN, (_nme_of_yaw,), forged_arrays.NPY_FILES),
        "true coefficients": Kind(
            "out/synthetic/coeff/0000001.bin",
            _SYNTHETIC,
            (_synthesize_again,),
            forgeries.NUMBERS_AS_BYTES,
        ),
        "manifest": Kind(
            "out/synthetic/manifest.json", _SYNTHETIC, (_synthesize_again,), forgeries.JSON_FILES
        ),
    }
)
_TURNS = dict.fromkeys(
    (
        "five points",
        "frozen network",
        "face model",
        "Basel model",
        "BFM indices",
        "BFM mesh",
        "checkpoint index",
        "old checkpoint",
        "stored face",
        "annotation",
        "coefficient file",
    ),
    2,
)
_TURNS.update(
    dict.fromkeys(
        (
            "std_exp.txt",
            "predictions",
            "packed predictions",
            "other annotations",
            "other yaw",
            "manifest",
            "landmark network",
            "true mesh",
        ),
        3,
    )
)
KINDS.update({name: KINDS[name]._replace(turns=turns) for name, turns in _TURNS.items()})
FREE_NAMES = tuple(name for name, kind in KINDS.items() if "{stem}" in kind.place)
