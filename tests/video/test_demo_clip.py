"""demo.py on clips of the portrait: every file, its sound, its times; faces covered or missing."""

import csv
import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import scipy.io
from PIL import Image

from geometry.rotation import picture_rotation
from tests.mesh.test_mesh_files import VALIDATOR, read_glb
from tests.scripts.test_demo import MODEL, portrait, run_demo
from tests.video.clip_files import color_bars, write_video
from video.live_link import HEADER

av = pytest.importorskip("av")
pytestmark = pytest.mark.skipif(
    not os.path.isfile(MODEL), reason="the open face model is not built ('make face-model')"
)
CLIP_ENDS = (".mp4", ".csv", "_frames.json", ".glb", "_frames")
TIMES = np.concatenate([np.arange(8) / 25, 0.36 + np.arange(6) / 10])  # a variable frame rate


def moving_portrait():
    """Frames in which the portrait moves and leans."""
    photo = portrait().resize((320, 320))
    center = np.array([160.0, 100.0])
    frames = []
    for seconds in TIMES:
        turn = picture_rotation(15 * np.sin(2 * np.pi * seconds))
        offset = center - turn.dot(center + [20 * seconds, 0])
        values = tuple(np.column_stack([turn, offset]).ravel())
        frames.append(np.asarray(photo.transform((320, 240), Image.AFFINE, values, Image.BICUBIC)))
    return frames


COVERED = {6: 95, 7: 97, 8: 100}  # frames in which a board hides much of the face, and its left


def covered_portrait():
    """The same frames, in some of which little of the face is seen."""
    frames = [frame.copy() for frame in moving_portrait()]
    for i, left in COVERED.items():
        frames[i][60:98, left : left + 84] = (40, 90, 160)
    return frames


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """One run over a clip with sound, a photo, a clip without a face, and one of a covered one."""
    folder = tmp_path_factory.mktemp("clips")
    write_video(str(folder / "me.mp4"), moving_portrait(), TIMES, sound="aac")
    write_video(str(folder / "nobody.mp4"), [color_bars(i) for i in range(4)])
    write_video(str(folder / "covered.mp4"), covered_portrait())
    portrait().save(str(folder / "photo.png"))
    process = run_demo(
        "--input",
        *(str(folder / name) for name in ("me.mp4", "photo.png", "nobody.mp4", "covered.mp4")),
        "--output",
        str(folder / "out"),
        "--steps",
        "2",
        "--frame_files",
    )
    return process, folder / "out"


def test_clips_and_photos_are_done_and_a_clip_without_a_face_is_named(outcome):
    process, output = outcome
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert "me.mp4: 1 person in 14 frames, " in lines[-3] and "frames a second" in lines[-3]
    assert lines[-1].startswith("2 clips reconstructed, 1 of them doubtful, 1 skipped in ")
    complaints = [line for line in process.stderr.splitlines() if line.startswith("skipped: ")]
    assert len(complaints) == 1 and "nobody.mp4: no face was found in 4 frames;" in complaints[0]
    assert sorted(os.listdir(str(output))) == sorted(
        [name + end for name in ("me", "covered") for end in CLIP_ENDS]
        + ["photo" + end for end in (".json", ".mat", ".png", "_mesh.obj")]
        + ["index.html"]
    )


def test_the_overlay_has_the_times_and_the_sound_of_the_clip(outcome):
    with av.open(str(outcome[1] / "me.mp4")) as file:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]
    np.testing.assert_allclose([time for time, _ in frames], TIMES, atol=1e-3)
    with av.open(str(outcome[1] / "me.mp4")) as file:
        sound = np.concatenate([frame.to_ndarray().ravel() for frame in file.decode(audio=0)])
    spectrum = np.abs(np.fft.rfft(sound))
    assert spectrum.argmax() * 48000 / len(sound) == pytest.approx(440, abs=5)
    source = moving_portrait()
    difference = np.abs(frames[3][1].astype(int) - source[3]).mean(axis=2)
    assert difference[:60, :60].mean() < 6 < difference[70:130, 130:190].mean()


def test_the_table_has_a_row_for_each_frame(outcome):
    with open(str(outcome[1] / "me.csv")) as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == HEADER and len(rows) == 1 + len(TIMES)
    roll = np.array([float(row[HEADER.index("HeadRoll")]) for row in rows[1:]])
    # The picture is sampled turned, so the face leans the other way: counter-clockwise.
    wanted = np.radians(15) * np.sin(2 * np.pi * TIMES)
    assert np.corrcoef(roll, wanted)[0, 1] > 0.98
    assert np.ptp(roll) == pytest.approx(np.ptp(wanted), rel=0.15)


def read_animation(path):
    """Return the document of a .glb, the times of its animation, and path -> values [T, n]."""
    document, data = read_glb(str(path))

    def read(index):
        accessor = document["accessors"][index]
        view = document["bufferViews"][accessor["bufferView"]]
        start = view["byteOffset"]
        return np.frombuffer(data[start : start + view["byteLength"]], "<f4")

    (animation,) = document["animations"]
    paths = {channel["target"]["path"]: channel["sampler"] for channel in animation["channels"]}
    times = read(animation["samplers"][0]["input"])
    values = {
        name: read(animation["samplers"][i]["output"]).reshape(len(times), -1)
        for name, i in paths.items()
    }
    return document, times, values


def test_the_mesh_is_animated_at_the_times_of_the_frames(outcome):
    document, times, values = read_animation(outcome[1] / "me.glb")
    targets = document["meshes"][0]["extras"]["targetNames"]
    assert len(targets) == len(set(targets)) == len(document["meshes"][0]["weights"])
    assert {name[0].upper() + name[1:] for name in targets[:52]} == set(HEADER[2:54])
    assert set(values) == {"rotation", "translation", "weights"}
    np.testing.assert_allclose(times, TIMES, atol=1e-3)
    weights = values["weights"]
    assert weights.shape == (14, len(targets))
    assert weights[:, :52].min() >= 0 and weights[:, :52].max() <= 1
    assert np.ptp(weights, axis=0).max() > 0.01
    np.testing.assert_allclose(np.linalg.norm(values["rotation"], axis=1), 1, atol=1e-5)
    places = values["translation"]
    assert np.all(places[:, 2] < -0.3) and np.ptp(places[:, 0]) > 0.005  # before the camera
    assert document["cameras"][0]["perspective"]["aspectRatio"] == pytest.approx(320 / 240)


# Arguments: folder of npm packages, the .glb, times in seconds. Prints what the head looks like.
PLAYER = """import fs from "fs";
const [modules, path, ...times] = process.argv.slice(2);
const THREE = await import(modules + "/three/build/three.module.js");
const { GLTFLoader } = await import(modules + "/three/examples/jsm/loaders/GLTFLoader.js");
globalThis.self = globalThis;
const loader = new GLTFLoader();
loader.register((parser) => {  // there are no pictures without a browser
  parser.loadTexture = () => Promise.resolve(new THREE.Texture());
  return { name: "without pictures" };
});
const bytes = fs.readFileSync(path);
const gltf = await loader.parseAsync(
  bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength), "");
let head;
gltf.scene.traverse((node) => { if (node.morphTargetInfluences) head = node; });
const mixer = new THREE.AnimationMixer(gltf.scene);
mixer.clipAction(gltf.animations[0]).play();
const states = times.map((time) => {
  mixer.setTime(Number(time));
  return { weights: [...head.morphTargetInfluences], rotation: head.quaternion.toArray(),
           translation: head.position.toArray() };
});
const names = Object.keys(head.morphTargetDictionary);
const duration = gltf.animations[0].duration;
console.log(JSON.stringify({ names, duration, states }));
"""


def test_three_js_plays_the_animation(outcome, tmp_path):
    """At the frames the head is as the file says, between them in between."""
    node, modules = shutil.which("node"), os.environ.get("NODE_PATH", "")
    if not node or not os.path.isdir(os.path.join(modules, "three")):
        pytest.skip("node or the npm package three is not here (NODE_PATH)")
    document, times, values = read_animation(outcome[1] / "me.glb")
    (tmp_path / "player.mjs").write_text(PLAYER)
    moments = [repr(float(time)) for time in times[:-1]] + [repr(float(times[2:4].mean()))]
    command = [node, str(tmp_path / "player.mjs"), modules, str(outcome[1] / "me.glb")]
    played = json.loads(subprocess.check_output(command + moments, universal_newlines=True))
    assert played["names"] == document["meshes"][0]["extras"]["targetNames"]
    assert played["duration"] == pytest.approx(float(times[-1]), abs=1e-5)
    for name in ("weights", "rotation", "translation"):
        found = np.array([state[name] for state in played["states"]])
        np.testing.assert_allclose(found[:-1], values[name][:-1], atol=1e-4)
        between = values[name][2:4].mean(axis=0)
        np.testing.assert_allclose(found[-1], between, atol=1e-3)


def test_khronos_validator_finds_nothing(outcome):
    node, modules = shutil.which("node"), os.environ.get("NODE_PATH", "")
    if not node or not os.path.isdir(os.path.join(modules, "gltf-validator")):
        pytest.skip("node or the npm package gltf-validator is not here (NODE_PATH)")
    path = str(outcome[1] / "me.glb")
    issues = json.loads(
        subprocess.check_output([node, "-e", VALIDATOR, path], universal_newlines=True)
    )
    assert issues["numErrors"] == issues["numWarnings"] == 0, issues["messages"]


def test_each_frame_has_its_file_of_numbers(outcome):
    folder = str(outcome[1] / "me_frames")
    assert sorted(os.listdir(folder)) == ["me_{:06d}.mat".format(i) for i in range(14)]
    fields = [scipy.io.loadmat(os.path.join(folder, "me_{:06d}.mat".format(i))) for i in (0, 9)]
    assert fields[0]["cropped_img"].shape == (224, 224, 3)
    # The person is the same, the pose is not.
    np.testing.assert_array_equal(fields[0]["coeff"][:, :80], fields[1]["coeff"][:, :80])
    assert np.abs(fields[0]["coeff"] - fields[1]["coeff"]).max() > 0.01


def test_frames_that_show_little_of_the_face_are_doubtful(outcome):
    process, output = outcome
    with open(str(output / "covered_frames.json")) as file:
        content = json.load(file)
    doubtful = content["doubtful_frames"]
    assert doubtful and set(doubtful) <= set(COVERED)
    trust = dict(zip(content["frames"], content["face_trust"]))
    assert {frame for frame, value in trust.items() if value < 0.5} == set(doubtful)
    assert min(trust[frame] for frame in range(6)) > 0.9

    # The summary, the warning and the file of each frame say it as for photos.
    words = "covered in {} of {} frames".format(len(doubtful), len(trust))
    assert "covered.mp4: 1 person in 14 frames, doubtful: {}, ".format(words) in process.stdout
    assert "doubtful: {}: little of the face is seen surely; ".format(words) in process.stderr
    for frame in (0, doubtful[0]):
        path = os.path.join(str(output), "covered_frames", "covered_{:06d}.mat".format(frame))
        assert scipy.io.loadmat(path)["face_trust"][0, 0] == pytest.approx(trust[frame], abs=1e-3)
    with open(str(output / "me_frames.json")) as file:
        assert json.load(file)["doubtful_frames"] == []
