//! Who tells events, and how far the word of each is known.
//!
//! A heartbeat says that *its producer* has told all; of what another one tells it says nothing. So
//! each producer has a watch of its own, and what several carry is known as far as the one goes that
//! is furthest behind.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};

use super::config::Carried;
use super::line::Micros;
use super::watch::{Pace, Told, Watch};

/// What a producer is known by on the disk: the beginning of the SHA-256 of its name.
pub(super) type Id = [u8; 16];

/// The producers that the configuration declares.
#[derive(Clone, Debug)]
pub(super) struct Producers(Vec<Producer>);

#[derive(Clone, Debug)]
struct Producer {
    name: String,
    id: Id,
    carries: Vec<Carried>,
    told: Told,
}

impl Producers {
    /// As declared; nothing was heard of any.
    pub(super) fn new(declared: &BTreeMap<String, Vec<Carried>>) -> Self {
        let producer = |(name, carries): (&String, &Vec<Carried>)| {
            let mut id = Id::default();
            let hash = digest(&SHA256, name.as_bytes());
            for (to, from) in id.iter_mut().zip(hash.as_ref()) {
                *to = *from;
            }
            Producer {
                name: name.clone(),
                id,
                carries: carries.clone(),
                told: Told::default(),
            }
        };
        Self(declared.iter().map(producer).collect())
    }

    /// Whether it is declared.
    pub(super) fn declares(&self, name: &str) -> bool {
        self.0.iter().any(|producer| producer.name == name)
    }

    /// An event or a heartbeat of this producer came.
    pub(super) fn heard(&mut self, name: &str, at: Micros, pace: Pace) {
        if let Some(of) = self.0.iter_mut().find(|producer| producer.name == name) {
            of.told.heard(at, &of.carries, pace);
        }
    }

    /// Something was lost, and nobody knows whose it was.
    pub(super) fn restart(&mut self) {
        for producer in &mut self.0 {
            producer.told.restart();
        }
    }

    /// How far one thing is known: as far as all go that carry it.
    pub(super) fn watch(&self, carried: Carried) -> Watch {
        let of = self.0.iter().filter(|of| of.carries.contains(&carried));
        let watches = of.map(|of| of.told.watch(carried));
        let both = |one: Watch, other: Watch| Watch {
            since: if one.since == 0 || other.since == 0 {
                0
            } else {
                one.since.max(other.since)
            },
            newest: one.newest.min(other.newest),
        };
        watches.reduce(both).unwrap_or_default()
    }

    /// Who was heard least lately, and when.
    pub(super) fn most_silent(&self) -> (&str, Micros) {
        let heard = self.0.iter().map(|of| (of.name.as_str(), of.told.newest));
        heard.min_by_key(|(_, newest)| *newest).unwrap_or_default()
    }

    /// A producer that was heard, and of which not all that it carries is watched.
    pub(super) fn unwatched(&self) -> Option<&str> {
        let lacks = |of: &&Producer| {
            let watched = |carried: &Carried| of.told.watch(*carried).since != 0;
            of.told.newest != 0 && !of.carries.iter().all(watched)
        };
        self.0.iter().find(lacks).map(|of| of.name.as_str())
    }

    /// What the disk has of each.
    pub(super) fn told(&self) -> impl Iterator<Item = (&Id, &Told)> {
        self.0.iter().map(|producer| (&producer.id, &producer.told))
    }

    /// What the disk had of one. Of who is declared no more, and of what it carries no more, nothing
    /// is kept: nobody listens to it meanwhile.
    pub(super) fn remember(&mut self, id: &Id, told: Told) {
        if let Some(of) = self.0.iter_mut().find(|producer| producer.id == *id) {
            of.told = told.only(&of.carries);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        lateness: 5,
        gap_max: 1_000,
    };

    fn declared(all: &[(&str, &[Carried])]) -> Producers {
        let all = all.iter().map(|(name, carries)| {
            let name = (*name).to_owned();
            (name, carries.to_vec())
        });
        Producers::new(&all.collect())
    }

    #[test]
    fn what_one_tells_says_nothing_of_what_another_carries() {
        let mut of = declared(&[
            ("crm", &[Carried::Swaps, Carried::Holders]),
            ("firewall", &[Carried::Firewall]),
            ("shops", &[Carried::Swaps]),
        ]);
        of.heard("crm", 10_000, PACE);
        of.heard("nobody", 90_000, PACE);
        let since = |of: &Producers, what| of.watch(what).since;
        assert_eq!(since(&of, Carried::Holders), 10_005);
        assert_eq!(since(&of, Carried::Firewall), 0);
        assert_eq!(since(&of, Carried::Swaps), 0, "the shops said nothing yet");
        assert_eq!(since(&of, Carried::Devices), 0, "nobody tells of them");
        of.heard("shops", 10_100, PACE);
        of.heard("crm", 10_900, PACE);
        let swaps = of.watch(Carried::Swaps);
        assert_eq!((swaps.since, swaps.newest), (10_105, 10_100));
        assert_eq!(of.watch(Carried::Holders).newest, 10_900);
        assert_eq!(of.most_silent(), ("firewall", 0));
        assert_eq!(of.unwatched(), None, "who was never heard is silent");
        of.restart();
        assert_eq!(since(&of, Carried::Holders), 0);
        assert_eq!(of.unwatched(), Some("crm"));
        of.heard("crm", 11_000, PACE);
        assert_eq!(of.unwatched(), Some("shops"));
        of.heard("shops", 11_000, PACE);
        assert_eq!(of.unwatched(), None);
    }

    #[test]
    fn what_is_declared_anew_begins_anew() {
        let mut before = declared(&[
            ("crm", &[Carried::Swaps, Carried::Devices]),
            ("shops", &[Carried::Swaps]),
        ]);
        before.heard("crm", 10_000, PACE);
        before.heard("shops", 10_000, PACE);
        let mut after = declared(&[("crm", &[Carried::Devices, Carried::Holders])]);
        for (id, told) in before.told() {
            after.remember(id, *told);
        }
        assert_eq!(after.watch(Carried::Devices).since, 10_005);
        assert_eq!(
            after.watch(Carried::Holders).since,
            0,
            "told of from now on"
        );
        assert_eq!(after.unwatched(), Some("crm"));
        let mut again = declared(&[("crm", &[Carried::Swaps])]);
        for (id, told) in after.told() {
            again.remember(id, *told);
        }
        assert_eq!(
            again.watch(Carried::Swaps).since,
            0,
            "not listened to meanwhile"
        );
    }
}
