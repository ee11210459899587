//! What a file holds, to tell another file of the same time from a copy.

use std::io::Read;

use aws_lc_rs::digest::{Context, SHA256};

/// SHA-256 of all that was read.
pub(crate) type Content = [u8; 32];

/// Hashes what is read through it.
pub(crate) struct Hashed<R> {
    from: R,
    context: Context,
}

impl<R: Read> Hashed<R> {
    pub(crate) fn new(from: R) -> Self {
        Self {
            from,
            context: Context::new(&SHA256),
        }
    }

    /// Of all of it, whoever read it stopped where.
    pub(crate) fn finish_reading(mut self) -> std::io::Result<Content> {
        std::io::copy(&mut self, &mut std::io::sink())?;
        let mut content = Content::default();
        for (to, from) in content.iter_mut().zip(self.context.finish().as_ref()) {
            *to = *from;
        }
        Ok(content)
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(to)?;
        self.context.update(to.get(..count).unwrap_or_default());
        Ok(count)
    }
}
