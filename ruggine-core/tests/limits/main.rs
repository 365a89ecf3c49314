//! What the codec refuses, and that it refuses it early and cheaply.

mod arrays;
mod by_hand;
mod depth;
mod elements;
mod frames;
mod lengths;
mod names;
mod nulls;
mod numbers;
mod outlines;
mod text;
mod twice;

use ruggine_core::codec::Encoding;

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MsgPack];
