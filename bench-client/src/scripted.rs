//! The script that runs on each connection before it counts as open.
//!
//! A run without one never comes here. What comes is handed in by `inbound` and `packets`, the time by the worker at every
//! turn while connections are opened.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use throng::proto::ws::Opcode;

use crate::conn::{Conn, Phase};
use crate::inbound::End;
use crate::output::Keys;
use crate::payload::Stamp;
use crate::script::{Script, What};
use crate::stats::strange;
use crate::traffic::Traffic;
use crate::worker::Worker;

/// What a worker needs for it.
#[derive(Debug)]
pub(crate) struct Scripted {
    script: Arc<Script>,
    draws: Keys,
    text: Vec<u8>,
    /// When a step's time is over, and in which slot.
    due: BinaryHeap<Reverse<(u64, usize)>>,
}

/// How far a connection is.
#[derive(Debug)]
pub(crate) struct Running {
    slot: usize,
    at: usize,
    /// When the time of the step is over.
    until: u64,
    is_begun: bool,
}

impl Scripted {
    pub(crate) fn new(script: Arc<Script>, seed: u64) -> Self {
        Self { script, draws: Keys::new(!seed), text: Vec::new(), due: BinaryHeap::new() }
    }
}

impl Conn {
    /// Whether its script is what it hears for.
    pub(crate) fn is_in_script(&self) -> bool {
        self.rest.as_deref().and_then(|rest| rest.running.as_deref()).is_some_and(|running| running.is_begun)
    }
}

impl Traffic {
    /// Takes note of the slot of a connection that will come to its script.
    pub(crate) fn prepare_script(&self, conn: &mut Conn, slot: usize) {
        if self.scripted.is_some() {
            conn.rest().running = Some(Box::new(Running { slot, at: 0, until: 0, is_begun: false }));
        }
    }

    /// Opens a connection that could send now; where there is a script, begins that instead.
    pub(crate) fn begin_script(&mut self, conn: &mut Conn, now: u64) {
        conn.phase = Phase::Open;
        if let Some(running) = conn.rest.as_deref_mut().and_then(|rest| rest.running.as_deref_mut()) {
            running.is_begun = true;
            conn.phase = Phase::Joining;
            if let Some(opening) = conn.rest().opening.as_mut() {
                // Its steps have times of their own, so --connect-timeout is over: no attempt has this number.
                opening.serial = 0;
            }
            self.go_on(conn, now);
        }
    }

    /// Carries the script out up to the next step that takes time.
    fn go_on(&mut self, conn: &mut Conn, now: u64) {
        let Self { scripted: Some(scripted), output, socket_io, .. } = self else { return };
        let Scripted { script, draws, text, due } = &mut **scripted;
        let stamp = Stamp::of_connection(conn.number);
        loop {
            let rest = conn.rest.get_or_insert_default();
            let Some(running) = rest.running.as_deref_mut() else { return };
            let mut fill = |template: &crate::template::Template| {
                text.clear();
                template.append(&stamp, draws, text);
            };
            match script.step(running.at).map(|step| &step.what) {
                None => {
                    rest.running = None;
                    conn.phase = Phase::Open;
                    return;
                }
                Some(What::Send(template)) => {
                    fill(template);
                    output.append(Opcode::Text, text);
                }
                Some(What::Emit { head, args }) => {
                    fill(args);
                    if let Some(socket_io) = rest.speech.as_deref().or(socket_io.as_ref()) {
                        socket_io.append_event(output, head.as_bytes(), text);
                    }
                }
                Some(What::Expect(_, time) | What::Wait(time)) => {
                    running.until = now + time.as_nanos() as u64;
                    due.push(Reverse((running.until, running.slot)));
                    return;
                }
            }
            running.at += 1;
        }
    }

    /// Takes a message, or an event's JSON, that came while the script was under way.
    pub(crate) fn scripted(&mut self, conn: &mut Conn, text: &[u8], now: u64) {
        let Some(scripted) = &self.scripted else { return };
        let Some(running) = conn.rest.as_deref_mut().and_then(|rest| rest.running.as_deref_mut()) else {
            return;
        };
        match scripted.script.step(running.at).map(|step| &step.what) {
            Some(What::Expect(expected, _)) if expected.is(text) => {
                running.at += 1;
                self.go_on(conn, now);
            }
            _ => _ = self.stats.strange.get_or_insert_with(|| strange(text)),
        }
    }

    /// What to do with a connection whose step's time is over: go on, or say why not.
    fn step_over(&mut self, conn: &mut Conn, at: u64, now: u64) -> Result<(), End> {
        let Some(scripted) = &self.scripted else { return Ok(()) };
        let Some(running) = conn.rest.as_deref_mut().and_then(|rest| rest.running.as_deref_mut()) else {
            return Ok(());
        };
        if running.until != at {
            return Ok(());
        }
        let Some(step) = scripted.script.step(running.at) else { return Ok(()) };
        if let What::Wait(_) = step.what {
            running.at += 1;
            self.go_on(conn, now);
            return Ok(());
        }
        let came = match &self.stats.strange {
            Some(first) => format!("; the first that came instead was {first}"),
            None => "; nothing came".to_owned(),
        };
        Err(End::Refused(format!("did not send what was expected at {}{came}", step.told)))
    }
}

impl Worker {
    /// Carries on the scripts whose steps' times are over.
    pub(crate) fn step_scripts(&mut self, now: u64) {
        while let Some(scripted) = &mut self.traffic.scripted
            && let Some(&Reverse((at, slot))) = scripted.due.peek()
            && at <= now
        {
            scripted.due.pop();
            let Self { conns, traffic, connector, .. } = self;
            let Some(conn) = conns.get_mut(slot).filter(|conn| conn.phase == Phase::Joining) else {
                continue;
            };
            let stepped = traffic
                .step_over(conn, at, now)
                .and_then(|()| traffic.flush(conn).map_err(|error| End::of(&error)));
            match stepped {
                Ok(()) if conn.phase == Phase::Open => connector.opened(conn, slot, now, &mut traffic.stats),
                Ok(()) => {}
                Err(end) => self.end(slot, &end),
            }
        }
    }
}
