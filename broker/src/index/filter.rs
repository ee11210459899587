//! What an auditor searches for, from the message to terms, each mistake with its field.

use accord_proto::{
    entry::{KINDS, OUTCOMES},
    msisdn::Msisdn,
    party::OrgName,
    purpose::Purpose,
    reason::Reason,
    signal::Signal,
    subject::SubjectTag,
    v1::{self, entry::Event},
    wire::{FieldError, parse_timestamp},
};
use aws_lc_rs::digest::{Context, SHA256};
use prost::Message as _;
use prost_types::Timestamp;

use super::{
    search::Wanted,
    terms::{each_term, of_sight, tags},
};
use crate::remit::Sight;

/// The most bytes of a clause's id.
const CLAUSE_LEN_MAX: usize = 64;

/// Which kinds of entries have what a field is about. A search that no kind can answer is a
/// mistake, and not an empty answer.
const WITH: [(&str, &[&str]); 8] = [
    (
        "bank",
        &[
            "access",
            "refused_call",
            "refusal_count",
            "audit_read",
            "export",
            "anomaly",
        ],
    ),
    (
        "operator",
        &[
            "access",
            "refused_call",
            "refusal_count",
            "audit_read",
            "export",
            "adapter_link",
            "source_changes",
        ],
    ),
    ("signal", &["access", "source_changes"]),
    ("purpose", &["access"]),
    ("clause", &["access"]),
    ("outcome", &["access"]),
    ("outcome=refused", &["refused_call", "refusal_count"]),
    (
        "msisdn",
        &["access", "source_changes", "anomaly", "key_act"],
    ),
];

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// As it goes on the record: with tags, and never the number.
    filter: v1::ReadFilter,
    /// The names that a term has in it, with its field.
    terms: Vec<String>,
}

impl Search {
    /// Parses a filter. `tags_of` gives the tags of a number for the months whose keys are held.
    ///
    /// # Errors
    /// The field that is malformed or unknown, or that contradicts another.
    pub fn parse(
        filter: &v1::Filter,
        tags_of: impl FnOnce(&Msisdn) -> Vec<SubjectTag>,
    ) -> Result<Self, FieldError> {
        let mut terms = Vec::new();
        let mut fields = Vec::new();
        let mut term = |field: &'static str, name: String| {
            terms.push(format!("{field}:{name}"));
            fields.push(field);
        };
        for (field, name) in [("bank", &filter.bank), ("operator", &filter.operator)] {
            if let Some(name) = organisation(field, name)? {
                term(field, name);
            }
        }
        if filter.signal != 0 {
            let signal = Signal::from_wire(filter.signal);
            term("signal", known("signal", signal.map(Signal::name))?);
        }
        if filter.purpose != 0 {
            let purpose = Purpose::from_wire(filter.purpose);
            term("purpose", known("purpose", purpose.map(Purpose::name))?);
        }
        if let Some(id) = clause(&filter.clause)? {
            term("clause", id);
        }
        let refused = filter.outcome == "refused";
        if let Some((what, name)) = outcome(&filter.outcome)? {
            terms.push(format!("{what}:{name}"));
            fields.push(if refused {
                "outcome=refused"
            } else {
                "outcome"
            });
        }
        let subject_tags = if filter.msisdn.is_empty() {
            Vec::new()
        } else {
            let number = Msisdn::parse(&filter.msisdn)
                .map_err(|error| field_error("msisdn", error.to_string()))?;
            fields.push("msisdn");
            tags_of(&number).iter().map(|tag| tag.0.to_vec()).collect()
        };
        if !filter.kind.is_empty() {
            let kind = KINDS.iter().find(|kind| **kind == filter.kind);
            let kind = kind.ok_or_else(|| one_of("kind", &KINDS))?;
            terms.push(format!("kind:{kind}"));
        }
        check_kinds(&filter.kind, &fields)?;
        let (from, until) = (
            unix_ms("from", filter.from.as_ref())?,
            unix_ms("until", filter.until.as_ref())?,
        );
        if until != 0 && until <= from {
            return Err(field_error("until", "is later than from"));
        }
        Ok(Self {
            filter: v1::ReadFilter {
                from_unix_ms: from,
                until_unix_ms: until,
                bank: filter.bank.clone(),
                operator: filter.operator.clone(),
                signal: filter.signal,
                purpose: filter.purpose,
                clause: filter.clause.clone(),
                outcome: filter.outcome.clone(),
                subject_tags,
                kind: filter.kind.clone(),
            },
            terms,
        })
    }

    /// What is looked for in the index, within a reader's sight.
    pub(crate) fn wanted(&self, sight: &Sight) -> Wanted {
        let mut terms = self.terms.clone();
        terms.extend(of_sight(sight));
        terms.sort_unstable();
        terms.dedup();
        let bound = |ms: u64| (ms != 0).then_some(ms);
        Wanted {
            terms,
            tags: self.filter.subject_tags.clone(),
            from_ms: bound(self.filter.from_unix_ms),
            until_ms: bound(self.filter.until_unix_ms),
        }
    }

    /// Whether an entry is one that is searched for: what the index says is held against it.
    pub(crate) fn matches(&self, time_unix_ms: u64, event: &Event) -> bool {
        let filter = &self.filter;
        let in_time = filter.from_unix_ms <= time_unix_ms
            && (filter.until_unix_ms == 0 || time_unix_ms < filter.until_unix_ms);
        let mut missing: Vec<&str> = self.terms.iter().map(String::as_str).collect();
        each_term(event, &mut String::new(), |term| {
            missing.retain(|wanted| *wanted != term);
        });
        let named = tags(event);
        let about = filter.subject_tags.is_empty()
            || filter
                .subject_tags
                .iter()
                .any(|tag| named.contains(&tag.as_slice()));
        in_time && missing.is_empty() && about
    }

    /// As it goes on the record.
    pub(crate) fn to_wire(&self) -> v1::ReadFilter {
        self.filter.clone()
    }

    /// What binds a page to this search and this reader's sight.
    pub(crate) fn digest(&self, sight: &Sight) -> [u8; 16] {
        let mut context = Context::new(&SHA256);
        context.update(&self.filter.encode_length_delimited_to_vec());
        context.update(of_sight(sight).unwrap_or_default().as_bytes());
        let digest = context.finish();
        digest.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

fn field_error(field: &str, rule: impl Into<String>) -> FieldError {
    FieldError::new(format!("filter.{field}"), rule)
}

fn one_of(field: &str, words: &[&str]) -> FieldError {
    field_error(field, format!("is one of {}", words.join(", ")))
}

fn organisation(field: &str, name: &str) -> Result<Option<String>, FieldError> {
    if name.is_empty() {
        return Ok(None);
    }
    let name = OrgName::parse(name).map_err(|error| field_error(field, error.to_string()))?;
    Ok(Some(name.to_string()))
}

fn clause(id: &str) -> Result<Option<String>, FieldError> {
    if id.len() > CLAUSE_LEN_MAX || id.contains(char::is_control) {
        let rule = format!("is a clause's id of at most {CLAUSE_LEN_MAX} bytes");
        return Err(field_error("clause", rule));
    }
    Ok((!id.is_empty()).then(|| id.to_owned()))
}

fn known(field: &str, name: Option<&'static str>) -> Result<String, FieldError> {
    let name = name.ok_or_else(|| field_error(field, format!("is no known {field}")))?;
    Ok(name.to_owned())
}

/// An outcome, or a reason for not answering a signal.
fn outcome(word: &str) -> Result<Option<(&'static str, &'static str)>, FieldError> {
    if word.is_empty() {
        return Ok(None);
    }
    if let Some(outcome) = OUTCOMES.iter().find(|outcome| **outcome == word) {
        return Ok(Some(("outcome", outcome)));
    }
    if let Some(reason) = Reason::from_name(word) {
        return Ok(Some(("reason", reason.name())));
    }
    let reasons = Reason::ALL.iter().map(|reason| reason.name());
    let words: Vec<&str> = OUTCOMES.into_iter().chain(reasons).collect();
    Err(one_of("outcome", &words))
}

fn unix_ms(field: &str, at: Option<&Timestamp>) -> Result<u64, FieldError> {
    if at.is_none() {
        return Ok(0);
    }
    let at = at.filter(|at| (0..1_000_000_000).contains(&at.nanos));
    at.and_then(parse_timestamp)
        .and_then(|at| u64::try_from(at.as_millisecond()).ok())
        .filter(|ms| *ms > 0)
        .ok_or_else(|| field_error(field, "is an instant after 1970"))
}

/// Whether some kind of entry has all that the fields are about.
fn check_kinds(kind: &str, fields: &[&str]) -> Result<(), FieldError> {
    let mut kinds: Vec<&str> = if kind.is_empty() {
        KINDS.to_vec()
    } else {
        vec![kind]
    };
    for field in fields {
        let with = WITH.iter().find(|(name, _)| name == field);
        let with = with.map_or(KINDS.as_slice(), |(_, kinds)| kinds);
        kinds.retain(|kind| with.contains(kind));
        if kinds.is_empty() {
            let (field, _) = field.split_once('=').unwrap_or((field, ""));
            let rule = format!(
                "contradicts the rest: only entries of {} have it",
                with.join(", ")
            );
            return Err(field_error(field, rule));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(change: impl FnOnce(&mut v1::Filter)) -> Result<Search, FieldError> {
        let mut filter = v1::Filter::default();
        change(&mut filter);
        Search::parse(&filter, |_| vec![SubjectTag([7; 16])])
    }

    #[test]
    fn what_is_unknown_or_contradicts_itself_is_named() {
        type Odd = fn(&mut v1::Filter);
        let odd: [(&str, Odd); 14] = [
            ("bank", |f| f.bank = "No Bank".to_owned()),
            ("operator", |f| f.operator = "-".to_owned()),
            ("signal", |f| f.signal = 99),
            ("purpose", |f| f.purpose = 99),
            ("clause", |f| f.clause = "x".repeat(65)),
            ("outcome", |f| f.outcome = "answerd".to_owned()),
            ("kind", |f| f.kind = "acces".to_owned()),
            ("msisdn", |f| f.msisdn = "07700900001".to_owned()),
            ("until", |f| {
                f.from = Some(Timestamp {
                    seconds: 20,
                    nanos: 0,
                });
                f.until = Some(Timestamp {
                    seconds: 20,
                    nanos: 0,
                });
            }),
            ("from", |f| {
                f.from = Some(Timestamp {
                    seconds: -1,
                    nanos: 0,
                })
            }),
            ("until", |f| {
                f.until = Some(Timestamp {
                    seconds: 1,
                    nanos: -1,
                })
            }),
            ("purpose", |f| {
                f.purpose = 1;
                f.kind = "audit_read".to_owned();
            }),
            ("outcome", |f| {
                f.purpose = 1;
                f.outcome = "refused".to_owned();
            }),
            ("msisdn", |f| {
                f.msisdn = "+447700900001".to_owned();
                f.kind = "operation".to_owned();
            }),
        ];
        for (field, change) in odd {
            let error = parse(change).unwrap_err();
            assert_eq!(error.field, format!("filter.{field}"), "{error}");
            assert!(!error.rule.contains("900001"));
        }
    }

    #[test]
    fn an_entry_is_held_against_all_of_a_search() {
        let access = |bank: &str, tag: u8| {
            Event::Access(v1::Access {
                bank: bank.to_owned(),
                subject_tag: vec![tag; 16],
                ..v1::Access::default()
            })
        };
        let search = parse(|f| {
            f.bank = "first-bank".to_owned();
            f.msisdn = "+447700900001".to_owned();
            f.from = Some(Timestamp {
                seconds: 10,
                nanos: 0,
            });
            f.until = Some(Timestamp {
                seconds: 20,
                nanos: 0,
            });
        })
        .unwrap();
        assert!(search.matches(10_000, &access("first-bank", 7)));
        assert!(search.matches(19_999, &access("first-bank", 7)));
        assert!(!search.matches(9_999, &access("first-bank", 7)));
        assert!(!search.matches(20_000, &access("first-bank", 7)));
        assert!(!search.matches(10_000, &access("second-bank", 7)));
        assert!(!search.matches(10_000, &access("first-bank", 8)));
        assert_eq!(search.to_wire().subject_tags, [[7; 16]]);
    }
}
