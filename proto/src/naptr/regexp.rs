//! The substitution of a NAPTR record (RFC 3402 section 3.2), for the few expressions that take a
//! number as a whole. An engine for regular expressions that strangers write is not worth having.

use super::ReplyError;
use crate::msisdn::Msisdn;

/// The longest result.
const TEXT_BYTES_MAX: usize = 256;

/// What `\1` stands for.
#[derive(Clone, Copy)]
enum Group {
    None,
    Number,
    Digits,
}

/// Applies a substitution to a number.
pub(super) fn substitute(regexp: &[u8], msisdn: &Msisdn) -> Result<String, ReplyError> {
    let text = str::from_utf8(regexp).map_err(|_| ReplyError::Substitution)?;
    let delimiter = text.chars().next().ok_or(ReplyError::Substitution)?;
    if delimiter.is_ascii_alphanumeric() || delimiter == '\\' {
        return Err(ReplyError::Substitution);
    }
    let mut fields = text.split(delimiter).skip(1);
    let (Some(expression), Some(replacement), Some("" | "i"), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(ReplyError::Substitution);
    };
    let group = match expression {
        "^.*$" | "^.+$" => Group::None,
        "^(.*)$" | "^(.+)$" | r"^(\+.*)$" => Group::Number,
        r"^\+(.*)$" | r"^\+(.+)$" => Group::Digits,
        _ => return Err(ReplyError::Substitution),
    };
    let mut result = String::new();
    let mut characters = replacement.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            result.push(character);
        } else {
            match (characters.next(), group) {
                (Some('1'), Group::Number) => result.push_str(msisdn.expose()),
                (Some('1'), Group::Digits) => result.push_str(msisdn.expose_digits()),
                (Some('\\'), _) => result.push('\\'),
                (Some(_) | None, _) => return Err(ReplyError::Substitution),
            }
        }
        if result.len() > TEXT_BYTES_MAX {
            return Err(ReplyError::Substitution);
        }
    }
    Ok(result)
}
