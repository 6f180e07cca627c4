//! The binary `rpcshark`.

fn main() {}
