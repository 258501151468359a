"""Compare this project with numbers measured on the published system.

    python tests/parity.py --golden DIR [--bfm_info DIR]

Prints the worst relative error of every quantity and exits with status 1 if one is above its
tolerance: 1e-5 for values, 1e-4 for gradients and networks (1e-3 for R-Net in training mode, where
the published figures are themselves 3e-4 off float64), identical masks, 2 gray levels for
resampled images. ``DIR`` holds ``toy_model.mat`` and ``*.npz``; checks whose file is absent are
named as not run. ``--bfm_info`` adds the conversion of BFM09 with its true index files and
random bases of the true sizes.
"""

import argparse
import os
import sys
import tempfile
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

REPO_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if REPO_ROOT not in sys.path:  # run as a script
    sys.path.insert(0, REPO_ROOT)

import losses  # noqa: E402
from alignment.align import align  # noqa: E402
from alignment.skin import skin_mask  # noqa: E402
from face_decoder import decode_face, render_face  # noqa: E402
from face_model import read_face_model  # noqa: E402
from face_model.coefficients import coefficient_sizes, split_coefficients  # noqa: E402
from tests.composed_step import composed_step, reflectance_by_hand  # noqa: E402
from tests.network_parity import network_outputs  # noqa: E402
from tests.pyramid_parity import laplacians, published_generator  # noqa: E402
from utils.errors import InputError, run_main  # noqa: E402
from utils.tf_compat import tf  # noqa: E402

VALUE_TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 1e-4
GRAY_LEVELS = 2


class Check(NamedTuple):
    """One compared quantity."""

    name: str
    error: float
    tolerance: float
    unit: str = "relative"


def relative(name: str, ours: Any, theirs: Any, tolerance: float = VALUE_TOLERANCE) -> Check:
    """Compare by the largest difference over the largest published magnitude."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape:
        return Check(name, np.inf, tolerance, "shape {} not {}".format(ours.shape, theirs.shape))
    return Check(
        name, float(np.max(np.abs(ours - theirs)) / max(np.max(np.abs(theirs)), 1e-30)), tolerance
    )


def gray_levels(name: str, ours: Any, theirs: Any, tolerance: float = GRAY_LEVELS) -> Check:
    """Compare images by the largest difference in gray levels."""
    error = np.max(np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)))
    return Check(name, float(error), tolerance, "gray levels")


def differing_pixels(name: str, ours: Any, theirs: Any) -> Check:
    """Compare masks, which must be identical."""
    return Check(name, float(np.sum(np.asarray(ours, np.float64) != theirs)), 0, "pixels")


def decoder_checks(golden: str) -> Iterator[Check]:
    """Yield checks of the decoder, the rasterizer, the losses and their gradients."""
    model = read_face_model(os.path.join(golden, "toy_model.mat"))
    published = np.load(os.path.join(golden, "decoder_and_losses.npz"), allow_pickle=False)
    with tf.Graph().as_default():
        coefficients = tf.constant(published["coeff"])
        face = decode_face(coefficients, model)
        rendering = render_face(face, model)
        terms = _published_losses(published, coefficients, face, rendering, model)
        gradients = {
            name: tf.gradients(term, coefficients)[0]
            for name, term in terms._asdict().items()
            if name != "perceptual"
        }
        with tf.Session() as session:
            face, rendering, terms, gradients = session.run([face, rendering, terms, gradients])
    yield relative("face_shape", face.world_shape, published["face_shape_world"])
    yield relative("face_texture", face.albedo, published["face_texture"])
    yield relative("face_color", face.colors, published["face_color"])
    yield relative("landmarks", face.landmarks, published["landmarks_2d"])
    yield differing_pixels("mask", rendering.mask, published["mask"])
    yield differing_pixels("front mask", rendering.front_mask, published["mask_crop"])
    yield relative("render", rendering.image, published["render_bgr"])
    short = {"photometric": "photo"}
    for name, value in terms._asdict().items():
        yield relative("loss " + name, value, published["loss_" + short.get(name, name)])
    for name, value in gradients.items():
        yield relative(
            "gradient of " + name,
            value,
            published["grad_" + short.get(name, name)],
            GRADIENT_TOLERANCE,
        )


def _published_losses(published, coefficients, face, rendering, model):
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    attention = tf.constant(published["attention"].astype(np.float32))
    return losses.Losses(
        photometric=losses.photometric_loss(
            tf.constant(published["photo"].astype(np.float32)),
            rendering.image,
            rendering.front_mask * attention,
        ),
        landmark=losses.landmark_loss(face.landmarks, tf.constant(published["landmark_labels"])),
        perceptual=losses.perceptual_loss(
            tf.constant(published["feat_a"]), tf.constant(published["feat_b"])
        ),
        regularization=losses.regularization_loss(parts),
        reflectance=losses.reflectance_loss(face.albedo, model.skin_mask),
        gamma=losses.gamma_loss(parts.gamma),
    )


def alignment_checks(golden: str) -> Iterator[Check]:
    """Yield checks of the crop and of the skin mask."""
    published = np.load(os.path.join(golden, "networks_alignment_skin.npz"), allow_pickle=False)
    result = align(published["align_image_rgb"], published["align_lm5"])
    yield gray_levels("aligned crop", result.crop, published["align_crop_bgr"][..., ::-1])
    yield relative("five points in the crop", result.five_points, published["align_lm5_crop"])
    yield relative("trans_params", result.trans_params, published["align_trans_params"])
    yield gray_levels(
        "skin mask", skin_mask(published["skin_bgr"][..., ::-1]), published["skin_mask"]
    )


def network_checks(golden: str) -> Iterator[Check]:
    """Yield checks of R-Net, FaceNet and the mesh generator."""
    for output in network_outputs(golden):
        if output.tolerance == 0:
            yield Check(output.name, output.ours, 0, "count")
        else:
            yield relative(output.name, output.ours, output.published, output.tolerance)


def pyramid_checks(golden: str) -> Iterator[Check]:
    """Yield checks of the Laplacians of the published pyramid."""
    for one in laplacians(golden):
        yield Check(one.name, float(one.ours), one.tolerance, "absolute")


def generator_checks(golden: str) -> Iterator[Check]:
    """Yield the check of the published generator on the published pyramid."""
    one = published_generator(golden)
    yield relative(one.name, one.ours, one.published, one.tolerance)


def composed_checks(golden: str) -> Iterator[Check]:
    """Yield checks of the losses that a training step composes."""
    for name, ours, by_hand in composed_step(golden):
        yield relative("step: " + name, ours, by_hand)


def fractional_mask_checks(golden: str) -> Iterator[Check]:
    """Yield the check of the reflectance loss under a fractional skin mask."""
    model = read_face_model(os.path.join(golden, "toy_model.mat"))
    random = np.random.RandomState(3)
    mask = random.uniform(0, 1, model.vertex_count).astype(np.float32)
    albedo = random.uniform(0, 255, (2, model.vertex_count, 3)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        ours = session.run(losses.reflectance_loss(tf.constant(albedo), mask))
    yield relative("reflectance, fractional mask", ours, reflectance_by_hand(albedo, mask))


SUITES = (
    ("decoder and losses", ("toy_model.mat", "decoder_and_losses.npz"), decoder_checks),
    ("alignment and skin", ("networks_alignment_skin.npz",), alignment_checks),
    ("networks", ("networks_alignment_skin.npz", "variables.json"), network_checks),
    ("mesh pyramid", ("gcn_pyramid/adjacency4.npz", "gcn_pyramid/laplacians4.npz"), pyramid_checks),
    ("mesh generator", ("gcn_pyramid/published_generator.npz",), generator_checks),
    ("fractional mask", ("toy_model.mat",), fractional_mask_checks),
    ("training step", ("toy_model.mat", "decoder_and_losses.npz"), composed_checks),
)


def bfm_checks(folder: str) -> Iterator[Check]:
    """Yield checks of the BFM09 conversion against a direct computation on random bases."""
    from face_model.bfm import convert_bfm09

    # imported late: tests/ needs the repo root
    from tests.bfm_pieces import (
        direct_rows,
        write_random_pieces,
    )

    with tempfile.TemporaryDirectory() as scratch:
        pieces = write_random_pieces(scratch, index_folder=folder)
        model = convert_bfm09(scratch)
        vertices = np.random.RandomState(1).randint(0, model.vertex_count, 50)
        for name, expected in direct_rows(pieces, vertices).items():
            array = getattr(model, name)
            ours = (
                array[vertices]
                if array.shape[0] == model.vertex_count
                else np.stack([array[3 * v : 3 * v + 3] for v in vertices])
            )
            yield relative("BFM09 " + name, ours, expected)
        yield Check("BFM09 vertices", abs(model.vertex_count - 35709), 0, "count")
        yield Check("BFM09 triangles", abs(model.triangle_count - 70789), 0, "count")


def run_suites(golden: str, bfm_info: Optional[str] = None) -> Tuple[List[Check], List[str]]:
    """Return (checks, names of suites that were not run)."""
    checks, not_run = [], []
    for name, files, suite in SUITES:
        missing = [file for file in files if not os.path.isfile(os.path.join(golden, file))]
        if missing:
            not_run.append("{} (no {})".format(name, ", ".join(missing)))
        else:
            checks += list(suite(golden))
    if bfm_info:
        checks += list(bfm_checks(bfm_info))
    return checks, not_run


def report(checks: List[Check]) -> Tuple[str, bool]:
    """Return the table as text, and whether every check is within its tolerance."""
    lines = []
    for check in checks:
        verdict = "ok" if check.error <= check.tolerance else "ABOVE"
        lines.append(
            "{:28s} {:10.3g}  (at most {:g}, {})  {}".format(
                check.name, check.error, check.tolerance, check.unit, verdict
            )
        )
    return "\n".join(lines), all(check.error <= check.tolerance for check in checks)


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--golden", required=True, help="folder with the published system's numbers"
    )
    parser.add_argument("--bfm_info", help="folder with BFM09's public index files")
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> int:
    """Run every suite that the folder has files for."""
    arguments = parse_arguments(argv)
    for folder in filter(None, (arguments.golden, arguments.bfm_info)):
        if not os.path.isdir(folder):
            raise InputError("{}: no such folder".format(folder))
    checks, not_run = run_suites(arguments.golden, arguments.bfm_info)
    if not checks:
        raise InputError("{}: none of the files to compare with are here".format(arguments.golden))
    table, passed = report(checks)
    print(table)
    for name in not_run:
        print("not run: " + name)
    failed = sum(check.error > check.tolerance for check in checks)
    print(
        "{} quantities compared, {}".format(
            len(checks), "all within tolerance" if passed else "{} above".format(failed)
        )
    )
    return 0 if passed else 1


if __name__ == "__main__":
    run_main(main)
