//! The load generator: the same for every server.
//!
//! A few connections are shared by all requests in flight. In a closed loop each of so many tasks
//! sends its next question when it has the answer to the last. In an open loop questions leave at
//! their times whether or not earlier ones were answered, and each latency is counted from the time
//! at which the question was to leave, so that a stall counts for all that it delayed.
//!
//! Every answer is decoded and must hold a value.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use accord_proto::{
    purpose::Purpose,
    v1::{self, signal_service_client::SignalServiceClient},
};
use prost::Message as _;
use tokio::{runtime::Handle, task::JoinSet, time::Instant};
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use super::{
    BenchError,
    child::cpu_us,
    figures::Round,
    questions::{Tokens, question},
    tls::Dialler,
};

/// Connections of the load generator.
pub(super) const CONNECTIONS: usize = 4;
/// Requests in flight in an open loop: half of what an adapter grants, so that a stall makes
/// questions late and none is refused.
const OPEN_IN_FLIGHT_MAX: usize = 512;
/// The pacing thread sleeps at least so long.
const PACE: Duration = Duration::from_micros(100);

/// A server under load.
pub(super) struct Target {
    /// What it is.
    pub(super) what: &'static str,
    clients: Vec<SignalServiceClient<Channel>>,
    purpose: Purpose,
    /// Questions go round about so many numbers.
    pub(super) numbers: u64,
    next: AtomicU64,
    /// Processes whose processor time counts: server, adapter and this one.
    pids: [Option<u32>; 3],
}

impl Target {
    pub(super) async fn connect(
        what: &'static str,
        dialler: &Dialler,
        to: SocketAddr,
        purpose: Purpose,
        numbers: u64,
        server_and_adapter: [Option<u32>; 2],
    ) -> Result<Arc<Self>, BenchError> {
        let mut clients = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            clients.push(dialler.connect(to).await?);
        }
        let [server, adapter] = server_and_adapter;
        Ok(Arc::new(Self {
            what,
            clients,
            purpose,
            numbers,
            next: AtomicU64::new(0),
            pids: [server, adapter, Some(std::process::id())],
        }))
    }

    /// As many tasks as are to be in flight, each with the answer before its next question, for a
    /// time that is not counted and then for one that is.
    pub(super) async fn closed(
        self: &Arc<Self>,
        tokens: &Tokens,
        in_flight: usize,
        warm_up: Duration,
        counted: Duration,
    ) -> Result<Round, BenchError> {
        let bearer = tokens.bearer(self.purpose)?;
        let begin = Instant::now() + warm_up;
        let end = begin + counted;
        let mut tasks = JoinSet::new();
        for at in 0..in_flight {
            let (target, bearer) = (Arc::clone(self), bearer.clone());
            tasks.spawn(async move {
                let mut client = target.client(at)?;
                let mut tally = Tally::default();
                loop {
                    let sent = Instant::now();
                    if sent >= end {
                        return Ok(tally);
                    }
                    target.ask(&mut client, &bearer).await?;
                    let answered = Instant::now();
                    if sent >= begin {
                        tally.latencies_us.push(micros(answered - sent));
                        tally.within += usize::from(answered <= end);
                    }
                }
            });
        }
        tokio::time::sleep_until(begin).await;
        let before = self.cpu();
        tokio::time::sleep_until(end).await;
        let after = self.cpu();
        let Tally {
            latencies_us,
            within,
        } = self.collect(tasks).await?;
        let mut round = Round::cut_off(latencies_us, within, counted.as_secs_f64());
        round.cpu_us = difference(before, after);
        Ok(round)
    }

    /// So many questions, so many of them in flight.
    pub(super) async fn total(
        self: &Arc<Self>,
        tokens: &Tokens,
        in_flight: usize,
        questions: u64,
    ) -> Result<Round, BenchError> {
        let bearer = tokens.bearer(self.purpose)?;
        let (begun, before) = (Instant::now(), self.cpu());
        let left = Arc::new(AtomicU64::new(questions));
        let mut tasks = JoinSet::new();
        for at in 0..in_flight {
            let (target, bearer, left) = (Arc::clone(self), bearer.clone(), Arc::clone(&left));
            tasks.spawn(async move {
                let mut client = target.client(at)?;
                let mut tally = Tally::default();
                let take = |left: u64| left.checked_sub(1);
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                    .is_ok()
                {
                    let sent = Instant::now();
                    target.ask(&mut client, &bearer).await?;
                    tally.latencies_us.push(micros(sent.elapsed()));
                }
                Ok(tally)
            });
        }
        let latencies = self.collect(tasks).await?.latencies_us;
        let mut round = Round::new(latencies, begun.elapsed().as_secs_f64());
        round.cpu_us = difference(before, self.cpu());
        Ok(round)
    }

    /// So many questions a second for a time, whatever the server does.
    pub(super) async fn open(
        self: &Arc<Self>,
        tokens: &Tokens,
        per_second: f64,
        counted: Duration,
    ) -> Result<Round, BenchError> {
        let bearer = tokens.bearer(self.purpose)?;
        let flight = Arc::new(Flight::default());
        let (begun, before) = (Instant::now(), self.cpu());
        let (target, runtime) = (Arc::clone(self), Handle::current());
        let sending = Arc::clone(&flight);
        let pacing = move || target.pace(&runtime, &sending, &bearer, per_second, counted);
        let sent = tokio::task::spawn_blocking(pacing);
        let sent = sent
            .await
            .map_err(|_| self.wrong("the pacing thread broke off"))?;
        while flight.in_flight.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // A server that falls behind takes longer than the sending.
        let (took, after) = (begun.elapsed(), self.cpu());
        let mut done = flight.done.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = done.failed.take() {
            return Err(error);
        }
        if done.latencies_us.len() < sent {
            return Err(self.wrong("answers are missing"));
        }
        let latencies = std::mem::take(&mut done.latencies_us);
        let mut round = Round::new(latencies, took.as_secs_f64());
        round.cpu_us = difference(before, after);
        Ok(round)
    }

    /// Sends each question at its time; returns how many were sent.
    fn pace(
        self: &Arc<Self>,
        runtime: &Handle,
        flight: &Arc<Flight>,
        bearer: &MetadataValue<Ascii>,
        per_second: f64,
        counted: Duration,
    ) -> usize {
        let between = Duration::from_secs_f64(1.0 / per_second.max(1.0));
        let begun = Instant::now();
        let (mut due, mut sent) = (begun, 0);
        while due < begun + counted {
            // A question that waits for room leaves late, which its latency shows.
            let full = flight.in_flight.load(Ordering::Acquire) >= OPEN_IN_FLIGHT_MAX;
            if full || Instant::now() < due {
                thread::sleep(PACE);
                continue;
            }
            flight.in_flight.fetch_add(1, Ordering::AcqRel);
            let (target, flight) = (Arc::clone(self), Arc::clone(flight));
            let (bearer, meant) = (bearer.clone(), due);
            runtime.spawn(async move {
                let asked = match target.client(sent) {
                    Ok(mut client) => target.ask(&mut client, &bearer).await,
                    Err(error) => Err(error),
                };
                flight.land(asked.map(|()| micros(meant.elapsed())));
            });
            sent += 1;
            due += between;
        }
        sent
    }

    /// One question and its answer, whole: for the bare server to give, and to see that all is well.
    pub(super) async fn sample(&self, tokens: &Tokens) -> Result<v1::LookupResponse, BenchError> {
        let bearer = tokens.bearer(self.purpose)?;
        let request = question(0, self.purpose, &bearer);
        let response = self.client(0)?.lookup(request).await;
        let response = response
            .map_err(|status| self.wrong(status.message()))?
            .into_inner();
        self.look_into(&response)?;
        Ok(response)
    }

    async fn ask(
        &self,
        client: &mut SignalServiceClient<Channel>,
        bearer: &MetadataValue<Ascii>,
    ) -> Result<(), BenchError> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let request = question(at % self.numbers, self.purpose, bearer);
        let response = client.lookup(request).await;
        let response = response
            .map_err(|status| self.wrong(status.message()))?
            .into_inner();
        self.look_into(&response)
    }

    fn look_into(&self, response: &v1::LookupResponse) -> Result<(), BenchError> {
        let answer = v1::Answer::decode(response.answer.as_ref());
        let answer = answer.map_err(|_| self.wrong("an answer that does not decode"))?;
        match answer
            .signals
            .first()
            .and_then(|signal| signal.outcome.as_ref())
        {
            Some(v1::signal_answer::Outcome::Value(_)) => Ok(()),
            Some(v1::signal_answer::Outcome::Unanswered(why)) => Err(self.wrong(&why.detail)),
            None => Err(self.wrong("an answer without a signal")),
        }
    }

    fn wrong(&self, why: &str) -> BenchError {
        BenchError::Answer {
            what: self.what,
            why: why.to_owned(),
        }
    }

    fn client(&self, at: usize) -> Result<SignalServiceClient<Channel>, BenchError> {
        let client = self.clients.get(at % CONNECTIONS);
        client.cloned().ok_or_else(|| self.wrong("no connection"))
    }

    fn cpu(&self) -> [u64; 3] {
        self.pids.map(|pid| pid.map_or(0, cpu_us))
    }

    async fn collect(
        &self,
        mut tasks: JoinSet<Result<Tally, BenchError>>,
    ) -> Result<Tally, BenchError> {
        let mut all = Tally::default();
        while let Some(ended) = tasks.join_next().await {
            let one = ended.map_err(|_| self.wrong("a task broke off"))??;
            all.latencies_us.extend(one.latencies_us);
            all.within += one.within;
        }
        Ok(all)
    }
}

/// What one task of a closed loop has measured.
#[derive(Default)]
struct Tally {
    latencies_us: Vec<u32>,
    /// Answered before the end.
    within: usize,
}

/// What an open loop has on its way, and what came of the rest.
#[derive(Default)]
struct Flight {
    in_flight: AtomicUsize,
    done: Mutex<Landed>,
}

#[derive(Default)]
struct Landed {
    latencies_us: Vec<u32>,
    failed: Option<BenchError>,
}

impl Flight {
    fn land(&self, outcome: Result<u32, BenchError>) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(latency) => done.latencies_us.push(latency),
            Err(error) => done.failed = Some(error),
        }
        drop(done);
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn difference(before: [u64; 3], after: [u64; 3]) -> [u64; 3] {
    let mut spent = after;
    for (spent, before) in spent.iter_mut().zip(before) {
        *spent = spent.saturating_sub(before);
    }
    spent
}
