"""A process that fits landmarks by eos, or finds them by MediaPipe, on request.

Arguments and requests are those of ``peer_worker``.
"""

import sys

import numpy as np
from peer_worker import main


def eos(scene):
    """Fit pose, identity and expression to the 68 landmarks of each face."""
    import eos

    # 1. the face model
    triangles = scene["triangles"].tolist()

    def component_model(basis):
        variances = np.sum(basis**2, axis=0)
        return eos.morphablemodel.PcaModel(
            scene["mean"], basis / np.sqrt(variances), variances[:, np.newaxis], triangles
        )

    model = eos.morphablemodel.MorphableModel(
        component_model(scene["identity"]),
        component_model(scene["expression"]),
        eos.morphablemodel.PcaModel(),
        None,
    )
    faces = [
        [
            eos.core.Landmark(str(vertex), point.astype(np.float32))
            for vertex, point in zip(scene["vertices"].tolist(), points)
        ]
        for points in scene["landmarks"]
    ]
    size = int(scene["size"])

    # 2. its default settings, all components
    def work():
        found = []
        for face in faces:
            mesh, _, _, _ = eos.fitting.fit_shape_and_pose(
                model, face, eos.core.LandmarkMapper(), size, size
            )
            found.append(np.asarray(mesh.vertices)[:, :3])
        return {"shapes": np.array(found, np.float32)}

    return work


def mediapipe(scene):
    """Find the 478 points of the face in each photo."""
    import mediapipe
    from mediapipe.tasks import python
    from mediapipe.tasks.python import vision

    options = vision.FaceLandmarkerOptions(
        base_options=python.BaseOptions(model_asset_buffer=scene["network"].tobytes())
    )
    landmarker = vision.FaceLandmarker.create_from_options(options)
    photos = [scene["photo{}".format(i)] for i in range(int(scene["count"]))]

    def work():
        points = []
        for photo in photos:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=photo)
            (face,) = landmarker.detect(image).face_landmarks
            size = photo.shape[1::-1]
            points.append(np.array([[point.x, point.y] for point in face]) * size - 0.5)
        return {"points": np.array(points)}

    return work


TASKS = {"eos": eos, "mediapipe": mediapipe}


if __name__ == "__main__":
    main(TASKS, *sys.argv[1:])
