from dashboard.access.mode import AccessMode
from dashboard.pages import Page
from db.actors import Role

PAGE = Page("People", ":material/group:", order=11, role=Role.ADMIN, access=(AccessMode.LOGIN,))
