//! The lines that have no answer yet.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use accord_proto::v1;
use tokio::time::Instant;

use crate::{question::Asked, random};

/// How often one line is sent, where refusals say when to come back.
const TRIES_MAX: u32 = 12;
/// The longest wait between two tries, unless a refusal asks for a longer one.
const WAIT_MS_MAX: u64 = 10_000;
/// A refusal that asks for a longer wait than this is the line's result: while a line waits, no new
/// ones are read.
const WAIT_ASKED_S_MAX: u64 = 60;

/// One line.
pub(crate) struct Line<T> {
    pub(crate) tag: T,
    pub(crate) asked: Asked,
    tries: u32,
}

/// Lines by their number on the wire. Each is in exactly one state: to be sent, waiting for its
/// time, or sent.
pub(crate) struct InFlight<T> {
    lines: BTreeMap<u64, Line<T>>,
    to_send: VecDeque<u64>,
    waiting: Vec<(Instant, u64)>,
    next_number: u64,
}

impl<T> InFlight<T> {
    pub(crate) const fn new() -> Self {
        Self {
            lines: BTreeMap::new(),
            to_send: VecDeque::new(),
            waiting: Vec::new(),
            next_number: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(crate) fn has_to_send(&self) -> bool {
        !self.to_send.is_empty()
    }

    /// A new line, to be sent.
    pub(crate) fn add(&mut self, tag: T, asked: Asked) {
        let number = self.next_number;
        self.next_number += 1;
        let line = Line {
            tag,
            asked,
            tries: 0,
        };
        self.lines.insert(number, line);
        self.to_send.push_back(number);
    }

    /// The next line to send.
    pub(crate) fn send_next(&mut self) -> Option<v1::ScreenLine> {
        let number = self.to_send.pop_front()?;
        let line = self.lines.get(&number)?;
        Some(v1::ScreenLine {
            correlation_id: number.to_string(),
            question: Some(line.asked.request.clone()),
        })
    }

    /// A line has its result. `None`: no such line, or it has had its result.
    pub(crate) fn finish(&mut self, correlation_id: &str) -> Option<Line<T>> {
        let number = correlation_id.parse().ok()?;
        self.waiting.retain(|(_, waiting)| *waiting != number);
        self.to_send.retain(|waiting| *waiting != number);
        self.lines.remove(&number)
    }

    /// A line is to be sent again, after `wait` and longer each time. Returns how often it was
    /// sent; `None` if there is no such line, it was sent too often already, or it would wait for too
    /// long.
    pub(crate) fn again(&mut self, correlation_id: &str, wait: Duration) -> Option<u32> {
        let number = correlation_id.parse::<u64>().ok()?;
        let line = self.lines.get_mut(&number)?;
        line.tries += 1;
        if line.tries >= TRIES_MAX || wait > Duration::from_secs(WAIT_ASKED_S_MAX) {
            return None;
        }
        let longer = wait.saturating_mul(1 << (line.tries - 1));
        let bounded = longer.min(wait.max(Duration::from_millis(WAIT_MS_MAX)));
        let due = Instant::now() + wait.max(random::jittered(bounded));
        self.waiting.push((due, number));
        Some(line.tries)
    }

    /// Whether the broker has asked for patience: then no new lines are read, so that a limit is
    /// met by going slower and not by being refused more often.
    pub(crate) fn is_patient(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When the next waiting line is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.waiting.iter().map(|(due, _)| *due).min()
    }

    /// Lines whose time has come are to be sent.
    pub(crate) fn release_due(&mut self, now: Instant) {
        let to_send = &mut self.to_send;
        self.waiting.retain(|(due, number)| {
            let wait = *due > now;
            if !wait {
                to_send.push_back(*number);
            }
            wait
        });
    }

    /// The stream broke: whatever has no result and is not waiting is to be sent again.
    pub(crate) fn resend_all(&mut self) {
        let waiting = &self.waiting;
        self.to_send = self
            .lines
            .keys()
            .filter(|number| !waiting.iter().any(|(_, waits)| waits == *number))
            .copied()
            .collect();
    }
}
