//! What was written to a file outside of the ledger, on the record (rule R38).

use accord_proto::{
    v1::{self, RecordExportRequest, RecordExportResponse},
    wire::FieldError,
};

use super::AuditDoor;
use crate::{entry::record_entry, identity::Peer, path::Refusal};

/// The method, for the record.
pub(super) const RECORD_EXPORT: &str = "AuditService.RecordExport";
/// Bytes of a SHA-256.
const SHA256_BYTES: usize = 32;
/// What a file can be.
const FORMATS: [&str; 6] = [
    "jsonl",
    "csv",
    "parquet",
    "ocsf",
    "report-json",
    "report-html",
];

impl AuditDoor {
    pub(super) async fn export(
        &self,
        peer: &Peer,
        request: &RecordExportRequest,
    ) -> Result<RecordExportResponse, Refusal> {
        let reader = self.reader(peer, request.statement.as_ref())?;
        if !FORMATS.contains(&request.format.as_str()) {
            let rule = format!("is one of {}", FORMATS.join(", "));
            return Err(FieldError::new("format", rule).into());
        }
        if request.sha256.len() != SHA256_BYTES {
            let rule = format!("has {SHA256_BYTES} bytes");
            return Err(FieldError::new("sha256", rule).into());
        }
        let export = v1::Export {
            party: reader.party.to_string(),
            format: request.format.clone(),
            sha256: request.sha256.clone(),
            entries: request.entries,
            statement: Some(reader.statement.to_wire()),
        };
        let event = v1::entry::Event::Export(export);
        let committed = record_entry(&self.parts.ledger, event).await?;
        Ok(RecordExportResponse {
            origin: committed.origin.to_string(),
            index: committed.index,
        })
    }
}
