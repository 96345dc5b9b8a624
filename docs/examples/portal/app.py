"""A product with FastAPI that gives its users the portal, as a page and in a frame."""

import os

import requests
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, RedirectResponse

APP_URL = os.environ["APP_URL"]
API = os.environ["KEYTURN_SERVER"] + "/api/v1/organizations/default"
keyturn = requests.Session()
keyturn.headers["Authorization"] = "Bearer " + os.environ["KEYTURN_API_KEY"]

app = FastAPI()


def signed_in_user() -> dict:
    """Yours: the signed-in user of a request, from your own session. Never from the request's own data."""
    return {"id": "user_8f3a", "name": "Acme Rockets", "email": "ada@acme.example"}


def call(method: str, path: str, **arguments) -> dict:
    response = keyturn.request(method, API + path, timeout=10, **arguments)
    response.raise_for_status()
    return response.json()


def customer_of(user: dict) -> dict:
    """The customer of a user, created with the first visit."""
    found = call("GET", "/customers", params={"external_id": user["id"]})["items"]
    return found[0] if found else call("POST", "/customers", json={"external_id": user["id"], "name": user["name"]})


def portal_url(user: dict) -> str:
    session = {
        "capabilities": ["read", "create", "rotate", "revoke"],
        "scopes": ["read:orders/*", "write:orders/*"],
        "return_url": APP_URL + "/",
        "user": user["email"],
    }
    return call("POST", f"/customers/{customer_of(user)['id']}/portal-sessions", json=session)["url"]


@app.get("/", response_class=HTMLResponse)
def home() -> str:
    return '<!doctype html><html lang="en"><title>Orders</title><h1>Orders</h1><a href="/api-keys">API keys</a></html>'


# As a page: the URL works once, so create it when the user follows the link.
@app.get("/api-keys")
def api_keys() -> RedirectResponse:
    return RedirectResponse(portal_url(signed_in_user()), 303, {"Cache-Control": "no-store"})


# In a frame: the same redirect is the address of the frame. The origin must be listed in the portal's settings.
@app.get("/settings", response_class=HTMLResponse)
def settings() -> str:
    return """<!doctype html><html lang="en"><title>Settings</title><h1>Settings</h1>
    <iframe title="API keys" src="/api-keys" width="100%" height="800" allow="clipboard-write"></iframe></html>"""


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
