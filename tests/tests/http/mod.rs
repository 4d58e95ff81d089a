//! Journeys over HTTP: every row of the contract with its error answers, against the real server. Each storage backend's test
//! target runs them all, and says by `crate::BACKEND` which it is.

mod access;
mod account;
mod buying;
mod catalog;
mod commands;
mod conventions;
mod copy;
mod copy_killed;
mod crash;
mod goods;
mod guards;
mod load;
mod orders;
mod payments;
mod problems;
mod process;
mod protocol;
mod staff;
mod stripe;
mod texts;
