//! From the VLR or SGSN that serves a subscriber to *home* or *visited, in country N*.
//!
//! In a true HLR the number of a VLR is an E.164 global title, which IR.21 documents list by
//! prefix; in Osmocom it is the name of a GSUP peer. The table is the operator's, and what is not
//! in it is not guessed.

use accord_proto::{observation::Roaming, reason::Reason};
use jiff::SignedDuration;

use super::info::Info;

/// One line of the table: a name or a prefix, and what it means.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServingNetwork {
    /// The whole name or number of a VLR or SGSN.
    pub name: Option<String>,
    /// Or the first digits of its global title, without `+`.
    pub prefix: Option<String>,
    /// Whether this is the operator's own network.
    pub home: bool,
    /// Mobile country code of a visited network (ITU-T E.212).
    pub mcc: Option<u16>,
}

/// `registration_ms` where the configuration says nothing of it: a day.
pub(crate) const fn default_registration_ms() -> u64 {
    86_400_000
}

/// How long after a phone was heard of its registration is vouched for.
///
/// # Errors
/// The rule of `registration_ms`.
pub(crate) fn vouched(registration_ms: u64) -> Result<SignedDuration, &'static str> {
    let length = i64::try_from(registration_ms).ok();
    let length = length.filter(|length| (60_000..=2_592_000_000).contains(length));
    let length = length.map(SignedDuration::from_millis);
    length.ok_or("lies in 60000 to 2592000000")
}

/// The table, with the longest prefix first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Serving {
    names: Vec<(String, Roaming)>,
    prefixes: Vec<(String, Roaming)>,
}

impl Serving {
    /// # Errors
    /// The rule that a line breaks, with its place in the table from 1.
    pub(crate) fn new(lines: &[ServingNetwork]) -> Result<Self, (usize, &'static str)> {
        let mut table = Self::default();
        for (place, line) in (1..).zip(lines) {
            let err = |rule| (place, rule);
            if line.mcc.is_some_and(|mcc| !(200..=999).contains(&mcc)) {
                return Err(err("`mcc` lies in 200 to 999"));
            }
            if line.home && line.mcc.is_some() {
                return Err(err("`mcc` is of visited networks only"));
            }
            let roaming = Roaming {
                roaming: !line.home,
                visited_mcc: line.mcc,
            };
            let (list, text) = match (&line.name, &line.prefix) {
                (Some(name), None) => (&mut table.names, name),
                (None, Some(prefix)) => (&mut table.prefixes, prefix),
                (Some(_), Some(_)) | (None, None) => {
                    return Err(err("give either `name` or `prefix`"));
                }
            };
            if text.is_empty() {
                return Err(err("`name` or `prefix` is empty"));
            }
            if list.iter().any(|(known, _)| known == text) {
                return Err(err("this name or prefix stands twice"));
            }
            list.push((text.clone(), roaming));
        }
        table
            .prefixes
            .sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(table)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.names.is_empty() && self.prefixes.is_empty()
    }

    /// Where a subscriber is registered. Unknown peers and no registration are `not_available`; a
    /// subscriber who is at home by one domain and abroad by the other is `contradicted`.
    pub(super) fn roaming(&self, info: &Info) -> Result<Roaming, Reason> {
        let mut found: Option<Roaming> = None;
        for peer in [&info.vlr, &info.sgsn].into_iter().flatten() {
            let this = self.network(peer).ok_or(Reason::NotAvailable)?;
            found = Some(match found {
                None => this,
                Some(other) if other.roaming != this.roaming => return Err(Reason::Contradicted),
                Some(other) => Roaming {
                    roaming: other.roaming,
                    visited_mcc: other
                        .visited_mcc
                        .filter(|mcc| this.visited_mcc == Some(*mcc)),
                },
            });
        }
        found.ok_or(Reason::NotAvailable)
    }

    /// What the table says of a VLR, MSC, SGSN or MME.
    pub(crate) fn network(&self, peer: &str) -> Option<Roaming> {
        let digits = peer.strip_prefix('+').unwrap_or(peer);
        let by_name = self.names.iter().find(|(name, _)| name == peer);
        let by_prefix = || {
            let all = digits.bytes().all(|byte| byte.is_ascii_digit());
            let mut prefixes = self.prefixes.iter().filter(|_| all);
            prefixes.find(|(prefix, _)| digits.starts_with(prefix.as_str()))
        };
        by_name.or_else(by_prefix).map(|(_, roaming)| *roaming)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: Option<&str>, prefix: Option<&str>, mcc: Option<u16>) -> ServingNetwork {
        ServingNetwork {
            name: name.map(str::to_owned),
            prefix: prefix.map(str::to_owned),
            home: mcc.is_none(),
            mcc,
        }
    }

    fn table() -> Serving {
        Serving::new(&[
            line(Some("vlr-901-70"), None, None),
            line(None, Some("999"), None),
            line(None, Some("9997"), Some(208)),
            line(Some("vlr-208-01"), None, Some(208)),
            line(Some("vlr-262-01"), None, Some(262)),
        ])
        .unwrap()
    }

    fn at(vlr: Option<&str>, sgsn: Option<&str>) -> Result<Roaming, Reason> {
        table().roaming(&Info {
            imsi: "901700000000001".to_owned(),
            vlr: vlr.map(str::to_owned),
            sgsn: sgsn.map(str::to_owned),
        })
    }

    fn visited(visited_mcc: Option<u16>) -> Result<Roaming, Reason> {
        Ok(Roaming {
            roaming: true,
            visited_mcc,
        })
    }

    const HOME: Result<Roaming, Reason> = Ok(Roaming {
        roaming: false,
        visited_mcc: None,
    });

    #[test]
    fn a_name_or_the_longest_prefix_says_where() {
        assert_eq!(at(Some("vlr-901-70"), None), HOME);
        assert_eq!(at(Some("999123456789"), None), HOME);
        assert_eq!(at(Some("+999723456789"), None), visited(Some(208)));
        assert_eq!(at(None, Some("vlr-262-01")), visited(Some(262)));
    }

    #[test]
    fn an_unknown_peer_is_not_guessed() {
        assert_eq!(at(Some("vlr-901-71"), None), Err(Reason::NotAvailable));
        assert_eq!(at(Some("999-vlr"), None), Err(Reason::NotAvailable));
        assert_eq!(at(Some("vlr-901-70"), Some("?")), Err(Reason::NotAvailable));
        assert_eq!(at(None, None), Err(Reason::NotAvailable));
    }

    #[test]
    fn two_domains_agree_or_are_a_contradiction() {
        assert_eq!(
            at(Some("vlr-901-70"), Some("vlr-262-01")),
            Err(Reason::Contradicted)
        );
        assert_eq!(at(Some("vlr-208-01"), Some("vlr-262-01")), visited(None));
        assert_eq!(
            at(Some("vlr-208-01"), Some("999799999999")),
            visited(Some(208))
        );
    }

    #[test]
    fn a_bad_table_names_its_line() {
        let good = line(Some("a"), None, None);
        for bad in [
            good.clone(),
            line(None, None, None),
            line(Some("b"), Some("44"), None),
            line(Some(""), None, None),
            line(Some("c"), None, Some(199)),
        ] {
            let (place, _) = Serving::new(&[good.clone(), bad]).unwrap_err();
            assert_eq!(place, 2);
        }
    }
}
