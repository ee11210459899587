//! The stream of NATS JetStream: a durable pull consumer, acknowledged when the journal is synced.
//!
//! The adapter remembers which stream it reads and how far. So it sees whether messages went
//! before they were read: the stream was made anew, has fewer messages than were taken, or begins
//! behind the next one. The library connects again by itself, and what was on its way then does not
//! come; so deliveries are counted, and with a gap the adapter begins again behind what it has.

mod connect;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::{
    self, Message,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    stream::RetentionPolicy,
};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use self::connect::connect;
use super::config::NatsSection;
use super::envelope::{self, BATCH_MAX};
use super::line::Micros;
use super::reader::Owner;
use super::watch::Place;
use super::{EventSource, Fresh, TakeError};
use crate::source::{Condition, words};
use crate::tls_files::TlsFileError;

pub(super) const ANSWER_MAX: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// What is not acknowledged by then comes again.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// The server says at least so often that it lives.
const IDLE_HEARTBEAT: Duration = Duration::from_secs(2);
/// How long a pull stands.
const PULL_EXPIRES: Duration = Duration::from_secs(20);
/// How often to look whether messages went unread.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Why no events come. No variant holds a message.
#[derive(Debug, thiserror::Error)]
enum NatsFault {
    #[error("no connection: {0}")]
    Connect(String),
    #[error("the connection broke")]
    Broken,
    #[error("the server refuses the credentials")]
    Refused,
    #[error("`nats.{key}`: can't use `{}`", path.display())]
    File {
        key: &'static str,
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    #[error("no stream of this name, or no right to use it: {0}")]
    Stream(String),
    #[error("the server does not answer")]
    Silent,
    #[error(
        "messages got lost on their way, or went to another reader of this `durable`; they are read again"
    )]
    Gap,
    #[error(
        "another adapter takes events by the consumer `{0}`: each needs a `durable` of its own"
    )]
    Shared(String),
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    #[error(transparent)]
    Take(#[from] TakeError),
}

impl NatsFault {
    const fn condition(&self) -> Condition {
        match self {
            Self::Broken | Self::Connect(_) | Self::Gap | Self::Silent => Condition::Down,
            Self::Refused | Self::File { .. } | Self::Tls(_) => Condition::Refused,
            Self::Stream(_) | Self::Take(_) | Self::Shared(_) => Condition::Unusable,
        }
    }
}

/// Follows the stream for ever; connects again when it ends.
pub(super) async fn follow(source: &EventSource, section: &NatsSection) {
    let mut pause = PAUSE_MIN;
    loop {
        let began = Instant::now();
        if let Err(fault) = follow_once(source, section).await {
            source.ill(fault.condition(), words(&fault));
        }
        pause = if began.elapsed() > PAUSE_MAX {
            PAUSE_MIN
        } else {
            (pause * 2).min(PAUSE_MAX)
        };
        sleep_until(Instant::now() + pause).await;
    }
}

async fn follow_once(source: &EventSource, section: &NatsSection) -> Result<(), NatsFault> {
    let (client, broken) = connect(section).await?;
    let answered = timeout(ANSWER_MAX, open(source, section, &client)).await;
    let (mut stream, consumer, made) = answered.map_err(|_| NatsFault::Silent)??;
    let acknowledges_all = consumer.cached_info().config.ack_policy == AckPolicy::All;
    let messages = consumer
        .stream()
        .max_messages_per_batch(BATCH_MAX)
        .heartbeat(IDLE_HEARTBEAT)
        .expires(PULL_EXPIRES)
        .messages();
    let messages = timeout(ANSWER_MAX, messages).await;
    let mut messages = messages
        .map_err(|_| NatsFault::Silent)?
        .map_err(|error| NatsFault::Stream(error.kind().to_string()))?;
    source.well();
    let mut look_at = Instant::now() + LOOK_EVERY;
    let mut deliveries = Deliveries::default();
    loop {
        let next = tokio::select! {
            next = timeout(LOOK_EVERY, messages.next()) => next,
            () = broken.notified() => return Err(NatsFault::Broken),
        };
        let mut batch = Vec::new();
        match next {
            Ok(Some(Ok(message))) => batch.push(message),
            // A missed heartbeat, a consumer or a stream that was deleted, a server that went.
            Ok(Some(Err(_)) | None) => return Err(NatsFault::Silent),
            Err(_) => {}
        }
        // What is there already shares the sync.
        while batch.len() < BATCH_MAX
            && let Some(Some(Ok(message))) = messages.next().now_or_never()
        {
            batch.push(message);
        }
        if !batch.is_empty() {
            if let Err(gap) = deliveries.follow_on(&batch) {
                // What another reader took of a work queue is gone.
                if stream.cached_info().config.retention == RetentionPolicy::WorkQueue {
                    source.lost("another reader took of the work queue");
                }
                return Err(gap);
            }
            take(source, &batch, made).await?;
            acknowledge(&batch, acknowledges_all).await;
        }
        if Instant::now() >= look_at {
            look_at = Instant::now() + LOOK_EVERY;
            let info = timeout(ANSWER_MAX, stream.info()).await;
            let info = info.map_err(|_| NatsFault::Silent)?;
            let info = info.map_err(|error| NatsFault::Stream(error.kind().to_string()))?;
            look(source, info).await?;
            if source.reader.owner(&stream, &section.durable).await != Owner::Nobody {
                // Since when, nobody knows.
                source.lost("another adapter read by the same consumer");
                return Err(NatsFault::Shared(section.durable.clone()));
            }
            // How far it has come is written with the next events, or now.
            source.flush().await?;
        }
    }
}

/// What the consumer has been given. The server counts each delivery, one that comes again too.
#[derive(Default)]
struct Deliveries(u64);

impl Deliveries {
    /// An error where one is missing: its message would be acknowledged with those behind it, and never
    /// come again.
    fn follow_on(&mut self, batch: &[Message]) -> Result<(), NatsFault> {
        for message in batch {
            let nth = message.info().map(|info| info.consumer_sequence);
            if nth.ok() != Some(self.0.saturating_add(1)) {
                return Err(NatsFault::Gap);
            }
            self.0 = self.0.saturating_add(1);
        }
        Ok(())
    }
}

/// Whether there is a stream and how old its newest message is, without a consumer, which would take
/// events from the one that runs.
pub(super) async fn try_out(source: &EventSource, section: &NatsSection) {
    let tried = async {
        let (client, _) = connect(section).await?;
        let context = jetstream::new(client);
        let stream = timeout(ANSWER_MAX, context.get_stream(&section.stream)).await;
        let stream = stream.map_err(|_| NatsFault::Silent)?;
        let stream = stream.map_err(|error| NatsFault::Stream(error.kind().to_string()))?;
        if source.reader.owner(&stream, &section.durable).await == Owner::AnotherReads {
            return Err(NatsFault::Shared(section.durable.clone()));
        }
        let state = &stream.cached_info().state;
        let newest = state.last_timestamp.unix_timestamp_nanos() / 1_000;
        // The server's time of a stream without a message is the beginning of our era.
        Ok::<_, NatsFault>(Micros::try_from(newest).unwrap_or(0).max(0))
    };
    match tried.await {
        Ok(newest) => source.tried(Some(newest)),
        Err(fault) => source.ill(fault.condition(), words(&fault)),
    }
}

/// Finds the stream and the consumer, and whether something was lost meanwhile.
async fn open(
    source: &EventSource,
    section: &NatsSection,
    client: &Client,
) -> Result<(jetstream::stream::Stream, PullConsumer, Micros), NatsFault> {
    let mut context = jetstream::new(client.clone());
    context.set_timeout(ANSWER_MAX);
    let stream = context.get_stream(&section.stream).await;
    let stream = stream.map_err(|error| NatsFault::Stream(error.kind().to_string()))?;
    let info = stream.cached_info();
    look(source, info).await?;
    let made = made_at(info);
    let taken = source.store.place().sequence;
    let work_queue = info.config.retention == RetentionPolicy::WorkQueue;
    let config = |ack_policy| pull::Config {
        durable_name: Some(section.durable.clone()),
        ack_policy,
        ack_wait: ACK_WAIT,
        description: Some(source.reader.description()),
        filter_subject: section.subject.clone().unwrap_or_default(),
        deliver_policy: match taken {
            0 => DeliverPolicy::All,
            // It has nothing any more of what was taken, and is read in no other way.
            _ if work_queue => DeliverPolicy::All,
            taken => DeliverPolicy::ByStartSequence {
                start_sequence: taken.saturating_add(1),
            },
        },
        ..pull::Config::default()
    };
    match source.reader.owner(&stream, &section.durable).await {
        Owner::AnotherReads => return Err(NatsFault::Shared(section.durable.clone())),
        Owner::Another => tracing::warn!(
            consumer = section.durable,
            "the consumer was another adapter's, which reads no more; it is made anew"
        ),
        Owner::Nobody => {}
    }
    // A pull of a connection that died without a word still waits at the server, and what it is
    // given comes again much later, behind newer events. With the consumer it goes; where to begin
    // is in the journal.
    let _ = stream.delete_consumer(&section.durable).await;
    // One word for a whole batch. A work queue, and servers before 2.9, want one for each message.
    let consumer = match stream.create_consumer(config(AckPolicy::All)).await {
        Ok(consumer) => Ok(consumer),
        Err(_) => stream.create_consumer(config(AckPolicy::Explicit)).await,
    };
    let consumer = consumer.map_err(|error| NatsFault::Stream(error.kind().to_string()))?;
    Ok((stream, consumer, made))
}

fn made_at(info: &jetstream::stream::Info) -> Micros {
    let nanos = info.created.unix_timestamp_nanos() / 1_000;
    Micros::try_from(nanos).unwrap_or(1).max(1)
}

/// Whether messages went before they were read.
async fn look(source: &EventSource, info: &jetstream::stream::Info) -> Result<(), NatsFault> {
    let place = source.store.place();
    if place.stream_made == 0 {
        return Ok(());
    }
    let state = &info.state;
    let why = if place.stream_made != made_at(info) || state.last_sequence < place.sequence {
        "the stream was made anew"
    } else if state.first_sequence > place.sequence.saturating_add(1) {
        "the stream dropped messages that were not read"
    } else {
        return Ok(());
    };
    tracing::warn!(why, "events may be lost; the watch begins again");
    source.lost(why);
    // From here on this stream counts, from its first message.
    source.store.set_place(Place {
        stream_made: made_at(info),
        sequence: state.first_sequence.saturating_sub(1),
    });
    source.flush().await?;
    Ok(())
}

/// Takes a batch, each message in its turn: where one is lost the watch begins again with what comes
/// behind it, and with nothing that came before.
async fn take(
    source: &EventSource,
    batch: &[Message],
    stream_made: Micros,
) -> Result<(), NatsFault> {
    let mut sequence = source.store.place().sequence;
    let mut fresh = Fresh::default();
    let mut lost = (0_usize, String::new());
    for message in batch {
        let place = message.info().map_or(0, |info| info.stream_sequence);
        sequence = sequence.max(place);
        let why = match envelope::parse(&message.payload) {
            Ok(event) => match source.refusal(&event) {
                None => {
                    source.apply(event, &mut fresh)?;
                    continue;
                }
                // Who is not declared may say that it lives; nobody waits for it.
                Some(TakeError::Producer) if !event.tells_of_subscriber() => continue,
                Some(refusal) => words(&refusal),
            },
            Err(error) => format!("it is no event: {error}"),
        };
        // It may have been about anybody.
        lost.0 += 1;
        lost.1 = format!("message {place} of the stream: {why}");
        source.lost(lost.1.clone());
    }
    if lost.0 > 0 {
        tracing::warn!(
            messages = lost.0,
            newest = lost.1,
            "messages can't be taken; the watch begins again"
        );
    }
    source.settle(fresh).await?;
    // Only now, so that what was not pushed comes again. Written with the next flush.
    source.store.set_place(Place {
        stream_made,
        sequence,
    });
    Ok(())
}

/// Acknowledges a batch that was taken: each message, or the newest and with it all before.
async fn acknowledge(batch: &[Message], all_before: bool) {
    let place = |message: &&Message| message.info().map_or(0, |info| info.stream_sequence);
    let newest = batch.iter().max_by_key(place).filter(|_| all_before);
    let each = batch.iter().filter(|_| !all_before);
    for message in newest.into_iter().chain(each) {
        // What gets lost comes again, and changes nothing then.
        let _ = message.ack().await;
    }
}
