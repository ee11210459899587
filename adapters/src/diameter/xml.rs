//! A small document tree of what an HSS sends as XML, with a limit on everything. Names are
//! local names: the prefixes of namespaces differ from vendor to vendor, and so do the namespaces.
//!
//! Document type definitions, processing instructions and entities of one's own are refused: no
//! document of Sh has them, and they are how a parser is made to grow or to read files.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

/// The longest document.
pub const BYTES_MAX: usize = 256 * 1024;
/// The deepest element.
pub const DEPTH_MAX: usize = 32;
/// The most elements.
pub const ELEMENTS_MAX: usize = 4_096;
/// The most attributes of one element.
pub const ATTRIBUTES_MAX: usize = 32;

/// Why a document is refused. It never repeats any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Longer than [`BYTES_MAX`].
    #[error("the document is longer than 256 KiB")]
    TooLong,
    /// Deeper than [`DEPTH_MAX`].
    #[error("the document is nested more than 32 deep")]
    TooDeep,
    /// More than [`ELEMENTS_MAX`] elements or [`ATTRIBUTES_MAX`] attributes.
    #[error("the document has too many elements or attributes")]
    TooMany,
    /// It declares or has another encoding than UTF-8.
    #[error("the document is not in UTF-8")]
    Encoding,
    /// A DTD, an entity of its own, or a processing instruction.
    #[error("the document has a DTD, an entity or a processing instruction")]
    Forbidden,
    /// Not well-formed.
    #[error("the document is not well-formed XML")]
    Malformed,
}

/// An element. It may hold numbers: there is only its name in `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Local name.
    pub name: String,
    attributes: Vec<(String, String)>,
    /// Elements inside.
    pub children: Vec<Self>,
    text: String,
}

impl std::fmt::Debug for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{}>", self.name)
    }
}

impl Element {
    /// The value of an attribute, by its local name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(its, _)| its == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The text directly inside, without white space around it.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.trim()
    }

    /// The children of one name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of one name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Reads a document and gives its root.
    ///
    /// # Errors
    /// [`XmlError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        if bytes.len() > BYTES_MAX {
            return Err(XmlError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| XmlError::Encoding)?;
        Tree::default().read(text.trim_start_matches('\u{feff}'))
    }
}

#[derive(Default)]
struct Tree {
    /// Begun and not ended, the outermost first.
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Tree {
    fn read(mut self, text: &str) -> Result<Element, XmlError> {
        let mut reader = Reader::from_str(text);
        loop {
            match reader.read_event().map_err(|_| XmlError::Malformed)? {
                Event::Start(start) => self.begin(&start)?,
                Event::Empty(start) => {
                    self.begin(&start)?;
                    self.end()?;
                }
                Event::End(_) => self.end()?,
                Event::Text(text) => self.text(&text.into_inner())?,
                Event::CData(text) => self.text(&text.into_inner())?,
                Event::GeneralRef(entity) => {
                    self.text(resolve(&entity)?.encode_utf8(&mut [0; 4]))?
                }
                Event::Decl(decl) => {
                    let encoding = decl.encoding().transpose();
                    let encoding = encoding.map_err(|_| XmlError::Malformed)?;
                    let known = ["utf-8", "us-ascii"];
                    let is = |name: &str| known.iter().any(|its| name.eq_ignore_ascii_case(its));
                    if encoding.is_some_and(|name| !is(&name)) {
                        return Err(XmlError::Encoding);
                    }
                }
                Event::Comment(_) => {}
                Event::PI(_) | Event::DocType(_) => return Err(XmlError::Forbidden),
                Event::Eof => break,
            }
        }
        let whole = self.open.is_empty();
        self.root.filter(|_| whole).ok_or(XmlError::Malformed)
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(XmlError::TooMany);
        }
        if self.open.len() == DEPTH_MAX {
            return Err(XmlError::TooDeep);
        }
        if self.root.is_some() {
            return Err(XmlError::Malformed);
        }
        let mut element = Element {
            name: start.local_name().into_inner().to_owned(),
            ..Element::default()
        };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| XmlError::Malformed)?;
            if element.attributes.len() == ATTRIBUTES_MAX {
                return Err(XmlError::TooMany);
            }
            let name = attribute.key.local_name().into_inner().to_owned();
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|_| XmlError::Malformed)?.into_owned();
            element.attributes.push((name, value));
        }
        self.open.push(element);
        Ok(())
    }

    fn end(&mut self) -> Result<(), XmlError> {
        let ended = self.open.pop().ok_or(XmlError::Malformed)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(ended),
            None => self.root = Some(ended),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(XmlError::Malformed),
        }
        Ok(())
    }
}

fn resolve(entity: &BytesRef<'_>) -> Result<char, XmlError> {
    if let Some(c) = entity.resolve_char_ref().map_err(|_| XmlError::Malformed)? {
        return Ok(c);
    }
    match &*entity.borrow().into_inner() {
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "gt" => Ok('>'),
        "lt" => Ok('<'),
        "quot" => Ok('"'),
        _ => Err(XmlError::Forbidden),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Element, XmlError> {
        Element::parse(text.as_bytes())
    }

    #[test]
    fn names_lose_their_prefix_and_text_its_escapes() {
        let root = parse(
            "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c --><a:r xmlns:a='u' a:on=' t&amp; '>\
             <a:x>1 &lt;&#50;<![CDATA[&3]]></a:x><x/></a:r>\n",
        )
        .unwrap();
        assert_eq!(root.name, "r");
        assert_eq!(root.attribute("on"), Some(" t& "));
        let texts: Vec<&str> = root.all("x").map(Element::text).collect();
        assert_eq!(texts, ["1 <2&3", ""]);
        assert_eq!(format!("{root:?}"), "<r>");
    }

    #[test]
    fn what_could_grow_or_read_files_is_refused() {
        for text in [
            "<!DOCTYPE r [<!ENTITY x \"y\">]><r>&x;</r>",
            "<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><r/>",
            "<r>&x;</r>",
            "<r><?php x?></r>",
        ] {
            assert_eq!(parse(text), Err(XmlError::Forbidden), "{text}");
        }
        // An attribute's own entity is as much a document's own.
        assert!(parse("<r a='&x;'/>").is_err());
    }

    #[test]
    fn what_is_not_one_whole_element_is_refused() {
        for text in [
            "",
            "text",
            "<r>",
            "<r></s>",
            "<r/><r/>",
            "<r/>x",
            "<r a='1' a='2'/>",
            "<r a=1/>",
            "<r",
        ] {
            assert_eq!(parse(text), Err(XmlError::Malformed), "{text}");
        }
    }

    #[test]
    fn another_encoding_is_named_and_not_guessed() {
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><r/>";
        assert_eq!(Element::parse(latin), Err(XmlError::Encoding));
        assert_eq!(Element::parse(b"<r>\xe9</r>"), Err(XmlError::Encoding));
        let utf16: Vec<u8> = "<r/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(Element::parse(&utf16).is_err());
    }

    #[test]
    fn there_is_an_end_to_size_depth_and_number() {
        let nested = |depth: usize| "<r>".repeat(depth) + &"</r>".repeat(depth);
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(parse(&nested(DEPTH_MAX + 1)), Err(XmlError::TooDeep));
        let many = format!("<r>{}</r>", "<x/>".repeat(ELEMENTS_MAX));
        assert_eq!(parse(&many), Err(XmlError::TooMany));
        let wide: String = (0..=ATTRIBUTES_MAX).map(|n| format!(" a{n}=''")).collect();
        assert_eq!(parse(&format!("<r{wide}/>")), Err(XmlError::TooMany));
        assert_eq!(parse(&" ".repeat(BYTES_MAX + 1)), Err(XmlError::TooLong));
    }
}
