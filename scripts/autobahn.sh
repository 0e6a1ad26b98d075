#!/usr/bin/env bash
# Runs the Autobahn TestSuite's fuzzing client against a WebSocket echo server and fails on every case that is not right.
#
#   scripts/autobahn.sh [--short] [--tls] [--report DIR] [URL] [-- THRONG FLAGS]
#
# Without a URL it builds throng, starts it on a free port of 127.0.0.1 as an echo server, and stops it afterwards. The flags are
# compression's, and limits raised to what case 9 sends, unless others are given. --short leaves out case 9 (limits and
# performance, messages up to 16 MiB) and all but some of 12 and 13 (compression), which take most of the time. --tls speaks
# wss://, with a certificate made for the run by openssl, and runs cases 1 to 7. The report, as web pages and as index.json,
# goes to target/autobahn/report, with --tls to report-tls.
#
# The suite runs under Python 2.7 only: $PYTHON27, python2.7 on the PATH, or pyenv's. Everything else is installed under
# target/autobahn from PyPI, once. --install does only that; --check says by its exit status whether a run is possible.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=25.10.1
home=target/autobahn
report=
cases='"1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.*", "13.*"'
url=
only=
tls=
# Case 9 sends messages of 16 MiB, and of 4 MiB in 65,537 fragments, which throng's defaults refuse. What can be compressed is, the
# shortest and with a context too, so that cases 12 and 13 see all of it.
throng_flags=(--message-bytes-max 16777216 --outboxes-bytes-max 33554432 --fragments-max 131072 --deflate --deflate-bytes-min 1
    --deflate-server-takeover --deflate-client-takeover)

while [ $# -gt 0 ]; do
    case $1 in
    --short) cases='"1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*", "12.1.1", "12.2.3", "12.5.3", "13.2.5", "13.4.2", "13.7.1"' ;;
    --tls) tls=1 cases='"1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*"' ;;
    --report) report=$2 && shift ;;
    --install | --check) only=$1 ;;
    --) shift && throng_flags=("$@") && break ;;
    ws://* | wss://*) url=$1 ;;
    *) sed -n '2,14s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
    shift
done

say() { printf 'autobahn: %s\n' "$*"; }

# The first interpreter of those given that runs at all: a pyenv shim may be on the PATH and have nothing behind it.
first_that_runs() {
    local candidate
    for candidate in "$@"; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

python27() {
    shopt -s nullglob
    first_that_runs "${PYTHON27:-}" python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7
}

if [ "$only" = --check ]; then
    [ -e $home/ready-$suite ] || { python27 >/dev/null && first_that_runs python3 >/dev/null; }
    exit
fi

if [ ! -e $home/ready-$suite ]; then
    py27=$(python27) || {
        say "no Python 2.7 was found, and the suite runs under no other; set PYTHON27, or: pyenv install 2.7.18" >&2
        exit 3
    }
    rm -rf $home/tool $home/py27
    mkdir -p $home
    # 20.15.1 is among the last virtualenvs that make a Python 2.7 environment; not every Python 3 runs it.
    for py3 in "${PYTHON3:-}" python3 python3.11 python3.10 python3.9 python3.8; do
        first_that_runs "$py3" >/dev/null || continue
        say "installing with $py3 and $py27 into $home"
        rm -rf $home/tool
        "$py3" -m venv $home/tool &&
            $home/tool/bin/pip install --quiet --disable-pip-version-check virtualenv==20.15.1 &&
            $home/tool/bin/virtualenv --quiet -p "$py27" $home/py27 && break
    done
    [ -x $home/py27/bin/pip ] || { say "no Python 3 here makes a Python 2.7 environment" >&2 && exit 3; }
    # In this order and these versions: each is the last that installs on 2.7 beside those before it.
    for package in 'setuptools<45' incremental==16.10.1 cryptography==3.3.2 pyOpenSSL==19.1.0 Twisted==19.10.0 \
        autobahntestsuite==$suite; do
        PYTHONWARNINGS=ignore $home/py27/bin/pip install --quiet --no-python-version-warning \
            --disable-pip-version-check "$package"
    done
    touch $home/ready-$suite
fi
[ "$only" != --install ] || exit 0

if [ -z "$url" ]; then
    cargo build --quiet --release --bin throng
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    url=ws://127.0.0.1:$port
    listen=(--bind "127.0.0.1:$port")
    if [ -n "$tls" ]; then
        url=wss://127.0.0.1:$port
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
            -addext subjectAltName=DNS:localhost -keyout $home/key.pem -out $home/cert.pem 2>/dev/null
        listen=(--bind 127.0.0.1:0 --bind-tls "127.0.0.1:$port" --tls-cert $home/cert.pem --tls-key $home/key.pem)
    fi
    target/release/throng "${listen[@]}" "${throng_flags[@]}" >$home/throng.log 2>&1 &
    server=$!
    trap 'kill $server 2>/dev/null || true' EXIT
    for _ in $(seq 100); do
        kill -0 $server 2>/dev/null || { cat $home/throng.log >&2 && say "throng did not start" >&2 && exit 1; }
        (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
        sleep 0.1
    done
fi

report=${report:-$home/report${tls:+-tls}}
rm -rf "$report"
mkdir -p "$report"
report=$(realpath "$report")
cat >$home/spec.json <<JSON
{"outdir": "$report", "servers": [{"agent": "throng", "url": "$url"}], "cases": [$cases], "exclude-cases": []}
JSON
say "$url, cases $cases"
if ! $home/py27/bin/wstest -m fuzzingclient -s $home/spec.json >$home/wstest.log 2>&1; then
    tail -n 20 $home/wstest.log >&2
    exit 1
fi

python3 - "$report/index.json" <<'PY'
import collections, json, pathlib, sys

path = pathlib.Path(sys.argv[1])
if not path.exists():
    sys.exit("autobahn: no report was written; see target/autobahn/wstest.log")
[results] = json.loads(path.read_text()).values()
number = lambda case: [int(part) for part in case.split(".")]
counts = collections.Counter(result["behavior"] for result in results.values())
wrong, lenient = [], []
for case in sorted(results, key=number):
    result = results[case]
    said = f"{case}: {result['behavior']}, close {result['behaviorClose']} ({result['remoteCloseCode']})"
    if result["behavior"] not in ("OK", "NON-STRICT", "INFORMATIONAL"):
        wrong.append(said)
    elif result["behaviorClose"] not in ("OK", "INFORMATIONAL"):
        wrong.append(said)
    elif result["behavior"] == "NON-STRICT":
        lenient.append(case)
for said in wrong:
    print(said)
if lenient:
    print("autobahn: NON-STRICT (later than it could be, and allowed):", ", ".join(lenient))
print(f"autobahn: {len(results)} cases:", ", ".join(f"{n} {behavior}" for behavior, n in sorted(counts.items())))
print(f"autobahn: {len(wrong)} wrong; {path}")
sys.exit(bool(wrong) or not results)
PY
