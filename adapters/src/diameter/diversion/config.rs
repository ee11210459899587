//! The section `source.forwarding`, and its rules.

use std::collections::BTreeMap;

use accord_proto::observation::{ForwardingCondition, ForwardingTarget};

use super::target::{Numbering, Pattern, kind};

/// The most entries of each list.
const LIST_MAX: usize = 1_000;

/// How call diversion is stored. Unknown keys are refused.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiversionConfig {
    /// Under which service indications the telephony server keeps it, such as `MMTEL-Services`.
    pub service_indications: Vec<String>,
    /// The shape of its rules.
    #[serde(default)]
    pub dialect: Dialect,
    /// For the dialect `flat`: which element stands for which condition.
    #[serde(default)]
    pub flat: BTreeMap<String, String>,
    /// Elements around `communication-diversion`.
    #[serde(default = "wrappers_default")]
    pub wrappers: Vec<String>,
    /// Elements whose rules are the operator's, not the subscriber's.
    #[serde(default)]
    pub operator_elements: Vec<String>,
    /// The operator's own voicemail: numbers, URIs, `+4477009*`, `sip:*@vm.example`.
    #[serde(default)]
    pub voicemail: Vec<String>,
    /// What a rule counts as that forwards some calls only.
    #[serde(default)]
    pub conditional: Conditional,
    /// Whether a rule for audio alone counts as one for calls, and one for other media as none.
    #[serde(default)]
    pub audio_is_voice: bool,
    /// What it means that a subscriber has no document.
    #[serde(default)]
    pub absent_document: Absent,
    /// The operator's country code, such as `44`.
    pub country_code: Option<String>,
    /// What stands before a national number.
    #[serde(default = "national_prefix_default")]
    pub national_prefix: String,
    /// What stands before an international number.
    #[serde(default = "international_prefix_default")]
    pub international_prefix: String,
}

/// The shape of rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// TS 24.604: `ruleset`, `rule`, `conditions`, `actions`.
    #[default]
    Etsi,
    /// One element for each condition, by names of the vendor's own.
    Flat,
}

/// What a rule counts as that forwards some calls only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conditional {
    /// It makes the answer undecided.
    #[default]
    Undecided,
    /// As if its further conditions were not there.
    AsCondition,
}

/// What it means that a subscriber has no document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// Nothing is known: the rules may be kept elsewhere.
    #[default]
    NotAvailable,
    /// The subscriber forwards nothing: this server keeps all rules there are.
    NoForwarding,
}

fn wrappers_default() -> Vec<String> {
    vec!["simservs".to_owned()]
}

fn national_prefix_default() -> String {
    "0".to_owned()
}

fn international_prefix_default() -> String {
    "00".to_owned()
}

/// The section, checked.
#[derive(Clone)]
pub struct DiversionRules {
    /// Under which service indications it is kept.
    pub service_indications: Vec<String>,
    pub(super) dialect: Dialect,
    pub(super) conditional: Conditional,
    pub(super) audio_is_voice: bool,
    pub(super) absent: Absent,
    flat: BTreeMap<String, ForwardingCondition>,
    wrappers: Vec<String>,
    operators: Vec<String>,
    voicemail: Vec<Pattern>,
    numbering: Numbering,
}

impl std::fmt::Debug for DiversionRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiversionRules")
            .field("service_indications", &self.service_indications)
            .finish_non_exhaustive()
    }
}

impl DiversionConfig {
    /// Checks the section.
    ///
    /// # Errors
    /// The key that breaks a rule, and the rule; an entry by its place only.
    pub fn check(&self) -> Result<DiversionRules, (&'static str, String)> {
        let refuse = |key, rule: &str| Err((key, rule.to_owned()));
        let indications = &self.service_indications;
        let usable = |text: &String| !text.is_empty() && text.len() <= 255;
        if !(1..=8).contains(&indications.len()) || !indications.iter().all(usable) {
            return refuse(
                "forwarding.service_indications",
                "has 1 to 8 entries of 1 to 255 bytes",
            );
        }
        let lists = [&self.wrappers, &self.operator_elements, &self.voicemail];
        if lists.iter().any(|list| list.len() > LIST_MAX) || self.flat.len() > LIST_MAX {
            return refuse("forwarding", "a list has at most 1000 entries");
        }
        if self.flat.is_empty() != (self.dialect == Dialect::Etsi) {
            return refuse(
                "forwarding.flat",
                "is given for the dialect `flat`, and only for it",
            );
        }
        let is_code = |code: &String| {
            (1..=3).contains(&code.len()) && is_digits(code) && !code.starts_with('0')
        };
        if !self.country_code.iter().all(is_code) {
            return refuse("forwarding.country_code", "is 1 to 3 digits, without `+`");
        }
        let prefixes = [&self.national_prefix, &self.international_prefix];
        if !prefixes
            .iter()
            .all(|prefix| prefix.is_empty() || is_digits(prefix))
        {
            return refuse(
                "forwarding.national_prefix",
                "prefixes are digits, or empty",
            );
        }
        let numbering = Numbering {
            country_code: self.country_code.clone(),
            national_prefix: self.national_prefix.clone(),
            international_prefix: self.international_prefix.clone(),
        };
        Ok(DiversionRules {
            service_indications: indications.clone(),
            dialect: self.dialect,
            conditional: self.conditional,
            audio_is_voice: self.audio_is_voice,
            absent: self.absent_document,
            flat: self.flat()?,
            wrappers: self.wrappers.clone(),
            operators: self.operator_elements.clone(),
            voicemail: self.voicemail(&numbering)?,
            numbering,
        })
    }

    fn flat(&self) -> Result<BTreeMap<String, ForwardingCondition>, (&'static str, String)> {
        let parse = |(element, name): (&String, &String)| {
            let condition = ForwardingCondition::from_name(name).ok_or_else(|| {
                let rule = "maps elements to unconditional, busy, no_reply or not_reachable";
                ("forwarding.flat", rule.to_owned())
            })?;
            Ok((element.clone(), condition))
        };
        self.flat.iter().map(parse).collect()
    }

    fn voicemail(&self, numbering: &Numbering) -> Result<Vec<Pattern>, (&'static str, String)> {
        let parse = |(place, text): (usize, &String)| {
            Pattern::parse(text, numbering).ok_or_else(|| {
                let rule = "is no number, URI, or beginning of a number with `*`";
                ("forwarding.voicemail", format!("entry {place} {rule}"))
            })
        };
        (1..).zip(&self.voicemail).map(parse).collect()
    }
}

impl DiversionRules {
    pub(super) fn is_wrapper(&self, name: &str) -> bool {
        self.wrappers.iter().any(|wrapper| wrapper == name)
    }

    pub(super) fn is_operators(&self, name: &str) -> bool {
        self.operators.iter().any(|element| element == name)
    }

    pub(super) fn flat_condition(&self, name: &str) -> Option<ForwardingCondition> {
        self.flat.get(name).copied()
    }

    pub(super) fn target(&self, text: &str) -> ForwardingTarget {
        kind(text, &self.voicemail, &self.numbering)
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
