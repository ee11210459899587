//! The dialects: from a URI, or what a supplier sends in its place, to who serves the number.

use super::{Dialect, ReplyError, Told};
use crate::msisdn::Msisdn;

/// The most digits of a routing number (ITU-T E.164).
const ROUTING_DIGITS_MAX: usize = 15;
/// The most parameters that are looked at.
const PARAMETERS_MAX: usize = 16;

/// A text of parts between semicolons, with keys in lower case. Each key stands once.
struct Parameters<'a>(Vec<(String, &'a str)>);

impl<'a> Parameters<'a> {
    fn parse(parts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut all: Vec<(String, &str)> = Vec::new();
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let key = key.trim().to_ascii_lowercase();
            let known = all.iter().any(|(known, _)| *known == key);
            if key.is_empty() || known || all.len() >= PARAMETERS_MAX {
                return None;
            }
            all.push((key, value.trim()));
        }
        Some(Self(all))
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| *value)
    }
}

pub(super) fn read(dialect: Dialect, text: &str, msisdn: &Msisdn) -> Result<Told, ReplyError> {
    let told = match dialect {
        Dialect::Rfc4694 => tel(text, msisdn)?,
        Dialect::KeyValue => key_value(text)?,
        Dialect::ImsSip => ims_sip(text, msisdn)?,
    };
    told.ok_or_else(|| ReplyError::Dialect(dialect.name()))
}

/// RFC 4694 section 4. Without `npdi` nobody looked the number up, so the absence of `rn` says
/// nothing.
fn tel(text: &str, msisdn: &Msisdn) -> Result<Option<Told>, ReplyError> {
    let mut parts = text.split(';');
    let Some(number) = parts.next().and_then(|part| after(part, "tel:")) else {
        return Ok(None);
    };
    is_about(number, msisdn)?;
    let Some(parameters) = Parameters::parse(parts) else {
        return Ok(None);
    };
    let dipped = parameters.value("npdi");
    Ok(match (parameters.value("rn"), dipped) {
        (None, Some("")) => Some(Told::NotPorted),
        (None, _) => None,
        (Some(rn), _) => match (rn.strip_prefix('+'), parameters.value("rn-context")) {
            (Some(global), None) => routing_number(global, ""),
            // A local routing number means nothing without its context.
            (None, Some(context)) => context
                .strip_prefix('+')
                .and_then(|context| routing_number(rn, context)),
            (_, _) => None,
        },
    })
}

fn routing_number(text: &str, context: &str) -> Option<Told> {
    let mut digits = String::new();
    for character in context.chars().chain(text.chars()) {
        match character {
            '0'..='9' => digits.push(character),
            // Visual separators (RFC 3966 section 5.1.1).
            '-' | '.' | '(' | ')' => {}
            _ => return None,
        }
    }
    (1..=ROUTING_DIGITS_MAX)
        .contains(&digits.len())
        .then_some(Told::RoutingNumber(digits))
}

fn key_value(text: &str) -> Result<Option<Told>, ReplyError> {
    let parts = text.split(';').filter(|part| !part.trim().is_empty());
    let Some(parameters) = Parameters::parse(parts) else {
        return Ok(None);
    };
    match parameters.value("err") {
        Some("0") => {}
        Some(code) if !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(ReplyError::Supplier);
        }
        Some(_) | None => return Ok(None),
    }
    let (mcc, mnc) = (parameters.value("mcc"), parameters.value("mnc"));
    Ok(match parameters.value("ported") {
        Some("true" | "false" | "1" | "0") => network(mcc, mnc),
        Some(_) | None => None,
    })
}

/// The host says which network; the `@` before it is missing in the answers of one supplier.
fn ims_sip(text: &str, msisdn: &Msisdn) -> Result<Option<Told>, ReplyError> {
    let mut parts = text.split(';');
    let Some(uri) = parts.next().and_then(|part| after(part, "sip:")) else {
        return Ok(None);
    };
    let number = uri.get(..uri.find(['@', 'i', 'I']).unwrap_or(0));
    is_about(number.unwrap_or_default(), msisdn)?;
    let host = uri.get(number.map_or(0, str::len)..).unwrap_or_default();
    let host = host.strip_prefix('@').unwrap_or(host).to_ascii_lowercase();
    let Some(parameters) = Parameters::parse(parts) else {
        return Ok(None);
    };
    let mut labels = host.split('.');
    let labels = [(); 5].map(|()| labels.next().unwrap_or_default());
    let [ims, mnc, mcc, domain, org] = labels;
    let whole = host.split('.').count() == 5 && [ims, domain, org] == ["ims", "3gppnetwork", "org"];
    Ok(match parameters.value("ported") {
        Some("0" | "1" | "true" | "false") if whole => {
            network(mcc.strip_prefix("mcc"), mnc.strip_prefix("mnc"))
        }
        Some(_) | None => None,
    })
}

fn network(mcc: Option<&str>, mnc: Option<&str>) -> Option<Told> {
    let code = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        let good = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| text.parse().ok()).flatten()
    };
    Some(Told::Network {
        mcc: code(mcc?, 3..=3)?,
        mnc: code(mnc?, 2..=3)?,
    })
}

/// An answer about another number is no answer.
fn is_about(number: &str, msisdn: &Msisdn) -> Result<(), ReplyError> {
    let same = number == msisdn.expose();
    same.then_some(()).ok_or(ReplyError::OtherNumber)
}

/// What stands behind a scheme, in whichever case that is.
fn after<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}
