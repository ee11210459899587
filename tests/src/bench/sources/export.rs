//! An export: the source beside a map in memory, which is what it would be without dates, limits and
//! reasons.

use std::{
    collections::HashMap,
    fs,
    io::{BufWriter, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use accord_adapters::{
    csv_export::{CsvExport, fixture},
    source::Source,
};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    msisdn::Msisdn,
    signal::Signal,
};
use tokio::time::Instant;

use super::{
    SourceLine, SourcesPlan,
    hlr::{answered, wrong},
    load::{asked, compare},
};
use crate::bench::BenchError;

const ROWS: u64 = 100_000;
const SEED: u64 = 1;
const DEADLINE: Duration = Duration::from_secs(5);
const SIGNALS: [Signal; 1] = [Signal::SimSwap];

pub(super) async fn measure(plan: SourcesPlan, dir: &Path) -> Result<Vec<SourceLine>, BenchError> {
    fs::create_dir_all(dir).map_err(BenchError::io("make", dir))?;
    let path = dir.join(fixture::FILE_NAME);
    let now = SystemClock.now();
    let written = fs::File::create(&path)
        .map(BufWriter::new)
        .and_then(|mut file| {
            fixture::write_fixture(ROWS, SEED, now, &mut file)?;
            file.flush()
        });
    written.map_err(BenchError::io("write", &path))?;
    let config = toml::from_str(&fixture::config(dir));
    let config = config.map_err(|error: toml::de::Error| wrong("the export source", &error))?;
    let source = CsvExport::open(config, SystemClock::shared());
    let source = Arc::new(source.map_err(|error| wrong("the export source", &error))?);
    let loaded = source.reload_once().await;
    loaded.map_err(|error| wrong("the export source", &error))?;
    let of_source = asked(source, |source, number| async move {
        let told = source.observe(subscriber(number)?, &SIGNALS, Instant::now() + DEADLINE);
        answered("the export source", &told.await.signals)
    });
    let mut map = HashMap::new();
    for row in 0..ROWS {
        map.insert(subscriber(row)?, now);
    }
    let of_map = asked(Arc::new(map), |map, number| async move {
        match map.get(&subscriber(number)?) {
            Some(_) => Ok(()),
            None => Err(BenchError::Child { what: "map" }),
        }
    });
    let names = ("export of 100,000, SIM swap", "a map in memory");
    let line = compare(plan, names, 1, (&of_source, &of_map), false).await?;
    Ok(vec![line])
}

fn subscriber(row: u64) -> Result<Msisdn, BenchError> {
    fixture::number(row % ROWS).map_err(|error| wrong("a number", &error))
}
