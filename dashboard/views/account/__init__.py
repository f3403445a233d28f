from dashboard.access.mode import AccessMode
from dashboard.pages import Page

PAGE = Page("Account", ":material/account_circle:", order=12, access=(AccessMode.TOKEN, AccessMode.LOGIN))
