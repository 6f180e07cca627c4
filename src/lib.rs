//! The program `rpcshark`: its command line, reading captures, recording.

pub mod address;
mod call;
pub mod cli;
mod config;
mod decode_as;
mod driver;
mod ends;
mod export;
mod load;
mod messages;
mod output_file;
mod pairing;
pub mod record;
mod replay;
mod report;
mod rpc;
mod serve;
mod signals;
mod tap;
mod ui;
