# TensorFlow 1.12 (Python 3.6) on the CPU, as the published code. From the root of the repository:
#   docker build -f docker/tensorflow1.Dockerfile -t deep3d-tf1 .
#   docker run --rm -v "$PWD/photos:/deep3d/input:ro" -v "$PWD/results:/deep3d/output" deep3d-tf1 demo.py

# The open face model and the face networks are built once, under a current Python.
FROM python:3.12-slim-bookworm AS models
RUN apt-get update && apt-get install --yes --no-install-recommends g++ make && rm -rf /var/lib/apt/lists/*
WORKDIR /deep3d
COPY . .
RUN make face-model face-networks

# This larger image has a compiler; Debian's packages of that age have moved to its archive.
FROM python:3.6-bullseye
WORKDIR /deep3d
COPY . .
COPY --from=models /deep3d/BFM /deep3d/BFM
COPY --from=models /deep3d/network /deep3d/network
RUN make setup-tf1

ENTRYPOINT [".venv-tf1/bin/python"]
CMD ["demo.py"]
