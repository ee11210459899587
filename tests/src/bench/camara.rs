//! The CAMARA door beside a bare axum server with mTLS, over HTTP/1.1 and HTTP/2; how many tokens a
//! second its authorisation server issues; and what the check of a token costs that was seen before.
//!
//! The door answers from the view, as (b) of the whole benchmark does. Rounds alternate between the
//! two servers, and each ratio is taken within a round.

mod checked;
mod echo;
mod http;
mod requests;

use std::{fmt::Write as _, fs, path::Path, sync::Arc};

use serde::Serialize;

use self::{
    echo::BODY_FILE,
    http::{Server, Version},
    requests::Requests,
};
use super::{
    BenchError, Plan,
    child::Child,
    figures::{Figures, Round, ratio},
    judge::Judge,
    rig::Rig,
};

pub use echo::serve_http_echo;

/// What the door is to reach of the bare server.
const AIM: f64 = 0.60;
/// Tokens a second.
const AIM_TOKENS: f64 = 3_000.0;
/// What the check of a token may cost that was seen before, in microseconds.
const AIM_CHECK_US: f64 = 2.0;
/// Requests in flight.
const IN_FLIGHT: usize = 64;
/// Numbers that the view knows.
const NUMBERS: u64 = 10_000;

/// The door and the bare server over one version of HTTP.
#[derive(Clone, Debug, Serialize)]
pub struct DoorLine {
    /// Which version.
    pub version: &'static str,
    /// The bare server.
    pub bare: Figures,
    /// The door; its ratio is to the bare server, round by round.
    pub door: Figures,
}

/// All that was measured of the door.
#[derive(Clone, Debug, Serialize)]
pub struct Camara {
    /// Both versions of HTTP.
    pub lines: Vec<DoorLine>,
    /// Tokens issued a second, each for an assertion of its own.
    pub tokens_per_second: f64,
    /// The check of a token that was seen before, in microseconds.
    pub check_us: f64,
}

/// Measures, in a directory that is empty.
pub(super) async fn measure(
    plan: &Plan,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Camara, BenchError> {
    progress("starting broker, adapter and bare server");
    let rig = Rig::start(dir).await?;
    let mut lines = Vec::new();
    for version in [Version::Http1, Version::Http2] {
        lines.push(door(plan, &rig, version, progress).await?);
    }
    progress("issuing tokens");
    let tokens_per_second = tokens(plan, &rig).await?;
    progress("checking a token that was seen before");
    let check_us = checked::cost_us(&rig).await?;
    rig.stop().await?;
    Ok(Camara {
        lines,
        tokens_per_second,
        check_us,
    })
}

async fn door(
    plan: &Plan,
    rig: &Rig,
    version: Version,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<DoorLine, BenchError> {
    let (name, _) = version.names();
    let requests = Requests::new(rig).await?;
    let pids = [rig.broker_pid(), None];
    let door = Server::new(
        "the CAMARA door",
        rig.camara(),
        version,
        requests.check(NUMBERS),
        pids,
    );
    // The first question about each number brings it into the view.
    door.total(&rig.dialler, IN_FLIGHT, NUMBERS).await?;
    let sample = door.sample(&rig.dialler).await?;
    let path = rig.dir().join(BODY_FILE);
    fs::write(&path, &sample).map_err(BenchError::io("write", &path))?;
    let echo = Child::spawn("bare server", &["http-echo", "--dir"], rig.dir()).await?;
    let at = echo.said.parse();
    let at = at.map_err(|_| BenchError::Child {
        what: "bare server",
    })?;
    let pids = [echo.pid(), None];
    let bare = Server::new(
        "the bare server",
        at,
        version,
        requests.check(NUMBERS),
        pids,
    );
    let (mut bare_rounds, mut door_rounds) = (Vec::new(), Vec::new());
    for number in 1..=plan.rounds {
        progress(&format!("{name}: round {number} of {}", plan.rounds));
        bare_rounds.push(round(plan, rig, &bare).await?);
        door_rounds.push(round(plan, rig, &door).await?);
    }
    Ok(DoorLine {
        version: name,
        bare: Figures::of(&bare_rounds, &bare_rounds),
        door: Figures::of(&door_rounds, &bare_rounds),
    })
}

async fn round(plan: &Plan, rig: &Rig, server: &Arc<Server>) -> Result<Round, BenchError> {
    server
        .closed(&rig.dialler, IN_FLIGHT, plan.warm_up, plan.closed)
        .await
}

/// The assertions are signed beforehand: what is measured is the server.
async fn tokens(plan: &Plan, rig: &Rig) -> Result<f64, BenchError> {
    let per_round = if plan.only_a_trial().is_some() {
        500
    } else {
        10_000
    };
    let mut best: Vec<f64> = Vec::new();
    for _ in 0..plan.rounds {
        let requests = Requests::issuing(rig, per_round)?;
        let pids = [rig.broker_pid(), None];
        let server = Server::new(
            "the token endpoint",
            rig.camara(),
            Version::Http2,
            requests,
            pids,
        );
        let took = server.total(&rig.dialler, IN_FLIGHT, per_round).await?;
        let issued = u32::try_from(per_round).unwrap_or(u32::MAX);
        best.push(ratio(f64::from(issued), took.as_secs_f64()));
    }
    Ok(super::figures::median(best))
}

impl Camara {
    /// Adds the table.
    pub(super) fn put(&self, text: &mut String, judge: Judge) {
        // Writing into a text can't fail.
        let _ = writeln!(
            text,
            "\nCAMARA door: sim-swap check from the view, {IN_FLIGHT} in flight, beside a bare axum \
             server\n\n{:<9} {:>12} {:>12} {:>8} {:>8} {:>6}   CPU µs each: bare, door",
            "version", "bare req/s", "door req/s", "p50 ms", "p99 ms", "ratio"
        );
        for line in &self.lines {
            let [bare_cpu, ..] = line.bare.cpu_us;
            let [door_cpu, ..] = line.door.cpu_us;
            let _ = writeln!(
                text,
                "{:<9} {:>12.0} {:>12.0} {:>8.2} {:>8.2} {:>6.2}   {bare_cpu:.0}, {door_cpu:.0}; \
                 aim {AIM:.2}: {}",
                line.version,
                line.bare.per_second,
                line.door.per_second,
                line.door.p50_us / 1_000.0,
                line.door.p99_us / 1_000.0,
                line.door.ratio,
                judge.met(line.door.ratio >= AIM)
            );
        }
        let _ = writeln!(
            text,
            "tokens issued: {:.0} a second, aim {AIM_TOKENS:.0}: {}\ncheck of a token that was seen \
             before: {:.2} µs, aim {AIM_CHECK_US:.0}: {}",
            self.tokens_per_second,
            judge.met(self.tokens_per_second >= AIM_TOKENS),
            self.check_us,
            judge.met(self.check_us < AIM_CHECK_US)
        );
    }
}
