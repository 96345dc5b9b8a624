"""An API with FastAPI that checks Keyturn's access tokens with PyJWT."""

import os
from typing import Annotated

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from scope import allows

ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]

app = FastAPI()
bearer = HTTPBearer(auto_error=False)
# Fetches the keys at the first token, and again when it meets an unknown key ID.
keys = jwt.PyJWKClient(ISSUER + "/.well-known/jwks.json")


def claims(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> dict:
    unauthorized = HTTPException(401, "invalid token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
    if credentials is None:
        raise unauthorized
    try:
        found = jwt.decode_complete(
            credentials.credentials,
            keys.get_signing_key_from_jwt(credentials.credentials).key,
            algorithms=["ES256"],  # the organization's algorithm, and no other
            issuer=ISSUER,
            audience=AUDIENCE,
            options={"require": ["exp", "iss", "aud", "sub", "scope"]},
        )
    except jwt.PyJWTError as error:
        raise unauthorized from error
    # A key that is restricted to networks: compare the client's address with the list, or deny.
    if found["header"].get("typ") != "at+jwt" or "cidrs" in found["payload"]:
        raise unauthorized
    return found["payload"]


@app.get("/orders/{order}")
def read_order(order: str, token: Annotated[dict, Depends(claims)]):
    if not allows(token["scope"], "read", f"orders/{order}"):
        raise HTTPException(403, "insufficient scope", {"WWW-Authenticate": 'Bearer error="insufficient_scope"'})
    return {"order": order, "client": token["sub"]}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]))
