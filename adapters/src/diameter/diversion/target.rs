//! Where a rule forwards to: one form for the many ways to write a number, so that the operator's
//! list of its own voicemail can be held against it.
//!
//! `tel:+447700900123`, `sip:+447700900123@ims.example;user=phone`, `tel:07700900123;phone-context=+44`
//! and `00447700900123` are one number (RFC 3966 section 5.1.5, RFC 3261 section 19.1.6). A short
//! code stays what it is.

use accord_proto::observation::ForwardingTarget;

/// How numbers are dialled where the operator is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbering {
    /// Country code, such as `44`.
    pub(super) country_code: Option<String>,
    /// What stands before a national number, such as `0`; may be empty.
    pub(super) national_prefix: String,
    /// What stands before an international one, such as `00`; may be empty.
    pub(super) international_prefix: String,
}

/// A target in its one form.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Normal {
    /// International, digits only.
    Global(String),
    /// A short code, or what else has a meaning in the operator's network only.
    Local(String),
    /// A SIP URI that is no number: `user@host`, in small letters, without parameters.
    Uri(String),
}

/// One line of the list of voicemail.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    Exactly(Normal),
    GlobalPrefix(String),
    LocalPrefix(String),
    Host(String),
}

impl Pattern {
    /// A target, or the beginning of a number with `*` after it, or `sip:*@host`.
    pub(super) fn parse(text: &str, numbering: &Numbering) -> Option<Self> {
        if let Some(host) = text.strip_prefix("sip:*@") {
            let usable = !host.is_empty() && !host.contains(['*', ';', '@']);
            return usable.then(|| Self::Host(host.to_ascii_lowercase()));
        }
        let Some(prefix) = text.strip_suffix('*') else {
            return normalise(text, numbering).map(Self::Exactly);
        };
        let prefix = prefix.strip_prefix("tel:").unwrap_or(prefix);
        match prefix.strip_prefix('+') {
            Some(digits) => is_digits(digits).then(|| Self::GlobalPrefix(digits.to_owned())),
            None => is_dialled(prefix).then(|| Self::LocalPrefix(prefix.to_owned())),
        }
    }

    fn covers(&self, target: &Normal) -> bool {
        match (self, target) {
            (Self::Exactly(this), target) => this == target,
            (Self::GlobalPrefix(prefix), Normal::Global(digits))
            | (Self::LocalPrefix(prefix), Normal::Local(digits)) => digits.starts_with(prefix),
            (Self::Host(host), Normal::Uri(uri)) => {
                uri.rsplit_once('@').is_some_and(|(_, its)| its == host)
            }
            (Self::GlobalPrefix(_) | Self::LocalPrefix(_) | Self::Host(_), _) => false,
        }
    }
}

/// What a bank may know of a target.
pub(super) fn kind(text: &str, voicemail: &[Pattern], numbering: &Numbering) -> ForwardingTarget {
    match normalise(text, numbering) {
        None => ForwardingTarget::Unknown,
        Some(target) if voicemail.iter().any(|pattern| pattern.covers(&target)) => {
            ForwardingTarget::OwnVoicemail
        }
        Some(_) => ForwardingTarget::AnotherNumber,
    }
}

fn normalise(text: &str, numbering: &Numbering) -> Option<Normal> {
    let text = text.trim();
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None if text.contains('@') => ("sip".to_owned(), text),
        None => ("tel".to_owned(), text),
    };
    match scheme.as_str() {
        "tel" => number(rest, numbering),
        "sip" | "sips" => sip(rest, numbering),
        _ => None,
    }
}

fn sip(rest: &str, numbering: &Numbering) -> Option<Normal> {
    // A user part may hold parameters of its own, before the `@`.
    let (user, host) = match rest.split_once('@') {
        Some((user, host)) => (unescape(user)?, host),
        None => (String::new(), rest),
    };
    let mut parts = host.split([';', '?']);
    let host = parts.next()?;
    let is_phone = parts.any(|part| part.eq_ignore_ascii_case("user=phone"));
    if (is_phone || user.starts_with('+'))
        && let Some(number) = number(&user, numbering)
    {
        return Some(number);
    }
    // A port is a way there, not another place.
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let uri = format!("{user}@{host}").to_ascii_lowercase();
    (!host.is_empty() && !host.contains('@')).then_some(Normal::Uri(uri))
}

/// A number of RFC 3966 with its parameters.
fn number(text: &str, numbering: &Numbering) -> Option<Normal> {
    let mut parts = text.split(';');
    let written = parts.next()?;
    let digits: String = written.chars().filter(|c| !"-.() ".contains(*c)).collect();
    if let Some(digits) = digits.strip_prefix('+') {
        return is_digits(digits).then(|| Normal::Global(digits.to_owned()));
    }
    if !is_dialled(&digits) {
        return None;
    }
    let context = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.eq_ignore_ascii_case("phone-context").then_some(value)
    });
    let context = context.and_then(|value| value.strip_prefix('+'));
    let context = context.filter(|digits| is_digits(digits));
    Some(globalise(&digits, context, numbering))
}

/// What a number that was dialled is abroad, where that can be said.
fn globalise(digits: &str, context: Option<&str>, numbering: &Numbering) -> Normal {
    let after = |prefix: &str| {
        let rest = digits.strip_prefix(prefix).filter(|_| !prefix.is_empty())?;
        is_digits(rest).then_some(rest)
    };
    if let Some(rest) = after(&numbering.international_prefix) {
        return Normal::Global(rest.to_owned());
    }
    let home = numbering.country_code.as_deref();
    match (after(&numbering.national_prefix), context, home) {
        // National writing, though its context stands beside it: RFC 3966 would have it without.
        (Some(rest), Some(context), _) => Normal::Global(format!("{context}{rest}")),
        (Some(rest), None, Some(home)) => Normal::Global(format!("{home}{rest}")),
        // A short code of some country: the context is part of it.
        (None, Some(context), _) if is_digits(digits) => {
            Normal::Global(format!("{context}{digits}"))
        }
        (_, _, _) => Normal::Local(digits.to_owned()),
    }
}

fn unescape(user: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(user.len());
    let mut rest = user.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let code = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
            bytes.push(u8::try_from(code).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_dialled(text: &str) -> bool {
    let dialled = |byte: u8| byte.is_ascii_digit() || byte == b'*' || byte == b'#';
    !text.is_empty() && text.bytes().all(dialled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn british() -> Numbering {
        Numbering {
            country_code: Some("44".to_owned()),
            national_prefix: "0".to_owned(),
            international_prefix: "00".to_owned(),
        }
    }

    fn with(voicemail: &[&str], target: &str) -> ForwardingTarget {
        let parse = |text: &&str| Pattern::parse(text, &british()).unwrap();
        let list: Vec<Pattern> = voicemail.iter().map(parse).collect();
        kind(target, &list, &british())
    }

    const VOICEMAIL: ForwardingTarget = ForwardingTarget::OwnVoicemail;
    const ANOTHER: ForwardingTarget = ForwardingTarget::AnotherNumber;

    #[test]
    fn one_number_in_each_of_its_writings_is_one_number() {
        for written in [
            "tel:+447700900999",
            "TEL:+44-7700-900999",
            "tel:+44(7700)900.999;ext=1",
            "sip:+447700900999@ims.example;user=phone",
            "sips:+447700900999@ims.example:5061",
            "sip:%2B447700900999@ims.example;user=phone",
            "sip:07700900999;phone-context=+44@ims.example;user=phone",
            "tel:07700900999;phone-context=+44",
            "tel:7700900999;phone-context=+44",
            "tel:07700900999;phone-context=ims.example",
            "+447700900999",
            "00447700900999",
            " 07700900999 ",
        ] {
            assert_eq!(
                with(&["tel:+447700900999"], written),
                VOICEMAIL,
                "{written}"
            );
            assert_eq!(with(&["07700900999"], written), VOICEMAIL, "{written}");
            assert_eq!(with(&["+4477009009*"], written), VOICEMAIL, "{written}");
            assert_eq!(with(&["+447700900998"], written), ANOTHER, "{written}");
        }
    }

    #[test]
    fn a_number_abroad_that_ends_alike_is_another_one() {
        let home = &["+447700900999"][..];
        for other in [
            "+9997700900999",
            "009997700900999",
            "tel:07700900999;phone-context=+999",
        ] {
            assert_eq!(with(home, other), ANOTHER, "{other}");
        }
    }

    #[test]
    fn a_short_code_is_local_and_meets_its_like_only() {
        assert_eq!(
            with(&["tel:121"], "tel:121;phone-context=ims.example"),
            VOICEMAIL
        );
        assert_eq!(with(&["tel:121"], "121"), VOICEMAIL);
        assert_eq!(with(&["tel:121"], "1210"), ANOTHER);
        assert_eq!(
            with(&["tel:121;phone-context=+44"], "tel:121;phone-context=+44"),
            VOICEMAIL
        );
        assert_eq!(with(&["*86*"], "*86"), VOICEMAIL);
    }

    #[test]
    fn a_server_of_voicemail_is_met_by_name_or_by_host() {
        let target = "sip:Voicemail@vm.Example:5060;transport=tcp";
        assert_eq!(with(&["sip:voicemail@vm.example"], target), VOICEMAIL);
        assert_eq!(with(&["sip:*@vm.example"], target), VOICEMAIL);
        assert_eq!(
            with(&["sip:*@vm.example"], "sip:x@vm.example.attacker"),
            ANOTHER
        );
        assert_eq!(
            with(&["sip:*@vm.example"], "sip:x@attacker;a=@vm.example"),
            ANOTHER
        );
        // The number counts, not through whose proxy it is reached.
        assert_eq!(
            with(
                &["sip:*@vm.example"],
                "sip:+447700900100@vm.example;user=phone"
            ),
            ANOTHER
        );
    }

    #[test]
    fn what_is_no_target_is_unknown() {
        for bad in [
            "",
            "tel:",
            "urn:x",
            "http://vm.example",
            "tel:+44abc",
            "sip:%zz@x",
            "hello",
            "sip:a@b@vm.example",
        ] {
            assert_eq!(with(&["+44*"], bad), ForwardingTarget::Unknown, "{bad}");
        }
    }

    #[test]
    fn patterns_that_would_cover_everything_are_refused() {
        for bad in ["*", "+*", "sip:*@", "sip:*@*", "", "tel:*"] {
            assert!(Pattern::parse(bad, &british()).is_none(), "{bad}");
        }
    }
}
