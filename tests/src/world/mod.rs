//! A whole small Accord in one directory: three banks, two virtual operators, two authorities, and
//! the broker between them.
//!
//! ```text
//!   WorldSpec ──WorldFiles::write──▶ a directory ──World::start──────▶ broker in this process
//!                                                └─ChildBroker::spawn─▶ broker as a child
//! ```
//!
//! The directory:
//!
//! ```text
//! profile.toml                     for `accord` and every client
//! statement.toml                   what `accord audit` states with each read
//! broker.toml  broker.log          the broker's configuration, and what it logs
//! agreement.toml  parties.toml     signed notes
//! pki/                             CA, revocation list; for each party `<name>.pem`, `.key`
//! authorities/<name>.key           with which the authorities sign
//! authorities/<name>.share.key     with which each opens its halves of the months' keys
//! ledger/  ledger.key              the record
//! keys/  sealed/  view/  replay/   what the broker keeps beside it
//! adapters/<operator>.toml         an adapter's configuration
//! adapters/<operator>/             its journal and keys
//! witnesses/<authority>/           what each authority's witness has seen, and its key
//! witnesses.policy                 whose cosignatures are enough
//! ```

mod adapter;
mod child;
mod configs;
mod documents;
mod error;
mod files;
mod past;
mod pki;
mod ports;
mod running;
mod spec;
mod tls;
mod wait;
mod witnesses;

pub use adapter::RunningAdapter;
pub use child::{ChildBroker, admin_page, broker_binary};
pub use documents::{CENTRAL_BANK, TELECOM_REGULATOR};
pub use error::WorldError;
pub use files::WorldFiles;
pub use past::{PastAccess, PastMonth, PastQuestion};
pub use running::World;
pub use spec::{
    AGREEMENT, BankSpec, ClientSpec, NORTH_PREFIX, OPEN_GATEWAY_BANK, OPEN_GATEWAY_CLIENT,
    OperatorSpec, SUD_PREFIX, WorldSpec,
};
pub use tls::client_tls;
pub use wait::{WAIT_MAX, wait_until};
pub use witnesses::{POLICY_FILE, RunningWitness, Witnessed};
