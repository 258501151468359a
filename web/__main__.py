"""A page on this machine to drop photos on.

    make web                   # installs what it needs, then starts it
    python -m web --port 8000  # open http://127.0.0.1:8000

Only programs on this machine can reach the page. Photos and results are kept in a temporary
folder until their page is closed, at most a quarter of an hour.
"""

if __name__ == "__main__":  # before the imports below, which take a second
    from utils.errors import end_on_interrupt

    end_on_interrupt()

import argparse
import socket
import tempfile
from typing import List, Optional

from face_model import FACE_MODEL_HELP
from utils.arguments import non_negative_int, positive_int
from utils.errors import InputError, run_main
from utils.installed import missing_dependencies

_ADDRESS = "127.0.0.1"


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m web",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=positive_int, default=8000, help="port of the page")
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument(
        "--method",
        choices=("auto", "fit", "network", "both"),
        default="auto",
        help="as of demo.py",
    )
    parser.add_argument(
        "--steps", type=non_negative_int, help="photometric steps of fitting; None: the method's"
    )
    parser.add_argument(
        "--seconds",
        type=positive_int,
        default=180,
        help="time after which a photo is given up; several photos have several times as much",
    )
    return parser.parse_args(argv)


def _listen(port: int) -> socket.socket:
    """Return a socket that only this machine can reach.

    Raises:
        InputError: another program has the port.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_ADDRESS, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise InputError(
            "--port {}: cannot be used ({}); choose another".format(port, error)
        ) from None
    return listener


def main(argv: Optional[List[str]] = None) -> int:
    """Serve the page until Ctrl-C; return the exit status."""
    # 1. libraries, before the models are loaded
    arguments = parse_arguments(argv)
    missing = missing_dependencies(["starlette", "uvicorn"])
    if missing:
        raise InputError(missing[0])
    import uvicorn

    from reconstruction.api import FaceReconstructor
    from web.application import make_application
    from web.faces import FaceWorker
    from web.jobs import JobQueue

    # 2. port, models, queue and server
    temporary = tempfile.TemporaryDirectory(prefix="faces-")
    with _listen(arguments.port) as listener, temporary as folder:
        reconstructor = FaceReconstructor(
            arguments.face_model, method=arguments.method, steps=arguments.steps
        )
        worker = FaceWorker(reconstructor)
        queue = JobQueue(worker.run, folder, seconds_to_run=arguments.seconds)
        application = make_application(queue)
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
        print("open http://{}:{} (Ctrl-C ends)".format(_ADDRESS, arguments.port), flush=True)
        server.run(sockets=[listener])
    return 0


if __name__ == "__main__":
    run_main(main)
