//! A consumer of JetStream and nothing else: pulled, and acknowledged in the batches that came.

use std::{fs::File, io::Write as _, path::PathBuf, sync::Arc, time::Duration};

use async_nats::jetstream::{
    Context, Message,
    consumer::{AckPolicy, DeliverPolicy, pull},
    stream,
};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;

use super::gone;
use crate::bench::{BenchError, sources::hlr::wrong};

/// As the source has them.
const BATCH_MAX: usize = 256;
const IDLE_HEARTBEAT: Duration = Duration::from_secs(2);
const PULL_EXPIRES: Duration = Duration::from_secs(20);

/// What becomes of an event before it is acknowledged.
#[derive(Clone, Copy)]
pub(super) enum Keeping {
    /// It is dropped.
    Nothing,
    /// It is appended to a file, which is synced.
    Synced,
}

pub(super) async fn make_stream(
    context: &Context,
    (name, subject): (&str, &str),
) -> Result<(), BenchError> {
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![format!("{subject}.>")],
        ..stream::Config::default()
    };
    let made = context.create_stream(config).await;
    made.map_err(|error| wrong("nats-server", &error))?;
    Ok(())
}

/// Takes events from the stream's first on, until nobody listens. `tell` gets the last word of each
/// one's subject.
pub(super) async fn follow(
    context: Context,
    (name, _): (&'static str, &'static str),
    durable: String,
    keeping: Keeping,
    file: PathBuf,
    tell: mpsc::Sender<String>,
) -> Result<(), BenchError> {
    let kept = File::create(&file).map_err(BenchError::io("make", &file))?;
    let kept = Arc::new(kept);
    let config = pull::Config {
        durable_name: Some(durable),
        ack_policy: AckPolicy::Explicit,
        deliver_policy: DeliverPolicy::All,
        ..pull::Config::default()
    };
    let stream = context.get_stream(name).await;
    let stream = stream.map_err(|error| wrong("nats-server", &error))?;
    let consumer = stream.create_consumer(config).await;
    let consumer = consumer.map_err(|error| wrong("nats-server", &error))?;
    let messages = consumer
        .stream()
        .max_messages_per_batch(BATCH_MAX)
        .heartbeat(IDLE_HEARTBEAT)
        .expires(PULL_EXPIRES)
        .messages();
    let mut messages = messages
        .await
        .map_err(|error| wrong("nats-server", &error))?;
    while let Some(Ok(first)) = messages.next().await {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Some(Some(Ok(message))) = messages.next().now_or_never()
        {
            batch.push(message);
        }
        if let Keeping::Synced = keeping {
            keep(&kept, &batch)
                .await?
                .map_err(BenchError::io("write", &file))?;
        }
        for message in batch {
            message.ack().await.map_err(|_| gone())?;
            let word = message.subject.rsplit('.').next().unwrap_or_default();
            if tell.send(word.to_owned()).await.is_err() {
                return Ok(());
            }
        }
    }
    Err(gone())
}

async fn keep(kept: &Arc<File>, batch: &[Message]) -> Result<std::io::Result<()>, BenchError> {
    let mut bytes = Vec::new();
    for message in batch {
        bytes.extend(&message.payload);
    }
    let kept = Arc::clone(kept);
    let synced = tokio::task::spawn_blocking(move || {
        (&*kept).write_all(&bytes)?;
        kept.sync_data()
    });
    synced.await.map_err(|_| gone())
}
