//! The two ends of the end-to-end comparison: an upstream to stand behind a gateway, and the load in
//! front of it. `benches/e2e/run` starts them, and measures the gateway between them.
//!
//! A bench target, so that the product's binary holds nothing of it. Only loopback addresses are
//! served or loaded, and every load is bounded in number and time.

mod load;
mod mock;
mod pacer;
mod payload;

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "e2e", about = "Ends of the end-to-end comparison; benches/e2e/run uses them.")]
struct Cli {
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// An upstream that answers chat completions on each address, until its standard input ends.
    Mock {
        #[arg(required = true)]
        listen: Vec<SocketAddr>,
    },
    /// Whole answers at a fixed rate.
    Unary(Rate),
    /// Whole answers as fast as they come.
    Flood(Flood),
    /// Streams opened at a fixed rate.
    Stream(Rate),
    /// Streams that say a little and fall silent, held until standard input ends.
    Hold(Rate),
}

#[derive(clap::Args)]
pub struct Rate {
    #[arg(long)]
    pub to: SocketAddr,
    #[arg(long)]
    pub per_second: u32,
    #[arg(long)]
    pub count: u32,
    /// Keep-alive connections opened before the first request.
    #[arg(long, default_value_t = 32)]
    pub connections: u32,
}

#[derive(clap::Args)]
pub struct Flood {
    #[arg(long)]
    pub to: SocketAddr,
    #[arg(long)]
    pub count: u32,
    /// Each has one request under way at any moment.
    #[arg(long, default_value_t = 64)]
    pub connections: u32,
}

/// No run of one load takes longer, whatever the other side does.
const LONGEST: Duration = Duration::from_mins(1);

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = async {
        match Cli::parse().command {
            // `cargo bench` and `cargo test --benches` come here.
            None => println!("nothing to do by itself; run benches/e2e/run"),
            Some(Command::Mock { listen }) => mock::serve(&listen).await?,
            Some(Command::Unary(rate)) => limited(load::unary(&rate)).await?,
            Some(Command::Flood(flood)) => limited(load::flood(&flood)).await?,
            Some(Command::Stream(rate)) => limited(load::stream(&rate)).await?,
            Some(Command::Hold(rate)) => limited(load::hold(&rate)).await?,
        }
        Ok(())
    };
    let done = runtime.block_on(work);
    // The thread that waits for standard input may wait for ever.
    runtime.shutdown_background();
    done
}

async fn limited(load: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::time::timeout(LONGEST, load).await?
}

/// Ends when standard input does, so that nothing outlives the script that started it.
async fn parent_is_gone() {
    let drain = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    // An error ends the wait as well.
    let _ = tokio::task::spawn_blocking(drain).await;
}
