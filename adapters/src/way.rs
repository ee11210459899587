//! A way to a server on which what the server sends gets lost, is slow or is cut off, as behind a firewall
//! that forgets. For tests only (`test-util`).

use std::{io, net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

/// How many bytes are taken from the server at once.
const PIECE_BYTES: usize = 16_384;

/// How what the server sends is carried. What it is sent is carried at once, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As it comes.
    Carries,
    /// Not at all, and nobody is told.
    Loses,
    /// So many bytes at a time, with a pause behind each.
    Trickles(usize, Duration),
    /// As it comes, up to the middle of this text; there the connection ends, each time.
    CutsWithin(&'static str),
}

/// The way; it ends when this is dropped.
#[derive(Debug)]
pub struct Way {
    port: u16,
    manner: watch::Sender<Manner>,
    cuts: watch::Sender<u32>,
    _running: JoinSet<()>,
}

impl Way {
    /// A way to a port of this machine, which carries.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn to(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let own = listener.local_addr()?.port();
        let (manner, cuts) = (watch::Sender::new(Manner::Carries), watch::Sender::new(0));
        let mut running = JoinSet::new();
        let (carrying, cutting) = (manner.clone(), cuts.clone());
        running.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                // Who comes while the server is away finds nobody either.
                if let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                    lines.spawn(carry(near, far, carrying.subscribe(), cutting.subscribe()));
                }
                while lines.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            port: own,
            manner,
            cuts,
            _running: running,
        })
    }

    /// Where it begins.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// From now on it is so, also for what is on its way.
    pub fn be(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// Cuts what stands; what comes then is carried.
    pub fn cut(&self) {
        self.be(Manner::Carries);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn carry(
    near: TcpStream,
    far: TcpStream,
    manner: watch::Receiver<Manner>,
    mut cuts: watch::Receiver<u32>,
) {
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let always = watch::Sender::new(Manner::Carries);
    tokio::select! {
        () = copy(near_in, far_out, always.subscribe()) => {}
        () = copy(far_in, near_out, manner) => {}
        _ = cuts.changed() => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    manner: watch::Receiver<Manner>,
) {
    let mut bytes = Vec::with_capacity(PIECE_BYTES);
    while from.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let now = *manner.borrow();
            let (count, ends) = match now {
                Manner::Carries | Manner::Loses => (rest.len(), false),
                Manner::Trickles(most, _) => (most.clamp(1, rest.len()), false),
                Manner::CutsWithin(text) => match middle(rest, text.as_bytes()) {
                    Some(middle) => (middle, true),
                    None => (rest.len(), false),
                },
            };
            let Some((piece, left)) = rest.split_at_checked(count) else {
                return;
            };
            rest = left;
            let lost = now == Manner::Loses;
            if !lost && to.write_all(piece).await.is_err() || ends {
                return;
            }
            if let Manner::Trickles(_, pause) = now {
                sleep(pause).await;
            }
        }
        bytes.clear();
    }
}

/// The middle of a text that stands in these bytes.
fn middle(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let mut windows = bytes.windows(text.len().max(1));
    let begins = windows.position(|window| window == text)?;
    Some(begins + text.len() / 2)
}
