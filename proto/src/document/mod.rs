//! What the agreement and the list of parties have in common: TOML that people write, read so that
//! every mistake is found at once, and signed by the authorities.

mod mistake;
mod reader;
mod signed;
mod value;

pub use mistake::{Mistake, Mistakes};
pub(crate) use reader::{Findings, Found, TableReader};
pub use signed::{Authorities, AuthoritiesError, Authority, Loaded, NotNewer, text_sha256};
pub(crate) use signed::{Opened, open};
pub(crate) use value::{boolean, date, integer, quoted, text, word};

/// The most bytes of a document. A country's agreement with a thousand clauses is half of it.
pub const DOCUMENT_LEN_MAX: usize = 1024 * 1024;
