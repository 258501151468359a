"""The page's server: an ASGI application on Starlette."""

import contextlib
import itertools
import os
from typing import Any, AsyncIterator, Dict, List, Optional, Sequence, Tuple

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from reconstruction.html_page import VIEWER
from utils.photos import distinct_names
from web.faces import FILES
from web.jobs import Job, JobQueue, QueueFull

MAX_UPLOAD = 25 << 20  # bytes of a photo
MAX_PHOTOS = 8  # of one person
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


def make_application(queue: JobQueue) -> Starlette:
    """Return the application.

    Args:
        queue: the queue of photos; it is closed with the application.
    """

    @contextlib.asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            queue.close()

    faces = _Faces(queue)
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
    """

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    async def submit(self, request: Request) -> Response:
        """Queue the photos that follow each other in the body of a request.

        Each has a query parameter ``photo=SIZE:NAME``, the size in bytes. A body without any is
        one photo.
        """
        # 1. names and sizes, before the body is read
        if request.headers.get("content-type") != UPLOAD_TYPE:
            return _refuse(415, "send the photos as {}".format(UPLOAD_TYPE))
        try:
            photos = _parse_photos(request.query_params.getlist("photo"))
        except ValueError:
            return _refuse(400, "give each photo as photo=SIZE:NAME, its size in bytes")
        if len(photos) > MAX_PHOTOS:
            return _refuse(413, "{} photos; send {} at most".format(len(photos), MAX_PHOTOS))
        for name, size in photos:
            if size > MAX_UPLOAD:
                return _refuse(413, "{} has more than {} MiB".format(name, MAX_UPLOAD >> 20))

        # 2. the body
        size = sum(size for _, size in photos) if photos else MAX_UPLOAD
        try:
            content = await _read_body(request, size)
        except ClientDisconnect:
            return _refuse(400, "the upload was interrupted")
        if content is None:
            return _refuse(413, "the upload has more than {} bytes".format(size))
        if not content:
            return _refuse(400, "the photo is empty")
        if photos and len(content) != size:
            return _refuse(400, "the upload was interrupted")

        # 3. the job
        try:
            job = self._queue.submit(_split(content, photos or [("this file", len(content))]))
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
            "activity": job.activity,
            "share": job.share,
            "message": job.message,
        }


def _parse_photos(texts: Sequence[str]) -> List[Tuple[str, int]]:
    """Return the name and the size of each photo, from ``SIZE:NAME``.

    The names become printable and distinct.

    Raises:
        ValueError: a size is missing or no number.
    """
    parts = [text.partition(":") for text in texts]
    if not all(size.isdecimal() for size, _, _ in parts):
        raise ValueError()
    names = distinct_names(
        [name or "photo {}".format(i + 1) for i, (_, _, name) in enumerate(parts)],
        extensions=False,
    )
    return [(name, int(size)) for name, (size, _, _) in zip(names, parts)]


async def _read_body(request: Request, size: int) -> Optional[bytearray]:
    """Return the body of a request; None if it has more than ``size`` bytes."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > size:
            return None
    return content


def _split(content: bytearray, photos: Sequence[Tuple[str, int]]) -> List[Tuple[str, memoryview]]:
    """Return the name and the content of each photo, from their names and sizes."""
    ends = itertools.accumulate(size for _, size in photos)
    view = memoryview(content)
    return [(name, view[end - size : end]) for (name, size), end in zip(photos, ends)]


def _refuse(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status, headers=_HEADERS)
