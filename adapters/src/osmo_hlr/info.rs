//! What osmo-hlr tells about a subscriber: `subscriber.by-msisdn-N.info`, and nothing else.
//! `info-aud` and `info-all` hold authentication keys and are never asked for.

use accord_proto::msisdn::Msisdn;

use super::ctrl::Reply;

/// What a poll needs to know of a subscriber.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Info {
    /// Digests of it go to the journal; it goes nowhere else.
    pub(super) imsi: String,
    /// Of the circuit-switched registration, unless purged.
    pub(super) vlr: Option<String>,
    /// Of the packet-switched registration, unless purged.
    pub(super) sgsn: Option<String>,
}

/// What a reply to a question about a number amounts to.
pub(super) enum Looked {
    Found(Info),
    /// Nobody has this number now.
    Missing,
    /// Nothing that can be used, and why.
    Unusable(&'static str),
}

impl Looked {
    /// Why the reply can't be used, if it can't.
    pub(super) const fn unusable(&self) -> Option<&'static str> {
        match self {
            Self::Unusable(why) => Some(why),
            Self::Found(_) | Self::Missing => None,
        }
    }
}

/// The name of the variable. CTRL takes no `+`.
pub(super) fn variable(msisdn: &Msisdn) -> String {
    format!("subscriber.by-msisdn-{}.info", msisdn.expose_digits())
}

pub(super) fn read(reply: &Reply, msisdn: &Msisdn) -> Looked {
    match reply {
        Reply::Refused(text) if text == "No such subscriber." => Looked::Missing,
        Reply::Refused(_) => Looked::Unusable("the control interface refused the question"),
        Reply::Value(text) => parse(text, msisdn).map_or_else(Looked::Unusable, Looked::Found),
    }
}

/// What a value tells of the subscriber who was asked about, IMSI, VLR and SGSN, or why it tells
/// nothing: for fuzz targets.
///
/// # Errors
/// Says in a few words why it can't be used.
#[cfg(any(test, feature = "test-util"))]
pub fn told(text: &str, asked: &Msisdn) -> Result<[Option<String>; 3], &'static str> {
    let Info { imsi, vlr, sgsn } = parse(text, asked)?;
    Ok([Some(imsi), vlr, sgsn])
}

/// The fields that are read, in the order in which the HLR writes them.
const FIELDS: [&str; 6] = [
    "imsi",
    "msisdn",
    "vlr_number",
    "ms_purged_cs",
    "sgsn_number",
    "ms_purged_ps",
];

/// The value of each of [`FIELDS`], where it is not empty.
fn fields(text: &str) -> Result<[Option<&str>; FIELDS.len()], &'static str> {
    let mut found = [None; FIELDS.len()];
    for (name, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        let of = FIELDS.iter().zip(&mut found).find(|(of, _)| **of == name);
        if let Some((_, found)) = of
            && found.replace(value).is_some()
        {
            return Err("a field stands twice");
        }
    }
    Ok(found.map(|value| value.filter(|value| !value.is_empty())))
}

fn parse(text: &str, asked: &Msisdn) -> Result<Info, &'static str> {
    let [imsi, msisdn, vlr, purged_cs, sgsn, purged_ps] = fields(text)?;
    if msisdn != Some(asked.expose_digits()) {
        return Err("the reply is about another number");
    }
    let imsi = imsi.ok_or("the reply has no IMSI")?;
    // 3GPP TS 23.003 section 2.2: at most 15 digits.
    if !(6..=15).contains(&imsi.len()) || !imsi.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the reply has no well-formed IMSI");
    }
    // A purged registration says where the subscriber was.
    let registration = |number: Option<&str>, purged: Option<&str>| {
        let current = purged != Some("1");
        number.filter(|_| current).map(str::to_owned)
    };
    Ok(Info {
        imsi: imsi.to_owned(),
        vlr: registration(vlr, purged_cs),
        sgsn: registration(sgsn, purged_ps),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "\nid\t1\nimsi\t901700000000001\nmsisdn\t447700900001\nnam_cs\t1\n\
        nam_ps\t1\nvlr_number\tvlr-901-70\nms_purged_cs\t0\nms_purged_ps\t0\nlmsi\t00000000";

    fn number() -> Msisdn {
        Msisdn::parse("+447700900001").unwrap()
    }

    #[test]
    fn the_plus_sign_is_stripped() {
        assert_eq!(
            variable(&number()),
            "subscriber.by-msisdn-447700900001.info"
        );
    }

    #[test]
    fn an_info_is_read() {
        let info = parse(INFO, &number()).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(info.imsi, "901700000000001");
        assert_eq!(info.vlr.as_deref(), Some("vlr-901-70"));
        assert_eq!(info.sgsn, None);
    }

    #[test]
    fn a_purged_registration_is_not_used() {
        let purged = INFO.replace("ms_purged_cs\t0", "ms_purged_cs\t1");
        let info = parse(&purged, &number()).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(info.vlr, None);
    }

    #[test]
    fn what_is_not_about_this_number_is_not_believed() {
        for (from, to) in [
            ("msisdn\t447700900001", "msisdn\t447700900002"),
            ("msisdn\t447700900001\n", ""),
            ("imsi\t901700000000001\n", ""),
            ("imsi\t901700000000001", "imsi\t9017000000000012"),
            ("imsi\t901700000000001", "imsi\tabcdefgh"),
            ("id\t1", "imsi\t901700000000002"),
        ] {
            assert!(parse(&INFO.replace(from, to), &number()).is_err(), "{to}");
        }
    }

    #[test]
    fn only_the_exact_refusal_means_that_nobody_has_the_number() {
        let read = |text: &str| read(&Reply::Refused(text.to_owned()), &number());
        assert!(matches!(read("No such subscriber."), Looked::Missing));
        assert!(matches!(read("Command not found"), Looked::Unusable(_)));
    }
}
