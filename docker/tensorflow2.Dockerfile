# A current TensorFlow on the CPU. From the root of the repository:
#   docker build -f docker/tensorflow2.Dockerfile -t deep3d .
#   docker run --rm -v "$PWD/photos:/deep3d/input:ro" -v "$PWD/results:/deep3d/output" deep3d demo.py
FROM python:3.12-slim-bookworm
RUN apt-get update && apt-get install --yes --no-install-recommends g++ make && rm -rf /var/lib/apt/lists/*
WORKDIR /deep3d

# Packages first: they are installed again only if their list changes.
COPY Makefile requirements.txt ./
RUN make .venv/.installed

# The compiled rasterizer, the open face model and the face networks.
COPY . .
RUN make setup

ENTRYPOINT [".venv/bin/python"]
CMD ["demo.py"]
