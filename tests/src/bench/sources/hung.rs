//! What a source that hangs costs another: the virtual operator alone, and joined with an HLR that
//! takes connections and never answers.

use std::{fs, path::Path, path::PathBuf, time::Duration};

use accord_adapters::{
    osmo_hlr::OsmoHlrConfig,
    source::Source as _,
    sources::{self, SourceConfig, SourceSection, VirtualConfig},
};
use accord_proto::{clock::SystemClock, msisdn::Msisdn, signal::Signal};
use tokio::{net::TcpListener, time::Instant};

use super::{
    SourceLine, SourcesPlan,
    hlr::{answered, wrong},
    load::{Asked, asked, compare},
};
use crate::bench::BenchError;

const PREFIX: &str = "+447700900";
const DEADLINE: Duration = Duration::from_secs(5);
/// One that the hung source claims to know too, and one that it does not.
const SHARED: [Signal; 1] = [Signal::SimSwap];
const OTHER: [Signal; 1] = [Signal::Tenure];

pub(super) async fn measure(plan: SourcesPlan, dir: &Path) -> Result<Vec<SourceLine>, BenchError> {
    fs::create_dir_all(dir).map_err(BenchError::io("make", dir))?;
    let loopback = Path::new("127.0.0.1:0");
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.map_err(BenchError::io("listen on", loopback))?;
    let address = listener
        .local_addr()
        .map_err(BenchError::io("listen on", loopback))?;
    // Taken by the kernel and never by us, so nothing is ever read or answered.
    let fine = || {
        SourceSection::of(SourceConfig::Virtual(VirtualConfig {
            prefix: PREFIX.to_owned(),
        }))
    };
    let hung = SourceSection::of(SourceConfig::OsmoHlr(Box::new(config(
        address.to_string(),
        dir,
    ))));
    let mut lines = Vec::new();
    for (signals, names) in [
        (&OTHER, ("beside a hung HLR, tenure", "alone")),
        (&SHARED, ("beside a hung HLR, SIM swap", "alone")),
    ] {
        let alone = ask(vec![fine()], signals)?;
        let beside = ask(vec![fine(), hung.clone()], signals)?;
        lines.push(compare(plan, names, 64, (&beside, &alone), true).await?);
    }
    drop(listener);
    Ok(lines)
}

fn ask(sections: Vec<SourceSection>, signals: &'static [Signal]) -> Result<Asked, BenchError> {
    let opened = sources::open(&sections, &SystemClock::shared());
    let opened = opened.map_err(|error| wrong("the sources", &error))?;
    Ok(asked(opened.sources, move |sources, number| async move {
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
