"""The page as a visitor uses it, in headless Chromium through Playwright, if both are here."""

import io
import shutil
import socket
import threading

import numpy as np
import pytest
from PIL import Image

from tests.web.toy_page import toy_worker
from web.jobs import JobQueue

playwright = pytest.importorskip("playwright.sync_api")
uvicorn = pytest.importorskip("uvicorn")
trimesh = pytest.importorskip("trimesh")
web_application = pytest.importorskip("web.application")

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
WIDTHS = [1280, pytest.param(390, marks=pytest.mark.slow)]  # pixels, of a desk and of a hand
SOFTWARE_GL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    queue = JobQueue(toy_worker().run, str(tmp_path_factory.mktemp("faces")))
    server = uvicorn.Server(
        uvicorn.Config(web_application.make_application(queue), log_level="error")
    )
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield "http://127.0.0.1:{}".format(listener.getsockname()[1])
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        with driver.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox"] + SOFTWARE_GL
        ) as browser:
            yield browser


def open_page(browser, address, width):
    """Return the page in a window of that width, and a list that its complaints are added to."""
    page, said = browser.new_page(viewport={"width": width, "height": 900}), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    return page, said


def pixels(page):
    page.wait_for_timeout(500)
    shot = page.locator("#canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


@pytest.mark.parametrize("width", WIDTHS)
def test_send_turn_move_and_download(address, browser, tmp_path, width):
    page, said = open_page(browser, address, width)
    photo = tmp_path / "<b>me & you.png"
    Image.new("RGB", (64, 64), "gray").save(str(photo))

    # 1. the face appears, named as text
    page.set_input_files("#file", str(photo))
    page.wait_for_selector("#status:text-matches('^Done')")
    assert page.inner_text("#name") == "<b>me & you.png"
    first = pixels(page)
    assert (np.abs(first - first[2, 2]).max(axis=2) > 20).mean() > 0.05

    # 2. keys turn it, a slider moves it, and a button takes the expression out
    page.locator("#canvas").focus()
    page.keyboard.press("ArrowLeft")
    turned = pixels(page)
    assert (np.abs(turned - first).max(axis=2) > 20).mean() > 0.005
    page.get_by_label("jaw open").fill("1")
    moved = pixels(page)
    assert not np.array_equal(moved, turned)
    page.get_by_text("Expression at rest").click()
    inside = slice(10, -10)  # the outline of the focus is elsewhere now
    rest = pixels(page)  # as at first: the expression of the toy face is 0
    np.testing.assert_array_equal(rest[inside, inside], turned[inside, inside])

    # 3. a lamp lights the side that it stands on
    page.get_by_text("other light").click()
    means = []
    for degrees in ("-90", "90"):
        page.get_by_label("light from the right").fill(degrees)
        lit = pixels(page)[inside, inside].sum(axis=2)
        half = lit.shape[1] // 2
        means.append(lit[:, half:].mean() - lit[:, :half].mean())
    assert means[1] > means[0] + 5
    page.get_by_text("photo", exact=True).click()
    assert page.locator("#lamp").is_hidden()

    # 4. the download opens elsewhere; nothing leaves the window or complains
    with page.expect_download() as download:
        page.get_by_text("Animatable mesh").click()
    path = str(tmp_path / "face.glb")
    download.value.save_as(path)
    assert len(trimesh.load(path).geometry) == 1
    assert not page.locator("html").evaluate("element => element.scrollWidth > innerWidth")
    assert said == []
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_send_several_photos_of_one_person(address, browser, tmp_path, width):
    page, said = open_page(browser, address, width)
    colors = {"<b>me.png": "gray", "me & you.png": "gray", "zoe.png": "red"}
    for name, color in colors.items():
        Image.new("RGB", (64, 64), color).save(str(tmp_path / name))

    # 1. more than the server takes are refused at once
    page.set_input_files("#file", [str(tmp_path / "zoe.png")] * 9)
    page.wait_for_selector("#status.failed")
    assert "9 photos; choose 8 at most" in page.inner_text("#status")

    # 2. one head, at rest; somebody else is named
    page.set_input_files("#file", [str(tmp_path / name) for name in colors])
    page.wait_for_selector("#status:text-matches('^Done, but')")
    assert "left out: zoe.png shows somebody else" in page.inner_text("#status")
    assert page.inner_text("#name") == "<b>me.png, me & you.png, zoe.png"
    assert page.get_by_alt_text("The photos with the reconstruction laid in").is_visible()
    assert page.locator("#reset").is_hidden() and page.get_by_label("photo expression").count() == 0
    first = pixels(page)
    assert (np.abs(first - first[2, 2]).max(axis=2) > 20).mean() > 0.05
    page.get_by_label("jaw open").fill("1")
    assert not np.array_equal(pixels(page), first)

    # 3. dropped together, they are one job too
    page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          for (const name of ["a.txt", "b.txt"]) transfer.items.add(new File(["text"], name));
          document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
        }"""
    )
    page.wait_for_selector("#status.failed")
    assert "a.txt cannot be read" in page.inner_text("#status")
    assert "b.txt cannot be read" in page.inner_text("#status")
    assert not page.locator("html").evaluate("element => element.scrollWidth > innerWidth")
    assert said == []
    page.close()


def test_a_text_file_gets_its_reason(address, browser, tmp_path):
    (tmp_path / "a.jpg").write_text("no photo")
    page = browser.new_page()
    page.goto(address)
    page.set_input_files("#file", str(tmp_path / "a.jpg"))
    page.wait_for_selector("#status.failed")
    assert "not an image of a known format" in page.inner_text("#status")
    page.close()
