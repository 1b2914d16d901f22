"""Keys: who may use this server, and for what."""

from fastapi import APIRouter, Response

from morula.gateway.api_keys import days_from_now, digest_of, new_key, prefix_of
from morula.gateway.components import Here
from morula.gateway.key_schemas import Key, Keys, MadeKey, NewKey
from morula.gateway.ledger import api_keys
from morula.gateway.lists import Wanted, cursor_after

router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.post("", status_code=201, response_model=MadeKey)
async def create_key(body: NewKey, response: Response, here: Here) -> MadeKey:
    """Make a key. Its text is told once: only its digest is kept. Two live keys may have one name, for rotation."""
    text = new_key()
    row = await here.ledger.write(
        api_keys.create_key,
        here.project,
        body.name,
        digest_of(text),
        prefix_of(text),
        body.scopes,
        days_from_now(body.expires_days),
    )
    response.headers["Cache-Control"] = "no-store"
    return MadeKey.model_validate({**row, "key": text})


@router.get("", response_model=Keys)
async def list_keys(here: Here, wanted: Wanted) -> Keys:
    """All keys without their texts, newest first, those that expired or were revoked among them."""
    part = await here.ledger.read(api_keys.list_keys, here.project, wanted)
    return Keys(keys=[Key.model_validate(row) for row in part.rows], next_cursor=cursor_after(part))


@router.delete("/{key_id}", response_model=Key)
async def revoke_key(key_id: str, here: Here) -> Key:
    """Revoke a key: from now on it lets nobody in. It stays in the list."""
    return Key.model_validate(await here.ledger.write(api_keys.revoke_key, key_id))
