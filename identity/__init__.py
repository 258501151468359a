"""Identity features of faces, for the perceptual loss and for the mesh generator."""

from identity.features import IDENTITY_CHOICES, IdentityNetwork, load_identity_network

__all__ = ["IDENTITY_CHOICES", "IdentityNetwork", "load_identity_network"]
