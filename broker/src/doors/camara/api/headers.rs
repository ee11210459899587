//! The headers of a request: what it correlates with, what it sends and takes, and ours.

use accord_proto::v1;
use aws_lc_rs::rand;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, CONTENT_TYPE},
};

/// CAMARA's correlation id (API Design Guide section 5.8.5).
pub(super) const CORRELATOR: HeaderName = HeaderName::from_static("x-correlator");
/// The most bytes of one.
pub(super) const CORRELATOR_LEN_MAX: usize = 256;
/// The bank's id of a question: the same one within ten minutes brings the same answer back.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("accord-request-id");
/// The bank's reference of its customer.
pub(super) const CUSTOMER_REF: HeaderName = HeaderName::from_static("accord-customer-ref");
/// The consent on file, where a clause requires one.
pub(super) const CONSENT_REF: HeaderName = HeaderName::from_static("accord-consent-ref");
/// `proof` brings a whole proof with the receipt.
pub(super) const RECEIPT_KIND: HeaderName = HeaderName::from_static("accord-receipt-kind");

/// The media type of every body.
pub(super) const JSON: &str = "application/json";

/// A header that breaks a rule. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {rule}")]
pub(super) struct HeaderError {
    pub(super) field: &'static str,
    pub(super) rule: &'static str,
}

/// The correlation id of a response: the request's where it has one that is well formed, else a new
/// one. `Err` says that the request's breaks the rule; what was made goes out with the error.
pub(super) fn correlator(headers: &HeaderMap) -> Result<HeaderValue, (HeaderError, HeaderValue)> {
    let mut all = headers.get_all(CORRELATOR).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(made()),
        (Some(given), None) if is_correlator(given.as_bytes()) => Ok(given.clone()),
        (Some(_), _) => {
            let rule = "is one header of at most 256 letters, digits and `-_:;./<>{}`";
            let field = "x-correlator";
            Err((HeaderError { field, rule }, made()))
        }
    }
}

fn is_correlator(text: &[u8]) -> bool {
    text.len() <= CORRELATOR_LEN_MAX
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_:;./<>{}".contains(byte))
}

/// 128 random bits. Without randomness there is no id, which is better than the same one twice.
fn made() -> HeaderValue {
    let mut bytes = [0; 16];
    if rand::fill(&mut bytes).is_err() {
        return HeaderValue::from_static("");
    }
    let text = format!("{:032x}", u128::from_be_bytes(bytes));
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Whether a request's body says that it is JSON. UTF-8 is the only character set of JSON, so one
/// that is named must be that.
pub(super) fn sends_json(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (all.next(), all.next()) else {
        return false;
    };
    let Ok(kind) = kind.to_str() else {
        return false;
    };
    let mut parts = kind.split(';').map(str::trim);
    let json = parts
        .next()
        .is_some_and(|media| media.eq_ignore_ascii_case(JSON));
    json && parts.all(|parameter| {
        parameter.split_once('=').is_none_or(|(name, value)| {
            !name.eq_ignore_ascii_case("charset")
                || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
    })
}

/// Whether the client takes JSON (RFC 9110 section 12.5.1): the most specific range that covers it
/// decides, and weight zero is a no.
pub(super) fn takes_json(headers: &HeaderMap) -> bool {
    let mut best: Option<(u8, bool)> = None;
    for header in headers.get_all(ACCEPT) {
        let Ok(header) = header.to_str() else {
            return false;
        };
        for range in header
            .split(',')
            .map(str::trim)
            .filter(|range| !range.is_empty())
        {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let specific = if media.eq_ignore_ascii_case(JSON) {
                3
            } else if media.eq_ignore_ascii_case("application/*") {
                2
            } else if media == "*/*" {
                1
            } else {
                continue;
            };
            let weight = parts
                .filter_map(|parameter| parameter.split_once('='))
                .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
            let wanted = weight.is_none_or(|(_, q)| q.trim().parse::<f32>().is_ok_and(|q| q > 0.0));
            best = match best {
                Some((known, _)) if known > specific => best,
                Some((known, before)) if known == specific => Some((known, before || wanted)),
                Some(_) | None => Some((specific, wanted)),
            };
        }
    }
    best.map_or_else(|| !headers.contains_key(ACCEPT), |(_, wanted)| wanted)
}

/// Puts what our own headers say into a question. Their contents are judged by the path, as every
/// question's are.
pub(super) fn extend(
    request: &mut v1::LookupRequest,
    headers: &HeaderMap,
) -> Result<(), HeaderError> {
    request.request_id = text(headers, &REQUEST_ID, "accord-request-id")?;
    request.customer_ref = text(headers, &CUSTOMER_REF, "accord-customer-ref")?;
    request.consent_ref = text(headers, &CONSENT_REF, "accord-consent-ref")?;
    let kind = text(headers, &RECEIPT_KIND, "accord-receipt-kind")?;
    request.receipt = match kind.as_str() {
        "" => v1::ReceiptKind::Unspecified,
        "short" => v1::ReceiptKind::Short,
        "proof" => v1::ReceiptKind::Proof,
        _ => {
            return Err(HeaderError {
                field: "accord-receipt-kind",
                rule: "is `short` or `proof`",
            });
        }
    } as i32;
    Ok(())
}

fn text(
    headers: &HeaderMap,
    name: &HeaderName,
    field: &'static str,
) -> Result<String, HeaderError> {
    let mut all = headers.get_all(name).iter();
    let value = match (all.next(), all.next()) {
        (None, _) => return Ok(String::new()),
        (Some(value), None) => value.to_str().ok().filter(|text| !text.is_empty()),
        (Some(_), Some(_)) => None,
    };
    value.map(str::to_owned).ok_or(HeaderError {
        field,
        rule: "is one header of visible ASCII characters, and not empty",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_correlator_is_echoed_made_or_refused() {
        let given = "b4333c46-49c0_4f62:80d7;f0ef/930f.1c46<>{}";
        let echoed = correlator(&headers(&[(&CORRELATOR, given)])).unwrap();
        assert_eq!(echoed, given);
        let longest = "a".repeat(CORRELATOR_LEN_MAX);
        assert!(correlator(&headers(&[(&CORRELATOR, &longest)])).is_ok());
        let first = correlator(&HeaderMap::new()).unwrap();
        let second = correlator(&HeaderMap::new()).unwrap();
        assert_eq!(first.len(), 32);
        assert_ne!(first, second);
        let long = "a".repeat(CORRELATOR_LEN_MAX + 1);
        for wrong in [long.as_str(), "a b", "a+b", "a,b", "a\"b"] {
            let (error, made) = correlator(&headers(&[(&CORRELATOR, wrong)])).unwrap_err();
            assert_eq!(error.field, "x-correlator");
            assert_ne!(made, wrong);
        }
        let twice = headers(&[(&CORRELATOR, "a"), (&CORRELATOR, "a")]);
        assert!(correlator(&twice).is_err());
    }

    #[test]
    fn json_is_sent_as_json_and_nothing_else() {
        for kind in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(sends_json(&headers(&[(&CONTENT_TYPE, kind)])), "{kind}");
        }
        for kind in [
            "text/json",
            "application/jsonp",
            "application/json; charset=utf-16",
            "application/x-www-form-urlencoded",
            "",
        ] {
            assert!(!sends_json(&headers(&[(&CONTENT_TYPE, kind)])), "{kind}");
        }
        assert!(!sends_json(&HeaderMap::new()));
        let twice = headers(&[(&CONTENT_TYPE, JSON), (&CONTENT_TYPE, "text/plain")]);
        assert!(!sends_json(&twice));
    }

    #[test]
    fn the_most_specific_range_of_an_accept_decides() {
        assert!(takes_json(&HeaderMap::new()));
        for accept in [
            "application/json",
            "*/*",
            "text/html, application/*;q=0.1",
            "text/html;q=1, */*;q=0.001",
            "*/*;q=0, application/json",
            "application/json;q=0.5;x=1",
        ] {
            assert!(takes_json(&headers(&[(&ACCEPT, accept)])), "{accept}");
        }
        for accept in [
            "text/html",
            "application/xml, text/*",
            "*/*, application/json;q=0",
            "application/json;q=0.0",
            "application/problem+json",
        ] {
            assert!(!takes_json(&headers(&[(&ACCEPT, accept)])), "{accept}");
        }
        let several = headers(&[(&ACCEPT, "text/html"), (&ACCEPT, "application/json")]);
        assert!(takes_json(&several));
    }

    #[test]
    fn our_own_headers_go_into_the_question() {
        let mut request = v1::LookupRequest::default();
        extend(
            &mut request,
            &headers(&[
                (&REQUEST_ID, "r-1"),
                (&CUSTOMER_REF, "c-1"),
                (&CONSENT_REF, "k-1"),
                (&RECEIPT_KIND, "proof"),
            ]),
        )
        .unwrap();
        assert_eq!(request.request_id, "r-1");
        assert_eq!(request.customer_ref, "c-1");
        assert_eq!(request.consent_ref, "k-1");
        assert_eq!(request.receipt(), v1::ReceiptKind::Proof);
        let wrong = extend(&mut request, &headers(&[(&RECEIPT_KIND, "whole")]));
        assert_eq!(wrong.unwrap_err().field, "accord-receipt-kind");
        let twice = headers(&[(&REQUEST_ID, "r-1"), (&REQUEST_ID, "r-2")]);
        assert!(extend(&mut request, &twice).is_err());
    }
}
