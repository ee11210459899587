//! What a check says of the adapter's own certificate, before any source is asked: without a good one
//! no broker lets the adapter in, whatever its sources can answer.

use accord_proto::party::OrgName;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{
    runtime::{Credentials, TlsFiles, Validity},
    source::words,
};

/// What ends within this time should be renewed now.
pub const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What was found of the files of `[tls]`. No text holds a key.
#[derive(Clone, Debug, Serialize)]
pub struct TlsFound {
    /// As whom brokers would know the adapter; `None`, if the files can't be used.
    pub name: Option<String>,
    /// Until when the certificate is good.
    pub valid_until: Option<Timestamp>,
    /// What looks wrong, in words.
    pub wrong: Vec<String>,
}

impl TlsFound {
    /// Reads the files and looks at them.
    #[must_use]
    pub fn of(files: &TlsFiles, operator: &OrgName, now: Timestamp) -> Self {
        let read = files.load(operator);
        let mut wrong: Vec<String> = match &read {
            Ok(_) => Vec::new(),
            Err(first) => match files.faults(operator).as_slice() {
                // They were mended in between.
                [] => vec![words(first)],
                all => all.iter().map(|fault| words(fault)).collect(),
            },
        };
        if files.key_is_exposed() {
            let path = files.key.display();
            wrong.push(format!(
                "`tls.key`: everybody on this machine can read `{path}`: chmod 600"
            ));
        }
        let Ok(read) = read else {
            return Self {
                name: None,
                valid_until: None,
                wrong,
            };
        };
        let certificate = format!("`tls.certificate`: `{}`", files.certificate.display());
        let roots = format!("`tls.roots`: `{}`", files.roots.display());
        wrong.extend(ill_timed(read.validity(), now).map(|what| format!("{certificate} {what}")));
        if !read.is_of_client() {
            wrong.push(format!(
                "{certificate} is not for a client (extended key usage), and the adapter dials as one"
            ));
        }
        // While one root replaces another, one of them may be of no use any more, or not yet.
        wrong.extend(roots_ill_timed(&read, now).map(|what| format!("{roots} {what}")));
        Self {
            name: Some(read.party().to_string()),
            valid_until: Some(read.validity().until),
            wrong,
        }
    }
}

/// What is wrong with all the roots of a file, where no root is as it should be.
fn roots_ill_timed(read: &Credentials, now: Timestamp) -> Option<String> {
    let last = read.roots().iter().max_by_key(|root| root.until)?;
    let mut each = read.roots().iter();
    if each.any(|root| ill_timed(*root, now).is_none()) {
        return None;
    }
    let what = ill_timed(*last, now)?;
    Some(format!(
        "holds no root that is good for long; the last {what}"
    ))
}

/// What is wrong with the time for which something is good.
fn ill_timed(validity: Validity, now: Timestamp) -> Option<String> {
    let Validity { from, until } = validity;
    if now < from {
        Some(format!(
            "is good only from {from} on; it is now {now:.0} by this machine's clock"
        ))
    } else if now > until {
        Some(format!(
            "expired at {until}; it is now {now:.0} by this machine's clock"
        ))
    } else if until.duration_since(now) < EXPIRES_SOON {
        let days = until.duration_since(now).as_hours() / 24;
        Some(format!("expires at {until}, in {days} days: renew it"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
