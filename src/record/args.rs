//! The command `rpcshark record`.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rpcshark_captures::Endpoint;
use rpcshark_captures::write::About;
use rustix::process::{Resource, getrlimit, setrlimit};

use super::journal::{Journal, Summary, Tap, WhenFull};

use super::recorder::Recorder;
use super::relay::now;
use super::socket::{Listener, SocketError, Target};
use super::stderr::report;
use super::swap::{self, Restored, Swap, SwapError};
use super::watch::Watch;
use crate::address::Address;
use crate::output_file::{OutputError, OutputFile};
use crate::signals::{INTERRUPTED, Stop, watch};

/// Relay the traffic between clients and a server, and record it.
///
/// Bytes are passed on unchanged. Ctrl-C completes the file; SIGKILL loses the last 20 ms.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rpcshark record --listen 127.0.0.1:5000 --to 127.0.0.1:50051 -w out.pcapng
  rpcshark record --listen 127.0.0.1:5000 --to 127.0.0.1:50051 -w out.pcapng --tui --proto api.proto
  rpcshark record --swap /run/containerd/containerd.sock -w out.pcapng
  rpcshark record --restore /run/containerd/containerd.sock     after a recorder that was killed")]
pub struct RecordArgs {
    /// Where clients connect: host:port, unix:/path, unix-abstract:name or vsock:cid:port
    #[arg(long, value_name = "ADDR", required_unless_present_any = ["swap", "restore"], conflicts_with_all = ["swap", "restore"])]
    pub listen: Option<Address>,

    /// Where the server is [with --swap: at the moved socket]
    #[arg(long, value_name = "ADDR", required_unless_present_any = ["swap", "restore"], conflicts_with = "restore")]
    pub to: Option<Address>,

    /// The file to write, pcapng; one that exists is overwritten; - for standard output [may be left out with --live]
    #[arg(short, long, value_name = "FILE", required_unless_present_any = ["restore", "live"], conflicts_with = "restore")]
    pub write: Option<PathBuf>,

    /// Write through a symbolic link to a regular file, which is refused otherwise
    #[arg(long)]
    pub follow_symlink: bool,

    /// Take the place of the Unix socket at PATH while recording, and put it back at the end
    #[arg(long, value_name = "PATH", conflicts_with = "restore")]
    pub swap: Option<PathBuf>,

    /// Put the socket at PATH back after a recorder that was killed, and end
    #[arg(long, value_name = "PATH")]
    pub restore: Option<PathBuf>,

    /// Print calls as they end
    #[arg(long, conflicts_with = "restore")]
    pub live: bool,

    /// Memory for bytes that wait for a slow disk, in MiB; bytes beyond it are not recorded
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub buffer: u32,

    /// Block the traffic while the disk is slow, instead of not recording bytes
    #[arg(long, conflicts_with = "restore")]
    pub wait: bool,
}

/// Records until a signal arrives. `tap` sees what is recorded (`--live`).
///
/// Ends with 130 after a signal, 0 when nobody reads the pipe any more or after `--restore`, 2 for an address that cannot
/// be recorded and for a terminal, 4 when the file could not be written to its end, 5 when a socket or a file was not
/// touched for safety, and an error when there was nothing to record.
pub fn run(args: RecordArgs, tap: Option<Box<dyn Tap>>) -> anyhow::Result<ExitCode> {
    run_and_report(args, tap, |_| {})
}

/// The same; `started` learns that recording has begun, and what ends it.
pub(crate) fn run_and_report(
    args: RecordArgs,
    tap: Option<Box<dyn Tap>>,
    started: impl FnOnce(&Arc<Stop>),
) -> anyhow::Result<ExitCode> {
    record(args, tap, started).or_else(|error| {
        let code = match (error.downcast_ref(), error.downcast_ref(), error.downcast_ref()) {
            (Some(swap), ..) if is_doubt(swap) => REFUSED,
            (_, Some(SocketError::Tls(_)), _) | (.., Some(OutputError::Terminal)) => USAGE,
            (.., Some(OutputError::Held(_) | OutputError::Symlink { .. })) => REFUSED,
            _ => return Err(error),
        };
        report(format_args!("{error:#}"));
        Ok(ExitCode::from(code))
    })
}

/// Whether the file system left a doubt, rather than an obstacle.
const fn is_doubt(error: &SwapError) -> bool {
    matches!(error, SwapError::Taken { .. } | SwapError::StillListening { .. })
}

fn record(args: RecordArgs, tap: Option<Box<dyn Tap>>, started: impl FnOnce(&Arc<Stop>)) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.restore {
        return restore(&without_scheme(path));
    }
    // Nothing in it changes before there is something to record: it may hold a recording.
    let output = args.write.as_deref().map(|path| OutputFile::open(path, args.follow_symlink)).transpose()?;
    let stop = Stop::new()?;
    allow_many_connections();
    // From here on signals no longer kill: a socket that is moved aside is always put back.
    watch(Arc::clone(&stop))?;

    let (listener, target, swapped) = match (args.swap, args.listen, args.to) {
        (Some(path), _, to) => {
            let (swap, listener) = Swap::take(&without_scheme(&path))?;
            let original = Address::UnixPath(swap.original().as_os_str().as_bytes().into());
            let shown = Endpoint::UnixPath(swap.path().as_os_str().as_bytes().into());
            (listener, Target::new(to.unwrap_or(original))?.shown_as(shown), Some(swap))
        }
        (None, Some(listen), Some(to)) => (Listener::bind(&listen)?, Target::new(to)?, None),
        _ => anyhow::bail!("nowhere to listen or to connect to: --listen ADDR --to ADDR, or --swap PATH"),
    };

    let about = About {
        interface: listener.endpoint().to_string(),
        description: format!("recorded at {}", listener.endpoint()),
        seed: now().as_nanos().unsigned_abs() / 1_000,
        ..about_this_machine()
    };
    let failed = {
        let stop = Arc::clone(&stop);
        move |error: &io::Error| match error.kind() {
            // Nobody reads the pipe any more: that is how they say that they have enough.
            io::ErrorKind::BrokenPipe => stop.raise(),
            _ => report(format_args!("writing failed, nothing more is recorded, traffic goes on: {error}")),
        }
    };
    let when_full = if args.wait { WhenFull::Wait } else { WhenFull::Lose };
    let file = output.map(OutputFile::begin).transpose()?;
    let mut watch = Watch::new(args.write.as_deref(), file.as_ref(), swapped.as_ref());
    let out: Box<dyn io::Write + Send> = match file {
        Some(file) => Box::new(file),
        // With --live alone.
        None => Box::new(io::sink()),
    };
    let journal = Journal::start(out, about, (args.buffer as usize) << 20, when_full, tap, failed)?;
    report(format_args!("recording at {}; Ctrl-C ends it", listener.endpoint()));
    let recorder = Recorder::start_with(listener, target, journal, Arc::clone(&stop))?;
    started(&stop);

    while !stop.wait_for(WATCH_PAUSE) {
        watch.check();
    }
    watch.check();
    let was_removed = watch.was_removed();
    let put_back = swapped.map_or(Ok(()), Swap::put_back);
    let summary = recorder.stop();
    let name = args.write.map_or_else(|| "not written to a file".to_owned(), |path| path.display().to_string());
    report_summary(&summary, &name);
    put_back?;
    match summary.failure {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Some(error) => {
            report(format_args!("{name}: not written to its end: {error}"));
            Ok(ExitCode::from(CUT_SHORT))
        }
        None if was_removed => Ok(ExitCode::from(CUT_SHORT)),
        None => Ok(ExitCode::from(INTERRUPTED)),
    }
}

fn restore(path: &Path) -> anyhow::Result<ExitCode> {
    let result = match swap::restore(path)? {
        Restored::PutBack => "the server's socket is back in its place",
        Restored::Cleaned => "the server's socket was in its place; what a recorder left beside it was removed",
        Restored::Nothing => "the server's socket is in its place: nothing to do",
    };
    report(format_args!("{}: {result}", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// Each connection takes two descriptors, and what the shell allows is often meant for programs that poll.
fn allow_many_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is not allowed, there are as many connections as there can be.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn about_this_machine() -> About {
    let system = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    About {
        hardware: text(system.machine()),
        os: format!("{} {}", text(system.sysname()), text(system.release())),
        ..About::default()
    }
}

fn report_summary(summary: &Summary, name: &str) {
    let Summary { connections, bytes: [up, down], lost_bytes, lost_connections, .. } = summary;
    let connections = match connections {
        1 => "1 connection".to_owned(),
        more => format!("{more} connections"),
    };
    report(format_args!("{name}: {connections}, {up} bytes up, {down} bytes down"));
    if lost_bytes + lost_connections > 0 {
        report(format_args!(
            "the file could not be written fast enough: {lost_bytes} bytes and {lost_connections} connections \
             are not in it (a larger --buffer helps against short stalls, --wait lets the traffic wait)"
        ));
    }
}

/// The socket's path; `unix:` before it is allowed, as in addresses.
fn without_scheme(path: &Path) -> PathBuf {
    let text = path.as_os_str().as_bytes();
    PathBuf::from(std::ffi::OsStr::from_bytes(text.strip_prefix(b"unix:").unwrap_or(text)))
}

/// How often the recorder looks whether its file and its socket are still where they were.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// Exit status: the command line is wrong.
const USAGE: u8 = 2;
/// Exit status: there is a file, but not all of it.
const CUT_SHORT: u8 = 4;
/// Exit status: refused for safety.
const REFUSED: u8 = 5;
