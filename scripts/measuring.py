"""What the scripts that measure have in common: servers started anew on loopback, bench-client's reports, quartiles.

Imported by the Python within bench-limit.sh, bench-tls.sh and bench-peers.sh, which run at the project's root.
"""

import argparse, json, os, pathlib, signal, socket, statistics, subprocess, sys, tempfile, time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server as a child: started, waited for until it accepts, stopped. `script` is who complains.

    `pins` are the words before a command that keep the server, and the client, on a core of its own.
    """

    def __init__(self, script, command, port, pins=((), ())):
        self.script, self.command, self.port, self.log = script, [*pins[0], *command], port, tempfile.TemporaryFile()
        self.client_pin = pins[1]

    def __enter__(self):
        # Some end with their standard input.
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self.log
        )
        for _ in range(500):
            if self.process.poll() is not None:
                self.log.seek(0)
                said = self.log.read().decode(errors="replace")
                sys.exit(f"{said}{self.script}: {self.command[0]} ended before it accepted a connection")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.02)
        self.__exit__()
        sys.exit(f"{self.script}: {self.command[0]} does not accept on port {self.port}")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu_microseconds(self):
        """CPU time of all its threads so far, as the scheduler accounts it."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1000

    def bench(self, mode, url, *flags):
        """The report of a run of bench-client against it. One in which a check fails ends the script."""
        with tempfile.NamedTemporaryFile(suffix=".json") as report:
            # What is measured is the server's CPU time: that a client on one thread is at its limit is meant.
            own = ["--quiet", "--threads", "1", "--allow-saturated"]
            client = [*self.client_pin, "target/release/bench-client", mode, url, *own, *flags]
            client += ["--server-pid", str(self.process.pid), "--json", report.name]
            run = subprocess.run(client, capture_output=True, text=True)
            if run.returncode != 0:
                said = f"{run.stdout}{run.stderr}"
                sys.exit(f"{self.script}: {' '.join(client)} ended with {run.returncode}\n{said}")
            return json.loads(pathlib.Path(report.name).read_text())


def pair_flags(script, workloads, seconds):
    """The flags of a script that measures something and its limit in pairs."""
    flags = argparse.ArgumentParser(prog=f"{script}.sh")
    flags.add_argument("--workload", action="append", choices=list(workloads), help="only this one; may be given again")
    flags.add_argument("--pairs", type=int, default=11)
    flags.add_argument("--seconds", type=float, default=seconds)
    flags.add_argument("--json", help="also write every figure to this file")
    flags.add_argument("--no-build", action="store_true")
    return flags


def pair_up(flags, options, what, workloads, measure, width, aims=None):
    """Prints a table of `what` beside its limit, and writes the JSON. `measure(workload, order, seconds)` measures one pair, of
    which `order` says who comes first, and returns both figures by name; `aims` has what a ratio is to be at most."""
    if options.pairs < 1 or options.seconds <= 0:
        flags.error("at least one pair, and a time above zero")
    heading = f"ratio [quartiles] over {options.pairs} pairs{'' if aims is None else ', aim'}"
    print(f"{'workload':<{width}} {'limit µs':>9} {f'{what} µs':>9}  {heading}", flush=True)
    results = {}
    for workload in options.workload or workloads:
        orders = [(what, "limit") if pair % 2 == 0 else ("limit", what) for pair in range(options.pairs)]
        pairs = [measure(workload, order, options.seconds) for order in orders]
        low, middle, high = quartiles([pair[what] / pair["limit"] for pair in pairs])
        limit, own = (statistics.median(pair[name] for pair in pairs) for name in ("limit", what))
        result = {"ratio": middle, "quartiles": [low, high], "pairs": pairs}
        row = f"{workload:<{width}} {limit:9.3f} {own:9.3f}  {middle:.3f} [{low:.3f}, {high:.3f}]"
        if aims is not None:
            result["aim"] = aims[workload]
            row += f"  {aims[workload] or ''}"
        print(row, flush=True)
        results[workload] = result
    if options.json:
        machine = {"cores": os.cpu_count(), "kernel": os.uname().release}
        figures = {"machine": machine, "seconds": options.seconds, "workloads": results}
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=2) + "\n")


def quartiles(values):
    """The quartiles of some values, the median in the middle."""
    if len(values) == 1:
        return values * 3
    return statistics.quantiles(values, n=4, method="inclusive")
