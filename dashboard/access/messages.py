"""What a page's browser may tell the server, by who is there (Streamlit's messages from the browser to a session).

Everything a page does begins with such a message: a click, and also a fragment that draws itself anew.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError
from streamlit.proto.BackMsg_pb2 import BackMsg

from db.actors import Actor, Role

LARGEST_OF_STRANGER = 65_536


def admitted(data: bytes, who: Actor, *, let_in_before: bool) -> bytes | None:
    """Return the message to hand on, None for one that is dropped.

    From somebody who is not let in, only that the page be drawn from its top is handed on: it shows how to get in. If
    they were let in before, what they pressed belongs to the page that they may not see any more, and goes too. What
    is kept in memory for everybody only admins may clear.
    """
    stranger = not who.role.allows(Role.VIEWER)
    if stranger and len(data) > LARGEST_OF_STRANGER:
        return None
    message = BackMsg()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return None
    kind = message.WhichOneof("type")
    if kind == "clear_cache" and not who.role.allows(Role.ADMIN):
        return None
    if not stranger:
        return data
    if kind != "rerun_script":
        return None
    message.rerun_script.ClearField("fragment_id")
    if let_in_before:
        message.rerun_script.ClearField("widget_states")
    return message.SerializeToString()
