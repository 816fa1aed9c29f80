//! A TCP proxy that does what networks do.
//!
//! It stands between a client and a server, and passes on what it reads under the faults that it was given: later, slower, in slices, until
//! it resets, not at all, with flipped bits, with other headers. Both directions of a connection have the same faults and their own
//! randomness, from one seed. Nothing here knows what is said; a connection under TLS is bytes like any other.

mod faults;
mod pipe;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub use self::faults::{Faults, HeaderRewrite};
use self::pipe::{Direction, pass};

/// What a proxy did so far.
#[derive(Debug, Default)]
pub struct Counts {
    connections: AtomicU64,
    bytes: AtomicU64,
    resets: AtomicU64,
    corrupted: AtomicU64,
    rewritten: AtomicU64,
    swallowed: AtomicU64,
}

macro_rules! readers {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        impl Counts {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> u64 {
                self.$name.load(Ordering::Relaxed)
            })*
        }
    };
}

readers! {
    /// Connections that were taken.
    connections,
    /// Bytes that were passed on, both ways.
    bytes,
    /// Connections that were reset.
    resets,
    /// Bytes in which a bit was flipped.
    corrupted,
    /// Header lines that were rewritten.
    rewritten,
    /// Bytes that vanished.
    swallowed,
}

impl Counts {
    /// Whether anything was done that a network without faults would not do, besides taking its time.
    #[must_use]
    pub fn has_harmed(&self) -> bool {
        self.resets() + self.corrupted() + self.rewritten() + self.swallowed() > 0
    }
}

fn add(counter: &AtomicU64, by: usize) {
    counter.fetch_add(u64::try_from(by).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// A running proxy. It ends with this value, and its connections with it.
pub struct FaultProxy {
    addr: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

/// A proxy that has its address and does not know yet where it leads.
pub struct BoundProxy {
    listener: TcpListener,
    addr: SocketAddr,
}

impl BoundProxy {
    /// Takes a free port on loopback. For servers that have to know under which address they are reached.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        Ok(Self { listener, addr })
    }

    /// Where clients connect to.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Leads to `target` from now on.
    #[must_use]
    pub fn lead_to(self, target: SocketAddr, faults: Faults, seed: u64) -> FaultProxy {
        let counts = Arc::new(Counts::default());
        let task = tokio::spawn(serve(self.listener, target, Arc::new(faults), seed, Arc::clone(&counts)));
        FaultProxy { addr: self.addr, counts, task }
    }
}

impl FaultProxy {
    /// A proxy on a free port of loopback, in front of `target`.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn start(target: SocketAddr, faults: Faults, seed: u64) -> io::Result<Self> {
        Ok(BoundProxy::bind().await?.lead_to(target, faults, seed))
    }

    /// Where clients connect to.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultProxy").field("addr", &self.addr).field("counts", &self.counts).finish_non_exhaustive()
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, faults: Arc<Faults>, seed: u64, counts: Arc<Counts>) {
    // Dropped with this task, the set ends every connection.
    let mut connections = JoinSet::new();
    let mut number = 0_u64;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((near, _)) = accepted else { continue };
                number += 1;
                add(&counts.connections, 1);
                let (faults, counts) = (Arc::clone(&faults), Arc::clone(&counts));
                connections.spawn(connection(near, target, faults, seed.wrapping_add(number), number, counts));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    mut near: TcpStream,
    target: SocketAddr,
    faults: Arc<Faults>,
    seed: u64,
    number: u64,
    counts: Arc<Counts>,
) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    // A proxy that gathers small writes would hide what it is told to do to them.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let is_blackhole = number <= faults.blackhole_connections;
    let outward = Direction::new(&faults, seed.wrapping_mul(2), is_blackhole);
    let inward = Direction::new(&faults, seed.wrapping_mul(2).wrapping_add(1), is_blackhole);
    let is_reset = {
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        let out = pass(outward, near_read, far_write, &counts);
        let back = pass(inward, far_read, near_write, &counts);
        tokio::pin!(out, back);
        // A reset ends both directions; a direction that closes leaves the other to talk on.
        tokio::select! {
            ended = &mut out => ended.is_reset() || back.await.is_reset(),
            ended = &mut back => ended.is_reset() || out.await.is_reset(),
        }
    };
    if is_reset {
        add(&counts.resets, 1);
        // Without lingering, closing sends a reset.
        let _ = (near.set_zero_linger(), far.set_zero_linger());
    }
}
