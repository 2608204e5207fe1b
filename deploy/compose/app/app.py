"""A sample app that sells what it makes, and has no payment code.

It has logins of its own, tells the gateway who is signed in (/api/me), and reads what the
account may do from headers. Replace it with your app.
"""

import html
import os
import secrets
import urllib.parse
from http import cookies
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Session to user. A real app checks a password first, and keeps its sessions in a database.
SESSIONS: dict[str, str] = {}


class App(BaseHTTPRequestHandler):
    timeout = 30

    def user(self) -> str:
        jar = cookies.SimpleCookie(self.headers.get("Cookie", ""))
        return SESSIONS.get(jar["session"].value, "") if "session" in jar else ""

    def answer(self, status: int, body: str, kind: str = "text/html; charset=utf-8", **headers: str) -> None:
        data = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/api/me":
            user = self.user()
            body = '{"user": {"id": "%s"}}' % user if user else '{"user": null}'
            self.answer(200, body, "application/json")
        elif path == "/login":
            self.answer(200, '<form method="post"><input name="name" pattern="[a-z]+" required><button>Sign in</button></form>')
        elif path == "/":
            user = html.escape(urllib.parse.unquote(self.headers.get("X-Entitlement-User", "")))
            held = html.escape(self.headers.get("X-Entitlement-Credits", "0"))
            if not user:
                self.answer(200, '<a href="/login">Sign in</a>')
                return
            self.answer(
                200,
                f"<p>{user} has {held} credits.</p>"
                '<form method="post" action="/generate"><button>Generate (1 credit)</button></form>'
                '<form method="post" action="/payments/checkout">'
                '<input type="hidden" name="product" value="pack10"><button>Buy 10 credits</button></form>',
            )
        else:
            self.answer(404, "not found", "text/plain")

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), 4096)
        form = urllib.parse.parse_qs(self.rfile.read(length).decode("ascii", "replace"))
        name = form.get("name", [""])[0]
        if self.path == "/login" and name.isascii() and name.isalpha() and name.islower():
            session = secrets.token_urlsafe(32)
            SESSIONS[session] = name
            cookie = f"session={session}; Path=/; HttpOnly; SameSite=Lax"
            self.answer(303, "", Location="/", Set_Cookie=cookie)
        elif self.path == "/generate":
            self.answer(200, "made for you: " + secrets.token_hex(8), "text/plain")
        else:
            self.answer(400, "no such form", "text/plain")


if __name__ == "__main__":
    address = (os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "8000")))
    server = ThreadingHTTPServer(address, App)
    print("listening on %s:%d" % server.server_address, flush=True)
    server.serve_forever()
