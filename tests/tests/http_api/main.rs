//! Journeys over HTTP: every row of the contract with its error answers, against the real server.

mod account;
mod buying;
mod catalog;
mod conventions;
mod guards;
mod orders;
mod staff;
