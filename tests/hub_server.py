"""A hub on this machine: the few answers of the Hugging Face hub that publishing and
loading ask for, over files in memory. Tests with it need no network."""

import base64
import hashlib
import http.server
import json
import re
import threading

RESOLVE = re.compile(r"/([\w.-]+/[\w.-]+)/resolve/([\w.-]+)/(.+)")
API = re.compile(r"/api/models/([\w.-]+/[\w.-]+)/(\w+)/([\w.-]+)")


def entry(path, body):
    """What the hub tells of a file."""
    digest = hashlib.sha1(body).hexdigest()
    return {"type": "file", "path": path, "size": len(body), "oid": digest}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer_for_reading()

    def do_HEAD(self):
        self.answer_for_reading()

    def answer_for_reading(self):
        hub = self.server.hub
        path = self.path.partition("?")[0]
        if match := API.fullmatch(path):
            name, _, revision = match.groups()
            if not self.found(name, revision):
                return
            files = hub.repositories[name]
            if match[2] == "tree":
                self.send_json([entry(path, body) for path, body in files.items()])
                return
            siblings = [{"rfilename": file} for file in files]
            self.send_json({"id": name, "sha": hub.commit(name), "siblings": siblings})
        elif match := RESOLVE.fullmatch(path):
            name, revision, file = match.groups()
            if not self.found(name, revision):
                return
            if file not in hub.repositories[name]:
                self.refuse(404, "EntryNotFound")
                return
            body = hub.repositories[name][file]
            headers = {"ETag": f'"{hashlib.sha1(body).hexdigest()}"'}
            headers["X-Repo-Commit"] = hub.commit(name)
            headers["Content-Type"] = "application/octet-stream"
            self.send(200, body, headers)
        else:
            self.send_json({}, 404)

    def found(self, name, revision):
        hub = self.server.hub
        if name not in hub.repositories:
            self.refuse(401 if name in hub.private else 404, "RepoNotFound")
        elif revision not in ("main", hub.commit(name)):
            self.refuse(404, "RevisionNotFound")
        else:
            return True
        return False

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
            name, what, _ = match.groups()
            if what == "preupload":
                files = json.loads(body)["files"]
                regular = {"uploadMode": "regular", "shouldIgnore": False}
                answers = [{"path": file["path"], **regular} for file in files]
                self.send_json({"files": answers})
            else:
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
        held = repr(sorted(self.repositories[name].items())).encode()
        return hashlib.sha1(held).hexdigest()

    def store(self, name, lines):
        for line in map(json.loads, lines.splitlines()):
            if line["key"] == "file":
                value = line["value"]
                content = base64.b64decode(value["content"])
                self.repositories[name][value["path"]] = content

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
