//! Where the mapped columns stand in a file. Their order does not matter; one that is missing,
//! renamed or there twice refuses the file.

use csv::StringRecord;

use super::plan::{ExportedPlan, Plan};
use super::refusal::{Refusal, Report};

#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) width: usize,
    pub(super) msisdn: usize,
    pub(super) sim: Option<usize>,
    pub(super) sim_kind: Option<usize>,
    pub(super) device: Option<usize>,
    pub(super) activated: Option<usize>,
    pub(super) begin: Option<usize>,
    pub(super) ceased: Option<usize>,
    pub(super) forwarding: [Option<usize>; 4],
    pub(super) opted_out: Option<usize>,
    pub(super) swap_locked: Option<usize>,
    pub(super) exported_at: Option<usize>,
    /// Names that are not mapped.
    pub(super) extra: Vec<String>,
}

impl Layout {
    pub(super) fn new(plan: &Plan, header: &StringRecord) -> Result<Self, Refusal> {
        let mut search = Search {
            header,
            used: vec![false; header.len()],
            missing: Vec::new(),
        };
        let columns = &plan.config.columns;
        let [unconditional, busy, no_reply, not_reachable] = plan
            .forwarding()
            .map(|column| column.map(|column| column.name.as_str()));
        let name = |column: &Option<super::plan::DatePlan>| {
            column.as_ref().map(|column| column.name.clone())
        };
        let exported_at = match &plan.exported_at {
            ExportedPlan::Column { name, .. } => Some(name.as_str()),
            ExportedPlan::FileName { .. } => None,
        };
        let flag = |column: &'_ Option<super::config::FlagColumn>| {
            column.as_ref().map(|column| column.name.clone())
        };
        let kind = columns
            .sim_change_kind
            .as_ref()
            .map(|column| column.name.as_str());
        let begin = columns.begin_reason.as_ref();
        let begin = begin.map(|column| column.name.as_str());
        let layout = Self {
            width: header.len(),
            msisdn: search.find(Some(&columns.msisdn))?.unwrap_or_default(),
            sim: search.find(name(&plan.sim).as_deref())?,
            sim_kind: search.find(kind)?,
            device: search.find(name(&plan.device).as_deref())?,
            activated: search.find(name(&plan.activated).as_deref())?,
            begin: search.find(begin)?,
            ceased: search.find(name(&plan.ceased).as_deref())?,
            forwarding: [
                search.find(unconditional)?,
                search.find(busy)?,
                search.find(no_reply)?,
                search.find(not_reachable)?,
            ],
            opted_out: search.find(flag(&columns.opted_out).as_deref())?,
            swap_locked: search.find(flag(&columns.swap_locked).as_deref())?,
            exported_at: search.find(exported_at)?,
            extra: Vec::new(),
        };
        let extra: Vec<&str> = header
            .iter()
            .zip(&search.used)
            .filter_map(|(name, used)| (!used).then_some(name))
            .collect();
        if !search.missing.is_empty() {
            return Err(Refusal::Header {
                missing: search.missing,
                found: header.len(),
                unmapped: extra.len(),
            });
        }
        let short = |name: &str| name.trim().chars().take(64).collect();
        let extra = extra.into_iter().take(Report::EXTRA_COLUMNS_MAX).map(short);
        Ok(Self {
            extra: extra.collect(),
            ..layout
        })
    }
}

struct Search<'a> {
    header: &'a StringRecord,
    used: Vec<bool>,
    missing: Vec<String>,
}

impl Search<'_> {
    fn find(&mut self, name: Option<&str>) -> Result<Option<usize>, Refusal> {
        let Some(name) = name else {
            return Ok(None);
        };
        let mut found = None;
        for (place, (its, used)) in self.header.iter().zip(&mut self.used).enumerate() {
            if its.trim() == name {
                if found.is_some() {
                    return Err(Refusal::HeaderTwice(name.to_owned()));
                }
                *used = true;
                found = Some(place);
            }
        }
        if found.is_none() {
            self.missing.push(name.to_owned());
        }
        Ok(found)
    }
}
