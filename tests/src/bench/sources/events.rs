//! NATS JetStream: the source beside a bare consumer of a stream of its own. How fast a backlog is
//! taken, and how soon an event that is told shows in an answer.
//!
//! The source acknowledges what is on the disk. So the bare consumer that it is judged by appends
//! what came to a file and syncs it first, as whoever must not lose an event does; beside it stands
//! one that keeps nothing.

mod bare;

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use accord_adapters::{
    csv_export::fixture::number,
    events::{
        EventSource, EventsConfig,
        testing::{PRODUCER, READER, RealNats, TestingError},
    },
    source::{Source as _, SourceChange},
};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    msisdn::Msisdn,
    signal::Signal,
};
use async_nats::{ConnectOptions, jetstream::Context};
use jiff::SignedDuration;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout},
};

use self::bare::Keeping;
use super::{
    IN_FLIGHT, SourceLine, SourcesPlan,
    hlr::{answered, wrong},
    load::{Asked, alternate, asked, compare},
};
use crate::bench::{BenchError, figures::Round};

/// A multiple of the questions in flight, so that no two of them are ever about one number.
const SUBSCRIBERS: u64 = 1_024;
const DEADLINE: Duration = Duration::from_secs(5);
const BACKLOG_MAX: Duration = Duration::from_secs(60);
const SIGNALS: [Signal; 1] = [Signal::SimSwap];
/// The stream of the source, and where its events are told.
const OURS: (&str, &str) = ("EVENTS", "crm");
/// The stream of the bare consumer.
const BARE: (&str, &str) = ("BARE", "bare");
/// What is told at once before the server's word is waited for.
const TOLD_AT_ONCE: usize = 512;

/// The inner error: the system can't be started here.
pub(super) async fn measure(
    plan: SourcesPlan,
    dir: &Path,
) -> Result<Result<Vec<SourceLine>, String>, BenchError> {
    fs::create_dir_all(dir).map_err(BenchError::io("make", dir))?;
    let server = match RealNats::start(dir, None).await {
        Ok(server) => server,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let (events, names) = if plan.only_a_trial.is_none() {
        (50_000, "NATS, backlog of 50,000 events")
    } else {
        (2_000, "NATS, backlog of 2,000 events")
    };
    let context = connect(&server).await?;
    let producer = server.producer().await.map_err(refused)?;
    producer.make_stream(-1).await.map_err(refused)?;
    bare::make_stream(&context, BARE).await?;
    for stream in [OURS, BARE] {
        fill(&context, stream, events).await?;
    }
    let rig = Rig {
        server,
        context,
        rounds: AtomicU64::new(0),
    };
    let ours = async || rig.backlog_of_source(dir, events).await;
    let mut lines = Vec::new();
    for (keeping, beside, judged) in [
        (Keeping::Synced, "consumer that syncs", true),
        (Keeping::Nothing, "consumer that keeps nothing", false),
    ] {
        let theirs = async || rig.backlog_of_bare(dir, keeping, events).await;
        let names = (names, beside);
        lines.push(alternate(plan, names, events, (ours, theirs), judged).await?);
    }
    lines.extend(rig.told(plan, dir).await?);
    Ok(Ok(lines))
}

struct Rig {
    server: RealNats,
    context: Context,
    /// Each has a directory and a consumer of its own.
    rounds: AtomicU64,
}

impl Rig {
    /// From the start of a source that has nothing until it has taken all.
    async fn backlog_of_source(&self, dir: &Path, events: usize) -> Result<Round, BenchError> {
        let own = dir.join(format!("round-{}", self.next()));
        let begun = Instant::now();
        let (mut changes, _running, _) = self.source(&own)?;
        let all = async {
            for _ in 0..events {
                changes.recv().await.ok_or_else(gone)?;
            }
            Ok(begun.elapsed())
        };
        took(events, timeout(BACKLOG_MAX, all).await)
    }

    async fn backlog_of_bare(
        &self,
        dir: &Path,
        keeping: Keeping,
        events: usize,
    ) -> Result<Round, BenchError> {
        let round = self.next();
        let file = dir.join(format!("kept-{round}"));
        let begun = Instant::now();
        let context = connect(&self.server).await?;
        let (tell, mut told) = mpsc::channel(events.max(1));
        let mut running = JoinSet::new();
        let durable = format!("bare-{round}");
        running.spawn(bare::follow(context, BARE, durable, keeping, file, tell));
        let all = async {
            for _ in 0..events {
                told.recv().await.ok_or_else(gone)?;
            }
            Ok(begun.elapsed())
        };
        took(events, timeout(BACKLOG_MAX, all).await)
    }

    /// An event is told, and waited for until the source answers with it.
    async fn told(&self, plan: SourcesPlan, dir: &Path) -> Result<Vec<SourceLine>, BenchError> {
        let (mut changes, _running, source) = self.source(&dir.join("told"))?;
        let hub = Arc::new(Hub::default());
        let hearing = Arc::clone(&hub);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Some(change) = changes.recv().await {
                hearing.heard(change.msisdn.expose_digits());
            }
        });
        let of_source = self.asked(OURS, Arc::clone(&hub), move |msisdn| {
            let source = Arc::clone(&source);
            async move {
                let told = source.observe(msisdn, &SIGNALS, Instant::now() + DEADLINE);
                answered("the source of events", &told.await.signals)
            }
        });
        let hub = Arc::new(Hub::default());
        let hearing = Arc::clone(&hub);
        let (tell, mut told) = mpsc::channel::<String>(1_024);
        tasks.spawn(async move {
            while let Some(digits) = told.recv().await {
                hearing.heard(&digits);
            }
        });
        let (context, file) = (connect(&self.server).await?, dir.join("kept"));
        let durable = "bare-told".to_owned();
        let follow = bare::follow(context, BARE, durable, Keeping::Synced, file, tell);
        tasks.spawn(async {
            // Whoever waits is told by its end.
            let _ = follow.await;
        });
        let of_bare = self.asked(BARE, hub, |_| async { Ok(()) });
        let mut lines = Vec::new();
        for in_flight in IN_FLIGHT {
            let names = ("NATS, event to answer", "consumer that syncs");
            lines.push(compare(plan, names, in_flight, (&of_source, &of_bare), true).await?);
        }
        Ok(lines)
    }

    fn asked<F>(
        &self,
        stream: (&'static str, &'static str),
        hub: Arc<Hub>,
        then: impl Fn(Msisdn) -> F + Clone + Send + Sync + 'static,
    ) -> Asked
    where
        F: Future<Output = Result<(), BenchError>> + Send + 'static,
    {
        let both = Arc::new((self.context.clone(), hub));
        asked(both, move |both, number| {
            let then = then.clone();
            async move {
                let msisdn = subscriber(number)?;
                let heard = both.1.wait(msisdn.expose_digits());
                let text = swap(&msisdn, &format!("told-{number}"));
                publish(&both.0, stream, &msisdn, text).await?.await?;
                let heard = timeout(DEADLINE, heard).await;
                heard.map_err(|_| gone())?.map_err(|_| gone())?;
                then(msisdn).await
            }
        })
    }

    /// A source that runs as long as what is returned beside its changes.
    fn source(&self, dir: &Path) -> Result<Running, BenchError> {
        fs::create_dir_all(dir).map_err(BenchError::io("make", dir))?;
        let password = dir.join("password");
        fs::write(&password, READER.1).map_err(BenchError::io("write", &password))?;
        let config = format!(
            "producers = {{ crm = [\"swaps\"] }}\njournal_dir = {:?}\njournal_key_file = {:?}\n\
             lateness_ms = 0\nnats = {{ servers = [{:?}], stream = {:?}, user = {:?}, \
             password_file = {password:?} }}\n",
            dir.join("journal"),
            dir.join("journal.key"),
            self.server.url(),
            OURS.0,
            READER.0,
        );
        let config: Result<EventsConfig, _> = toml::from_str(&config);
        let config = config.map_err(|error| wrong("the source of events", &error))?;
        let source = EventSource::open(&config, SystemClock::shared());
        let source = Arc::new(source.map_err(|error| wrong("the source of events", &error))?);
        let changes = source.changes().ok_or_else(gone)?;
        let watched = Arc::clone(&source);
        let mut running = JoinSet::new();
        running.spawn(async move { watched.watch().await });
        Ok((changes, running, source))
    }

    fn next(&self) -> u64 {
        self.rounds.fetch_add(1, Ordering::Relaxed)
    }
}

type Running = (mpsc::Receiver<SourceChange>, JoinSet<()>, Arc<EventSource>);

/// Who waits for the event about which number.
#[derive(Default)]
struct Hub(Mutex<HashMap<String, oneshot::Sender<()>>>);

impl Hub {
    fn wait(&self, digits: &str) -> oneshot::Receiver<()> {
        let (tell, heard) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(digits.to_owned(), tell);
        heard
    }

    fn heard(&self, digits: &str) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tell) = waiting.remove(digits) {
            // Whoever waited has gone.
            let _ = tell.send(());
        }
    }
}

fn gone() -> BenchError {
    BenchError::Child {
        what: "stream of events",
    }
}

fn refused(error: TestingError) -> BenchError {
    wrong("nats-server", &error)
}

fn took<E>(
    events: usize,
    all: Result<Result<Duration, BenchError>, E>,
) -> Result<Round, BenchError> {
    let took = all.map_err(|_| gone())??;
    Ok(Round::cut_off(Vec::new(), events, took.as_secs_f64()))
}

async fn connect(server: &RealNats) -> Result<Context, BenchError> {
    let (user, password) = PRODUCER;
    let options = ConnectOptions::with_user_and_password(user.into(), password.into());
    let client = options.connect(server.url()).await;
    let client = client.map_err(|error| wrong("nats-server", &error))?;
    Ok(async_nats::jetstream::new(client))
}

/// A heartbeat of a while ago, and so many swaps since.
async fn fill(
    context: &Context,
    stream: (&'static str, &'static str),
    events: usize,
) -> Result<(), BenchError> {
    if stream == OURS {
        let at = SystemClock.now() - SignedDuration::from_secs(100);
        let heartbeat = format!(
            r#"{{"specversion":"1.0","id":"0","source":"crm","type":"heartbeat","time":"{at}"}}"#
        );
        publish(context, stream, &subscriber(0)?, heartbeat)
            .await?
            .await?;
    }
    let mut on_their_way = Vec::with_capacity(TOLD_AT_ONCE);
    for at in 0..u64::try_from(events).unwrap_or(0) {
        let msisdn = subscriber(at)?;
        let text = swap(&msisdn, &format!("backlog-{at}"));
        on_their_way.push(publish(context, stream, &msisdn, text).await?);
        if on_their_way.len() == TOLD_AT_ONCE {
            for sent in on_their_way.drain(..) {
                sent.await?;
            }
        }
    }
    for sent in on_their_way {
        sent.await?;
    }
    Ok(())
}

fn swap(msisdn: &Msisdn, id: &str) -> String {
    let at = SystemClock.now();
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"crm","type":"sim_swap","time":"{at}","subject":"{}","data":{{"kind":"replacement"}}}}"#,
        msisdn.expose()
    )
}

/// Sends it; what is returned ends when the stream has it.
async fn publish(
    context: &Context,
    (_, subject): (&'static str, &'static str),
    msisdn: &Msisdn,
    text: String,
) -> Result<impl Future<Output = Result<(), BenchError>> + use<>, BenchError> {
    let subject = format!("{subject}.{}", msisdn.expose_digits());
    let sent = context.publish(subject, text.into()).await;
    let sent = sent.map_err(|error| wrong("nats-server", &error))?;
    Ok(async move {
        let stored = sent.await;
        stored.map_err(|error| wrong("nats-server", &error))?;
        Ok(())
    })
}

fn subscriber(row: u64) -> Result<Msisdn, BenchError> {
    number(row % SUBSCRIBERS).map_err(|error| wrong("a number", &error))
}
