"""Identity features: what the perceptual loss compares, and what tells the mesh generator of a face."""

from identity.features import IDENTITY_CHOICES, IdentityNetwork, load_identity_network

__all__ = ["IDENTITY_CHOICES", "IdentityNetwork", "load_identity_network"]
