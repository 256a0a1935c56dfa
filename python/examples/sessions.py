"""Sessions for any WSGI application: a dict for each visitor, kept in a store until `idle` seconds pass without a request.

    application = Sessions(application, store)

    def application(environ, start_response):
        environ["kivi.session"]["user"] = "ada"     # changes are kept when the response starts
        environ["kivi.session"].clear()             # an empty session is deleted: a logout
"""
import copy
import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Optional

import kivi

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Sessions:
    def __init__(
        self, application: "WSGIApplication", store: kivi.Store, idle: float = 1800, cookie: str = "session"
    ) -> None:
        self._application = application
        self._store = store
        self._idle = idle
        self._cookie = cookie

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        token, session = self._load(environ)
        before = copy.deepcopy(session)
        environ["kivi.session"] = session

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if session != before:
                cookie = self._save(token, session, environ["wsgi.url_scheme"] == "https")
                headers = [*headers, ("Set-Cookie", cookie)]
            return start_response(status, headers, exc_info)

        return self._application(environ, start)

    def _load(self, environ: "WSGIEnvironment") -> tuple[Optional[str], dict[str, Any]]:
        """The visitor's token and session. A token that the store does not know is not taken up: a new one is made."""
        try:
            given = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(self._cookie)
        except CookieError:
            given = None
        if given is None or not given.value:
            return None, {}
        # One step reads the session and lets its time begin anew.
        session = self._store.get_and_expire(self._key(given.value), self._idle)
        return (given.value, session) if session is not None else (None, {})

    def _save(self, token: Optional[str], session: dict[str, Any], secure: bool) -> str:
        if not session:
            if token is not None:
                self._store.delete(self._key(token))
            return f"{self._cookie}=; Path=/; Max-Age=0"
        token = token or secrets.token_urlsafe(24)
        self._store.set(self._key(token), session, ttl=self._idle)
        return f"{self._cookie}={token}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"

    @staticmethod
    def _key(token: str) -> str:
        return f"session:{token[:64]}"
