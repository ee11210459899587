//! From the bytes of a file to UTF-8, strictly: what is malformed, or looks like another encoding
//! than the one configured, is refused rather than replaced.

use std::io::Read;

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The longest line accepted, in bytes of UTF-8.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024;

const CHUNK_BYTES: usize = 64 * 1024;

/// A configured encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileEncoding {
    Utf8,
    /// Also what iso-8859-1 means in practice (WHATWG Encoding).
    Windows1252,
    Utf16Le,
    Utf16Be,
    /// Either, as its mark says.
    Utf16Marked,
}

impl FileEncoding {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "utf-8" => Self::Utf8,
            "iso-8859-1" | "windows-1252" => Self::Windows1252,
            "utf-16le" => Self::Utf16Le,
            "utf-16be" => Self::Utf16Be,
            "utf-16" => Self::Utf16Marked,
            _ => return None,
        })
    }

    /// The decoder for a file that begins so, and how long its mark is.
    fn decoder(self, start: &[u8]) -> Result<(&'static Encoding, usize), &'static str> {
        let mark = Encoding::for_bom(start);
        match (self, mark) {
            (Self::Utf8, None) => Ok((UTF_8, 0)),
            (Self::Windows1252, None) => Ok((WINDOWS_1252, 0)),
            (Self::Utf16Le, None) => Ok((UTF_16LE, 0)),
            (Self::Utf16Be, None) => Ok((UTF_16BE, 0)),
            (Self::Utf16Marked, None) => Err("it has no byte-order mark"),
            (Self::Utf8, Some((found, length))) if found == UTF_8 => Ok((found, length)),
            (Self::Utf16Le | Self::Utf16Marked, Some((found, length))) if found == UTF_16LE => {
                Ok((found, length))
            }
            (Self::Utf16Be | Self::Utf16Marked, Some((found, length))) if found == UTF_16BE => {
                Ok((found, length))
            }
            (_, Some(_)) => Err("its byte-order mark is that of another encoding"),
        }
    }
}

/// Reads as UTF-8. An error of kind `InvalidData` says what is wrong with the text.
pub(super) struct Decoded<R> {
    from: R,
    encoding: FileEncoding,
    decoder: Option<encoding_rs::Decoder>,
    raw: Vec<u8>,
    /// Decoded and not yet read: `text[at..]`.
    text: Vec<u8>,
    at: usize,
    ended: bool,
    line_bytes: usize,
    last: Option<u8>,
    /// Every byte string is text of windows-1252, so a file of it is also looked at as UTF-8.
    suspect: Option<Suspect>,
}

/// A file that may be UTF-8 in truth.
struct Suspect {
    decoder: encoding_rs::Decoder,
    lines: u64,
    /// The line of the first character that takes more than one byte.
    found: Option<u64>,
}

impl Suspect {
    fn new() -> Self {
        Self {
            decoder: UTF_8.new_decoder_without_bom_handling(),
            lines: 0,
            found: None,
        }
    }

    /// `false`: no UTF-8.
    fn look(&mut self, raw: &[u8], last: bool) -> bool {
        if self.found.is_none() {
            let ascii = raw.iter().take_while(|byte| byte.is_ascii());
            let (mut len, mut lines) = (0, 0);
            for byte in ascii {
                len += 1;
                lines += u64::from(*byte == b'\n');
            }
            self.lines += lines;
            self.found = (len < raw.len()).then_some(self.lines + 1);
        }
        let room = self
            .decoder
            .max_utf8_buffer_length_without_replacement(raw.len());
        let mut text = vec![0; room.unwrap_or_default()];
        let decoded = self
            .decoder
            .decode_to_utf8_without_replacement(raw, &mut text, last);
        matches!(decoded, (DecoderResult::InputEmpty, ..))
    }
}

fn invalid(what: impl Into<String>) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what.into())
}

impl<R: Read> Decoded<R> {
    pub(super) fn new(from: R, encoding: FileEncoding) -> Self {
        Self {
            from,
            encoding,
            decoder: None,
            raw: Vec::with_capacity(CHUNK_BYTES),
            text: Vec::new(),
            at: 0,
            ended: false,
            line_bytes: 0,
            last: None,
            suspect: (encoding == FileEncoding::Windows1252).then(Suspect::new),
        }
    }

    /// Whether the text read so far ends with a newline.
    pub(super) fn ends_with_newline(&self) -> bool {
        self.last == Some(b'\n')
    }

    fn fill(&mut self) -> std::io::Result<()> {
        // `take` can't fail and reads until the chunk is full or the file ends, so that a
        // byte-order mark is never split.
        let wanted = u64::try_from(CHUNK_BYTES).unwrap_or(u64::MAX);
        self.raw.clear();
        self.from.by_ref().take(wanted).read_to_end(&mut self.raw)?;
        self.ended = self.raw.len() < CHUNK_BYTES;
        let mut raw = self.raw.as_slice();
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => {
                let (encoding, mark) = self.encoding.decoder(raw).map_err(invalid)?;
                raw = raw.get(mark..).unwrap_or_default();
                none.insert(encoding.new_decoder_without_bom_handling())
            }
        };
        let room = decoder.max_utf8_buffer_length_without_replacement(raw.len());
        self.text
            .resize(room.ok_or_else(|| invalid("too long"))?, 0);
        let decoded = decoder.decode_to_utf8_without_replacement(raw, &mut self.text, self.ended);
        match decoded {
            (DecoderResult::InputEmpty, _, written) => self.text.truncate(written),
            (DecoderResult::OutputFull | DecoderResult::Malformed(..), ..) => {
                return Err(invalid("it is not text of the configured encoding"));
            }
        }
        self.at = 0;
        self.suspect()?;
        self.check()
    }

    /// Names of another country than the operator's look strange, and are no error for a decoder of
    /// windows-1252. But whole files of them that are UTF-8 by chance do not exist.
    fn suspect(&mut self) -> std::io::Result<()> {
        let Some(suspect) = &mut self.suspect else {
            return Ok(());
        };
        if !suspect.look(&self.raw, self.ended) {
            self.suspect = None;
        } else if let (true, Some(line)) = (self.ended, suspect.found) {
            let what =
                format!("it is UTF-8, as line {line} shows, and not the configured encoding");
            return Err(invalid(what));
        }
        Ok(())
    }

    fn check(&mut self) -> std::io::Result<()> {
        for byte in &self.text {
            match byte {
                // UTF-16 without a mark, read as something else, is full of these.
                0 => return Err(invalid("it is not text of the configured encoding")),
                b'\n' => self.line_bytes = 0,
                _ => self.line_bytes += 1,
            }
            if self.line_bytes > LINE_BYTES_MAX {
                return Err(invalid("a line is too long"));
            }
        }
        self.last = self.text.last().copied().or(self.last);
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        while self.at >= self.text.len() {
            if self.ended {
                return Ok(0);
            }
            self.fill()?;
        }
        let mut rest = self.text.get(self.at..).unwrap_or_default();
        let count = rest.read(to)?;
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], encoding: &str) -> Result<String, String> {
        let encoding = FileEncoding::parse(encoding).unwrap();
        let mut text = String::new();
        let mut decoded = Decoded::new(bytes, encoding);
        let read = decoded.read_to_string(&mut text);
        read.map(|_| text).map_err(|error| error.to_string())
    }

    fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn each_encoding_is_read() {
        let text = "é;1\n".to_owned();
        let (le, be) = (u16::to_le_bytes, u16::to_be_bytes);
        let marked = format!("\u{feff}{text}");
        for (bytes, encoding) in [
            (text.clone().into_bytes(), "utf-8"),
            (marked.clone().into_bytes(), "UTF-8"),
            (b"\xe9;1\n".to_vec(), "iso-8859-1"),
            (b"\xe9;1\n".to_vec(), "windows-1252"),
            (utf_16(&text, le), "utf-16le"),
            (utf_16(&marked, le), "utf-16le"),
            (utf_16(&marked, le), "utf-16"),
            (utf_16(&text, be), "utf-16be"),
            (utf_16(&marked, be), "utf-16"),
        ] {
            assert_eq!(decode(&bytes, encoding), Ok(text.clone()), "{encoding}");
        }
    }

    #[test]
    fn another_encoding_than_the_configured_one_is_refused() {
        let (le, be) = (u16::to_le_bytes, u16::to_be_bytes);
        for (bytes, encoding) in [
            (b"\xe9;1\n".to_vec(), "utf-8"),
            ("\u{feff}a".as_bytes().to_vec(), "windows-1252"),
            (utf_16("\u{feff}a", le), "utf-8"),
            (utf_16("\u{feff}a", le), "iso-8859-1"),
            (utf_16("\u{feff}a", le), "utf-16be"),
            (utf_16("ab", le), "iso-8859-1"),
            (utf_16("ab", be), "utf-8"),
            (utf_16("ab", be), "utf-16"),
            (b"a\0b\0c".to_vec(), "utf-16le"),
        ] {
            assert!(decode(&bytes, encoding).is_err(), "{encoding} {bytes:?}");
        }
    }

    #[test]
    fn utf_8_under_a_single_byte_encoding_is_refused_and_the_line_named() {
        let line = |bytes: &[u8]| decode(bytes, "windows-1252").unwrap_err();
        let error = line("a;1\nb;2\né;3\nü;4\n".as_bytes());
        assert!(error.contains("it is UTF-8, as line 3 shows"), "{error}");
        // Far behind the first piece that is read, and across the border of two.
        let lines = CHUNK_BYTES / 2;
        let far = format!("{}{}é\n", "a\n".repeat(lines - 1), "b");
        let error = line(far.as_bytes());
        assert!(error.contains(&format!("line {lines} ")), "{error}");
        // One character that is no UTF-8, and the file is what it is configured to be; and text
        // without any such characters is every encoding.
        let mixed = ["é;1\n".as_bytes(), b"\xe9;2\n"].concat();
        assert!(decode(&mixed, "windows-1252").is_ok());
        assert!(decode(b"a;1\n", "iso-8859-1").is_ok());
        let cut = b"abc\xc3";
        assert!(decode(cut, "windows-1252").is_ok(), "no whole character");
    }

    #[test]
    fn characters_may_stand_across_chunks() {
        let text = "é\n".repeat(CHUNK_BYTES);
        let shifted = format!("a{text}");
        assert_eq!(decode(shifted.as_bytes(), "utf-8"), Ok(shifted));
    }

    #[test]
    fn a_line_has_a_longest_length() {
        let line = "a".repeat(LINE_BYTES_MAX);
        assert!(decode(format!("{line}\n{line}\n").as_bytes(), "utf-8").is_ok());
        assert!(decode(format!("{line}a").as_bytes(), "utf-8").is_err());
    }
}
