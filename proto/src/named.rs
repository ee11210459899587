//! One macro for the closed lists of the vocabulary, so that name, wire number and parser of each
//! word stand on one line.

/// An enum whose variants have one name in text (TOML, ledger, command line) and one wire number.
///
/// Generates `ALL`, `name`, `from_name`, `Display`, serde through the name, and conversions with
/// the generated wire enum.
macro_rules! named_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $wire:ty, $what:literal {
            $( $(#[$vmeta:meta])* $variant:ident = $text:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $name { $( $(#[$vmeta])* $variant, )+ }

        impl $name {
            /// Every word of the list, in the order of the wire numbers.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The word, as it stands in documents.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }

            /// Finds the word.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $( $text => Some(Self::$variant), )+ _ => None }
            }

            /// The wire enum.
            #[must_use]
            pub const fn to_wire(self) -> $wire {
                match self { $( Self::$variant => <$wire>::$variant, )+ }
            }

            /// From a wire number; `None` for unspecified and unknown numbers.
            #[must_use]
            pub fn from_wire(number: i32) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.to_wire() as i32 == number)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.name().to_owned()
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::named::UnknownWord;

            fn try_from(name: String) -> Result<Self, Self::Error> {
                Self::from_name(&name).ok_or_else(|| $crate::named::UnknownWord::new(
                    $what, &name, Self::ALL.iter().map(|word| word.name()),
                ))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::named::UnknownWord;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::try_from(name.to_owned())
            }
        }
    };
}

pub(crate) use named_enum;

/// A word that is not in its list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{found}`; it is one of {known}")]
pub struct UnknownWord {
    what: &'static str,
    found: String,
    known: String,
}

impl UnknownWord {
    pub(crate) fn new<'a>(
        what: &'static str,
        found: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        let found = found.chars().take(40).collect();
        Self {
            what,
            found,
            known: known.collect::<Vec<_>>().join(", "),
        }
    }
}
