"""The session of a browser: a key in a cookie that no script can read, because pictures and events carry no header."""

from fastapi import APIRouter, Request, Response

from morula.common.errors import Unauthenticated
from morula.gateway.components import Components, Here, Who
from morula.gateway.door import COOKIE, Identity
from morula.gateway.key_schemas import Session, SignIn

router = APIRouter(prefix="/v1/session", tags=["session"])


@router.get("", response_model=Session)
async def get_session(request: Request, here: Here, who: Who) -> Session:
    """Whether this server asks for a key, and whose came with the request."""
    if not here.door.asks:
        return _answer(here, who)
    try:
        return _answer(here, await here.door.identify(request))
    except Unauthenticated:
        return Session(asks_for_key=True, name=None, scopes=[])


@router.post("", response_model=Session)
async def sign_in(body: SignIn, request: Request, response: Response, here: Here) -> Session:
    """Sign a browser in until it is closed. Its cookie is accepted in place of the header."""
    key = body.key.get_secret_value()
    identity = await here.door.who_has(key, request)
    is_encrypted = request.url.scheme == "https"
    response.set_cookie(COOKIE, key, httponly=True, samesite="strict", secure=is_encrypted)
    return _answer(here, identity)


@router.delete("", status_code=204, response_class=Response)
async def sign_out() -> Response:
    """Have the browser forget its key. The key itself stays what it is."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _answer(here: Components, identity: Identity) -> Session:
    return Session(asks_for_key=here.door.asks, name=identity.name, scopes=sorted(identity.scopes))
