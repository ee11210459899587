//! `[share_keys]`: to whom the halves of a closed month's key are sealed (rule R35).

use toml::de::DeTable;

use crate::{
    document::{Findings, Found, TableReader, word},
    party::PartyId,
    shares::ShareKey,
};

/// To whom the halves of a closed month's key are sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareKeys {
    /// The telecom regulator's.
    pub telecom_regulator: ShareKey,
    /// The central bank's.
    pub central_bank: ShareKey,
}

/// The table as it was read.
pub(super) struct ReadKeys {
    telecom_regulator: Found<ShareKey>,
    central_bank: Found<ShareKey>,
}

/// Reads the table. `None` only after a mistake was recorded.
pub(super) fn read_share_keys(findings: &mut Findings, table: &DeTable<'_>) -> Option<ReadKeys> {
    let mut top = TableReader::top(table, findings);
    let (line, table) = top.required_table("share_keys")?;
    let mut reader = TableReader::new("share_keys", line, table, findings);
    let telecom_regulator = reader.required("telecom_regulator", word(ShareKey::parse));
    let central_bank = reader.required("central_bank", word(ShareKey::parse));
    if let (Some(one), Some(other)) = (&telecom_regulator, &central_bank)
        && one.value.is_pair_of(&other.value)
    {
        let rule = "is another key than `telecom_regulator`: neither opens the other's half";
        reader.mistake(other.line, "central_bank", rule);
    }
    reader.finish();
    Some(ReadKeys {
        telecom_regulator: telecom_regulator?,
        central_bank: central_bank?,
    })
}

impl ReadKeys {
    /// Each key is named as the authority whose it is.
    pub(super) fn check_names(
        &self,
        findings: &mut Findings,
        telecom_regulator: &PartyId,
        central_bank: &PartyId,
    ) {
        let pairs = [
            (
                "telecom_regulator",
                &self.telecom_regulator,
                telecom_regulator,
            ),
            ("central_bank", &self.central_bank, central_bank),
        ];
        for (key, found, party) in pairs {
            let org = party.org();
            if found.value.name() != org.as_str() {
                let rule = format!("is named `{org}`, as the authority is that opens it");
                findings.mistake(found.line, &format!("share_keys.{key}"), rule);
            }
        }
    }

    pub(super) fn keys(self) -> ShareKeys {
        ShareKeys {
            telecom_regulator: self.telecom_regulator.value,
            central_bank: self.central_bank.value,
        }
    }
}
