//! What a path asks for.

use accord_proto::{
    c2sp::{Bundle, Tile},
    subject::Month,
    wire::FieldError,
};

use crate::path::Refusal;

/// What there is of a log, and of which.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The log's origin; empty for what is of all logs.
    pub(super) origin: String,
    pub(super) what: What,
}

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Entries.
    Bundle(Bundle),
    /// The checkpoint.
    Checkpoint,
    /// The list of all logs.
    Logs,
    /// Hashes.
    Tile(Tile),
}

impl Place {
    /// Reads a path; `None` where nothing can ever be there. Whether the log is there is another
    /// question. `ledger` is the name before the month of each origin.
    pub(super) fn parse(path: &str, ledger: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        if path == "logs" {
            return Some(Self {
                origin: String::new(),
                what: What::Logs,
            });
        }
        let rest = path.strip_prefix(ledger)?.strip_prefix('/')?;
        let (month, rest) = rest.split_once('/')?;
        Month::parse(month)?;
        let what = match rest {
            "checkpoint" => What::Checkpoint,
            _ => Bundle::parse_path(rest)
                .map(What::Bundle)
                .or_else(|| Tile::parse_path(rest).map(What::Tile))?,
        };
        Some(Self {
            origin: format!("{ledger}/{month}"),
            what,
        })
    }
}

/// Why there is nothing under a path. One that means a tile and misspells it is told so.
pub(super) fn mistake(path: &str) -> Refusal {
    if path.contains("/tile/") {
        let rule = "reads `tile/<L>/<N>` or `tile/entries/<N>`, and `.p/<W>` behind it for a part \
                    (C2SP tlog-tiles), such as `tile/0/x001/234`";
        return FieldError::new("path", rule).into();
    }
    Refusal::NotFound("path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_in_one_spelling() {
        let parse = |path| Place::parse(path, "accord-sandbox");
        assert_eq!(parse("/logs").unwrap().what, What::Logs);
        let place = parse("/accord-sandbox/2026-11/tile/entries/000.p/12").unwrap();
        assert_eq!(place.origin, "accord-sandbox/2026-11");
        assert_eq!(place.what, What::Bundle(Bundle::new(0, 12).unwrap()));
        let place = parse("/accord-sandbox/2026-11/tile/1/000").unwrap();
        assert_eq!(place.what, What::Tile(Tile::full(1, 0)));
        let place = parse("/accord-sandbox/2026-11/checkpoint").unwrap();
        assert_eq!(place.what, What::Checkpoint);
        for path in [
            "",
            "/",
            "logs",
            "/logs/",
            "/accord-sandbox/2026-11",
            "/accord-sandbox/2026-13/checkpoint",
            "/accord-sandbox/../checkpoint",
            "/accord-sandbox/2026-11/../2026-11/checkpoint",
            "/accord-sandbox//2026-11/checkpoint",
            "/other/2026-11/checkpoint",
            "/accord-sandbox/2026-11/tile/0/0",
            "/accord-sandbox/2026-11/00000000000000000000.segment",
            "/accord-sandbox/2026-11/checkpoint/",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn a_misspelt_tile_is_told_apart_from_nothing() {
        let tile = mistake("/accord-sandbox/2026-11/tile/0/5");
        assert!(
            tile.to_string()
                .starts_with("path breaks a rule: reads `tile/"),
            "{tile}"
        );
        assert!(matches!(mistake("/favicon.ico"), Refusal::NotFound(_)));
    }
}
