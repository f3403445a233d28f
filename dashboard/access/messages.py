"""What a page's browser may tell the server, by who is there (Streamlit's messages from the browser to a session).

Everything a page does begins with such a message: a click, and also a fragment that draws itself anew.
"""

from __future__ import annotations

from streamlit.proto.BackMsg_pb2 import BackMsg

from db.actors import Actor, Role

LARGEST_OF_STRANGER = 65_536


def admitted(data: bytes, who: Actor) -> bytes | None:
    """Return the message to hand on, None for one that is dropped.

    From somebody who is not let in, or not any more, only that the page be drawn from its top is handed on, without
    what was pressed and typed: it then shows how to get in. What is kept for everybody only admins may clear.
    """
    stranger = not who.role.allows(Role.VIEWER)
    if stranger and len(data) > LARGEST_OF_STRANGER:
        return None
    message = BackMsg()
    try:
        message.ParseFromString(data)
    except Exception:  # of the protobuf library, which has several for this
        return None
    kind = message.WhichOneof("type")
    if kind == "clear_cache" and not who.role.allows(Role.ADMIN):
        return None
    if not stranger:
        return data
    if kind != "rerun_script":
        return None
    asked = message.rerun_script
    bare = BackMsg()
    bare.rerun_script.query_string = asked.query_string
    bare.rerun_script.page_script_hash = asked.page_script_hash
    bare.rerun_script.page_name = asked.page_name
    bare.rerun_script.context_info.CopyFrom(asked.context_info)
    return bare.SerializeToString()
