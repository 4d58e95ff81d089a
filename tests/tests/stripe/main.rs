//! The Stripe gateway against an exact fake, against localstripe, and against sockets that misbehave.

mod faked;
mod local;
mod network;
