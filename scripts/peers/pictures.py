"""Draws docs/pictures: panels of bars on a logarithmic scale, as SVG that is readable on light and on dark ground."""

import html, math, pathlib

PICTURES = pathlib.Path("docs/pictures")
# The order of servers in tables and panels, and whether it is throng.
ORDER = {
    "limit": False,
    "throng": True,
    "uWebSockets": False,
    "tokio-tungstenite": False,
    "fastwebsockets": False,
    "ws": False,
    "nchan": False,
    "throng, Socket.IO": True,
    "socketioxide": False,
    "socket.io": False,
}
LABELS = {"limit": "plain epoll"}
# In pixels: a panel, what is left of its bars for names and right of them for figures, a row, and the space between panels.
PANEL, NAMES, FIGURES, ROW, GAP, MARGIN = 330, 122, 58, 20, 26, 20
TITLE, HEAD = 44, 26
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2937; }
.title { font-size: 15px; font-weight: 600; }
.head { font-weight: 600; }
.note { fill: #6b7280; }
.bar { fill: #94a3b8; }
.own { fill: #2563eb; }
.rule { stroke: #9ca3af; stroke-dasharray: 3 3; }
.ground { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #e5e7eb; }
  .note { fill: #9ca3af; }
  .bar { fill: #64748b; }
  .own { fill: #60a5fa; }
  .rule { stroke: #6b7280; }
  .ground { fill: #0d1117; }
}
"""


def figure(value):
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def words(x, y, text, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{html.escape(text)}</text>'


def panel(x, y, title, values, least, most, unit, rule):
    """One panel: a bar for each server, from `least` on a logarithmic scale; `rule` is a line at one value."""
    left, width = x + NAMES, PANEL - NAMES - FIGURES

    def at(value):
        share = math.log(max(value, least) / least) / math.log(most / least)
        return left + width * min(share, 1)

    parts = [words(x, y + 13, title, "head")]
    for row, (name, value) in enumerate(values.items()):
        top = y + HEAD + row * ROW
        parts.append(words(left - 8, top + 13, LABELS.get(name, name), anchor="end"))
        if value is None:
            parts.append(words(left + 4, top + 13, "no figure", "note"))
            continue
        kind = "own" if ORDER[name] else "bar"
        length = max(at(value) - left, 1.5)
        parts.append(f'<rect x="{left:.1f}" y="{top + 3}" width="{length:.1f}" height="{ROW - 7}" rx="2" class="{kind}"/>')
        parts.append(words(left + length + 6, top + 13, figure(value) + unit))
    if rule:
        bottom = y + HEAD + len(values) * ROW
        parts.append(f'<line x1="{at(rule):.1f}" x2="{at(rule):.1f}" y1="{y + HEAD - 2}" y2="{bottom}" class="rule"/>')
    return "\n".join(parts)


def picture(name, title, note, panels, columns, unit="", rule=None, least=None, shared=True):
    """Writes one picture; panels are {title: {server: value or None}}. With `shared` all have one scale."""

    def most(some):
        return max(value for values in some for value in values.values() if value is not None)

    rows = [list(panels.items())[at : at + columns] for at in range(0, len(panels), columns)]
    parts, y = [words(MARGIN, 26, title, "title"), words(MARGIN, 44, note, "note")], MARGIN + TITLE
    for row in rows:
        for column, (head, values) in enumerate(row):
            top = most(panels.values()) if shared else most([values])
            x = MARGIN + column * (PANEL + GAP)
            parts.append(panel(x, y, head, values, least, top, unit, rule))
        y += HEAD + ROW * max(len(values) for _, values in row) + GAP
    width, height = 2 * MARGIN + columns * (PANEL + GAP) - GAP, y - GAP + MARGIN
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n"
        f'<rect class="ground" width="{width}" height="{height}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def in_order(values):
    return {name: values[name] for name in ORDER if name in values}


def echo_panels(workloads, prefix, ratios):
    sizes = {"20b": "20 B", "1k": "1 KiB", "16k": "16 KiB"}
    panels = {}
    for workload, of_workload in workloads.items():
        if workload.startswith(prefix):
            size, depth = workload.removeprefix("io-").split("-")[1:]
            found = {name: ratios(of_workload, name) for name in of_workload if name != "limit"}
            middle = {name: quartiles and quartiles[1] for name, quartiles in found.items()}
            panels[f"{sizes[size]}, depth {depth[1:]}"] = in_order(middle)
    return panels


def draw(figures, ratios, median):
    """Draws all there are figures for: {file name: title}."""
    workloads, drawn = figures["workloads"], {}
    scale = "times plain epoll (the dashed line), on a logarithmic scale; shorter is better"
    for name, prefix, title, columns in [
        ("peers-echo", "echo", "Echo over WebSocket: server CPU time per message", 3),
        ("peers-socketio", "io-echo", "Echo over Socket.IO: server CPU time per event", 2),
    ]:
        if panels := echo_panels(workloads, prefix, ratios):
            picture(name, title, scale, panels, columns, unit="×", rule=1, least=0.5)
            drawn[name] = title
    if "idle" in workloads and "broadcast" in workloads:
        crowd = f"{figures['connections']:,}"
        of = {key: {name: median(rounds, key) for name, rounds in workloads["idle"].items()} for key in ("memory", "cpu")}
        panels = {
            "User memory of an idle connection, bytes": in_order(of["memory"]),
            "CPU time of connecting and closing, µs": in_order(of["cpu"]),
            f"CPU time of a delivery to {crowd}, µs": in_order(
                {name: median(rounds, "cpu") for name, rounds in workloads["broadcast"].items()}
            ),
        }
        title = f"{crowd} connections: what each costs the server"
        if all(any(value is not None for value in values.values()) for values in panels.values()):
            picture("peers-crowd", title, "logarithmic scales; shorter is better", panels, 3, least=1, shared=False)
            drawn["peers-crowd"] = title
    return drawn
