//! The agreement that both authorities sign: numbered clauses that say who may ask what of whom,
//! why, and how precisely. What no clause allows is refused.
//!
//! ```text
//!   note ──SignedAgreement::open──▶ AgreementDocument ──CompiledAgreement::new──▶ decide(…)
//!          both signatures,           every mistake         one table            Granted
//!          version                    with its line                              NotAuthorised
//!                                                                                NotContracted
//! ```
//!
//! Its life: each authority's [`Act`] is a signed note, and [`Life`] is what follows from the acts.

mod act;
mod changes;
mod clause;
mod compiled;
mod explain;
mod life;
mod matrix;
mod parse;
mod read_clause;
mod share_keys;
mod signed;
mod standing;
mod suits;
mod target;
mod term;

pub use act::{ACT_AGE_MAX, ACT_BYTES_MAX, Act, ActError, REASON_BYTES_MAX, SignedAct, Verb};
pub use changes::{Change, Turn, changes};
pub use clause::{
    Clause, ClauseId, ClauseIdError, Consent, LegalBasis, Scope, ThresholdError, Thresholds,
};
pub use compiled::{CompiledAgreement, Decision, Nearest};
pub use explain::{Row, Who, explain, mirrors};
pub use life::{ASK_HOLDS, Activated, Life, NotNow, PROPOSALS_MAX, Proposal};
pub use matrix::permission_matrix;
pub use parse::AgreementDocument;
pub(crate) use parse::document_id;
pub use read_clause::AGE_MAX_MINUTES_MAX;
pub use share_keys::ShareKeys;
pub use signed::{AgreementError, ProposedAgreement, SignedAgreement};
pub use standing::{Asked, Ended, Standing, Suspension};
pub use target::{Target, TargetError};
pub use term::{NotInForce, Term, with_dates};
