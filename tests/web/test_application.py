"""The page's server, through its ASGI interface."""

import io
import os
import time
import zipfile

import numpy as np
import pytest
import scipy.io
from PIL import Image

from tests.web.toy_page import ACTIONS, STEPS, toy_worker
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
        JobQueue(worker.run, str(tmp_path), most_waiting=2), STEPS
    )
    with testclient.TestClient(application, base_url="http://127.0.0.1:8000") as client:
        yield client
    assert os.listdir(str(tmp_path)) == []  # nothing is kept


def send(client, content, **headers):
    return client.post("/faces", content=content, headers=dict(BINARY, **headers))


def finished(client, name):
    for _ in range(500):
        state = client.get("/faces/" + name).json()
        if state["state"] in ("done", "failed"):
            return state
        time.sleep(0.01)
    raise AssertionError("the photo is not finished within five seconds")


def test_a_photo_becomes_a_face_to_download(client):
    trimesh = pytest.importorskip("trimesh")
    answer = send(client, picture("gray"))
    assert answer.status_code == 202
    name = answer.json()["id"]
    state = finished(client, name)
    assert (state["state"], state["step"], state["steps"]) == ("done", STEPS, STEPS)
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
