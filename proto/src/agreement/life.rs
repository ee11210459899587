//! The life of the agreement, as a state that follows from the authorities' acts and from nothing
//! else: whoever has the acts in their order has the state, the broker after a restart and an
//! auditor with a copy of the ledger alike (rules R05, R40).
//!
//! ```text
//!   propose ──▶ sign (by the other) ──▶ activate (by either) ──▶ in force from its first day
//!   suspend (by either) ──▶ lift ──▶ lift (by the other)          end ──▶ end (by the other)
//! ```
//!
//! Time is what stands in the acts.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    Act, Target, Verb,
    standing::{Asked, Ended, Standing, Suspension},
};
use crate::{document::Authority, v1::agreement_act::Kind};

/// The most proposals of one authority that wait; a further one takes the place of its oldest.
pub const PROPOSALS_MAX: usize = 8;
/// The most activated documents that are remembered; older ones have been replaced long ago.
const ACTIVATED_MAX: usize = 8;
/// For how long one authority's wish to lift or to end waits for the other's.
pub const ASK_HOLDS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A document that is proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// SHA-256 of its text.
    pub sha256: [u8; 32],
    /// Id of the agreement.
    pub agreement: String,
    /// Its version.
    pub version: u64,
    /// Who proposed, and thereby signed it.
    pub by: Authority,
    /// When.
    pub at: Timestamp,
    /// The other signed it too.
    pub signed_by_both: bool,
}

/// A document that was activated; whether its day has come is another matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activated {
    /// SHA-256 of its text.
    pub sha256: [u8; 32],
    /// Its version.
    pub version: u64,
}

/// Why an act does not fit what came before it. Each says what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// The very text is proposed.
    #[error("this text is proposed already, by the {by}; sign it or activate it")]
    Proposed {
        /// By whom.
        by: Authority,
    },
    /// Nobody proposed it.
    #[error("no such document is proposed; propose it first")]
    NotProposed,
    /// The same authority twice.
    #[error("the {by} has signed it already; the {other} signs now")]
    SignedBySame {
        /// Who.
        by: Authority,
        /// Who has not.
        other: Authority,
    },
    /// Both have.
    #[error("both authorities have signed it already; activate it")]
    SignedByBoth,
    /// One signature is missing.
    #[error("the {missing} has not signed it; it takes effect with both signatures only")]
    NotSigned {
        /// Whose.
        missing: Authority,
    },
    /// A version that was activated already, or an older one.
    #[error(
        "version {version} is not above version {last}, which was in force or activated already"
    )]
    NotNewer {
        /// Of the document.
        version: u64,
        /// The last one.
        last: u64,
    },
    /// It stands suspended.
    #[error("`{target}` is suspended already, by the {by} since {since}")]
    Suspended {
        /// What.
        target: Target,
        /// By whom.
        by: Authority,
        /// Since when.
        since: Timestamp,
    },
    /// It does not.
    #[error("`{target}` is not suspended")]
    NotSuspended {
        /// What.
        target: Target,
    },
    /// One authority asks for what takes both.
    #[error("the {by} has asked for this already, at {at}; the {other} must do the same")]
    AskedBySame {
        /// Who.
        by: Authority,
        /// When.
        at: Timestamp,
        /// Who has not.
        other: Authority,
    },
    /// It is over.
    #[error("version {version} was ended already, at {at}")]
    Ended {
        /// Which.
        version: u64,
        /// When.
        at: Timestamp,
    },
    /// On the record it has another kind.
    #[error("the record has it as something else than what follows from the acts before it")]
    OtherKind,
}

/// Where the agreement stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    proposals: Vec<Proposal>,
    /// By version, oldest first.
    activated: Vec<Activated>,
    standing: Arc<Standing>,
}

impl Life {
    /// What stands suspended or ended.
    #[must_use]
    pub const fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// What is proposed and not yet activated, oldest first.
    #[must_use]
    pub fn proposals(&self) -> &[Proposal] {
        &self.proposals
    }

    /// What was activated, by version.
    #[must_use]
    pub fn activated(&self) -> &[Activated] {
        &self.activated
    }

    /// The proposal of a text.
    #[must_use]
    pub fn proposal(&self, sha256: &[u8; 32]) -> Option<&Proposal> {
        self.proposals.iter().find(|one| one.sha256 == *sha256)
    }

    /// What an act would be, if it happened now.
    ///
    /// # Errors
    /// [`NotNow`]; nothing changes in either case.
    pub fn decide(&self, act: &Act, by: Authority) -> Result<Kind, NotNow> {
        match (act.verb, &act.target) {
            (Verb::Propose, _) => self.proposes(act),
            (Verb::Sign, _) => self.signs(act, by),
            (Verb::Activate, _) => self.activates(act),
            (Verb::Suspend, Some(target)) => self.suspends(target, by),
            (Verb::Lift, Some(target)) => self.lifts(act, target, by),
            (Verb::End, _) => self.ends(act, by),
            // An act that was parsed has its target.
            (Verb::Suspend | Verb::Lift, None) => Err(NotNow::OtherKind),
        }
    }

    /// Lets an act happen, and says what it was.
    ///
    /// # Errors
    /// [`NotNow`]; nothing changed then.
    pub fn act(&mut self, act: &Act, by: Authority) -> Result<Kind, NotNow> {
        let kind = self.decide(act, by)?;
        self.apply(kind, act, by);
        Ok(kind)
    }

    /// Lets an act happen again that is on the record as of this kind.
    ///
    /// # Errors
    /// [`NotNow`]: the record is not what the acts say.
    pub fn replay(&mut self, act: &Act, by: Authority, recorded: Kind) -> Result<(), NotNow> {
        if self.decide(act, by)? != recorded {
            return Err(NotNow::OtherKind);
        }
        self.apply(recorded, act, by);
        Ok(())
    }

    fn newer(&self, version: u64) -> Result<(), NotNow> {
        match self.activated.last() {
            Some(last) if version <= last.version => {
                let last = last.version;
                Err(NotNow::NotNewer { version, last })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn proposes(&self, act: &Act) -> Result<Kind, NotNow> {
        if let Some(Proposal { by, .. }) = self.proposal(&act.sha256) {
            return Err(NotNow::Proposed { by: *by });
        }
        self.newer(act.version).map(|()| Kind::Proposed)
    }

    fn signs(&self, act: &Act, by: Authority) -> Result<Kind, NotNow> {
        let proposal = self.proposal(&act.sha256).ok_or(NotNow::NotProposed)?;
        if proposal.signed_by_both {
            return Err(NotNow::SignedByBoth);
        }
        if proposal.by == by {
            let other = by.other();
            return Err(NotNow::SignedBySame { by, other });
        }
        Ok(Kind::Signed)
    }

    fn activates(&self, act: &Act) -> Result<Kind, NotNow> {
        let proposal = self.proposal(&act.sha256).ok_or(NotNow::NotProposed)?;
        if !proposal.signed_by_both {
            let missing = proposal.by.other();
            return Err(NotNow::NotSigned { missing });
        }
        self.newer(proposal.version).map(|()| Kind::Activated)
    }

    fn suspends(&self, target: &Target, by: Authority) -> Result<Kind, NotNow> {
        let Some(stands) = self.standing.on(target) else {
            return Ok(Kind::Suspended);
        };
        // To say it once more is of use only against a wish to lift, or where the other says it.
        let joins = !stands.by_both && stands.by != by;
        if joins || stands.lift_asked.is_some() {
            return Ok(Kind::Suspended);
        }
        Err(NotNow::Suspended {
            target: target.clone(),
            by: stands.by,
            since: stands.since,
        })
    }

    fn lifts(&self, act: &Act, target: &Target, by: Authority) -> Result<Kind, NotNow> {
        let not = || NotNow::NotSuspended {
            target: target.clone(),
        };
        let stands = self.standing.on(target).ok_or_else(not)?;
        Ok(match asked(stands.lift_asked, act.time, by)? {
            true => Kind::Lifted,
            false => Kind::LiftAsked,
        })
    }

    fn ends(&self, act: &Act, by: Authority) -> Result<Kind, NotNow> {
        let version = act.version;
        if let Some(Ended { at, .. }) = self.standing.ended(version) {
            return Err(NotNow::Ended { version, at });
        }
        let before = self.standing.end_asked(version);
        Ok(match asked(before, act.time, by)? {
            true => Kind::Ended,
            false => Kind::EndAsked,
        })
    }

    fn apply(&mut self, kind: Kind, act: &Act, by: Authority) {
        let wish = Some(Asked { by, at: act.time });
        match (kind, &act.target) {
            (Kind::Proposed, _) => self.propose(act, by),
            (Kind::Signed, _) => {
                let proposals = self.proposals.iter_mut();
                for proposal in proposals.filter(|one| one.sha256 == act.sha256) {
                    proposal.signed_by_both = true;
                }
            }
            (Kind::Activated, _) => self.activate(act.sha256),
            (Kind::Suspended, Some(target)) => self.suspend(target, act, by),
            (Kind::LiftAsked, Some(target)) => {
                let standing = Arc::make_mut(&mut self.standing);
                if let Some(stands) = standing.on(target).cloned() {
                    let lift_asked = wish;
                    standing.put(
                        target,
                        Suspension {
                            lift_asked,
                            ..stands
                        },
                    );
                }
            }
            (Kind::Lifted, Some(target)) => Arc::make_mut(&mut self.standing).lift(target),
            (Kind::EndAsked, _) => {
                Arc::make_mut(&mut self.standing).end_asked =
                    wish.map(|asked| (act.version, asked));
            }
            (Kind::Ended, _) => {
                let standing = Arc::make_mut(&mut self.standing);
                standing.end_asked = None;
                standing.ended = Some(Ended {
                    version: act.version,
                    at: act.time,
                });
            }
            // An act that was decided has its target, and its kind is one of these.
            (Kind::Suspended | Kind::LiftAsked | Kind::Lifted, None) | (Kind::Unspecified, _) => {}
        }
    }

    fn propose(&mut self, act: &Act, by: Authority) {
        let own = self.proposals.iter().filter(|one| one.by == by).count();
        if own >= PROPOSALS_MAX
            && let Some(oldest) = self.proposals.iter().position(|one| one.by == by)
        {
            self.proposals.remove(oldest);
        }
        self.proposals.push(Proposal {
            sha256: act.sha256,
            agreement: act.agreement.clone(),
            version: act.version,
            by,
            at: act.time,
            signed_by_both: false,
        });
    }

    fn activate(&mut self, sha256: [u8; 32]) {
        let Some(version) = self.proposal(&sha256).map(|one| one.version) else {
            return;
        };
        self.proposals.retain(|one| one.version > version);
        self.activated.push(Activated { sha256, version });
        if self.activated.len() > ACTIVATED_MAX {
            self.activated.remove(0);
        }
    }

    fn suspend(&mut self, target: &Target, act: &Act, by: Authority) {
        let standing = Arc::make_mut(&mut self.standing);
        let suspension = match standing.on(target) {
            Some(stands) => Suspension {
                by_both: stands.by_both || stands.by != by,
                // Whoever suspends does not want it lifted.
                lift_asked: None,
                ..stands.clone()
            },
            None => Suspension {
                by,
                since: act.time,
                reason: act.reason.clone(),
                by_both: false,
                lift_asked: None,
            },
        };
        standing.put(target, suspension);
    }
}

/// Whether the other authority has asked for the same; not so long ago that it may have forgotten.
fn asked(before: Option<Asked>, at: Timestamp, by: Authority) -> Result<bool, NotNow> {
    let holds = |asked: &Asked| at.duration_since(asked.at).abs() <= ASK_HOLDS;
    match before.filter(holds) {
        Some(asked) if asked.by != by => Ok(true),
        Some(asked) => Err(NotNow::AskedBySame {
            by,
            at: asked.at,
            other: by.other(),
        }),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests;
