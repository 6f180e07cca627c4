//! The binary `rpcshark`.

#[allow(dead_code)] // until there is a command that uses it
mod load;

fn main() {}
