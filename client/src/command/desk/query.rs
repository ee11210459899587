//! `accord audit query`.

use super::{
    super::{
        args::{Stating, Whom},
        audit,
        exit::{Exit, Failure},
        terminal::Terminal,
    },
    args, note_not_held,
};
use crate::{LedgerEntry, audit::query::PAGE_SIZE_MAX, entry_view};

pub(super) async fn run(
    whom: &Whom,
    stating: &Stating,
    args: &args::Query,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let auditor = audit::reader(whom, stating, terminal, "a search")?;
    let limit = if args.limit == 0 {
        u64::MAX
    } else {
        args.limit
    };
    // One more than is shown tells whether there are more.
    let page_size = u32::try_from(limit.saturating_add(1)).unwrap_or(PAGE_SIZE_MAX);
    let mut search = auditor.search(args.which.filter(), page_size);
    let mut shown = 0;
    let mut table = Rows::default();
    let mut more = false;
    let mut not_held = Vec::new();
    'pages: while let Some(page) = search.next().await? {
        not_held = page.months_not_held;
        for entry in page.entries {
            if shown == limit {
                more = true;
                break 'pages;
            }
            shown += 1;
            if terminal.is_json() {
                terminal.json(&entry_view::json(&entry))?;
            } else {
                table.show(&entry, terminal)?;
            }
        }
        terminal.flush()?;
    }
    note_not_held(&not_held, terminal);
    match (shown, more) {
        (0, _) if !not_held.is_empty() => {
            terminal.note("no entry matches in the months searched, within what you may read");
        }
        (0, _) => terminal.note("no entry matches, within what you may read"),
        (_, true) => terminal.note(&format!("{shown} entries, and there are more: --limit")),
        (_, false) => terminal.note(&format!("{shown} entries")),
    }
    Ok(Exit::Ok)
}

/// Rows whose columns are as wide as they are known to get, so that they can be shown as they come.
#[derive(Default)]
struct Rows {
    origin: Option<String>,
}

impl Rows {
    fn show(&mut self, entry: &LedgerEntry, terminal: &mut Terminal) -> Result<(), Failure> {
        if self.origin.as_ref() != Some(&entry.origin) {
            terminal.line(&format!("log {}", entry.origin))?;
            self.origin = Some(entry.origin.clone());
        }
        audit::show_line(entry, terminal)
    }
}
