"""docs/BENCHMARKS.md's tables of peers, between their markers, and their pictures, from figures that bench.py measured."""

import pathlib, textwrap

import measuring, pictures

DOCUMENT = pathlib.Path("docs/BENCHMARKS.md")
BEGIN, END = "<!-- scripts/bench-peers.sh: begin -->", "<!-- scripts/bench-peers.sh: end -->"
NONE = "–"


def median(rounds, key):
    """The median over the rounds that have the figure; None where none has."""
    values = [figures[key] for figures in rounds if figures and figures.get(key) is not None]
    return measuring.quartiles(values)[1] if values else None


def ratios(of_workload, name):
    """The quartiles of a server's CPU time as a multiple of the limit's in the same round, and of how many; None for none."""
    pairs = zip(of_workload[name], of_workload["limit"])
    values = [figures["cpu"] / limit["cpu"] for figures, limit in pairs if figures and limit]
    return (*measuring.quartiles(values), len(values)) if values else None


def number(value):
    """Three digits, and as many as there are before the point."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def cell(quartiles):
    if quartiles is None:
        return NONE
    low, middle, high, count = quartiles
    digits = 1 if middle >= 10 else 2
    return f"{middle:.{digits}f}" + (f" [{low:.{digits}f}, {high:.{digits}f}]" if count > 2 else "")


def table(rows):
    head, *rows = rows
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def described(workload):
    """A workload of echoes in words."""
    size, depth = workload.removeprefix("io-").split("-")[1:]
    return f"{ {'20b': '20 B', '1k': '1 KiB', '16k': '16 KiB'}[size]}, depth {depth[1:]}"


def echoes(workloads, prefix):
    """A table of echoes: a row for each workload, a column for each server that is in any of them."""
    chosen = {name: of for name, of in workloads.items() if name.startswith(prefix)}
    names = list(dict.fromkeys(name for of in chosen.values() for name in of if name != "limit"))
    names.sort(key=list(pictures.ORDER).index)
    rows = [["message", "plain epoll, µs", *names]]
    for workload, of_workload in chosen.items():
        cells = [cell(ratios(of_workload, name)) if name in of_workload else NONE for name in names]
        rows.append([described(workload), number(median(of_workload["limit"], "cpu")), *cells])
    return table(rows)


def by_server(of_workload, columns):
    """A table with a row for each server: a column is its heading, and what makes a cell of the server's name."""
    names = sorted(of_workload, key=list(pictures.ORDER).index)
    shown = {"limit": "plain epoll"}
    return table([["server", *columns], *([shown.get(name, name), *(make(name) for make in columns.values())] for name in names)])


def tables(figures):
    """All of it as Markdown."""
    workloads, parts = figures["workloads"], []

    def part(title, text, prefix):
        rounds = max(len(of["limit"]) for name, of in workloads.items() if name.startswith(prefix))
        parts.append(f"**{title}** ({'one round' if rounds == 1 else f'{rounds} rounds'})\n\n{text}")

    def of_idle(key, digits=number):
        return lambda name: digits(median(workloads["idle"][name], key))

    def ratio_of(workload):
        return lambda name: "1" if name == "limit" else cell(ratios(workloads[workload], name))

    crowd = f"{figures['connections']:,}"
    if any(name.startswith("echo") for name in workloads):
        title = "Echo over WebSocket: CPU time per message, as a multiple of plain epoll's"
        part(title, echoes(workloads, "echo"), "echo")
    if any(name.startswith("io-echo") for name in workloads):
        title = "Echo over Socket.IO, an event and the same event back: as a multiple of plain epoll with messages of those bytes"
        part(title, echoes(workloads, "io-echo"), "io-echo")
    if "idle" in workloads:
        columns = {
            "user memory per connection, B": of_idle("memory"),
            "kernel memory, both ends, B": of_idle("kernel"),
            "CPU time of a connection, µs": of_idle("cpu"),
            "to plain epoll": ratio_of("idle"),
            "connections a second": of_idle("per_second"),
        }
        part(f"{crowd} idle connections", by_server(workloads["idle"], columns), "idle")
    if "broadcast" in workloads:
        columns = {
            "CPU time per delivery, µs": lambda name: number(median(workloads["broadcast"][name], "cpu")),
            "to plain epoll": ratio_of("broadcast"),
            "until the last has it, ms": lambda name: number(median(workloads["broadcast"][name], "last")),
        }
        part(f"A message of 20 B to {crowd}", by_server(workloads["broadcast"], columns), "broadcast")
    return "\n\n".join(parts)


def head(figures):
    """What was measured, on what, and how."""
    machine = figures["machine"]
    versions = ", ".join(f"{name} ({version})" for name, version in figures["versions"].items())
    pins = "server and client on a core each" if machine["pinned"] else "server and client on the same cores"
    busy = " The machine had other work at the same time, so small differences say nothing." if machine["busy"] else ""
    kernel = ".".join(machine["kernel"].split(".")[:2])
    said = (
        f"`scripts/bench-peers.sh`: medians over the rounds and, of three or more, quartiles in brackets; {machine['cores']} cores, "
        f"Linux {kernel}, {pins}.{busy}"
    )
    paragraphs = [said, f"Versions: {versions}."]
    return "\n\n".join(textwrap.fill(text, 128, break_long_words=False, break_on_hyphens=False) for text in paragraphs)


def write(figures):
    """Writes the tables into the document and the pictures beside it."""
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"bench-peers: {DOCUMENT} lacks the line {BEGIN} or {END}")
    drawn = pictures.draw(figures, ratios, median)
    images = "\n\n".join(f"![{title}](pictures/{name}.svg)" for name, title in drawn.items())
    DOCUMENT.write_text(f"{before}{BEGIN}\n{head(figures)}\n\n{images}\n\n{tables(figures)}\n{END}{after}")
    print(f"bench-peers: {DOCUMENT} and docs/pictures are written")
