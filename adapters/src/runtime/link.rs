//! One attached stream.

use std::time::Duration;

use accord_proto::{
    msisdn::Msisdn,
    reason::Reason,
    v1::{self, adapter_message, adapter_service_client::AdapterServiceClient, broker_message},
};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{
        broadcast::{self, error::TryRecvError},
        mpsc::{self, error::TrySendError},
        watch,
    },
    time::{Instant, MissedTickBehavior, interval, timeout, timeout_at},
};
use tonic::{Status, Streaming, transport::Channel};

use super::{
    DRAIN_MAX, Shared,
    answer::{Next, Nonces, Question, record_served},
    attach::{attach, message},
    cursor::Cursor,
    link_end::{LinkEnd, Lost},
    pushed,
    restrictions::Restriction,
};
use crate::{
    journal::Event,
    source::{Observations, SourceFuture},
};

/// No ask is kept longer than this, whatever its deadline.
const DEADLINE_MAX: Duration = Duration::from_secs(30);
/// A question that its source leaves open is answered this much before its deadline, or a tenth of
/// the time if that is less, so that the reason arrives in time.
const MARGIN_MAX: Duration = Duration::from_millis(20);
/// Messages of the broker that are handled together.
const BATCH_MAX: usize = 128;
/// What a broker may say of heartbeats.
const HEARTBEAT_MIN: Duration = Duration::from_millis(20);
const HEARTBEAT_MAX: Duration = Duration::from_secs(60);
/// How long the broker may leave a message unread while it is told the restrictions.
const STUCK_MAX: Duration = Duration::from_secs(5);
/// How long the broker may take to close its side after a stop.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// Attaches and serves until the link ends.
pub(super) async fn serve(
    shared: &Shared,
    broker: &str,
    client: AdapterServiceClient<Channel>,
    cursor: &mut Cursor,
    stopping: &mut watch::Receiver<bool>,
) -> LinkEnd {
    let attached = tokio::select! {
        attached = attach(shared, client) => attached,
        () = stopped(stopping) => return LinkEnd::Stopped,
    };
    let (inbound, outbound, welcome) = match attached {
        Ok(attached) => attached,
        Err(lost) => return lost.into(),
    };
    tracing::info!(broker, heartbeat_ms = welcome.heartbeat_ms, "attached");
    shared.attached.send_modify(|count| *count += 1);
    shared.links.attached(broker);
    cursor.attach(welcome, &shared.changes);
    let link = Link {
        shared,
        broker,
        inbound,
        outbound,
        outgoing: Vec::with_capacity(BATCH_MAX),
        pending: FuturesUnordered::new(),
        nonces: Nonces::new(),
        heartbeat: Duration::from_millis(u64::from(welcome.heartbeat_ms))
            .clamp(HEARTBEAT_MIN, HEARTBEAT_MAX),
        sent_at: Instant::now(),
        heard_at: Instant::now(),
        cursor,
    };
    let end = link.run(stopping).await;
    cursor.save();
    shared.attached.send_modify(|count| *count -= 1);
    match end {
        Ok(()) => LinkEnd::Stopped,
        Err(end) => end,
    }
}

struct Link<'a> {
    shared: &'a Shared,
    broker: &'a str,
    inbound: Streaming<v1::BrokerMessage>,
    outbound: mpsc::Sender<v1::AdapterMessage>,
    /// What leaves together, once the journal is written.
    outgoing: Vec<v1::AdapterMessage>,
    /// Questions that their source is busy with.
    pending: FuturesUnordered<BoxFuture<'a, (Question, Option<Observations>)>>,
    nonces: Nonces,
    heartbeat: Duration,
    sent_at: Instant,
    heard_at: Instant,
    cursor: &'a mut Cursor,
}

type Heard = Option<Result<v1::BrokerMessage, Status>>;
type News = broadcast::Receiver<(Restriction, bool)>;

impl Link<'_> {
    async fn run(mut self, stopping: &mut watch::Receiver<bool>) -> Result<(), LinkEnd> {
        let mut news = self.tell_restrictions().await?;
        let mut changed = self.shared.changes.follow();
        let mut ticks = interval(self.heartbeat / 4);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drained_by = None;
        loop {
            let mut lags = false;
            // Asks come first. What is rare is looked at after each batch of them, so it never
            // starves, and costs nothing while asks keep coming.
            tokio::select! {
                biased;
                heard = self.inbound.next() => self.hear(heard)?,
                Some(answered) = self.pending.next() => self.answered(answered)?,
                told = news.recv() => match told {
                    Ok((restriction, lifted)) => self.outgoing.push(restriction.to_wire(lifted)),
                    Err(_) => lags = true,
                },
                _ = changed.changed() => {}
                _ = ticks.tick() => {}
                () = stopped(stopping), if drained_by.is_none() => {}
            }
            self.answer_ready()?;
            if lags || self.hear_news(&mut news) {
                news = self.tell_restrictions().await?;
            }
            changed.mark_unchanged();
            self.push_changes()?;
            self.cursor.save_soon();
            self.beat()?;
            self.flush()?;
            if drained_by.is_none() && *stopping.borrow() {
                drained_by = Some(Instant::now() + DRAIN_MAX);
            }
            if let Some(drained_by) = drained_by
                && (self.pending.is_empty() || Instant::now() >= drained_by)
            {
                self.close().await;
                return Ok(());
            }
        }
    }

    /// Handles a message, and those that have arrived with it.
    fn hear(&mut self, mut heard: Heard) -> Result<(), LinkEnd> {
        self.heard_at = Instant::now();
        let mut handled = 0;
        loop {
            let message = heard.ok_or(Lost::Closed)?.map_err(Lost::from)?;
            self.handle(message)?;
            handled += 1;
            // Looked at before the stream is: what is taken off it must be handled.
            if handled == BATCH_MAX {
                return Ok(());
            }
            // Polls without a waker; the caller polls again with one before it waits.
            match self.inbound.next().now_or_never() {
                Some(more) => heard = more,
                None => return Ok(()),
            }
        }
    }

    fn handle(&mut self, heard: v1::BrokerMessage) -> Result<(), LinkEnd> {
        use broker_message::Message;
        match heard.message {
            Some(Message::Ask(ask)) => self.ask(ask)?,
            Some(Message::Served(served)) => {
                record_served(self.shared, self.broker, &served)?;
            }
            Some(Message::Accepted(accepted)) => {
                self.accepted(accepted)?;
            }
            Some(Message::Credit(credit)) => self.cursor.grant(credit.more),
            Some(Message::Heartbeat(_)) => {}
            Some(Message::Welcome(_)) | None => {
                tracing::debug!(broker = self.broker, "unexpected message ignored");
            }
        }
        Ok(())
    }

    fn ask(&mut self, ask: v1::Ask) -> Result<(), LinkEnd> {
        let question = Question::parse(ask);
        let shared = self.shared;
        let (msisdn, signals) = match question.next(shared) {
            Next::Told(told) => return self.reply(&question, &told),
            Next::Observe(msisdn, signals) => (msisdn, signals),
        };
        if self.pending.len() >= usize::try_from(shared.credit).unwrap_or(usize::MAX) {
            return self.reply(&question, &question.all(&shared.sets, Reason::Overloaded));
        }
        let patience = patience(question.deadline_ms());
        if patience.is_zero() {
            return self.reply(&question, &question.all(&shared.sets, Reason::Timeout));
        }
        let gives_up_at = self.heard_at + patience;
        let mut observing = if question.is_bulk() {
            shared.source.observe_bulk(msisdn, signals, gives_up_at)
        } else {
            shared.source.observe(msisdn, signals, gives_up_at)
        };
        // Polls without a waker; `pending` polls again with one.
        match (&mut observing).now_or_never() {
            Some(told) => self.reply(&question, &told),
            None => {
                self.pending
                    .push(Box::pin(late(question, observing, gives_up_at)));
                Ok(())
            }
        }
    }

    fn answered(&mut self, answered: (Question, Option<Observations>)) -> Result<(), LinkEnd> {
        let (question, told) = answered;
        let told = told.unwrap_or_else(|| question.all(&self.shared.sets, Reason::Timeout));
        self.reply(&question, &told)
    }

    /// Takes the answers that are ready beside the one that woke the link.
    fn answer_ready(&mut self) -> Result<(), LinkEnd> {
        for _ in 0..BATCH_MAX {
            match self.pending.next().now_or_never() {
                Some(Some(answered)) => self.answered(answered)?,
                Some(None) | None => break,
            }
        }
        Ok(())
    }

    fn reply(&mut self, question: &Question, told: &Observations) -> Result<(), LinkEnd> {
        let reply = question.reply(self.shared, self.broker, told, &mut self.nonces)?;
        self.outgoing
            .push(message(adapter_message::Message::Reply(reply)));
        Ok(())
    }

    /// True if the link lags so far behind that it must tell all restrictions again.
    fn hear_news(&mut self, news: &mut News) -> bool {
        loop {
            match news.try_recv() {
                Ok((restriction, lifted)) => self.outgoing.push(restriction.to_wire(lifted)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return false,
                Err(TryRecvError::Lagged(_)) => return true,
            }
        }
    }

    /// Tells the broker every restriction, at the pace at which it reads, and then a heartbeat:
    /// until it comes the broker serves nothing from its view.
    async fn tell_restrictions(&mut self) -> Result<News, LinkEnd> {
        let (restrictions, news) = self.shared.restrictions.follow();
        let told = adapter_message::Message::Heartbeat(v1::Heartbeat {});
        for restriction in restrictions.into_iter().chain([message(told)]) {
            timeout(STUCK_MAX, self.outbound.send(restriction))
                .await
                .map_err(|_| Lost::Stuck)?
                .map_err(|_| Lost::Closed)?;
        }
        Ok(news)
    }

    fn accepted(&mut self, accepted: v1::ChangesAccepted) -> Result<(), LinkEnd> {
        if self.cursor.accepted(accepted, &self.shared.changes) {
            self.shared.journal.append(&Event::ChangesAccepted {
                broker: self.broker,
                sequence: accepted.sequence,
            })?;
        }
        Ok(())
    }

    fn push_changes(&mut self) -> Result<(), LinkEnd> {
        while let Some(mut batch) = self.cursor.next(&self.shared.changes) {
            // Of whoever has opted out since nothing is told but what holds no more.
            batch.changes.retain(|change| {
                let told = |msisdn| !self.shared.restrictions.opted_out(&msisdn);
                change.withdrawn || Msisdn::parse(&change.msisdn).is_ok_and(told)
            });
            let sealed = pushed::seal(self.shared, self.broker, batch)?;
            self.outgoing
                .push(message(adapter_message::Message::Changes(sealed)));
        }
        Ok(())
    }

    /// Sends a heartbeat before the silence has lasted too long, and gives a silent broker up.
    fn beat(&mut self) -> Result<(), LinkEnd> {
        let now = Instant::now();
        if now.duration_since(self.heard_at) >= self.heartbeat * 3 {
            return Err(Lost::Silent.into());
        }
        if self.outgoing.is_empty()
            && now.duration_since(self.sent_at) >= self.heartbeat.mul_f32(0.7)
        {
            let heartbeat = adapter_message::Message::Heartbeat(v1::Heartbeat {});
            self.outgoing.push(message(heartbeat));
        }
        Ok(())
    }

    /// Writes the journal; then, and only then, lets the replies go.
    fn flush(&mut self) -> Result<(), LinkEnd> {
        self.shared.journal.write_out()?;
        if self.outgoing.is_empty() {
            return Ok(());
        }
        self.sent_at = Instant::now();
        for outgoing in self.outgoing.drain(..) {
            self.outbound
                .try_send(outgoing)
                .map_err(|refused| match refused {
                    TrySendError::Full(_) => Lost::Stuck,
                    TrySendError::Closed(_) => Lost::Closed,
                })?;
        }
        Ok(())
    }

    /// Closes our side and waits a moment for the broker's, so that the last replies arrive.
    async fn close(self) {
        let Self {
            outbound,
            mut inbound,
            ..
        } = self;
        drop(outbound);
        let closed = async { while let Some(Ok(_)) = inbound.next().await {} };
        if timeout(CLOSE_MAX, closed).await.is_err() {
            tracing::debug!("the broker did not close its side in time");
        }
    }
}

/// Completes when the adapter stops.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the runtime is gone, which is a stop too.
    stopping.wait_for(|stop| *stop).await.ok();
}

/// How long a source may take, if the answer is useless after `deadline_ms`.
fn patience(deadline_ms: u32) -> Duration {
    let time = Duration::from_millis(u64::from(deadline_ms)).min(DEADLINE_MAX);
    time.saturating_sub(MARGIN_MAX.min(time / 10))
}

/// Waits for a source, not longer than the question is worth.
async fn late(
    question: Question,
    observing: SourceFuture<'_>,
    gives_up_at: Instant,
) -> (Question, Option<Observations>) {
    let told = timeout_at(gives_up_at, observing).await.ok();
    (question, told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_given_up_a_little_before_the_deadline() {
        for (deadline_ms, patience_ms) in
            [(0, 0), (50, 45), (100, 90), (800, 780), (u32::MAX, 29_980)]
        {
            let expected = Duration::from_millis(patience_ms);
            assert_eq!(patience(deadline_ms), expected, "{deadline_ms}");
        }
    }
}
