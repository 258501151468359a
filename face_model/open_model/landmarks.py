"""The 68 iBUG landmarks on the mesh.

Each is named by its base vertices (one vertex, the two ends of an edge, or the four corners of a
quad), and so independent of crop and resolution. They were found once: dlib's 68-point predictor on
frontal renders of sixteen random heads; among the vertices that face the camera, the one nearest on
average to the point and, mirrored, to its counterpart. Points on the midline were confined to it,
the inner lips to the lowest vertices that stay when the jaw opens and to the highest of those that
move with it. A second round, on renders with skin and brows, moved seven of them by one vertex.

The jaw line (1-8) is not the predictor's, which sets it a centimeter too high on heads without
hair. It is that of BFM's mean face, the 68 points of ``similarity_Lm3D_all.mat`` (Deng et al.,
CVPRW 2019), also used by the landmarks of 300W-LP and AFLW2000-3D: laid onto the mean head by the
41 points of nose, eyes and mouth, the nearest vertices of the skin, 2 to 5 mm away.
"""

from typing import Dict, Mapping, Tuple

import numpy as np

from face_model.open_model.head_mesh import HeadMesh
from geometry.landmark_layout import LANDMARK_COUNT

# Landmark -> its base vertices. Landmarks are counted from 1; the image's left half (the person's
# right) and the midline are listed, the others are mirror images.
# fmt: off
_HALF: Dict[int, Tuple[int, ...]] = {
    1: (5566, 5745), 2: (5727, 5750), 3: (866,), 4: (911, 912), 5: (739, 740, 894, 895),
    6: (892,), 7: (891, 917), 8: (5293,), 9: (5296,),
    18: (261,), 19: (206, 207, 224, 225), 20: (204, 222), 21: (205, 208), 22: (209,),
    28: (132, 133), 29: (131,), 30: (164, 201), 31: (294,), 32: (320, 325, 344, 347), 33: (313,),
    34: (317,),
    37: (21, 6781), 38: (0, 6), 39: (54, 6763), 40: (6764, 6769), 41: (47,),
    42: (36, 41, 4859, 4860),
    49: (428, 500, 3733, 3734), 50: (5351, 5352), 51: (460,), 52: (466, 467), 58: (492,),
    59: (486,), 60: (406, 478, 480, 484), 61: (437,), 62: (472,), 63: (474, 520), 67: (493,),
    68: (487,),
}

# The face's outline as seen from the front, where dlib's predictor marks a bald head's jaw line;
# regions of the skin end at it.
_OUTLINE_HALF: Dict[int, Tuple[int, ...]] = {
    1: (5402, 5564), 2: (5411, 5763), 3: (5098,), 4: (869, 912, 5238, 5242), 5: (5240, 5241),
    6: (5298,), 7: (5295,), 8: (5292, 5293),
}

# Mirror images: (landmark, its listed counterpart).
_MIRRORED = (
    (17, 1), (16, 2), (15, 3), (14, 4), (13, 5), (12, 6), (11, 7), (10, 8), (27, 18), (26, 19),
    (25, 20), (24, 21), (23, 22), (36, 32), (35, 33), (46, 37), (45, 38), (44, 39), (43, 40),
    (48, 41), (47, 42), (55, 49), (54, 50), (53, 51), (57, 59), (56, 60), (65, 61), (64, 62),
    (66, 68),
)
# fmt: on


def landmark_vertices(head: HeadMesh) -> np.ndarray:
    """Return the [68] int32 vertices of a ``HeadMesh``, in iBUG's order."""
    return _vertices(head, _HALF)


def outline_vertices(head: HeadMesh) -> np.ndarray:
    """Return :func:`landmark_vertices` with the outline in place of the jaw line, [68] int32."""
    return _vertices(head, {**_HALF, **_OUTLINE_HALF})


def _vertices(head: HeadMesh, half: Mapping[int, Tuple[int, ...]]) -> np.ndarray:
    vertices = np.full(LANDMARK_COUNT, -1, np.int32)
    for number, name in half.items():
        vertices[number - 1] = head.vertex_at[name]
    for number, source in _MIRRORED:
        vertices[number - 1] = head.mirror[vertices[source - 1]]
    return vertices
