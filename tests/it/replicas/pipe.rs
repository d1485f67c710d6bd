//! What stands between a gateway and its Redis: passes on, swallows, dawdles, or is shut.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to bytes on their way to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Way {
    Open,
    /// Taken, and never heard of again.
    Hole,
    /// Passed on much too late.
    Slow,
}

/// How late: long after anybody has given up on it.
pub const LATE: Duration = Duration::from_secs(3);

#[derive(Clone)]
pub struct Pipe {
    pub address: SocketAddr,
    way: Arc<AtomicU8>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Pipe {
    pub fn to(redis: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let pipe = Self { address, way: Arc::new(AtomicU8::new(Way::Open as u8)), open: Arc::default() };
        let serving = pipe.clone();
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let Ok(redis) = TcpStream::connect(redis) else { continue };
                for (from, to, delays) in [(&caller, &redis, true), (&redis, &caller, false)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let pipe = serving.clone();
                    std::thread::spawn(move || pipe.pass(from, to, delays));
                }
                serving.open.lock().unwrap().extend([caller, redis]);
            }
        });
        pipe
    }

    pub fn set(&self, way: Way) {
        self.way.store(way as u8, SeqCst);
    }

    fn is(&self, way: Way) -> bool {
        self.way.load(SeqCst) == way as u8
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, delays: bool) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if self.is(Way::Slow) && delays {
                std::thread::sleep(LATE);
            }
            if !self.is(Way::Hole) && to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
