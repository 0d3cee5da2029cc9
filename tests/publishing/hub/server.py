"""A small Hugging Face hub of data sets: enough of its API that `huggingface_hub` and `datasets` list, read and commit.

`python -m tests.publishing.hub.server PORT`; everything is in memory. `GET /control` tells what was sent and served, `POST /control` sets faults.
What is not needed by the clients here (models, pull requests, Xet) is not there.
"""  # noqa: E501

import asyncio
import base64
import hashlib
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

LARGE = 4096
"""Files from this size on, and Parquet, go the way of LFS."""


@dataclass
class Repository:
    """A data set: the files of each commit, the newest last."""

    private: bool
    commits: list[dict[str, str]] = field(default_factory=lambda: [{}])

    def files(self, revision: str) -> dict[str, str]:
        """The digests of the files of a revision, by path."""
        return self.commits[int(revision, 16)] if len(revision) == 40 else self.commits[-1]

    @property
    def sha(self) -> str:
        return f"{len(self.commits) - 1:040x}"


class Hub:
    """The state of the server."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.sent: list[str] = []
        self.served: Counter[str] = Counter()
        self.puts_left = -1
        self.refuses_commits = False

    def repository(self, request: web.Request) -> Repository:
        """The repository of a request."""
        name = f"{request.match_info['org']}/{request.match_info['name']}"
        if name not in self.repositories or not request.headers.get("authorization"):
            raise web.HTTPNotFound(headers={"X-Error-Code": "RepoNotFound"}, text="Repository not found")
        return self.repositories[name]

    def entry(self, path: str, digest: str) -> dict[str, Any]:
        """A file as trees have it."""
        data = self.blobs[digest]
        large = is_large(path, len(data))
        lfs = {"lfs": {"oid": digest, "size": len(data), "pointerSize": 130}} if large else {}
        return {"type": "file", "oid": digest[:40], "size": len(data), "path": path, **lfs}

    async def create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        name = f"{asked['organization']}/{asked['name']}"
        url = f"http://{request.host}/datasets/{name}"
        if name in self.repositories:
            return web.json_response({"error": "You already created this dataset repo", "url": url}, status=409)
        self.repositories[name] = Repository(asked.get("private") or asked.get("visibility") == "private")
        return web.json_response({"url": url, "name": name})

    async def info(self, request: web.Request) -> web.Response:
        repository = self.repository(request)
        name = f"{request.match_info['org']}/{request.match_info['name']}"
        files = repository.files(request.match_info.get("revision", "main"))
        return web.json_response(
            {
                "_id": name,
                "id": name,
                "author": request.match_info["org"],
                "sha": repository.sha,
                "private": repository.private,
                "gated": False,
                "disabled": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "lastModified": "2026-01-01T00:00:00.000Z",
                "createdAt": "2026-01-01T00:00:00.000Z",
                "siblings": [{"rfilename": path} for path in files],
            }
        )

    async def refs(self, request: web.Request) -> web.Response:
        branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": self.repository(request).sha}
        return web.json_response({"branches": [branch], "converts": [], "tags": []})

    async def tree(self, request: web.Request) -> web.Response:
        files = self.repository(request).files(request.match_info["revision"])
        folder = request.match_info.get("path", "").strip("/")
        prefix = f"{folder}/" if folder else ""
        below = {path: digest for path, digest in files.items() if path.startswith(prefix)}
        if folder and not below:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound"}, text="Entry not found")
        recursive = request.query.get("recursive", "").lower() in ("true", "1")
        entries, folders = [], set()
        for path, digest in sorted(below.items()):
            inner = path.removeprefix(prefix).split("/")[:-1]
            if recursive or not inner:
                entries.append(self.entry(path, digest))
            deepest = len(inner) if recursive else min(len(inner), 1)
            folders |= {prefix + "/".join(inner[:depth]) for depth in range(1, deepest + 1)}
        entries += [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in sorted(folders)]
        return web.json_response(entries)

    async def paths_info(self, request: web.Request) -> web.Response:
        files = self.repository(request).files(request.match_info["revision"])
        asked = await request.json() if request.content_type == "application/json" else await request.post()
        paths = asked["paths"] if isinstance(asked, dict) else asked.getall("paths")
        found = [self.entry(path, files[path]) for path in paths if path in files]
        folders = [path for path in paths if any(name.startswith(f"{path}/") for name in files)]
        return web.json_response(
            found + [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in folders]
        )

    async def preupload(self, request: web.Request) -> web.Response:
        files = self.repository(request).files("main")
        asked = (await request.json())["files"]
        told = [
            {
                "path": it["path"],
                "uploadMode": "lfs" if is_large(it["path"], it["size"]) else "regular",
                "shouldIgnore": False,
                "oid": files.get(it["path"]),
            }
            for it in asked
        ]
        return web.json_response({"files": told})

    async def batch(self, request: web.Request) -> web.Response:
        self.repository(request)
        objects: list[dict[str, Any]] = []
        for it in (await request.json())["objects"]:
            action = {"upload": {"href": f"http://{request.host}/lfs/{it['oid']}", "header": {}}}
            objects.append({**it, **({} if it["oid"] in self.blobs else {"actions": action})})
        return web.json_response({"transfer": "basic", "objects": objects}, content_type="application/vnd.git-lfs+json")

    async def put(self, request: web.Request) -> web.Response:
        data = await request.read()
        if self.puts_left == 0:
            raise web.HTTPForbidden(text="no more today")
        self.puts_left -= 1
        digest = hashlib.sha256(data).hexdigest()
        if digest != request.match_info["oid"]:
            raise web.HTTPBadRequest
        self.blobs[digest] = data
        self.sent.append(digest)
        return web.Response()

    async def commit(self, request: web.Request) -> web.Response:
        repository = self.repository(request)
        if self.refuses_commits:
            raise web.HTTPForbidden(text="You do not have the rights to write here")
        files = dict(repository.commits[-1])
        for line in (await request.text()).splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "file":
                data = base64.b64decode(value["content"])
                files[value["path"]] = hashlib.sha256(data).hexdigest()
                self.blobs[files[value["path"]]] = data
            elif operation["key"] == "lfsFile":
                files[value["path"]] = value["oid"]
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
        repository.commits.append(files)
        name = f"{request.match_info['org']}/{request.match_info['name']}"
        url = f"http://{request.host}/datasets/{name}/commit/{repository.sha}"
        return web.json_response({"success": True, "commitOid": repository.sha, "commitUrl": url, "hookOutput": ""})

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        repository = self.repository(request)
        path = request.match_info["path"]
        files = repository.files(request.match_info["revision"])
        if path not in files:
            missing = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.sha}
            raise web.HTTPNotFound(headers=missing, text="Entry not found")
        data = self.blobs[files[path]]
        headers = {
            "X-Repo-Commit": repository.sha,
            "ETag": f'"{files[path]}"',
            "X-Linked-Size": str(len(data)),
            "X-Linked-ETag": f'"{files[path]}"',
            "Accept-Ranges": "bytes",
        }
        status = 200
        if request.headers.get("range"):
            first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last or len(data) - 1), len(data) - 1)
            headers["Content-Range"] = f"bytes {begin}-{end}/{len(data)}"
            data, status = data[begin : end + 1], 206
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(data))})
        self.served[path] += len(data)
        return web.Response(body=data, status=status, headers=headers)

    async def control(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            for name, value in (await request.json()).items():
                setattr(self, name, value)
        repositories = {
            name: {"private": it.private, "commits": [sorted(files) for files in it.commits]}
            for name, it in self.repositories.items()
        }
        return web.json_response({"sent": self.sent, "served": self.served, "repositories": repositories})


def is_large(path: str, size: int) -> bool:
    return size >= LARGE or path.endswith(".parquet")


async def nothing_wrong(_: web.Request) -> web.Response:
    return web.json_response({"errors": [], "warnings": []})


def application() -> web.Application:
    hub = Hub()
    app = web.Application(client_max_size=1 << 30)
    repository = "/{org}/{name}"
    api = f"/api/datasets{repository}"
    app.add_routes(
        [
            web.post("/api/repos/create", hub.create),
            web.post("/api/validate-yaml", nothing_wrong),
            web.get(api, hub.info),
            web.get(f"{api}/revision/{{revision}}", hub.info),
            web.get(f"{api}/refs", hub.refs),
            web.get(f"{api}/tree/{{revision}}", hub.tree),
            web.get(f"{api}/tree/{{revision}}/{{path:.*}}", hub.tree),
            web.post(f"{api}/paths-info/{{revision}}", hub.paths_info),
            web.post(f"{api}/preupload/{{revision}}", hub.preupload),
            web.post(f"{api}/commit/{{revision}}", hub.commit),
            web.post("/datasets/{org}/{name}.git/info/lfs/objects/batch", hub.batch),
            web.put("/lfs/{oid}", hub.put),
            web.get(f"/datasets{repository}/resolve/{{revision}}/{{path:.*}}", hub.resolve),
            web.get("/control", hub.control),
            web.post("/control", hub.control),
        ]
    )
    return app


async def serve(port: int) -> None:
    runner = web.AppRunner(application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
