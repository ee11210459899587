//! The body of a token request: `application/x-www-form-urlencoded` (RFC 6749 appendix B).

use std::{borrow::Cow, fmt};

/// Parameters of one request; a token request has about six.
const PARAMETERS_MAX: usize = 32;

/// The parameters, decoded. Each stands once (RFC 6749 section 3.2); those without a value are left
/// out, as if they had not been sent (same section).
pub struct Form<'a> {
    parameters: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Why a body is no form. It repeats no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Bytes that are no ASCII, a `%` without two hexadecimal digits, or what they spell is no UTF-8.
    #[error("the body is no form: names and values are percent-encoded UTF-8 with `&` between")]
    Malformed,
    /// Too many parameters.
    #[error("the form has more than {PARAMETERS_MAX} parameters")]
    TooMany,
    /// A parameter stands twice.
    #[error("a parameter of the form stands twice: each may be sent once")]
    Twice,
}

impl<'a> Form<'a> {
    /// Parses a body.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn parse(body: &'a [u8]) -> Result<Self, FormError> {
        let body = std::str::from_utf8(body).map_err(|_| FormError::Malformed)?;
        if !body.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(FormError::Malformed);
        }
        let mut parameters: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::with_capacity(8);
        let pairs = body.split('&').filter(|pair| !pair.is_empty());
        for (at, pair) in pairs.enumerate() {
            if at == PARAMETERS_MAX {
                return Err(FormError::TooMany);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(FormError::Twice);
            }
            parameters.push((name, value));
        }
        Ok(Self { parameters })
    }

    /// A parameter's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_ref())
            .filter(|value| !value.is_empty())
    }

    /// All parameters, in the order in which they stand.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let parameters = self.parameters.iter();
        parameters.map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

/// Not what is in it: assertions.
impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[form]")
    }
}

/// Spells parameters as a body.
#[must_use]
pub fn encode_form<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let encode = |text: &str| text.bytes().map(percent).collect::<String>();
    let pairs = parameters.into_iter();
    let pairs = pairs.map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

/// What `+` and `%xx` spell.
fn decode(text: &str) -> Result<Cow<'_, str>, FormError> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (hex(bytes.next()), hex(bytes.next()));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(FormError::Malformed);
                };
                high << 4 | low
            }
            plain => plain,
        });
    }
    let decoded = String::from_utf8(decoded).map_err(|_| FormError::Malformed)?;
    Ok(Cow::Owned(decoded))
}

fn hex(digit: Option<u8>) -> Option<u8> {
    let digit = char::from(digit?).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_and_what_has_no_value_was_not_sent() {
        let form = Form::parse(b"grant_type=a%3Ab&scope=dpv%3aFraud+sim-swap&empty=&bare").unwrap();
        assert_eq!(form.get("grant_type"), Some("a:b"));
        assert_eq!(form.get("scope"), Some("dpv:Fraud sim-swap"));
        for absent in ["empty", "bare", "other"] {
            assert_eq!(form.get(absent), None, "{absent}");
        }
        assert!(Form::parse(b"").unwrap().get("scope").is_none());
    }

    #[test]
    fn what_was_encoded_is_read_again() {
        let parameters = [
            ("scope", "dpv:A sim-swap"),
            ("x", "a+b&c=\u{e9}"),
            ("y", ""),
        ];
        let text = encode_form(parameters);
        assert_eq!(text, "scope=dpv%3AA%20sim-swap&x=a%2Bb%26c%3D%C3%A9&y=");
        let form = Form::parse(text.as_bytes()).unwrap();
        assert!(form.iter().eq(parameters));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for body in [
            b"a=%".as_slice(),
            b"a=%4",
            b"a=%zz",
            b"a=%ff",
            b"a=\xff",
            b"a=b c",
            b"a=b\r\n",
            "a=\u{e9}".as_bytes(),
        ] {
            let error = Form::parse(body).err();
            assert_eq!(error, Some(FormError::Malformed), "{body:?}");
        }
        // However the name is spelt.
        assert_eq!(Form::parse(b"a=1&%61=1").err(), Some(FormError::Twice));
        assert_eq!(Form::parse(b"a=&a=").err(), Some(FormError::Twice));
        let many: Vec<String> = (0..=PARAMETERS_MAX).map(|n| format!("p{n}=1")).collect();
        let many = many.join("&");
        assert_eq!(Form::parse(many.as_bytes()).err(), Some(FormError::TooMany));
    }

    /// Bytes as a stranger may send them: a form or a refusal, and a value that was read is the one
    /// that is found.
    #[test]
    fn whatever_bytes_come_they_are_a_form_or_refused() {
        let alphabet = b"ab=&%+2f\xffZ";
        let mut state = 7_u64;
        let mut next = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).unwrap()
        };
        let (mut forms, mut refused) = (0, 0);
        for _ in 0..50_000 {
            let len = next() % 24;
            let body: Vec<u8> = (0..len)
                .map(|_| alphabet[next() % alphabet.len()])
                .collect();
            match Form::parse(&body) {
                Ok(form) => {
                    forms += 1;
                    for (name, value) in &form.parameters {
                        assert_eq!(
                            form.get(name),
                            Some(value.as_ref()).filter(|v| !v.is_empty())
                        );
                    }
                }
                Err(_) => refused += 1,
            }
        }
        assert!(forms > 1_000 && refused > 1_000, "{forms} {refused}");
    }
}
