//! Who reads a stream of NATS: a random name, which lies beside the journal and stands in the description
//! of the adapter's consumer.
//!
//! A consumer gives each event to one of those who read by it. Two adapters with one consumer would each
//! have half of the events, and take what they were not given for what did not happen.

use std::path::Path;

use accord_proto::hex;
use async_nats::jetstream::stream::Stream;
use aws_lc_rs::rand;
use tokio::time::timeout;

use super::nats::ANSWER_MAX;
use super::store::{StoreError, io};
use crate::disk;

const FILE: &str = "reader";
const ID_BYTES: usize = 16;
/// What comes before the name in a description.
const PREFIX: &str = "accord-adapter ";

/// The name.
#[derive(Debug)]
pub(super) struct Reader(String);

/// Whose a consumer is, as far as that stops this adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// There is none, or it is this adapter's own, or nobody says whose.
    Nobody,
    /// Another adapter's, which does not read now.
    Another,
    /// Another adapter's, which reads.
    AnotherReads,
}

impl Reader {
    /// Reads the name that lies in a journal's directory, or makes one.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be read or kept.
    pub(super) fn load_or_make(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        let failed = |doing| io(doing, &path);
        match std::fs::read_to_string(&path) {
            Ok(text) if is_id(text.trim()) => return Ok(Self(text.trim().to_owned())),
            // Whatever it holds, it is nobody's name.
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read")(error)),
        }
        let mut id = [0; ID_BYTES];
        let made = rand::fill(&mut id);
        made.map_err(|_| failed("make")(std::io::Error::other("no randomness")))?;
        let id = hex::encode(&id);
        disk::replace(&path, format!("{id}\n").as_bytes()).map_err(failed("write"))?;
        Ok(Self(id))
    }

    /// What its consumer is described by.
    pub(super) fn description(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }

    /// Whose a consumer of a stream is.
    pub(super) async fn owner(&self, stream: &Stream, durable: &str) -> Owner {
        match timeout(ANSWER_MAX, stream.consumer_info(durable)).await {
            Ok(Ok(known)) if self.is_another(known.config.description.as_deref()) => {
                match known.num_waiting {
                    0 => Owner::Another,
                    _ => Owner::AnotherReads,
                }
            }
            Ok(Ok(_) | Err(_)) | Err(_) => Owner::Nobody,
        }
    }

    /// Whether a consumer of this description is another adapter's. What was not made by an adapter that
    /// says so may be anybody's.
    fn is_another(&self, description: Option<&str>) -> bool {
        let id = description.and_then(|text| text.strip_prefix(PREFIX));
        id.is_some_and(|id| is_id(id) && id != self.0)
    }
}

fn is_id(text: &str) -> bool {
    hex::decode::<ID_BYTES>(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_keeps_its_name_and_another_one_has_another() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let load = |dir: &tempfile::TempDir| Reader::load_or_make(dir.path()).unwrap();
        let (first, again, stranger) = (load(&one), load(&one), load(&other));
        assert_eq!(first.0, again.0);
        let of = |reader: &Reader| reader.description();
        assert!(!first.is_another(Some(&of(&again))));
        assert!(first.is_another(Some(&of(&stranger))));
        for nobody in [
            None,
            Some(""),
            Some("made by hand"),
            Some("accord-adapter 12"),
        ] {
            assert!(!first.is_another(nobody), "{nobody:?}");
        }
        // What is no name is replaced by one.
        std::fs::write(one.path().join(FILE), "half a na").unwrap();
        assert_ne!(load(&one).0, first.0);
        assert_eq!(load(&one).0, load(&one).0);
    }
}
