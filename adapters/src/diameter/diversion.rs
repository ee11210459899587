//! The document of communication diversion: which calls a subscriber's own rules forward (3GPP
//! TS 24.604 section 4.9, carried as TS 24.623 and RFC 4745 describe).
//!
//! ```text
//!   communication-diversion active="true"
//!     ruleset
//!       rule   conditions: none = always (CFU) | busy | no-answer | not-reachable | …
//!              actions:    forward-to: target
//! ```
//!
//! How it is read, where more than one reading is possible:
//!
//! - *A rule that is deactivated* (`rule-deactivated` among its conditions) is none, whatever
//!   else stands in it. So is the whole of `active="false"`.
//! - *A condition on the caller, the medium or the time* makes a rule forward some calls and not
//!   others. The vocabulary of banks has no word for that: it is neither *always* nor *none*. The
//!   answer is *undecided*, unless another rule forwards all calls to another number, or the
//!   operator chose [`Conditional::AsCondition`]. Leaving such rules out is no choice: a thief
//!   would forward the bank's calls alone.
//! - *Not registered* (CFNL) counts as *not reachable*.
//! - *Two rules with one condition* and different kinds of target: the kind is unknown.
//! - *An operator's own rules* before and after the user's (Ericsson's MTAS has three sets) are
//!   not the subscriber's. Their elements are named in the configuration and left out.
//! - *Anything else* makes the document one that is not understood: a reason, never *none*.

mod config;
mod target;

use accord_proto::observation::{Forwarding, ForwardingCondition, ForwardingTarget};

pub use self::config::{Absent, Conditional, Dialect, DiversionConfig, DiversionRules};
use super::xml::Element;

const DIVERSION: &str = "communication-diversion";
/// Wrappers around it, at most so many.
const WRAPPERS_MAX: usize = 4;

/// Why a document doesn't tell which calls are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiversionError {
    /// There is none, and the operator did not say what that means.
    #[error("there is no document of communication diversion")]
    Absent,
    /// An active rule forwards some calls, by a condition that banks have no word for.
    #[error("a rule forwards some calls only")]
    Conditional,
    /// It has something that this reader doesn't know.
    #[error("the document of communication diversion is not understood: {0}")]
    NotUnderstood(&'static str),
}

use DiversionError::NotUnderstood;

/// What one active rule does.
#[derive(Clone, Copy)]
struct Ruled {
    forwarding: Forwarding,
    /// It has further conditions.
    narrowed: bool,
}

/// Reads the `ServiceData` of one service: the active forwardings, each condition once.
///
/// # Errors
/// [`DiversionError`].
pub fn read(service: &Element, rules: &DiversionRules) -> Result<Vec<Forwarding>, DiversionError> {
    // Some servers store the document as text.
    let unpacked = (service.children.is_empty() && service.text().starts_with('<'))
        .then(|| Element::parse(service.text().as_bytes()))
        .transpose()
        .map_err(|_| NotUnderstood("the document inside ServiceData is not usable XML"))?;
    let found = match unpacked {
        Some(root) => find(std::slice::from_ref(&root), rules, WRAPPERS_MAX)?.cloned(),
        None if !service.text().is_empty() => return Err(NotUnderstood("text in ServiceData")),
        None => find(&service.children, rules, WRAPPERS_MAX)?.cloned(),
    };
    let Some(diversion) = found else {
        return absent(rules);
    };
    if !is_active(&diversion)? {
        return Ok(Vec::new());
    }
    let mut ruled = Vec::new();
    for child in &diversion.children {
        collect(child, rules, &mut ruled)?;
    }
    conclude(&ruled, rules)
}

/// What it means that a subscriber has no document.
///
/// # Errors
/// [`DiversionError::Absent`], unless the configuration says that there are no forwardings then.
pub const fn absent(rules: &DiversionRules) -> Result<Vec<Forwarding>, DiversionError> {
    match rules.absent {
        Absent::NotAvailable => Err(DiversionError::Absent),
        Absent::NoForwarding => Ok(Vec::new()),
    }
}

/// The element of diversion, in the wrappers that the configuration names.
fn find<'a>(
    among: &'a [Element],
    rules: &DiversionRules,
    wrappers_left: usize,
) -> Result<Option<&'a Element>, DiversionError> {
    let mut found = None;
    for element in among {
        let inner = if element.name == DIVERSION {
            Some(element)
        } else if rules.is_wrapper(&element.name) && wrappers_left > 0 {
            find(&element.children, rules, wrappers_left - 1)?
        } else if wrappers_left == WRAPPERS_MAX {
            return Err(NotUnderstood("the document begins with an unknown element"));
        } else {
            // Another service's part of the same document.
            None
        };
        if inner.is_some() && found.is_some() {
            return Err(NotUnderstood("communication-diversion stands twice"));
        }
        found = found.or(inner);
    }
    Ok(found)
}

fn is_active(element: &Element) -> Result<bool, DiversionError> {
    match element.attribute("active").map(str::trim) {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(_) => Err(NotUnderstood("`active` is neither true nor false")),
    }
}

fn collect(
    element: &Element,
    rules: &DiversionRules,
    ruled: &mut Vec<Ruled>,
) -> Result<(), DiversionError> {
    let name = element.name.as_str();
    if rules.is_operators(name) || name == "NoReplyTimer" {
        return Ok(());
    }
    if name == "ruleset" {
        return element
            .children
            .iter()
            .try_for_each(|child| collect(child, rules, ruled));
    }
    match (rules.dialect, rules.flat_condition(name)) {
        (Dialect::Etsi, _) if name == "rule" => ruled.extend(rule(element, rules)?),
        (Dialect::Flat, Some(condition)) => ruled.extend(flat(element, condition, rules)?),
        (Dialect::Etsi | Dialect::Flat, _) => {
            return Err(NotUnderstood(
                "an unknown element in communication-diversion",
            ));
        }
    }
    Ok(())
}

/// A rule of TS 24.604. `None`: it forwards no voice call.
fn rule(element: &Element, rules: &DiversionRules) -> Result<Option<Ruled>, DiversionError> {
    let conditions: Vec<&Element> = element
        .all("conditions")
        .flat_map(|it| &it.children)
        .collect();
    if conditions
        .iter()
        .any(|condition| condition.name == "rule-deactivated")
    {
        return Ok(None);
    }
    let (mut when, mut narrowed) = (None, false);
    for condition in conditions {
        let base = match condition.name.as_str() {
            "busy" => ForwardingCondition::Busy,
            "no-answer" => ForwardingCondition::NoReply,
            "not-reachable" | "not-registered" => ForwardingCondition::NotReachable,
            "media" if rules.audio_is_voice => {
                if !condition.text().eq_ignore_ascii_case("audio") {
                    return Ok(None);
                }
                continue;
            }
            "anonymous" | "external-list" | "identity" | "media" | "other-identity"
            | "presence-status" | "validity" => {
                narrowed = true;
                continue;
            }
            _ => return Err(NotUnderstood("an unknown condition")),
        };
        // All conditions must hold: two of these are narrower than either.
        narrowed |= when.is_some_and(|other| other != base);
        when = Some(base);
    }
    let Some(target) = forward_to(element)? else {
        return Ok(None);
    };
    let forwarding = Forwarding {
        condition: when.unwrap_or(ForwardingCondition::Unconditional),
        target: rules.target(target),
    };
    Ok(Some(Ruled {
        forwarding,
        narrowed,
    }))
}

/// Where a rule forwards to; `None` if it does not forward.
fn forward_to(rule: &Element) -> Result<Option<&str>, DiversionError> {
    let mut actions = rule.all("actions").flat_map(|it| &it.children);
    let Some(action) = actions.next() else {
        return Ok(None);
    };
    if action.name != "forward-to" || actions.next().is_some() {
        return Err(NotUnderstood("an action other than one forward-to"));
    }
    Ok(Some(target(action)))
}

fn target(element: &Element) -> &str {
    let mut targets = element.all("target").map(Element::text);
    match (targets.next(), targets.next()) {
        (Some(target), None) => target,
        // None, or several: nobody can tell which.
        (None | Some(_), _) => "",
    }
}

/// An element of a vendor's that stands for a whole rule. `None`: it is empty, or off.
fn flat(
    element: &Element,
    condition: ForwardingCondition,
    rules: &DiversionRules,
) -> Result<Option<Ruled>, DiversionError> {
    let off = element.child("rule-deactivated").is_some()
        || element
            .all("conditions")
            .any(|it| it.child("rule-deactivated").is_some());
    if off || !is_active(element)? {
        return Ok(None);
    }
    let unknown = |of: &Element, known: &[&str]| {
        let mut children = of.children.iter();
        children.any(|child| !known.contains(&child.name.as_str()))
    };
    let known = [
        "actions",
        "conditions",
        "forward-to",
        "target",
        "NoReplyTimer",
    ];
    let mut actions = element.all("actions");
    if unknown(element, &known) || actions.any(|it| unknown(it, &["forward-to", "target"])) {
        return Err(NotUnderstood("an unknown element in a flat rule"));
    }
    // A rule that was never set has nothing in it that could be a target. Any other one forwards,
    // whether or not it can be told where to.
    if element.text().is_empty() && !unknown(element, &["conditions", "NoReplyTimer"]) {
        return Ok(None);
    }
    let inner = element.child("actions").unwrap_or(element);
    let inner = inner.child("forward-to").unwrap_or(inner);
    let text = match inner.child("target") {
        Some(_) => target(inner),
        None => inner.text(),
    };
    let forwarding = Forwarding {
        condition,
        target: rules.target(text),
    };
    let narrowed = element.all("conditions").any(|it| !it.children.is_empty());
    Ok(Some(Ruled {
        forwarding,
        narrowed,
    }))
}

fn conclude(ruled: &[Ruled], rules: &DiversionRules) -> Result<Vec<Forwarding>, DiversionError> {
    let all_away = ruled.iter().any(|rule| {
        !rule.narrowed
            && rule.forwarding.condition == ForwardingCondition::Unconditional
            && rule.forwarding.target == ForwardingTarget::AnotherNumber
    });
    let some_only = ruled.iter().any(|rule| rule.narrowed);
    let counted = match rules.conditional {
        Conditional::Undecided if some_only && !all_away => {
            return Err(DiversionError::Conditional);
        }
        Conditional::Undecided => ruled
            .iter()
            .filter(|rule| !rule.narrowed)
            .collect::<Vec<_>>(),
        Conditional::AsCondition => ruled.iter().collect(),
    };
    Ok(merge(counted.into_iter().map(|rule| rule.forwarding)))
}

/// Each condition once. Where two kinds of target stand for one, nobody can tell which.
pub fn merge(forwardings: impl IntoIterator<Item = Forwarding>) -> Vec<Forwarding> {
    let mut active: Vec<Forwarding> = Vec::new();
    for this in forwardings {
        match active
            .iter_mut()
            .find(|other| other.condition == this.condition)
        {
            None => active.push(this),
            Some(other) if other.target == this.target => {}
            Some(other) => other.target = ForwardingTarget::Unknown,
        }
    }
    active
}

#[cfg(test)]
mod tests;
