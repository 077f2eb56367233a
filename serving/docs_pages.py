"""The pages /docs and /redoc, with everything that they load, so that they work without a network."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from starlette.exceptions import HTTPException

# Swagger UI and ReDoc, as that package has them; its own application would answer with mounts, which name no methods.
FILES = Path(fastapi_offline.__file__).parent / "static"
ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "redoc.standalone.js": "text/javascript",
    "favicon.png": "image/png",
}
# Relative, so that a proxy may put the service under any path.
PLACE = "docs/assets"
OPENAPI = "openapi.json"
# Whatever those scripts would like to fetch elsewhere (a logo, a badge of a validator), the browser does not.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; worker-src 'self' blob:"
)
HEADERS = {"content-security-policy": POLICY}


def add_docs(api: FastAPI) -> None:
    """Add the pages to an application that was made without FastAPI's own, which load from a CDN."""

    @api.get("/docs", include_in_schema=False)
    async def swagger() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url=OPENAPI,
            title=f"{api.title}: requests and answers",
            swagger_js_url=f"{PLACE}/swagger-ui-bundle.js",
            swagger_css_url=f"{PLACE}/swagger-ui.css",
            swagger_favicon_url=f"{PLACE}/favicon.png",
            swagger_ui_parameters={"validatorUrl": None},
        )
        return HTMLResponse(bytes(page.body), headers=HEADERS)

    @api.get("/redoc", include_in_schema=False)
    async def redoc() -> HTMLResponse:
        page = get_redoc_html(
            openapi_url=OPENAPI,
            title=f"{api.title}: requests and answers",
            redoc_js_url=f"{PLACE}/redoc.standalone.js",
            redoc_favicon_url=f"{PLACE}/favicon.png",
            with_google_fonts=False,
        )
        return HTMLResponse(bytes(page.body), headers=HEADERS)

    @api.get(f"/{PLACE}/{{name}}", include_in_schema=False)
    async def asset(name: str) -> FileResponse:
        if name not in ASSETS:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"{name}: no such file; there is: {', '.join(ASSETS)}")
        return FileResponse(FILES / name, media_type=ASSETS[name])
