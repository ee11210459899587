//! What a file holds, to tell another file of the same time from a copy.

use std::io::Read;

use aws_lc_rs::digest::{Context, SHA256};

/// SHA-256 of all that was read.
pub(super) type Content = [u8; 32];

/// Hashes what is read through it.
pub(super) struct Hashed<R> {
    from: R,
    context: Context,
}

impl<R: Read> Hashed<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            context: Context::new(&SHA256),
        }
    }

    pub(super) fn finish(self) -> Content {
        let mut content = Content::default();
        for (to, from) in content.iter_mut().zip(self.context.finish().as_ref()) {
            *to = *from;
        }
        content
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(to)?;
        self.context.update(to.get(..count).unwrap_or_default());
        Ok(count)
    }
}
