#!/usr/bin/env bash
# What slow readers of a flood cost throng, the kernel's memory included, and whether it is given back.
#
#   scripts/slow-readers.sh [--short] [--shards N] [--policy close|drop-new|drop-oldest|latest-only] [--json FILE] [--no-build]
#
# The program is started with its defaults, but for --shards (2) and --policy (drop-oldest: with close, which is the default, a
# slow reader is gone as soon as it has what it may have). One client, and then 60, open /topic/… each by itself, with a receive
# buffer as small as the kernel makes it, and read nothing, while another publishes 4 MiB to each as fast as the server takes it.
# Ten times a second and oftener the program's resident memory is looked at, and what `ss -m` says of the slow readers' sockets.
#
# More than 4 MB for the one or 64 MB for the 60, or a minute later more than a tenth above what it was before, ends the script with
# an error. What the same flood costs on its way through the shards while its one reader reads is measured first, and is not the
# slow reader's. What it was before is a program at rest that has had clients who read such a flood. --short waits no longer than until memory is back.
# Only loopback is used.
set -euo pipefail
cd "$(dirname "$0")/.."

build=1
for argument in "$@"; do
    case $argument in
    --no-build) build= ;;
    -h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0" && exit ;;
    esac
done
[ -z "$build" ] || cargo build --quiet --release --bin throng

python3 - "$@" <<'PY'
import argparse, json, os, pathlib, re, shlex, socket, subprocess, sys, threading, time

sys.path.insert(0, "scripts")
sys.dont_write_bytecode = True
import measuring

arguments = argparse.ArgumentParser(prog="slow-readers.sh")
arguments.add_argument("--short", action="store_true")
arguments.add_argument("--shards", type=int, default=2)
arguments.add_argument("--policy", default="drop-oldest")
arguments.add_argument("--json")
arguments.add_argument("--no-build", action="store_true")
arguments = arguments.parse_args()

FLOOD_BYTES = 4 << 20
MB = 1_000_000
LIMITS = {1: 4 * MB, 60: 64 * MB}


def frame(opcode, payload):
    """A masked frame; a mask of zeros leaves the payload as it is."""
    length = len(payload)
    if length < 126:
        header = bytes([0x80 | opcode, 0x80 | length])
    elif length < 65536:
        header = bytes([0x80 | opcode, 0x80 | 126]) + length.to_bytes(2, "big")
    else:
        header = bytes([0x80 | opcode, 0x80 | 127]) + length.to_bytes(8, "big")
    return header + bytes(4) + payload


def connect(port, path, receive_buffer=None):
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(60)
    client.connect(("127.0.0.1", port))
    client.sendall(
        f"GET {path} HTTP/1.1\r\nHost: slow\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        got = client.recv(1)
        assert got, "the server ended it in its handshake"
        answer += got
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    return client


def flood_of(bytes_each):
    """Messages of 100 bytes, 1 KB and 16 KB in turn, and one of 200 KB."""
    flood = bytearray()
    while len(flood) < bytes_each:
        for size, times in [(100, 40), (1000, 20), (16_000, 4)]:
            flood += frame(2, bytes(size)) * times
        if len(flood) > bytes_each // 2 > len(flood) - 90_000:
            flood += frame(2, bytes(200_000))
    return bytes(flood)


FLOOD = flood_of(FLOOD_BYTES)


def rss(server, what="VmRSS"):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) * 1024


def kernel(server, ports):
    """Kernel memory of the server's sockets whose clients have these ports."""
    ss = ["ss", "-tmnH", "state", "connected", "sport", "=", f":{server.port}"]
    lines = subprocess.run(ss, capture_output=True, text=True, check=True).stdout
    total = 0
    for port, memory in re.findall(r":(\d+) *\n?\s*skmem:\(([^)]*)\)", lines):
        if int(port) in ports:
            fields = {name: int(value) for name, value in re.findall(r"([a-z]+)(\d+)", memory)}
            total += fields["r"] + fields["f"] + fields["w"]
    return total


class Watch(threading.Thread):
    """The most that was seen while it ran, of the server's memory and of these sockets'."""

    def __init__(self, server, ports):
        super().__init__(daemon=True)
        self.server, self.ports, self.over = server, ports, threading.Event()
        self.most = self.user = self.kernel = 0

    def run(self):
        while not self.over.is_set():
            sockets = kernel(self.server, self.ports)
            for _ in range(10):
                user = rss(self.server)
                if user + sockets > self.most:
                    self.most, self.user, self.kernel = user + sockets, user, sockets
                time.sleep(0.01)

    def end(self):
        self.over.set()
        self.join()


def read(client, left):
    while left > 0:
        got = len(client.recv(min(left, 1 << 20)))
        assert got, "the server ended it"
        left -= got


def warm(server):
    """Everybody who comes in touches what each shard has once for all: its buffers, its tables, the slots of its mailbox."""
    clients = [connect(server.port, "/") for _ in range(16)]
    for client in clients:
        client.sendall(frame(2, bytes(300_000)))
        read(client, 300_000 + 10)
        client.close()
    crowd = [connect(server.port, "/topic/crowd") for _ in range(16)]
    for publisher in crowd[:4]:
        for _ in range(10):
            publisher.sendall(frame(2, b"x") * 1000)
            for reader in crowd:
                if reader is not publisher:
                    read(reader, 3 * 1000)
    for client in crowd:
        client.close()
    time.sleep(0.5)


def swallow(client):
    """Reads whatever comes."""
    try:
        while client.recv(1 << 20):
            pass
    except OSError:
        pass


def measure(server, readers, reads=False):
    """What a flood for so many readers, who read nothing or everything, costs at the most."""
    slow = [connect(server.port, f"/topic/slow-{n}", receive_buffer=None if reads else 1) for n in range(readers)]
    if reads:
        for client in slow:
            threading.Thread(target=swallow, args=[client], daemon=True).start()
    publishers = [connect(server.port, f"/topic/slow-{n}") for n in range(readers)]
    time.sleep(0.3)
    ports = {client.getsockname()[1] for client in slow}
    before = rss(server)
    watch = Watch(server, ports)
    watch.start()
    for at in range(0, len(FLOOD), 256 << 10):
        for publisher in publishers:
            publisher.sendall(FLOOD[at : at + (256 << 10)])
    # The last of it has arrived when a ping behind it is answered.
    for publisher in publishers:
        publisher.sendall(frame(9, b"?"))
        assert publisher.recv(3) == b"\x8a\x01?", "a publisher was told something else"
    time.sleep(0.3)
    watch.end()
    for client in slow + publishers:
        client.shutdown(socket.SHUT_RDWR)
        client.close()
    return {"readers": readers, "cost": watch.most - before, "user": watch.user - before, "kernel": watch.kernel}


def rest(server):
    """Until what is kept for a while has been given up twice."""
    time.sleep(25)
    return rss(server)


def allowed(before):
    """A tenth above what it was."""
    return before * 1.1


def back(server, before):
    """Resident memory after a minute, or with --short as soon as it is allowed; and when that was."""
    began = time.monotonic()
    while True:
        now, waited = rss(server), time.monotonic() - began
        if waited > 60 or (arguments.short and now <= allowed(before)):
            return now, waited
        time.sleep(0.25)


command = [*shlex.split(os.environ.get("THRONG_UNDER", "")), "target/release/throng", "--shards", str(arguments.shards)]
command += ["--slow-policy", arguments.policy]


def started():
    """The program anew, warm: what a run before has left to the allocator would hide what the next one takes."""
    port = measuring.free_port()
    return measuring.Server("slow-readers.sh", [*command, "--bind", f"127.0.0.1:{port}"], port)


with started() as server:
    warm(server)
    flood = measure(server, 1, reads=True)["cost"]
rows, failed = [], False
for readers in LIMITS:
    with started() as server:
        warm(server)
        is_last = readers == max(LIMITS)
        if is_last:
            # The same flood, read: the largest reads that there are touch all of a shard's buffer for them.
            measure(server, 16, reads=True)
            before, anonymous = rest(server), rss(server, "RssAnon")
        rows.append(measure(server, readers))
        if is_last:
            after, waited = back(server, before)
            anonymous = rss(server, "RssAnon") - anonymous
rows[0]["cost"] -= flood
print(f"flood by itself: {flood / MB:.1f} MB")
for row in rows:
    limit = LIMITS[row["readers"]]
    failed |= row["cost"] > limit
    print(
        f"{row['readers']:3} slow: {row['cost'] / MB:5.1f} MB of {limit // MB}"
        f" ({row['user'] / MB:.1f} the program's, {row['kernel'] / MB:.1f} the kernel's)"
        f"{'  TOO MUCH' if row['cost'] > limit else ''}"
    )
failed |= after > allowed(before)
print(
    f"resident before: {before / MB:.1f} MB, {waited:.0f} s after: {after / MB:.1f} MB, {anonymous / MB:+.1f} MB of it the heap's"
    f"{'  TOO MUCH' if after > allowed(before) else ''}"
)
if arguments.json:
    pathlib.Path(arguments.json).write_text(json.dumps({"rows": rows, "before": before, "after": after, "waited": waited}, indent=1))
sys.exit(failed)
PY
