//! What proves that an access is on the record, in headers.
//!
//! ```text
//! Accord-Receipt: origin="accord-sandbox/2026-11", index=12, leaf=:…:     RFC 8941 dictionary
//! Accord-Answer: :…:    the exact bytes that the entry commits to, a serialised `accord.v1.Answer`
//! Accord-Nonce: :…:     the entry holds SHA-256(nonce || answer)
//! Accord-Proof: :…:     with `Accord-Receipt-Kind: proof`: a C2SP tlog-proof
//! ```

use accord_proto::v1;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const RECEIPT: HeaderName = HeaderName::from_static("accord-receipt");
pub(super) const ANSWER: HeaderName = HeaderName::from_static("accord-answer");
pub(super) const NONCE: HeaderName = HeaderName::from_static("accord-nonce");
pub(super) const PROOF: HeaderName = HeaderName::from_static("accord-proof");

/// The longest proof that goes into a header, bytes as they are: a client reads some 16 KiB of
/// headers at most. A log of 2^40 entries under five witnesses needs a third of it.
const PROOF_BYTES_MAX: usize = 8 << 10;

/// Adds the receipt of an answer.
pub(super) fn add(headers: &mut HeaderMap, response: &v1::LookupResponse) {
    if let Some(receipt) = &response.receipt {
        let leaf = BASE64_STANDARD.encode(&receipt.leaf_hash);
        let (origin, index) = (&receipt.origin, receipt.index);
        let text = format!("origin=\"{origin}\", index={index}, leaf=:{leaf}:");
        // An origin is ASCII without quotes or backslashes.
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(RECEIPT, value);
        }
        let proof = receipt.proof.as_bytes();
        if !proof.is_empty() && proof.len() <= PROOF_BYTES_MAX {
            insert(headers, PROOF, proof);
        }
    }
    insert(headers, ANSWER, &response.answer);
    insert(headers, NONCE, &response.nonce);
}

/// Bytes, as RFC 8941 section 3.3.5 writes them.
fn insert(headers: &mut HeaderMap, name: HeaderName, bytes: &[u8]) {
    let text = format!(":{}:", BASE64_STANDARD.encode(bytes));
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_a_dictionary_and_three_byte_sequences() {
        let mut headers = HeaderMap::new();
        let receipt = v1::Receipt {
            origin: "accord-sandbox/2026-11".to_owned(),
            index: 12,
            leaf_hash: vec![1, 2, 3],
            proof: "c2sp.org/tlog-proof@v1\n".to_owned(),
        };
        add(
            &mut headers,
            &v1::LookupResponse {
                answer: vec![4].into(),
                nonce: vec![5; 32].into(),
                receipt: Some(receipt),
            },
        );
        assert_eq!(
            headers[RECEIPT],
            "origin=\"accord-sandbox/2026-11\", index=12, leaf=:AQID:"
        );
        assert_eq!(headers[ANSWER], ":BA==:");
        assert_eq!(headers[NONCE].len(), 46);
        assert_eq!(headers[PROOF], ":YzJzcC5vcmcvdGxvZy1wcm9vZkB2MQo=:");
    }

    #[test]
    fn without_a_proof_there_is_no_header_of_one() {
        let mut headers = HeaderMap::new();
        let response = v1::LookupResponse {
            receipt: Some(v1::Receipt::default()),
            ..v1::LookupResponse::default()
        };
        add(&mut headers, &response);
        assert!(headers.contains_key(RECEIPT));
        assert!(!headers.contains_key(PROOF));
    }
}
