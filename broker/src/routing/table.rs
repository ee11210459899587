//! What the documents say: the list of ported numbers, and the ranges of the list of parties.

use std::collections::HashMap;

use accord_proto::{msisdn::Msisdn, party::OrgName};

/// Which operator serves which numbers.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    operators: Vec<OrgName>,
    /// Trie over digits; node 0 is the root.
    nodes: Vec<Node>,
    /// Digits as a number, to an index in `operators`.
    ported: HashMap<u64, u32>,
}

#[derive(Debug, Default, Clone)]
struct Node {
    next: [Option<u32>; 10],
    operator: Option<u32>,
}

impl RouteTable {
    /// An empty table, which routes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
            ..Self::default()
        }
    }

    /// Adds a range by its prefix, such as `+447700900`.
    pub fn add_prefix(&mut self, prefix: &str, operator: &OrgName) {
        let operator = self.operator_index(operator);
        let mut at = 0_usize;
        for digit in prefix.bytes().filter(u8::is_ascii_digit) {
            at = self.child(at, usize::from(digit - b'0'));
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.operator = Some(operator);
        }
    }

    /// Adds a number that was ported to an operator.
    pub fn add_ported(&mut self, msisdn: &Msisdn, operator: &OrgName) {
        let operator = self.operator_index(operator);
        self.ported.insert(as_number(msisdn), operator);
    }

    /// The operator that the list of ported numbers names.
    #[must_use]
    pub fn ported(&self, msisdn: &Msisdn) -> Option<&OrgName> {
        if self.ported.is_empty() {
            return None;
        }
        self.operator(*self.ported.get(&as_number(msisdn))?)
    }

    /// The operator of the longest range that a number begins with.
    #[must_use]
    pub fn prefix(&self, msisdn: &Msisdn) -> Option<&OrgName> {
        let mut node = self.nodes.first()?;
        let mut found = node.operator;
        for digit in msisdn.expose_digits().bytes() {
            let Some(next) = node
                .next
                .get(usize::from(digit.wrapping_sub(b'0')))
                .copied()
                .flatten()
            else {
                break;
            };
            node = self.nodes.get(next as usize)?;
            found = node.operator.or(found);
        }
        self.operator(found?)
    }

    fn operator(&self, index: u32) -> Option<&OrgName> {
        self.operators.get(index as usize)
    }

    fn operator_index(&mut self, operator: &OrgName) -> u32 {
        let at = self
            .operators
            .iter()
            .position(|known| known == operator)
            .unwrap_or_else(|| {
                self.operators.push(operator.clone());
                self.operators.len() - 1
            });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    fn child(&mut self, at: usize, digit: usize) -> usize {
        let fresh = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Some(slot) = self
            .nodes
            .get_mut(at)
            .and_then(|node| node.next.get_mut(digit))
        else {
            return at;
        };
        if let Some(next) = slot {
            return *next as usize;
        }
        *slot = Some(fresh);
        self.nodes.push(Node::default());
        fresh as usize
    }
}

pub(super) fn as_number(msisdn: &Msisdn) -> u64 {
    msisdn.expose_digits().bytes().fold(0, |number, digit| {
        number * 10 + u64::from(digit.wrapping_sub(b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(name: &str) -> OrgName {
        OrgName::parse(name).unwrap()
    }

    fn number(text: &str) -> Msisdn {
        Msisdn::parse(text).unwrap()
    }

    #[test]
    fn the_longest_prefix_wins() {
        let mut table = RouteTable::new();
        table.add_prefix("+447700900", &org("wide"));
        table.add_prefix("+4477009001", &org("north-mobile"));
        let route = |text| table.prefix(&number(text)).map(OrgName::as_str);
        assert_eq!(route("+447700900101"), Some("north-mobile"));
        assert_eq!(route("+447700900201"), Some("wide"));
        assert_eq!(route("+33639980001"), None);
    }

    #[test]
    fn only_a_number_that_is_listed_was_ported() {
        let mut table = RouteTable::new();
        table.add_prefix("+447700900", &org("north-mobile"));
        assert_eq!(table.ported(&number("+447700900016")), None);
        table.add_ported(&number("+447700900016"), &org("sud-mobile"));
        let ported = |text| table.ported(&number(text)).map(OrgName::as_str);
        assert_eq!(ported("+447700900016"), Some("sud-mobile"));
        assert_eq!(ported("+447700900017"), None);
    }

    #[test]
    fn an_empty_table_routes_nothing() {
        let table = RouteTable::new();
        let number = number("+447700900001");
        assert_eq!((table.ported(&number), table.prefix(&number)), (None, None));
    }
}
