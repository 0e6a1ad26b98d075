//! What `--help` says behind the flags: exit codes, and every line of a report. `cli` shows it.

/// What the exit code means.
pub(crate) const EXIT_CODES: &str = "Exit codes:
  0  the run is complete and every check held
  1  the run is complete and a check failed: messages lost, duplicated, reordered or corrupt, connections that
     could not be made or that the server closed, messages that could not be sent; or a --fail-if came true
  2  the flags are wrong, or the host cannot carry the run (the line says what fixes it)
  3  the server cannot be reached, is no WebSocket server, does not agree to --deflate, or could not be started
  4  the run is complete, but this client was saturated: its figures, and its checks, are invalid
An interrupt (SIGINT) ends the run early, with its report; a second one ends it at once.";

const REPORT: &str = "The report (times are microseconds, as percentiles over the measured window; sizes are bytes):
  connect        connections opened, given up after three attempts, and attempts made again; how fast
  connect time   from the first attempt at a connection (with --connect-rate: from when it was due) until it may send: TCP,
                 TLS, handshake, and namespace
  open after     connect mode: when which share of the connections was open, counted from the beginning
  worker         with --workers: who took part, and how far its clock may be from this one's
  tls            TLS handshakes carried through, how many of them resumed a session, version and cipher suite
  tls handshake  from the first byte of a TLS handshake to its last
  echo           messages sent and come back over the whole run, and how many came back a second while measured
  response time  from when a message was due, which in a closed loop is when it was sent, until it is back
  service time   open loop: from when it was in fact sent until it is back
  broadcast      messages published, and deliveries of them, each at one connection
  complete       of the publishes that were measured, how many reached every connection
  clocks         with --workers: how far the clock of the worker that publishes may be from another's, and so delivery times
                 be wrong
  delivery time  from when a publish was due until one connection has it
  first delivery from when a publish was due until the first connection has it
  last delivery  from when a publish was due until the last connection has it
  deflate        with --deflate: messages that were sent compressed, and those that came so, their bytes, and as how many of the
                 wire's
  sent late by   open loop, publishes (connect mode: first attempts): how much later than due; large values are this
                 client's fault
  loop lag       how late this client's loops came to what they do ten times a second, and so to their sockets
  checks         lost: never arrived; duplicated: arrived again; reordered: after a later one; corrupt: changed, or at a
                 connection that did not send it; unsent: due and not sent, for a connection was gone or its queue full;
                 timeouts: times a closed-loop connection heard nothing for --reply-timeout
  unmatched      messages that are no replies by --match, and the beginning of the first
  misrouted      rooms mode: messages that came to a member of another room
  slow           slow mode: what the slow readers got; all other lines are about the others
  slow delivery  from when a publish was due until a slow reader had it
  drift          soak mode: medians over the first and the last tenth of the measured intervals
  comeback       connections that were cut (or ended and replaced) on purpose, those of them that are open again, and attempts
                 it took; messages that were in flight on them, and messages that were due while they were away
  back after     from when a connection was ended, or all were cut, until it could send again
  recovered      when which share of the connections that were cut was back
  retried        why attempts at coming back failed, how often
  closes         connections that the server ended
  server         with --server-pid: CPU time in cores, per message that came back or was delivered, user memory
  memory         its proportional set size before, with all connected, and at the end
  at rest        memory mode: what a connection costs --duration after its one message
  kernel         growth of the machine's slab memory per connection, with 10,000 and more; both ends, if both are here
  this client    the same of this process; with a thread near 100 % it measures itself
  error          what went wrong, how often
  saturated      why the figures are this client's and not the server's: they are invalid
  warning        what makes the figures doubtful
  step           find-max: a load that was tried, and whether it held
  found          find-max: the highest load that held, and why the next one did not
  repeat         with --repeat: which of them; behind the last, the median of each figure, and the least and the largest
  phase          run: which phase of the file, as a command line
  interrupted    the run was ended early
  result         fine, or the checks that failed
The counts are over the whole run, warm-up included. --json has the same figures under names.";

/// All of it.
pub(crate) fn long() -> String {
    format!("{REPORT}\n\n{EXIT_CODES}")
}
