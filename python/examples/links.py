"""A link shortener on Starlette and kivi.aio, with links that expire and count how often they are followed.

    KIVI_URL=redis://localhost uvicorn links:app

    POST /        {"url": "https://example.org/", "ttl": 3600}  ->  {"name": "Zk3x9Q"}
    GET /Zk3x9Q                                                 ->  redirected
    GET /                                                       ->  all links and how often each was followed
"""
import contextlib
import os
import secrets
from collections.abc import AsyncGenerator
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

import kivi.aio


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[dict[str, Any], None]:
    """One store for the life of a worker: its requests share it, and its connections."""
    async with kivi.aio.open(os.environ.get("KIVI_URL", "memory:")) as store:
        yield {"store": store}


async def create(request: Request) -> Response:
    store: kivi.aio.Store = request.state.store
    try:
        wanted = await request.json()
        link, ttl = str(wanted["url"]), wanted.get("ttl")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise HTTPException(400, "a JSON object with a url is needed") from None
    while True:
        name = secrets.token_urlsafe(4)
        try:
            if await store.add(f"link:{name}", link, ttl=ttl):  # False: somebody has this name
                return JSONResponse({"name": name}, status_code=201)
        except (kivi.Invalid, TypeError) as error:  # a ttl that is none
            raise HTTPException(400, str(error)) from None


async def follow(request: Request) -> Response:
    store: kivi.aio.Store = request.state.store
    name = request.path_params["name"]
    link = await store.get(f"link:{name}")
    if link is None:
        raise HTTPException(404)
    await store.increment(f"followed:{name}")
    return RedirectResponse(link)


async def everything(request: Request) -> Response:
    store: kivi.aio.Store = request.state.store
    names = {key[len("link:") :]: link async for key, link in store.scan("link:")}
    followed = await store.get_many([f"followed:{name}" for name in names]) if names else {}
    return JSONResponse(
        [
            {"name": name, "url": link, "followed": followed.get(f"followed:{name}", 0)}
            for name, link in names.items()
        ]
    )


async def unreachable(request: Request, error: Exception) -> Response:
    """The store cannot be reached, or does not answer in time: nobody's fault who asked."""
    return JSONResponse({"error": "try again later"}, status_code=503)


app = Starlette(
    routes=[
        Route("/", create, methods=["POST"]),
        Route("/", everything),
        Route("/{name}", follow),
    ],
    exception_handlers={kivi.Unavailable: unreachable, kivi.Timeout: unreachable},
    lifespan=lifespan,
)
