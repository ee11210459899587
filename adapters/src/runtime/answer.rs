//! From an ask to a reply: what is asked of the source, what is withheld, and what is recorded.

use accord_proto::{
    digest::sha256, msisdn::Msisdn, observation::Observation, purpose::Purpose, reason::Reason,
    signal::Signal, v1, wire,
};
use aws_lc_rs::rand;
use prost::Message as _;

use super::{Shared, restrictions::Restrictions};
use crate::{
    journal::{Asked, Event, Hex, JournalError},
    source::{Observations, SignalSets, signal_bit},
};

/// The most bytes of a name or clause that the journal keeps.
const NAME_BYTES_MAX: usize = 128;
const SIGNALS: usize = Signal::ALL.len();

/// An ask, parsed as far as the adapter needs.
pub(super) struct Question {
    ask: v1::Ask,
    /// `None` if the broker sent no number.
    msisdn: Option<Msisdn>,
    bits: usize,
    /// The signals whose clause overrides an opt-out.
    overriding: usize,
}

/// The signals of an ask whose clause overrides an opt-out.
fn overriding(ask: &v1::Ask) -> usize {
    let signals = ask.signals.iter().zip(&ask.bases);
    signals
        .filter(|(_, basis)| basis.overrides_opt_out)
        .filter_map(|(signal, _)| Signal::from_wire(*signal))
        .fold(0, |bits, signal| bits | signal_bit(signal))
}

/// What to do with a question.
pub(super) enum Next<'a> {
    /// It is answered without the source.
    Told(Observations),
    /// The source is asked for these.
    Observe(Msisdn, &'a [Signal]),
}

impl Question {
    pub(super) fn parse(mut ask: v1::Ask) -> Self {
        let overriding = overriding(&ask);
        let mut seen = [None; SIGNALS];
        let mut count = 0;
        // Each signal once, and no more than there are.
        ask.signals.retain(|signal| {
            let new = !seen.contains(&Some(*signal));
            if let (true, Some(slot)) = (new, seen.get_mut(count)) {
                *slot = Some(*signal);
                count += 1;
                return true;
            }
            false
        });
        let signals = ask
            .signals
            .iter()
            .filter_map(|wire| Signal::from_wire(*wire));
        Self {
            msisdn: Msisdn::parse(&ask.msisdn).ok(),
            bits: signals.fold(0, |bits, signal| bits | signal_bit(signal)),
            overriding,
            ask,
        }
    }

    pub(super) const fn deadline_ms(&self) -> u32 {
        self.ask.deadline_ms
    }

    /// It is a line of a screening.
    pub(super) const fn is_bulk(&self) -> bool {
        self.ask.bulk
    }

    /// The same reason for all that was asked.
    pub(super) fn all(&self, sets: &SignalSets, reason: Reason) -> Observations {
        Observations::all(sets.subset(self.bits), reason)
    }

    /// Whether the source must be asked, and for what.
    pub(super) fn next<'a>(&self, shared: &'a Shared) -> Next<'a> {
        let Some(msisdn) = self.msisdn else {
            return Next::Told(self.all(&shared.sets, Reason::NotOurs));
        };
        let mut bits = self.bits;
        if shared.restrictions.opted_out(&msisdn) {
            bits &= self.overriding;
            if bits == 0 {
                return Next::Told(self.all(&shared.sets, Reason::OptedOut));
            }
        }
        let permitted = shared
            .restrictions
            .killed(&self.ask.bank)
            .map_or(bits, |killed| {
                let asked = shared.sets.subset(bits).iter();
                asked
                    .filter(|signal| !killed.contains(**signal))
                    .fold(0, |bits, signal| bits | signal_bit(*signal))
            });
        match shared.sets.known_of(permitted) {
            [] => Next::Told(Observations::default()),
            signals => Next::Observe(msisdn, signals),
        }
    }

    /// Makes the reply and appends it to the journal. Restrictions are looked at again: they may
    /// have come while the source was busy.
    pub(super) fn reply(
        &self,
        shared: &Shared,
        broker: &str,
        told: &Observations,
        nonces: &mut Nonces,
    ) -> Result<v1::Reply, JournalError> {
        let of = |holds: fn(&Restrictions, &Msisdn) -> bool| {
            let msisdn = self.msisdn.as_ref();
            msisdn.is_some_and(|msisdn| holds(&shared.restrictions, msisdn))
        };
        let opted_out = told.opted_out || of(Restrictions::opted_out);
        // Of who has opted out nothing is told, unless a clause overrides that.
        let withheld = opted_out && self.bits & self.overriding == 0;
        let locked = told.customer_lock || of(Restrictions::swap_locked);
        let body = v1::ReplyBody {
            signals: self.outcomes(shared, told, opted_out),
            customer_lock: locked && !withheld,
        };
        let body = body.encode_to_vec();
        let nonce = nonces.next()?;
        let digest = sha256(&[&nonce, &body]);
        let journal_index = record(
            shared,
            broker,
            &Heard {
                bank: &self.ask.bank,
                on_behalf_of: &self.ask.on_behalf_of,
                purpose: self.ask.purpose,
                signals: &self.ask.signals,
                bases: &self.ask.bases,
                msisdn: self.msisdn,
            },
            |asked| {
                let reply = Hex(digest);
                shared.journal.append(&Event::Reply { asked, reply })
            },
        )?;
        Ok(v1::Reply {
            id: self.ask.id,
            body: body.into(),
            nonce: nonce.to_vec(),
            journal_index,
        })
    }

    fn outcomes(
        &self,
        shared: &Shared,
        told: &Observations,
        opted_out: bool,
    ) -> Vec<v1::SignalReply> {
        let killed = shared.restrictions.killed(&self.ask.bank);
        let outcome = |wire: i32| -> Result<&Observation, Reason> {
            let signal = Signal::from_wire(wire).ok_or(Reason::NotAvailable)?;
            if opted_out && self.overriding & signal_bit(signal) == 0 {
                return Err(Reason::OptedOut);
            }
            if killed
                .as_ref()
                .is_some_and(|killed| killed.contains(signal))
            {
                return Err(Reason::Suspended);
            }
            let said = told.signals.iter().find(|(of, _)| *of == signal);
            match said {
                Some((_, Ok(observation))) if observation.what.suits(signal) => Ok(observation),
                Some((_, Err(reason))) => Err(*reason),
                // It can't answer this, or did not.
                Some((_, Ok(_))) | None => Err(Reason::NotAvailable),
            }
        };
        let reply = |wire: &i32| v1::SignalReply {
            signal: *wire,
            outcome: Some(match outcome(*wire) {
                Ok(observation) => {
                    v1::signal_reply::Outcome::Observation(wire::observation(observation))
                }
                Err(reason) => v1::signal_reply::Outcome::Reason(reason.to_wire() as i32),
            }),
        };
        self.ask.signals.iter().map(reply).collect()
    }
}

/// Records an answer that the broker served from its view.
pub(super) fn record_served(
    shared: &Shared,
    broker: &str,
    served: &v1::ServedFromView,
) -> Result<u64, JournalError> {
    let heard = Heard {
        bank: &served.bank,
        on_behalf_of: &served.on_behalf_of,
        purpose: served.purpose,
        signals: &served.signals,
        bases: &served.bases,
        msisdn: Msisdn::parse(&served.msisdn).ok(),
    };
    record(shared, broker, &heard, |asked| {
        shared.journal.append(&Event::ServedFromView {
            asked,
            origin: clip(&served.origin),
            entry: served.index,
        })
    })
}

/// What the broker said of a question, unparsed.
struct Heard<'a> {
    bank: &'a str,
    on_behalf_of: &'a str,
    purpose: i32,
    signals: &'a [i32],
    bases: &'a [v1::Basis],
    msisdn: Option<Msisdn>,
}

/// Tidies what was heard, for the journal.
fn record(
    shared: &Shared,
    broker: &str,
    heard: &Heard<'_>,
    append: impl FnOnce(Asked<'_>) -> Result<u64, JournalError>,
) -> Result<u64, JournalError> {
    let mut clauses = [""; SIGNALS];
    for (clause, basis) in clauses.iter_mut().zip(heard.bases) {
        *clause = clip(&basis.clause);
    }
    let mut names = ["unknown"; SIGNALS];
    for (name, wire) in names.iter_mut().zip(heard.signals) {
        *name = Signal::from_wire(*wire).map_or("unknown", Signal::name);
    }
    let clauses = clauses.get(..heard.bases.len()).unwrap_or(&clauses);
    let names = names.get(..heard.signals.len()).unwrap_or(&names);
    append(Asked {
        broker,
        bank: clip(heard.bank),
        on_behalf_of: clip(heard.on_behalf_of),
        purpose: Purpose::from_wire(heard.purpose).map(Purpose::name),
        signals: names,
        clauses,
        subject: heard
            .msisdn
            .map_or(Hex([0; 16]), |msisdn| shared.journal.subject(&msisdn)),
    })
}

fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(NAME_BYTES_MAX))
        .unwrap_or_default()
}

/// Random nonces, drawn a hundred at a time.
pub(super) struct Nonces {
    drawn: Box<[u8; Self::DRAWN_BYTES]>,
    used: usize,
}

impl Nonces {
    const DRAWN_BYTES: usize = 128 * 32;

    pub(super) fn new() -> Self {
        Self {
            drawn: Box::new([0; Self::DRAWN_BYTES]),
            used: Self::DRAWN_BYTES,
        }
    }

    fn next(&mut self) -> Result<[u8; 32], JournalError> {
        if self.used >= Self::DRAWN_BYTES {
            rand::fill(self.drawn.as_mut_slice()).map_err(|_| JournalError::Failed)?;
            self.used = 0;
        }
        let rest = self.drawn.get(self.used..).unwrap_or_default();
        let nonce = rest.first_chunk::<32>().copied();
        self.used += 32;
        nonce.ok_or(JournalError::Failed)
    }
}
