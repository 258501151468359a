"""Mesh files as read by other programs: trimesh, and Khronos' validator if it is installed."""

import json
import os
import shutil
import struct
import subprocess

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

import obj
from face_model.coefficients import coefficient_sizes
from face_model.model import vertex_triangle_table
from geometry.normals import surface_normals
from geometry.spherical_harmonics import irradiance
from mesh.expression import expression_of, replace_expression
from mesh.gltf import write_glb
from mesh.morph_targets import REMAINDER, make_rig, upright_shape
from mesh.obj_ply import write_textured_obj
from mesh.texture_baking import bake_texture, remove_light
from mesh.uv_unwrap import unwrap_uv
from reconstruction.face_views import KINDS, draw_attributes, photo_view
from tests.toy_reconstruction import closed_face_model, toy_face_model, toy_reconstruction
from utils.errors import InputError

trimesh = pytest.importorskip("trimesh")

VALIDATOR = """const validator = require("gltf-validator"), fs = require("fs");
const bytes = new Uint8Array(fs.readFileSync(process.argv[1]));
validator.validateBytes(bytes).then((report) => console.log(
  JSON.stringify(report.issues)), () => process.exit(1));"""
ACTIONS = ("jawOpen", "mouthLeft", "browInnerUp")


def named_model():
    """The toy model with three named actions."""
    return toy_face_model()._replace(expression_names=ACTIONS)


def smiling(model, actions=(0.5, 1.0, -0.25)):
    """A reconstruction with the first expression components at work."""
    reconstruction = toy_reconstruction(name="my face")
    coefficients, first = reconstruction.coefficients.copy(), model.identity_count
    coefficients[first : first + len(actions)] = actions
    moved = model.expression_basis[:, : len(actions)].dot(actions).reshape(-1, 3)
    angle = coefficients[sum(coefficient_sizes(model)[:3]) + 1]
    sin, cos = np.sin(angle), np.cos(angle)
    turn = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    return reconstruction._replace(
        coefficients=coefficients, world_shape=reconstruction.world_shape + moved.dot(turn)
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder, model = str(tmp_path_factory.mktemp("meshes")), named_model()
    reconstruction, uv_map = smiling(model), unwrap_uv(model)
    obj.write_meshes(reconstruction, model, uv_map, folder)
    return folder, model, reconstruction, uv_map


def load(folder, name):
    return trimesh.load(os.path.join(folder, name), process=False, maintain_order=True)


def test_written_files(written):
    names = sorted(os.listdir(written[0]))
    assert names == [
        "my face.glb",
        "my face.obj",
        "my face.ply",
        "my face.stl",
        "my face_albedo_map.png",
        "my face_mesh.obj",
        "my face_normal_map.png",
        "my_face.mtl",
        "my_face_texture.png",
    ]
    pictures = {"my face_{}.png".format(kind) for kind in KINDS}
    assert pictures.isdisjoint(names)  # renderer.py may write to the same folder


@pytest.mark.parametrize("name", ["my face.ply", "my face_mesh.obj"])
def test_colored_meshes_come_back(written, name):
    folder, model, reconstruction, _ = written
    mesh = load(folder, name)
    np.testing.assert_allclose(mesh.vertices, reconstruction.world_shape, atol=1e-5)
    np.testing.assert_array_equal(mesh.faces, model.triangles)
    np.testing.assert_allclose(
        mesh.visual.vertex_colors[:, :3], np.clip(reconstruction.colors, 0, 255), atol=1.01
    )


def test_textured_obj_comes_back_with_its_texture(written):
    folder, model, reconstruction, uv_map = written
    mesh = load(folder, "my face.obj")
    np.testing.assert_allclose(mesh.vertices, reconstruction.world_shape, atol=1e-5)
    np.testing.assert_array_equal(mesh.faces, model.triangles)
    if trimesh.__version__ >= "4":  # version 3, the last for Python 3.6, mixes up one vertex
        np.testing.assert_allclose(mesh.visual.uv, uv_map.coordinates, atol=1e-6)
    assert mesh.visual.material.image.size == (512, 512)


@pytest.mark.parametrize("name", ["-dash", "a#b", "-o #1", "\u00fcn\u00ef"])
def test_readers_find_the_texture_whatever_the_name(tmp_path, name):
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    path = str(tmp_path / (name + ".obj"))
    texture = np.full((16, 16, 3), 200, np.uint8)
    write_textured_obj(path, corners, np.array([[0, 1, 2]]), corners[:, :2], texture)
    with open(path, encoding="utf-8") as file:
        library = file.readline().split()
    with open(str(tmp_path / library[1]), encoding="utf-8") as file:
        image = file.read().split("map_Kd ")[1].split()
    assert len(library) == 2 and len(image) == 1 and (tmp_path / image[0]).is_file()
    for word in (library[1], image[0]):
        assert not word.startswith("-") and "#" not in word
    assert load(str(tmp_path), name + ".obj").visual.material.image.size == (16, 16)


def test_gltf_comes_back_upright_in_meters(written):
    folder, model, reconstruction, uv_map = written
    (mesh,) = load(folder, "my face.glb").geometry.values()
    np.testing.assert_allclose(mesh.vertices, make_rig(reconstruction, model).vertices, atol=1e-7)
    centered = model.mean_shape - model.mean_shape.mean(axis=0)
    np.testing.assert_allclose(mesh.vertices, 0.1 * centered, atol=1e-6)  # all actions taken out
    np.testing.assert_allclose(mesh.visual.uv, uv_map.coordinates, atol=1e-6)
    assert np.ptp(mesh.vertices[:, 1]) < 0.3  # meters: a head
    # Seen from outside, triangles run counter-clockwise: the front of the face looks along +z.
    assert np.average(mesh.face_normals[:, 2], weights=mesh.area_faces) > 0.2


def test_stl_is_upright_in_millimeters(written):
    folder, model, reconstruction, _ = written
    mesh = load(folder, "my face.stl")
    wanted = 100 * upright_shape(reconstruction, model)[model.triangles]
    np.testing.assert_allclose(mesh.triangles, wanted, atol=1e-3)


def test_units_scale_obj_and_ply_only(written, tmp_path):
    _, model, reconstruction, uv_map = written
    formats = ("colors", "ply", "stl")
    obj.write_meshes(reconstruction, model, uv_map, str(tmp_path), formats, unit="mm")
    for name in ("my face.ply", "my face_mesh.obj"):
        mesh = load(str(tmp_path), name)
        np.testing.assert_allclose(mesh.vertices, 100 * reconstruction.world_shape, atol=1e-4)
    extents = load(str(tmp_path), "my face.stl").extents
    np.testing.assert_allclose(extents, load(written[0], "my face.stl").extents)


def test_other_expressions_keep_pose_and_texture(written, tmp_path):
    """Neutral: the face of the same coefficients without expression; and back again."""
    _, model, reconstruction, uv_map = written
    expressions = {"_neutral": np.zeros(model.expression_count)}
    obj.write_meshes(
        reconstruction,
        model,
        uv_map,
        str(tmp_path),
        ("obj", "ply", "glb"),
        expressions=expressions,
    )
    neutral = load(str(tmp_path), "my face_neutral.ply")
    np.testing.assert_allclose(neutral.vertices, toy_reconstruction().world_shape, atol=1e-5)
    for name in ("my_face{}_texture.png", "my face{}.glb"):
        assert (tmp_path / name.format("_neutral")).exists() and (
            tmp_path / name.format("")
        ).exists()
    assert read_rig(str(tmp_path / "my face_neutral.glb"))[1] == [0.0, 0.0, 0.0, 1.0]

    rest = replace_expression(reconstruction, model, expressions["_neutral"], "_neutral")
    back = replace_expression(rest, model, expression_of(reconstruction, model), "")
    np.testing.assert_allclose(back.world_shape, reconstruction.world_shape, atol=1e-5)
    np.testing.assert_allclose(back.colors, reconstruction.colors, atol=0.1)


def test_the_expression_of_another_photo_is_that_of_its_first_face(tmp_path):
    model = named_model()

    class Source:
        def locate(self, photo):
            return [photo.name, "second face"]

        def reconstruct(self, faces):
            assert faces == ["other"]
            return [smiling(model)]

    path = str(tmp_path / "other.png")
    Image.new("RGB", (40, 40)).save(path)
    arguments = obj.parse_arguments(["--neutral", "--expression_of", path])
    found = obj.find_expressions(arguments, model, Source())
    assert sorted(found) == ["_expression", "_neutral"] and not found["_neutral"].any()
    np.testing.assert_allclose(found["_expression"][:4], [0.5, 1.0, -0.25, 0.0])
    os.mkdir(str(tmp_path / "none"))
    arguments = obj.parse_arguments(["--expression_of", str(tmp_path / "none")])
    with pytest.raises(InputError, match="0 photos; give one"):
        obj.find_expressions(arguments, model, Source())


def test_the_albedo_texture_has_no_light():
    """A photo drawn by the model under a side light: its texture, divided, is even again."""
    model = toy_face_model()
    model = model._replace(mean_albedo=np.full_like(model.mean_albedo, 120))
    reconstruction = toy_reconstruction(model=model)
    gamma = np.zeros((3, 9))
    gamma[:, 3] = -0.2  # brighter on the right
    gamma[:, 0] = [0.1, 0.0, -0.1]
    coefficients = reconstruction.coefficients.copy()
    coefficients[-30:-3] = gamma.ravel()
    lit = 120 * irradiance(surface_normals(reconstruction.world_shape, model.triangles), gamma)
    photo, _ = draw_attributes(photo_view(reconstruction), model.triangles, lit)
    reconstruction = reconstruction._replace(
        colors=lit.astype(np.float32),
        coefficients=coefficients,
        face=reconstruction.face._replace(photo=np.clip(photo, 0, 255).astype(np.uint8)),
    )
    uv_map = unwrap_uv(model)
    texture = bake_texture(reconstruction, model, uv_map, 512)
    albedo = remove_light(texture, reconstruction, model, uv_map)[100:412, 100:412].astype(float)
    assert np.ptp(texture[100:412, 100:412, 0], axis=1).mean() > 30
    assert np.abs(np.median(albedo, axis=(0, 1)) - 120).max() < 3
    assert np.mean(np.abs(albedo - 120) < 8) > 0.95


def test_the_normal_map_holds_the_normals_of_the_upright_face(written):
    folder, model, reconstruction, uv_map = written
    with Image.open(os.path.join(folder, "my face_normal_map.png")) as image:
        found = np.asarray(image).astype(float) / 127.5 - 1
    wanted = surface_normals(upright_shape(reconstruction, model), model.triangles)
    places = (uv_map.coordinates * [1, -1] + [0, 1]) * len(found) - 0.5
    rows, columns = np.rint(places).astype(int)[:, ::-1].T
    angles = np.einsum("nk,nk->n", found[rows, columns], wanted)
    assert np.median(angles) > 0.99
    np.testing.assert_allclose(np.linalg.norm(found, axis=2), 1, atol=0.02)


def read_glb(path):
    with open(path, "rb") as file:
        content = file.read()
    magic, version, length = struct.unpack("<4sII", content[:12])
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size = struct.unpack("<I", content[12:16])[0]
    return json.loads(content[20 : 20 + size].decode("utf-8")), content[28 + size :]


def dense(document, data, accessor):
    """Read a sparse accessor the way the specification describes it."""
    accessor = document["accessors"][accessor]

    def view(index, kind):
        at = document["bufferViews"][index]
        return np.frombuffer(data[at["byteOffset"] : at["byteOffset"] + at["byteLength"]], kind)

    values, sparse = np.zeros((accessor["count"], 3)), accessor["sparse"]
    places = view(sparse["indices"]["bufferView"], "<u4")
    assert np.all(np.diff(places.astype(int)) > 0) and len(places) == sparse["count"]
    values[places] = view(sparse["values"]["bufferView"], "<f4").reshape(-1, 3)
    return values


def read_rig(path):
    """Return names, weights and displacements of the morph targets of a .glb file."""
    document, data = read_glb(path)
    mesh = document["meshes"][0]
    targets = [
        dense(document, data, target["POSITION"]) for target in mesh["primitives"][0]["targets"]
    ]
    return mesh["extras"]["targetNames"], mesh["weights"], np.array(targets)


def test_morph_targets_are_named_and_restore_the_expression(written):
    """Base + weights * targets is the reconstruction, without its pose."""
    folder, model, reconstruction, _ = written
    names, weights, targets = read_rig(os.path.join(folder, "my face.glb"))
    assert tuple(names) == ACTIONS + (REMAINDER,)
    assert weights == [0.5, 1.0, 0.0, 1.0]  # no program shows a weight outside of 0..1
    for i, target in enumerate(targets[:3]):
        wanted = 0.1 * model.expression_basis[:, i].reshape(-1, 3)
        np.testing.assert_allclose(target, wanted, atol=2e-6)
    (base,) = load(folder, "my face.glb").geometry.values()
    posed = base.vertices + np.tensordot(weights, targets, axes=1)
    np.testing.assert_allclose(posed, 0.1 * upright_shape(reconstruction, model), atol=1e-5)


def test_the_face_at_rest_has_no_expression_whatever_the_coefficients(tmp_path):
    """Coefficients beyond 0..1 and components without a name leave the rest shape alone."""
    for names in (ACTIONS, ()):
        model = toy_face_model()._replace(expression_names=names)
        reconstruction = smiling(model, actions=(1.2, -0.3, 0.4, 2.0, -1.5))
        rig = make_rig(reconstruction, model)
        centered = model.mean_shape - model.mean_shape.mean(axis=0)
        np.testing.assert_allclose(rig.vertices, 0.1 * centered, atol=1e-6)
        weights = [weight for _, _, weight in rig.morph_targets]
        assert [name for name, _, _ in rig.morph_targets] == list(names) + [REMAINDER]
        assert min(weights) >= 0 and max(weights) <= 1
        displacements = [displacement for _, displacement, _ in rig.morph_targets]
        posed = rig.vertices + np.tensordot(weights, displacements, axes=1)
        np.testing.assert_allclose(posed, 0.1 * upright_shape(reconstruction, model), atol=1e-6)


def test_khronos_validator_finds_nothing(written, tmp_path):
    node = shutil.which("node")
    modules = os.environ.get("NODE_PATH", "")
    if not node or not os.path.isdir(os.path.join(modules, "gltf-validator")):
        pytest.skip("node or the npm package gltf-validator is not here (NODE_PATH)")
    still = str(tmp_path / "still.glb")
    model, uv_map = written[1], written[3]
    write_glb(
        still,
        model.mean_shape,
        model.triangles,
        texture=np.zeros((512, 512, 3), np.uint8),
        normals=surface_normals(model.mean_shape, model.triangles[:-9]),  # some vertices unused
        coordinates=uv_map.coordinates,
        morph_targets=[("nothing", np.zeros(model.mean_shape.shape), 0)],
    )
    for path in (os.path.join(written[0], "my face.glb"), still):
        output = subprocess.check_output([node, "-e", VALIDATOR, path], universal_newlines=True)
        issues = json.loads(output)
        assert issues["numErrors"] == issues["numWarnings"] == 0, issues["messages"]


def test_no_triangle_of_the_unwrapped_face_folds_over():
    model = toy_face_model()
    flat = unwrap_uv(model).coordinates
    assert flat.min() > 0 and flat.max() < 1
    assert np.all(doubled_areas(flat, model.triangles) > 0)


def doubled_areas(flat, triangles):
    first, second = (flat[triangles[:, i]] - flat[triangles[:, 0]] for i in (1, 2))
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def test_a_closed_mesh_is_opened_behind_and_its_front_gets_most_of_the_map(tmp_path):
    model = closed_face_model()
    uv_map = unwrap_uv(model)
    flat = uv_map.coordinates
    assert flat.min() > 0 and flat.max() < 1
    areas = doubled_areas(
        flat, model.triangles[model.mean_shape[model.triangles, 2].min(axis=1) > 0]
    )
    assert areas.min() > 0.1 * np.median(areas) and areas.sum() > 0.8  # of a disc's 2 * 0.75
    np.testing.assert_allclose(flat[model.mean_shape[:, 2].argmax()], 0.5, atol=0.05)
    np.testing.assert_array_less(
        [0.8, 0.8], [np.corrcoef(flat[:, i], model.mean_shape[:, i])[0, 1] for i in (0, 1)]
    )
    reconstruction = toy_reconstruction(model=model)
    obj.write_meshes(reconstruction, model, uv_map, str(tmp_path), texture_size=512)
    (face,) = load(str(tmp_path), "face.glb").geometry.values()
    np.testing.assert_allclose(face.visual.uv, flat, atol=1e-6)


def test_mirror_of_the_mirror_is_the_vertex_itself():
    uv_map = unwrap_uv(toy_face_model())
    np.testing.assert_array_equal(uv_map.mirrored[uv_map.mirrored], np.arange(len(uv_map.mirrored)))


def test_texture_holds_the_photo_where_it_is_seen():
    """The photo's red is its column and green its row: each vertex must find its projection."""
    model, reconstruction = toy_face_model(), toy_reconstruction()
    uv_map = unwrap_uv(model)
    texture = bake_texture(reconstruction, model, uv_map, 1024).astype(float)
    world = reconstruction.world_shape
    normals = surface_normals(world, model.triangles)
    facing = np.flatnonzero(normals[:, 2] > 0.75)
    width, height, scale, shift_x, shift_y = reconstruction.face.alignment.trans_params
    crop = 112 + 1015 * world[facing, :2] / (10 - world[facing, 2:]) * [
        1,
        -1,
    ]  # pixel corners, y down
    photo = (crop - 112) / scale + [
        shift_x,
        height - shift_y,
    ]  # up to a pixel, as the published crop rounds
    place = uv_map.coordinates[facing] * 1024
    found = texture[(1024 - place[:, 1]).astype(int), place[:, 0].astype(int)]
    wanted = photo / 399 * 255
    assert len(facing) > 100
    np.testing.assert_allclose(np.median(np.abs(found[:, :2] - wanted), axis=0), 0, atol=2.5)


def test_unseen_half_takes_the_colors_of_the_seen_one():
    """A face in profile, red where it is seen: its far half is red by symmetry."""
    model, reconstruction = toy_face_model(), toy_reconstruction()
    red = np.zeros_like(reconstruction.face.photo) + np.array([220, 10, 10], np.uint8)
    reconstruction = reconstruction._replace(face=reconstruction.face._replace(photo=red))
    texture = bake_texture(reconstruction, model, unwrap_uv(model), 512).astype(int)
    disc = texture[100:412, 100:412]
    assert np.abs(np.median(disc.reshape(-1, 3), axis=0) - [220, 10, 10]).max() < 6


def test_background_does_not_bleed_onto_a_face_that_fits_a_little_loosely():
    """The red face in the photo is narrower than its reconstruction by 3 crop pixels all around."""
    model, reconstruction = toy_face_model(), toy_reconstruction()
    _, coverage = draw_attributes(
        photo_view(reconstruction), model.triangles, np.ones((model.vertex_count, 1))
    )
    narrower = scipy.ndimage.binary_erosion(
        coverage > 0.5, iterations=int(round(3 / reconstruction.face.alignment.trans_params[2]))
    )
    photo = np.where(narrower[..., np.newaxis], [200, 60, 50], [20, 220, 20]).astype(np.uint8)
    reconstruction = reconstruction._replace(face=reconstruction.face._replace(photo=photo))
    uv_map = unwrap_uv(model)
    texture = bake_texture(reconstruction, model, uv_map, 512).astype(int)
    place = (uv_map.coordinates * [1, -1] + [0, 1]) * 512
    found = texture[place[:, 1].astype(int), place[:, 0].astype(int)]
    assert np.mean(found[:, 1] > 110) < 0.02
    assert np.abs(np.median(found, axis=0) - [200, 60, 50]).max() < 6


def with_teeth(model):
    """The toy model with a small white sheet behind its mouth."""
    center = model.mean_shape[model.landmarks[48:68]].mean(axis=0) - [0, 0, 0.1]
    corners = np.array([[-0.1, -0.05, 0], [0.1, -0.05, 0], [0.1, 0.05, 0], [-0.1, 0.05, 0]])
    first, last = model.vertex_count, model.vertex_count + len(corners)
    triangles = np.concatenate([model.triangles, [[first, first + 1, first + 2]]])
    triangles = np.concatenate([triangles, [[first, first + 2, first + 3]]]).astype(np.int32)

    def longer(basis):
        return np.concatenate([basis, np.zeros((12, basis.shape[1]), np.float32)])

    return model._replace(
        mean_shape=np.concatenate([model.mean_shape, center + corners]).astype(np.float32),
        mean_albedo=np.concatenate([model.mean_albedo, np.full((4, 3), 220, np.float32)]),
        identity_basis=longer(model.identity_basis),
        expression_basis=longer(model.expression_basis),
        albedo_basis=longer(model.albedo_basis),
        triangles=triangles,
        vertex_triangles=vertex_triangle_table(triangles, last),
        skin_mask=np.concatenate([model.skin_mask, np.zeros(4, np.float32)]),
    )


def test_teeth_are_never_blue_or_green():
    """Not even where a photo is blue all over and the model's light is green."""
    model = with_teeth(toy_face_model())
    reconstruction = toy_reconstruction(model=model)
    blue = np.zeros_like(reconstruction.face.photo) + np.array([10, 60, 220], np.uint8)
    green = reconstruction.colors * np.float32([0.6, 1, 0.7])
    reconstruction = reconstruction._replace(
        face=reconstruction.face._replace(photo=blue), colors=green
    )
    uv_map = unwrap_uv(model)
    texture = bake_texture(reconstruction, model, uv_map, 512).astype(int)
    place = (uv_map.coordinates[-4:].mean(axis=0) * [1, -1] + [0, 1]) * 512
    red, *others = texture[int(place[1]), int(place[0])]
    assert max(others) <= red and red > 30
    disc = texture[100:412, 100:412].reshape(-1, 3)
    assert np.median(disc[:, 2] - disc[:, 0]) > 150  # the skin keeps the photo's color
