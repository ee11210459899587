//! A way to the server on which what it sends gets lost, as behind a firewall that forgets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The way; it ends when this is dropped.
pub(crate) struct Way {
    port: u16,
    loses: Arc<AtomicBool>,
    cuts: watch::Sender<u32>,
    _running: JoinSet<()>,
}

impl Way {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let loses = Arc::new(AtomicBool::new(false));
        let cuts = watch::Sender::new(0);
        let mut running = JoinSet::new();
        let (losing, cutting) = (Arc::clone(&loses), cuts.clone());
        running.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                lines.spawn(carry(near, far, Arc::clone(&losing), cutting.subscribe()));
            }
        });
        Self {
            port: own,
            loses,
            cuts,
            _running: running,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// From now on nothing comes back, and nobody is told.
    pub(crate) fn lose(&self) {
        self.loses.store(true, Ordering::SeqCst);
    }

    /// Cuts what stands; what comes then is carried.
    pub(crate) fn cut(&self) {
        self.loses.store(false, Ordering::SeqCst);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn carry(
    near: TcpStream,
    far: TcpStream,
    loses: Arc<AtomicBool>,
    mut cuts: watch::Receiver<u32>,
) {
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let never = Arc::new(AtomicBool::new(false));
    tokio::select! {
        () = copy(near_in, far_out, never) => {}
        () = copy(far_in, near_out, loses) => {}
        _ = cuts.changed() => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    loses: Arc<AtomicBool>,
) {
    let mut bytes = Vec::with_capacity(4_096);
    while from.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
        if !loses.load(Ordering::SeqCst) && to.write_all(&bytes).await.is_err() {
            return;
        }
        bytes.clear();
    }
}
