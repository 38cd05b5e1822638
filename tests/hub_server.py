"""A hub on this machine: the few answers of the Hugging Face hub that publishing and
loading ask for, over files in memory. Tests with it need no network."""

import base64
import hashlib
import http.server
import json
import re
import threading

NAME, REVISION = r"(?P<name>[\w.-]+/[\w.-]+)", r"(?P<revision>[\w.-]+)"
RESOLVE = re.compile(rf"/{NAME}/resolve/{REVISION}/(?P<file>.+)")
API = re.compile(rf"/api/models/{NAME}/(?P<what>\w+)/{REVISION}")


def digest(body):
    return hashlib.sha1(body).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        hub, path = self.server.hub, self.path.partition("?")[0]
        match = API.fullmatch(path) or RESOLVE.fullmatch(path)
        if not match:
            return self.send_json({}, 404)
        name = match["name"]
        if (files := hub.repositories.get(name)) is None:
            return self.refuse(401 if name in hub.private else 404, "RepoNotFound")
        commit = hub.commit(name)
        if match["revision"] not in ("main", commit):
            return self.refuse(404, "RevisionNotFound")
        if match.re is RESOLVE:
            if (body := files.get(match["file"])) is None:
                return self.refuse(404, "EntryNotFound")
            headers = {"ETag": f'"{digest(body)}"', "X-Repo-Commit": commit}
            return self.send(200, body, headers)
        if match["what"] == "tree":
            return self.send_json(
                [
                    {"type": "file", "path": path, "size": len(x), "oid": digest(x)}
                    for path, x in files.items()
                ]
            )
        siblings = [{"rfilename": file} for file in files]
        return self.send_json({"id": name, "sha": commit, "siblings": siblings})

    do_HEAD = do_GET

    def do_POST(self):
        hub = self.server.hub
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self.refuse(401, "Unauthorized")
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            hub.repositories.setdefault(name, {})
            self.send_json({"url": f"{hub.address}/{name}", "name": name})
        elif self.path == "/api/validate-yaml":
            self.send_json({"errors": [], "warnings": []})
        elif match := API.match(self.path):
            if match["what"] == "preupload":
                regular = {"uploadMode": "regular", "shouldIgnore": False}
                files = json.loads(body)["files"]
                answers = [{"path": file["path"], **regular} for file in files]
                self.send_json({"files": answers})
            else:
                name = match["name"]
                hub.store(name, body)
                commit = hub.commit(name)
                url = f"{hub.address}/{name}/commit/{commit}"
                self.send_json({"commitOid": commit, "commitUrl": url})

    def refuse(self, status, code):
        self.send(status, b"", {"X-Error-Code": code, "X-Error-Message": code})

    def send_json(self, value, status=200):
        body = json.dumps(value).encode()
        self.send(status, body, {"Content-Type": "application/json"})

    def send(self, status, body, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Hub:
    """A running server; a context manager.

    Attributes:
        repositories: dict, `"OWNER/NAME"` -> dict, file -> bytes.
        private: names that are there and not for everyone.
        token: what writing needs, None: nothing.
    """

    def __init__(self):
        self.repositories, self.private, self.token = {}, set(), None

    def commit(self, name):
        return digest(repr(sorted(self.repositories[name].items())).encode())

    def store(self, name, lines):
        for line in map(json.loads, lines.splitlines()):
            if line["key"] == "file":
                content = base64.b64decode(line["value"]["content"])
                self.repositories[name][line["value"]["path"]] = content

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.hub = self
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        serve = self.server.serve_forever
        threading.Thread(target=serve, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()
