//! All the peers: which one is asked, and which one next.
//!
//! The best are asked in turn: connected and trusted before suspect, then by priority. An answer
//! that the network gave instead of a server (3002, 3004), a full or a lost connection sends the
//! question to another peer while there is time; it is the same question by its end-to-end
//! identifier, with the T bit where it may have arrived before (RFC 6733 section 5.5.4). A peer that
//! says nothing has half of the time that is left, if there is another.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use accord_proto::clock::Clock;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::avp;
use super::codec::{CodecError, Encoder, FLAG_PROXIABLE, FLAG_REQUEST, FLAG_RETRANSMIT, Header};
use super::node::{Message, Node};
use super::peer::{Cause, Peer, PeerSettings, PeerState, Request, RequestError, random};

/// The most peers.
pub const PEERS_MAX: usize = 16;
/// Peers that one question is put to.
const ATTEMPTS_MAX: usize = 3;
/// Notifications that wait to be looked at; more are answered 3004.
const PUSHES_MAX: usize = 1_024;

/// The peers of a source.
pub struct Peers {
    node: Arc<Node>,
    list: Vec<Arc<Peer>>,
    changed: Arc<Notify>,
    turn: AtomicUsize,
    end_to_end: AtomicU32,
    /// The high half of Session-Ids: when this began. The low half counts.
    began: i64,
    sessions: AtomicU64,
    stopping: watch::Sender<bool>,
    pushed: mpsc::Sender<Message>,
    pushes: Mutex<Option<mpsc::Receiver<Message>>>,
    started: std::sync::Once,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

impl Peers {
    /// Peers that are dialled by [`start`](Self::start).
    #[must_use]
    pub fn new(node: Node, settings: Vec<PeerSettings>, clock: &dyn Clock) -> Self {
        let (node, changed) = (Arc::new(node), Arc::new(Notify::new()));
        let make =
            |settings| Arc::new(Peer::new(settings, Arc::clone(&node), Arc::clone(&changed)));
        let list = settings.into_iter().map(make).collect();
        let (pushed, pushes) = mpsc::channel(PUSHES_MAX);
        let began = clock.now().as_second();
        // RFC 6733 section 3: the low 12 bits of the time on top, the rest random.
        let time = u32::try_from(began & 0xfff).unwrap_or_default() << 20;
        Self {
            list,
            changed,
            turn: AtomicUsize::new(0),
            end_to_end: AtomicU32::new(time | (random() & 0x000f_ffff)),
            began,
            sessions: AtomicU64::new(random().into()),
            stopping: watch::channel(false).0,
            pushed,
            pushes: Mutex::new(Some(pushes)),
            started: std::sync::Once::new(),
            node,
        }
    }

    /// Begins to keep connections, once; inside a runtime. They end with this value.
    pub fn start(&self) {
        self.started.call_once(|| {
            for peer in &self.list {
                let stopping = self.stopping.subscribe();
                tokio::spawn(Arc::clone(peer).run(stopping, self.pushed.clone()));
            }
        });
    }

    /// Who this end is.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Each peer.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.list.iter().map(|peer| &**peer)
    }

    /// What peers notify of. Asked for once.
    #[must_use]
    pub fn pushes(&self) -> Option<mpsc::Receiver<Message>> {
        let mut pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner);
        pushes.take()
    }

    /// A Session-Id that nobody had before (RFC 6733 section 8.8).
    #[must_use]
    pub fn session(&self) -> String {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        format!("{};{};{number}", self.node.host, self.began)
    }

    /// Waits until some peer is open.
    ///
    /// # Errors
    /// Why the first peer has no connection, as last known.
    pub async fn ready(&self, deadline: Instant) -> Result<(), Cause> {
        self.start();
        let all: Vec<&Arc<Peer>> = self.list.iter().collect();
        if self.until(deadline, |_| any_open(&all)).await {
            return Ok(());
        }
        let closed = self.iter().find_map(Peer::last_cause);
        Err(closed.unwrap_or(Cause::Silent))
    }

    /// Waits until the peers are in some state; `false` at the deadline.
    pub async fn until(&self, deadline: Instant, state: impl Fn(&Self) -> bool) -> bool {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if state(self) {
                return true;
            }
            if timeout_at(deadline, changed).await.is_err() {
                return state(self);
            }
        }
    }

    /// Asks a question of Sh.
    pub(super) async fn ask(
        &self,
        command: u32,
        avps: &Encoder,
        deadline: Instant,
    ) -> Result<Message, RequestError> {
        self.start();
        let mut request = Request {
            header: Header {
                flags: FLAG_REQUEST | FLAG_PROXIABLE,
                command,
                application: avp::APPLICATION_SH,
                hop_by_hop: 0,
                end_to_end: self.end_to_end.fetch_add(1, Ordering::Relaxed),
            },
            avps: avps.bytes(),
        };
        let mut untried: Vec<&Arc<Peer>> = self.list.iter().collect();
        let mut last = Err(RequestError::NotOpen);
        for attempt in 1..=ATTEMPTS_MAX {
            if attempt == 1 && !any_open(&untried) {
                // Just started, or all of them just lost.
                let settled = |peers: &Self| any_open(&untried) || !peers.dialling();
                self.until(deadline, settled).await;
            }
            let Some(place) = self.best(&untried) else {
                break;
            };
            let peer = untried.swap_remove(place);
            let another = attempt < ATTEMPTS_MAX && any_open(&untried);
            let now = Instant::now();
            let half = now + deadline.saturating_duration_since(now) / 2;
            let until = if another { half } else { deadline };
            last = peer.request(&request, until).await;
            let again = match &last {
                Ok(answer) => was_not_served(answer),
                Err(RequestError::NotOpen | RequestError::Full) => true,
                Err(RequestError::Lost | RequestError::Timeout) => {
                    request.header.flags |= FLAG_RETRANSMIT;
                    true
                }
                Err(RequestError::Codec(_)) => false,
            };
            if !again || Instant::now() >= deadline {
                break;
            }
        }
        last
    }

    /// The place of the peer to ask; `None` if none is open.
    fn best(&self, among: &[&Arc<Peer>]) -> Option<usize> {
        let rank = |peer: &Peer| match peer.state() {
            PeerState::Open(trust) => Some((trust, peer.settings().priority)),
            PeerState::Closed(_) | PeerState::Connecting | PeerState::WaitCea => None,
        };
        let ranks: Vec<_> = among.iter().map(|peer| rank(peer)).collect();
        let best = ranks.iter().flatten().min()?;
        let places = ranks.iter().enumerate();
        let mut equals = places.filter(|(_, rank)| rank.as_ref() == Some(best));
        let count = equals.clone().count();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        equals.nth(turn.checked_rem(count)?).map(|(place, _)| place)
    }

    fn dialling(&self) -> bool {
        self.iter().any(|peer| match peer.state() {
            PeerState::Closed(cause) => cause == Cause::NotYet,
            PeerState::Connecting | PeerState::WaitCea => true,
            PeerState::Open(_) => false,
        })
    }
}

fn any_open(among: &[&Arc<Peer>]) -> bool {
    let open = |peer: &&Arc<Peer>| matches!(peer.state(), PeerState::Open(_));
    among.iter().any(open)
}

/// Whether the network answered instead of a server.
fn was_not_served(answer: &Message) -> bool {
    let result = answer.avps.one(avp::RESULT_CODE).ok().flatten();
    let result = result.map_or(Err(CodecError::Data), super::codec::Avp::u32);
    matches!(result, Ok(avp::UNABLE_TO_DELIVER | avp::TOO_BUSY))
}
