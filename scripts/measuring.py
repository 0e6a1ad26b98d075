"""What the scripts that measure have in common: servers started anew on loopback, bench-client's reports, quartiles.

Imported by the Python within bench-limit.sh, bench-tls.sh and bench-peers.sh, which run at the project's root.
"""

import json, pathlib, signal, socket, statistics, subprocess, sys, tempfile, time


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


def quartiles(values):
    """The quartiles of some values, the median in the middle."""
    if len(values) == 1:
        return values * 3
    return statistics.quantiles(values, n=4, method="inclusive")
