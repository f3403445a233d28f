"""The messages that a browser may send to its Streamlit session, by role.

Everything a page does starts with such a message: a click, and also the rerun of a fragment.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError
from streamlit.proto.BackMsg_pb2 import BackMsg

from db.actors import Actor, Role

LARGEST_OF_ANONYMOUS = 65_536


def admitted(data: bytes, who: Actor, *, could_view: bool) -> bytes | None:
    """Return the message to process, None to drop it.

    From an actor without permission to view, only a rerun of the whole page is accepted: it shows the sign-in page. If
    they `could_view` until now, widget states are removed, because they belong to a page that is no longer permitted.
    Only admins may clear the cache of the process.
    """
    outside = not who.role.allows(Role.VIEWER)
    if outside and len(data) > LARGEST_OF_ANONYMOUS:
        return None
    message = BackMsg()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return None
    kind = message.WhichOneof("type")
    if kind == "clear_cache" and not who.role.allows(Role.ADMIN):
        return None
    if not outside:
        return data
    if kind != "rerun_script":
        return None
    message.rerun_script.ClearField("fragment_id")
    if could_view:
        message.rerun_script.ClearField("widget_states")
    return message.SerializeToString()
