//! From where the HSS says that a subscriber is served to *home* or *visited, in country N*.
//!
//! A network is known by its PLMN, which says its country itself, or by the name or global title
//! of a node, which the operator's table explains. What neither says is not guessed.

use accord_proto::{observation::Roaming, reason::Reason};

use super::sh_data::{Location, plmn};
use crate::osmo_hlr::{Serving, ServingNetwork};

/// The most networks of an operator.
const HOME_PLMNS_MAX: usize = 64;

/// The operator's own networks, and its table of nodes.
#[derive(Clone, Debug)]
pub(super) struct Places {
    serving: Serving,
    /// MCC and MNC, three digits each.
    home: Vec<String>,
}

impl Places {
    /// # Errors
    /// The key that breaks a rule, and the rule.
    pub(super) fn new(
        serving: &[ServingNetwork],
        home_plmns: &[String],
    ) -> Result<Self, (&'static str, String)> {
        let bad_line = |(place, rule)| ("serving", format!("line {place}: {rule}"));
        let digits = |text: &&String| text.bytes().all(|byte| byte.is_ascii_digit());
        let home: Vec<String> = home_plmns
            .iter()
            .filter(digits)
            .filter_map(|text| plmn(text))
            .collect();
        if home.len() != home_plmns.len() || home.len() > HOME_PLMNS_MAX {
            let rule = "each is MCC and MNC in 5 or 6 digits, and there are at most 64";
            return Err(("home_plmns", rule.to_owned()));
        }
        Ok(Self {
            serving: Serving::new(serving).map_err(bad_line)?,
            home,
        })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.serving.is_empty() && self.home.is_empty()
    }

    /// Where a subscriber is registered, by each domain that knows. No registration is
    /// `not_available`; at home by one domain and abroad by the other is `contradicted`.
    pub(super) fn roaming<'a>(
        &self,
        domains: impl Iterator<Item = &'a Location>,
    ) -> Result<Roaming, Reason> {
        let mut found = None;
        for domain in domains {
            for this in self.of(domain)? {
                found = Some(match found {
                    None => this,
                    Some(other) => agree(other, this)?,
                });
            }
        }
        found.ok_or(Reason::NotAvailable)
    }

    fn of(&self, location: &Location) -> Result<Vec<Roaming>, Reason> {
        let mut said = Vec::new();
        if let Some(plmn) = location.plmn.as_ref().filter(|_| !self.home.is_empty()) {
            let home = self.home.contains(plmn);
            let mcc = plmn.get(..3).and_then(|mcc| mcc.parse().ok());
            said.push(Roaming {
                roaming: !home,
                visited_mcc: mcc.filter(|_| !home),
            });
        }
        for node in &location.nodes {
            match self.serving.network(node) {
                Some(network) => said.push(network),
                // Its network is known without the table.
                None if location.plmn.is_some() && !said.is_empty() => {}
                None => return Err(Reason::NotAvailable),
            }
        }
        Ok(said)
    }
}

fn agree(one: Roaming, other: Roaming) -> Result<Roaming, Reason> {
    if one.roaming != other.roaming {
        return Err(Reason::Contradicted);
    }
    let visited_mcc = match (one.visited_mcc, other.visited_mcc) {
        (Some(one), Some(other)) => Some(one).filter(|_| one == other),
        (one, other) => one.or(other),
    };
    Ok(Roaming {
        roaming: one.roaming,
        visited_mcc,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let line = |prefix: &str, mcc| ServingNetwork {
            name: None,
            prefix: Some(prefix.to_owned()),
            home: mcc == 0,
            mcc: Some(mcc).filter(|mcc| *mcc != 0),
        };
        let table = [line("4477000", 0), line("3369000", 208)];
        Places::new(&table, &["90170".to_owned(), "901071".to_owned()]).unwrap()
    }

    fn at(nodes: &[&str], plmn: Option<&str>) -> Location {
        Location {
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
            plmn: plmn.map(str::to_owned),
            age_minutes: None,
        }
    }

    fn roaming(domains: &[Location]) -> Result<(bool, Option<u16>), Reason> {
        let found = places().roaming(domains.iter())?;
        Ok((found.roaming, found.visited_mcc))
    }

    #[test]
    fn a_plmn_says_home_or_which_country() {
        assert_eq!(roaming(&[at(&[], Some("901070"))]), Ok((false, None)));
        assert_eq!(roaming(&[at(&[], Some("901071"))]), Ok((false, None)));
        assert_eq!(roaming(&[at(&[], Some("208001"))]), Ok((true, Some(208))));
        assert_eq!(
            roaming(&[at(&["mme1.example"], Some("208001"))]),
            Ok((true, Some(208)))
        );
    }

    #[test]
    fn a_node_is_looked_up_and_not_guessed() {
        assert_eq!(roaming(&[at(&["447700000001"], None)]), Ok((false, None)));
        assert_eq!(
            roaming(&[at(&["336900000001"], None)]),
            Ok((true, Some(208)))
        );
        assert_eq!(
            roaming(&[at(&["496900000001"], None)]),
            Err(Reason::NotAvailable)
        );
        assert_eq!(roaming(&[at(&[], None)]), Err(Reason::NotAvailable));
        assert_eq!(roaming(&[]), Err(Reason::NotAvailable));
    }

    #[test]
    fn without_its_own_networks_a_plmn_tells_nothing() {
        let places = Places::new(&[], &[]).unwrap();
        let found = places.roaming([at(&[], Some("208001"))].iter());
        assert_eq!(found, Err(Reason::NotAvailable));
        assert!(places.is_empty());
    }

    #[test]
    fn domains_agree_or_are_a_contradiction() {
        let home = at(&["447700000001"], None);
        let abroad = at(&[], Some("208001"));
        assert_eq!(roaming(&[home, abroad.clone()]), Err(Reason::Contradicted));
        assert_eq!(
            roaming(&[at(&[], None), abroad.clone()]),
            Ok((true, Some(208)))
        );
        assert_eq!(
            roaming(&[abroad, at(&[], Some("262001"))]),
            Ok((true, None))
        );
        let within = at(&["447700000001"], Some("208001"));
        assert_eq!(roaming(&[within]), Err(Reason::Contradicted));
    }

    #[test]
    fn a_bad_network_names_its_key() {
        for bad in ["9017", "9017000", "+90170", "CfEH"] {
            assert_eq!(
                Places::new(&[], &[bad.to_owned()]).unwrap_err().0,
                "home_plmns"
            );
        }
    }
}
