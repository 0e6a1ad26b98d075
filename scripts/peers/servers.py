"""Which servers scripts/bench-peers.sh knows: how each is started, what it can do, and where it has to be for that."""

import dataclasses, pathlib, shutil, subprocess

HOME = pathlib.Path("target/peers").resolve()
NODE_MODULES = [HOME / "node/node_modules", pathlib.Path("target/clients/ws-8.23.0/node_modules").resolve()]


@dataclasses.dataclass
class Peer:
    """A server. `command` makes its command line of an address; `needs` are the files without which it cannot run."""

    name: str
    command: object
    needs: list
    # What bench-client is told besides: the protocol for all workloads, and for a broadcast.
    flags: tuple = ()
    broadcast_flags: tuple = ()
    speaks: str = "WebSocket"
    path: str = "/"
    topic: str = "/topic/bench"
    # Where idle connections go, when that is not `path`.
    idle_path: str = ""
    echoes: bool = True

    def is_there(self):
        return all(shutil.which(str(need)) or pathlib.Path(need).exists() for need in self.needs)


def raw(mode):
    return lambda bind: ["target/release/examples/raw_epoll", mode, "--threads", "1", "--bind", bind]


def throng(bind):
    return ["target/release/throng", "--shards", "1", "--bind", bind]


def rust(name):
    return {"command": lambda bind: [HOME / "rust/release" / name, "--bind", bind], "needs": [HOME / "rust/release" / name]}


def node(script, package):
    """A script for node, and the first place that has its package. NODE_PATH goes through env, for it is a list."""
    modules = next((place for place in NODE_MODULES if (place / package).is_dir()), NODE_MODULES[0])
    start = ["env", f"NODE_PATH={modules}", "node", f"scripts/peers/{script}", "--bind"]
    return {"command": lambda bind: [*start, bind], "needs": ["node", modules / package]}


NGINX = HOME / "nginx"
NCHAN = NGINX / "usr/lib/nginx/modules/ngx_nchan_module.so"


def nginx(bind):
    """nginx reads its address from its file, which is written anew."""
    text = pathlib.Path("scripts/peers/nginx.conf").read_text()
    for word, value in {"MODULES": NCHAN.parent, "HOME": NGINX, "BIND": bind}.items():
        text = text.replace(word, str(value))
    (NGINX / "bench.conf").write_text(text)
    return [NGINX / "usr/sbin/nginx", "-e", "stderr", "-p", NGINX, "-c", NGINX / "bench.conf"]


SOCKET_IO = {
    "speaks": "Socket.IO",
    "flags": ("--protocol", "socketio"),
    "broadcast_flags": ("--event", "publish"),
    "topic": "/",
}
BENCH = {**SOCKET_IO, "flags": ("--protocol", "socketio", "--namespace", "/bench")}

# The limit has two programs, one for each thing that it does.
LIMIT = {"echo": Peer("limit", raw("echo"), []), "broadcast": Peer("limit", raw("broadcast"), [])}

PEERS = [
    Peer("throng", throng, []),
    Peer("uWebSockets", lambda bind: [HOME / "uws/uws", "--bind", bind], [HOME / "uws/uws"]),
    Peer("tokio-tungstenite", **rust("tokio_tungstenite")),
    Peer("fastwebsockets", **rust("fastwebsockets")),
    Peer("ws", **node("ws.js", "ws")),
    Peer("nchan", nginx, [NGINX / "usr/sbin/nginx", NCHAN, "/var/lib/nginx"], idle_path="/topic/idle", echoes=False),
    Peer("throng, Socket.IO", throng, [], **BENCH),
    Peer("socketioxide", **rust("socketioxide"), **SOCKET_IO),
    Peer("socket.io", **node("socketio.js", "socket.io"), **SOCKET_IO),
]


def versions():
    """What was measured: names with versions, of those that are there."""
    locked, name = {}, ""
    for line in pathlib.Path("scripts/peers/Cargo.lock").read_text().splitlines():
        if line.startswith("name = "):
            name = line.split('"')[1]
        elif line.startswith("version = ") and name:
            locked[name] = line.split('"')[1]
    found = {"uWebSockets": "the sources in libuwebsockets-sys 0.0.10"}
    found |= {name: locked[name] for name in ("tokio-tungstenite", "fastwebsockets", "socketioxide")}
    if shutil.which("node"):
        node = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
        found |= {"ws": f"8.23.0 on node {node}", "socket.io": f"4.8.4 on node {node}"}
    debs = {path.name.split("_")[0]: path.name.split("_")[1].split("%3a")[-1] for path in NGINX.glob("*.deb")}
    found["nchan"] = f"{debs.get('libnginx-mod-nchan', '?')} in nginx {debs.get('nginx', '?')}"
    there = {peer.name for peer in PEERS if peer.is_there()}
    return {name: version for name, version in found.items() if name in there}
