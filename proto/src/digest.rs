//! SHA-256, by which both sides name what they hold.

use aws_lc_rs::digest::{Context, SHA256, digest};

/// The SHA-256 of parts as they follow each other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let digest = match parts {
        [whole] => digest(&SHA256, whole),
        parts => {
            let mut context = Context::new(&SHA256);
            parts.iter().for_each(|part| context.update(part));
            context.finish()
        }
    };
    let mut sha256 = [0; 32];
    for (to, from) in sha256.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    sha256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_the_digest_of_the_whole() {
        // FIPS 180-4's example of one block.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(crate::hex::encode(&sha256(&[b"abc"])), abc);
        assert_eq!(sha256(&[b"a", b"", b"bc"]), sha256(&[b"abc"]));
    }
}
