//! What an ENUM zone (RFC 6116) says of a number, in the dialects that suppliers of portability
//! data speak. RFC 6116 defines where to ask and that the answer is a URI; what the URI means is
//! each supplier's own, so the dialect is part of the contract and never guessed.
//!
//! | Dialect | Such as |
//! |---|---|
//! | `rfc4694` | `!^.*$!tel:+447700900016;npdi;rn=+447700999!` |
//! | `key_value` | `!^.*$!country=MA;mcc=604;mnc=001;ported=false;err=0!` |
//! | `ims_sip` | `!^.*$!sip:+447700900016@ims.mnc02.mcc234.3gppnetwork.org;cost=0.01;ported=0!` |

mod dialect;
mod regexp;

use crate::msisdn::Msisdn;

/// The most records of one answer that are looked at.
const RECORDS_MAX: usize = 16;

/// How a supplier says which operator serves a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// A `tel` URI with the parameters of RFC 4694: `rn`, the routing number of the operator that a
    /// ported number went to, and `npdi`, which says that the database was asked.
    Rfc4694,
    /// No URI at all, but pairs of key and value: `mcc`, `mnc`, `ported` and `err`.
    KeyValue,
    /// A `sip` URI whose host is the operator's IMS domain (3GPP TS 23.003 section 13.2).
    ImsSip,
}

/// One NAPTR record (RFC 3403 section 4.1).
#[derive(Clone, Copy)]
pub struct Naptr<'a> {
    /// Lower ones come first.
    pub order: u16,
    /// Of the same order, lower ones come first.
    pub preference: u16,
    /// `u`: the regular expression makes a URI.
    pub flags: &'a [u8],
    /// Begins with `E2U`.
    pub services: &'a [u8],
    /// The substitution.
    pub regexp: &'a [u8],
}

/// What a supplier says of a number.
#[derive(Clone, PartialEq, Eq)]
pub enum Told {
    /// It stayed with the operator of its range.
    NotPorted,
    /// A network serves it (ITU-T E.212). The length of `mnc` differs from supplier to supplier,
    /// so it counts as a number.
    Network {
        /// Mobile country code.
        mcc: u16,
        /// Mobile network code.
        mnc: u16,
    },
    /// It was ported to the operator with this routing number, of digits only.
    RoutingNumber(String),
}

/// Why an answer is unreadable. It never repeats what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// No record is for telephone numbers.
    #[error("no record has the flag `u` and a service that begins with `E2U`")]
    NoRecord,
    /// More records than anyone needs.
    #[error("it has more than {RECORDS_MAX} records")]
    TooMany,
    /// Not delimiter, expression, delimiter, replacement, delimiter; or an expression that does
    /// not take the number as a whole.
    #[error("the substitution is not one of those that suppliers use, such as `!^.*$!...!`")]
    Substitution,
    /// Not in the supplier's dialect.
    #[error("it is not in the dialect `{0}`")]
    Dialect(&'static str),
    /// About a number that was not asked about.
    #[error("it is about another number")]
    OtherNumber,
    /// The supplier says that it failed.
    #[error("the supplier says that it could not find out")]
    Supplier,
    /// Two records of the same rank disagree.
    #[error("two records of the same rank disagree")]
    Contradictory,
}

impl Dialect {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rfc4694 => "rfc4694",
            Self::KeyValue => "key_value",
            Self::ImsSip => "ims_sip",
        }
    }

    /// Reads the answer to a question about a number.
    ///
    /// # Errors
    /// [`ReplyError`]. An answer of which only a part is readable is unreadable, unless that part
    /// has a better rank than the rest.
    pub fn read(self, records: &[Naptr<'_>], msisdn: &Msisdn) -> Result<Told, ReplyError> {
        if records.len() > RECORDS_MAX {
            return Err(ReplyError::TooMany);
        }
        let enum_records = || records.iter().filter(|record| record.is_for_numbers());
        let rank = enum_records()
            .map(Naptr::rank)
            .min()
            .ok_or(ReplyError::NoRecord)?;
        let mut told = None;
        for record in enum_records().filter(|record| record.rank() == rank) {
            let text = regexp::substitute(record.regexp, msisdn)?;
            let said = dialect::read(self, &text, msisdn)?;
            match &told {
                Some(before) if *before != said => return Err(ReplyError::Contradictory),
                Some(_) | None => told = Some(said),
            }
        }
        told.ok_or(ReplyError::NoRecord)
    }
}

impl Naptr<'_> {
    const fn rank(&self) -> (u16, u16) {
        (self.order, self.preference)
    }

    fn is_for_numbers(&self) -> bool {
        let service = self.services.get(..3).unwrap_or_default();
        self.flags.eq_ignore_ascii_case(b"u") && service.eq_ignore_ascii_case(b"E2U")
    }
}

/// A record may hold a number.
impl std::fmt::Debug for Naptr<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[naptr]")
    }
}

/// Of whom a number was ported to, a routing number may hold too much.
impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotPorted => f.write_str("NotPorted"),
            Self::Network { mcc, mnc } => write!(f, "Network({mcc}-{mnc})"),
            Self::RoutingNumber(_) => f.write_str("RoutingNumber"),
        }
    }
}

/// The name to ask for: the digits in reverse, each a label, before the zone (RFC 6116 section 3.2).
#[must_use]
pub fn domain(msisdn: &Msisdn, zone: &str) -> String {
    let mut name = String::with_capacity(2 * Msisdn::DIGITS_MAX + zone.len() + 1);
    for digit in msisdn.expose_digits().chars().rev() {
        name.push(digit);
        name.push('.');
    }
    name.push_str(zone.trim_matches('.'));
    name.push('.');
    name
}

#[cfg(test)]
mod tests;
