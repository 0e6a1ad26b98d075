#!/usr/bin/env bash
# Checks or sets the kernel settings that large connection counts need.
#
#   scripts/tune-host.sh --check   [--connections N] [--client]     what is, what is wanted, why; fails if something lacks
#   scripts/tune-host.sh --apply   [--connections N] [--client] [--persist]
#   scripts/tune-host.sh --revert                                   puts back every value that --apply changed
#
# N is 1,000,000 by default. --client adds what a load generator needs on its own machine. --apply raises and never lowers,
# with one exception that says so; it saves the first value it replaces, under /run/throng, or with --persist under
# /var/lib/throng, and then also writes /etc/sysctl.d/60-throng.conf and /etc/security/limits.d/60-throng.conf. Both need
# root. $THRONG_HOST_ROOT stands in for / in a rehearsal.
set -euo pipefail

root=${THRONG_HOST_ROOT:-}
mode=
connections=1000000
client=
persist=
while [ $# -gt 0 ]; do
    case $1 in
    --check | --apply | --revert) mode=$1 ;;
    --connections)
        connections=${2-}
        connections=${connections//[,_]/}
        # Written as throng takes them: 100k, 1M.
        connections=${connections/%k/000}
        connections=${connections/%M/000000}
        if ! [[ $connections =~ ^[0-9]+$ ]]; then
            echo "tune-host.sh: --connections is ${2-missing}; it must be a count, such as 50000, 100k or 1M" >&2
            mode=
            break
        fi
        shift
        ;;
    --client) client=1 ;;
    --persist) persist=1 ;;
    *) echo "tune-host.sh: $1 is no flag" >&2 && mode= && break ;;
    esac
    shift
done
if [ -z "$mode" ]; then
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi

sysctl_d=$root/etc/sysctl.d/60-throng.conf
limits_d=$root/etc/security/limits.d/60-throng.conf
# What lasts until the next boot, and what lasts beyond it.
brief=$root/run/throng/sysctl.saved
lasting=$root/var/lib/throng/sysctl.saved

file_of() { printf '%s/proc/sys/%s' "$root" "${1//.//}"; }
value_of() { [ -r "$(file_of "$1")" ] && tr '\t' ' ' <"$(file_of "$1")"; }
store() { printf '%s\n' "$2" >"$(file_of "$1")"; }

if [ "$mode" = --revert ]; then
    reverted=0
    for save in "$brief" "$lasting"; do
        [ -e "$save" ] || continue
        while IFS='=' read -r name value; do
            store "$name" "$value"
            printf '%-36s %s\n' "$name" "$value"
            reverted=$((reverted + 1))
        done <"$save"
        rm "$save" && rmdir "${save%/*}"
    done
    rm -f "$sysctl_d" "$limits_d"
    printf '%d values put back\n' "$reverted"
    exit 0
fi

lacking=0
conf=
saved=$brief
if [ "$mode" = --apply ] && [ -n "$persist" ]; then
    saved=$lasting
    mkdir -p "${lasting%/*}"
    # What an --apply without --persist replaced since the boot is what has to come back.
    [ ! -e "$brief" ] || { cat "$brief" >>"$lasting" && rm "$brief"; }
fi

# save NAME VALUE: remembers a value that is about to be replaced, if none is remembered yet.
save() {
    mkdir -p "${saved%/*}"
    grep -qs "^$1=" "$brief" "$lasting" || printf '%s=%s\n' "$1" "$2" >>"$saved"
}

# want NAME WANTED IS_RIGHT WHY: judges or sets one setting. IS_RIGHT is 1 or 0, decided by the caller.
want() {
    local name=$1 wanted=$2 right=$3 why=$4 is
    is=$(value_of "$name")
    conf+="# $why"$'\n'"$name = $([ "$right" = 1 ] && echo "$is" || echo "$wanted")"$'\n'
    if [ "$right" = 1 ]; then
        printf 'ok      %-36s %s\n' "$name" "$is"
    elif [ "$mode" = --check ]; then
        printf 'LACKS   %-36s %s, wanted %s\n        %s\n' "$name" "$is" "$wanted" "$why"
        lacking=$((lacking + 1))
    else
        save "$name" "$is"
        store "$name" "$wanted"
        printf 'set     %-36s %s, was %s\n        %s\n' "$name" "$wanted" "$is" "$why"
    fi
}

# at_least NAME VALUE WHY. A setting that this kernel does not have is passed over.
at_least() {
    local is
    is=$(value_of "$1") || return 0
    want "$1" "$2" "$((is >= $2))" "$3"
}

# An fd table never holds more than fs.nr_open, and the 64 are not for connections: listeners, polls, logs.
fds=$((connections + 64))
at_least fs.nr_open $((fds > 1048576 ? fds : 1048576)) \
    "RLIMIT_NOFILE cannot be raised beyond it; every connection is an fd"
at_least fs.file-max $((connections + connections / 20 + 10000)) \
    "open files of the whole machine; the default is a tenth of its memory in KiB"
at_least fs.epoll.max_user_watches $((connections + 1024)) \
    "one epoll registration per connection, counted per user"

# As long as the server's backlog, unless a shorter one holds all connections. src/sys/host.rs has the same figure.
queue_wanted=65535
# queue NAME WHY
queue() {
    local is
    is=$(value_of "$1") || return 0
    want "$1" "$queue_wanted" "$((is >= queue_wanted || is >= connections))" "$2"
}
queue net.core.somaxconn \
    "the accept queue: a storm of connects beyond it is dropped and comes back a second later"
queue net.ipv4.tcp_max_syn_backlog \
    "the queue of half-open connections, which the same storm fills first"

# Three numbers in pages: unpressed below the first, pressed from the second, refused from the third. The one setting that
# is lowered: a crowd that stops reading may otherwise pin most of the machine's memory in socket buffers.
if tcp_mem=$(value_of net.ipv4.tcp_mem); then
    read -r low pressure high <<<"$tcp_mem"
    memory_kib=$(awk '/^MemTotal:/ { print $2 }' "$root/proc/meminfo")
    quarter=$((memory_kib / 4 / ($(getconf PAGESIZE) / 1024)))
    if [ "$high" -gt "$quarter" ]; then
        low=$((quarter / 2)) pressure=$((quarter * 3 / 4)) high=$quarter
        want net.ipv4.tcp_mem "$low $pressure $high" 0 "socket memory at most a quarter of the machine's, in pages"
    else
        want net.ipv4.tcp_mem "$tcp_mem" 1 "socket memory at most a quarter of the machine's, in pages"
    fi
fi

# Only where connections are in fact tracked: without a stateful firewall rule the count stays 0.
if tracked=$(value_of net.netfilter.nf_conntrack_count) && [ "$tracked" -gt 0 ]; then
    at_least net.netfilter.nf_conntrack_max $((tracked + connections + connections / 5)) \
        "a firewall rule tracks connections and drops those beyond; exempting the port (NOTRACK) is better still"
fi

if [ -n "$client" ]; then
    read -r first last < <(value_of net.ipv4.ip_local_port_range)
    want net.ipv4.ip_local_port_range "1024 65535" "$((first <= 1024 && last >= 65535))" \
        "every connection from one address to one address and port takes a port"
fi

soft=$(ulimit -Sn) hard=$(ulimit -Hn)
if [ "$hard" = unlimited ] || [ "$hard" -ge "$fds" ]; then
    printf 'ok      %-36s %s, up to %s\n' RLIMIT_NOFILE "$soft" "$hard"
else
    printf 'LACKS   %-36s up to %s, wanted %s\n' RLIMIT_NOFILE "$hard" "$fds"
    printf '        each process has its own: LimitNOFILE=%s in the unit of a service, --persist for logins,\n' "$fds"
    printf '        or fd_tables = "own", which gives every shard %s\n' "$hard"
    [ "$mode" = --apply ] || lacking=$((lacking + 1))
fi

if [ "$mode" = --apply ] && [ -n "$persist" ]; then
    mkdir -p "${sysctl_d%/*}" "${limits_d%/*}"
    printf '# Written by throng: scripts/tune-host.sh --apply --persist; removed by --revert.\n%s' "$conf" >"$sysctl_d"
    printf '# Written by throng: scripts/tune-host.sh --apply --persist; removed by --revert.\n* - nofile %s\nroot - nofile %s\n' \
        "$fds" "$fds" >"$limits_d"
    printf 'written %s and %s\n' "$sysctl_d" "$limits_d"
fi
[ "$lacking" -eq 0 ]
