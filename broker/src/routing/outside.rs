//! The suppliers of portability data, asked one after the other.

use accord_proto::{msisdn::Msisdn, party::OrgName};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    RoutingMetrics,
    supplier::{Supplier, SupplierSaid},
};
use crate::config::EnumSection;

pub use super::supplier::OpenError;

/// What the suppliers together say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// An operator serves the number, `None` if that is nobody with a name here.
    Served(Option<OrgName>, Timestamp),
    /// It stayed with the operator of its range.
    NotPorted(Timestamp),
    /// Somebody who should know could not say.
    Unknown,
    /// Nobody was asked.
    Nothing,
}

/// All suppliers.
#[derive(Debug, Default)]
pub struct Outside {
    suppliers: Vec<Supplier>,
}

impl Outside {
    /// Suppliers that are about to be asked; none is asked yet.
    ///
    /// # Errors
    /// [`OpenError`] names the supplier.
    pub fn open(config: &EnumSection, counted: &RoutingMetrics) -> Result<Self, OpenError> {
        let open = |section| Supplier::open(section, config.cache_entries as usize, counted);
        let suppliers = config.suppliers.iter().map(open);
        Ok(Self {
            suppliers: suppliers.collect::<Result<_, _>>()?,
        })
    }

    /// Whether some supplier is there for numbers like this.
    pub(super) fn covers(&self, msisdn: &Msisdn) -> bool {
        self.suppliers.iter().any(|one| one.covers(msisdn))
    }

    /// Asks one supplier after the other, until one knows. Where one failed, the silence of the next
    /// is not enough to say that a number was not ported; its word is.
    pub(super) async fn ask(&self, msisdn: &Msisdn, now: Timestamp, by: Instant) -> Said {
        let (mut asked, mut failed) = (false, false);
        for supplier in self.suppliers.iter().filter(|one| one.covers(msisdn)) {
            asked = true;
            match supplier.ask(msisdn, now, by).await {
                SupplierSaid::Served(operator, at) => return Said::Served(operator, at),
                SupplierSaid::NotPorted(at) => return Said::NotPorted(at),
                SupplierSaid::Silent(at) if !failed => return Said::NotPorted(at),
                SupplierSaid::Silent(_) | SupplierSaid::Absent => {}
                SupplierSaid::Failed => failed = true,
            }
        }
        match asked {
            true => Said::Unknown,
            false => Said::Nothing,
        }
    }
}
