//! A month that is closed, for whoever wants to try what two authorities do with one. Only its
//! beginning is made up: a log of then, with its key. The broker closes it as it closes any month.

use accord_proto::{
    clock::{Clock as _, SystemClock},
    subject::{Month, SubjectTag},
};

use super::{
    SandboxError,
    home::HALVES_DIR,
    page::Page,
    paste::{profile_flag, word},
};
use crate::world::{CENTRAL_BANK, PastMonth, TELECOM_REGULATOR, WorldFiles};

/// What first-bank asked about then.
const NUMBERS: [&str; 3] = ["+447700900100", "+447700900101", "+447700900102"];
/// What the printed commands put down.
pub(super) const SHARE_FILES: [&str; 2] = ["for-the-bank.share", "own.share"];
/// The case of the printed commands.
const CASE: &str = "2026-0042";

/// A month of before last month, and one number that was asked about in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClosedMonth {
    month: Month,
    tag: SubjectTag,
}

impl ClosedMonth {
    /// Lets the ledger begin in that month.
    pub(super) fn begin(files: &WorldFiles) -> Result<Option<Self>, SandboxError> {
        let month = Month::of(SystemClock.now()).previous().previous();
        let asked = files.begin_in_past(&[PastMonth::fresh(month, &NUMBERS)?])?;
        let first = asked.first();
        Ok(first.map(|asked| Self {
            month,
            tag: asked.tag,
        }))
    }
}

impl Page<'_> {
    /// What both authorities do with the closed month, in this order.
    pub(super) fn closed_month(&self) -> Vec<(String, &'static str)> {
        let Some(ClosedMonth { month, tag }) = self.closed else {
            return Vec::new();
        };
        let dir = self.world.files.dir();
        let key = |name: &str| word(&dir.join(format!("authorities/{name}.key")));
        let share_key = |name: &str| word(&dir.join(format!("authorities/{name}.share.key")));
        let (telecom, central) = (key(TELECOM_REGULATOR), key(CENTRAL_BANK));
        let kept = word(&dir.join(HALVES_DIR));
        let [handed, own] = SHARE_FILES.map(|name| word(&dir.join(name)));
        let halves = format!(
            "--share {handed} --share {own} --share-key {}",
            share_key(CENTRAL_BANK)
        );
        let fetch = |who: &str| format!("months --fetch {kept} --as {who}");
        let share = |who: &str, more: &str| {
            let secret = share_key(who);
            format!("share {month} --as {who} --case {CASE} --share-key {secret} {more}")
        };
        let act = |what: &str, key: &str| format!("{what} --case {CASE} --key {key}");
        let tag = accord_proto::hex::encode(&tag.0);
        let [number, ..] = NUMBERS;
        let commands = [
            (fetch(TELECOM_REGULATOR), "each authority keeps its half"),
            (fetch(CENTRAL_BANK), "so no disk can lose the month"),
            (
                share(TELECOM_REGULATOR, &format!("-o {handed}")),
                "for a case: sealed to the other",
            ),
            (
                share(CENTRAL_BANK, &format!("--own -o {own}")),
                "and the other's own half",
            ),
            (
                format!("find {number} {halves}"),
                "with both: who asked then",
            ),
            (
                format!("unmask --tag {tag} --plan +447700900:3 {halves}"),
                "with both: whose tag it is",
            ),
            (
                act(&format!("hold {month}"), &central),
                "a legal hold on its key",
            ),
            (
                act(&format!("hold {month} --lift"), &central),
                "one alone can't lift it",
            ),
            (act(&format!("hold {month} --lift"), &telecom), "both can"),
            (
                act(&format!("shred {month}"), &telecom),
                "one alone can't destroy it",
            ),
            (act(&format!("shred {month}"), &central), "both can"),
            (
                "months --verify".to_owned(),
                "who asked what, each signature checked",
            ),
        ];
        let flag = profile_flag(dir);
        let whole = |(command, what)| (format!("cargo accord audit {command}{flag}"), what);
        commands.into_iter().map(whole).collect()
    }
}
