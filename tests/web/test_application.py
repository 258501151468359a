"""The page's server, through its ASGI interface."""

import io
import os
import time
import zipfile

import numpy as np
import pytest
import scipy.io
from PIL import Image

from tests.web.toy_page import ACTIONS, toy_worker
from utils.paths import REPO_ROOT
from web.faces import FILES
from web.jobs import JobQueue

pytest.importorskip("starlette")
pytest.importorskip("httpx2")
testclient = pytest.importorskip("starlette.testclient")
web_application = pytest.importorskip("web.application")

BINARY = {"Content-Type": "application/octet-stream"}


def picture(color):
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def worker():
    return toy_worker()


@pytest.fixture
def client(worker, tmp_path):
    application = web_application.make_application(
        JobQueue(worker.run, str(tmp_path), most_waiting=2)
    )
    with testclient.TestClient(application, base_url="http://127.0.0.1:8000") as client:
        yield client
    assert os.listdir(str(tmp_path)) == []  # nothing is kept


def send(client, content, **headers):
    return client.post("/faces", content=content, headers=dict(BINARY, **headers))


def send_person(client, photos):
    """Send the photos of one person, a dict of name -> content."""
    sizes = ["{}:{}".format(len(content), name) for name, content in photos.items()]
    return client.post(
        "/faces", params={"photo": sizes}, content=b"".join(photos.values()), headers=BINARY
    )


def finished(client, name):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = client.get("/faces/" + name).json()
        if state["state"] in ("done", "failed"):
            return state
        time.sleep(0.01)
    raise AssertionError("the photo is not finished within a minute")


def test_a_photo_becomes_a_face_to_download(client):
    trimesh = pytest.importorskip("trimesh")
    answer = send(client, picture("gray"))
    assert answer.status_code == 202
    name = answer.json()["id"]
    state = finished(client, name)
    assert (state["state"], state["message"]) == ("done", "")
    files = {file: client.get("/faces/{}/{}".format(name, file)) for file in FILES}
    assert all(answer.status_code == 200 for answer in files.values())
    scene = trimesh.load(io.BytesIO(files["face.glb"].content), file_type="glb")
    assert ACTIONS[0].encode() in files["face.glb"].content and len(scene.geometry) == 1
    with zipfile.ZipFile(io.BytesIO(files["face.zip"].content)) as archive:
        assert sorted(archive.namelist()) == ["face.mtl", "face.obj", "face_texture.png"]
    assert files["face.json"].json()["weights"][ACTIONS[0]] == 0.0
    fields = scipy.io.loadmat(io.BytesIO(files["face.mat"].content))
    assert fields["lm_68p"].shape == (68, 2)
    with Image.open(io.BytesIO(files["face.jpg"].content)) as image:
        assert np.asarray(image).std() > 10


def test_several_photos_become_one_person(client):
    trimesh = pytest.importorskip("trimesh")
    names = ["a/me.png", "me.png", "<i>.png"]
    answer = send_person(client, dict(zip(names, [picture("gray")] * 3)))
    assert answer.status_code == 202
    name = answer.json()["id"]
    state = finished(client, name)
    assert (state["state"], state["message"]) == ("done", "")
    assert state["activity"] == "texture of the person from <i>.png"
    files = {file: client.get("/faces/{}/{}".format(name, file)) for file in FILES}
    assert all(answer.status_code == 200 for answer in files.values())

    # one head at rest, whose texture has no light
    (mesh,) = trimesh.load(
        io.BytesIO(files["face.glb"].content), file_type="glb", process=False
    ).geometry.values()
    fields = scipy.io.loadmat(io.BytesIO(files["face.mat"].content))
    np.testing.assert_allclose(
        np.ptp(mesh.vertices, axis=0), np.ptp(fields["face_shape"], 0) / 10, rtol=1e-4
    )
    with zipfile.ZipFile(io.BytesIO(files["face.zip"].content)) as archive:
        texture = archive.read("face_texture.png")
    assert texture == files["albedo.png"].content

    # the numbers of each photo, and a square for each in the picture
    wanted = ["me.png", "me.png_2", "<i>.png"]
    assert [text.strip() for text in np.hstack(fields["photos"].ravel())] == wanted
    photos = files["face.json"].json()["photos"]
    assert [photo["name"] for photo in photos] == wanted
    assert photos[0]["weights"][ACTIONS[0]] == 0.0 and photos[0]["camera_photo"]["width"] == 400
    with Image.open(io.BytesIO(files["face.jpg"].content)) as image:
        pixels = np.asarray(image)
    half = len(pixels) // 2
    assert pixels.shape[0] == pixels.shape[1]
    assert pixels[:half].std() > 10 and pixels[half + 8 :, half + 8 :].std() < 2  # three of four


def test_what_shows_no_face_or_somebody_else_is_named_and_left_out(client):
    photos = {"me.png": picture("gray"), "notes.txt": b"just text", "dark.png": picture("black")}
    photos.update({"also me.png": picture("gray"), "zoe.png": picture("red"), "empty.png": b""})
    name = send_person(client, photos).json()["id"]
    state = finished(client, name)
    assert state["state"] == "done"
    lines = state["message"].splitlines()
    assert len(lines) == 4 and all(line.startswith("left out: ") for line in lines)
    assert lines[0].startswith("left out: notes.txt cannot be read as a photo")
    assert lines[1] == "left out: dark.png: no face found"
    assert lines[2].startswith("left out: empty.png is empty")
    assert lines[3] == "left out: zoe.png shows somebody else than most photos"
    data = client.get("/faces/{}/face.json".format(name)).json()
    assert [photo["name"] for photo in data["photos"]] == ["me.png", "also me.png"]
    assert data["left_out"] == ["zoe.png"]


def test_of_two_photos_none_is_left_out_but_doubts_are_shown(client):
    photos = {"me.png": picture("gray"), "zoe.png": picture("red")}
    state = finished(client, send_person(client, photos).json()["id"])
    assert state["state"] == "done" and "left out" not in state["message"]
    assert "zoe.png: little of the face is seen surely" in state["message"]


def test_photos_that_all_fail_get_their_reasons(client):
    photos = {"a.txt": b"just text", "b.png": picture("black")}
    state = finished(client, send_person(client, photos).json()["id"])
    assert state["state"] == "failed"
    first, second = state["message"].splitlines()
    assert first.startswith("a.txt cannot be read as a photo") and second == "b.png: no face found"


def test_a_deleted_face_is_gone(client):
    name = send(client, picture("gray")).json()["id"]
    finished(client, name)
    assert client.delete("/faces/" + name).status_code == 204
    assert client.get("/faces/" + name).status_code == 404
    assert client.get("/faces/{}/face.glb".format(name)).status_code == 404
    assert client.delete("/faces/" + name).status_code == 204


@pytest.mark.parametrize(
    "content, words",
    [
        (b"just text", "this file cannot be read as a photo"),
        (picture("black"), "no face found"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ],
)
def test_bad_photos_get_their_reason(client, content, words):
    state = finished(client, send(client, content).json()["id"])
    assert state["state"] == "failed" and words in state["message"]
    assert "/" not in state["message"]  # no path of this machine


def test_limits(client):
    assert send(client, b"").status_code == 400
    assert send(client, b"0" * (web_application.MAX_UPLOAD + 1)).status_code == 413
    chunks = iter([b"0" * (web_application.MAX_UPLOAD // 2)] * 3)  # without a length
    assert client.post("/faces", content=chunks, headers=BINARY).status_code == 413


def test_limits_of_several_photos(client):
    most = web_application.MAX_PHOTOS
    answer = send_person(client, {"{}.png".format(i): b"0" for i in range(most + 1)})
    assert answer.status_code == 413 and "9 photos; send 8 at most" in answer.json()["message"]
    large = b"0" * (web_application.MAX_UPLOAD + 1)
    answer = send_person(client, {"a.png": b"0", "big.png": large})
    assert answer.status_code == 413
    assert answer.json()["message"] == "big.png has more than 25 MiB"
    assert send_person(client, {"a.png": b"", "b.png": b""}).status_code == 400
    with open(os.path.join(REPO_ROOT, "web", "page.js"), encoding="utf-8") as file:
        assert "MAX_PHOTOS = {};".format(most) in file.read()


@pytest.mark.parametrize(
    "photos, status",
    [
        (["3:a", "3:b"], 400),  # the end is missing
        (["1:a", "1:b"], 413),  # more than announced
        (["4"], 202),  # without a name
        (["x:a"], 400),
        (["-4:a", "8:b"], 400),
        (["9" * 6000 + ":a"], 400),
        ([":a"], 400),
    ],
)
def test_sizes_that_do_not_fit_are_refused(client, photos, status):
    answer = client.post("/faces", params={"photo": photos}, content=b"0123", headers=BINARY)
    assert answer.status_code == status and (status == 202 or answer.json()["message"])


def test_pages_of_other_sites_reach_nothing(client):
    """A form may send text or a form only; a name that points here is refused."""
    for kind in ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded"):
        answer = client.post("/faces", content=picture("gray"), headers={"Content-Type": kind})
        assert answer.status_code == 415
    assert client.get("/", headers={"Host": "attacker.example"}).status_code == 400
    assert "access-control-allow-origin" not in client.get("/").headers


def test_unknown_addresses_are_not_found(client):
    found = send(client, picture("gray")).json()["id"]
    finished(client, found)
    for name in ("x", "..%2F..%2Fetc", "%00", "upload", "face.obj"):
        assert client.get("/faces/" + name).status_code == 404
        assert client.get("/faces/{}/{}".format(found, name)).status_code == 404


def test_the_page_runs_its_own_scripts_only(client):
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy
    page = client.get("/").text
    for path in ("/page.css", "/page.js", "/viewer.js"):
        assert '"{}"'.format(path) in page and client.get(path).status_code == 200
    with open(os.path.join(REPO_ROOT, "web", "page.js"), encoding="utf-8") as file:
        assert "innerHTML" not in file.read()  # names are shown as text
