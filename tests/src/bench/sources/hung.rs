//! What a source that hangs costs another one: alone, and joined with an HLR that takes connections
//! and never answers.
//!
//! Judged are a real HLR, and questions that the hung one is not believed for. Beside them stands what
//! the join itself costs: the virtual operator answers from memory in a microsecond, so that leaving the
//! hung one alone shows.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use accord_adapters::{
    osmo_hlr::{OsmoHlrConfig, testing::RealHlr},
    several::Several,
    source::Source as _,
    sources::{self, SourceConfig, SourceSection, VirtualConfig},
};
use accord_proto::{clock::SystemClock, msisdn::Msisdn, signal::Signal};
use tokio::{net::TcpListener, time::Instant};

use super::{
    SourceLine, SourcesPlan,
    hlr::{answered, fill, subscriber, wrong},
    load::{Asked, asked, compare},
};
use crate::bench::BenchError;

const PREFIX: &str = "+447700900";
const DEADLINE: Duration = Duration::from_secs(5);
const IN_FLIGHT: usize = 64;
/// One that the hung source claims to know too, and one that it does not.
const SHARED: [Signal; 1] = [Signal::SimSwap];
const OTHER: [Signal; 1] = [Signal::Tenure];

/// The inner error: the system can't be started here.
pub(super) async fn measure(
    plan: SourcesPlan,
    dir: &Path,
) -> Result<Result<Vec<SourceLine>, String>, BenchError> {
    fs::create_dir_all(dir).map_err(BenchError::io("make", dir))?;
    let loopback = Path::new("127.0.0.1:0");
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.map_err(BenchError::io("listen on", loopback))?;
    // Taken by the kernel and never by us, so nothing is ever read or answered.
    let silent = listener.local_addr();
    let silent = silent.map_err(BenchError::io("listen on", loopback))?;
    let hlr = match RealHlr::start(dir).await {
        Ok(hlr) => hlr,
        Err(error) => return Ok(Err(error.to_string())),
    };
    fill(&hlr).await?;
    let hung = |name: &str| section(name, silent.to_string(), dir);
    let real = |name: &str| section(name, hlr.ctrl_address(), dir);
    let alone = ask_hlr(vec![real("alone")?])?;
    let beside = ask_hlr(vec![real("joined")?, hung("hung-1")?])?;
    let names = ("HLR, SIM swap, beside a hung one", "alone");
    let mut lines = vec![compare(plan, names, IN_FLIGHT, (&beside, &alone), true).await?];
    for (signals, hung, names, judged) in [
        (
            &OTHER,
            hung("hung-2")?,
            ("virtual, tenure, beside a hung HLR", "alone"),
            true,
        ),
        (
            &SHARED,
            hung("hung-3")?,
            ("virtual, SIM swap, beside a hung HLR", "alone"),
            false,
        ),
    ] {
        let alone = ask_virtual(vec![virtual_operator()], signals)?;
        let beside = ask_virtual(vec![virtual_operator(), hung], signals)?;
        lines.push(compare(plan, names, IN_FLIGHT, (&beside, &alone), judged).await?);
    }
    drop(listener);
    Ok(Ok(lines))
}

fn virtual_operator() -> SourceSection {
    SourceSection::of(SourceConfig::Virtual(VirtualConfig {
        prefix: PREFIX.to_owned(),
    }))
}

fn section(name: &str, address: String, dir: &Path) -> Result<SourceSection, BenchError> {
    let dir = dir.join(name);
    fs::create_dir_all(&dir).map_err(BenchError::io("make", &dir))?;
    let config = config(address, &dir);
    let mut section = SourceSection::of(SourceConfig::OsmoHlr(Box::new(config)));
    section.name = name.to_owned();
    Ok(section)
}

fn open(sections: &[SourceSection]) -> Result<Arc<Several>, BenchError> {
    let opened = sources::open(sections, &SystemClock::shared());
    Ok(opened
        .map_err(|error| wrong("the sources", &error))?
        .sources)
}

fn ask_hlr(sections: Vec<SourceSection>) -> Result<Asked, BenchError> {
    Ok(asked(open(&sections)?, |sources, number| async move {
        let told = sources.observe(subscriber(number)?, &SHARED, Instant::now() + DEADLINE);
        answered("the sources", &told.await.signals)
    }))
}

fn ask_virtual(
    sections: Vec<SourceSection>,
    signals: &'static [Signal],
) -> Result<Asked, BenchError> {
    Ok(asked(open(&sections)?, move |sources, number| async move {
        // Plausible quiet subscribers.
        let number = Msisdn::parse(&format!("{PREFIX}{:03}", 100 + number % 900));
        let number = number.map_err(|error| wrong("a number", &error))?;
        let told = sources.observe(number, signals, Instant::now() + DEADLINE);
        answered("the sources", &told.await.signals)
    }))
}

/// An HLR source at an address, with its journal in a directory.
pub(super) fn config(address: String, dir: &Path) -> OsmoHlrConfig {
    OsmoHlrConfig {
        address,
        journal_dir: dir.join("journal"),
        journal_key_file: dir.join("journal.key"),
        watch: Vec::new(),
        watched_max: 1_000_000,
        poll_ms: 10_000,
        gap_max_ms: 60_000,
        request_timeout_ms: 2_000,
        asks_max: 1_024,
        serving: Vec::new(),
        sqlite_file: None::<PathBuf>,
        registration_ms: 86_400_000,
    }
}
