//! What stands between a gateway and a server: passes on, swallows, dawdles, or breaks at the worst moment.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

/// Which COMMIT of a connection is lost: the greeting's has to get through, and one with rows, so that things go on.
const LOST: u32 = 3;

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Taken, and never heard of again. So is whoever comes anew.
    Hole,
    /// Every answer is so late.
    Slow(Duration),
    /// A PostgreSQL's answer to a COMMIT is lost, and so is the connection: nobody can say what came of it.
    LosesCommits,
}

#[derive(Clone)]
pub struct Line {
    pub address: SocketAddr,
    way: Arc<Mutex<Way>>,
    /// Answers to COMMIT that were lost.
    lost: Arc<AtomicU32>,
}

impl Line {
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let line = Self {
            address: listener.local_addr().unwrap(),
            way: Arc::new(Mutex::new(Way::Open)),
            lost: Arc::default(),
        };
        let serving = line.clone();
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                // Nobody is there: refused, as by the server itself.
                let Ok(server) = TcpStream::connect(server) else { continue };
                for stream in [&caller, &server] {
                    stream.set_nodelay(true).unwrap();
                }
                let commits = Arc::new(AtomicU32::new(0));
                for (from, to, side) in [(&caller, &server, Side::Asks), (&server, &caller, Side::Answers)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (line, commits) = (serving.clone(), Arc::clone(&commits));
                    std::thread::spawn(move || line.pass(from, to, side, &commits));
                }
            }
        });
        line
    }

    pub fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    /// Answers to COMMIT that were lost so far.
    pub fn lost(&self) -> u32 {
        self.lost.load(SeqCst)
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, side: Side, commits: &AtomicU32) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..read];
            let way = *self.way.lock().unwrap();
            if side == Side::Asks && bytes.windows(7).any(|part| part == b"COMMIT\0") {
                commits.fetch_add(1, SeqCst);
            }
            match (way, side) {
                (Way::Hole, _) => continue,
                (Way::Slow(late), Side::Answers) => sleep(late),
                // It is done: the server has said so, to nobody.
                (Way::LosesCommits, Side::Answers) if commits.load(SeqCst) >= LOST => {
                    self.lost.fetch_add(1, SeqCst);
                    break;
                }
                (Way::Open | Way::LosesCommits, _) | (Way::Slow(_), Side::Asks) => {}
            }
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Asks,
    Answers,
}
