//! One clause, and what it allows.

use std::fmt;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::{
    document::quoted,
    granularity::Granularity,
    named::UnknownWord,
    party::OrgName,
    purpose::Purpose,
    signal::{Signal, Since},
};

/// The number of a clause, such as `3.1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClauseId(String);

/// Why a text is no clause's number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a clause's number is 1 to 16 of 0-9, a-z, A-Z, `.` and `-`, such as `3.1`")]
pub struct ClauseIdError;

impl ClauseId {
    /// The most bytes of a number.
    pub const LEN_MAX: usize = 16;

    /// Parses a number.
    ///
    /// # Errors
    /// Says the rule.
    pub fn parse(id: &str) -> Result<Self, ClauseIdError> {
        let well_formed = (1..=Self::LEN_MAX).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
        well_formed
            .then(|| Self(id.to_owned()))
            .ok_or(ClauseIdError)
    }

    /// The number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// On what law a clause rests (rule R10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LegalBasis {
    /// The subscriber agreed; the bank names the consent.
    Consent,
    /// A contract with the subscriber requires it.
    Contract,
    /// A law orders it.
    LegalObligation,
    /// A weighed interest, such as preventing fraud.
    LegitimateInterest,
    /// A public body's task.
    PublicTask,
}

impl LegalBasis {
    const ALL: [Self; 5] = [
        Self::Consent,
        Self::Contract,
        Self::LegalObligation,
        Self::LegitimateInterest,
        Self::PublicTask,
    ];

    /// The word in the document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Contract => "contract",
            Self::LegalObligation => "legal_obligation",
            Self::LegitimateInterest => "legitimate_interest",
            Self::PublicTask => "public_task",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self, UnknownWord> {
        let known = Self::ALL.into_iter().find(|basis| basis.name() == name);
        known.ok_or_else(|| {
            UnknownWord::new("legal basis", name, Self::ALL.into_iter().map(Self::name))
        })
    }
}

impl fmt::Display for LegalBasis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether a question must name a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consent {
    /// No.
    NotRequired,
    /// It names the consent on file (`consent_ref`).
    ReferenceRequired,
}

impl Consent {
    /// The word in the document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotRequired => "not_required",
            Self::ReferenceRequired => "reference_required",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self, UnknownWord> {
        let all = [Self::NotRequired, Self::ReferenceRequired];
        let known = all.into_iter().find(|rule| rule.name() == name);
        known.ok_or_else(|| UnknownWord::new("consent rule", name, all.into_iter().map(Self::name)))
    }
}

/// Which organisations a clause is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `["*"]`: every licensed one.
    All,
    /// These.
    Named(Vec<OrgName>),
}

impl Scope {
    /// Whether it holds an organisation; `None` stands for one that no clause names.
    #[must_use]
    pub fn covers(&self, org: Option<&OrgName>) -> bool {
        match (self, org) {
            (Self::All, _) => true,
            (Self::Named(_), None) => false,
            (Self::Named(names), Some(org)) => names.contains(org),
        }
    }

    /// The organisations that are named.
    #[must_use]
    pub fn named(&self) -> &[OrgName] {
        match self {
            Self::All => &[],
            Self::Named(names) => names,
        }
    }
}

/// The windows offered for questions about a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thresholds {
    /// `"any"`: each whole number of hours within the look-back.
    Any,
    /// None: the clause has no swap, or its more precise answer only.
    None,
    /// These, in hours, rising.
    Offered(Vec<u32>),
}

impl fmt::Display for Thresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::None => f.write_str("-"),
            Self::Offered(hours) => {
                let hours: Vec<String> = hours.iter().map(u32::to_string).collect();
                write!(f, "{} h", hours.join(", "))
            }
        }
    }
}

/// A threshold that a clause does not offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// The clause needs one and offers several.
    #[error("clause {clause} answers yes or no: ask with a threshold ({offered})")]
    Needed {
        /// The clause.
        clause: ClauseId,
        /// What it offers.
        offered: Thresholds,
    },
    /// Not one of those offered.
    #[error("clause {clause} offers the thresholds {offered}")]
    NotOffered {
        /// The clause.
        clause: ClauseId,
        /// What it offers.
        offered: Thresholds,
    },
    /// The clause has no thresholds.
    #[error("clause {clause} offers no thresholds")]
    NoneOffered {
        /// The clause.
        clause: ClauseId,
    },
    /// Longer than the look-back (rule R13).
    #[error("clause {clause} looks back {look_back_days} days")]
    BeyondLookBack {
        /// The clause.
        clause: ClauseId,
        /// Its look-back.
        look_back_days: u32,
    },
}

/// One numbered permission. Only the parser makes one, so each has passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Clause {
    /// Its number.
    pub id: ClauseId,
    /// The line of its `[[clause]]`.
    pub line: usize,
    /// Its heading.
    pub title: String,
    /// What the authorities agreed, in words.
    pub text: String,
    /// On what law it rests.
    pub legal_basis: LegalBasis,
    /// Where that law stands.
    pub basis_reference: String,
    /// Who may ask.
    pub banks: Scope,
    /// Of whom.
    pub operators: Scope,
    /// For whom a bank may ask besides itself, one step deep (rule R03).
    pub on_behalf_of: Vec<OrgName>,
    /// What may be asked.
    pub signals: Vec<Signal>,
    /// What for.
    pub purposes: Vec<Purpose>,
    /// How precisely it may be answered; coarser always may.
    pub granularity: Granularity,
    /// The windows offered.
    pub thresholds: Thresholds,
    /// Inside it a (bank, subject, signal) may use one threshold or one date, and moments that
    /// don't overlap; 0 where none of these applies.
    pub threshold_window_hours: u32,
    /// How far back it may look (rule R13); 0 where only states are asked.
    pub look_back_days: u32,
    /// How old `observed_at` may be.
    pub age_max_minutes: u32,
    /// How old an answer from the broker's view may be; 0: the operator is always asked.
    pub caching_minutes: u32,
    /// Whether a consent must be named.
    pub consent: Consent,
    /// Whether the subscriber's opt-out prevails. Only a legal obligation or a public task may
    /// override it (rule R10).
    pub opt_out_honoured: bool,
    /// Whether the kind of a swap may be told (rule R15).
    pub swap_kind: bool,
    /// Whether the kind of an attack by signalling may be told.
    pub attack_kind: bool,
    /// Whether the answer says that the subscriber locked the SIM against swaps (rule R47).
    pub customer_lock: bool,
    /// Questions a second for each bank.
    pub per_second: u32,
    /// The most questions a day about one number. They are counted for each bank and purpose,
    /// whichever clauses allow them (rule R30).
    pub per_subject_per_day: Option<u32>,
    /// How long the ledger's entry about it is kept.
    pub retention_days: u32,
}

impl Clause {
    /// How old `observed_at` may be, else the signal is `stale`.
    #[must_use]
    pub const fn age_max(&self) -> SignedDuration {
        SignedDuration::from_mins(self.age_max_minutes as i64)
    }

    /// How old an observation from the view may be; `None`: no caching.
    #[must_use]
    pub fn caching(&self) -> Option<SignedDuration> {
        let minutes = i64::from(self.caching_minutes);
        (minutes > 0).then(|| SignedDuration::from_mins(minutes))
    }

    /// How long one threshold or date binds a (bank, subject, signal).
    #[must_use]
    pub const fn threshold_window(&self) -> SignedDuration {
        SignedDuration::from_hours(self.threshold_window_hours as i64)
    }

    /// Whether a question must name a consent.
    #[must_use]
    pub const fn needs_consent(&self) -> bool {
        matches!(self.consent, Consent::ReferenceRequired)
    }

    /// Whether the bank may ask for this principal; `None`: for itself.
    #[must_use]
    pub fn permits_principal(&self, principal: Option<&OrgName>) -> bool {
        principal.is_none_or(|principal| self.on_behalf_of.contains(principal))
    }

    /// The threshold that applies to a question about a swap, in hours. `None`: the clause's most
    /// precise answer.
    ///
    /// # Errors
    /// [`ThresholdError`], which the bank is told as `out_of_range`.
    pub fn threshold_hours(&self, asked: Option<u32>) -> Result<Option<u32>, ThresholdError> {
        let clause = || self.id.clone();
        let offered = || self.thresholds.clone();
        let Some(asked) = asked else {
            return match (&self.thresholds, self.granularity) {
                (_, Granularity::Band | Granularity::Instant | Granularity::State) => Ok(None),
                (Thresholds::Offered(hours), Granularity::YesNo) if hours.len() == 1 => {
                    Ok(hours.first().copied())
                }
                (_, Granularity::YesNo) => Err(ThresholdError::Needed {
                    clause: clause(),
                    offered: offered(),
                }),
            };
        };
        match &self.thresholds {
            Thresholds::None => Err(ThresholdError::NoneOffered { clause: clause() }),
            Thresholds::Offered(hours) if !hours.contains(&asked) => {
                Err(ThresholdError::NotOffered {
                    clause: clause(),
                    offered: offered(),
                })
            }
            Thresholds::Any if u64::from(asked) > u64::from(self.look_back_days) * 24 => {
                Err(ThresholdError::BeyondLookBack {
                    clause: clause(),
                    look_back_days: self.look_back_days,
                })
            }
            Thresholds::Offered(_) | Thresholds::Any => Ok(Some(asked)),
        }
    }

    /// Whether a date or moment that was asked lies within the look-back (rule R13).
    #[must_use]
    pub fn looks_back_to(&self, since: Since, now: Timestamp) -> bool {
        let look_back = SignedDuration::from_hours(i64::from(self.look_back_days) * 24);
        match since {
            Since::Day(day) => {
                let today = now.to_zoned(TimeZone::UTC).date();
                today.checked_sub(look_back).is_ok_and(|from| day >= from)
            }
            Since::Moment(moment) => now.checked_sub(look_back).is_ok_and(|from| moment >= from),
        }
    }

    /// What it is about, for messages: `number_recycling` or `sim_swap, roaming`.
    pub(super) fn signal_names(&self) -> String {
        let names: Vec<&str> = self.signals.iter().map(|signal| signal.name()).collect();
        names.join(", ")
    }

    pub(super) fn purpose_names(&self) -> String {
        let names: Vec<&str> = self.purposes.iter().map(|purpose| purpose.name()).collect();
        names.join(", ")
    }
}

/// What is never a purpose (rule R08), whatever a clause says.
const FORBIDDEN_PURPOSES: [&str; 8] = [
    "advertising",
    "credit_scoring",
    "debt_collection",
    "employment",
    "insurance_pricing",
    "location_tracking",
    "marketing",
    "profiling",
];

/// Parses a purpose and names the forbidden ones as such.
pub(super) fn purpose(word: &str) -> Result<Purpose, String> {
    if FORBIDDEN_PURPOSES.contains(&word) {
        return Err(format!(
            "`{}` is forbidden (rule R08): no clause can allow it",
            quoted(word)
        ));
    }
    word.parse().map_err(|error: UnknownWord| error.to_string())
}
