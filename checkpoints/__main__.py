"""Freeze R-Net, C-Net or the landmark network: ``python -m checkpoints CHECKPOINT GRAPH``.

The frozen graph is independent of this code. The record of the checkpoint, which names its face
model, is copied beside it as GRAPH.json, without the folders of this machine.
"""

import argparse
import os
from typing import Any, Dict, Optional, Sequence

from checkpoints.c_net import export_c_net
from checkpoints.landmark_net import export_landmark_net
from checkpoints.r_net import export_r_net
from checkpoints.record import (
    read_record,
    record_path,
    recorded_option,
    trained_image_size,
)
from utils.errors import run_main
from utils.json_files import write_json
from utils.paths import from_root


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m checkpoints",
        description="Write a checkpoint of R-Net, C-Net or the landmark network as a frozen graph.",
    )
    parser.add_argument("checkpoint", help="its prefix, such as result/run/iter_200000.ckpt")
    parser.add_argument("graph", help="the .pb file to write, such as network/FaceReconModel.pb")
    parser.add_argument("--half", action="store_true", help="store the weights as float16")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Freeze a checkpoint, and copy its record."""
    arguments = parse_arguments(argv)
    trained = recorded_option(arguments.checkpoint, "model")
    if trained == "landmarks":
        export_landmark_net(arguments.checkpoint, arguments.graph, arguments.half)
    elif trained == "c_net":
        export_c_net(arguments.checkpoint, arguments.graph, arguments.half)
    else:
        image_size = trained_image_size(arguments.checkpoint)
        export_r_net(arguments.checkpoint, arguments.graph, image_size, arguments.half)
    record = read_record(arguments.checkpoint)
    if record:
        write_json(record_path(arguments.graph), _without_folders(record))


def _without_folders(record: Dict[str, Any]) -> Dict[str, Any]:
    """Return a record to pass on: its paths without the folders of the machine that wrote it."""

    def shorten(value: Any) -> Any:
        if not isinstance(value, str) or not os.path.isabs(value):
            return value
        path = from_root(value)
        return os.path.basename(path) if os.path.isabs(path) else path

    options = record.get("options") or {}
    return dict(record, options={name: shorten(value) for name, value in options.items()})


if __name__ == "__main__":
    run_main(main)
