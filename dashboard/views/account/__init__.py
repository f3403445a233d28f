from dashboard.access.entrance import Entrance
from dashboard.pages import Page

PAGE = Page("Account", ":material/account_circle:", order=10, access=(Entrance.TOKEN, Entrance.LOGIN))
