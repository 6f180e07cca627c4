//! The screens by keys only, over real recordings: what a user types, and what is on the screen then.

mod calls;
mod connections;
mod export;
mod frames;
mod insight;
mod keys;
mod replay;
mod rig;
mod snapshots;
mod speed;
