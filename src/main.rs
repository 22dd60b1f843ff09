//! The program: parses the command line, runs it, and turns the outcome into an exit code.

fn main() {}
