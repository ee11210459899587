//! The adapter as a broker meets it: its link, its news, and its program.

// The modules are marked as test code for the lints.
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod control;
#[cfg(test)]
mod exported;
#[cfg(test)]
mod link;
#[cfg(test)]
mod news;
#[cfg(test)]
mod opted_out;
#[cfg(test)]
mod port;
#[cfg(test)]
mod program;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod support;
