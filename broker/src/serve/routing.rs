//! What routes numbers beside the signed documents, from the configuration.

use std::sync::Arc;

use accord_proto::{clock::SharedClock, portability::PortabilityDatabase};
use tokio::{
    task::JoinSet,
    time::{Duration, MissedTickBehavior, interval},
};

use super::{StartError, assemble::House};
use crate::{
    config::Config,
    routing::{DatabaseFile, DatabaseWatch, Outside, Routing, RoutingMetrics},
};

/// How often the database's file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

fn database_file(config: &Config) -> Option<DatabaseFile> {
    Some(DatabaseFile {
        path: config.portability.file.clone()?,
        rows_max: config.portability.rows_max,
        operators: config.portability.operators.clone(),
    })
}

/// Reads the database and makes the suppliers ready; none of them is asked.
pub(super) async fn open(
    config: &Config,
    clock: &SharedClock,
    counted: &RoutingMetrics,
) -> Result<(Arc<Routing>, Option<DatabaseWatch>), StartError> {
    let outside = Outside::open(&config.enums, counted)?;
    let watch = match database_file(config) {
        None => None,
        Some(file) => {
            let (counted, now) = (counted.clone(), clock.now());
            let open = move || DatabaseWatch::open(file, counted, now);
            let opened = tokio::task::spawn_blocking(open).await;
            Some(opened.map_err(StartError::Broken)??)
        }
    };
    Ok((Arc::new(Routing::new(watch.as_ref(), outside)), watch))
}

/// What [`open`] would find, for who only looks.
pub(super) fn check(
    config: &Config,
    clock: &SharedClock,
) -> Result<Option<PortabilityDatabase>, StartError> {
    let file = database_file(config);
    let read = file.map(|file| file.read(clock.now()));
    Ok(read.transpose()?)
}

impl House {
    /// Keeps the database current, for as long as the broker runs.
    pub(super) fn keep_database(
        &self,
        housekeeping: &mut JoinSet<()>,
        watch: Option<DatabaseWatch>,
    ) {
        let Some(mut watch) = watch else {
            return;
        };
        let (ledger, clock) = (Arc::clone(&self.ledger), Arc::clone(&self.clock));
        let metrics = Arc::clone(&self.metrics);
        housekeeping.spawn(async move {
            let mut look = interval(LOOK_EVERY);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                look.tick().await;
                if let Err(error) = watch.tick(&ledger, &metrics, &clock).await {
                    tracing::error!(%error, "can't record a portability database");
                }
            }
        });
    }
}
