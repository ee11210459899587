//! The agreement that both authorities sign: numbered clauses that say who may ask what of whom,
//! why, and how precisely. What no clause allows is refused.
//!
//! ```text
//!   note ──SignedAgreement::open──▶ AgreementDocument ──CompiledAgreement::new──▶ decide(…)
//!          both signatures,           every mistake         one table            Granted
//!          version                    with its line                              NotAuthorised
//!                                                                                NotContracted
//! ```

mod clause;
mod compiled;
mod explain;
mod matrix;
mod parse;
mod read_clause;
mod signed;
mod term;

pub use clause::{
    Clause, ClauseId, ClauseIdError, Consent, LegalBasis, Scope, ThresholdError, Thresholds,
};
pub use compiled::{CompiledAgreement, Decision, Nearest};
pub use explain::{Row, Who, explain, mirrors};
pub use matrix::permission_matrix;
pub use parse::AgreementDocument;
pub(crate) use parse::document_id;
pub use signed::{AgreementError, SignedAgreement};
pub use term::{NotInForce, Term, with_dates};
