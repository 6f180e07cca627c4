//! The binary `rpcshark`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rpcshark::cli::main()
}
