"""The choice of networks: from flags and files to a :class:`NetworkChoice`.

1. :func:`read_network_request` reads the flags, before the face model is loaded;
2. :func:`choose_networks` decides for a face model.

Weights that the user names come first, then the published network in ``network/``, then the
network shipped with the repository; the last two only if they are compatible with the face model.
"""

import argparse
import os
from typing import Any, Dict, NamedTuple, Optional, Tuple

from checkpoints.c_net import require_c_net_of
from checkpoints.record import (
    is_presumed_for_bfm09,
    matches_face_model,
    read_record,
)
from checkpoints.variables import checkpoint_exists
from face_model.model import FaceModel
from fitting.photometric import DEFAULT_STEPS, REFINING_STEPS
from gcn.pyramid import recorded_pyramid
from gcn.refiner import is_mesh_generator, require_mesh_generator
from reconstruction.chosen_networks import GeneratorChoice, NetworkChoice
from utils.errors import InputError
from utils.paths import NETWORK_DIR

# Where users put the published network.
PUBLISHED_NETWORK = os.path.join(NETWORK_DIR, "FaceReconModel.pb")
SHIPPED_NETWORK = os.path.join(NETWORK_DIR, "open_face_model_r_net.pb")


class Weights(NamedTuple):
    """A file of weights, and the facts that decide its use."""

    path: str  # a frozen graph, or prefix of a checkpoint
    exists: bool
    record: Optional[Dict[str, Any]]  # None without one
    is_mesh_generator: bool

    @property
    def coefficient_weights(self) -> Optional[str]:
        """Path of the coefficient network that a mesh generator was trained on; None if lost."""
        path = ((self.record or {}).get("options") or {}).get("coefficient_weights")
        return path if isinstance(path, str) and _weights_exist(path) else None

    @property
    def pyramid(self) -> str:
        """Name of the mesh pyramid that a mesh generator was trained on."""
        return recorded_pyramid(self.record)


def read_weights(path: str) -> Weights:
    """Read names of variables and the record of a checkpoint, or the record of a frozen graph.

    Raises:
        InputError: the checkpoint or its record is damaged.
    """
    exists = _weights_exist(path)
    return Weights(path, exists, read_record(path) if exists else None, is_mesh_generator(path))


def _weights_exist(path: str) -> bool:
    return os.path.isfile(path) or checkpoint_exists(path)


class NetworkRequest(NamedTuple):
    """The networks that a user asks for."""

    method: str = "auto"  # or "fit", "network", "both"
    steps: Optional[int] = None  # photometric steps of fitting; None for the method's default
    named: Optional[Weights] = None  # a coefficient network, or a mesh generator
    refine: Optional[str] = None  # checkpoint of a mesh generator; None: named, if it is one
    c_net: Optional[str] = None  # weights of a C-Net; None for the shipped one where it fits


def read_network_request(arguments: argparse.Namespace) -> NetworkRequest:
    """Read the flags for networks, and complain of those that no face model can fulfil.

    Args:
        arguments: parsed flags of ``arguments.add_reconstruction_flags``.

    Raises:
        InputError: weights are missing or damaged, or have lost the network they were trained on.
    """
    named = read_weights(arguments.pretrain_weights) if arguments.pretrain_weights else None
    if named and named.is_mesh_generator and named.record is None:
        if not os.path.isfile(PUBLISHED_NETWORK):
            raise _published_network_missing(named.path)
    elif named and named.is_mesh_generator and named.coefficient_weights is None:
        raise InputError(
            "{}: a mesh generator, but the coefficient network it was trained on is not where its "
            "record says; give that as --pretrain_weights and this as --refine".format(named.path)
        )
    c_net: Optional[str] = getattr(arguments, "c_net", None)
    if c_net and not _weights_exist(c_net):
        raise InputError("{}: no such C-Net; train.py --model c_net makes one".format(c_net))
    request = NetworkRequest(arguments.method, arguments.steps, named, arguments.refine, c_net)
    if named or request.method == "fit":
        return request
    if not arguments.use_pb:
        raise InputError(
            "--use_pb 0 needs --pretrain_weights, e.g. result/my_model/iter_200000.ckpt"
        )
    has_network = os.path.isfile(PUBLISHED_NETWORK) or os.path.isfile(SHIPPED_NETWORK)
    if request.method != "auto" and not has_network:
        raise _network_missing(request.method)
    return request


def choose_networks(request: NetworkRequest, model: FaceModel) -> NetworkChoice:
    """Choose the networks of a run, and resolve method and number of steps.

    Args:
        request: a :class:`NetworkRequest`.
        model: the ``FaceModel`` that is to decode the coefficients.

    Raises:
        InputError: the requested method needs a network, and none is compatible with the model; or
            the mesh generator is missing, damaged, or has lost the network it was trained on.
    """
    # 1. the coefficient network
    named = request.named
    if named and named.is_mesh_generator:
        below = named.coefficient_weights
        named = read_weights(below) if below else None
    found = _CoefficientNetwork()
    if request.method != "fit":
        found = _choose_coefficient_network(named, model)
        if found.path is None and request.method != "auto":
            raise _network_missing(request.method, model)

    # 2. the mesh generator, and the network below it
    generator = None
    if request.refine is not None:
        require_mesh_generator(request.refine)
        generator = read_weights(request.refine)
    elif request.named and request.named.is_mesh_generator:
        generator = request.named

    # 3. C-Net, which belongs to one coefficient network
    if request.c_net:
        if found.path is None:
            raise InputError(
                "{}: C-Net needs the coefficient network it was trained on; give that as "
                "--pretrain_weights, and no --method fit".format(request.c_net)
            )
        require_c_net_of(request.c_net, found.path)

    # 4. method and steps
    method = _resolve_method(request, found.path)
    steps = request.steps
    if steps is None:
        steps = REFINING_STEPS if method == "both" else DEFAULT_STEPS
    notices = found.notices
    if request.method == "network" and request.steps:
        notices += (
            "--steps {}: not used, --method network does not fit; choose both".format(
                request.steps
            ),
        )
    return NetworkChoice(
        method=method,
        steps=steps,
        weights=found.path,
        source=found.source,
        generator=_choose_below_generator(generator, named) if generator else None,
        c_net=request.c_net,
        notices=notices,
    )


def choose_coefficient_network(
    named: Optional[str], model: FaceModel
) -> Tuple[Optional[str], Tuple[str, ...]]:
    """Choose the coefficient network for a face model.

    Args:
        named: path of weights that the user names, or None.
        model: the ``FaceModel`` that is to decode the coefficients.

    Returns:
        Path of the weights or None, and notices for the user.
    """
    found = _choose_coefficient_network(read_weights(named) if named else None, model)
    return found.path, found.notices


def find_shipped_network(model: FaceModel) -> Optional[str]:
    """Return the path of the network shipped with the repository; None if it does not fit.

    Args:
        model: the ``FaceModel`` that is to decode the coefficients.
    """
    if not os.path.isfile(SHIPPED_NETWORK):
        return None
    return SHIPPED_NETWORK if matches_face_model(read_record(SHIPPED_NETWORK), model) else None


class _CoefficientNetwork(NamedTuple):
    """The coefficient network of a :class:`NetworkChoice`."""

    path: Optional[str] = None
    source: Optional[str] = None
    notices: Tuple[str, ...] = ()


def _choose_coefficient_network(named: Optional[Weights], model: FaceModel) -> _CoefficientNetwork:
    """Choose the named, the published or the shipped network."""
    if named:
        notices: Tuple[str, ...] = ()
        if named.exists and is_presumed_for_bfm09(named.record, model):
            notices = (
                "{}: no record beside it says which face model it was trained for; a published "
                "network was trained for BFM09, and its faces come out wrong in {}".format(
                    named.path, model.name
                ),
            )
        return _CoefficientNetwork(named.path, "named", notices)

    notices = ()
    if os.path.isfile(PUBLISHED_NETWORK):
        if not is_presumed_for_bfm09(read_record(PUBLISHED_NETWORK), model):
            return _CoefficientNetwork(PUBLISHED_NETWORK, "published")
        notices = (
            "{}: the network of this name is for BFM09, and the face model is {}: it is not used; "
            "a network of your own needs the record that python -m checkpoints writes beside "
            "it".format(PUBLISHED_NETWORK, model.name),
        )
    shipped = find_shipped_network(model)
    return _CoefficientNetwork(shipped, "shipped" if shipped else None, notices)


def _choose_below_generator(generator: Weights, named: Optional[Weights]) -> GeneratorChoice:
    """Choose the coefficient network that gives the embedding: the one it was trained on.

    Where the record does not lead to it, only the user can name it; the embedding of another
    network gives wrong meshes. A published generator has no record, and was trained on the
    published network.
    """
    weights = generator.coefficient_weights
    if weights is None and named:
        weights = named.path
    if weights is None and generator.record is None:
        if not os.path.isfile(PUBLISHED_NETWORK):
            raise _published_network_missing(generator.path)
        weights = PUBLISHED_NETWORK
    if weights is None:
        raise InputError(
            "{}: the coefficient network it was trained on is not where its record says; give it "
            "as --pretrain_weights".format(generator.path)
        )
    return GeneratorChoice(generator.path, weights, generator.pyramid)


def _published_network_missing(generator: str) -> InputError:
    """Return the error of a mesh generator without a record, which is a published one."""
    return InputError(
        "{}: a mesh generator without a record is a published one and needs {}; put it "
        "there, or name the network that it was trained on by --pretrain_weights".format(
            generator, PUBLISHED_NETWORK
        )
    )


def _resolve_method(request: NetworkRequest, weights: Optional[str]) -> str:
    """Resolve ``auto``, and ``both`` without a step: ``fit``, ``network`` or ``both``."""
    method = request.method
    if method == "auto" and weights is None:
        method = "fit"
    elif method == "auto":
        method = "both" if weights == SHIPPED_NETWORK or request.steps else "network"
    return "network" if method == "both" and request.steps == 0 else method


def _network_missing(method: str, model: Optional[FaceModel] = None) -> InputError:
    """Return the error of a method whose network is missing or fits another face model."""
    if model is not None and os.path.isfile(PUBLISHED_NETWORK):
        return InputError(
            "{}: is for BFM09, and --method {} needs a network for {}; give one as "
            "--pretrain_weights, or omit --method".format(PUBLISHED_NETWORK, method, model.name)
        )
    return InputError(
        "{}: missing, and --method {} needs it; network/README.md says where it comes from".format(
            PUBLISHED_NETWORK, method
        )
    )
