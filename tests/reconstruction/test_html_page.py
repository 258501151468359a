"""The page of results: self-contained and complete; its meshes turn in a browser."""

import base64
import itertools
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from gcn.refined_mesh import RefinedMesh
from reconstruction import html_page
from tests.toy_reconstruction import closed_face_model, toy_face_model, toy_reconstruction

BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
DRAG = """<script>setTimeout(() => {
  const canvas = document.querySelector("canvas"), before = canvas.toDataURL();
  canvas.setPointerCapture = () => {}; // there is no pointer to capture
  for (const [kind, x] of [["pointerdown", 20], ["pointermove", 100], ["pointerup", 100]])
    canvas.dispatchEvent(new PointerEvent(kind, {buttons: 1, clientX: x, clientY: 50}));
  setTimeout(() => {
    const size = "width:300px;height:300px", after = canvas.toDataURL();
    const style = (left) => '" style="position:fixed;top:0;left:' + left + 'px;' + size + '">';
    document.body.innerHTML = '<img src="' + before + style(0) + '<img src="' + after + style(300);
  }, 1000);
}, 1500)</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path, model = str(tmp_path_factory.mktemp("page") / "index.html"), toy_face_model()
    writer, reconstruction = html_page.ResultPage(model), toy_reconstruction(name='<b>&"name')
    writer.add(reconstruction)
    writer.write(path)
    return path, model, reconstruction


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_page_names_nothing_outside_of_itself(page):
    text = read(page[0])
    assert not re.findall(r"https?://|//cdn|url\(|@import|fetch\(|XMLHttpRequest", text)
    assert all(source.startswith("data:") for source in re.findall(r'(?:src|href)="([^"]*)"', text))


def test_names_are_escaped(page):
    found = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.append(tag)

    Tags().feed(read(page[0]))
    assert found.count("b") == 1 and found.count("img") == 2 and found.count("canvas") == 1


def test_embedded_mesh_is_the_reconstruction_to_16_bits(page):
    path, model, reconstruction = page
    shared, face = (
        json.loads(text)
        for text in (
            re.findall(r'id="shared">(.*?)</script>', read(path))[0],
            re.findall(r'<script type="application/json">(.*?)</script>', read(path))[0],
        )
    )
    (face,) = face
    triangles = np.frombuffer(base64.b64decode(shared["triangles"]), "<u4").reshape(-1, 3)
    np.testing.assert_array_equal(triangles, model.triangles)
    steps = np.frombuffer(base64.b64decode(face["positions"]), "<u2").reshape(-1, 3)
    vertices = steps * np.array(face["step"]) + face["low"]
    # The page shows the face upright: distances within it are those of the posed mesh.
    posed = reconstruction.world_shape
    for i, j in ((0, 50), (3, 200), (17, 120)):
        np.testing.assert_allclose(
            np.linalg.norm(vertices[i] - vertices[j]),
            np.linalg.norm(posed[i] - posed[j]),
            atol=2e-4,
        )


def test_a_closed_mesh_gets_its_page(tmp_path):
    model = closed_face_model()
    writer = html_page.ResultPage(model)
    writer.add(toy_reconstruction(model=model))
    writer.write(str(tmp_path / "index.html"))
    assert read(str(tmp_path / "index.html")).count("<figure>") == 1


def test_beyond_the_limit_faces_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(html_page, "FACE_LIMIT", 1)
    writer = html_page.ResultPage(toy_face_model())
    for name in ("one", "two", "three"):
        writer.add(toy_reconstruction(name=name))
    writer.write(str(tmp_path / "index.html"))
    text = read(str(tmp_path / "index.html"))
    assert text.count("<figure>") == 1 and "The first 1 of 3 faces." in text


def test_units_that_finish_in_any_order_give_one_page(tmp_path, monkeypatch):
    """Units of two faces, of a person with two photos, and of one face; three faces are shown."""
    monkeypatch.setattr(html_page, "FACE_LIMIT", 3)
    figures = {
        0: [html_page.Figure("face", "a,"), html_page.Figure("face", "b,")],
        1: [
            html_page.Figure("photo", "c1,"),
            html_page.Figure("photo", "c2,"),
            html_page.Figure("person", "<c>", "</c>"),
        ],
        2: [html_page.Figure("photo", "d1,"), html_page.Figure("person", "<d>", "</d>")],
    }
    for order in itertools.permutations(figures):
        writer = html_page.ResultPage(toy_face_model())
        for number in order:
            faces = sum(figure.kind != "person" for figure in figures[number])
            writer.insert(number, faces, figures[number])
        writer.write(str(tmp_path / "index.html"))
        text = read(str(tmp_path / "index.html"))
        assert "</header>\na,b,<c>c1,</c><p>The first 3 of 5 faces.</p>" in text, order


def screenshot(page, path, profile):
    """Return the screenshot of a page, [H, W, 3] RGB."""
    subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--use-gl=angle",
            "--use-angle=swiftshader",
            "--enable-unsafe-swiftshader",
            "--window-size=1200,600",
            "--virtual-time-budget=5000",
            "--user-data-dir=" + profile,
            "--screenshot=" + path,
            "file://" + page,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=120,
    )
    if not os.path.isfile(path):
        pytest.skip("this Chromium takes no screenshots")
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_drag_turns_the_mesh(page, tmp_path):
    copy, shot = str(tmp_path / "page.html"), str(tmp_path / "shot.png")
    with open(copy, "w", encoding="utf-8") as file:
        file.write(read(page[0]).replace("</body>", DRAG + "</body>"))
    for _ in range(
        3
    ):  # on a busy machine the browser's software GL now and then shows nothing at all
        picture = screenshot(copy, shot, str(tmp_path / "profile"))
        if np.ptp(picture[:300, :300]) > 20:
            break
    before, after = picture[:300, :300], picture[:300, 300:600]
    for half in (before, after):
        drawn = np.abs(half - half[0, 0]).max(axis=2) > 20
        assert 0.1 < drawn.mean() < 0.9
    assert (np.abs(before - after).max(axis=2) > 20).mean() > 0.01


def test_a_refined_face_comes_first_and_the_coefficient_mesh_can_be_chosen(tmp_path):
    reconstruction = toy_reconstruction()
    refined = RefinedMesh(
        reconstruction.world_shape + [0, 0, 0.1],
        reconstruction.colors,
        reconstruction.landmarks,
        reconstruction.rendered,
        reconstruction.front_mask,
        255 - reconstruction.overlay,
    )
    writer = html_page.ResultPage(toy_face_model())
    writer.add(reconstruction._replace(refined=refined))
    writer.write(str(tmp_path / "index.html"))
    text = read(str(tmp_path / "index.html"))
    coefficient, other = json.loads(
        re.findall(r'<script type="application/json">(.*?)</script>', text)[0]
    )
    assert other["low"][2] == pytest.approx(
        coefficient["low"][2] + 0.1, abs=0.02
    )  # it is turned a little
    assert re.findall(
        r'<button type="button" aria-pressed="(\w+)">(coefficient|refined) mesh', text
    ) == [("false", "coefficient"), ("true", "refined")]
    shown = re.findall(r'class="overlay" src="([^"]*)"', text)[0]
    assert (
        coefficient["overlay"] != shown and "overlay" not in other
    )  # embedded once, as what is shown first
