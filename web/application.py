"""The page's server: an ASGI application on Starlette."""

import contextlib
import os
from typing import Any, AsyncIterator, Dict, Optional

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from reconstruction.html_page import VIEWER
from web.faces import FILES
from web.jobs import Job, JobQueue, QueueFull

MAX_UPLOAD = 25 << 20  # bytes of a photo
# A page of another site may not send this type without asking, and nobody answers it.
UPLOAD_TYPE = "application/octet-stream"
HOSTS = ["127.0.0.1", "localhost"]  # a name that another site lets point here is refused
_HERE = os.path.dirname(os.path.abspath(__file__))
_STATIC = {
    "/": (os.path.join(_HERE, "page.html"), "text/html"),
    "/page.css": (os.path.join(_HERE, "page.css"), "text/css"),
    "/page.js": (os.path.join(_HERE, "page.js"), "text/javascript"),
    "/viewer.js": (VIEWER, "text/javascript"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def make_application(queue: JobQueue, steps: int) -> Starlette:
    """Return the application.

    Args:
        queue: the queue of photos; it is closed with the application.
        steps: steps of fitting a photo, for the progress bar.
    """

    @contextlib.asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            queue.close()

    faces = _Faces(queue, steps)
    routes = [Route(path, _show_static) for path in _STATIC]
    routes += [
        Route("/faces", faces.submit, methods=["POST"]),
        Route("/faces/{id}", faces.show_state),
        Route("/faces/{id}", faces.delete, methods=["DELETE"]),
        Route("/faces/{id}/{name}", faces.show_file),
    ]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)
    return Starlette(routes=routes, middleware=[hosts], lifespan=lifespan)


async def _show_static(request: Request) -> Response:
    path, kind = _STATIC[request.url.path]
    return FileResponse(path, media_type=kind, headers=_HEADERS)


class _Faces:
    """The answers about photos and faces.

    Args:
        queue: the queue of photos.
        steps: steps of fitting a photo.
    """

    def __init__(self, queue: JobQueue, steps: int) -> None:
        self._queue = queue
        self._steps = steps

    async def submit(self, request: Request) -> Response:
        """Queue the photo in the body of a request."""
        if request.headers.get("content-type") != UPLOAD_TYPE:
            return _refuse(415, "send the photo as {}".format(UPLOAD_TYPE))
        try:
            photo = await _read_body(request)
        except ClientDisconnect:
            return _refuse(400, "the upload was interrupted")
        if photo is None:
            return _refuse(413, "the photo has more than {} MiB".format(MAX_UPLOAD >> 20))
        if not photo:
            return _refuse(400, "the photo is empty")
        try:
            job = self._queue.submit(photo)
        except QueueFull as error:
            return _refuse(503, str(error))
        return JSONResponse(self._describe(job), 202, headers=_HEADERS)

    async def show_state(self, request: Request) -> Response:
        """Describe a job."""
        job = self._queue.find(request.path_params["id"])
        if job is None:
            return _refuse(404, "this face has been deleted; send the photo again")
        return JSONResponse(self._describe(job), headers=_HEADERS)

    async def show_file(self, request: Request) -> Response:
        """Send a file of a finished face."""
        job, name = self._queue.find(request.path_params["id"]), request.path_params["name"]
        if job is None or name not in FILES or job.state != "done":
            return _refuse(404, "there is no such file, or it has been deleted")
        path = os.path.join(job.folder, name)
        return FileResponse(path, media_type=FILES[name], filename=name, headers=_HEADERS)

    async def delete(self, request: Request) -> Response:
        """Delete a face, or take its photo out of the queue."""
        job = self._queue.find(request.path_params["id"])
        if job:
            self._queue.remove(job)
        return Response(status_code=204, headers=_HEADERS)

    def _describe(self, job: Job) -> Dict[str, Any]:
        return {
            "id": job.id,
            "state": job.state,
            "before": self._queue.count_before(job) if job.state == "waiting" else 0,
            "step": job.step,
            "steps": self._steps,
            "message": job.message,
        }


async def _read_body(request: Request) -> Optional[bytes]:
    """Return the body of a request; None if it has more than :data:`MAX_UPLOAD` bytes."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_UPLOAD:
            return None
    return bytes(content)


def _refuse(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status, headers=_HEADERS)
