"""The networks, method and steps of a pipeline, as ``reconstruction.network_choice`` decides."""

from typing import NamedTuple, Optional, Tuple


class GeneratorChoice(NamedTuple):
    """A mesh generator, and the network that gives its embedding."""

    path: str  # prefix of the generator's checkpoint
    coefficient_weights: str  # path of the weights of the R-Net that it was trained on
    pyramid: str  # name of the mesh pyramid that it was trained on


class NetworkChoice(NamedTuple):
    """The networks of a run, the method and the number of fitting steps, all resolved."""

    method: str  # "fit", "network" or "both": network, then fit
    steps: int  # photometric steps of fitting
    weights: Optional[str] = None  # path of the coefficient network's weights; None to fit alone
    source: Optional[str] = None  # of weights: "named" by the user, "published" or "shipped"
    generator: Optional[GeneratorChoice] = None  # None to leave meshes unrefined
    c_net: Optional[str] = (
        None  # named by the user; None: see ``reconstruction.regressor.find_shipped_c_net``
    )
    notices: Tuple[str, ...] = ()  # for the user: doubts about a network, flags without effect
